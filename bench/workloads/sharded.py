"""Sharded arrays: many inner chunks in few files, read, written and updated, whole and one by one."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, bare, flat, read_file, stored_chunks, write_file
from bench.libraries import LIBRARIES, ONLY_REMOTE, Library
from bench.workloads.base import Place, Task, Workload, Wrong, by_size, equal_to, unchecked
from bench.workloads.whole import ReadAll, ReadChunks, WriteAll

# h5py has no shards.
_LIBRARIES = tuple(name for name in LIBRARIES if name not in ("h5py", *ONLY_REMOTE))
_SEED = 20260101
_ONE_BY_ONE = "preadv of each inner chunk, libzstd into one output, one thread"

# Where an inner chunk lies: the number of its file, its first byte there, its length.
Stored = tuple[int, int, int]


def _index_nbytes(spec: ArraySpec) -> int:
    return 16 * spec.chunks_per_shard + 4


def _stored(spec: ArraySpec, files: list[str]) -> list[Stored]:
    """All inner chunks, file after file; none of them is empty."""
    found = []
    for number, file in enumerate(files):
        tail = np.fromfile(file, np.uint8)[-_index_nbytes(spec) : -4]
        places = tail.view("<u8").reshape(-1, 2).tolist()
        found += [(number, offset, nbytes) for offset, nbytes in places]
    return found


def _chosen(spec: ArraySpec, n: int) -> list[int]:
    """The numbers of ``n`` inner chunks, in random order."""
    return random.Random(_SEED).sample(range(spec.n_chunks), min(n, spec.n_chunks))


def _regions(spec: ArraySpec, n: int) -> list[tuple[slice, ...]]:
    regions = list(spec.regions())
    return [regions[i] for i in _chosen(spec, n)]


class ReadShards(ReadAll):
    def limit(self, place: Place) -> Task:
        spec = self.spec
        files = stored_chunks(place.source(spec))
        stored = _stored(spec, files)
        by_file = [[one for one in stored if one[0] == number] for number in range(len(files))]
        decode, threads, local = bare(spec).decode, Threads(place.threads), threading.local()
        largest = max(os.path.getsize(file) for file in files)
        out, step = aligned(spec.nbytes), spec.chunk_nbytes

        def one(number: int) -> None:
            if not hasattr(local, "scratch"):
                local.scratch = aligned(largest)
            read_file(files[number], local.scratch)
            first = number * spec.chunks_per_shard
            for i, (_, offset, nbytes) in enumerate(by_file[number], first):
                decode(local.scratch[offset : offset + nbytes], out[i * step : (i + 1) * step])

        return Task(lambda: threads.map(one, range(len(files))), unchecked, close=threads.close)


def _one_by_one(place: Place, spec: ArraySpec, chosen: list[int] | None, *, memory: bool = False) -> Task:
    """Return the bare task of reading inner chunks, of files that are open or of what is in memory."""
    files = stored_chunks(place.source(spec))
    stored = _stored(spec, files)
    wanted = stored if chosen is None else [stored[i] for i in chosen]
    decode = bare(spec).decode
    scratch, out = aligned(spec.encoded_bound()), aligned(spec.chunk_nbytes)
    descriptors = [os.open(file, os.O_RDONLY) for file in files]
    shards = [np.fromfile(file, np.uint8) for file in files] if memory else []

    def call() -> None:
        if memory:
            for number, offset, nbytes in wanted:
                decode(shards[number][offset : offset + nbytes], out)
            return
        for number, offset, nbytes in wanted:
            part = scratch[:nbytes]
            os.preadv(descriptors[number], [part], offset)
            decode(part, out)

    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return Task(call, unchecked, close=close)


class ReadInnerChunks(ReadChunks):
    def limit(self, place: Place) -> Task:
        return _one_by_one(place, self.spec, None)


class WriteShards(WriteAll):
    def limit(self, place: Place) -> Task:
        spec = self.spec
        data, encode = flat(place.field(spec)), bare(spec).encode
        threads, local = Threads(place.threads), threading.local()
        step, n = spec.chunk_nbytes, spec.chunks_per_shard
        now: dict[str, Any] = {"path": None}

        def before() -> None:
            place.forget(now["path"])
            now["path"] = place.fresh(spec)
            now["path"].mkdir()

        def one(number: int) -> None:
            if not hasattr(local, "scratch"):
                local.scratch = aligned(n * spec.encoded_bound() + _index_nbytes(spec))
            end = 0
            for i in range(number * n, (number + 1) * n):
                chunk = data[i * step : (i + 1) * step]
                end += encode(chunk, local.scratch[end : end + spec.encoded_bound()])
            write_file(str(now["path"] / str(number)), local.scratch[: end + _index_nbytes(spec)])

        def close() -> None:
            place.forget(now["path"])
            threads.close()

        return Task(lambda: threads.map(one, range(spec.n_shards)), unchecked, before, close)


@dataclass(frozen=True, kw_only=True)
class ReadRandom(Workload):
    """Inner chunks in random order, each dropped before the next."""

    memory: bool = False

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        if self.memory:
            array = library.create(library.memory(), self.spec)
            library.writer(array, ..., data)()
        else:
            array = library.open(library.local(place.source(self.spec, library)))
        regions = _regions(self.spec, self.units)
        readers = [library.reader(array, region) for region in regions]

        def call() -> None:
            for read in readers:
                read()

        def check(_: Any) -> None:
            for region, read in zip(regions, readers, strict=True):
                equal_to(data[region])(read())

        return Task(call, check, close=lambda: library.close(array), check_once=True)

    def limit(self, place: Place) -> Task:
        return _one_by_one(place, self.spec, _chosen(self.spec, self.units), memory=self.memory)


@dataclass(frozen=True, kw_only=True)
class Update(Workload):
    """Inner chunks, one after another, in random order: each is a write of its own.

    A call updates all of them; what appending leaves behind is taken away ahead of the next one.
    """

    memory: bool = False
    append: bool = False

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        path, location, array = self.filled(library, place)
        regions = _regions(self.spec, self.units)
        # Two sets of values take turns, so that every call changes all of them.
        values = [[data[region] + data.dtype.type(n) for region in regions] for n in (1, 2)]
        writers = [
            [library.writer(array, region, value) for region, value in zip(regions, one, strict=True)]
            for one in values
        ]
        turn = 0

        def call() -> None:
            nonlocal turn
            turn = 1 - turn
            for write in writers[turn]:
                write()

        def check(_: Any) -> None:
            expected = np.array(data)
            for region, value in zip(regions, values[turn], strict=True):
                expected[region] = value
            equal_to(expected)(library.reader(library.open(location), ...)())
            if self.append and library.appends and _largest(path) <= before_nbytes:
                raise Wrong("nothing was appended")

        def close() -> None:
            library.close(array)
            place.forget(path)

        before_nbytes = _largest(path)
        before = (lambda: library.compact(array)) if self.append else None
        return Task(call, check, before, close, check_once=True)

    def filled(self, library: Library, place: Place) -> tuple[Path | None, Any, Any]:
        """An array of the library's own, which it may change."""
        if self.memory:
            location = library.memory()
            array = library.create(location, self.spec)
            library.writer(array, ..., place.field(self.spec))()
            return None, location, array
        path = place.fresh(self.spec)
        shutil.copytree(place.source(self.spec), path)
        location = library.local(path)
        return path, location, (library.open_to_append if self.append else library.open)(location)

    def limit(self, place: Place) -> Task:
        spec = self.spec
        path = place.fresh(spec)
        shutil.copytree(place.source(spec), path)
        files = stored_chunks(path)
        sizes = [os.path.getsize(file) for file in files]
        stored = _stored(spec, files)
        encode, data = bare(spec).encode, flat(place.field(spec))
        encoded, shard = aligned(spec.encoded_bound()), aligned(2 * max(sizes))
        step, index_nbytes = spec.chunk_nbytes, _index_nbytes(spec)
        index = np.zeros(index_nbytes, np.uint8)

        def rewrite(file: str, offset: int, nbytes: int, new: np.ndarray) -> None:
            size = read_file(file, shard)
            descriptor = os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            # At most as long as the old one, so that the places stay as they are.
            os.writev(descriptor, [shard[:offset], new[:nbytes], shard[offset + nbytes : size]])
            os.close(descriptor)
            os.rename(f"{file}.new", file)

        def copy(file: str, offset: int, nbytes: int, new: np.ndarray) -> None:
            shards[file] = np.concatenate(
                [shards[file][:offset], new[:nbytes], shards[file][offset + nbytes :]]
            )

        def append(file: str, _: int, __: int, new: np.ndarray) -> None:
            descriptor = os.open(file, os.O_RDWR)
            os.preadv(descriptor, [index], os.fstat(descriptor).st_size - index_nbytes)
            os.pwritev(descriptor, [new, index], os.fstat(descriptor).st_size)
            os.close(descriptor)

        def call() -> None:
            for i in chosen:
                number, offset, nbytes = stored[i]
                new = encoded[: encode(data[i * step : (i + 1) * step], encoded)]
                change(files[number], offset, nbytes, new)

        def before() -> None:
            for file, size in zip(files, sizes, strict=True):
                os.truncate(file, size)

        chosen = _chosen(spec, self.units)
        shards = {file: np.fromfile(file, np.uint8) for file in files} if self.memory else {}
        change: Callable[[str, int, int, np.ndarray], None]
        change = append if self.append else copy if self.memory else rewrite
        return Task(call, unchecked, before if self.append else None, lambda: place.forget(path))


