"""Stores, a hierarchy, and a transaction over it, for the tests of transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import zarrc
from zarrc.storage import LocalStore, MemoryStore, SQLiteStore, Store, WrapperStore, ZipStore

KINDS = ("memory", "sqlite", "zip", "local", "shared")


class SharedStore(WrapperStore):
    """A store as those on servers are: with conditional writes, and without changes in one step."""

    def __init__(self, store: Any = None) -> None:
        super().__init__(store)

    @property
    def is_atomic(self) -> bool:
        return False

    @property
    def is_conditional(self) -> bool:
        return True


class ElsewhereStore(SharedStore):
    """The same as another process has it: their locks do not know each other."""

    @property
    def identity(self) -> Any:
        return "elsewhere", id(self)

    def identity_of(self, prefix: str) -> Any:
        return "elsewhere", id(self), prefix


def make_store(kind: str, folder: Path) -> Store:
    """A new store of a kind."""
    if kind == "memory":
        return MemoryStore()
    if kind == "shared":
        return SharedStore(MemoryStore())
    if kind == "sqlite":
        return SQLiteStore(folder / "x.sqlite")
    return ZipStore(folder / "x.zip") if kind == "zip" else LocalStore(folder / "x.zarr")


@contextlib.contextmanager
def lease(seconds: float) -> Iterator[None]:
    """Have owners taken for dead after so many seconds, where a lease tells: in all threads."""
    old = zarrc.config.get("storage.transaction_lease")
    zarrc.config.set({"storage.transaction_lease": seconds})
    try:
        yield
    finally:
        zarrc.config.set({"storage.transaction_lease": old})


def contents(store: Store) -> dict[str, bytes]:
    """All objects that a listing shows."""
    found = {}
    for key in store.list_prefix(""):
        blob = store.get(key)
        assert blob is not None
        found[key] = bytes(blob)
    return found


def left_names(store: Store) -> list[str]:
    """What transactions left: names that listings hide, and, in a directory, empty directories."""
    below: Any = store
    while isinstance(below, WrapperStore):
        below = below.store
    if isinstance(below, MemoryStore):
        return [key for key in below._table.keys("") if ".zc" in key]
    if isinstance(below, LocalStore):
        root = Path(below.root)
        paths = list(root.rglob("*")) if root.exists() else []
        hidden = [str(path) for path in paths if path.name.startswith(".zc")]
        return hidden + [str(path) for path in paths if path.is_dir() and not any(path.iterdir())]
    return []


def fill(store: Store, zarr_format: Any = 3) -> None:
    """Store the hierarchy that `change` changes."""
    top = zarrc.create_group(store, zarr_format=zarr_format, attributes={"n": 0})
    top.create_array("grown", data=np.arange(40), chunks=(8,))
    top.create_array("cut", data=np.arange(40), chunks=(8,))
    top.create_array("gone", data=np.arange(10), chunks=(5,))
    top.create_array("anew", data=np.arange(12), chunks=(4,))
    below = top.create_group("deep/er", attributes={"x": 1})
    below.create_array("z", data=np.ones((6, 6)), chunks=(3, 3))
    if zarr_format == 3:
        top.create_array("sharded", data=np.arange(64), chunks=(4,), shards=(16,))


def change(top: Any, value: int = 7) -> None:
    """Change a bit of everything."""
    top["grown"][5:20] = value
    top["grown"].append(np.full(9, value))
    top["cut"].resize(11)
    top["cut"][0:3] = value
    del top["gone"]
    top.create_array("anew", data=np.full(7, value), chunks=(7,), overwrite=True)
    top["deep/er/z"][1:5, 1:5] = value
    top["deep/er"].attrs["x"] = value
    top.create_array("fresh/inner", data=np.full(5, value), chunks=(2,))
    top.attrs["n"] = value
    if "sharded" in top:
        top["sharded"][10:30] = value


def fill_little(store: Store) -> None:
    """Store a hierarchy that `change_little` changes, for servers that are slow."""
    top = zarrc.create_group(store, attributes={"n": 0})
    top.create_array("a", data=np.arange(6), chunks=(3,))


def change_little(top: Any) -> None:
    """Change it."""
    top["a"][2:4] = 7
    top["a"].append([7])
    top.create_array("b", data=[7])
    top.attrs["n"] = 7


def check(top: Any, *, changed: bool, value: int = 7) -> None:
    """Look at the values, of all or of nothing of a change."""
    grown, cut, z = np.arange(40), np.arange(40), np.ones((6, 6))
    if changed:
        grown = np.concatenate([grown, np.full(9, value)])
        grown[5:20] = value
        cut = cut[:11]
        cut[0:3] = value
        z[1:5, 1:5] = value
    assert top["grown"][...].tolist() == grown.tolist()
    assert top["cut"][...].tolist() == cut.tolist()
    assert top["deep/er/z"][...].tolist() == z.tolist()
    assert top["anew"][...].tolist() == ([value] * 7 if changed else list(range(12)))
    assert ("gone" in top) is not changed
    assert ("fresh/inner" in top) is changed
    assert top.attrs["n"] == (value if changed else 0)
    assert top["deep/er"].attrs["x"] == (value if changed else 1)
    if "sharded" in top:
        whole = np.arange(64)
        if changed:
            whole[10:30] = value
        assert top["sharded"][...].tolist() == whole.tolist()
