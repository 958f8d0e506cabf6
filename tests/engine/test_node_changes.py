"""Nodes: created with their parents, overwritten and deleted with care, changed without losing a change."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.engine.node_samples import array, group
from tests.soak import count
from zarrc.engine.node_changes import create_node, delete_node, node_lock, update_node
from zarrc.engine.nodes import find_node, open_children, open_node
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    MetadataError,
    ReadOnlyError,
    StoreConflictError,
)
from zarrc.metadata.model import ArrayMetadata
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store

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


def test_documents_on_disk_are_those_of_the_metadata(tmp_path: Path, zarr_format: int) -> None:
    create_node(LocalStore(tmp_path), "a", array(zarr_format, attributes={"x": 1}))
    names = {".zarray", ".zattrs"} if zarr_format == 2 else {"zarr.json"}
    assert set(os.listdir(tmp_path / "a")) == names
    for name in names:
        assert isinstance(json.loads((tmp_path / "a" / name).read_text()), dict)


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
    monkeypatch.setattr("zarrc.engine.node_changes._ATTEMPTS", 3)
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