def _largest(path: Path | None) -> int:
    return 0 if path is None else max(os.path.getsize(file) for file in stored_chunks(path))


@dataclass(frozen=True, kw_only=True)
class ShardPeak(Workload):
    """Peak memory of the first call of ``of``, in a fresh process."""

    of: Workload

    @property
    def moved_nbytes(self) -> int:
        """What the call holds of the array itself: its result or its input."""
        return self.spec.nbytes if isinstance(self.of, ReadShards | WriteShards) else self.spec.chunk_nbytes

    def bound(self, threads: int) -> int:
        """Output (or input), per thread an inner chunk decoded and encoded, an encoded shard, and 16 MiB."""
        spec = self.spec
        shard = spec.shard_nbytes + spec.shard_nbytes // 128 + _index_nbytes(spec)
        return self.moved_nbytes + threads * (spec.chunk_nbytes + spec.encoded_bound()) + shard + (16 << 20)

    def first(self, library: Library, place: Place) -> Callable[[], Callable[[], Any]]:
        """Open the array; return what makes the call, the input of a write of all included: it counts."""
        spec = self.spec
        if isinstance(self.of, WriteShards):
            array = library.create(library.local(place.fresh(spec)), spec)
            path = place.field_path(place.directory, spec)
            return lambda: library.writer(array, ..., np.load(path))
        if isinstance(self.of, Update):
            _, _, array = self.of.filled(library, place)
            data = np.load(place.field_path(place.directory, spec), mmap_mode="r")
            values = [(one, np.array(data[one]) + 1) for one in _regions(spec, self.of.units)]
            del data
            return lambda: _in_turn([library.writer(array, *one) for one in values])
        array = library.open(library.local(place.source(spec, library)))
        if isinstance(self.of, ReadShards):
            return lambda: library.reader(array, ...)
        n = spec.n_chunks if isinstance(self.of, ReadChunks) else self.of.units
        regions = list(spec.regions()) if n == spec.n_chunks else _regions(spec, n)
        return lambda: _in_turn([library.reader(array, region) for region in regions])


