"""Copy data into a stored array region by region, in bounded memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zarrc.array import Array

__all__ = ["copy_into", "regions"]

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
    for region in regions(target.shape, _steps(target, source), target.dtype.itemsize):
        target[region] = np.asarray(source[region])
        if progress is not None:
            progress(region)


def _steps(target: Array, source: Any) -> tuple[int, ...]:
    """Return the extents that a region is a multiple of: no chunk of the target is written in parts."""
    # A shard is written once, however large it is: in parts it would be written as often as it has parts.
    steps = target.shards or target.chunks
    for theirs in (_shard_shape_of(source), chunk_shape_of(source)):
        if theirs is None:
            continue
        # A source chunk that spans several of ours is then decoded once; where that needs too much memory,
        # `regions` would have to split it, so it is left at the target's chunks.
        wide = tuple(step * -(-their // step) for step, their in zip(steps, theirs, strict=True))
        if math.prod(wide) * target.dtype.itemsize <= _REGION_NBYTES:
            return wide
    return steps


def _shard_shape_of(source: Any) -> tuple[int, ...] | None:
    shards = getattr(source, "shards", None)
    return shards if isinstance(shards, tuple) and len(shards) == len(source.shape) else None


def chunk_shape_of(source: Any) -> tuple[int, ...] | None:
    """Return the chunk shape that a source says it has; of uneven chunks (dask) the largest."""
    chunks = getattr(source, "chunks", None)
    if not isinstance(chunks, tuple) or len(chunks) != len(source.shape):
        return None
    return tuple(
        max(1, max(chunk, default=1) if isinstance(chunk, tuple) else int(chunk)) for chunk in chunks
    )


def regions(shape: tuple[int, ...], steps: tuple[int, ...], itemsize: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cover ``shape``, multiples of ``steps`` of 64 MiB at most if one step is."""
    extents = list(steps)
    for axis in reversed(range(len(shape))):
        # The last dimensions grow first: what is contiguous in most sources.
        room = _REGION_NBYTES // max(1, math.prod(extents) * itemsize)
        wanted = -(-shape[axis] // steps[axis])
        extents[axis] *= max(1, min(room, wanted))
    starts = (range(0, length, extent) for length, extent in zip(shape, extents, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(start, min(start + extent, length))
            for start, extent, length in zip(corner, extents, shape, strict=True)
        )
