"""How many requests things cost on each server, as a user sees them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.servers.places import Place
from tests.servers.servers import HttpServer, Proxy, Servers
from tests.soak import count
from zarrc.config import config
from zarrc.errors import ContainsArrayError, StoreError

DATA = np.random.default_rng(0).normal(size=(40, 60)).astype("<f4")

# Looked for by a writable open and by what creates: whether a transaction was cut off.
MARKER = ".zc-tx.json"


class Counted:
    """A folder of a server, and what was asked of the server since the last look."""

    def __init__(self, proxy: Proxy, place: Place) -> None:
        self.proxy = proxy
        self.place = place
        self.options = {"storage_options": dict(place.storage_options)}
        # The first conditional write to a server that nobody knows is followed by another.
        zarrc.create_array(place.at("first"), shape=1, dtype="i1", **self.options)
        zarrc.open_array(place.at("first"), mode="r+", **self.options).attrs["a"] = 1
        self.requests()

    def requests(self) -> list[str]:
        """What was asked: GET, PUT, LIST, ... and the end of the key."""
        return sorted(filter(None, map(self._told, self.proxy.requests())))

    def _told(self, request: dict[str, Any]) -> str:
        query = request["query"]
        if "list-type" in query or "comp=list" in query or request["path"].endswith("/b/tests/o"):
            return "LIST" if request["method"] == "GET" else "PUT"
        return request["method"]

    def count(self) -> dict[str, int]:
        """How often each kind of request was made since the last look."""
        asked = self.requests()
        return {kind: asked.count(kind) for kind in asked}

    def chunks_asked(self) -> list[str]:
        """The keys of what was asked with GET since the last look."""
        return sorted(one["path"] for one in self.proxy.requests() if one["method"] == "GET")


@pytest.fixture
def counted(recorded: Proxy) -> Counted:
    return Counted(recorded, recorded.place())


@pytest.fixture
def chunked(counted: Counted) -> Iterator[str]:
    """An array of 4 x 3 chunks."""
    where = counted.place.at("a.zarr")
    zarrc.create_array(where, data=DATA, chunks=(10, 20), **counted.options)
    counted.requests()
    return where


def test_opening_to_read_is_one_get(counted: Counted, chunked: str) -> None:
    for opener in (zarrc.open, zarrc.open_array):
        opener(chunked, mode="r", **counted.options)
        assert counted.count() == {"GET": 1}


def test_opening_to_write_looks_for_a_transaction_too(counted: Counted, chunked: str) -> None:
    zarrc.open_array(chunked, mode="r+", **counted.options)
    asked = counted.chunks_asked()
    assert len(asked) <= 2
    assert all(key.endswith(("zarr.json", MARKER)) for key in asked)


def test_a_failing_open_names_the_document_and_not_the_marker(counted: Counted, chunked: str) -> None:
    relay = counted.proxy
    relay.ask("faults", rate=1.0, kinds=["500"], match=MARKER)
    with config.set({"storage.retries": 0}), pytest.raises(StoreError) as caught:
        zarrc.open_array(chunked, mode="r+", **counted.options)
    relay.ask("faults")
    assert caught.value.key == "zarr.json"
    assert MARKER not in str(caught.value)


def test_a_read_is_a_get_for_each_chunk(counted: Counted, chunked: str) -> None:
    array = zarrc.open_array(chunked, mode="r", **counted.options)
    counted.requests()
    np.testing.assert_array_equal(array[:], DATA)
    assert counted.count() == {"GET": 12}
    np.testing.assert_array_equal(array[5:15, 30:50], DATA[5:15, 30:50])
    assert counted.count() == {"GET": 4}
    np.testing.assert_array_equal(array[3, 3], DATA[3, 3])
    assert counted.count() == {"GET": 1}
    np.testing.assert_array_equal(array.oindex[[0, 39], [0, 59]], DATA[np.ix_([0, 39], [0, 59])])
    assert counted.count() == {"GET": 4}


def test_a_read_of_chunks_that_are_not_stored_is_a_get_for_each(counted: Counted) -> None:
    where = counted.place.at("empty")
    array = zarrc.create_array(where, shape=(30,), chunks=10, dtype="i4", **counted.options)
    counted.requests()
    assert not array[:].any()
    assert counted.count() == {"GET": 3}


def test_writing_whole_chunks_reads_nothing(counted: Counted, chunked: str) -> None:
    array = zarrc.open_array(chunked, mode="r+", **counted.options)
    counted.requests()
    array[:] = DATA + 1
    assert counted.count() == {"PUT": 12}
    array[10:20, :] = 1
    assert counted.count() == {"PUT": 3}
    array[10:30, 0:30] = 1
    assert counted.count() == {"GET": 2, "PUT": 4}


def test_the_edge_of_the_array_is_a_whole_chunk(counted: Counted) -> None:
    where = counted.place.at("edge")
    array = zarrc.create_array(where, shape=(25,), chunks=10, dtype="i4", **counted.options)
    counted.requests()
    array[:] = 1
    array[20:] = 2
    assert counted.count() == {"PUT": 4}


def test_creating_lists_nothing_and_writes_once(counted: Counted) -> None:
    zarrc.create_array(counted.place.at("new"), shape=(20,), chunks=10, dtype="i4", **counted.options)
    asked = counted.count()
    assert asked.pop("PUT") == 1
    # Whether there is a node already, of any kind: all of them at once.
    assert asked.pop("GET", 0) <= 4
    assert asked == {}
    zarrc.create_array(counted.place.at("data"), data=DATA, chunks=(10, 20), **counted.options)
    asked = counted.count()
    assert asked.pop("PUT") == 13
    assert asked.pop("GET", 0) <= 4
    assert asked == {}


def test_a_sharded_array_costs_a_request_for_each_shard(counted: Counted) -> None:
    where = counted.place.at("shards")
    zarrc.create_array(where, data=DATA, chunks=(5, 10), shards=(20, 30), **counted.options)
    array = zarrc.open_array(where, mode="r", **counted.options)
    counted.requests()
    np.testing.assert_array_equal(array[:], DATA)
    assert counted.count() == {"GET": 4}
    array = zarrc.open_array(where, mode="r+", **counted.options)
    counted.requests()
    array[:] = DATA
    assert counted.count() == {"PUT": 4}


def test_an_inner_chunk_costs_its_bytes_and_the_index(servers: Servers) -> None:
    counted = Counted(relay := servers.relay("gcs"), relay.place())
    where = counted.place.at("shard")
    data = np.random.default_rng(0).normal(size=(2000, 500))
    zarrc.create_array(where, data=data, chunks=(100, 100), shards=data.shape, **counted.options)
    array = zarrc.open_array(where, mode="r", **counted.options)
    counted.requests()
    np.testing.assert_array_equal(array[100:300, 50:60], data[100:300, 50:60])
    asked = relay.requests()
    assert len(asked) <= 3
    assert all(one["range"] for one in asked)
    assert sum(one["nbytes"] for one in asked) < 1_000_000  # of 8,000,000


def test_a_group_costs_a_get_for_each_node(counted: Counted) -> None:
    root = zarrc.open_group(counted.place.at("g"), mode="w", **counted.options)
    root.create_array("x/y", data=DATA, chunks=(40, 60))
    counted.requests()
    found = zarrc.open_group(counted.place.at("g"), mode="r", use_consolidated=False, **counted.options)
    assert counted.count() == {"GET": 1}
    found["x/y"]
    assert counted.count() == {"GET": 1}
    zarrc.consolidate_metadata(counted.place.at("g"), **counted.options)
    counted.requests()
    found = zarrc.open_group(counted.place.at("g"), mode="r", **counted.options)
    assert sorted(found) == ["x"]
    assert found["x"]["y"].shape == DATA.shape
    assert counted.count() == {"GET": 1}


def test_appending_reads_the_metadata_and_writes_the_new_chunks(counted: Counted, chunked: str) -> None:
    array = zarrc.open_array(chunked, mode="r+", **counted.options)
    counted.requests()
    array.append(DATA[:10])
    asked = counted.count()
    assert asked.pop("PUT") == 4
    assert asked.pop("GET", 0) <= 2
    assert asked == {}


def test_reading_over_http_is_a_get_for_each_chunk(http_server: HttpServer) -> None:
    place = http_server.place()
    zarrc.create_array(f"{place.folder}/a", data=DATA, chunks=(10, 20))
    array = zarrc.open_array(place.at("a"), mode="r")
    assert [one["method"] for one in http_server.ask("requests")] == ["GET"]
    http_server.ask("clear")
    np.testing.assert_array_equal(array[:], DATA)
    assert [one["method"] for one in http_server.ask("requests")] == ["GET"] * 12


# Creates the arrays that it is told of, and says whether it was the first.
CREATOR = """
import json, sys
import zarrc
from zarrc.errors import ContainsNodeError
for line in sys.stdin:
    url, options = json.loads(line)
    attributes = {"mine": int(sys.argv[1])}
    try:
        zarrc.create_array(url, shape=3, dtype="i1", attributes=attributes, storage_options=options)
    except ContainsNodeError:
        print("lost", flush=True)
    else:
        print("won", flush=True)
