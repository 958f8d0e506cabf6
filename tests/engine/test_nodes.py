"""Nodes: found with few requests, created with their parents, deleted with care, told apart from damage."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.soak import count
from zarrc.engine.nodes import (
    create_node,
    delete_node,
    find_node,
    node_lock,
    open_children,
    open_node,
    update_node,
)
from zarrc.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreConflictError,
    StoreDeniedError,
    ZarrcError,
    ZarrcWarning,
)
from zarrc.metadata.build import build_array, build_group
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    return MemoryStore() if request.param == "memory" else MappingStore({})


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def array(zarr_format: int = 3, **more: Any) -> ArrayMetadata:
    return build_array(shape=(4,), dtype="i4", chunks=(2,), zarr_format=zarr_format, **more)  # type: ignore[arg-type]


def group(zarr_format: int = 3, **more: Any) -> GroupMetadata:
    return build_group(zarr_format=zarr_format, **more)  # type: ignore[arg-type]


class CountingStore(MappingStore):
    """A mapping that counts the objects asked for."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[str] = []

    def get(self, key: str, range: Any = None) -> Any:
        self.asked.append(key)
        return super().get(key, range)


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


# --- create


def test_missing_parents_become_groups_of_the_same_format(store: Store, zarr_format: int) -> None:
    create_node(store, "a/b/c", array(zarr_format))
    for path in ("", "a", "a/b"):
        found = open_node(store, path, kind="group")
        assert found.zarr_format == zarr_format


def test_parents_that_are_there_stay_as_they_are(store: Store, zarr_format: int) -> None:
    create_node(store, "a", group(zarr_format, attributes={"x": 1}))
    create_node(store, "a/b", group(zarr_format))
    assert dict(open_node(store, "a").attributes) == {"x": 1}


@pytest.mark.parametrize("existing", ["array", "group"])
def test_a_node_that_is_there_is_not_replaced(store: Store, zarr_format: int, existing: str) -> None:
    create_node(store, "a", array(zarr_format) if existing == "array" else group(zarr_format))
    expected = ContainsArrayError if existing == "array" else ContainsGroupError
    for new in (array(zarr_format), group(zarr_format)):
        with pytest.raises(expected, match="overwrite"):
            create_node(store, "a", new)


def test_a_node_of_the_other_format_is_in_the_way_too(store: Store) -> None:
    create_node(store, "", array(2))
    with pytest.raises(ContainsArrayError):
        create_node(store, "", array(3))


def test_a_damaged_node_is_in_the_way_and_can_be_overwritten(store: Store) -> None:
    store.set("a/zarr.json", b"{")
    with pytest.raises(ContainsNodeError):
        create_node(store, "a", array())
    create_node(store, "a", array(), overwrite=True)
    assert isinstance(open_node(store, "a"), ArrayMetadata)


def test_nothing_can_be_created_below_an_array(store: Store, zarr_format: int) -> None:
    create_node(store, "a", array(zarr_format))
    for path in ("a/b", "a/b/c"):
        with pytest.raises(ContainsArrayError, match="is an array"):
            create_node(store, path, group(zarr_format), overwrite=True)


def test_a_hierarchy_keeps_to_one_format(store: Store) -> None:
    create_node(store, "", group(2))
    with pytest.raises(MetadataError, match="zarr_format=2"):
        create_node(store, "a", group(3))


@pytest.mark.parametrize(
    "name",
    ["...", "__x", "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", ".zc-tmp", "a\nb", "\ud800"],
)
@pytest.mark.parametrize("where", ["{}", "a/{}", "{}/b"])
def test_a_name_that_no_node_may_have_is_refused(name: str, where: str) -> None:
    store = MemoryStore()
    with pytest.raises(MetadataError, match="cannot have the name"):
        create_node(store, where.format(name), group())
    assert not list(store.list_prefix(""))


@pytest.mark.parametrize(
    "name", ["c", "0", "a b", "ü", "a.b", "_x", ".hidden", "-", "zarr.json.bak", "x" * 200]
)
def test_other_names_are_fine(store: Store, name: str, zarr_format: int) -> None:
    create_node(store, f"g/{name}", array(zarr_format))
    assert [child for child, _ in open_children(store, "g", zarr_format)] == [name]  # type: ignore[arg-type]


def test_nothing_is_created_in_a_store_that_is_read_only(tmp_path: Path) -> None:
    with pytest.raises(ReadOnlyError):
        create_node(LocalStore(tmp_path / "s", read_only=True), "", group())
    assert not (tmp_path / "s").exists()


