"""Small reads from the guide's array: 400 x 400 float64 in 16 chunks of 80 kB."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import bare, flat, read_file, stored_chunks
from bench.libraries.base import Library
from bench.workloads.base import Place, Task, Workload, chunk_of, equal_to, unchecked

_SELECTIONS: dict[str, tuple[str, Any, int]] = {
    # name: (title, selection, chunks that it touches)
    "element": ("one element", (123, 321), 1),
    "slice": ("a 50x50 slice in one chunk", (slice(125, 175), slice(225, 275)), 1),
    "slice-4": ("a 50x50 slice across four chunks", (slice(75, 125), slice(175, 225)), 4),
    "chunks-16": ("all 16 chunks", Ellipsis, 16),
}


@dataclass(frozen=True, kw_only=True)
class Small(Workload):
    selection: Any
    n_chunks: int
    memory: bool

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        if self.memory:
            location = library.memory()
            array = library.create(location, self.spec)
            library.writer(array, ..., data)()
        else:
            array = library.open(library.local(place.source(self.spec, library)))
        expected = np.asarray(data[self.selection])
        return Task(
            library.reader(array, self.selection), equal_to(expected), close=lambda: library.close(array)
        )

    def limit(self, place: Place) -> Task:
        spec = self.spec
        codec = bare(spec)
        files = stored_chunks(place.source(spec))[: self.n_chunks]
        encoded = [codec.encoded(chunk_of(spec, place.field(spec), i)) for i in range(self.n_chunks)]
        chunk = np.empty(spec.chunks, spec.dtype)
        scratch = np.empty(spec.encoded_bound(), np.uint8)
        # An uncompressed read touches what is asked for only; a compressed one decodes its chunks.
        wanted_nbytes = np.asarray(place.field(spec)[self.selection]).nbytes
        part_nbytes = wanted_nbytes // self.n_chunks
        part = flat(chunk)[:part_nbytes]
        raw = spec.codec == "none"

        def call() -> np.ndarray:
            out = np.empty(wanted_nbytes, np.uint8)
            for i in range(self.n_chunks):
                if raw and self.memory:
                    out[i * part_nbytes : (i + 1) * part_nbytes] = part
                elif raw:
                    read_file(files[i], out[i * part_nbytes : (i + 1) * part_nbytes])
                elif self.memory:
                    codec.decode(encoded[i], flat(chunk))
                else:
                    codec.decode(scratch[: read_file(files[i], scratch)], flat(chunk))
            return out

        return Task(call, unchecked)


def workloads(size: str) -> Iterator[Workload]:
    for codec in ("none", "blosc-lz4", "zstd"):
        spec = ArraySpec(shape=(400, 400), chunks=(100, 100), dtype="float64", codec=codec)
        for name, (title, selection, n_chunks) in _SELECTIONS.items():
            for store in ("memory", "local"):
                limit = "memcpy" if codec == "none" else "the bare codec, whole chunks"
                yield Small(
                    name=f"{name}/{codec}/{store}",
                    family="latency",
                    title=f"{title} of 400x400 float64, {codec}, {store}",
                    spec=spec,
                    selection=selection,
                    n_chunks=n_chunks,
                    memory=store == "memory",
                    limit_is=("open, preadv, close" if store == "local" else "")
                    + (" and " if store == "local" and codec != "none" else "")
                    + (limit if store == "memory" or codec != "none" else "")
                    + ", called from Python",
                )
