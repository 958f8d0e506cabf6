"""Copies, moves and renames: within and across stores, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.tools.places import PLACES, new_store
from zarrc.errors import ContainsNodeError, MemberNotFoundError, MetadataError, ZarrcError
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore
from zarrc.tools import Copied


def filled(store: Any, zarr_format: Any = 3) -> Group:
    root = zarrc.create_group(store, zarr_format=zarr_format)
    root.create_group("a", attributes={"k": 1})
    root.create_array("a/x", data=np.arange(20), chunks=3, attributes={"unit": "m"})
    root.create_array("a/sub/y", data=np.arange(6.0).reshape(2, 3), chunks=(1, 2))
    root["b"] = np.arange(5)
    return root


def content(node: Any) -> Any:
    if isinstance(node, zarrc.Array):
        return dict(node.attrs), node.dtype, node[...].tolist()
    return dict(node.attrs), {name: content(member) for name, member in node.items()}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("source", PLACES)
@pytest.mark.parametrize("target", PLACES)
def test_copies_and_moves_between_all_kinds_of_stores(
    tmp_path: Path, zarr_format: Any, source: str, target: str
) -> None:
    root = filled(new_store(source, tmp_path / "s"), zarr_format)
    into = zarrc.create_group(new_store(target, tmp_path / "t"), zarr_format=zarr_format)
    wanted = content(root["a"])
    assert zarrc.copy(root["a"], into, "n/c") == Copied(4, 0, 20 * 8 + 6 * 8)
    assert content(into["n/c"]) == wanted
    assert zarrc.copy_all(root["a"], into).n_copied == 3
    assert content(into["sub"]) == wanted[1]["sub"]
    moved = zarrc.move(root["a"], into, "m")
    assert content(moved) == content(into["m"]) == wanted
    assert "a" not in root
    assert not [key for key in root.store.list_prefix("") if key.startswith("a/")]
    root.move("b", "p/q")
    assert content(root["p/q"])[2] == [0, 1, 2, 3, 4]
    assert list(root) == ["p"]


@pytest.mark.parametrize("place", PLACES)
def test_a_store_is_copied_object_by_object(tmp_path: Path, place: str) -> None:
    root = filled(new_store(place, tmp_path / "s"))
    target = MemoryStore()
    keys = sorted(root.store.list_prefix(""))
    dry = zarrc.copy_store(root.store, target, dry_run=True)
    assert dry == Copied(len(keys), 0, 0)
    assert not list(target.list_prefix(""))
    done = zarrc.copy_store(root.store, target)
    assert sorted(target.list_prefix("")) == keys
    assert done.n_bytes_copied == sum(len(bytes(target.get(key) or b"")) for key in keys)
    with pytest.raises(ContainsNodeError, match="is there already"):
        zarrc.copy_store(root.store, target)
    assert zarrc.copy_store(root.store, target, if_exists="skip")[:2] == (0, len(keys))
    assert zarrc.copy_store(root.store, target, if_exists="replace").n_copied == len(keys)
    part = MemoryStore()
    zarrc.copy_store(root.store, part, "a", "p", excludes="/c/", includes=[r"y/c/0/0"])
    assert "p/sub/y/c/0/0" in part.list_prefix("")
    assert "p/x/c/0" not in part.list_prefix("")
    with pytest.raises(ValueError, match="source itself"):
        zarrc.copy_store(root.store, root.store)


def test_choices_where_something_is_there_already(tmp_path: Path) -> None:
    for store in (MemoryStore(), LocalStore(tmp_path)):
        root = filled(store)
        into = root.create_group("into")
        zarrc.copy(root["a"], into)
        with pytest.raises(ContainsNodeError):
            zarrc.copy(root["a"], into)
        into["a/x"][0] = 99  # type: ignore[index]
        said: list[str] = []
        assert zarrc.copy(root["a"], into, if_exists="skip", log=said.append) == Copied(0, 1, 0)
        assert zarrc.copy(root["a/x"], into["a"], if_exists="skip_initialized").n_skipped == 1
        assert len(said) == 1
        root.store.delete("into/a/x/c/0")
        assert zarrc.copy(root["a/x"], into["a"], if_exists="skip_initialized").n_copied == 1
        assert content(into["a"]) == content(root["a"])
        into.create_group("a/only here")
        zarrc.copy(root["a"], into, if_exists="replace")
        assert content(into["a"]) == content(root["a"])
        with pytest.raises(ValueError, match="if_exists"):
            zarrc.copy(root["a"], into, if_exists="maybe")  # type: ignore[arg-type]
        with pytest.raises(ContainsNodeError):
            root.move("a", "b")
        root.move("a", "b", if_exists="skip")
        assert "a" in root
        root.move("a", "b", if_exists="replace")
        assert list(root) == ["b", "into"]
        assert isinstance(root["b"], Group)


def test_other_ways_to_copy() -> None:
    root = filled(MemoryStore())
    dry = zarrc.copy(root["a"], root, "c", dry_run=True)
    assert dry == Copied(4, 0, 208)
    assert "c" not in root
    assert zarrc.copy(root["a"], MemoryStore(), "c", dry_run=True) == dry
    zarrc.copy(root["a"], root, "shallow", shallow=True, without_attrs=True)
    assert [path for path, _ in root.get_group("shallow").members(None)] == ["sub", "x"]
    assert not root["shallow"].attrs
    assert not root["shallow/x"].attrs
    zarrc.copy(root["a"], root, "otherwise", chunks=(1,) if False else None, compressors=None)
    assert root.get_array("otherwise/x").compressors == ()
    assert content(root["otherwise"]) == content(root["a"])
    old = zarrc.group(zarr_format=2)
    zarrc.copy(root["a"], old)
    assert old["a/x"].metadata.zarr_format == 2
    assert content(old["a"]) == content(root["a"])
    made = root.copy("a/x", "xx")
    assert made == root["xx"]
    assert root.copy(root["a"], root["shallow"]).path == "shallow/a"
    with pytest.raises(ValueError, match="name="):
        zarrc.copy(root, MemoryStore())


def test_a_member_that_cannot_be_read_is_not_left_out_of_a_copy() -> None:
    root = filled(MemoryStore())
    root.store.set("a/bad/zarr.json", b"{")
    with pytest.raises(MetadataError):
        zarrc.copy(root["a"], root, "c")
    assert "c" not in root
    assert not [key for key in root.store.list_prefix("") if key.startswith("c/")]


def test_places_that_lie_in_one_another_are_refused(tmp_path: Path) -> None:
    for store in (MemoryStore(), LocalStore(tmp_path)):
        root = filled(store)
        before = content(root)
        for attempt in (
            lambda root=root: root.move("a", "a/inside"),
            lambda root=root: root.move("a/sub", "a", if_exists="replace"),
            lambda root=root: zarrc.copy(root["a"], root["a"], "inside"),
            lambda root=root: zarrc.copy(root["a/sub"], root, "a", if_exists="replace"),
            lambda root=root: zarrc.copy(root["a"], root, "a", if_exists="replace"),
        ):
            with pytest.raises(ValueError):
                attempt()
        root.move("a", "a")
        root.rename("a", "a")
        assert content(root) == before
        with pytest.raises(MemberNotFoundError):
            root.move("zz", "n")
        with pytest.raises(ValueError, match="no slash"):
            root.rename("a", "b/c")
        with pytest.raises(ContainsNodeError, match="is an array"):
            root.move("a", "b/below")
        with pytest.raises(ZarrcError):
            zarrc.rename(root["a"], "b")
        with pytest.raises(ValueError, match="root of a store"):
            zarrc.rename(root, "b")


def test_a_move_keeps_to_the_format() -> None:
    with pytest.raises(MetadataError, match="zarr_format=2"):
        zarrc.move(filled(MemoryStore(), 3)["a"], zarrc.group(zarr_format=2))


def test_on_a_local_store_a_move_is_a_rename_of_everything(tmp_path: Path) -> None:
    root = filled(tmp_path)
    (tmp_path / "a" / "notes.txt").write_text("mine")
    inode = os.stat(tmp_path / "a/x/c/0").st_ino
    root.move("a", "n/m")
    assert os.stat(tmp_path / "n/m/x/c/0").st_ino == inode
    assert (tmp_path / "n/m/notes.txt").read_text() == "mine"
    assert not (tmp_path / "a").exists()
    assert not [name for name in os.listdir(tmp_path / "n") if name.startswith(".zc")]


def test_a_directory_that_is_no_node_is_not_moved_over(tmp_path: Path) -> None:
    root = filled(tmp_path)
    (tmp_path / "n").mkdir()
    root.move("a", "n")  # an empty one is nothing
    (tmp_path / "m").mkdir()
    (tmp_path / "m/notes.txt").write_text("mine")
    with pytest.raises(zarrc.errors.StoreError, match="holds what is no node"):
        root.move("n", "m")
    assert "n" in root
    assert (tmp_path / "m/notes.txt").exists()
    with pytest.raises(zarrc.errors.StoreError, match="holds what is no node"):
        root.copy("n", "m")


def test_the_root_of_a_store_is_moved_by_copying(tmp_path: Path) -> None:
    wanted = content(filled(tmp_path / "s"))
    (tmp_path / "s" / "notes.txt").write_text("mine")
    moved = zarrc.move(tmp_path / "s", tmp_path / "t")
    assert content(moved) == wanted
    assert sorted(os.listdir(tmp_path / "s")) == ["notes.txt"]
    with pytest.raises(FileNotFoundError):
        zarrc.open(tmp_path / "s")


def test_what_is_kept_in_memory_of_a_moved_array_is_not_read_for_another(tmp_path: Path) -> None:
    root = zarrc.create_group(tmp_path)
    for name, value in (("a", 1), ("b", 2)):
        root.create_array(name, data=np.full(8, value), chunks=(2,), shards=(4,))
    first: Any = root["a"]
    assert first[:].tolist() == [1] * 8
    root.rename("a", "c")
    root.rename("b", "a")
    assert first[:].tolist() == [2] * 8


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_cache_of_chunks_does_not_outlive_what_it_is_of(tmp_path: Path, place: str) -> None:
    root = zarrc.create_group(new_store(place, tmp_path))
    for name, value in (("a", 1), ("b", 2), ("c", 3)):
        root.create_array(name, data=np.full(8, value), chunks=(2,))
    cached = root.get_array("a").with_cache(nbytes=2**20)
    assert cached[:].tolist() == [1] * 8
    root.move("b", "a", if_exists="replace")
    assert cached[:].tolist() == [2] * 8
    zarrc.copy(root["c"], root, "a", if_exists="replace")
    assert cached[:].tolist() == [3] * 8
