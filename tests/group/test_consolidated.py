"""Consolidated metadata: written, read, trusted where they can be, and kept as the store is."""

from __future__ import annotations

import json
import pickle
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.node_samples import CountingStore
from zarrc.errors import (
    ContainsGroupError,
    MemberNotFoundError,
    MetadataError,
    ReadOnlyError,
    StoreConflictError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "s")
    return MemoryStore() if request.param == "memory" else MappingStore({})


def filled(store: Store, zarr_format: Any, path: str = "") -> Group:
    root = zarrc.create_group(store, path=path, zarr_format=zarr_format, attributes={"root": 1})
    root.create_array("x", data=np.arange(3), attributes={"unit": "m"})
    root.create_array("a/b/y", shape=(4, 4), chunks=(2, 2), dtype="f4")
    root.create_group("a/empty", attributes={"e": [1, {"f": 2}]})
    return root


def consolidated(store: Store, zarr_format: Any, path: str = "") -> Group:
    filled(store, zarr_format, path)
    return zarrc.consolidate_metadata(store, path or None)


def document(store: Store, zarr_format: int, path: str = "") -> Any:
    """The members as the document has them, without our stamps."""
    start = f"{path}/" if path else ""
    blob = store.get(start + ("zarr.json" if zarr_format == 3 else ".zmetadata"))
    assert blob is not None
    fields = json.loads(bytes(blob))
    return fields["consolidated_metadata"]["metadata"] if zarr_format == 3 else fields["metadata"]


