"""Boxes of elements: what lies between two of them, and how one is gone through by whole chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from zarrc.grids.base import ChunkGrid

__all__ = ["Box", "blocks", "shells", "size_of"]

Box: TypeAlias = "tuple[tuple[int, int], ...]"
"""Start and stop along each axis."""


def size_of(box: Box) -> int:
    """Return the number of elements in a box."""
    return math.prod(stop - start for start, stop in box)


def shells(inner: Box, outer: Box) -> Iterator[Box]:
    """Yield boxes that cover ``outer`` without ``inner``, which is in it; none meets another, none is empty.

    Parameters
    ----------
    inner, outer : Box
        If ``inner`` is empty, that is ``outer`` itself.
    """
    if size_of(inner) == 0:
        if size_of(outer):
            yield outer
        return
    for d, ((low, high), (start, stop)) in enumerate(zip(inner, outer, strict=True)):
        for part in ((start, low), (high, stop)):
            box = (*inner[:d], part, *outer[d + 1 :])
            if size_of(box):
                yield box


def blocks(grid: ChunkGrid, box: Box, limit: int) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cover a box, each of whole chunks of a grid, cut to the box, in C order.

    Parameters
    ----------
    grid : ChunkGrid
    box : Box
        Inside the grid.
    limit : int
        Most elements of one; a chunk with more is one by itself.
    """
    if size_of(box) == 0:
        return
    extents = [min(most, stop - start) for most, (start, stop) in zip(grid.largest_shape, box, strict=True)]
    together = [1] * len(box)
    for d in reversed(range(len(box))):
        # The last dimensions grow first: what is contiguous in a result.
        room = limit // math.prod(extents)
        extent = extents[d]
        together[d] = max(1, min(room, -(-(box[d][1] - box[d][0]) // extent)))
        extents[d] = extent * together[d]
    yield from _blocks(grid, box, together, 0)


def _blocks(grid: ChunkGrid, box: Box, together: Sequence[int], d: int) -> Iterator[tuple[slice, ...]]:
    if d == len(box):
        yield ()
        return
    start, stop = box[d]
    last = grid.chunk_of(d, stop - 1)
    while start < stop:
        chunk = min(grid.chunk_of(d, start) + together[d] - 1, last)
        end = min(grid.chunk_bounds(d, chunk)[1], stop)
        for rest in _blocks(grid, box, together, d + 1):
            yield slice(start, end), *rest
        start = end
