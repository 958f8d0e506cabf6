"""The suite of stores on zarr-python's stores and icechunk's; run in the peers' environment, by
``test_zarr_python_store.py``."""

from __future__ import annotations

import itertools
import pickle
import re
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr
import zarr.storage

import zarrc
from zarrc.errors import ReadOnlyError, StoreError
from zarrc.storage import FsspecStore, LocalStore, Store, make_store
from zarrc.storage.obstore_store import ObstoreStore
from zarrc.storage.zarr_python_store import ZarrPythonStore
from zarrc.testing import ChunksByNumber, StoreTests

numbers = itertools.count()


class TestMemory(StoreTests):
    # It takes its objects along when it is pickled.
    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        store = make_store(zarr.storage.MemoryStore())[0]
        assert type(store) is ZarrPythonStore
        return store


class TestWrapped(StoreTests):
    """A class of which only the interface is known."""

    pickles_by_place = False

    @pytest.fixture
    def store(self) -> Store:
        return make_store(zarr.storage.WrapperStore(zarr.storage.MemoryStore()))[0]


class TestLocal(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store = make_store(zarr.storage.LocalStore(tmp_path))[0]
        assert type(store) is LocalStore
        return store


class TestFsspec(StoreTests):
    keys_nest = False

    @pytest.fixture
    def store(self) -> Store:
        store = make_store(zarr.storage.FsspecStore.from_url(f"memory://adapters-{next(numbers)}"))[0]
        assert type(store) is FsspecStore
        return store


class TestObstore(StoreTests):
    forks = False
    refused_keys = ("new\nline",)
    pickles_by_place = False
    test_a_pickled_store_has_the_same_objects = None
    test_a_read_only_store_refuses_to_write = None

    @pytest.fixture
    def store(self) -> Store:
        from obstore.store import MemoryStore

        store = make_store(zarr.storage.ObjectStore(MemoryStore()))[0]
        assert type(store) is ObstoreStore
        return store


class TestIcechunk(StoreTests):
    """Ranges, contents, versions, threads: through names that icechunk takes."""

    forks = False
    pickles_by_place = False
    # It refuses chunks of no bytes, since no array has one.
    test_an_empty_object_is_not_absent = None
    test_list_sizes_gives_the_keys_and_sizes = None
    test_a_copy_has_the_bytes_of_its_source = None
    test_stat_many_answers_each_key_once = None
    test_a_store_with_objects_has_no_missing_hint = None
    test_stars_in_keys_are_letters = None
    test_delete_prefix_deletes_what_is_below_it = None
    # A session that writes is not pickled.
    test_a_pickled_store_has_the_same_objects = None
    test_a_read_only_store_refuses_to_write = None

    @pytest.fixture
    def store(self) -> Store:
        repository = icechunk.Repository.create(icechunk.in_memory_storage())
        return ChunksByNumber(make_store(repository.writable_session("main").store)[0])


DATA = np.arange(100, dtype="f4").reshape(10, 10)


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path)))


def test_a_hierarchy_goes_into_icechunk_and_is_read_by_zarr_python(repository: Any) -> None:
    session = repository.writable_session("main")
    root = zarrc.create_group(session.store, attributes={"who": "zarrc"})
    root.create_array("t/a", data=DATA, chunks=(3, 4))
    root.create_array("t/sharded", data=DATA, chunks=(2, 2), shards=(4, 4))
    assert sorted(root["t"]) == ["a", "sharded"]
    with pytest.raises(zarrc.errors.ContainsNodeError):
        root.create_array("t/a", data=DATA)
    session.commit("by zarrc")
    read = zarr.open_group(repository.readonly_session("main").store, mode="r")
    assert dict(read.attrs) == {"who": "zarrc"}
    for name in ("t/a", "t/sharded"):
        assert (np.asarray(read[name]) == DATA).all()


def test_what_zarr_python_wrote_into_icechunk_is_read(repository: Any) -> None:
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="x", data=DATA, chunks=(3, 4))
    session.commit("by zarr-python")
    store = repository.readonly_session("main").store
    array = zarrc.open_array(store, path="x")
    assert (array[2:9, ::3] == DATA[2:9, ::3]).all()
    assert array.read_only or array.store.read_only
    with pytest.raises(ReadOnlyError):
        array[0, 0] = 1
    twin = pickle.loads(pickle.dumps(make_store(store)[0]))
    assert (zarrc.open_array(twin, path="x")[:] == DATA).all()


def test_a_key_that_icechunk_cannot_have_is_absent_and_cannot_be_set(repository: Any) -> None:
    store = make_store(repository.writable_session("main").store)[0]
    assert store.get("any/name") is None
    assert store.stat("any/name") is None
    store.delete("any/name")
    with pytest.raises(StoreError, match=re.escape("only keys of Zarr's documents and chunks")):
        store.set("any/name", b"data")


def test_an_overwritten_array_in_icechunk_leaves_nothing(repository: Any) -> None:
    store = repository.writable_session("main").store
    zarrc.create_array(store, name="x", data=DATA, chunks=(3, 4))
    zarrc.create_array(store, name="x", shape=(2, 2), dtype="f4", chunks=(1, 1), overwrite=True)
    found = [key for key in make_store(store)[0].list_prefix("x") if "zarr.json" not in key]
    assert found == []


def test_it_is_used_inside_a_running_event_loop() -> None:
    import asyncio

    async def inside() -> Any:
        memory = zarr.storage.MemoryStore()
        zarrc.save_array(memory, DATA)
        return zarrc.load(memory)

    assert (asyncio.run(inside()) == DATA).all()


def test_zarr_python_and_zarrc_share_a_store() -> None:
    memory = zarr.storage.MemoryStore()
    zarr.create_array(memory, name="x", data=DATA, chunks=(3, 4))
    array = zarrc.open_array(memory, path="x")
    array[0] = 7
    assert (np.asarray(zarr.open_array(memory, path="x"))[0] == 7).all()
    assert make_store(memory)[0].identity == make_store(memory)[0].identity


def test_a_read_only_store_stays_so() -> None:
    memory = zarr.storage.MemoryStore()
    zarrc.save_array(memory, DATA)
    reader = make_store(memory.with_read_only(True))[0]
    assert reader.read_only
    with pytest.raises(ReadOnlyError):
        reader.set("x", b"")


def test_an_exception_of_the_store_is_an_error_and_never_fill() -> None:
    class Torn(zarr.storage.MemoryStore):
        async def get(self, key: str, *rest: Any, **more: Any) -> Any:
            if key.startswith("c/"):
                raise KeyError("the tape is torn")
            return await super().get(key, *rest, **more)

    store = Torn()
    zarrc.save_array(store, DATA)
    with pytest.raises(StoreError, match="torn") as caught:
        zarrc.load(store)
    assert str(caught.value.key).startswith("c/")
