"""The shape of chunks, from what the user asked for."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zarrc.errors import MetadataError
from zarrc.grids.base import ChunkGrid
from zarrc.grids.regular import MAX_EXTENT, RegularChunkGrid
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from zarrc.grids.axis import AxisRuns

__all__ = ["guess_chunks", "is_auto", "parse_chunks", "parse_grid", "parse_shape"]

TARGET_NBYTES = 1 << 20
"""Chunks of this size keep a read of one element cheap, and compressors at their speed."""
MAX_TARGET_NBYTES = 16 << 20
_TARGET_N_CHUNKS = 4096
_ROW_NBYTES = 256
"""The last dimension of a guessed chunk is as long as that, if the array's is: four cache lines."""


def parse_shape(shape: object) -> tuple[int, ...]:
    """The shape that a user passed: an integer or several, each at least 0."""
    plain = _plain(shape)
    if isinstance(plain, (tuple, list)):
        return tuple(_extent(item, "shape", 0) for item in plain)
    return (_extent(plain, "shape", 0),)


def _plain(value: Any) -> Any:
    """NumPy arrays and scalars, and sequences of any kind, as what Python has for them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else value


def _extent(value: object, what: str, lowest: int) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        extent = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise MetadataError(f"{what}: must be an integer or a tuple of integers, got {show(value)}") from None
    if not lowest <= extent <= MAX_EXTENT:
        raise MetadataError(f"{what}: must be in [{lowest}, {MAX_EXTENT}], got {show(extent)}")
    return int(extent)


def is_auto(chunks: object) -> bool:
    """Whether a shape of chunks is to be guessed."""
    return chunks is None or chunks is True or (isinstance(chunks, str) and chunks == "auto")


def parse_grid(
    chunks: object, shape: tuple[int, ...], itemsize: int, what: str = "chunks", target: int | None = None
) -> ChunkGrid:
    """The chunk grid of what a user said of the chunks.

    Parameters
    ----------
    chunks : ChunkGrid, int, sequence, "auto", None or bool
        A grid; one extent for every axis; or for each axis one extent, -1 or None for the whole axis, or a
        sequence of the extents of all its chunks, in which a pair ``[extent, count]`` stands for ``count``
        chunks. ``"auto"``, None and True guess, False means one chunk.
    shape : tuple of int
        Shape of the array.
    itemsize : int
        Size of an element, in bytes.
    what : str
        The argument, for errors.
    target : int, optional
        Bytes of a chunk that a guess aims at.

    Returns
    -------
    ChunkGrid
        The regular one where all chunks that are listed are of one extent, but for a smaller last one: what
        most others read.

    Raises
    ------
    MetadataError
        If an extent is not an integer above 0, or there is not one for each axis, or the extents do not reach
        the array's end.
    """
    if isinstance(chunks, ChunkGrid):
        with Reading(path=what, from_user=True).locate():
            chunks.check(shape)
        return chunks
    if is_auto(chunks):
        return RegularChunkGrid(guess_chunks(shape, itemsize, target))
    if chunks is False:
        return RegularChunkGrid(tuple(max(extent, 1) for extent in shape))
    axes = [
        _chunk_axis(chunk, extent, what, d)
        for d, (chunk, extent) in enumerate(zip(_per_axis(chunks, shape, what), shape, strict=True))
    ]
    equal = [axis for axis in axes if isinstance(axis, int)]
    if len(equal) == len(axes):
        return RegularChunkGrid(tuple(equal))
    from zarrc.grids.rectilinear import simplest_grid

    with Reading(path=what, from_user=True).locate():
        return simplest_grid(axes, shape)


def parse_chunks(
    chunks: object, shape: tuple[int, ...], itemsize: int, what: str = "chunks", target: int | None = None
) -> tuple[int, ...]:
    """The same for chunks that must have one shape, such as those in shards.

    Raises
    ------
    MetadataError
        Also where they have several.
    """
    grid = parse_grid(chunks, shape, itemsize, what, target)
    if not grid.is_regular:
        raise MetadataError(
            f"{what}: the chunks in shards have one shape; several extents along an axis are for shards="
        )
    return grid.chunk_shape


def _per_axis(chunks: object, shape: tuple[int, ...], what: str) -> list[Any]:
    """What was said, for each axis."""
    plain = _plain(chunks)
    if not isinstance(plain, (tuple, list)):
        _chunk_axis(plain, 1, what, 0)
        return [plain] * len(shape)
    if len(plain) != len(shape):
        hint = ""
        if len(shape) == 1 and all(isinstance(item, int) for item in plain):
            hint = f"; several extents along one axis are a list in the list, {what}=[{show(list(plain))}]"
        raise MetadataError(
            f"{what}: {show(tuple(plain))} has {len(plain)} extents, the array {len(shape)} dimensions{hint}"
        )
    return [_plain(item) for item in plain]


def _chunk_axis(chunk: object, extent: int, what: str, d: int) -> AxisRuns:
    """The chunks along an axis of ``extent``: an extent, or runs."""
    if isinstance(chunk, (tuple, list)):
        if extent == 0 and all(item == 0 for item in chunk):
            return 1  # as dask says the chunks of an axis without elements
        from zarrc.grids.rectilinear import axis_runs

        return axis_runs([_plain(item) for item in chunk], Reading(path=what, from_user=True).at(d))
    if chunk is None:
        return max(extent, 1)
    size = _extent(chunk, what, -1)
    # chunks=data.shape of empty data says 0; there is no such chunk, and none is stored.
    if size == -1 or (size == 0 and extent == 0):
        return max(extent, 1)
    if size == 0:
        raise MetadataError(f"{what}: must be in [1, {MAX_EXTENT}] or -1 for the whole axis, got 0")
    return size


def guess_chunks(shape: tuple[int, ...], itemsize: int, target: int | None = None) -> tuple[int, ...]:
    """A chunk shape of at most ``target`` bytes.

    By default about 1 MiB; more for arrays of more than 4 GiB, up to 16 MiB.
    """
    chunks = [max(extent, 1) for extent in shape]
    nbytes = math.prod(chunks) * itemsize
    if target is None:
        target = min(max(TARGET_NBYTES, nbytes // _TARGET_N_CHUNKS), MAX_TARGET_NBYTES)
    while math.prod(chunks) * itemsize > target and max(chunks) > 1:
        # The longest axis is halved, the first of several: rows of the last axis stay long, and copies fast.
        # Of several axes the last one never gets shorter than a few cache lines.
        free = (
            chunks[:-1]
            if chunks[-1] * itemsize < 2 * _ROW_NBYTES and max(chunks[:-1], default=1) > 1
            else chunks
        )
        axis = free.index(max(free))
        chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)
