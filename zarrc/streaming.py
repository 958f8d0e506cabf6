"""Copy data into a stored array region by region, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.boxes import Box, blocks
from zarrc.errors import MetadataError
from zarrc.grids.regular import RegularChunkGrid

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.grids.base import ChunkGrid

__all__ = ["chunk_shape_of", "copy_into", "grid_of", "peer_grid", "regions"]

# What is read and written at once, in bytes of the target: large enough to keep several threads busy with
# chunks of the usual size, small beside any machine's memory.
_REGION_NBYTES = 64 * 2**20


def copy_into(
    target: Array, source: Any, progress: Callable[[tuple[slice, ...]], object] | None = None
) -> None:
    """Write all of ``source`` to ``target``, which has its shape.

    Parameters
    ----------
    target : Array
        Where to write.
    source : array_like
        A NumPy array is written in one call. Whatever else has ``shape`` and ``[]`` (stored arrays of this
        library and of others, HDF5 datasets, dask arrays) is read region by region: whole chunks (or shards)
        of the target, and of the source where it says its chunks, of about 64 MiB in all, or one shard if
        that is larger.
    progress : callable, optional
        Called with each region once it is written.
    """
    if isinstance(source, np.ndarray) or not hasattr(source, "__getitem__") or source.shape == ():
        target[...] = np.asarray(source[()] if hasattr(source, "__getitem__") else source)
        return
    grid = _grid_to_cut_by(target, source)
    for region in regions(grid, target.shape, target.dtype.itemsize):
        target[region] = np.asarray(source[region])
        if progress is not None:
            progress(region)


def _grid_to_cut_by(target: Array, source: Any) -> ChunkGrid:
    """Return the grid whose chunks a region has whole: no chunk of the target is written in parts."""
    # A shard is written once, however large it is: in parts it would be written as often as it has parts.
    grid = target.metadata.chunk_grid
    if not grid.is_regular:
        return grid
    steps = grid.chunk_shape
    for theirs in (_shard_shape_of(source), chunk_shape_of(source)):
        if theirs is None:
            continue
        # A source chunk that spans several of ours is then decoded once; where that needs too much memory,
        # `regions` would have to split it, so it is left at the target's chunks.
        wide = tuple(step * -(-their // step) for step, their in zip(steps, theirs, strict=True))
        if math.prod(wide) * target.dtype.itemsize <= _REGION_NBYTES:
            return RegularChunkGrid(wide)
    return grid


def grid_of(source: Any) -> ChunkGrid | None:
    """Return the grid of what a Zarr array of this library or another encodes alone; None if it has none."""
    metadata = getattr(source, "metadata", None)
    if metadata is not None and hasattr(metadata, "inner_grid"):
        own: ChunkGrid = metadata.inner_grid
        return own
    if _is_sharded(metadata):
        return None
    grid = peer_grid(metadata)
    return grid if grid is not None and not grid.is_regular else None


def peer_grid(metadata: Any) -> ChunkGrid | None:
    """Return the chunk grid of another library's metadata, if it says one that is known here."""
    grid = getattr(metadata, "chunk_grid", None)
    if grid is None or not callable(getattr(grid, "to_dict", None)):
        return None
    from zarrc.grids import chunk_grid_from_user

    try:
        return chunk_grid_from_user(grid, tuple(metadata.shape))
    except MetadataError:
        return None


def _is_sharded(metadata: Any) -> bool:
    codecs = getattr(metadata, "codecs", ())
    return any(type(codec).__name__ == "ShardingCodec" for codec in codecs)


def _shard_shape_of(source: Any) -> tuple[int, ...] | None:
    """Return the shape of a source's shards; of several the largest."""
    metadata = getattr(source, "metadata", None)
    if metadata is not None and hasattr(metadata, "inner_grid"):
        return metadata.chunk_grid.largest_shape if metadata.shards else None
    shards = _said(source, "shards")
    return shards if isinstance(shards, tuple) and len(shards) == len(source.shape) else None


def chunk_shape_of(source: Any) -> tuple[int, ...] | None:
    """Return the chunk shape that a source says it has; of uneven chunks (dask's, say) the largest."""
    grid = grid_of(source)
    if grid is not None:
        return grid.largest_shape
    chunks = _said(source, "chunks")
    if not isinstance(chunks, tuple) or len(chunks) != len(source.shape):
        return None
    return tuple(
        max(1, max(chunk, default=1) if isinstance(chunk, tuple) else int(chunk)) for chunk in chunks
    )


def _said(source: Any, name: str) -> Any:
    """Return what a source says of itself; None if it has no word for it (zarr-python, of uneven chunks)."""
    try:
        return getattr(source, name, None)
    except NotImplementedError:
        return None


def regions(
    grid: ChunkGrid, shape: tuple[int, ...], itemsize: int, box: Box | None = None
) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cover an array (or a box in it) in whole chunks, of 64 MiB at most if one is."""
    whole = tuple((0, extent) for extent in shape)
    return blocks(grid, whole if box is None else box, max(1, _REGION_NBYTES // max(1, itemsize)))
