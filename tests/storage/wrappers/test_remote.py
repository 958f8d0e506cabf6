"""Wrappers around stores on servers: what the meter counts is what the server sees."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from tests.servers.places import Place
from tests.servers.servers import HttpServer, Proxy
from zarrc.storage import CacheStore, FsspecStore, MeteredStore, PrefixStore, Store

DATA = np.random.default_rng(0).integers(0, 30000, (64, 64), dtype="i4")


def store_of(place: Place) -> Store:
    return FsspecStore.from_url(place.url, storage_options=dict(place.storage_options))


def methods(proxy: Proxy) -> dict[str, int]:
    """What the server was asked since the last look."""
    asked = [one["method"] for one in proxy.requests()]
    return {method: asked.count(method) for method in sorted(set(asked))}


def test_what_is_counted_is_what_the_server_sees(recorded: Proxy) -> None:
    store = MeteredStore(store_of(recorded.place()))
    array = zarr.create_array(store, shape=DATA.shape, dtype=DATA.dtype, chunks=(16, 16))
    methods(recorded)
    store.reset()
    array[:] = DATA
    counted, seen = store.reset(), methods(recorded)
    assert counted.n_sets == 16
    assert counted.n_requests == 16
    assert sum(seen.values()) == 16
    reader = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(reader[:], DATA)
    counted, seen = store.reset(), methods(recorded)
    assert (counted.n_gets, counted.n_requests) == (17, 17)
    assert seen == {"GET": 17}
    assert counted.cost().n_gets == 17


@pytest.mark.parametrize("shards", [None, (64, 64)])
def test_a_cache_spares_requests(recorded: Proxy, tmp_path: Path, shards: Any) -> None:
    place = recorded.place()
    inner = store_of(place)
    with zarr.config.set({"array.sharding_coalesce_max_gap_bytes": 0}):
        zarr.create_array(inner, data=DATA, chunks=(8, 8), shards=shards, compressors=None)
        box = (slice(8, 16), slice(0, 24))
        for number in range(2):
            methods(recorded)
            array = zarr.open_array(CacheStore(inner, tmp_path), mode="r")
            np.testing.assert_array_equal(array[box], DATA[box])
            seen = methods(recorded)
            # The document; the index and one range, or three chunks. Azure has no range "the last n bytes".
            wanted = (
                {"GET": 3, "HEAD": 1} if shards and place.kind == "azure" else {"GET": 3 if shards else 4}
            )
            assert seen == ({} if number else wanted)
        # Versions are the server's, and one look tells that nothing changed.
        looking = zarr.open_array(CacheStore(inner, tmp_path, revalidate="always"), mode="r")
        methods(recorded)
        np.testing.assert_array_equal(looking[box], DATA[box])
        seen = methods(recorded)
        assert seen.get("HEAD", 0) + seen.get("GET", 0) == sum(seen.values())
        zarr.open_array(inner, mode="r+")[box] = 7
        assert (zarr.open_array(CacheStore(inner, tmp_path, revalidate="always"))[box] == 7).all()


def test_a_conditional_write_takes_the_version_that_was_kept(recorded: Proxy) -> None:
    store = CacheStore(PrefixStore(store_of(recorded.place()), "a"))
    store.set_if("x", b"first", None)
    store.get("x")
    blob = store.get("x")
    assert blob is not None
    store.set_if("x", b"second", blob.version)
    again = store.get("x")
    assert again is not None
    assert bytes(again) == b"second"


def test_a_directory_is_shared_by_who_opens_the_same_url(http_server: HttpServer, tmp_path: Path) -> None:
    place = http_server.place()
    Path(place.folder).mkdir(parents=True, exist_ok=True)
    (Path(place.folder) / "x").write_bytes(b"12345")
    first = CacheStore(store_of(place), tmp_path)
    assert bytes(first.get("x", (1, 2)) or b"") == b"23"
    second = pickle.loads(pickle.dumps(CacheStore(store_of(place), tmp_path)))
    assert bytes(second.get("x", (1, 2)) or b"") == b"23"
    assert second.cache_info().hits == 1
