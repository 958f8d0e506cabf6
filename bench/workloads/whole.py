"""All of a large array: read at once, read chunk by chunk, written at once; and copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, bare, read_file, stored_chunks, write_file
from bench.libraries import LIBRARIES, ONLY_REMOTE, Library
from bench.workloads.base import (
    Place,
    Task,
    Workload,
    Wrong,
    by_size,
    equal_to,
    read_limit,
    same,
    unchecked,
    write_limit,
    write_task,
)


@dataclass(frozen=True, kw_only=True)
class Whole(Workload):
    @property
    def moved_nbytes(self) -> int:
        return self.spec.nbytes


class ReadAll(Whole):
    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec)
        return Task(library.reader(array, ...), equal_to(expected), close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        decode = None if self.spec.codec == "none" else bare(self.spec).decode
        return read_limit(place, self.spec, decode)


class ReadHeld(ReadAll):
    """Every result is held: none is written into the memory of the one before, all is new to the process."""

    def _held(self, task: Task) -> Task:
        held: list[Any] = []
        read, close = task.call, task.close

        def call() -> Any:
            result = read()
            held.append(result)
            return result

        def end() -> None:
            held.clear()
            close()

        # With something to do before each call there are few calls a round: memory is finite.
        return replace(task, call=call, before=lambda: None, close=end)

    def prepare(self, library: Library, place: Place) -> Task:
        return self._held(super().prepare(library, place))

    def limit(self, place: Place) -> Task:
        files = stored_chunks(place.source(self.spec))
        step = self.spec.chunk_nbytes
        threads = Threads(place.threads)

        def call() -> np.ndarray:
            out = aligned(self.spec.nbytes, touched=False)
            threads.map(read_file, files, [out[i * step : (i + 1) * step] for i in range(len(files))])
            return out

        return self._held(Task(call, unchecked, close=threads.close))


class ReadChunks(Whole):
    """One chunk after another, each dropped before the next."""

    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec)
        regions = list(self.spec.regions())
        readers = [library.reader(array, region) for region in regions]

        def call() -> None:
            for read in readers:
                read()

        def check(_: Any) -> None:
            for region, read in zip(regions, readers, strict=True):
                if not same(np.asarray(read()), expected[region]):
                    raise Wrong(f"values differ from what was stored in {region}")

        return Task(call, check, close=lambda: library.close(array), check_once=True)

    def limit(self, place: Place) -> Task:
        files = stored_chunks(place.source(self.spec))
        decode = None if self.spec.codec == "none" else bare(self.spec).decode
        scratch, out = aligned(self.spec.encoded_bound()), aligned(self.spec.chunk_nbytes)

        def call() -> None:
            for file in files:
                if decode is None:
                    read_file(file, out)
                else:
                    decode(scratch[: read_file(file, scratch)], out)

        return Task(call, unchecked)


class WriteAll(Whole):
    def prepare(self, library: Library, place: Place) -> Task:
        return write_task(library, place, self.spec, memory=False)

    def limit(self, place: Place) -> Task:
        encode = None if self.spec.codec == "none" else bare(self.spec).encode
        return write_limit(place, self.spec, encode)


@dataclass(frozen=True, kw_only=True)
class Copy(Whole):
    """To another array of the same chunks and codecs, the new array's creation included."""

    memory: bool = False

    def prepare(self, library: Library, place: Place) -> Task:
        spec = self.spec
        expected = place.field(spec)
        note = ""
        if self.memory:
            location = library.memory()
            source = library.create(location, spec)
            library.writer(source, ..., expected)()
        else:
            source = library.open(library.local(place.source(spec, library)))
        now: dict[str, Any] = {"path": None, "location": None, "copy": None}
        facts: dict[str, Any] = {}

        def forget() -> None:
            if not self.memory:
                place.forget(now["path"])
            now.update(path=None, location=None, copy=None)

        def before() -> None:
            forget()
            if self.memory:
                now["location"] = library.memory()
            else:
                now["path"] = place.fresh(spec)
                now["location"] = library.local(now["path"])
            now["copy"] = library.copier(source, now["location"], spec)

        def check(_: Any) -> None:
            array = library.open(now["location"])
            equal_to(expected)(library.reader(array, ...)())
            if not self.memory:
                library.close(array)

        def close() -> None:
            forget()
            library.close(source)

        return Task(lambda: now["copy"](), check, before, close, check_once=True, note=note, facts=facts)

    def limit(self, place: Place) -> Task:
        files = stored_chunks(place.source(self.spec))
        if self.memory:
            sources = [np.fromfile(file, np.uint8) for file in files]
            return Task(lambda: [source.copy() for source in sources], unchecked)
        now: dict[str, Any] = {"path": None}
        threads = Threads(place.threads)
        scratch = [aligned(self.spec.encoded_bound()) for _ in files]

        def before() -> None:
            place.forget(now["path"])
            now["path"] = place.fresh(self.spec)
            now["path"].mkdir()

        def one(i: int) -> None:
            write_file(str(now["path"] / str(i)), scratch[i][: read_file(files[i], scratch[i])])

        def close() -> None:
            place.forget(now["path"])
            threads.close()

        return Task(lambda: threads.map(one, range(len(files))), unchecked, before, close)


