"""Consolidated metadata: written, read, trusted where they can be."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.engine.node_samples import CountingStore
from tests.group.consolidated_samples import PATHS, consolidated, document, filled, is_right, seen
from zarrc.errors import (
    MemberNotFoundError,
    MetadataError,
    ReadOnlyError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store

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
