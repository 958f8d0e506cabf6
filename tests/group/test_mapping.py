"""A group is a mutable mapping in all that it does, with the methods that other libraries' groups have."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.node_samples import CountingStore
from zarrc.array import Array
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    MemberNotFoundError,
    MetadataError,
    ReadOnlyError,
)
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore, Store


@pytest.fixture(params=["local-2", "local-3", "memory-2", "memory-3"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Group:
    kind, zarr_format = request.param.split("-")
    store: Store = LocalStore(tmp_path / "g") if kind == "local" else MemoryStore()
    made = zarrc.create_group(store, zarr_format=int(zarr_format), attributes={"g": 1})  # type: ignore[arg-type]
    made["x"] = np.arange(3)
    made["a/y"] = np.arange(4.0)
    return made


def test_it_is_a_mutable_mapping(group: Group) -> None:
    assert isinstance(group, MutableMapping)
    methods = [name for name in dir(MutableMapping) if not name.startswith("_")]
    methods += ["__contains__", "__delitem__", "__getitem__", "__iter__", "__len__", "__setitem__"]
    missing = [name for name in methods if not hasattr(group, name)]
    assert missing == []


def test_it_is_no_store(group: Group) -> None:
    with pytest.raises(TypeError, match="a store is a path"):
        zarrc.open_group(group)


def test_views_are_as_of_a_dict(group: Group) -> None:
    assert list(group.keys()) == ["a", "x"]
    assert "x" in group.keys()  # noqa: SIM118
    assert "z" not in group.keys()  # noqa: SIM118
    assert group.keys() & {"x", "q"} == {"x"}
    assert len(group.keys()) == len(group.values()) == len(group.items()) == 2
    assert [type(value).__name__ for value in group.values()] == ["Group", "Array"]
    assert group["x"] in group.values()
    assert ("x", group["x"]) in group.items()
    assert dict(group.items()) == dict(group) == {"a": group["a"], "x": group["x"]}
    view = group.keys()
    del group["a"]
    assert list(view) == ["x"]


@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_a_view_reads_the_members_once(view: str) -> None:
    store = CountingStore()
    root = zarrc.create_group(store)
    for name in "ab":
        root.create_group(name)
    store.asked.clear()
    assert len(list(getattr(root, view)())) == 2
    assert store.asked == ["a/zarr.json", "b/zarr.json"]


def test_pop_takes_out_a_copy_in_memory(group: Group) -> None:
    taken = group.pop("a")
    assert isinstance(taken, Group)
    assert taken["y"][...].tolist() == [0, 1, 2, 3]  # type: ignore[index]
    assert "a" not in group
    array = group.pop("x")
    assert isinstance(array, Array)
    assert array[:].tolist() == [0, 1, 2]
    assert len(group) == 0
    assert group.pop("x", None) is None
    assert group.pop("x", 5) == 5
    with pytest.raises(KeyError):
        group.pop("x")
    with pytest.raises(KeyError, match="is empty"):
        group.popitem()


def test_popitem_takes_the_first(group: Group) -> None:
    name, member = group.popitem()
    assert (name, type(member), list(group)) == ("a", Group, ["x"])


def test_setdefault_stores_only_what_is_missing(group: Group) -> None:
    assert group.setdefault("x", [9])[...].tolist() == [0, 1, 2]  # type: ignore[index]
    assert group.setdefault("n", [9])[...].tolist() == [9]  # type: ignore[index]
    with pytest.raises(TypeError, match="no data"):
        group.setdefault("m")


def test_update_and_clear(group: Group) -> None:
    group.update({"u": [1]}, v=np.zeros(2))
    group.update([("w", 3.5)])
    assert list(group) == ["a", "u", "v", "w", "x"]
    group.clear()
    assert len(group) == 0
    assert dict(group.attrs) == {"g": 1}
    assert list(zarrc.open_group(group.store)) == []


def test_clear_deletes_what_cannot_be_read(group: Group) -> None:
    group.store.set("bad/zarr.json" if group.metadata.zarr_format == 3 else "bad/.zarray", b"{")
    group.store.set("notes/read.me", b"kept: no node")
    group.clear()
    assert "bad" not in group
    assert group.store.get("notes/read.me") is not None


def test_groups_and_mappings_can_be_assigned(group: Group) -> None:
    group["b"] = group["a"]
    assert group["b/y"][...].tolist() == [0, 1, 2, 3]  # type: ignore[index]
    group["x"] = {"p": [1, 2], "q": {"r": np.ones(2)}}
    assert [path for path, _ in group.get_group("x").members(None)] == ["p", "q", "q/r"]
    other = zarrc.group(zarr_format=5 - group.metadata.zarr_format)
    other["copy"] = group
    assert other["copy/x/q/r"].metadata.zarr_format == other.metadata.zarr_format
    before = dict(group)
    with pytest.raises(MetadataError):
        group["x"] = {"fine": [1], "__bad": [2]}
    assert dict(group) == before
    with pytest.raises(ValueError, match="lies in"):
        group["a/inside"] = group["a"]


def test_visits_go_through_all(group: Group) -> None:
    paths: list[str] = []
    assert group.visit(paths.append) is None
    assert paths == ["a", "a/y", "x"]
    assert group.visit(lambda path: path if "/" in path else None) == "a/y"
    assert group.visititems(lambda path, node: path if isinstance(node, Array) else None) == "a/y"
    assert group.visitvalues(lambda node: getattr(node, "shape", None)) == (4,)
    assert group.visitkeys(lambda path: path == "nowhere" or None) is None


def test_a_reader_changes_nothing(group: Group) -> None:
    reader = zarrc.open_group(group.store, mode="r")
    attempts: list[Any] = [
        lambda: reader.pop("x"), reader.popitem, reader.clear, lambda: reader.update(n=[1]),
        lambda: reader.setdefault("n", [1]), lambda: reader.move("x", "n"), lambda: reader.rename("x", "n"),
        lambda: reader.copy("x", "n"), lambda: reader.delete("x"), lambda: zarrc.delete(reader["x"]),
        lambda: zarrc.move(reader["x"], {}, "n"), lambda: zarrc.rename(reader["x"], "n"),
        lambda: reader.create_hierarchy({"n": group.metadata}), lambda: zarrc.consolidate_metadata(reader),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(ReadOnlyError):
            attempt()
    assert list(group) == ["a", "x"]


# --- names


@pytest.mark.parametrize(
    "name", ["", "/", "...", "__x", "a/__x", "zarr.json", ".zarray", ".zc-x", "a/..", "a/./b"]
)
def test_a_name_that_no_node_may_have_is_refused_wherever_one_is_given(group: Group, name: str) -> None:
    before = sorted(group.store.list_prefix(""))
    attempts: list[Any] = [
        lambda: group.create_group(name), lambda: group.create_array(name, shape=1),
        lambda: group.require_group(name), lambda: group.__setitem__(name, [1]),
        lambda: group.__setitem__(name, {"a": [1]}), lambda: group.__setitem__(name, group["a"]),
        lambda: group.move("x", name), lambda: group.rename("x", name), lambda: group.copy("x", name),
        lambda: zarrc.copy(group["x"], group, name), lambda: zarrc.rename(group["x"], name),
        lambda: group.create_hierarchy({name: group.metadata}),
    ]  # fmt: skip
    for attempt in attempts:
        with pytest.raises(ValueError):
            attempt()
    assert sorted(group.store.list_prefix("")) == before


def test_creating_a_deep_path_lists_nothing_and_stores_one_object_a_level() -> None:
    class Listing(CountingStore):
        def list_prefix(self, prefix: str) -> Iterator[str]:
            raise AssertionError("listed")

        def set(self, key: str, data: Any) -> None:
            written.append(key)
            super().set(key, data)

    written: list[str] = []
    store = Listing()
    zarrc.create_group(store, path="a/b/c")
    assert written == ["zarr.json", "a/zarr.json", "a/b/zarr.json", "a/b/c/zarr.json"]
    written.clear()
    zarrc.open_group(store).create_array("a/b/d", shape=3)
    assert written == ["a/b/d/zarr.json"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_is_not_there_is_not_looked_for_elsewhere(zarr_format: Any) -> None:
    class Listing(CountingStore):
        def list_prefix(self, prefix: str) -> Iterator[str]:
            raise AssertionError("listed")

    store = Listing()
    group = zarrc.create_group(store, zarr_format=zarr_format)
    store.asked.clear()
    assert group.get("missing") is None
    assert sorted(store.asked) == [
        f"missing/{name}" for name in (".zarray", ".zattrs", ".zgroup", "zarr.json")
    ]
    group.require_group("a/b")
    group.require_array("a/c", shape=3)
    assert group.get("/") is None


# --- save, load


def test_what_is_loaded_can_be_saved(group: Group, tmp_path: Path) -> None:
    loaded = zarrc.load(group.store)
    zarrc.save_group(tmp_path / "s", **loaded)
    again = zarrc.load(tmp_path / "s")
    assert again["a"]["y"].tolist() == [0, 1, 2, 3]
    assert again.keys() == loaded.keys()
    zarrc.save(tmp_path / "t", tree=loaded, copied=group["a"])
    assert zarrc.open_group(tmp_path / "t")["copied/y"].shape == (4,)  # type: ignore[union-attr]
    with pytest.raises(MetadataError):
        zarrc.save_group(tmp_path / "s", mode="w", good=[1], bad={"zarr.json": [1]})
    assert zarrc.load(tmp_path / "s").keys() == loaded.keys()


# --- hierarchies


def test_a_hierarchy_is_created_at_once(group: Group) -> None:
    array = group.get_array("x").metadata
    made = list(group.create_hierarchy({"h/i/j": array, "h": group.get_group("a").metadata}))
    assert [(path, type(node).__name__, node.path) for path, node in made] == [
        ("h", "Group", "h"), ("h/i", "Group", "h/i"), ("h/i/j", "Array", "h/i/j"),
    ]  # fmt: skip
    assert group["h/i/j"][...].tolist() == [0, 0, 0]  # type: ignore[index]


def test_a_hierarchy_is_looked_at_before_anything_is_stored(group: Group) -> None:
    array = group.get_array("x").metadata
    before = sorted(group.store.list_prefix(""))
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"n": array, "x": array}, ContainsArrayError),
        ({"n": array, "a": array}, ContainsGroupError),
        ({"n": array, "x/below": array}, ContainsArrayError),
        ({"n": array, "n/below": array}, MetadataError),
        ({"n": array, "__n": array}, MetadataError),
        ({"n": array, "m": 3}, TypeError),
        ({"n": array, "m": {"zarr_format": 3}}, MetadataError),
        ({"": array}, ValueError),
    ]
    for nodes, error in wrong:
        with pytest.raises(error):
            group.create_hierarchy(nodes)
    assert sorted(group.store.list_prefix("")) == before
    replaced = dict(group.create_hierarchy({"a": array, "x": array}, overwrite=True))
    assert list(replaced) == ["a", "x"]
    assert "a/y" not in group


def test_the_modules_function_makes_the_groups_above_too() -> None:
    array = zarrc.zeros(3).metadata
    store = MemoryStore()
    documents = {"p/x": array, "q": {"zarr_format": 3, "node_type": "group", "attributes": {"k": 1}}}
    made = dict(zarrc.create_hierarchy(store, documents, path="top"))
    assert list(made) == ["", "p", "q", "p/x"]
    assert [path for path, _ in zarrc.open_group(store).members(None)] == ["top", "top/p", "top/p/x", "top/q"]
    assert dict(made["q"].attrs) == {"k": 1}
    assert list(zarrc.create_hierarchy(store, {})) == []


# --- delete


def test_delete(group: Group) -> None:
    zarrc.delete(group["a"])
    assert list(group) == ["x"]
    with pytest.raises(MemberNotFoundError):
        group.delete("a")
    group.delete("a", missing_ok=True)
    with pytest.raises(FileNotFoundError):
        zarrc.delete(group.store, "a")
    zarrc.delete(group.store, "a", missing_ok=True)
    zarrc.delete(group, "x")
    assert list(group) == []
