"""Keys of ``blocks``: by place in the grid of stored objects (chunks, or shards if there are any)."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.reading import show

if TYPE_CHECKING:
    from zarrc.grids import ChunkGrid

__all__ = ["region_of"]


def region_of(key: Any, grid: ChunkGrid, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the region of the array that some cells of its grid are; an integer keeps its dimension.

    Raises
    ------
    BoundsCheckError
        If an integer is out of bounds.
    SelectionError
        If there are too many items, or one is no integer and no slice of step 1.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    at = [i for i, item in enumerate(items) if item is ...]
    if len(at) > 1:
        raise SelectionError("an index can only have a single ellipsis ('...')")
    if len(items) - len(at) > len(shape):
        raise SelectionError(
            f"too many indices for blocks: array is {len(shape)}-dimensional, "
            f"but {len(items) - len(at)} were indexed"
        )
    place = at[0] if at else len(items)
    items[place : place + len(at)] = [slice(None)] * (len(shape) - len(items) + len(at))
    counts = grid.grid_shape(shape)
    return tuple(
        [
            _along(axis, item, counts[axis], grid, extent)
            for axis, (item, extent) in enumerate(zip(items, shape, strict=True))
        ]
    )


def _along(axis: int, item: Any, n_blocks: int, grid: ChunkGrid, extent: int) -> slice:
    if isinstance(item, slice):
        first, stop, step = _indices(item, n_blocks)
        if step != 1:
            raise SelectionError(f"blocks are selected by slices without a step, got {item} for axis {axis}")
        if stop <= first:
            return slice(0, 0)
    else:
        first = _integer(axis, item, n_blocks)
        stop = first + 1
    return slice(grid.chunk_bounds(axis, first)[0], min(grid.chunk_bounds(axis, stop - 1)[1], extent))


def _indices(item: slice, n_blocks: int) -> tuple[int, int, int]:
    try:
        return item.indices(n_blocks)
    except TypeError as error:
        raise SelectionError(f"{error}, got {item}") from None


def _integer(axis: int, item: Any, n_blocks: int) -> int:
    try:
        if isinstance(item, bool):
            raise TypeError  # to NumPy a mask
        index = operator.index(item)
    except TypeError:
        raise SelectionError(f"blocks are selected by integers and slices, got {show(item)}") from None
    if not -n_blocks <= index < n_blocks:
        raise BoundsCheckError(f"block {index} is out of bounds for axis {axis} with {n_blocks} blocks")
    return index % n_blocks
