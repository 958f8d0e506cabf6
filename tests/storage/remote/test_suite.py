"""Every store on a server keeps the promises of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.places import Place
from tests.servers.servers import HttpServer, Servers
from tests.soak import soaking
from zarrc.storage import Blob, ByteRange, FsspecStore, LocalStore, Stat, Store, make_store
from zarrc.testing import StoreTests
from zarrc.testing.samples import UNUSUAL_KEYS


def store_of(place: Place) -> Store:
    """The store of a new folder."""
    store, path = make_store(place.url, storage_options=dict(place.storage_options))
    assert (type(store), path) == (FsspecStore, "")
    return store


class TestGcs(StoreTests):
    @pytest.fixture
    def store(self, servers: Servers) -> Store:
        return store_of(servers.server("gcs").place())


# moto does not find a key with a line break, azurite lists it without.
PLAIN_KEYS = pytest.mark.parametrize("key", [key for key in UNUSUAL_KEYS if "\n" not in key])


class TestS3(StoreTests):
    # About 200 requests a second.
    effort = 0.3 if soaking() else 0.01

    @pytest.fixture
    def store(self, servers: Servers) -> Store:
        return store_of(servers.server("s3").place())

    @PLAIN_KEYS
    def test_unusual_keys_work(self, store: Store, key: str) -> None:
        super().test_unusual_keys_work(store, key)


class TestAzure(StoreTests):
    # About 400 requests a second.
    effort = 0.3 if soaking() else 0.01

    @pytest.fixture
    def store(self, servers: Servers) -> Store:
        return store_of(servers.server("azure").place())

    @PLAIN_KEYS
    def test_unusual_keys_work(self, store: Store, key: str) -> None:
        super().test_unusual_keys_work(store, key)


class ReadByHttp(Store):
    """Reads from the web server what it writes to the server's disk."""

    def __init__(self, folder: str, url: str) -> None:
        super().__init__()
        self.disk = LocalStore(folder)
        self.web = FsspecStore.from_url(url)

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        return self.web.get(key, range)

    def get_many(self, requests: Any) -> Iterator[tuple[int, Blob | None]]:
        return self.web.get_many(requests)

    def get_into(self, key: str, buffer: Any, range: ByteRange | None = None) -> int | None:
        return self.web.get_into(key, buffer, range)

    def stat(self, key: str) -> Stat | None:
        return self.web.stat(key)

    def stat_many(self, keys: Any) -> Iterator[tuple[int, Stat | None]]:
        return self.web.stat_many(keys)

    def set(self, key: str, data: Any) -> None:
        self._check_writable(key)
        self.disk.set(key, data)

    def delete(self, key: str) -> None:
        self._check_writable(key)
        self.disk.delete(key)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        return self.disk.list_prefix(prefix)

    @property
    def identity(self) -> Any:
        return self.disk.identity

    def identity_of(self, prefix: str) -> Any:
        return self.disk.identity_of(prefix)


class TestHttp(StoreTests):
    """The promises to those who read."""

    keys_nest = False
    effort = 1.0 if soaking() else 0.03

    @pytest.fixture
    def store(self, http_server: HttpServer) -> Store:
        http_server.ask("links", shown=False)
        place = http_server.place()
        return ReadByHttp(place.folder, place.url)
