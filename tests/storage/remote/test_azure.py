"""What is special about Azure: one request for a read, no ranges from the end, the SDK's own patience."""

from __future__ import annotations

import time

import numpy as np
import pytest

import zarrc
from tests.servers.servers import Proxy, Servers
from zarrc.errors import StoreConflictError, StoreError, StoreThrottledError
from zarrc.storage import FsspecStore

MIB = 2**20


@pytest.fixture
def relay(servers: Servers) -> Proxy:
    servers.server("azure")
    return servers.relay("azure")


def store_at(relay: Proxy) -> FsspecStore:
    place = relay.place()
    store = FsspecStore.from_url(place.url, storage_options=dict(place.storage_options))
    assert type(store) is FsspecStore
    return store


def methods(relay: Proxy) -> list[str]:
    return [one["method"] for one in relay.requests()]


def test_a_large_object_is_one_get(relay: Proxy) -> None:
    store = store_at(relay)
    body = np.random.default_rng(0).bytes(40 * MIB)  # the SDK's limit is 32 MiB
    store.set("x", body)
    relay.requests()
    blob = store.get("x")
    assert blob is not None
    assert bytes(blob) == body
    assert methods(relay) == ["GET"]
    blob = store.get("x", (1, 35 * MIB))
    assert blob is not None
    assert bytes(blob) == body[1 : 1 + 35 * MIB]
    assert methods(relay) == ["GET"]


def test_the_last_bytes_cost_a_look(relay: Proxy) -> None:
    store = store_at(relay)
    store.set("x", b"0123456789")
    relay.requests()
    blob = store.get("x", (-4, None))
    assert blob is not None
    assert bytes(blob) == b"6789"
    assert methods(relay) == ["HEAD", "GET"]
    with pytest.raises(StoreError, match="10 bytes"):
        store.get("x", (-11, None))


def test_an_object_in_blocks_is_written_under_a_condition(relay: Proxy) -> None:
    store = store_at(relay)
    # From 64 MiB on by the SDK's default.
    store.fs.service_client._config.max_single_put_size = MIB
    body = bytes(9 * MIB)
    version = store.set_if("x", body, None)
    assert methods(relay).count("PUT") == 4
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"1" + body, None)
    store.set("x", b"small")
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"2" + body, version)
    blob = store.get("x")
    assert blob is not None
    assert bytes(blob) == b"small"


def test_our_patience_is_the_only_one(relay: Proxy) -> None:
    store = store_at(relay)
    store.set("x", b"1")
    relay.ask("faults", rate=1.0, kinds=["503"])
    relay.requests()
    began = time.monotonic()
    with zarrc.config.set({"storage.retries": 2, "storage.retry_delay": 0.01}):
        for action in (
            lambda: store.get("x"),
            lambda: store.get("x", (0, 1)),
            lambda: store.stat("x"),
            lambda: store.set("x", b""),
            lambda: store.delete("x"),
            lambda: list(store.list_prefix("")),
        ):
            with pytest.raises(StoreThrottledError, match=r"503.*tried 3 times"):
                action()
    assert time.monotonic() - began < 10
    assert len(relay.requests()) == 6 * 3


def test_a_copy_is_made_by_the_service(relay: Proxy) -> None:
    store = store_at(relay)
    store.set("a/x", b"data")
    relay.requests()
    store.copy("a/x", "b/y")
    (asked,) = relay.requests()
    assert asked["copied"].endswith("/a/x")
    blob = store.get("b/y")
    assert blob is not None
    assert bytes(blob) == b"data"