def _cube(n: int, chunk: int, codec: str) -> ArraySpec:
    return ArraySpec(shape=(n,) * 3, chunks=(chunk,) * 3, dtype="uint16", codec=codec)


def workloads(size: str) -> Iterator[Workload]:
    chunk = by_size(size, 32, 256, 256)
    for n in by_size(size, (64,), (512,), (1024,)):
        for codec in ("none", "zstd"):
            spec = _cube(n, chunk, codec)
            text = f"{n}³ uint16, {chunk}³ chunks, {codec}, local"
            calls = "open, preadv" + (", libzstd" if codec == "zstd" else "") + " into one output, "
            yield ReadAll(
                name=f"read/{codec}/{n}",
                family="read",
                title=f"read all, {text}",
                spec=spec,
                limit_is=calls + "as many threads",
            )
            yield ReadChunks(
                name=f"chunks/{codec}/{n}",
                family="chunks",
                title=f"read chunk by chunk, {text}",
                spec=spec,
                limit_is=calls + "one thread",
            )
            yield WriteAll(
                name=f"write/{codec}/{n}",
                family="write",
                title=f"write all, {text}",
                spec=spec,
                has_source=False,
                limit_is="open, write of contiguous bytes" + (", libzstd" if codec == "zstd" else ""),
            )
    n, held_chunk = by_size(size, 64, 256, 256), by_size(size, 32, 128, 128)
    yield ReadHeld(
        name=f"read-held/none/{n}",
        family="read",
        title=f"read all, {n}³ uint16, {held_chunk}³ chunks, none, local, results held (new memory)",
        spec=_cube(n, held_chunk, "none"),
        limit_is="open, preadv into a new array, as many threads",
    )
    n = by_size(size, 64, 512, 512)
    for codec in ("none", "zstd"):
        for store in ("local", "memory"):
            yield Copy(
                name=f"copy/{codec}/{store}",
                family="copy",
                title=f"copy, {n}³ uint16, {chunk}³ chunks, {codec}, {store}",
                spec=_cube(n, chunk, codec),
                memory=store == "memory",
                limit_is="memcpy of what is stored" if store == "memory" else "read, write of each file",
            )
    spec = _cube(n, by_size(size, 32, 128, 128), "zstd")
    for what, kind in (("read", ReadAll), ("write", WriteAll)):
        for threads in (1, 2):
            yield kind(
                name=f"threads/{what}/{threads}",
                family="threads",
                title=f"{what} all, {n}³ uint16, zstd, local, {threads} thread{'s' * (threads > 1)}",
                spec=spec,
                threads=threads,
                # h5py has one thread only.
                libraries=tuple(name for name in LIBRARIES if name not in ("h5py", *ONLY_REMOTE)),
                has_source=kind is ReadAll,
                limit_is="bare calls and libzstd, as many threads",
            )
