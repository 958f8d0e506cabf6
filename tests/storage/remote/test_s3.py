"""What is special about S3: parts, conditions that servers ignore, buckets, errors that say little."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fsspec.asyn import sync

import zarrc
from tests.servers.child import free_port
from tests.servers.places import Place
from tests.servers.servers import Proxy, RemoteServer, Servers
from zarrc.config import config
from zarrc.errors import ContainsArrayError, StoreConflictError, StoreDeniedError, StoreError, ZarrcWarning
from zarrc.storage import FsspecStore, Store
from zarrc.storage.remote import s3
from zarrc.storage.remote.s3 import S3Driver

MIB = 2**20


def store_at(place: Place, **options: Any) -> Store:
    return FsspecStore.from_url(place.url, storage_options={**place.storage_options, **options})


@pytest.fixture
def relay(servers: Servers) -> Iterator[Proxy]:
    servers.server("s3")
    relay = servers.relay("s3")
    yield relay
    relay.ask("conditions")


@pytest.fixture
def unknown(relay: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """A server of which nobody knows whether it keeps conditions."""
    monkeypatch.setattr(s3, "_keeps", {})
    return relay


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PART_NBYTES", 5 * MIB)
    monkeypatch.setattr(s3, "_COPY_PART_NBYTES", 5 * MIB)


def methods(relay: Proxy) -> list[str]:
    return [
        one["method"] + ("?" + one["query"].partition("=")[0] if one["query"] else "")
        for one in relay.requests()
    ]


def test_a_large_object_goes_in_parts(relay: Proxy, small_parts: None) -> None:
    store = store_at(relay.place())
    body = np.random.default_rng(0).bytes(11 * MIB)
    store.set("x", body)
    assert sorted(methods(relay)) == ["POST?uploadId", "POST?uploads"] + ["PUT?uploadId"] * 3
    blob = store.get("x")
    assert blob is not None
    assert bytes(blob) == body
    assert methods(relay) == ["GET"]


# moto takes If-Match for an upload in parts, and ignores it.
@pytest.mark.filterwarnings("ignore:the S3 server")
def test_a_large_object_is_written_under_a_condition(relay: Proxy, small_parts: None) -> None:
    place = relay.place()
    store = store_at(place)
    body = bytes(11 * MIB)
    version = store.set_if("x", body, None)
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"1" + body, None)
    store.set_if("x", b"2" + body, version)
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"3" + body, version)
    assert store.is_conditional
    fs, path = place.file_system()
    assert fs.list_multipart_uploads(path.partition("/")[0]) == []
    assert fs.cat_file(path + "/x", start=0, end=2) == b"2\0"


def test_an_upload_that_fails_leaves_no_parts(relay: Proxy, small_parts: None) -> None:
    place = relay.place()
    store = store_at(
        place, config_kwargs={"s3": {"addressing_style": "path"}, "retries": {"max_attempts": 0}}
    )
    relay.ask("faults", rate=0.5, seed=1, kinds=["403"])
    for _ in range(4):
        with pytest.raises(StoreDeniedError):
            store.set("x", bytes(11 * MIB))
    relay.ask("faults")
    fs, path = place.file_system()
    left = fs.list_multipart_uploads(path.partition("/")[0])
    # Those remain whose abort was denied too.
    assert len(left) < 4
    assert store.get("x") is None


def test_a_large_object_is_copied_in_parts(relay: Proxy, small_parts: None) -> None:
    place = relay.place()
    store = store_at(place)
    body = np.random.default_rng(0).bytes(11 * MIB)
    store.set("x", body)
    fs, path = place.file_system()
    driver = S3Driver(fs)
    found = sync(fs.loop, driver.head, f"{path}/x")
    bucket, _, key = path.partition("/")
    whence = {"Bucket": bucket, "Key": f"{key}/x"}
    sync(fs.loop, driver._copy_parts, bucket, f"{key}/y", whence, found)
    assert fs.cat_file(f"{path}/y") == body


@pytest.mark.parametrize("how", ["ignore", "refuse"])
def test_a_server_without_conditions_is_found_out(unknown: Proxy, how: str) -> None:
    place = unknown.place()
    options = {"storage_options": dict(place.storage_options)}
    unknown.ask("conditions", how=how)
    with pytest.warns(ZarrcWarning, match="ignores conditional writes") as warned:
        zarrc.create_array(place.at("a"), data=np.ones(3), attributes={"n": 1}, **options)
    assert place.storage_options["endpoint_url"] in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ContainsArrayError):
            zarrc.create_array(place.at("a"), data=np.zeros(3), **options)
        store = store_at(place)
        assert not store.is_conditional
        # As good as it gets: among the threads of this process.
        version = store.set_if("x", b"first", None)
        with pytest.raises(StoreConflictError):
            store.set_if("x", b"second", None)
        store.set_if("x", b"third", version)
        with pytest.raises(StoreConflictError):
            store.set_if("x", b"fourth", version)
    blob = store.get("x")
    assert blob is not None
    assert bytes(blob) == b"third"


@pytest.mark.filterwarnings("ignore:the S3 server")
@pytest.mark.parametrize("how", ["ignore", "refuse"])
def test_the_first_conditional_write_clobbers_nothing(unknown: Proxy, how: str) -> None:
    store = store_at(unknown.place())
    store.set("x", b"there already")
    unknown.ask("conditions", how=how)
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"clobbered", None)
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"clobbered", '"another"')
    with pytest.raises(StoreConflictError):
        store.set_if("y", b"clobbered", '"another"')
    blob = store.get("x")
    assert blob is not None
    assert bytes(blob) == b"there already"
    assert store.get("y") is None


def test_a_server_with_conditions_is_proved_once(unknown: Proxy) -> None:
    store = store_at(unknown.place())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        version = store.set_if("x", b"first", None)
        unknown.requests()
        store.set_if("y", b"first", None)
        assert methods(unknown) == ["PUT"]
        version = store.set_if("x", b"second", version)
        unknown.requests()
        store.set_if("x", b"third", version)
        assert methods(unknown) == ["PUT"]
    assert store.is_conditional


def test_listings_have_pages(servers: Servers) -> None:
    place = servers.server("s3").place()
    store = store_at(place, s3_additional_kwargs={"MaxKeys": 3})
    keys = sorted(f"{name}/{number}" for name in "abcde" for number in range(4))
    store.set_many((key, b"") for key in keys)
    assert sorted(store.list_prefix("")) == keys
    assert store.list_dir("") == ([], list("abcde"))
    assert store.list_dir("a") == (list("0123"), [])
    assert len(dict(store.list_sizes("b"))) == 4


def test_what_stands_for_a_folder_is_no_object(servers: Servers) -> None:
    place = servers.server("s3").place()
    store = store_at(place)
    fs, path = place.file_system()
    for key in ("/a/", "/a/b/", "/"):
        fs.call_s3("put_object", Bucket=path.partition("/")[0], Key=path.partition("/")[2] + key, Body=b"")
    store.set("a/x", b"1")
    assert sorted(store.list_prefix("")) == ["a/x"]
    assert store.list_dir("") == ([], ["a"])
    assert store.list_dir("a").keys == ["x"]


def test_a_key_that_xml_cannot_say_is_deleted(servers: Servers) -> None:
    store = store_at(servers.server("s3").place())
    keys = ["plain", "bell\x07", "ampers&nd", "<tag>", "ctrl\x1b"]
    store.set_many((key, b"1") for key in keys)
    store.delete_many(keys)
    assert [store.get(key) for key in keys] == [None] * 5


# (fake-gcs-server says the same of a missing bucket as of a missing object.)
@pytest.fixture(params=["s3", "azure"])
def nowhere(request: pytest.FixtureRequest, servers: Servers) -> Store:
    """A store in a bucket that does not exist."""
    server: RemoteServer = servers.server(request.param)
    return store_at(server.place(bucket="not-made-by-anybody"))


def test_a_bucket_that_is_not_there_is_an_error(nowhere: Store) -> None:
    for action in (
        lambda: nowhere.get("x"),
        lambda: nowhere.get("x", (1, 2)),
        lambda: list(nowhere.get_many([("x", None)])),
        lambda: nowhere.set("x", b""),
        lambda: nowhere.set_many([("x", b"")]),
        lambda: nowhere.set_if("x", b"", None),
        lambda: nowhere.set_if("x", b"", '"1"'),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert not isinstance(caught.value, StoreConflictError)


def test_a_bucket_of_google_that_is_not_there_is_told_by_writing(servers: Servers) -> None:
    server: RemoteServer = servers.server("gcs")
    nowhere = store_at(server.place(bucket="not-made-by-anybody"))
    for action in (lambda: nowhere.set("x", b""), lambda: nowhere.set_if("x", b"", None)):
        with pytest.raises(StoreError, match="a bucket or container, is not there"):
            action()


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_looks_and_listings_in_a_bucket_that_is_not_there_are_errors(servers: Servers, kind: str) -> None:
    nowhere = store_at(servers.server(kind).place(bucket="not-made-by-anybody"))
    for action in (
        lambda: nowhere.stat("x"),
        lambda: list(nowhere.list_prefix("")),
        lambda: nowhere.list_dir(""),
        lambda: nowhere.delete("x"),
        lambda: nowhere.copy("x", "y"),
    ):
        with pytest.raises(StoreError, match=r"(?i)no ?such ?bucket|does not exist"):
            action()


def test_an_endpoint_where_nobody_listens_is_told_soon() -> None:
    options = {"key": "a", "secret": "b", "endpoint_url": f"http://127.0.0.1:{free_port()}"}
    begin = time.monotonic()
    with pytest.raises(StoreError, match=r"Could not connect .*\(tried 6 times\)"):
        zarrc.open("s3://tests/x", storage_options=options)
    assert time.monotonic() - begin < 10  # 3.1 s of pauses at most; it was 45


def test_the_clients_own_tries_are_kept_where_they_are_wanted(
    relay: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tries(**options: Any) -> int:
        store = store_at(relay.place(), skip_instance_cache=True, **options)
        relay.ask("faults", rate=1.0, kinds=["500"])
        with config.set({"storage.retries": 0}), pytest.raises(StoreError):
            store.get("x")
        relay.ask("faults")
        return len(relay.requests())

    assert tries() == 1
    assert tries(config_kwargs={"retries": {"total_max_attempts": 2}}) == 2
    monkeypatch.setattr("zarrc.storage.remote.retrying._tenacity", lambda: None)
    store = store_at(relay.place(), skip_instance_cache=True)
    assert isinstance(store, FsspecStore)
    assert "retries" not in store.fs.config_kwargs


def test_denied_is_not_absent(relay: Proxy) -> None:
    place = relay.place()
    array = zarrc.create_array(
        place.at("a"), data=np.ones(9), chunks=3, fill_value=-1, storage_options=dict(place.storage_options)
    )
    relay.ask("faults", rate=1.0, kinds=["403"], match="c/1")
    with pytest.raises(StoreDeniedError, match="c/1"):
        array[:]
