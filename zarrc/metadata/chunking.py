"""The shape of chunks, from what the user asked for."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids.regular import MAX_EXTENT
from zarrc.reading import show

__all__ = ["guess_chunks", "is_auto", "parse_chunks", "parse_shape"]

TARGET_NBYTES = 1 << 20
"""Chunks of this size keep a read of one element cheap, and compressors at their speed."""
MAX_TARGET_NBYTES = 16 << 20
_TARGET_N_CHUNKS = 4096


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


def parse_chunks(
    chunks: object, shape: tuple[int, ...], itemsize: int, what: str = "chunks"
) -> tuple[int, ...]:
    """The chunk shape that a user passed.

    Parameters
    ----------
    chunks : int, tuple, "auto", None or bool
        One extent for every axis, or one for each, where -1 (or None) means the whole axis; ``"auto"``, None
        and True guess, False means one chunk.
    shape : tuple of int
        Shape of the array.
    itemsize : int
        Size of an element, in bytes.
    what : str
        The argument, for errors.

    Raises
    ------
    MetadataError
        If an extent is not an integer above 0, or there is not one for each axis.
    """
    if is_auto(chunks):
        return guess_chunks(shape, itemsize)
    if chunks is False:
        return tuple(max(extent, 1) for extent in shape)
    plain = _plain(chunks)
    if isinstance(plain, (tuple, list)):
        extents = list(plain)
    else:
        extents = [plain] * len(shape)
        _chunk_extent(plain, 1, what)
    if len(extents) != len(shape):
        raise MetadataError(
            f"{what}: {show(tuple(extents))} has {len(extents)} extents, the array {len(shape)} dimensions"
        )
    return tuple(_chunk_extent(chunk, extent, what) for chunk, extent in zip(extents, shape, strict=True))


def _chunk_extent(chunk: object, extent: int, what: str) -> int:
    """One extent of a chunk, along an axis of ``extent``."""
    if isinstance(chunk, (tuple, list)):
        raise UnknownExtensionError(f"{what}: several sizes along an axis are not supported in this version")
    if chunk is None:
        return max(extent, 1)
    size = _extent(chunk, what, -1)
    # chunks=data.shape of empty data says 0; there is no such chunk, and none is stored.
    if size == -1 or (size == 0 and extent == 0):
        return max(extent, 1)
    if size == 0:
        raise MetadataError(f"{what}: must be in [1, {MAX_EXTENT}] or -1 for the whole axis, got 0")
    return size


def guess_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """A chunk shape of about 1 MiB; more for arrays of more than 4 GiB, up to 16 MiB."""
    chunks = [max(extent, 1) for extent in shape]
    nbytes = math.prod(chunks) * itemsize
    target = min(max(TARGET_NBYTES, nbytes // _TARGET_N_CHUNKS), MAX_TARGET_NBYTES)
    while math.prod(chunks) * itemsize > target and max(chunks) > 1:
        # The longest axis is halved, the first of several: rows of the last axis stay long, and copies fast.
        axis = chunks.index(max(chunks))
        chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)
