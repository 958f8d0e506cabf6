"""A wrapper passes everything on."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

import zarrc as zarr
from zarrc.errors import ReadOnlyError
from zarrc.storage import LocalStore, MemoryStore, Store, StorePath
from zarrc.storage.wrappers.base import WrapperStore


def contract() -> list[str]:
    """The public methods and properties of a store."""
    return sorted(
        name
        for name, value in vars(Store).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    )


class Spy(Store):
    """Notes what is called, and answers with a mark of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["calls"] = []

    get = set = delete = list_prefix = None  # type: ignore[assignment]


def _spying(name: str) -> Any:
    def method(self: Spy, *args: object, **named: object) -> object:
        self.__dict__["calls"].append((name, args, named))
        return ("answer of", name)

    return method


for _name in contract():
    if isinstance(vars(Store)[_name], property):
        setattr(Spy, _name, property(_spying(_name)))
    else:
        setattr(Spy, _name, _spying(_name))
Spy.__abstractmethods__ = frozenset()

# What a wrapper says itself: its files are not the wrapped store's to whoever looks for them.
OWN = {"local_root", "with_read_only", "below"}
RETURNS_NOTHING = {
    "set",
    "delete",
    "set_many",
    "delete_many",
    "delete_prefix",
    "copy",
    "copy_many",
    "close",
    "flush",
    "apply",
}


@pytest.mark.parametrize("name", contract())
def test_every_method_of_the_contract_is_passed_on(name: str) -> None:
    assert name in vars(WrapperStore), f"WrapperStore does not pass {name} on"
    if name in OWN:
        return
    spy = Spy()
    store = WrapperStore(spy)
    value = vars(Store)[name]
    if isinstance(value, property):
        assert getattr(store, name) == ("answer of", name)
        return
    parameters = list(inspect.signature(value).parameters)[1:]
    mine = inspect.signature(getattr(WrapperStore, name))
    # Not every store takes the bound: `tests/storage/remote/test_most.py`.
    own = [one for one in mine.parameters.values() if one.name != "most"]
    assert mine.replace(parameters=own) == inspect.signature(value)
    arguments = [object() for _ in parameters]
    answer = getattr(store, name)(*arguments)
    assert spy.__dict__["calls"] == [(name, tuple(arguments), {})]
    assert answer == (None if name in RETURNS_NOTHING else ("answer of", name))


def test_a_context_closes_the_wrapped_store() -> None:
    spy = Spy()
    with WrapperStore(spy) as store:
        assert store.store is spy
    assert spy.__dict__["calls"] == [("close", (), {})]


def test_it_is_the_same_place() -> None:
    inner = MemoryStore()
    store = WrapperStore(WrapperStore(inner))
    assert store.identity == inner.identity
    assert store.identity_of("a/") == inner.identity_of("a")
    assert str(store) == f"wrapper(wrapper({inner}))"
    assert repr(store) == f"WrapperStore(WrapperStore({inner!r}))"


def test_read_only_twins() -> None:
    store = WrapperStore(MemoryStore())
    reader = store.with_read_only()
    assert (store.read_only, reader.read_only) == (False, True)
    assert type(reader) is WrapperStore
    with pytest.raises(ReadOnlyError):
        reader.set("x", b"")
    reader.with_read_only(False).set("x", b"1")
    assert bytes(store.get("x") or b"") == b"1"
    assert reader.with_read_only() is reader


def test_what_is_passed_as_a_store_can_be_wrapped(tmp_path: Any) -> None:
    assert type(WrapperStore(tmp_path).store) is LocalStore
    assert type(WrapperStore(None).store) is MemoryStore
    inner = MemoryStore({"a/b/x": b"1"})
    below = WrapperStore(StorePath(inner, "a/b"))
    assert bytes(below.get("x") or b"") == b"1"
    with pytest.raises(TypeError, match="a store is a path"):
        WrapperStore(3)  # type: ignore[arg-type]


def test_copies_and_pickles(tmp_path: Any) -> None:
    store = WrapperStore(LocalStore(tmp_path))
    store.set("x", b"1")
    assert copy.copy(store).store is store.store
    twin = pickle.loads(pickle.dumps(store))
    assert bytes(twin.get("x")) == b"1"
    assert twin.identity == store.identity


def test_a_subclass_sees_what_the_engine_does(tmp_path: Any) -> None:
    """Also one over a directory, whose files the engine else reads by itself."""
    seen = []

    class Seeing(WrapperStore):
        def get(self, key: str, range: Any = None) -> Any:
            seen.append(key)
            return super().get(key, range)

        def get_many(self, requests: Any) -> Any:
            for number, (key, range) in enumerate(requests):
                yield number, self.get(key, range)

    zarr.create_array(tmp_path / "x", data=[1, 2, 3], chunks=(2,))
    array = zarr.open_array(Seeing(tmp_path / "x"))
    assert list(array[:]) == [1, 2, 3]
    assert set(seen) >= {"c/0", "c/1", "zarr.json"}


def test_file_locks_work_through_a_wrapper(tmp_path: Any) -> None:
    zarr.create_array(tmp_path / "x", data=[1, 2, 3], chunks=(2,))
    store = WrapperStore(tmp_path)
    assert store.lock_path("x/c/0") == str(tmp_path / "x/c/0")
    array = zarr.open_array(store, path="x", mode="r+", config={"locking": "file"})
    array[1] = 9
    array.resize((5,))
    assert list(zarr.open_array(tmp_path / "x")[:]) == [1, 9, 3, 0, 0]


def test_below_is_around_what_is_below() -> None:
    class Staged(MemoryStore):
        @property
        def below(self) -> Store:
            return inner

    inner = MemoryStore()
    store = WrapperStore(MemoryStore())
    assert store.below is store
    around = WrapperStore(Staged()).below
    assert type(around) is WrapperStore
    assert around.store is inner
