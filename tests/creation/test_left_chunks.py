"""What an interrupted delete left is no part of a new array, and what is no part of a node is not deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import ContainsNodeError, StoreError
from zarrc.storage import LocalStore, MemoryStore

_KEYS: dict[str, dict[str, Any]] = {
    "v3": {},
    "v3 dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "v3 as v2": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "v2": {"zarr_format": 2},
    "v2 slashes": {"zarr_format": 2, "dimension_separator": "/"},
}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return LocalStore(tmp_path / "k") if request.param == "local" else MemoryStore()


@pytest.mark.parametrize("path", ["", "a", "g/a"])
@pytest.mark.parametrize("keys", _KEYS)
def test_chunks_of_a_deleted_array_do_not_come_back(store: Any, path: str, keys: str) -> None:
    keywords = {"chunks": (2, 2), **_KEYS[keys]}
    zarrc.create_array(store, name=path or None, data=np.arange(16).reshape(4, 4) + 1, **keywords)
    start = f"{path}/" if path else ""
    for name in ("zarr.json", ".zarray", ".zattrs"):
        store.delete(f"{start}{name}")
    new: Any = {"shape": (4, 4), "dtype": "i8", **keywords}
    for smaller in ((4, 4), (1, 1)):
        with pytest.raises(ContainsNodeError, match=r"would be a chunk of the new array.*overwrite=True"):
            zarrc.create_array(store, name=path or None, **{**new, "shape": smaller})
    with pytest.raises(ContainsNodeError, match="would be a chunk"):
        zarrc.open_array(store, path=path or None, mode="a", **new)
    made: Any = zarrc.create_array(store, name=path or None, overwrite=True, **new)
    assert not made[:].any()


def test_nor_in_a_hierarchy_or_a_copy(store: Any) -> None:
    group: Any = zarrc.create_group(store)
    group["a"] = np.arange(4) + 1
    metadata = group["a"].metadata
    group["zeros"] = np.zeros(4, "i8")
    store.delete("a/zarr.json")
    with pytest.raises(ContainsNodeError, match="would be a chunk"):
        group.create_hierarchy({"b": metadata, "a": metadata})
    assert "b" not in group
    with pytest.raises(StoreError, match="holds what is no node"):
        zarrc.copy(group["zeros"], group, "a")
    zarrc.copy(group["zeros"], group, "other")


def test_a_scalar_array_too(store: Any) -> None:
    zarrc.create_array(store, name="s", data=np.float64(7))
    store.delete("s/zarr.json")
    with pytest.raises(ContainsNodeError, match="would be a chunk"):
        zarrc.create_array(store, name="s", shape=(), dtype="f8")


def test_a_group_is_created_over_chunks_of_an_array(store: Any) -> None:
    zarrc.create_array(store, name="s", data=np.arange(3))
    store.delete("s/zarr.json")
    assert list(zarrc.create_group(store, path="s")) == []


@pytest.mark.parametrize("inside", ["notes.txt", "pictures/a.png", "2024/x"])
def test_foreign_files_are_not_deleted(store: Any, inside: str) -> None:
    store.set(f"sub/{inside}", b"mine")
    for create in (
        lambda: zarrc.create_array(store, name="sub", shape=3, overwrite=True),
        lambda: zarrc.create_group(store, path="sub", overwrite=True),
        lambda: zarrc.open_array(store, path="sub", shape=3, mode="w"),
        lambda: zarrc.open_group(store, path="sub", mode="w"),
        lambda: zarrc.save_array(store, np.ones(3), path="sub", mode="w"),
        lambda: zarrc.save_group(store, np.ones(3), path="sub", mode="w"),
        lambda: zarrc.copy(zarrc.array([1]), store, "sub", if_exists="replace"),
    ):
        with pytest.raises(StoreError, match=r"no part of a node|is no node"):
            create()
    assert bytes(store.get(f"sub/{inside}")) == b"mine"
    # Nothing is there, as far as a delete is concerned.
    zarrc.delete(store, "sub", missing_ok=True)
    assert bytes(store.get(f"sub/{inside}")) == b"mine"


def test_what_a_delete_left_is_overwritten(store: Any) -> None:
    group: Any = zarrc.create_group(store)
    group["g/a/b"] = np.arange(3)
    for path in ("g", "g/a"):
        store.delete(f"{path}/zarr.json")
    zarrc.create_array(store, name="g", shape=3, overwrite=True)
    assert list(store.list_prefix("g/")) == ["g/zarr.json"]