"""


@pytest.fixture(scope="module")
def creators(child_environment: dict[str, str]) -> Iterator[list[subprocess.Popen[str]]]:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, str(mine)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment,
            text=True,
        )
        for mine in range(2)
    ]
    yield children
    for child in children:
        child.communicate()


def test_of_two_processes_that_create_an_array_one_wins(
    remote_place: Place, creators: list[subprocess.Popen[str]]
) -> None:
    options = dict(remote_place.storage_options)
    for number in range(count(80)):
        where = remote_place.at(str(number))
        said = []
        for child in creators:
            assert child.stdin is not None
            child.stdin.write(json.dumps([where, options]) + "\n")
            child.stdin.flush()
        for child in creators:
            assert child.stdout is not None
            said.append(child.stdout.readline().strip())
        assert sorted(said) == ["lost", "won"]
        found = zarrc.open_array(where, mode="r", storage_options=options)
        assert found.attrs["mine"] == said.index("won")


def test_what_is_there_is_not_clobbered(counted: Counted, chunked: str) -> None:
    with pytest.raises(ContainsArrayError):
        zarrc.create_array(chunked, shape=3, dtype="i1", **counted.options)
    assert "PUT" not in counted.count()
    np.testing.assert_array_equal(zarrc.open_array(chunked, **counted.options)[:], DATA)
