"""Work on an array as a whole: a function mapped over its chunks, and rows appended to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, bare, flat, read_file, stored_chunks, write_file
from bench.libraries.base import Library
from bench.workloads.base import Place, Task, Workload, by_size, equal_to, unchecked

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


@dataclass(frozen=True, kw_only=True)
class Append(Workload):
    """Appends, one after the other, to an array that `units` of them, or none, were appended to before."""

    # Rows of one append, and appends that the array has had.
    rows: int
    before: int

    def prepare(self, library: Library, place: Place) -> Task:
        path = place.fresh(self.spec)
        location = library.local(path)
        n_rows = self.before * self.rows
        array = library.create_growing(location, self.spec)
        data = place.field(self.spec)
        parts = [data[i : i + self.rows] for i in range(n_rows, len(data), self.rows)]
        assert len(parts) == self.units
        if n_rows:
            library.writer(array, slice(0, n_rows), data[:n_rows])()
        now: dict[str, Any] = {"array": array}

        def before() -> None:
            now["array"] = library.resize(now["array"], (n_rows, *self.spec.shape[1:]))
            now["append"] = library.appender(now["array"])

        def call() -> None:
            append = now["append"]
            for part in parts:
                append(part)

        def check(_: Any) -> None:
            array = now["array"]
            if library.reads_zarr:
                array = library.open(location)
            equal_to(np.asarray(data))(library.reader(array, ...)())

        def close() -> None:
            library.close(now["array"])
            place.forget(path)

        return Task(call, check, before, close, check_once=True)


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
        for which, total in (("first", n), ("last", many)):
            yield Append(
                name=f"append/{name}/{which}",
                family="append",
                title=f"append {title}, the {which} {n} of {many}, 64 columns of float32, none, local",
                spec=ArraySpec(shape=(total * rows, 64), chunks=(16, 64), dtype="float32"),
                units=n,
                unit="append",
                rows=rows,
                before=total - n,
                has_source=False,
                libraries=(*_LIBRARIES, "h5py"),
            )
