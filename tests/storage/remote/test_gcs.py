"""Google Cloud Storage: requests, versions, conditions, uploads, failures."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.places import Place
from tests.servers.servers import Proxy, RemoteServer, Servers
from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreDeniedError, StoreError, StoreThrottledError
from zarrc.storage import FsspecStore
from zarrc.storage.remote import gcs

BODY = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def short_pauses() -> Iterator[None]:
    """Between one try and the next."""
    with config.set({"storage.retry_delay": 0.001, "storage.retries": 2}):
        yield


@pytest.fixture
def relay(servers: Servers) -> Iterator[Proxy]:
    """A proxy that records, and fails on command."""
    relay = servers.relay("gcs")
    yield relay
    relay.ask("faults")


@pytest.fixture
def place(relay: Proxy) -> Place:
    """A new folder behind it."""
    return relay.place()


@pytest.fixture
def store(place: Place, relay: Proxy) -> FsspecStore:
    """It as a store, in which ``a/x`` is."""
    store = FsspecStore.from_url(place.url, storage_options=dict(place.storage_options))
    assert isinstance(store, FsspecStore)
    store.set("a/x", BODY)
    relay.ask("clear")
    return store


def methods(relay: Proxy) -> list[str]:
    """What was asked since the last time."""
    return [record["method"] for record in relay.requests()]


def test_each_step_is_one_request(store: FsspecStore, relay: Proxy) -> None:
    whole = store.get("a/x")
    part = store.get("a/x", (10, 20))
    suffix = store.get("a/x", (-20, None))
    rest = store.get("a/x", (1000, None))
    assert methods(relay) == ["GET"] * 4
    assert [bytes(blob or b"") for blob in (whole, part, suffix, rest)] == [
        BODY,
        BODY[10:30],
        BODY[-20:],
        BODY[1000:],
    ]
    stat = store.stat("a/x")
    assert methods(relay) == ["GET"]
    assert stat is not None
    assert {blob.version for blob in (whole, part, suffix, rest) if blob is not None} == {stat.version}
    assert {blob.object_nbytes for blob in (whole, part, suffix, rest) if blob is not None} == {1024}
    assert store.get("a/y") is None
    assert store.stat("a/y") is None
    assert methods(relay) == ["GET", "GET"]
    store.set("a/y", b"new")
    version = store.set_if("a/z", b"new", None)
    version = store.set_if("a/z", b"newer", version)
    assert methods(relay) == ["POST"] * 3
    store.copy("a/z", "a/copy")
    assert methods(relay) == ["POST"]
    store.delete("a/z")
    store.delete("a/z")
    assert methods(relay) == ["DELETE", "DELETE"]
    assert sorted(store.list_prefix("a")) == ["a/copy", "a/x", "a/y"]
    assert dict(store.list_sizes("")) == {"a/copy": 5, "a/x": 1024, "a/y": 3}
    assert store.list_dir("") == ([], ["a"])
    assert methods(relay) == ["GET"] * 3
    with pytest.raises(StoreError, match="there is no such object to copy"):
        store.copy("a/gone", "a/copy")
    assert bytes(store.get("a/copy") or b"") == b"newer"


def test_conditions_hold_among_all_writers(store: FsspecStore, place: Place) -> None:
    assert store.is_conditional
    other = FsspecStore.from_url(
        place.url, storage_options={**place.storage_options, "skip_instance_cache": True}
    )
    blob = store.get("a/x")
    assert blob is not None
    with pytest.raises(StoreConflictError, match="there already") as caught:
        other.set_if("a/x", b"", None)
    assert caught.value.key == "a/x"
    other.set("a/x", b"by the other")
    with pytest.raises(StoreConflictError, match="changed since"):
        store.set_if("a/x", b"mine", blob.version)
    other.delete("a/x")
    for version in (blob.version, "content-0", "", '"etag"'):
        with pytest.raises(StoreConflictError, match="changed since"):
            store.set_if("a/x", b"mine", version)
    assert store.get("a/x") is None


def test_a_conditional_write_whose_answer_was_lost_is_no_conflict(store: FsspecStore, relay: Proxy) -> None:
    for fault in ("drop_after", "500_after"):
        lost = threading.Event()
        for number in range(20):
            # The first answer is lost with the seed at hand, or a later one, or none.
            relay.ask("faults", rate=0.5, seed=number, kinds=[fault], match="upload")
            with config.set({"storage.retries": 20}):
                version = store.set_if(f"{fault}/{number}", b"%d" % number, None)
                version = store.set_if(f"{fault}/{number}", b"again %d" % number, version)
            if any(record["fault"] for record in relay.requests()):
                lost.set()
            relay.ask("faults")
            blob = store.get(f"{fault}/{number}")
            assert blob is not None
            assert bytes(blob) == b"again %d" % number
            assert blob.version == version
        assert lost.is_set()


def test_data_that_look_like_a_boundary_are_data(store: FsspecStore) -> None:
    for number, data in enumerate((b"--==0==--", b"\r\n--==0==\r\n", b"--", b"\r\n", b"\r\n--", b"")):
        store.set(f"b/{number}", data)
        blob = store.get(f"b/{number}")
        assert blob is not None
        assert bytes(blob) == data


def test_large_objects_are_written_in_parts(
    store: FsspecStore, relay: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "_PART_NBYTES", 2**18)
    data = bytes(range(256)) * 2500
    store.set("large", data)
    assert methods(relay) == ["POST", "PUT", "PUT", "PUT"]
    blob = store.get("large")
    assert blob is not None
    assert bytes(blob) == data
    version = store.set_if("large", data[::-1], blob.version)
    now = store.get("large")
    assert now is not None
    assert bytes(now) == data[::-1]
    assert now.version == version
    store.set_many((f"large/{number}", data) for number in range(3))
    assert all(bytes(store.get(f"large/{number}") or b"") == data for number in range(3))


@pytest.mark.parametrize(
    ("fault", "kind", "tries"),
    [("403", StoreDeniedError, 1), ("500", StoreError, 3), ("503", StoreThrottledError, 3)],
)
def test_failures_name_key_and_cause_and_are_never_absence(
    store: FsspecStore, relay: Proxy, fault: str, kind: type[StoreError], tries: int
) -> None:
    relay.ask("faults", rate=1.0, kinds=[fault])
    for action in (
        lambda: store.get("a/x"),
        lambda: store.get("a/x", (1, 2)),
        lambda: store.get("a/x", (1, None)),
        lambda: store.get("a/x", (-1, None)),
        lambda: store.stat("a/x"),
        lambda: store.set("a/x", b""),
        lambda: store.set_if("a/x", b"", None),
        lambda: store.copy("a/x", "a/y"),
        lambda: store.delete("a/x"),
        lambda: list(store.get_many([("a/x", None)])),
        lambda: store.set_many([("a/x", b"")]),
        lambda: store.delete_many(["a/x"]),
    ):
        relay.requests()
        with pytest.raises(StoreError, match=f"status {fault}") as caught:
            action()
        assert type(caught.value) is kind
        assert caught.value.key == "a/x"
        assert len(relay.requests()) == tries
    for action in (lambda: list(store.list_prefix("")), lambda: store.list_dir("a")):
        with pytest.raises(StoreError, match=f"status {fault}") as caught:
            action()
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    "kinds", [["truncate"], ["drop_before", "drop_after", "cut_head"], ["500", "503", "delay"]]
)
def test_everything_is_right_through_a_bad_connection(
    store: FsspecStore, relay: Proxy, kinds: list[str]
) -> None:
    relay.ask("faults", rate=0.3, seed=4, kinds=kinds)
    with config.set({"storage.retries": 30}):
        objects = {f"n/{number}": b"%d" % number * number for number in range(60)}
        store.set_many(objects.items())
        asked = [(key, None) for key in objects] + [(key, (0, 1)) for key in list(objects)[1:]]
        for number, blob in store.get_many(asked):
            key, part = asked[number]
            assert bytes(blob or b"") == (objects[key] if part is None else objects[key][:1])
        assert sorted(store.list_prefix("n")) == sorted(objects)
        store.delete_prefix("n")
        assert list(store.list_prefix("n")) == []


def test_a_bucket_that_is_not_there_is_an_error(gcs_server: RemoteServer, place: Place) -> None:
    store = FsspecStore.from_url("gs://no-such-bucket/x", storage_options=dict(place.storage_options))
    for action in (
        lambda: list(store.list_prefix("")),
        lambda: store.list_dir("a"),
        lambda: store.set("x", b""),
        lambda: store.set_if("x", b"", None),
    ):
        with pytest.raises(StoreError, match="404"):
            action()


def test_a_listing_of_many_pages_is_whole(store: FsspecStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_PAGE", 3)
    store.set_many((f"p/{number}/x", b"x") for number in range(10))
    assert sorted(store.list_prefix("p")) == [f"p/{number}/x" for number in range(10)]
    assert store.list_dir("p").prefixes == [str(number) for number in range(10)]


def test_the_extended_file_system_is_not_asked_what_the_bucket_is(place: Place) -> None:
    # It asks by another protocol, for which this server lets it wait a minute.
    code = f"""
import gcsfs, time
from zarrc.storage import FsspecStore
store = FsspecStore.from_url({place.url!r}, storage_options={dict(place.storage_options)!r})
assert type(store.fs).__name__ == "ExtendedGcsFileSystem"
began = time.monotonic()
store.set("a/x", b"data")
assert bytes(store.get("a/x")) == b"data"
assert bytes(store.get("a/x", (1, 2))) == b"at"
assert list(store.list_prefix("")) == ["a/x"]
assert store.list_dir("a").keys == ["x"]
store.delete_prefix("")
assert store.stat("a/x") is None
assert time.monotonic() - began < 20
"""
    import os

    environment: dict[str, Any] = {**os.environ, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
