"""The same row again and again: what a cache of decoded chunks saves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.libraries.base import Library
from bench.workloads.base import Place, Task, Workload, by_size, equal_to, unchecked
from bench.workloads.selections import CODECS, plane


@dataclass(frozen=True, kw_only=True)
class Again(Workload):
    """`a[row, :]` of an array that was opened once; the first read is not timed.

    The libraries that have a cache are asked for one of `nbytes`; with `peers_cache` off, zarrc alone, and
    the others are opened as they commonly are.
    """

    row: int
    peers_cache: bool
    nbytes: int = 1 << 30

    def prepare(self, library: Library, place: Place) -> Task:
        location = library.local(place.source(self.spec, library))
        cached = self.peers_cache or library.name == "zarrc"
        array = library.open_cached(location, self.nbytes) if cached else library.open(location)
        expected = np.asarray(place.field(self.spec)[self.row])
        read = library.reader(array, (self.row, slice(None)))
        return Task(read, equal_to(expected), close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: data[self.row].copy(), unchecked)


def workloads(size: str) -> Iterator[Workload]:
    row = by_size(size, 123, 1234, 1234)
    for codec in CODECS:
        spec, text = plane(size, codec)
        for peers_cache in (False, True):
            how = "all with a cache" if peers_cache else "zarrc with a cache, peers as they are"
            yield Again(
                name=f"{'again-cached' if peers_cache else 'again'}/{codec}",
                family="caching",
                title=f"a[{row}, :] again and again, {how}, of {text}",
                spec=spec,
                row=row,
                peers_cache=peers_cache,
                # h5py's cache is there always; zarr-python and zarrs have none of decoded chunks.
                libraries=("zarrc", "tensorstore", "h5py", "limit") if peers_cache else None,
                limit_is="NumPy's copy of a row in memory",
            )
