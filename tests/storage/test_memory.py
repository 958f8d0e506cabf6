"""Memory stores: names, copies, what is shared."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from zarrc.errors import ReadOnlyError, StoreError
from zarrc.storage import MemoryStore
from zarrc.testing.together import in_child


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.node.name
    MemoryStore.forget(request.node.name)


def test_two_stores_of_one_name_share_a_table(name: str) -> None:
    MemoryStore(name=name).set("x", b"data")
    other = MemoryStore(name=name)
    assert bytes(other.get("x") or b"") == b"data"
    assert other.identity == MemoryStore(name=name).identity
    assert other.identity != MemoryStore(name=name + "2").identity
    MemoryStore.forget(name + "2")


def test_a_name_that_was_forgotten_starts_anew(name: str) -> None:
    old = MemoryStore(name=name)
    old.set("x", b"data")
    MemoryStore.forget(name)
    MemoryStore.forget(name)
    assert MemoryStore(name=name).get("x") is None
    assert old.get("x") is not None
    assert old.identity != MemoryStore(name=name).identity


def test_stores_without_a_name_share_nothing() -> None:
    one, other = MemoryStore(), MemoryStore()
    one.set("x", b"")
    assert other.get("x") is None
    assert one.identity != other.identity


def test_a_store_can_start_with_objects() -> None:
    objects = {"a/x": b"data", "b": np.arange(3, dtype="u1")}
    store = MemoryStore(objects)
    objects["a/x"] = b"other"
    assert bytes(store.get("a/x") or b"") == b"data"
    assert bytes(store.get("b") or b"") == b"\0\1\2"
    with pytest.raises(StoreError, match="not a legal key"):
        MemoryStore({"../x": b""})


def test_getting_copies_nothing() -> None:
    store = MemoryStore()
    store.set("x", bytes(10_000))
    one, other = store.get("x"), store.get("x", (100, None))
    assert np.frombuffer(one, "u1").ctypes.data + 100 == np.frombuffer(other, "u1").ctypes.data


def test_the_table_of_a_store_without_a_name_dies_with_it() -> None:
    store = MemoryStore()
    watch = weakref.ref(store)
    del store
    gc.collect()
    assert watch() is None


def test_a_named_store_is_pickled_as_its_name(name: str) -> None:
    store = MemoryStore(name=name, read_only=True)
    data = pickle.dumps(store)
    assert pickle.loads(data).identity == store.identity
    with pytest.raises(ReadOnlyError):
        pickle.loads(data).set("x", b"")
    MemoryStore.forget(name)
    with pytest.raises(StoreError, match="memory of another process"):
        pickle.loads(data)


def size_of_x(store: MemoryStore) -> int:
    blob = store.get("x")
    return -1 if blob is None else blob.nbytes


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_store_without_a_name_goes_to_other_processes_as_a_copy(method: str) -> None:
    store = MemoryStore({"x": bytes(77)})
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(size_of_x, (store,)) == 77


def test_a_forked_child_has_a_table_of_its_own(name: str) -> None:
    store = MemoryStore({"x": b"parent"}, name=name)

    def child() -> bytes:
        MemoryStore(name=name).set("x", b"child")
        return bytes(store.get("x") or b"")

    assert in_child(child) == b"child"
    assert bytes(store.get("x") or b"") == b"parent"


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="int"):
        MemoryStore(name=3)  # type: ignore[arg-type]


def test_the_names_are_listed(name: str) -> None:
    assert name not in MemoryStore.names()
    MemoryStore(name=name)
    assert name in MemoryStore.names()
    assert MemoryStore.names() == sorted(MemoryStore.names())
    MemoryStore.forget(name)
    assert name not in MemoryStore.names()


def test_a_copy_shares_the_bytes() -> None:
    store = MemoryStore({"x": bytes(10_000)})
    store.copy("x", "a/y")
    one, other = store.get("x"), store.get("a/y")
    assert np.frombuffer(one, "u1").ctypes.data == np.frombuffer(other, "u1").ctypes.data  # type: ignore[arg-type]
    store.set("x", b"new")
    assert bytes(store.get("a/y") or b"") == bytes(10_000)
    with pytest.raises(StoreError, match="no such object"):
        store.copy("nothing", "x")
    assert bytes(store.get("x") or b"") == b"new"
