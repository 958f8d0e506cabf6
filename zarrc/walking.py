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

__all__ = ["grid_regions", "row_slices"]

# Iteration reads whole rows of shards (or chunks) up to this size at once, and fewer where they are larger.
_ITERATION_NBYTES = 128 * 2**20


def grid_regions(
    shape: tuple[int, ...], extents: tuple[int, ...], region: Any = ...
) -> Iterator[tuple[slice, ...]]:
    """Yield the cells of a regular grid that meet a region, cut to it, in C order.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array; the cells are cut to it too.
    extents : tuple of int
        Shape of a cell.
    region : int, slice, ..., or a tuple of these
        A box in the array: steps other than 1 are refused.
    """
    axes = [(*bounds, extent) for bounds, extent in zip(_box(region, shape), extents, strict=True)]
    return _cells(axes)


def _cells(axes: list[tuple[int, int, int]]) -> Iterator[tuple[slice, ...]]:
    # Not itertools.product, which would make all slices of an axis at once: there may be millions.
    if not axes:
        yield ()
        return
    start, stop, extent = axes[0]
    if start == stop:
        return
    for begin in range(start // extent * extent, stop, extent):
        part = slice(max(begin, start), min(begin + extent, stop))
        for rest in _cells(axes[1:]):
            yield part, *rest


def _box(region: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
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
    n_rows, chunk = array.shape[0], array.chunks[0]
    unit = chunk if array.shards is None else array.shards[0]
    most = max(1, _ITERATION_NBYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    if unit > most:
        # Some rows of a shard's inner chunks, or some rows of a chunk.
        step = most // chunk * chunk or most
        unit = unit if step >= chunk else chunk
    else:
        step = unit
    start = 0
    while start < n_rows:
        # A read never crosses into the next row of shards (or chunks), which would then be looked at twice.
        stop = min(start + step, (start // unit + 1) * unit, n_rows)
        yield slice(start, stop)
        start = stop
