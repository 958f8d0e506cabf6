"""An object that is larger than a chunk can be is not read, whatever stores are around its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.storage.remote.raw_server import raw_server
from zarrc.config import config
from zarrc.errors import StoreError
from zarrc.storage import (
    CacheStore,
    FaultyStore,
    FsspecStore,
    LocalStore,
    LoggingStore,
    MeteredStore,
    PrefixStore,
    ReadOnlyStore,
    Store,
    WrapperStore,
)
from zarrc.storage.base import Blob, ByteRange

HUGE = 10**10
DATA = np.arange(64, dtype="i4").reshape(8, 8)


class Server:
    """Files of a directory, of which some are announced as huge."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.huge: set[str] = set()
        self.n_first = 0
        self.n_sent = 0

    def __call__(self, line: str, headers: dict[str, str]) -> Iterator[bytes]:
        method, path, _ = line.split(" ")
        file = self.root / path.lstrip("/")
        if not file.is_file():
            yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            return
        body = file.read_bytes()
        nbytes = HUGE if path.lstrip("/") in self.huge else len(body)
        first, last = 0, nbytes - 1
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        if asked is not None:
            first = int(asked[1]) if asked[1] else nbytes - int(asked[2])
            last = int(asked[2]) if asked[1] and asked[2] else nbytes - 1
        status = "206 Partial Content" if asked else "200 OK"
        span = f"Content-Range: bytes {first}-{last}/{nbytes}\r\n" if asked else ""
        yield f'HTTP/1.1 {status}\r\nContent-Length: {last - first + 1}\r\n{span}ETag: "1"\r\n\r\n'.encode()
        if method == "HEAD":
            return
        # The object starts and ends as it is stored; between is garbage.
        middle = self.n_first
        for at in range(first, last + 1, 2**20):
            stop = min(at + 2**20, last + 1)
            piece = bytearray(stop - at)
            self._lay(piece, at, body[:middle], 0)
            self._lay(piece, at, body[middle:], nbytes - (len(body) - middle))
            self.n_sent += len(piece)
            yield bytes(piece)

    @staticmethod
    def _lay(piece: bytearray, at: int, part: bytes, where: int) -> None:
        start, stop = max(at, where), min(at + len(piece), where + len(part))
        if start < stop:
            piece[start - at : stop - at] = part[start - where : stop - where]


@pytest.fixture(autouse=True)
def one_try() -> Iterator[None]:
    with config.set({"storage.retries": 0}):
        yield


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


class Told(LocalStore):
    """Keeps what it was told."""

    takes_most = True
    most: int | None = None

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        self.most = most
        return super().get_many(requests)


class Old(WrapperStore):
    """Written when there was no bound."""

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:  # type: ignore[override]
        return super().get_many(requests)


def test_a_wrapper_that_knows_no_bound_is_told_none(tmp_path: Path) -> None:
    zarrc.create_array(LocalStore(tmp_path), data=DATA, chunks=(4, 4), name="x")
    told = Told(tmp_path)
    assert (zarrc.open_array(MeteredStore(told), path="x")[:] == DATA).all()
    assert told.most is not None
    told.most = None
    assert (zarrc.open_array(MeteredStore(Old(told)), path="x")[:] == DATA).all()
    assert told.most is None


WRAPPERS: dict[str, Callable[[Store], Store]] = {
    "none": lambda store: store,
    "metered": MeteredStore,
    "logging": LoggingStore,
    "cache": CacheStore,
    "faulty": lambda store: FaultyStore(store, []),
    "read-only": ReadOnlyStore,
    "prefix": lambda store: PrefixStore(store, "d"),
    "nest": lambda store: MeteredStore(LoggingStore(CacheStore(PrefixStore(store, "d")))),
}


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
def test_a_chunk_that_is_too_large_is_not_read(server: Server, wrapper: str) -> None:
    zarrc.create_array(LocalStore(server.root / "d"), data=DATA, chunks=(4, 4), name="x")
    server.huge.add("d/x/c/1/0")
    with raw_server(server) as url:
        top = wrapper in ("prefix", "nest")
        store = WRAPPERS[wrapper](FsspecStore.from_url(url if top else f"{url}/d"))
        array = zarrc.open_array(store, path="x", mode="r")
        assert (array[:4] == DATA[:4]).all()
        with pytest.raises(StoreError, match=rf"has {HUGE} bytes where at most \d+ can be right"):
            array[:]
    assert server.n_sent < 20 * 2**20


@pytest.mark.parametrize("index_location", ["start", "end"])
@pytest.mark.parametrize("around", [[], [{"name": "gzip", "configuration": {"level": 1}}]])
def test_of_a_shard_with_much_garbage_only_what_is_wanted_is_read(
    server: Server, index_location: str, around: list[Any]
) -> None:
    inner = [{"name": "bytes", "configuration": {"endian": "little"}}]
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [4, 4],
            "codecs": inner,
            "index_codecs": inner,
            "index_location": index_location,
        },
    }
    array = zarrc.create_array(
        LocalStore(server.root / "d"),
        name="x",
        shape=(8, 8),
        dtype="i4",
        chunks=(8, 8),
        codecs=[sharding, *around],
    )
    array[:] = DATA
    server.huge.add("d/x/c/0/0")
    server.n_first = DATA.nbytes + (64 if index_location == "start" else 0)
    with raw_server(server) as url:
        array = zarrc.open_array(f"{url}/d/x", mode="r")
        if around:
            with pytest.raises(StoreError, match="can be right"):
                array[:]
        else:
            assert (array[:] == DATA).all()
    assert server.n_sent < 20 * 2**20
