"""The parts of an array to go through it by: its chunks, its shards, its rows."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.reading import show

if TYPE_CHECKING:
    from zarrc.array_facts import ArrayFacts
    from zarrc.grids.base import ChunkGrid

__all__ = ["box_of", "grid_regions", "row_slices"]

# Iteration reads whole rows of shards (or chunks) up to this size at once, and fewer where they are larger.
_ITERATION_NBYTES = 128 * 2**20


def grid_regions(shape: tuple[int, ...], grid: ChunkGrid, region: Any = ...) -> Iterator[tuple[slice, ...]]:
    """Yield the cells of a grid that meet a region, cut to it, in C order.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array; the cells are cut to it too.
    grid : ChunkGrid
        Whose chunks are the cells.
    region : int, slice, ..., or a tuple of these
        A box in the array: steps other than 1 are refused.
    """
    return _cells(grid, box_of(region, shape), 0)


def _cells(grid: ChunkGrid, box: list[tuple[int, int]], d: int) -> Iterator[tuple[slice, ...]]:
    # Not itertools.product, which would make all slices of an axis at once: there may be millions.
    if d == len(box):
        yield ()
        return
    start, stop = box[d]
    for _, first, extent, n in grid.runs_between(d, start, stop):
        for begin in range(first, first + n * extent, extent):
            part = slice(max(begin, start), min(begin + extent, stop))
            for rest in _cells(grid, box, d + 1):
                yield part, *rest


def box_of(region: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The start and stop of a region along each axis."""
    items = list(region) if isinstance(region, tuple) else [region]
    n_ellipses = sum(item is ... for item in items)
    if n_ellipses > 1 or len(items) - n_ellipses > len(shape):
        raise SelectionError(f"the region {show(region)} does not fit an array of {len(shape)} dimensions")
    place = next((i for i, item in enumerate(items) if item is ...), len(items))
    rest = items[place + 1 :]
    items = [*items[:place], *[slice(None)] * (len(shape) - place - len(rest)), *rest]
    return [_bounds(item, extent) for item, extent in zip(items, shape, strict=True)]


def _bounds(item: Any, extent: int) -> tuple[int, int]:
    if isinstance(item, slice):
        start, stop, step = item.indices(extent)
        if step != 1:
            raise SelectionError(f"a region has no steps, got {item!r}")
        return start, max(start, stop)
    try:
        if isinstance(item, bool):
            raise TypeError  # to NumPy a mask
        index = operator.index(item)
    except TypeError:
        raise SelectionError(f"a region is made of slices and integers, got {show(item)}") from None
    if not -extent <= index < extent:
        raise BoundsCheckError(f"index {index} is out of bounds for an axis of {extent}")
    return index % extent, index % extent + 1


def row_slices(array: ArrayFacts) -> Iterator[slice]:
    """Yield slices of the first axis that no chunk is decoded twice for, nor a shard opened, if they fit."""
    n_rows = array.shape[0]
    most = max(1, _ITERATION_NBYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    inner = None if array.shards is None else array.chunks[0]
    for _, first, extent, n in array.metadata.chunk_grid.runs_between(0, 0, n_rows):
        for begin in range(first, first + n * extent, extent):
            yield from _rows_of(begin, extent, min(begin + extent, n_rows), inner or extent, most)


def _rows_of(begin: int, extent: int, end: int, chunk: int, most: int) -> Iterator[slice]:
    """Yield slices of the rows of one row of shards (or chunks), which ends at ``end``."""
    unit = step = extent
    if unit > most:
        # Some rows of a shard's inner chunks, or some rows of a chunk.
        step = most // chunk * chunk or most
        unit = unit if step >= chunk else chunk
    start = begin
    while start < end:
        # A read never crosses into the next row of chunks, which would then be looked at twice.
        stop = min(start + step, begin + ((start - begin) // unit + 1) * unit, end)
        yield slice(start, stop)
        start = stop
