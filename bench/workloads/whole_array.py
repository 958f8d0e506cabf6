"""Work on an array as a whole: a function mapped over its chunks, and rows appended to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, bare, flat, read_file, stored_chunks, write_file
from bench.libraries.base import Library
from bench.workloads.base import Clocked, Place, Task, Workload, by_size, equal_to, unchecked

# zarrs' pipeline is zarr-python's arrays; what is measured here is not the codecs.
_LIBRARIES = ("zarrc", "zarr", "zarr-fused", "zarrs", "tensorstore")


def smoothed(values: np.ndarray) -> np.ndarray:
    """What is computed of each chunk: as long as its decoding and encoding, without the GIL."""
    result: np.ndarray = np.sqrt(np.square(np.sin(values)) + np.square(np.cos(values)) + np.square(values))
    return result


@dataclass(frozen=True, kw_only=True)
class Map(Workload):
    """Read, compute, write, chunk by chunk; peers by a pool of threads."""

    workers: int

    @property
    def moved_nbytes(self) -> int:
        return 2 * self.spec.nbytes

    def prepare(self, library: Library, place: Place) -> Task:
        source = library.open(library.local(place.source(self.spec, library)))
        expected = smoothed(place.field(self.spec))
        regions = list(self.spec.regions())
        now: dict[str, Any] = {"path": None}

        def forget() -> None:
            if now["path"] is not None:
                library.close(now["target"])
                place.forget(now["path"])
            now.update(path=None, location=None, target=None)

        def before() -> None:
            # A new array: to replace a file is to wait for its new contents to reach the disk.
            forget()
            now["path"] = place.fresh(self.spec)
            now["location"] = library.local(now["path"])
            now["target"] = library.create(now["location"], self.spec)
            now["call"] = library.mapper(source, now["target"], smoothed, regions, self.workers)

        def call() -> None:
            now["call"]()

        def check(_: Any) -> None:
            equal_to(expected)(library.reader(library.open(now["location"]), ...)())

        def close() -> None:
            forget()
            library.close(source)

        return Task(call, check, before, close, check_once=True)

    def limit(self, place: Place) -> Task:
        spec = self.spec
        files = stored_chunks(place.source(spec))
        codec, threads, local = bare(spec), Threads(self.workers), threading.local()
        now: dict[str, Any] = {"path": None}

        def before() -> None:
            place.forget(now["path"])
            now["path"] = place.fresh(spec)
            now["path"].mkdir()

        def one(number: int) -> None:
            if not hasattr(local, "scratch"):
                local.scratch, local.chunk = aligned(spec.encoded_bound()), aligned(spec.chunk_nbytes)
            nbytes = read_file(files[number], local.scratch)
            codec.decode(local.scratch[:nbytes], local.chunk)
            result = flat(smoothed(local.chunk.view(spec.dtype)))
            nbytes = codec.encode(result, local.scratch)
            write_file(str(now["path"] / str(number)), local.scratch[:nbytes])

        def close() -> None:
            place.forget(now["path"])
            threads.close()

        return Task(lambda: threads.map(one, range(len(files))), unchecked, before, close)


class _Growing:
    """An array of a library that rows are appended to, from a length on that it is brought back to."""

    def __init__(
        self, library: Library, place: Place, spec: ArraySpec, data: np.ndarray, n_rows: int
    ) -> None:
        self.library, self.place, self.data, self.n_rows = library, place, data, n_rows
        self.path = place.fresh(spec)
        self.location = library.local(self.path)
        self.array = library.create_growing(self.location, replace(spec, shape=data.shape))
        if n_rows:
            library.writer(self.array, slice(0, n_rows), data[:n_rows])()
        self.clocked = Clocked(lambda rows: self.append(rows))
        self.reset()

    def reset(self) -> None:
        self.array = self.library.resize(self.array, (self.n_rows, *self.data.shape[1:]))
        self.append = self.library.appender(self.array)

    def check(self) -> None:
        array = self.library.open(self.location) if self.library.reads_zarr else self.array
        equal_to(np.asarray(self.data))(self.library.reader(array, ...)())

    def close(self) -> None:
        self.library.close(self.array)
        self.place.forget(self.path)


@dataclass(frozen=True, kw_only=True)
class Append(Workload):
    """Appends to an array that had none before, and to one that had many: they take turns.

    The fact "inner_ratio" is what those to the long array took over what those to the short one took.
    """

    # Rows of one append, appends to each array, and appends that the long one had before.
    rows: int
    n: int
    n_before: int

    def prepare(self, library: Library, place: Place) -> Task:
        data, step = place.field(self.spec), self.rows
        n_before = self.n_before * step
        few = _Growing(library, place, self.spec, data[: self.n * step], 0)
        many = _Growing(library, place, self.spec, data, n_before)
        facts: dict[str, Any] = {}

        def before() -> None:
            few.reset()
            many.reset()

        def call() -> None:
            for i in range(0, self.n * step, step):
                pairs = [(few, data[i : i + step]), (many, data[n_before + i : n_before + i + step])]
                for array, rows in pairs if i // step % 2 else reversed(pairs):
                    array.clocked(rows)
            facts["inner_ratio"] = many.clocked.over(few.clocked)

        def check(_: Any) -> None:
            few.check()
            many.check()

        def close() -> None:
            few.close()
            many.close()

        return Task(call, check, before, close, check_once=True, facts=facts)


def workloads(size: str) -> Iterator[Workload]:
    n, c = by_size(size, 128, 2048, 4096), by_size(size, 64, 512, 512)
    spec = ArraySpec(shape=(n, n), chunks=(c, c), dtype="float32", codec="zstd")
    for workers in (1, 2):
        yield Map(
            name=f"map/{workers}",
            family="map",
            title=f"read, compute, write chunks, {workers} workers, {n}² float32, {c}² chunks, zstd, local",
            spec=spec,
            units=spec.n_chunks,
            unit="chunk",
            workers=workers,
            libraries=(*_LIBRARIES, "limit"),
            limit_is=f"libzstd, NumPy, libzstd, and files read and written by {workers} threads",
        )
    n, many = by_size(size, 20, 1000, 1000), by_size(size, 200, 10_000, 10_000)
    for name, rows, title in (("aligned", 16, "a chunk"), ("across", 10, "10 of a chunk's 16 rows")):
        yield Append(
            name=f"append/{name}",
            family="append",
            title=f"append {title}, the first and the last {n} of {many}, 64 columns of float32, none, local",
            spec=ArraySpec(shape=(many * rows, 64), chunks=(16, 64), dtype="float32"),
            units=2 * n,
            unit="append",
            rows=rows,
            n=n,
            n_before=many - n,
            has_source=False,
            libraries=(*_LIBRARIES, "h5py"),
        )
