"""Reading an array block by block, ahead of who works on the blocks."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from zarrc.boxes import Box
from zarrc.errors import SelectionError
from zarrc.grids.regular import RegularChunkGrid
from zarrc.reading import show
from zarrc.walking import box_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from zarrc.array_walking import ArrayWalking
    from zarrc.grids.base import ChunkGrid

__all__ = ["block_stream", "cells"]

Region: TypeAlias = "tuple[slice, ...]"


def block_stream(
    array: ArrayWalking, region: Any, by: Any, order: Any, prefetch: int
) -> Generator[tuple[Region, Any], None, None]:
    """Do what `Array.iter_blocks` says; see there. What is wrong is told at once, not at the first block."""
    box = tuple(box_of(region, array.shape))
    regions = cells(_grid(array, by), box, _axes(order, array.ndim))
    try:
        n_ahead = operator.index(prefetch)
    except TypeError:
        raise TypeError(f"prefetch must be an integer, got {show(prefetch)}") from None
    if n_ahead < 0:
        raise ValueError(f"prefetch must not be negative, got {n_ahead}")
    if n_ahead == 0:
        return _read_each(array, regions)
    return _read_ahead(array, regions, n_ahead, in_order=not (isinstance(order, str) and order == "any"))


def _grid(array: ArrayWalking, by: Any) -> ChunkGrid:
    """Return the grid whose cells are the blocks."""
    if isinstance(by, str):
        if by == "chunk":
            return array._metadata.inner_grid
        if by == "shard":
            return array._metadata.chunk_grid
        raise ValueError(f"by must be 'chunk', 'shard' or a shape, got {show(by)}")
    given = tuple(by) if isinstance(by, Sequence) else (by,)
    if len(given) != array.ndim:
        raise ValueError(
            f"by: a block of {len(given)} dimensions does not fit an array of {array.ndim} dimensions"
        )
    return RegularChunkGrid(tuple(map(_extent, given, array.shape)))


def _extent(each: Any, whole: int) -> int:
    """Return how many elements a block has along an axis."""
    try:
        extent = -1 if each is None else operator.index(each)
    except TypeError:
        raise TypeError(f"by: a block's extents are integers or None, got {show(each)}") from None
    if extent == -1:
        return max(1, whole)
    if extent < 1:
        raise ValueError(f"by: a block has at least one element along each axis, got {extent}")
    return min(extent, max(1, whole))


def _axes(order: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes from the slowest to the fastest."""
    if isinstance(order, str):
        if order in ("C", "any"):
            return tuple(range(ndim))
        if order == "F":
            return tuple(reversed(range(ndim)))
    elif isinstance(order, Sequence) and len(order) == ndim and set(order) == set(range(ndim)):
        return tuple(order)
    raise ValueError(f"order must be 'C', 'F', 'any' or a permutation of the axes, got {show(order)}")


def cells(grid: ChunkGrid, box: Box, axes: Sequence[int]) -> Iterator[Region]:
    """Yield the cells of a grid that meet a box, cut to it.

    Parameters
    ----------
    grid : ChunkGrid
    box : Box
    axes : sequence of int
        All axes, the slowest first.
    """
    cell = [slice(start, stop) for start, stop in box]
    return _cells(grid, box, axes, cell, 0)


def _cells(grid: ChunkGrid, box: Box, axes: Sequence[int], cell: list[slice], depth: int) -> Iterator[Region]:
    if depth == len(axes):
        yield tuple(cell)
        return
    d = axes[depth]
    start, stop = box[d]
    for _, first, extent, n in grid.runs_between(d, start, stop):
        for begin in range(first, first + n * extent, extent):
            cell[d] = slice(max(begin, start), min(begin + extent, stop))
            yield from _cells(grid, box, axes, cell, depth + 1)


def _read(array: ArrayWalking, region: Region) -> Any:
    block = np.asarray(array._data().read(region))
    if block.shape != tuple([part.stop - part.start for part in region]):
        where = ", ".join(f"{part.start}:{part.stop}" for part in region)
        raise SelectionError(
            f"the array has been resized to {array.shape} meanwhile, and has not all of [{where}] any more",
            array=array.path,
        )
    return block


def _read_each(array: ArrayWalking, regions: Iterator[Region]) -> Generator[tuple[Region, Any], None, None]:
    for region in regions:
        yield region, _read(array, region)


def _read_ahead(
    array: ArrayWalking, regions: Iterator[Region], n_ahead: int, *, in_order: bool
) -> Generator[tuple[Region, Any], None, None]:
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    pool = ThreadPoolExecutor(n_ahead, thread_name_prefix="zarrc-iter-blocks")
    reads: deque[tuple[Region, Future[Any]]] = deque()
    try:
        while True:
            while len(reads) < n_ahead and (region := next(regions, None)) is not None:
                # Settings that hold for the block of code around the loop hold for its reads.
                reads.append((region, pool.submit(copy_context().run, _read, array, region)))
            if not reads:
                return
            if not in_order:
                wait([read for _, read in reads], return_when=FIRST_COMPLETED)
                while not reads[0][1].done():
                    reads.rotate(-1)
            region, read = reads.popleft()
            block = read.result()
            del read
            if (following := next(regions, None)) is not None:
                reads.append((following, pool.submit(copy_context().run, _read, array, following)))
            yield region, block
            del block
    finally:
        # Whoever leaves early waits for the reads that run, not for those that do not.
        pool.shutdown(wait=True, cancel_futures=True)