def _in_turn(calls: list[Callable[[], Any]]) -> Callable[[], None]:
    def call() -> None:
        for one in calls:
            one()

    return call


def _cubes(size: str) -> Iterator[Workload]:
    """Read and written as a whole: large shards of a few dozen inner chunks."""
    n, shard, chunk = by_size(size, 64, 512, 1024), by_size(size, 32, 256, 256), by_size(size, 8, 64, 64)
    spec = ArraySpec(shape=(n,) * 3, chunks=(chunk,) * 3, shards=(shard,) * 3, codec="zstd")
    text = f"{n}³ uint16, {chunk}³ inner chunks in {shard}³ shards, zstd, local"
    common: dict[str, Any] = {"family": "sharded", "spec": spec, "libraries": _LIBRARIES}
    yield ReadShards(
        name=f"shard-read/zstd/{n}",
        title=f"read all, {text}",
        limit_is="open, preadv of each shard, libzstd into one output, as many threads",
        **common,
    )
    yield ReadInnerChunks(
        name=f"shard-chunks/uint16/{n}",
        title=f"inner chunk by inner chunk {text}",
        units=spec.n_chunks,
        unit="inner chunk",
        limit_is=_ONE_BY_ONE,
        **common,
    )
    yield WriteShards(
        name=f"shard-write/zstd/{n}",
        title=f"write all, {text}",
        has_source=False,
        limit_is="libzstd of contiguous bytes, open, write of each shard, as many threads",
        **common,
    )


