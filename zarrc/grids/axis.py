"""One axis of a chunk grid: where its chunks begin and end.

Run lengths stay run lengths: a document of fifty bytes may speak of 10^15 chunks.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from zarrc.errors import MetadataError
from zarrc.reading import show

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "MAX_EDGES",
    "MAX_EXTENT",
    "MAX_LISTED",
    "Axis",
    "AxisRuns",
    "EqualAxis",
    "Run",
    "RunAxis",
    "axis_of",
]

MAX_EXTENT = 2**63 - 1
MAX_LISTED = 2**20
"""More chunks along an axis than this are told as run lengths, not one by one."""
MAX_EDGES = 2**22
"""The most chunks whose edges are listed, 32 MiB of them: a short document may speak of any number."""

AxisRuns: TypeAlias = "int | tuple[tuple[int, int], ...]"
"""The chunks along an axis: an extent without end, or (extent, number of chunks) after one another."""


class Run(NamedTuple):
    """Chunks of one extent that follow one another along an axis."""

    first: int
    """Number of the first one."""
    start: int
    """Where that begins, in elements."""
    extent: int
    n: int
    """How many there are."""


class EqualAxis:
    """Chunks of one extent, without end."""

    __slots__ = ("largest", "runs")

    def __init__(self, extent: int) -> None:
        self.runs: AxisRuns = extent
        self.largest = extent

    def n_chunks(self, extent: int) -> int:
        """Number of chunks that meet the first ``extent`` elements."""
        return -(-extent // self.largest)

    def bounds(self, i: int) -> tuple[int, int]:
        """Where chunk ``i`` begins and ends; it may end beyond the array."""
        return i * self.largest, (i + 1) * self.largest

    def chunk_of(self, index: int) -> int:
        """The number of the chunk with element ``index``."""
        return index // self.largest

    def runs_between(self, start: int, stop: int) -> Iterator[Run]:
        """The chunks that meet elements ``[start, stop)``, as runs."""
        if start < stop:
            first = start // self.largest
            yield Run(first, first * self.largest, self.largest, self.n_chunks(stop) - first)

    def check(self, extent: int, axis: int) -> None:
        """Raise MetadataError unless the chunks cover ``extent`` elements."""
        # They always do.

    def resized(self, extent: int) -> AxisRuns:
        """What the chunks are once the axis has ``extent`` elements."""
        return self.runs

    def distinct(self) -> tuple[int, ...]:
        """The extents, each once."""
        return (self.largest,)

    def said(self) -> Any:
        """The chunks as ``chunks=`` takes them."""
        return self.largest

    def sizes(self, extent: int) -> tuple[int, ...]:
        """The extents of the chunks of the first ``extent`` elements, cut to them."""
        return _sizes(self, extent)


class RunAxis:
    """Chunks of several extents, as many as there are."""

    __slots__ = ("_ends", "_firsts", "_starts", "largest", "n_all", "runs", "total")

    def __init__(self, runs: tuple[tuple[int, int], ...]) -> None:
        self.runs: AxisRuns = runs
        # Of each run: where it begins and ends, and the number of its first chunk. Without a loop of our own:
        # there may be a million of them.
        self._starts = list(accumulate((extent * count for extent, count in runs), initial=0))
        self._firsts = list(accumulate((count for _, count in runs), initial=0))
        self.total = self._starts.pop()
        """Sum of all extents; more than the array's where the last chunks reach over its end."""
        self.n_all = self._firsts.pop()
        self._ends = [*self._starts[1:], self.total]
        self.largest = max(extent for extent, _ in runs)

    def _pairs(self) -> tuple[tuple[int, int], ...]:
        assert isinstance(self.runs, tuple)
        return self.runs

    def n_chunks(self, extent: int) -> int:
        """Number of chunks that meet the first ``extent`` elements."""
        return self.chunk_of(extent - 1) + 1 if extent > 0 else 0

    def bounds(self, i: int) -> tuple[int, int]:
        """Where chunk ``i`` begins and ends; it may end beyond the array."""
        if not 0 <= i < self.n_all:
            raise IndexError(f"there are {self.n_all} chunks along the axis, and no chunk {i}")
        run = bisect_right(self._firsts, i) - 1
        extent = self._pairs()[run][0]
        start = self._starts[run] + (i - self._firsts[run]) * extent
        return start, start + extent

    def chunk_of(self, index: int) -> int:
        """The number of the chunk with element ``index``."""
        if not 0 <= index < self.total:
            raise IndexError(f"the chunks along the axis have {self.total} elements, and no element {index}")
        run = bisect_right(self._starts, index) - 1
        return self._firsts[run] + (index - self._starts[run]) // self._pairs()[run][0]

    def runs_between(self, start: int, stop: int) -> Iterator[Run]:
        """The chunks that meet elements ``[start, stop)``, as runs."""
        if start >= stop:
            return
        pairs = self._pairs()
        for run in range(bisect_right(self._ends, start), len(pairs)):
            begin, extent = self._starts[run], pairs[run][0]
            if begin >= stop:
                return
            skipped = max(0, start - begin) // extent
            n = -(-(min(stop, self._ends[run]) - begin) // extent) - skipped
            yield Run(self._firsts[run] + skipped, begin + skipped * extent, extent, n)

    def check(self, extent: int, axis: int) -> None:
        """Raise MetadataError unless the chunks cover ``extent`` elements, and no offset overflows."""
        if self.total < extent:
            raise MetadataError(
                f"the chunks along axis {axis} have {show(self.total)} elements in all, the array {extent}: "
                "they do not reach its end"
            )
        if extent and self.bounds(self.n_chunks(extent) - 1)[1] > MAX_EXTENT:
            raise MetadataError(f"the last chunk along axis {axis} ends beyond 2**63 - 1")

    def resized(self, extent: int) -> AxisRuns:
        """What the chunks are once the axis has ``extent`` elements.

        Those that there are stay, also where the axis shrinks: it may grow again. What is beyond them gets
        chunks of the largest extent, and for the rest one that is as small as it can be: no smaller than the
        smallest, and a multiple of what divides all extents (in shards the inner chunk does).
        """
        missing = extent - self.total
        if missing <= 0:
            return self.runs
        pairs = self._pairs()
        unit = math.gcd(*(one for one, _ in pairs))
        count, rest = divmod(missing, self.largest)
        new = [(self.largest, count)] if count else []
        if rest:
            new.append((max(min(one for one, _ in pairs), -(-rest // unit) * unit), 1))
        return merged((*pairs, *new))

    def distinct(self) -> tuple[int, ...]:
        """The extents, each once."""
        return tuple(dict.fromkeys(extent for extent, _ in self._pairs()))

    def said(self) -> Any:
        """The chunks as ``chunks=`` takes them: one by one, or (extent, count) where that is too many."""
        if self.n_all > MAX_LISTED:
            return self.runs
        return tuple(one for extent, count in self._pairs() for one in repeat(extent, count))

    def sizes(self, extent: int) -> tuple[int, ...]:
        """The extents of the chunks of the first ``extent`` elements, cut to them."""
        return _sizes(self, extent)

    def runs_to(self, extent: int) -> list[tuple[int, int]]:
        """The runs of the chunks that meet the first ``extent`` elements, the last one cut to these."""
        n_runs = bisect_left(self._ends, extent) + 1
        pairs = list(self._pairs()[:n_runs])
        if pairs:
            pairs[-1] = pairs[-1][0], self.n_chunks(extent) - self._firsts[n_runs - 1]
        return pairs


Axis: TypeAlias = "EqualAxis | RunAxis"


def axis_of(runs: AxisRuns) -> Axis:
    """The axis of an extent, or of runs."""
    return EqualAxis(runs) if isinstance(runs, int) else RunAxis(runs)


def _sizes(axis: Axis, extent: int) -> tuple[int, ...]:
    _check_listed(axis.n_chunks(extent))
    sizes: list[int] = []
    end = 0
    for _, start, step, n in axis.runs_between(0, extent):
        sizes += repeat(step, n)
        end = start + step * n
    if end > extent:
        sizes[-1] -= end - extent
    return tuple(sizes)


def merged(runs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The same chunks in as few runs as there can be."""
    found: list[tuple[int, int]] = []
    last = 0
    for run in runs:
        if run[0] == last:
            found[-1] = (last, found[-1][1] + run[1])
        else:
            found.append(run)
            last = run[0]
    return tuple(found)


def _check_listed(n_chunks: int) -> None:
    if n_chunks > MAX_EDGES:
        raise MetadataError(f"the array has {n_chunks} chunks along an axis; up to {MAX_EDGES} can be listed")


def edges_of(axis: Axis, extent: int) -> npt.NDArray[np.int64]:
    """The edges of the chunks that meet the first ``extent`` elements: one more than there are chunks."""
    import numpy as np

    n_chunks = axis.n_chunks(extent)
    _check_listed(n_chunks)
    if isinstance(axis, EqualAxis):
        return np.arange(n_chunks + 1, dtype=np.int64) * axis.largest
    runs = np.array(axis.runs_to(extent), np.int64).reshape(-1, 2)
    edges = np.zeros(n_chunks + 1, np.int64)
    np.cumsum(np.repeat(runs[:, 0], runs[:, 1]), out=edges[1:])
    return edges
