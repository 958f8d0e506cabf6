"""What is below a prefix, as a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from tests.soak import count
from tests.storage.four_methods import FourMethods
from zarrc.errors import ArrayNotFoundError, StoreConflictError, StoreError
from zarrc.storage import LocalStore, MemoryStore, PrefixStore, Store, WrapperStore
from zarrc.testing.together import count_together


@pytest.fixture(params=["memory", "local", "four methods"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kinds: dict[str, Store] = {
        "memory": MemoryStore(),
        "local": LocalStore(tmp_path),
        "four methods": FourMethods({}),
    }
    return kinds[request.param]


def test_objects_are_below_the_prefix(inner: Store) -> None:
    PrefixStore(inner, "a/b/").set("x", b"1")
    assert list(inner.list_prefix("")) == ["a/b/x"]
    assert list(PrefixStore(PrefixStore(inner, "a"), "b").list_prefix("")) == ["x"]
    assert list(PrefixStore(inner, "").list_prefix("")) == ["a/b/x"]
    assert PrefixStore(inner, "a/b").prefix == "a/b"
    assert str(PrefixStore(inner, "a/b")) == f"{inner}/a/b"


@pytest.mark.parametrize("prefix", ["..", "a//b", "/a", "a\\b"])
def test_a_hostile_prefix_is_refused(inner: Store, prefix: str) -> None:
    with pytest.raises(StoreError, match="not a legal key"):
        PrefixStore(inner, prefix)


def test_errors_name_the_users_keys(inner: Store) -> None:
    store = PrefixStore(inner, "a/b")
    store.set("x", b"12345")
    for action in (
        lambda: store.get("x", (9, 1)),
        lambda: list(store.get_many([("x", (9, 1))])),
        lambda: store.get_into("x", bytearray(2)),
        lambda: store.set_if("x", b"", None),
        lambda: store.with_read_only().set("x", b""),
    ):
        with pytest.raises((StoreError, zarr.errors.ReadOnlyError)) as caught:
            action()
        assert caught.value.key == "x"
    with pytest.raises(StoreError) as caught:
        store.get("a/b/../x")
    assert caught.value.key == "a/b/../x"
    with pytest.raises(StoreConflictError, match=r"\(key 'x'\)"):
        store.set_if("x", b"", None)


def test_identities_are_those_of_the_places(inner: Store) -> None:
    first, second = PrefixStore(inner, "a"), PrefixStore(inner, "a/b")
    assert first.identity == inner.identity_of("a")
    assert first.identity_of("b/c") == second.identity_of("c") == inner.identity_of("a/b/c")
    assert PrefixStore(first, "b").identity == second.identity
    assert first.identity != second.identity


def test_locks_of_two_prefixes_agree(inner: Store) -> None:
    places = [(inner, "a/b/n"), (PrefixStore(inner, "a"), "b/n"), (PrefixStore(inner, "a/b"), "n")]
    assert count_together(*places, rounds=count(100)) == 3 * count(100)


def test_the_engine_works_on_the_files(tmp_path: Path) -> None:
    store = PrefixStore(LocalStore(tmp_path), "a/b")
    assert store.local_root == str(tmp_path / "a" / "b")
    data = np.arange(100).reshape(10, 10)
    array = zarr.create_array(store, name="x", data=data, chunks=(5, 5))
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a" / "b" / "x")[:], data)
    np.testing.assert_array_equal(array[:], data)
    # Two handles by two ways are one array to the locks.
    assert array == zarr.open_array(LocalStore(tmp_path), path="a/b/x")
    zarr.open_array(store, path="x", mode="r+", config={"locking": "file"})[0] = 1


def test_a_store_that_sees_is_not_gone_past(tmp_path: Path) -> None:
    class Seeing(LocalStore):
        def get(self, key: str, range: Any = None) -> Any:
            raise StoreError("seen", key=key)

    assert PrefixStore(Seeing(tmp_path), "a").local_root is None
    assert PrefixStore(WrapperStore(LocalStore(tmp_path)), "a").local_root is None
    assert PrefixStore(PrefixStore(LocalStore(tmp_path), "a"), "b").local_root == str(tmp_path / "a/b")


def test_nothing_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ArrayNotFoundError, match="there is no directory"):
        zarr.open_array(PrefixStore(LocalStore(tmp_path), "none"))