def _planes(size: str) -> Iterator[Workload]:
    """Read and updated here and there."""
    n, shard, chunk = by_size(size, 256, 4096, 4096), by_size(size, 64, 1024, 1024), by_size(size, 16, 64, 64)
    spec = ArraySpec(shape=(n, n), chunks=(chunk,) * 2, shards=(shard,) * 2, dtype="float32", codec="zstd")
    text = f"of {n}² float32, {chunk}² inner chunks in {shard}² shards, zstd"
    common: dict[str, Any] = {"family": "sharded", "spec": spec, "unit": "inner chunk"}
    yield ReadInnerChunks(
        name=f"shard-chunks/float32/{n}",
        title=f"inner chunk by inner chunk {text}, local",
        units=spec.n_chunks,
        libraries=_LIBRARIES,
        limit_is=_ONE_BY_ONE,
        **common,
    )
    n_reads, n_updates = by_size(size, 50, 2000, 2000), by_size(size, 20, 256, 256)
    for store in ("local", "memory"):
        # zarrs reads and writes files only.
        libraries = tuple(name for name in _LIBRARIES if store == "local" or name != "zarrs")
        yield ReadRandom(
            name=f"shard-random/{store}",
            title=f"one of {n_reads} random inner chunks {text}, {store}",
            units=n_reads,
            libraries=libraries,
            memory=store == "memory",
            limit_is=("preadv, " if store == "local" else "") + "libzstd, called from Python",
            **common,
        )
        yield Update(
            name=f"shard-update/rewrite/{store}",
            title=f"update one inner chunk {text}, {store}",
            units=n_updates,
            libraries=libraries,
            memory=store == "memory",
            limit_is="libzstd, the shard "
            + ("read, written under a new name and renamed" if store == "local" else "copied"),
            **common,
        )
    yield Update(
        name="shard-update/append/local",
        title=f"update one inner chunk by appending (peers as they are) {text}, local",
        units=n_updates,
        libraries=_LIBRARIES,
        append=True,
        limit_is="libzstd, open, preadv of the index, pwritev of both",
        **common,
    )


def _small(size: str) -> Iterator[Workload]:
    n, shard, chunk = by_size(size, 256, 4096, 4096), by_size(size, 64, 1024, 1024), by_size(size, 8, 32, 32)
    spec = ArraySpec(shape=(n, n), chunks=(chunk,) * 2, shards=(shard,) * 2, dtype="float32", codec="zstd")
    yield ReadShards(
        name="shard-small/zstd",
        family="sharded",
        title=f"read all, {n}² float32, {chunk}² inner chunks in {shard}² shards, zstd, local",
        spec=spec,
        libraries=_LIBRARIES,
        limit_is="open, preadv of each shard, libzstd, called from Python, as many threads",
    )


def workloads(size: str) -> Iterator[Workload]:
    timed = [*_cubes(size), *_planes(size), *_small(size)]
    yield from timed
    for one in timed:
        if one.name.endswith("/memory"):
            continue
        yield ShardPeak(
            name="shard-peak/" + one.name.removeprefix("shard-").removesuffix("/local"),
            family="shard-peak",
            title=f"peak memory: {one.title}",
            kind="peak",
            spec=one.spec,
            of=one,
            libraries=_LIBRARIES,
            has_source=one.has_source,
        )
