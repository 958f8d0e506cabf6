"""Arrays on servers that are 30 ms away: 256 chunks, and 1,000 inner chunks of four shards."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, bare, flat
from bench.bare_remote import BareClient, Range
from bench.libraries.base import Library
from bench.servers import RemotePlace, empty_bucket, new_bucket, remote_place
from bench.workloads.base import Place, Task, Workload, chunk_of, equal_to, unchecked

LIBRARIES = (
    "zarrc",
    "zarr-fsspec",
    "zarr-fsspec-64",
    "zarr-obstore",
    "zarr-obstore-64",
    "tensorstore",
    "tensorstore-64",
    "limit",
)
_FLOOR = "an aiohttp client, 64 requests at once, through the same proxy"
_SERVERS = {"http": "a web server", "gcs": "a Google server"}
_ABSENT = 2**64 - 1
_serials = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Remote(Workload):
    server: str

    def remote(self, place: Place) -> RemotePlace:
        return remote_place(place.directory, self.server)

    @property
    def moved_nbytes(self) -> int:
        return self.spec.nbytes


@dataclass(frozen=True, kw_only=True)
class Read(Remote):
    """All of an array, or a box of it."""

    box: Any = Ellipsis

    @property
    def moved_nbytes(self) -> int:
        if self.box is Ellipsis:
            return self.spec.nbytes
        n_elements = math.prod(part.stop - part.start for part in self.box)
        return n_elements * np.dtype(self.spec.dtype).itemsize

    def prepare(self, library: Library, place: Place) -> Task:
        where = self.remote(place).at(Place.source_path(place.directory, self.spec).name)
        array = library.open(library.remote(where))
        check = equal_to(np.asarray(place.field(self.spec)[self.box]))
        return Task(library.reader(array, self.box), check, close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        where = self.remote(place).at(Place.source_path(place.directory, self.spec).name)
        spec, codec, threads, client = self.spec, bare(self.spec), Threads(place.threads), BareClient()
        local = threading.local()
        heads, ranges, parts = self._ranges(place, where)

        def decode(encoded: np.ndarray) -> None:
            if not hasattr(local, "chunk"):
                local.chunk = np.empty(spec.chunk_nbytes, np.uint8)
            codec.decode(encoded, local.chunk)

        def call() -> None:
            if heads:
                client.get(heads)
            came = [np.frombuffer(one, np.uint8) for one in client.get(ranges)]
            threads.map(decode, [came[i][start:end] for i, start, end in parts])

        def close() -> None:
            client.close()
            threads.close()

        return Task(call, unchecked, close=close)

    def _ranges(
        self, place: Place, where: RemotePlace
    ) -> tuple[list[Range], list[Range], list[tuple[int, int, int]]]:
        """What is asked for first, what then, and where in the latter the encoded chunks are."""
        source = Place.source_path(place.directory, self.spec)
        names = ["/".join(["c", *map(str, index)]) for index in self._objects()]
        if self.spec.shards is None:
            sizes = [(source / name).stat().st_size for name in names]
            return (
                [],
                [(where.get_url(name), None) for name in names],
                [(i, 0, nbytes) for i, nbytes in enumerate(sizes)],
            )
        heads, ranges, parts = [], [], []
        for i, (name, index) in enumerate(zip(names, self._objects(), strict=True)):
            stored = (source / name).read_bytes()
            nbytes = 16 * self.spec.chunks_per_shard + 4
            entries = np.frombuffer(stored[-nbytes:-4], "<u8").reshape(-1, 2)
            wanted = entries[self._inner_of(index)]
            first, end = int(wanted[:, 0].min()), int(wanted.sum(axis=1).max())
            heads.append((where.get_url(name), (len(stored) - nbytes, len(stored) - 1)))
            ranges.append((where.get_url(name), (first, end - 1)))
            parts += [(i, int(at) - first, int(at + n) - first) for at, n in wanted if at != _ABSENT]
        return heads, ranges, parts

    def _objects(self) -> list[tuple[int, ...]]:
        """The stored objects that it meets."""
        extents = self.spec.shards or self.spec.chunks
        return list(
            itertools.product(*(range(-(-n // c)) for n, c in zip(self.spec.shape, extents, strict=True)))
        )

    def _inner_of(self, shard: tuple[int, ...]) -> list[int]:
        """The numbers of the inner chunks of a shard that it meets."""
        assert self.spec.shards is not None
        along = []
        for box, index, extent, chunk in zip(
            self.box, shard, self.spec.shards, self.spec.chunks, strict=True
        ):
            low = max(box.start - index * extent, 0) // chunk
            high = -(-min(box.stop - index * extent, extent) // chunk)
            along.append(range(low, high))
        grid = [extent // chunk for extent, chunk in zip(self.spec.shards, self.spec.chunks, strict=True)]
        return [int(np.ravel_multi_index(place, grid)) for place in itertools.product(*along)]


@dataclass(frozen=True, kw_only=True)
class Write(Remote):
    """All of a new array."""

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        buckets = _Buckets(self.remote(place), place)
        now: dict[str, Any] = {}

        def before() -> None:
            now["location"] = library.remote(buckets.next().at("array"))
            now["array"] = library.create(now["location"], self.spec)
            now["write"] = library.writer(now["array"], ..., data)

        def check(_: Any) -> None:
            equal_to(data)(library.reader(library.open(now["location"]), ...)())

        return Task(lambda: now["write"](), check, before, buckets.forget, check_once=True)

    def limit(self, place: Place) -> Task:
        spec, codec, threads, client = self.spec, bare(self.spec), Threads(place.threads), BareClient()
        buckets = _Buckets(self.remote(place), place)
        chunks = [
            flat(np.ascontiguousarray(chunk_of(spec, place.field(spec), i))) for i in range(spec.n_chunks)
        ]
        encoded: list[Any] = [None] * len(chunks)
        now: dict[str, Any] = {}

        def encode(i: int) -> None:
            encoded[i] = codec.encoded(chunks[i])

        def before() -> None:
            now["where"] = buckets.next().at("array")

        def call() -> None:
            threads.map(encode, range(len(chunks)))
            where = now["where"]
            client.post([(where.put_url(f"c/{i}"), one.tobytes()) for i, one in enumerate(encoded)])

        def close() -> None:
            buckets.forget()
            client.close()
            threads.close()

        return Task(call, unchecked, before, close)


class _Buckets:
    """A new bucket for each call; the one before is emptied."""

    def __init__(self, server: RemotePlace, place: Place) -> None:
        self.server = server
        self.name = place.own.name
        self.now: RemotePlace | None = None

    def next(self) -> RemotePlace:
        self.forget()
        self.now = new_bucket(self.server, f"{self.name}-{next(_serials)}")
        return self.now

    def forget(self) -> None:
        if self.now is not None:
            empty_bucket(self.now)
        self.now = None


def workloads(size: str) -> Iterator[Workload]:
    del size
    # 32 kB a chunk: the round trips take most of the time. With 128 kB, clients, proxy and server on one
    # machine keep two processors busy, whoever the client is.
    small = ArraySpec(shape=(2048, 2048), chunks=(128, 128), codec="zstd")
    large = ArraySpec(shape=(4096, 4096), chunks=(256, 256), codec="zstd")
    sharded = ArraySpec(shape=(4096, 4096), chunks=(64, 64), shards=(2048, 2048), codec="zstd")
    # 25 x 40 inner chunks around the corner where the four shards meet.
    box = (slice(2048 - 13 * 64, 2048 + 12 * 64), slice(2048 - 20 * 64, 2048 + 20 * 64))
    common: dict[str, Any] = {"family": "remote", "libraries": LIBRARIES}
    for server, what in _SERVERS.items():
        for name, spec, nbytes in (("256", small, "32 kB"), ("256-large", large, "128 kB")):
            yield Read(
                name=f"remote-read/{name}/{server}",
                title=f"256 chunks of {nbytes} from {what} 30 ms away, zstd",
                spec=spec,
                server=server,
                limit_is=f"{_FLOOR}, then libzstd",
                **common,
            )
        yield Read(
            name=f"remote-read/sharded/{server}",
            title=f"1,000 inner chunks of 8 kB of 4 shards from {what} 30 ms away, zstd",
            spec=sharded,
            server=server,
            box=box,
            limit_is=f"{_FLOOR}, indexes and then joined ranges, then libzstd",
            **common,
        )
    for name, spec, nbytes in (("256", small, "32 kB"), ("256-large", large, "128 kB")):
        yield Write(
            name=f"remote-write/{name}/gcs",
            title=f"256 chunks of {nbytes} to a Google server 30 ms away, zstd",
            spec=spec,
            server="gcs",
            limit_is=f"libzstd, then {_FLOOR}",
            has_source=False,
            **common,
        )
