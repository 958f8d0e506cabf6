"""Consolidated metadata that were made to hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest

import zarrc
from tests.group.consolidated_samples import PATHS, consolidated, is_right, seen
from zarrc.errors import (
    MetadataError,
    ZarrcWarning,
)
from zarrc.storage import MemoryStore

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
