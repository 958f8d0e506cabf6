"""Consolidated metadata are kept as the store is."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.group.consolidated_samples import PATHS, consolidated, document, filled, is_right, seen
from zarrc.errors import (
    ContainsGroupError,
    MetadataError,
    StoreConflictError,
)
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store


def _changes() -> Iterator[tuple[str, Any]]:
    yield "create an array", lambda g: g.create_array("n/m/z", shape=3)
    yield "create a group", lambda g: g.create_group("n", attributes={"k": 1})
    yield "create below a member", lambda g: g["a"].create_array("new", shape=2)
    yield "create what is there over it", lambda g: g.create_array("a", shape=2, overwrite=True)
    yield "require", lambda g: (g.require_group("r/s"), g.require_array("t", shape=2))
    yield "require what is there", lambda g: (g.require_group("a"), g.require_array("x", shape=3))
    yield "assign", lambda g: g.__setitem__("a/b", [1, 2])
    yield "assign a tree", lambda g: g.__setitem__("a", {"p": [1], "q": {"r": [2]}})
    yield "update", lambda g: g.update({"u": [1]}, v=[2])
    yield "delete", lambda g: g.__delitem__("a")
    yield "delete deeper", lambda g: g["a"].__delitem__("b")
    yield "delete a handle's node", lambda g: zarrc.delete(g["a/b"])
    yield "pop", lambda g: g.pop("a")
    yield "clear", lambda g: g.clear()
    yield "attributes of a member", lambda g: g["a/empty"].attrs.update(k=2)
    yield "attributes of the array of a twin", lambda g: g["x"].with_config({}).attrs.put({})
    yield "attributes of a pickled array", lambda g: pickle.loads(pickle.dumps(g["x"])).attrs.put({})
    yield "attributes of the group", lambda g: g.attrs.update(root=2)
    yield "move", lambda g: g.move("a/b", "n/bb")
    yield "rename", lambda g: g["a"].rename("b", "bb")
    yield "rename a handle's node", lambda g: zarrc.rename(g["a"], "aa")
    yield "move to another group", lambda g: zarrc.move(g["a/b"], g["a/empty"])
    yield "copy", lambda g: g.copy("a", "n/a")
    yield "copy one array", lambda g: zarrc.copy_array(g["x"], g, name="n/x").attrs.update(k=1)
    yield "copy over one", lambda g: zarrc.copy_array(g["x"], g, name="a", overwrite=True)
    yield "copy all", lambda g: zarrc.copy_all(g["a"], g, if_exists="replace")
    yield "copy over", lambda g: zarrc.copy(g["x"], g, "a", if_exists="replace")
    yield "hierarchy", lambda g: list(g.create_hierarchy({"h/i": g["x"].metadata}))


CHANGES = dict(_changes())


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("path", ["", "p/q"])
def test_each_change_through_its_handles_is_in_the_document_at_once(
    tmp_path: Path, zarr_format: Any, name: str, path: str
) -> None:
    for store in (MappingStore({}), LocalStore(tmp_path)):
        group = consolidated(store, zarr_format, path)
        CHANGES[name](group)
        assert is_right(store, path)
        fresh = zarrc.open_group(store, path=path or None, use_consolidated=False)
        assert seen(group) == seen(fresh)
        for one, member in fresh.members(None):
            assert group[one].metadata.attributes == member.metadata.attributes


@pytest.mark.parametrize("name", [name for name in CHANGES if "pickled" not in name])
def test_a_change_is_one_rewrite(zarr_format: Any, name: str) -> None:
    class Writes(MappingStore):
        def set(self, key: str, data: Any) -> None:
            written.append(key)
            super().set(key, data)

    written: list[str] = []
    store = Writes({})
    group = consolidated(store, zarr_format)
    written.clear()
    CHANGES[name](group)
    n = written.count("zarr.json" if zarr_format == 3 else ".zmetadata")
    # Two operations are two rewrites.
    assert n <= 1 + (name in ("require", "copy one array")), written


def test_resizing_and_appending_are_changes_too(store: Store, zarr_format: Any) -> None:
    group = consolidated(store, zarr_format)
    array: Any = group["x"]
    array.resize((7,))
    assert is_right(store)
    array.append(np.arange(2))
    assert is_right(store)
    assert zarrc.open_consolidated(store)["x"].shape == (9,)  # type: ignore[union-attr]


def test_without_consolidating_nothing_is_written_and_the_handles_know(
    store: Store, zarr_format: Any
) -> None:
    consolidated(store, zarr_format)
    before = document(store, zarr_format)
    group = zarrc.open_group(store, consolidate=False)
    for i in range(3):
        group.create_array(f"loop/{i}", shape=(i + 1,))
    group["a"].attrs["k"] = 1
    del group["x"]
    assert document(store, zarr_format) == before
    assert seen(group) == ["a", "a/b", "a/b/y", "a/empty", "loop", "loop/0", "loop/1", "loop/2"]
    assert group["a"].attrs["k"] == 1
    assert "x" not in group
    assert "loop/1" in group
    assert seen(zarrc.consolidate_metadata(group)) == seen(group)
    assert is_right(store)


def test_one_operation_without_consolidating(zarr_format: Any) -> None:
    store = MemoryStore()
    group = consolidated(store, zarr_format)
    group.create_group("n/m", consolidate=False)
    assert not is_right(store)
    assert "n/m" in group
    assert "n" in group
    group.create_group("o")
    assert "n/m" in group
    assert "o" in zarrc.open_consolidated(store)


def test_what_others_wrote_meanwhile_stays(store: Store, zarr_format: Any) -> None:
    first = consolidated(store, zarr_format)
    second = zarrc.open_consolidated(store)
    first.create_group("one")
    second.create_group("two")
    first["a"].attrs["k"] = 1
    assert is_right(store)
    assert {"one", "two"} <= set(zarrc.open_consolidated(store))


def test_threads_do_not_undo_each_other(store: Store, zarr_format: Any) -> None:
    consolidated(store, zarr_format)

    def work(i: int) -> None:
        group = zarrc.open_consolidated(store)
        for j in range(5):
            group.create_group(f"t{i}-{j}").attrs["k"] = j

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_right(store)
    assert len(zarrc.open_consolidated(store)) == 22


def test_a_lost_race_is_run_again(zarr_format: Any) -> None:
    class Racing(MemoryStore):
        n_lost = 3

        def set_if(self, key: str, data: Any, version: Any) -> Any:
            if version is not None and self.n_lost < 3:
                self.n_lost += 1
                raise StoreConflictError("somebody was faster", key=key)
            return super().set_if(key, data, version)

    store = Racing()
    filled(store, zarr_format)
    group = zarrc.consolidate_metadata(store)
    store.n_lost = 0
    group.create_group("n")
    assert store.n_lost == 3
    assert "n" in zarrc.open_consolidated(store)


def test_consolidated_metadata_that_were_taken_away_are_not_made_again(
    store: Store, zarr_format: Any
) -> None:
    group = consolidated(store, zarr_format)
    if zarr_format == 3:
        store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group"}')
    else:
        store.delete(".zmetadata")
    group.create_group("n")
    assert seen(group) == sorted([*PATHS, "n"])
    with pytest.raises(MetadataError):
        zarrc.open_consolidated(store)


def test_a_refresh_reads_what_others_wrote(zarr_format: Any) -> None:
    store = MemoryStore()
    group = consolidated(store, zarr_format)
    zarrc.open_consolidated(store).create_group("n")
    assert "n" not in group
    group.attrs.refresh()
    assert "n" in group


def test_a_node_that_another_made_is_met_by_require(zarr_format: Any) -> None:
    store = MemoryStore()
    group = consolidated(store, zarr_format)
    zarrc.create_group(store, path="n", zarr_format=zarr_format)
    zarrc.create_array(store, name="m", shape=3, zarr_format=zarr_format)
    assert group.require_group("n").path == "n"
    assert group.require_array("m", shape=3).shape == (3,)
    with pytest.raises(ContainsGroupError):
        group.create_group("n")


def test_handles_go_through_pickle_without_the_members(zarr_format: Any) -> None:
    store = MemoryStore(name=f"pickled-{zarr_format}")
    try:
        root = zarrc.create_group(store, zarr_format=zarr_format, overwrite=True)
        for i in range(50):
            root.create_array(f"m{i}", shape=(3,), attributes={"text": "x" * 500})
        group = zarrc.consolidate_metadata(store)
        array = group["m1"]
        assert len(pickle.dumps(array)) < 5_000
        twin = pickle.loads(pickle.dumps(group))
        assert seen(twin) == seen(group)
        pickle.loads(pickle.dumps(array)).attrs["k"] = 1
        assert is_right(store)
    finally:
        MemoryStore.forget(f"pickled-{zarr_format}")
