"""Reads that are not boxes of whole chunks: steps, reversed axes, transposition, rows and columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import bare, flat, read_file, stored_chunks
from bench.libraries.base import Library
from bench.workloads.base import Place, Task, Workload, by_size, equal_to, unchecked

_STEPS: dict[str, tuple[str, Any]] = {
    "step-2": ("[::2, ::2, ::2]", (slice(None, None, 2),) * 3),
    "step-last": ("[:, :, ::4]", (slice(None), slice(None), slice(None, None, 4))),
    "reversed": ("[::-1, :, ::-1]", (slice(None, None, -1), slice(None), slice(None, None, -1))),
}


@dataclass(frozen=True, kw_only=True)
class Selected(Workload):
    selection: Any

    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec)[self.selection]
        return Task(
            library.reader(array, self.selection), equal_to(expected), close=lambda: library.close(array)
        )

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: np.ascontiguousarray(data[self.selection]), unchecked)


@dataclass(frozen=True, kw_only=True)
class Transposed(Workload):
    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec).T

        def check(result: Any) -> None:
            equal_to(expected)(result)

        return Task(library.transposed_reader(array), check, close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: np.ascontiguousarray(data.T), unchecked)


@dataclass(frozen=True, kw_only=True)
class Line(Selected):
    """A row or a column: a little of each of many chunks."""

    def limit(self, place: Place) -> Task:
        spec = self.spec
        files = stored_chunks(place.source(spec))[: spec.grid[0]]
        codec = bare(spec)
        chunk = flat(np.empty(spec.chunks, spec.dtype))
        scratch = np.empty(spec.encoded_bound(), np.uint8)
        nbytes = spec.chunks[1] * np.dtype(spec.dtype).itemsize
        is_column = isinstance(self.selection[1], int)

        def call() -> np.ndarray:
            out = np.empty(nbytes * len(files), np.uint8)
            for i, file in enumerate(files):
                if spec.codec == "none" and not is_column:
                    read_file(file, out[i * nbytes : (i + 1) * nbytes])
                elif spec.codec == "none":
                    read_file(file, chunk)
                else:
                    codec.decode(scratch[: read_file(file, scratch)], chunk)
            return out

        return Task(call, unchecked)


def workloads(size: str) -> Iterator[Workload]:
    n, c = by_size(size, 64, 256, 256), by_size(size, 32, 64, 64)
    for codec in ("none", "zstd"):
        spec = ArraySpec(shape=(n,) * 3, chunks=(c,) * 3, dtype="uint16", codec=codec)
        text = f"of {n}³ uint16, {c}³ chunks, {codec}, local"
        for name, (title, selection) in _STEPS.items():
            yield Selected(
                name=f"{name}/{codec}",
                family="strided",
                title=f"{title} {text}",
                spec=spec,
                selection=selection,
                limit_is="NumPy's strided copy of an array in memory",
            )
        yield Transposed(
            name=f"transposed/{codec}",
            family="strided",
            title=f"all, dimensions reversed, {text}",
            spec=spec,
            limit_is="NumPy's transposing copy of an array in memory",
        )
    n, c = by_size(size, 256, 8192, 8192), by_size(size, 64, 512, 512)
    for codec in ("none", "zstd"):
        spec = ArraySpec(shape=(n, n), chunks=(c, c), dtype="float32", codec=codec)
        middle = n // 2 + 7
        for name, selection in (("row", (middle, slice(None))), ("column", (slice(None), middle))):
            yield Line(
                name=f"{name}/{codec}",
                family="lines",
                title=f"one {name} of {n}² float32, {c}² chunks, {codec}, local",
                spec=spec,
                selection=selection,
                limit_is="open, preadv, close of each chunk"
                + ("" if codec == "none" else ", libzstd")
                + ", one thread",
            )
