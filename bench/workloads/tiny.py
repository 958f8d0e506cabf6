"""Very many chunks of 64 bytes in memory: what a chunk costs when there is nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Library
from bench.workloads.base import Place, Task, Workload, by_size, equal_to, unchecked, write_task


@dataclass(frozen=True, kw_only=True)
class Tiny(Workload):
    writes: bool = False

    def prepare(self, library: Library, place: Place) -> Task:
        if self.writes:
            library.memory()  # where there is none: 10^5 files are another workload
            return write_task(library, place, self.spec, memory=True)
        data = place.field(self.spec)
        array = library.create(library.memory(), self.spec)
        library.writer(array, ..., data)()
        return Task(library.reader(array, ...), equal_to(data), close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: np.array(data), unchecked)


def workloads(size: str) -> Iterator[Workload]:
    for n in by_size(size, (100, 1000), (10**4, 10**5, 10**6), (10**4, 10**5, 10**6)):
        for writes in (False, True):
            what = "write" if writes else "read"
            yield Tiny(
                name=f"tiny-{what}/{n}",
                family="tiny",
                title=f"{what} {n} chunks of 64 bytes, memory, per chunk",
                spec=ArraySpec(shape=(n * 8,), chunks=(8,), dtype="float64"),
                units=n,
                unit="chunk",
                writes=writes,
                has_source=False,
                # The others need minutes for a million.
                libraries=("zarrc", "limit") if n >= 10**6 else None,
                limit_is="one memcpy of all",
            )