def is_right(store: Store, path: str = "") -> bool:
    """Whether the consolidated metadata are what is stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            zarrc.open_consolidated(store, path=path or None, use_consolidated="check")
        except ZarrcWarning:
            return False
    return True


PATHS = ["a", "a/b", "a/b/y", "a/empty", "x"]


def seen(group: Group) -> list[str]:
    return [path for path, _ in group.members(None)]


# --- write, read


@pytest.mark.parametrize("path", ["", "p/q"])
def test_what_is_written_is_read(store: Store, zarr_format: Any, path: str) -> None:
    consolidated(store, zarr_format, path)
    assert is_right(store, path)
    found = zarrc.open_consolidated(store, path=path or None)
    assert seen(found) == PATHS
    assert dict(found.attrs) == {"root": 1}
    assert dict(found["x"].attrs) == {"unit": "m"}
    assert dict(found["a/empty"].attrs) == {"e": [1, {"f": 2}]}
    assert found.get_array("x")[:].tolist() == [0, 1, 2]
    assert found["a"]["b/y"].metadata == zarrc.open_array(store, path=f"{path}/a/b/y").metadata  # type: ignore[index]
    assert "a/b" in found
    assert "a/c" not in found
    assert list(found) == ["a", "x"]
    assert len(found) == 2
    assert found["a"].nmembers(None) == 3  # type: ignore[union-attr]


def test_the_documents_have_the_forms_that_others_read(zarr_format: Any) -> None:
    store = MemoryStore()
    consolidated(store, zarr_format)
    found = document(store, zarr_format)
    if zarr_format == 3:
        assert list(found) == ["a", "x", "a/b", "a/empty", "a/b/y"]
        nested = {"kind": "inline", "must_understand": False, "metadata": {}}
        assert found["a"]["consolidated_metadata"] == nested
        assert "consolidated_metadata" not in found["x"]
        block = json.loads(bytes(store.get("zarr.json") or b""))["consolidated_metadata"]
        assert {key: block[key] for key in block if key != "metadata"} == {
            "kind": "inline",
            "must_understand": False,
        }
    else:
        assert set(found) == {
            ".zgroup", ".zattrs", "a/.zgroup", "x/.zarray", "x/.zattrs", "a/b/.zgroup", "a/empty/.zgroup",
            "a/empty/.zattrs", "a/b/y/.zarray",
        }  # fmt: skip
        assert json.loads(bytes(store.get(".zmetadata") or b""))["zarr_consolidated_format"] == 1


def test_opening_costs_what_the_group_costs_and_members_nothing(zarr_format: Any) -> None:
    store = CountingStore()
    consolidated(store, zarr_format)
    store.asked.clear()
    group = zarrc.open_group(store)
    key = "zarr.json" if zarr_format == 3 else ".zmetadata"
    assert store.asked.count(key) == 1
    assert len(store.asked) == (1 if zarr_format == 3 else 5)
    store.asked.clear()
    assert seen(group) == PATHS
    assert group["a/b/y"].shape == (4, 4)  # type: ignore[union-attr]
    assert "a/b" in group
    assert "q" not in group
    assert group.get("q") is None
    assert str(group.tree(plain=True)).count("\n") == 5
    assert store.asked == []


def test_a_missing_member_names_what_is_near(zarr_format: Any) -> None:
    group = consolidated(MemoryStore(), zarr_format)
    with pytest.raises(MemberNotFoundError, match=r"have no 'a/b/yy'; did you mean 'a/b/y'.*False looks"):
        group["a/b/yy"]
    with pytest.raises(MemberNotFoundError, match="open_group"):
        group.get_group("x") if False else group.get_array("a")


def test_use_consolidated_says_whether_they_are_used(zarr_format: Any) -> None:
    store = MemoryStore()
    filled(store, zarr_format)
    with pytest.raises(MetadataError, match="no consolidated metadata"):
        zarrc.open_group(store, use_consolidated=True)
    with pytest.raises(ValueError):
        zarrc.open_consolidated(store)
    assert seen(zarrc.open_group(store, use_consolidated=None)) == PATHS
    zarrc.consolidate_metadata(store)
    zarrc.create_group(store, path="new", zarr_format=zarr_format)  # not through the consolidated group
    assert "new" not in zarrc.open_group(store)
    assert "new" not in zarrc.open(store)  # type: ignore[operator]
    assert "new" not in Group.open(store)
    for opened in (
        zarrc.open_group(store, use_consolidated=False),
        zarrc.open(store, use_consolidated=False),
        Group.open(store, use_consolidated=False),
    ):
        assert "new" in opened  # type: ignore[operator]
    with pytest.warns(ZarrcWarning, match=r"not what is stored \('new'\)"):
        assert "new" in zarrc.open_group(store, use_consolidated="check")
    assert ("new", zarrc.open_group(store)) not in zarrc.open_group(store).members()
    assert "new" in dict(zarrc.open_group(store).members(use_consolidated_for_children=False))


def test_a_store_that_is_read_only_opens_for_reading(zarr_format: Any) -> None:
    store = MemoryStore()
    consolidated(store, zarr_format)
    group = zarrc.open_consolidated(store.with_read_only())
    assert group.read_only
    assert seen(group) == PATHS
    with pytest.raises(ReadOnlyError):
        zarrc.open_consolidated(store.with_read_only(), mode="r+")
    with pytest.raises(ValueError, match="creates"):
        zarrc.open_consolidated(store, mode="w")
    assert "q" not in zarrc.group(store, use_consolidated=True)
    with pytest.raises(MetadataError):
        zarrc.group(zarrc.group().store, use_consolidated=True)


def test_v2_metadata_under_another_key() -> None:
    store = MemoryStore()
    filled(store, 2)
    zarrc.consolidate_metadata(store, metadata_key=".other")
    assert store.get(".zmetadata") is None
    for group in (
        zarrc.open_group(store, use_consolidated=".other"),
        zarrc.open_consolidated(store, metadata_key=".other"),
    ):
        assert seen(group) == PATHS
    group.create_group("n")
    assert "n/.zgroup" in json.loads(bytes(store.get(".other") or b""))["metadata"]
    for wrong in ("../x", "a/b", ".zgroup"):
        with pytest.raises(MetadataError, match="cannot have the key"):
            zarrc.open_group(store, use_consolidated=wrong)
    new = zarrc.create_group(MemoryStore())
    with pytest.raises(TypeError, match="format 2"):
        zarrc.open_group(new.store, use_consolidated=".other")


def test_a_group_that_is_read_only_is_not_consolidated(tmp_path: Path) -> None:
    filled(LocalStore(tmp_path), 3)
    with pytest.raises(ReadOnlyError):
        zarrc.consolidate_metadata(LocalStore(tmp_path, read_only=True))


def test_a_member_that_cannot_be_read_is_left_out_and_told(zarr_format: Any) -> None:
    store = MemoryStore()
    filled(store, zarr_format)
    store.set("bad/zarr.json" if zarr_format == 3 else "bad/.zarray", b"{")
    with pytest.warns(ZarrcWarning, match="bad is left out"):
        group = zarrc.consolidate_metadata(store)
    assert seen(group) == PATHS


def test_nodes_of_the_other_format_are_left_out_and_told(zarr_format: Any) -> None:
    store = MemoryStore()
    filled(store, zarr_format)
    other = zarrc.create_group(MemoryStore(), zarr_format=5 - zarr_format)
    zarrc.copy_store(other.store, store, dest_path="a/other")
    store.set("a/junk/file", b"no node")
    with pytest.warns(ZarrcWarning, match="'a/other' of Zarr v"):
        group = zarrc.consolidate_metadata(store)
    assert seen(group) == PATHS
    assert is_right(store)


def test_attributes_that_are_no_json_are_spelled(zarr_format: Any) -> None:
    store = MemoryStore()
    filled(store, zarr_format)
    attributes = b'{"nan": NaN}'
    if zarr_format == 3:
        text = b'{"zarr_format": 3, "node_type": "group", "attributes": %s}' % attributes
        store.set("a/zarr.json", text)
    else:
        store.set("a/.zattrs", attributes)
    with pytest.warns(ZarrcWarning, match="NaN"):
        group = zarrc.consolidate_metadata(store)
    assert dict(group["a"].attrs) == {"nan": "NaN"}


def test_a_store_that_cannot_list_is_opened_by_its_consolidated_metadata(zarr_format: Any) -> None:
    class Unlisted(MappingStore):
        def list_prefix(self, prefix: str) -> Iterator[str]:
            return iter(())

    objects: dict[str, bytes] = {}
    consolidated(MappingStore(objects), zarr_format)
    assert list(zarrc.open_group(Unlisted(objects), use_consolidated=False)) == []
    for use in (None, True, "check"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            group = zarrc.open_group(Unlisted(objects), use_consolidated=use)
        assert seen(group) == PATHS
    assert zarrc.load(Unlisted(objects))["x"].tolist() == [0, 1, 2]
    into = zarrc.group()
    zarrc.copy_all(group, into)
    assert seen(into) == PATHS


# --- kept fresh


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


# --- trusted on local stores as long as the files are those


def _behind(store: Store, path: str = "x") -> zarrc.Array:
    """A handle that knows nothing of the consolidated metadata."""
    return zarrc.open_array(store, path=path)


def test_on_local_stores_no_entry_is_out_of_date(tmp_path: Path, zarr_format: Any) -> None:
    store = LocalStore(tmp_path)
    consolidated(store, zarr_format)
    _behind(store).attrs["unit"] = "k"
    zarrc.create_group(store, path="new/er", zarr_format=zarr_format)
    zarrc.open_group(store, path="a/empty", use_consolidated=False).attrs.clear()
    zarrc.delete(store, "a/b/y")
    group = zarrc.open_consolidated(store)
    assert group["x"].attrs["unit"] == "k"
    assert seen(group) == ["a", "a/b", "a/empty", "new", "new/er", "x"]
    assert dict(group["a/empty"].attrs) == {}
    assert "a/b/y" not in group
    assert "new/er" in group
    with pytest.raises(MemberNotFoundError):
        group["a/b/y"]
    # A rewrite for one member does not make what is wrong with another one trusted.
    group.create_group("more")
    again = zarrc.open_consolidated(store)
    assert again["x"].attrs["unit"] == "k"
    assert seen(again) == ["a", "a/b", "a/empty", "more", "new", "new/er", "x"]


def test_on_local_stores_a_trusted_member_is_not_read(tmp_path: Path, zarr_format: Any) -> None:
    class Counting(LocalStore):
        def get(self, key: str, range: Any = None) -> Any:
            asked.append(key)
            return super().get(key, range)

    asked: list[str] = []
    consolidated(LocalStore(tmp_path), zarr_format)
    group = zarrc.open_consolidated(Counting(tmp_path))
    asked.clear()
    assert seen(group) == PATHS
    assert group["a/b/y"].shape == (4, 4)  # type: ignore[union-attr]
    assert asked == []


def test_what_has_no_stamps_is_not_trusted_on_local_stores(tmp_path: Path, zarr_format: Any) -> None:
    store = LocalStore(tmp_path)
    consolidated(store, zarr_format)
    name = "zarr.json" if zarr_format == 3 else ".zmetadata"
    fields = json.loads((tmp_path / name).read_text())
    holder = fields["consolidated_metadata"] if zarr_format == 3 else fields
    for stamps in (None, 3, {"x/zarr.json": 5, "x/.zarray": None}):
        holder.pop("stamps", None)
        if stamps is not None:
            holder["stamps"] = stamps
        members = holder["metadata"]
        entry = members["x"] if zarr_format == 3 else members["x/.zarray"]
        entry["shape"] = [99]
        (tmp_path / name).write_text(json.dumps(fields))
        group = zarrc.open_consolidated(store)
        assert group["x"].shape == (3,)  # type: ignore[union-attr]
        assert seen(group) == PATHS


# --- documents made to hurt


HOSTILE_KEYS = [
    "", "/", "..", "../up", "a/../../etc", "a//b", "/abs", "a/", ".", "a\\b", "a\0b", "\ud800",
    "/".join("d" * 300),
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_an_absurd_key_is_left_out_with_a_note(zarr_format: Any, key: str) -> None:
    store = MemoryStore()
    consolidated(store, zarr_format)
    name = "zarr.json" if zarr_format == 3 else ".zmetadata"
    fields = json.loads(bytes(store.get(name) or b""))
    members = fields["consolidated_metadata"]["metadata"] if zarr_format == 3 else fields["metadata"]
    if zarr_format == 2 and not key:
        pytest.skip("in format 2 that is the group itself")
    members[key if zarr_format == 3 else f"{key}/.zarray"] = members["x" if zarr_format == 3 else "x/.zarray"]
    store.set(name, json.dumps(fields).encode())
    with pytest.warns(ZarrcWarning, match="left out"):
        group = zarrc.open_consolidated(store)
    assert seen(group) == PATHS
    with pytest.warns(ZarrcWarning, match="left out"):
        zarrc.open_consolidated(store).create_group("n")
    assert is_right(store)


@pytest.mark.parametrize("value", [None, 3, "x", [], True])
def test_an_entry_that_is_no_object_is_left_out(zarr_format: Any, value: Any) -> None:
    store = MemoryStore()
    consolidated(store, zarr_format)
    name = "zarr.json" if zarr_format == 3 else ".zmetadata"
    fields = json.loads(bytes(store.get(name) or b""))
    members = fields["consolidated_metadata"]["metadata"] if zarr_format == 3 else fields["metadata"]
    members["x" if zarr_format == 3 else "x/.zarray"] = value
    store.set(name, json.dumps(fields).encode())
    with pytest.warns(ZarrcWarning, match="must be an object"):
        group = zarrc.open_consolidated(store)
    assert seen(group) == PATHS[:-1]


@pytest.mark.parametrize(
    "block",
    [
        3,
        "x",
        [],
        {},
        {"kind": "file", "metadata": {}},
        {"kind": "inline"},
        {"kind": "inline", "metadata": []},
    ],
)
def test_a_block_of_another_form_is_an_error_or_not_used(block: Any) -> None:
    store = MemoryStore()
    consolidated(store, 3)
    fields = json.loads(bytes(store.get("zarr.json") or b""))
    fields["consolidated_metadata"] = block
    store.set("zarr.json", json.dumps(fields).encode())
    with pytest.raises(MetadataError, match="consolidated_metadata"):
        zarrc.open_group(store, use_consolidated=True)
    if isinstance(block, dict):
        with pytest.warns(ZarrcWarning, match="are not used"):
            assert seen(zarrc.open_group(store)) == PATHS
        assert seen(zarrc.open_group(store, use_consolidated=False)) == PATHS
        assert seen(zarrc.consolidate_metadata(store)) == PATHS
        assert is_right(store)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"metadata": {}}', b'{"zarr_consolidated_format": 2}'])
def test_a_zmetadata_of_another_form_is_an_error_or_not_used(text: bytes) -> None:
    store = MemoryStore()
    consolidated(store, 2)
    store.set(".zmetadata", text)
    with pytest.raises(MetadataError):
        zarrc.open_group(store, use_consolidated=True)
    with pytest.warns(ZarrcWarning, match="are not used"):
        assert seen(zarrc.open_group(store)) == PATHS
    assert seen(zarrc.consolidate_metadata(store)) == PATHS


def test_members_that_contradict_do_no_harm() -> None:
    store = MemoryStore()
    consolidated(store, 3)
    fields = json.loads(bytes(store.get("zarr.json") or b""))
    members = fields["consolidated_metadata"]["metadata"]
    members["x/below"] = members["a"]  # below an array
    members["no/parent"] = members["x"]
    members["old"] = {"zarr_format": 2}
    members["bad"] = {**members["x"], "shape": [-1]}
    members["deep"] = {"zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": 5}
    store.set("zarr.json", json.dumps(fields).encode())
    group = zarrc.open_consolidated(store)
    with pytest.warns(ZarrcWarning, match="left out"):
        assert seen(group) == PATHS
    for name in ("old", "bad", "deep"):
        with pytest.raises(MetadataError, match=name):
            group[name]
    assert group["no/parent"].shape == (3,)  # type: ignore[union-attr]


def test_a_document_that_is_nested_too_deeply_is_an_error() -> None:
    store = MemoryStore()
    consolidated(store, 3)
    deep = '{"a": ' * 100_000 + "1" + "}" * 100_000
    text = f'{{"zarr_format": 3, "node_type": "group", "consolidated_metadata": {deep}}}'
    store.set("zarr.json", text.encode())
    with pytest.raises(MetadataError, match="nested too deeply"):
        zarrc.open_group(store)
