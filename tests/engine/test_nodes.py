"""Nodes: found with few requests, listed, told apart from damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.node_samples import CountingStore, array, group
from zarrc.engine.node_changes import create_node
from zarrc.engine.nodes import find_node, open_children, open_node
from zarrc.errors import (
    ArrayNotFoundError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    StoreDeniedError,
    ZarrcError,
    ZarrcWarning,
)
from zarrc.metadata.model import ArrayMetadata
from zarrc.storage import LocalStore, MappingStore, Store

# --- open


@pytest.mark.parametrize("path", ["", "a/b"])
def test_what_was_created_is_opened(store: Store, zarr_format: int, path: str) -> None:
    create_node(store, path, array(zarr_format, attributes={"a": 1}))
    found = open_node(store, path)
    assert isinstance(found, ArrayMetadata)
    assert (found.zarr_format, found.shape, dict(found.attributes)) == (zarr_format, (4,), {"a": 1})


def test_a_v3_node_is_opened_with_one_request() -> None:
    store = CountingStore()
    create_node(store, "a/b", array())
    store.asked.clear()
    open_node(store, "a/b")
    assert store.asked == ["a/b/zarr.json"]


def test_a_v2_node_is_opened_with_one_batch_more() -> None:
    store = CountingStore()
    create_node(store, "a", array(2))
    store.asked.clear()
    open_node(store, "a")
    assert store.asked == ["a/zarr.json", "a/.zarray", "a/.zgroup", "a/.zattrs"]


def test_a_known_format_is_looked_for_alone() -> None:
    store = CountingStore()
    create_node(store, "", array(2))
    store.asked.clear()
    open_node(store, "", zarr_format=2)
    assert "zarr.json" not in store.asked
    with pytest.raises(NodeNotFoundError, match="v3"):
        open_node(store, "", zarr_format=3)


def test_of_two_formats_in_one_place_v3_is_opened_with_a_warning(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "", group(2))
    (tmp_path / "zarr.json").write_bytes(group(3).to_documents()["zarr.json"])
    with pytest.warns(ZarrcWarning, match=r"both zarr.json and .zgroup.*zarr_format=2"):
        assert open_node(store, "").zarr_format == 3
    assert open_node(store, "", zarr_format=2).zarr_format == 2


def test_a_missing_node_is_not_found_and_finding_it_gives_none(store: Store) -> None:
    assert find_node(store, "a") is None
    with pytest.raises(NodeNotFoundError):
        open_node(store, "a")


def test_a_missing_node_names_the_nearest_parent_and_similar_names(store: Store, zarr_format: int) -> None:
    create_node(store, "data/temperature", array(zarr_format))
    with pytest.raises(
        NodeNotFoundError, match=r"above it is 'data'; did you mean 'data/temperature'"
    ) as caught:
        open_node(store, "data/temprature")
    assert caught.value.key == "data/temprature"
    with pytest.raises(NodeNotFoundError, match=r"above it is 'data', which has temperature"):
        open_node(store, "data/zzz")
    with pytest.raises(NodeNotFoundError, match=r"above it is the root; did you mean 'data'"):
        open_node(store, "date/temperature")


def test_a_missing_directory_names_similar_ones_beside_it(tmp_path: Path) -> None:
    (tmp_path / "climate.zarr").mkdir()
    with pytest.raises(NodeNotFoundError, match=r"climat.zarr.*did you mean .*climate.zarr"):
        open_node(LocalStore(tmp_path / "climat.zarr"), "")


def test_a_directory_without_a_node_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(NodeNotFoundError, match=r"is there but holds notes.txt"):
        open_node(LocalStore(tmp_path), "")


@pytest.mark.parametrize("name", ["zarr.json", ".zarray", ".zgroup"])
def test_the_place_of_a_document_is_answered_with_what_holds_it(tmp_path: Path, name: str) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "a", group(3))
    (tmp_path / "a" / name).touch()
    for opened, path in ((store, f"a/{name}"), (LocalStore(tmp_path / "a" / name), "")):
        with pytest.raises(NodeNotFoundError, match=rf"name what holds it, file://{tmp_path}/a( |$)"):
            open_node(opened, path)


def test_below_an_array_the_array_is_named_as_one(store: Store, zarr_format: int) -> None:
    create_node(store, "g/a", array(zarr_format))
    with pytest.raises(NodeNotFoundError, match=r"above it is 'g/a', an array, and arrays have no members"):
        open_node(store, "g/a/b")


def test_a_directory_without_a_node_is_not_offered_for_itself(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "g/other", group(3))
    (tmp_path / "g" / "empty").mkdir()
    with pytest.raises(NodeNotFoundError, match=r"above it is 'g', which has other \("):
        open_node(store, "g/empty")


def test_a_node_of_the_other_format_is_mentioned(store: Store, zarr_format: int) -> None:
    create_node(store, "a", array(zarr_format))
    with pytest.raises(NodeNotFoundError, match="one of the other Zarr format is there"):
        open_node(store, "a", zarr_format=2 if zarr_format == 3 else 3)


def test_a_node_of_the_other_kind_is_told(store: Store, zarr_format: int) -> None:
    create_node(store, "g/a", array(zarr_format))
    with pytest.raises(ArrayNotFoundError, match=r"a group, not an array.*open_group"):
        open_node(store, "g", kind="array")
    with pytest.raises(GroupNotFoundError, match=r"an array, not a group.*open_array"):
        open_node(store, "g/a", kind="group")


@pytest.mark.parametrize(
    "document", [b"{", b"[]", b"", b"\xff\xfe", b'{"zarr_format": 3}', b'{"zarr_format": 9}']
)
def test_a_damaged_document_is_not_reported_as_a_missing_node(store: Store, document: bytes) -> None:
    store.set("a/zarr.json", document)
    with pytest.raises(MetadataError) as caught:
        open_node(store, "a")
    assert not isinstance(caught.value, NodeNotFoundError)
    assert caught.value.key == "a/zarr.json"


# --- list


def children(store: Store, path: str, zarr_format: int = 3) -> Iterator[tuple[str, str]]:
    for name, found in open_children(store, path, zarr_format):  # type: ignore[arg-type]
        yield name, type(found).__name__


def test_children_come_sorted_and_without_what_is_no_node(store: Store, zarr_format: int) -> None:
    create_node(store, "g/b", array(zarr_format))
    create_node(store, "g/a/deep", array(zarr_format))
    store.set("g/data/file.txt", b"x")
    store.set("g/readme", b"x")
    assert list(children(store, "g", zarr_format)) == [("a", "GroupMetadata"), ("b", "ArrayMetadata")]


def test_children_of_the_other_format_are_listed_too(store: Store) -> None:
    create_node(store, "g", group(3))
    store.set("g/old/.zgroup", b'{"zarr_format": 2}')
    create_node(store, "g/new", group(3))
    assert [name for name, _ in children(store, "g")] == ["new", "old"]


def test_children_cost_one_batch_of_their_own_format() -> None:
    store = CountingStore()
    for name in "abc":
        create_node(store, f"g/{name}", array())
    store.asked.clear()
    assert len(list(children(store, "g"))) == 3
    assert sorted(store.asked) == ["g/a/zarr.json", "g/b/zarr.json", "g/c/zarr.json"]


def test_a_child_that_cannot_be_parsed_does_not_hide_the_others(store: Store, zarr_format: int) -> None:
    create_node(store, "a", array(zarr_format))
    store.set("b/.zarray" if zarr_format == 2 else "b/zarr.json", b"{")
    create_node(store, "c", array(zarr_format))
    assert list(children(store, "", zarr_format)) == [
        ("a", "ArrayMetadata"),
        ("b", "MetadataError"),
        ("c", "ArrayMetadata"),
    ]


def test_a_child_that_may_not_be_read_does_not_hide_the_others() -> None:
    class Denying(MappingStore):
        def get(self, key: str, range: Any = None) -> Any:
            if key.startswith("b/"):
                raise StoreDeniedError("no access", key=key)
            return super().get(key, range)

    store = Denying({})
    mapping: dict[str, bytes] = {f"{name}/zarr.json": array().to_documents()["zarr.json"] for name in "abc"}
    for key, document in mapping.items():
        store.set(key, document)
    found = dict(open_children(store, "", 3))
    assert isinstance(found["b"], ZarrcError)
    assert [type(found[name]).__name__ for name in "ac"] == ["ArrayMetadata"] * 2
