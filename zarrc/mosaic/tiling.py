"""Where the tiles of a mosaic lie: which overlap, what none covers, which of them a box meets.

Boxes are rows of two int64 arrays, their starts and their stops. Nothing here looks at a store.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.errors import MetadataError
from zarrc.mosaic.tile import Tile, box_text

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]
    Box = tuple[tuple[int, ...], tuple[int, ...]]

__all__ = ["Tiling"]

_MOST_PAIRS = 1 << 27
"""Pairs of tiles that are compared one by one, where no straight cut separates them: ten seconds."""
_MOST_CUTS = 200
"""Tiles that lie like a spiral lose but one by each cut; a grid of any dimensions is cut 32 times."""
_MOST_OVERLAPS = 1 << 20
"""Pairs of tiles of which one hides part of the other."""
_MOST_PIECES = 1 << 16
"""Boxes into which what is seen of overlapping tiles is cut, all in all."""


class Tiling:
    """The pieces of a mosaic: boxes that do not overlap, each of one tile.

    Without overlaps the pieces are the tiles. Of overlapping tiles a piece is a part that no other hides.

    Parameters
    ----------
    shape : tuple of int
        Shape of the mosaic.
    tiles : sequence of Tile
        The tiles, each inside the mosaic.
    overlap : {"error", "first", "last"}
        Whether tiles may overlap, and whose elements are seen then.

    Raises
    ------
    MetadataError
        If tiles overlap that must not, or in more ways than can be kept apart.
    """

    def __init__(self, shape: tuple[int, ...], tiles: Sequence[Tile], overlap: str) -> None:
        self.shape = shape
        ndim = len(shape)
        self.start = np.array([tile.start for tile in tiles], dtype=np.int64).reshape(len(tiles), ndim)
        self.stop = np.array([tile.stop for tile in tiles], dtype=np.int64).reshape(len(tiles), ndim)
        self.tile = np.arange(len(tiles))
        self.overlaps = False
        for first, second in _overlapping(self.start, self.stop):
            if overlap == "error":
                raise _overlap_error(tiles[first[0]], tiles[second[0]])
            self.overlaps = True
            break
        if self.overlaps:
            self._cut(overlap)
        self.n_covered: int = sum(
            math.prod(extents) for extents in (self.stop - self.start).tolist()
        )  # as Python's integers: a product may pass 2^63

    @property
    def has_gaps(self) -> bool:
        """Whether there are elements that no tile covers."""
        return self.n_covered != math.prod(self.shape)

    def _cut(self, overlap: str) -> None:
        """Cut the tiles into pieces, so that each element belongs to the one that is seen."""
        hidden_by: dict[int, list[int]] = {}
        n_pairs = 0
        for first, second in _overlapping(self.start, self.stop):
            above, below = (first, second) if overlap == "first" else (second, first)
            n_pairs += len(first)
            if n_pairs > _MOST_OVERLAPS:
                raise _too_intricate()
            for upper, lower in zip(above.tolist(), below.tolist(), strict=True):
                hidden_by.setdefault(lower, []).append(upper)
        boxes: list[tuple[int, Box]] = []
        rows = list(zip(self.start.tolist(), self.stop.tolist(), strict=True))
        for tile, (start, stop) in enumerate(rows):
            pieces: list[Box] = [(tuple(start), tuple(stop))]
            for upper in hidden_by.get(tile, ()):
                other = (tuple(rows[upper][0]), tuple(rows[upper][1]))
                pieces = [part for piece in pieces for part in _without(piece, other)]
                if len(boxes) + len(pieces) > _MOST_PIECES:
                    raise _too_intricate()
            boxes += [(tile, piece) for piece in pieces]
        ndim = len(self.shape)
        self.tile = np.array([tile for tile, _ in boxes], dtype=np.int64)
        self.start = np.array([start for _, (start, _) in boxes], dtype=np.int64).reshape(len(boxes), ndim)
        self.stop = np.array([stop for _, (_, stop) in boxes], dtype=np.int64).reshape(len(boxes), ndim)

    def first_gap(self, start: Sequence[int] | None = None, stop: Sequence[int] | None = None) -> Box | None:
        """Return a box that no tile covers, inside the given one; None if there is none.

        Found by halving: the half of which not everything is covered is halved again, until nothing of it is.
        """
        low = [0] * len(self.shape) if start is None else list(start)
        high = list(self.shape) if stop is None else list(stop)
        near = np.arange(len(self.tile))
        if not self._n_missing(low, high, near):
            return None
        while True:
            near = near[self._meets(low, high, near)]
            if not len(near):
                return self._grown(low, high, start, stop)
            axis = max(range(len(low)), key=lambda axis: high[axis] - low[axis])
            middle = (low[axis] + high[axis]) // 2
            upper = [*high[:axis], middle, *high[axis + 1 :]]
            if self._n_missing(low, upper, near):
                high = upper
            else:
                low = [*low[:axis], middle, *low[axis + 1 :]]

    def _meets(self, low: Sequence[int], high: Sequence[int], near: Indices) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = np.all((self.start[near] < high) & (self.stop[near] > low), axis=1)
        return found

    def _n_missing(self, low: Sequence[int], high: Sequence[int], near: Indices) -> int:
        inside = np.minimum(self.stop[near], high) - np.maximum(self.start[near], low)
        n_covered: int = sum(math.prod(extents) for extents in inside[(inside > 0).all(axis=1)].tolist())
        return math.prod(b - a for a, b in zip(low, high, strict=True)) - n_covered

    def _grown(
        self, low: list[int], high: list[int], start: Sequence[int] | None, stop: Sequence[int] | None
    ) -> Box:
        """Grow an uncovered box along each axis until it meets a piece: what it says is easier to find."""
        for axis in range(len(low)):
            others = [one for one in range(len(low)) if one != axis]
            beside = (self.start[:, others] < [high[one] for one in others]).all(axis=1)
            beside &= (self.stop[:, others] > [low[one] for one in others]).all(axis=1)
            before = self.stop[beside, axis][self.stop[beside, axis] <= low[axis]]
            after = self.start[beside, axis][self.start[beside, axis] >= high[axis]]
            low[axis] = max(0 if start is None else start[axis], int(before.max(initial=0)))
            end = self.shape[axis] if stop is None else stop[axis]
            high[axis] = min(end, int(after.min(initial=end)))
        return tuple(low), tuple(high)


def _overlap_error(first: Tile, second: Tile) -> MetadataError:
    start = tuple(map(max, first.start, second.start))
    stop = tuple(map(min, first.stop, second.stop))
    return MetadataError(
        f"tiles {first} and {second} overlap at {box_text(start, stop)}; overlap='first' or 'last' says "
        "whose elements are seen"
    )


def _too_intricate() -> MetadataError:
    return MetadataError("the tiles overlap in more ways than can be kept apart; use fewer tiles")


def _without(box: Box, other: Box) -> Iterator[Box]:
    """Yield the parts of a box that another does not cover."""
    low, high = list(box[0]), list(box[1])
    if any(b <= c or a >= d for a, b, c, d in zip(low, high, *other, strict=True)):
        yield box
        return
    for axis, (start, stop) in enumerate(zip(*other, strict=True)):
        if low[axis] < start:
            yield tuple(low), (*high[:axis], start, *high[axis + 1 :])
            low[axis] = start
        if high[axis] > stop:
            yield (*low[:axis], stop, *low[axis + 1 :]), tuple(high)
            high[axis] = stop


def _overlapping(start: Indices, stop: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield all pairs of boxes that overlap, the smaller number first, some at a time.

    Straight cuts that no box crosses separate most boxes, n log n in all: rows of a grid, then the boxes of
    each row. What no cut separates is compared pair by pair, along the axis with the fewest pairs.
    """
    ndim = start.shape[1]
    # Boxes, an axis to try, along how many axes there was no cut, and how often they were cut.
    waiting: list[tuple[Indices, int, int, int]] = [(np.arange(len(start)), 0, 0, 0)]
    while waiting:
        boxes, axis, n_tried, depth = waiting.pop()
        if len(boxes) < 2:
            continue
        if n_tried >= ndim or depth > _MOST_CUTS:
            yield from _pairs(boxes, start, stop)
            continue
        boxes = boxes[np.argsort(start[boxes, axis], kind="stable")]
        reached = np.maximum.accumulate(stop[boxes, axis])
        cuts = np.flatnonzero(start[boxes, axis][1:] >= reached[:-1]) + 1
        following = (axis + 1) % ndim
        if not len(cuts):
            waiting.append((boxes, following, n_tried + 1, depth))
            continue
        edges = np.concatenate(([0], cuts, [len(boxes)]))
        for i in np.flatnonzero(np.diff(edges) > 1).tolist():
            waiting.append((boxes[edges[i] : edges[i + 1]], following, 1, depth + 1))


