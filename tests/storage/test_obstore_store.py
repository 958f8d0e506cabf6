"""Stores of obstore as stores, on a server of S3 and in memory."""

from __future__ import annotations

import itertools

import fsspec
import numpy as np
import pytest
from obstore.fsspec import FsspecStore as ObstoreFileSystem
from obstore.store import LocalStore as ObstoreLocalStore
from obstore.store import MemoryStore, S3Store

import zarrc
from tests.servers.servers import RemoteServer
from zarrc.errors import NodeNotFoundError, StoreConflictError, StoreDeniedError, StoreError
from zarrc.storage import FsspecStore, LocalStore, Store, make_store
from zarrc.storage.obstore_store import ObstoreStore
from zarrc.testing import StoreTests
from zarrc.testing.together import in_child

numbers = itertools.count()


class TestInMemory(StoreTests):
    forks = False
    refused_keys = ("new\nline",)
    # obstore's memory does not pickle.
    pickles_by_place = False
    test_a_pickled_store_has_the_same_objects = None
    test_a_read_only_store_refuses_to_write = None

    @pytest.fixture
    def store(self) -> Store:
        return make_store(MemoryStore())[0]


class TestOnS3(StoreTests):
    forks = False
    refused_keys = ("new\nline",)
    effort = 0.02

    @pytest.fixture
    def store(self, s3_server: RemoteServer) -> Store:
        return make_store(s3_store(s3_server))[0]


def s3_store(server: RemoteServer, **changed: object) -> S3Store:
    place = server.place()
    bucket, _, prefix = place.url.removeprefix("s3://").partition("/")
    options = {
        "endpoint": place.storage_options["endpoint_url"],
        "access_key_id": place.storage_options["key"],
        "secret_access_key": place.storage_options["secret"],
        "region": "us-east-1",
        "virtual_hosted_style_request": False,
        **changed,
    }
    prefix = f"{prefix}/obstore-{next(numbers)}"
    return S3Store(bucket, prefix=prefix, client_options={"allow_http": True}, **options)


DATA = np.arange(100, dtype="f4").reshape(10, 10)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_in_obstores_memory_comes_back(zarr_format: int) -> None:
    memory = MemoryStore()
    zarrc.create_array(memory, data=DATA, chunks=(3, 4), zarr_format=zarr_format)
    assert (zarrc.open_array(memory)[:] == DATA).all()
    assert type(zarrc.open(memory).store) is ObstoreStore
    assert make_store(memory)[0].identity == make_store(memory)[0].identity
    assert make_store(memory)[0].identity != make_store(MemoryStore())[0].identity


def test_a_sharded_array_on_s3_comes_back(s3_server: RemoteServer) -> None:
    store = s3_store(s3_server)
    zarrc.create_array(store, data=DATA, chunks=(2, 2), shards=(4, 4))
    assert (zarrc.open_array(store, mode="r")[3:9, ::2] == DATA[3:9, ::2]).all()
    with pytest.raises(zarrc.errors.ContainsNodeError):
        zarrc.create_array(store, data=DATA)


def test_obstores_local_store_is_a_directory(tmp_path: object) -> None:
    store = make_store(ObstoreLocalStore(str(tmp_path)))[0]
    assert type(store) is LocalStore
    assert store.root == str(tmp_path)


def test_a_file_system_of_obstore_is_one_of_fsspec() -> None:
    fs = ObstoreFileSystem("memory")
    store = make_store(fs)[0]
    assert type(store) is FsspecStore
    store.set("a/x", b"data")
    assert bytes(store.get("a/x", (1, 2)) or b"") == b"at"


def test_any_file_system_of_fsspec_is_a_store() -> None:
    fs = fsspec.filesystem("dir", path="/obstore-tests", fs=fsspec.filesystem("memory"))
    store = make_store(fs)[0]
    store.set("a/x", b"data")
    assert fs.cat_file("a/x") == b"data"


def test_two_that_create_meet_at_the_service(s3_server: RemoteServer) -> None:
    store = s3_store(s3_server)
    mine, other = make_store(store)[0], make_store(store)[0]
    assert mine.is_conditional
    version = mine.set_if("x", b"mine", None)
    with pytest.raises(StoreConflictError, match="there already"):
        other.set_if("x", b"other", None)
    other.set_if("x", b"other", version)
    with pytest.raises(StoreConflictError, match="changed since"):
        mine.set_if("x", b"again", version)


SECRET = "hunter2/very+secret"


def test_secrets_are_in_no_text(s3_server: RemoteServer) -> None:
    raw = s3_store(s3_server, secret_access_key=SECRET)
    store = make_store(raw)[0]
    texts = [repr(store), str(store), repr(store.identity)]
    # Nobody listens there.
    gone = make_store(s3_store(s3_server, secret_access_key=SECRET, endpoint="http://127.0.0.1:9"))[0]
    with (
        zarrc.config.set({"storage.retries": 0, "storage.timeout": 5.0}),
        pytest.raises(StoreError) as caught,
    ):
        gone.get("x")
    texts.append(str(caught.value))
    assert not any(SECRET in text for text in texts)


def test_a_bucket_that_is_not_there_is_told(s3_server: RemoteServer) -> None:
    raw = S3Store("no-such-bucket", client_options={"allow_http": True}, **_config(s3_store(s3_server)))
    store = make_store(raw)[0]
    for action in (
        lambda: store.get("x"),
        lambda: store.get("x", (1, 2)),
        lambda: list(store.get_many([("x", None)])),
        lambda: store.stat("x"),
        lambda: store.set("x", b"data"),
        lambda: store.set_if("x", b"", None),
        lambda: store.set_if("x", b"", '"1"'),
        lambda: store.delete("x"),
        lambda: store.copy("x", "y"),
    ):
        with pytest.raises(StoreError, match=r"NoSuchBucket .*does not exist .*\bx") as caught:
            action()
        assert caught.value.key == "x"
        assert not isinstance(caught.value, (StoreConflictError, StoreDeniedError))
    for action in (lambda: list(store.list_prefix("")), lambda: store.list_dir("")):
        with pytest.raises(StoreError, match="NoSuchBucket"):
            action()
    with pytest.raises(StoreError, match="NoSuchBucket") as opening:
        zarrc.open(raw, mode="r")
    assert not isinstance(opening.value, NodeNotFoundError)


def test_an_object_that_is_not_there_is_none_in_a_bucket_that_is(s3_server: RemoteServer) -> None:
    store = make_store(s3_store(s3_server))[0]
    assert store.stat("x") is None
    assert store.get("x") is None
    # What a key says is not what the service says.
    assert store.get("<Code>NoSuchBucket</Code>") is None


def test_a_bucket_that_is_not_there_is_told_through_obstores_fsspec(s3_server: RemoteServer) -> None:
    fs = ObstoreFileSystem(
        "s3",
        config=_config(s3_store(s3_server)),
        client_options={"allow_http": True},
        skip_instance_cache=True,
    )
    with pytest.raises(StoreError, match="NoSuchBucket"):
        FsspecStore(fs, "no-such-bucket").get("x")


def _config(store: S3Store) -> dict[str, object]:
    return {name: value for name, value in store.config.items() if name not in ("bucket", "bucket_name")}


def test_a_forked_child_is_told_that_it_does_not_work() -> None:
    store = make_store(MemoryStore())[0]
    store.set("x", b"data")
    said = in_child(lambda: bytes(store.get("x") or b""))
    assert said == b"StoreError: obstore does not work in a forked child: start processes by 'spawn'"