def test_of_two_that_create_one_node_one_wins(store: Store) -> None:
    for i in range(count(100)):
        outcomes: list[str] = []
        barrier = threading.Barrier(4)

        def create(path: str, outcomes: list[str] = outcomes, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                create_node(store, path, array())
                outcomes.append("made")
            except ContainsArrayError:
                outcomes.append("there")

        threads = [threading.Thread(target=create, args=(f"p{i}/q/a",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["made", "there", "there", "there"]


# --- overwrite, delete


@pytest.mark.parametrize("path", ["", "a/b"])
def test_overwriting_leaves_nothing_of_the_old_node(store: Store, zarr_format: int, path: str) -> None:
    create_node(store, path, array(zarr_format, attributes={"old": 1}))
    base = f"{path}/" if path else ""
    for key in ("c/0", "0", "0.0", "0/1"):
        if not (key == "0" and isinstance(store, LocalStore)):
            store.set(base + key, b"chunk")
    create_node(store, path, group(zarr_format), overwrite=True)
    documents = {".zgroup"} if zarr_format == 2 else {"zarr.json"}
    assert set(store.list_prefix(path)) == {base + name for name in documents}
    assert dict(open_node(store, path).attributes) == {}


def test_overwriting_changes_the_format(store: Store) -> None:
    create_node(store, "", array(2, attributes={"a": 1}))
    create_node(store, "", array(3), overwrite=True)
    assert set(store.list_prefix("")) == {"zarr.json"}


def test_other_files_at_the_root_of_a_store_survive_overwriting(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "old/array", array())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "code.py").write_text("mine")
    create_node(store, "", group(), overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "src", "zarr.json"]


def test_directories_of_numbers_that_were_never_chunks_survive(tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "report.pdf").write_text("mine")
    (tmp_path / "2024" / "7").write_text("a left-over chunk")
    create_node(LocalStore(tmp_path), "", array(2), overwrite=True)
    assert os.listdir(tmp_path / "2024") == ["report.pdf"]


def test_deleting_takes_the_document_first(zarr_format: int) -> None:
    deleted: list[str] = []

    class Recording(MappingStore):
        def delete(self, key: str) -> None:
            deleted.append(key)
            super().delete(key)

    store = Recording({})
    create_node(store, "a", array(zarr_format))
    store.set("a/c/0", b"x")
    delete_node(store, "a")
    assert deleted.index("a/.zarray" if zarr_format == 2 else "a/zarr.json") < deleted.index("a/c/0")
    assert find_node(store, "a") is None
    assert find_node(store, "") is not None


def test_deleting_does_not_touch_a_neighbour_whose_name_begins_alike(store: Store) -> None:
    create_node(store, "a", array())
    create_node(store, "ab", array())
    delete_node(store, "a")
    assert isinstance(open_node(store, "ab"), ArrayMetadata)


# --- change


def test_a_change_is_made_to_what_is_stored_now(store: Store, zarr_format: int) -> None:
    create_node(store, "a", array(zarr_format))
    for number in range(3):

        def change(stored: Any, number: int = number) -> Any:
            return stored.evolve(attributes={**stored.attributes, str(number): number})

        update_node(store, "a", zarr_format, change)  # type: ignore[arg-type]
    assert dict(open_node(store, "a").attributes) == {"0": 0, "1": 1, "2": 2}


def test_a_change_is_tried_again_when_another_writer_was_faster() -> None:
    store = MemoryStore()
    create_node(store, "", group())
    seen: list[int] = []

    def change(stored: Any) -> Any:
        if len(seen) < 3:
            # Another process: it does not know the lock that this one holds.
            other = stored.evolve(attributes={**stored.attributes, f"other{len(seen)}": 1})
            store.set("zarr.json", other.to_documents()["zarr.json"])
        seen.append(len(stored.attributes))
        return stored.evolve(attributes={**stored.attributes, "mine": 1})

    update_node(store, "", 3, change)
    assert seen == [0, 1, 2, 3]
    assert dict(open_node(store, "").attributes) == {"other0": 1, "other1": 1, "other2": 1, "mine": 1}


def test_a_change_that_is_always_overtaken_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zarrc.engine.nodes._ATTEMPTS", 3)
    store = MemoryStore()
    create_node(store, "", group())
    calls = iter(range(100))

    def change(stored: Any) -> Any:
        store.set("zarr.json", group(attributes={"n": next(calls)}).to_documents()["zarr.json"])
        return stored.evolve(attributes={"mine": 1})

    with pytest.raises(StoreConflictError):
        update_node(store, "", 3, change)


def test_the_lock_of_a_node_is_the_same_through_every_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    lock = node_lock(LocalStore(tmp_path), "a/b")
    assert node_lock(LocalStore(tmp_path / "a"), "b") is lock
    assert node_lock(LocalStore(tmp_path / "link"), "b") is lock
    assert node_lock(LocalStore(tmp_path), "a") is not lock


def test_a_lock_that_another_thread_held_is_free_in_a_forked_child(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    create_node(store, "", group())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with node_lock(store, ""):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        try:
            update_node(store, "", 3, lambda stored: stored.evolve(attributes={"child": 1}))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert status == 0
    assert dict(open_node(store, "").attributes) == {"child": 1}


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


def test_documents_on_disk_are_those_of_the_metadata(tmp_path: Path, zarr_format: int) -> None:
    create_node(LocalStore(tmp_path), "a", array(zarr_format, attributes={"x": 1}))
    names = {".zarray", ".zattrs"} if zarr_format == 2 else {"zarr.json"}
    assert set(os.listdir(tmp_path / "a")) == names
    for name in names:
        assert isinstance(json.loads((tmp_path / "a" / name).read_text()), dict)
