"""Peak memory of reading and writing all, each in a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Library
from bench.workloads.base import Place, Workload, by_size


@dataclass(frozen=True, kw_only=True)
class Peak(Workload):
    writes: bool = False

    @property
    def moved_nbytes(self) -> int:
        return self.spec.nbytes

    def bound(self, threads: int) -> int:
        """Output (or input), for each thread a decoded chunk and the bound of an encoded one, and 16 MiB."""
        return self.spec.nbytes + threads * (self.spec.chunk_nbytes + self.spec.encoded_bound()) + (16 << 20)

    def first(self, library: Library, place: Place) -> Callable[[], Callable[[], Any]]:
        """Open the array (before the baseline); return what makes the call, of which the peak is measured.

        The input of a write is made after the baseline: it counts.
        """
        if not self.writes:
            array = library.open(library.local(place.source(self.spec, library)))
            return lambda: library.reader(array, ...)
        array = library.create(library.local(place.fresh(self.spec)), self.spec)
        path = place.field_path(place.directory, self.spec)

        def make() -> Callable[[], Any]:
            data = np.load(path)
            return library.writer(array, ..., data)

        return make


def workloads(size: str) -> Iterator[Workload]:
    n, c = by_size(size, 64, 512, 512), by_size(size, 32, 128, 128)
    for writes in (False, True):
        for codec in ("none", "zstd"):
            what = "write" if writes else "read"
            yield Peak(
                name=f"peak/{what}/{codec}",
                family="peak",
                title=f"peak memory: {what} all, {n}³ uint16, {c}³ chunks, {codec}, local",
                kind="peak",
                spec=ArraySpec(shape=(n,) * 3, chunks=(c,) * 3, dtype="uint16", codec=codec),
                writes=writes,
                has_source=not writes,
            )