def _pairs(boxes: Indices, start: Indices, stop: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield the overlapping pairs among some boxes, by a sweep along one axis."""
    n, ndim = len(boxes), start.shape[1]
    best: tuple[int, Indices, Indices] | None = None
    for axis in range(ndim):
        order = boxes[np.argsort(start[boxes, axis], kind="stable")]
        # Those that begin before this one ends, after it in the order.
        ends = np.searchsorted(start[order, axis], stop[order, axis], side="left")
        n_pairs = int((ends - np.arange(1, n + 1)).sum())
        if best is None or n_pairs < best[0]:
            best = n_pairs, order, ends
    if best is None:  # without dimensions every box is the whole mosaic
        best = n * (n - 1) // 2, boxes, np.full(n, n)
    n_pairs, order, ends = best
    if n_pairs > _MOST_PAIRS:
        raise MetadataError("the tiles lie too intricately to find out which overlap; use fewer tiles")
    counts = ends - np.arange(1, n + 1)
    first = 0
    while first < n:
        # As many boxes at a time as make about a million pairs.
        last = first + max(int(np.searchsorted(np.cumsum(counts[first:]), 1 << 20)), 1)
        some = counts[first:last]
        left = np.repeat(np.arange(first, min(last, n)), some)
        within = np.arange(len(left)) - np.repeat(np.cumsum(some) - some, some)
        a, b = order[left], order[left + 1 + within]
        meet: npt.NDArray[Any] = ((start[a] < stop[b]) & (start[b] < stop[a])).all(axis=1)
        if meet.any():
            yield np.minimum(a, b)[meet], np.maximum(a, b)[meet]
        first = last
