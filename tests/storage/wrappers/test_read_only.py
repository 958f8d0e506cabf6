"""A store that can only be read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from tests.storage.four_methods import FourMethods
from zarrc.errors import ReadOnlyError
from zarrc.storage import Changes, LocalStore, MemoryStore, ReadOnlyStore, Store


@pytest.fixture(params=["memory", "local", "four methods"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kinds: dict[str, Store] = {
        "memory": MemoryStore(),
        "local": LocalStore(tmp_path),
        "four methods": FourMethods({}),
    }
    kinds[request.param].set("x", b"1")
    return kinds[request.param]


def test_nothing_can_be_written(inner: Store) -> None:
    store = ReadOnlyStore(inner)
    for action in (
        lambda: store.set("x", b"2"),
        lambda: store.set_many([("x", b"2")]),
        lambda: store.set_if("y", b"2", None),
        lambda: store.delete("x"),
        lambda: store.delete_many(["x"]),
        lambda: store.delete_prefix(""),
        lambda: store.copy("x", "y"),
        lambda: store.copy_many([("x", "y")]),
        lambda: store.apply(Changes({}, inner, {}, ["x"])),
    ):
        with pytest.raises(ReadOnlyError, match="opened for reading only"):
            action()
    assert bytes(inner.get("x") or b"") == b"1"


def test_no_writable_store_comes_of_it(inner: Store) -> None:
    store = ReadOnlyStore(inner)
    assert store.with_read_only() is store
    with pytest.raises(ReadOnlyError, match="gives no writable store"):
        store.with_read_only(False)
    twin = pickle.loads(pickle.dumps(store))
    assert twin.read_only
    with pytest.raises(ReadOnlyError):
        twin.with_read_only(False)
    assert not inner.read_only


def test_arrays_can_be_read_and_not_be_written(inner: Store) -> None:
    data = np.arange(100).reshape(10, 10)
    zarr.create_array(inner, name="a", data=data, chunks=(5, 5))
    store = ReadOnlyStore(inner)
    array = zarr.open_array(store, path="a")
    np.testing.assert_array_equal(array[3:], data[3:])
    assert array.read_only
    actions: list[Any] = [
        lambda: array.__setitem__(0, 1),
        lambda: array.resize((20, 20)),
        lambda: array.append(data),
        lambda: array.attrs.update(x=1),
        lambda: zarr.open_array(store, path="a", mode="r+"),
        lambda: zarr.create_array(store, name="b", data=data),
        lambda: zarr.create_array(store, name="a", data=data, overwrite=True),
        lambda: zarr.open_group(store, mode="a"),
    ]
    for action in actions:
        with pytest.raises(ReadOnlyError):
            action()
    np.testing.assert_array_equal(zarr.open_array(inner, path="a")[:], data)


def test_the_engine_reads_as_fast_as_without(inner: Store) -> None:
    """Files and tables are read without Python: no method of the store is called for a chunk."""
    zarr.create_array(inner, name="a", data=np.arange(100), chunks=(5,))
    store = ReadOnlyStore(inner)
    called: list[str] = []
    array = zarr.open_array(store, path="a")
    assert array[0] == 0  # the first read looks at the document once more
    for name in ("get", "get_many", "get_into"):
        setattr(store._store, name, lambda *args, name=name: called.append(name))  # type: ignore[misc]
    if type(inner) is FourMethods:
        return
    assert array[:].sum() == 4950
    assert called == []
    assert store.local_root == inner.local_root
