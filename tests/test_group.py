"""`Group`: a mapping of members, nested paths, creation, listing, and members that cannot be read."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.array import Array
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    MemberNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["local", "memory"])
def group(request: pytest.FixtureRequest, tmp_path: Path, zarr_format: int) -> Group:
    store = LocalStore(tmp_path / "g") if request.param == "local" else MemoryStore()
    return zarrc.create_group(store, zarr_format=zarr_format)  # type: ignore[arg-type]


def filled(group: Group) -> Group:
    group.create_array("x", shape=(3,), dtype="i4")
    group.create_array("a/b/c", shape=(2, 2), dtype="f8")
    group.create_group("a/empty")
    return group


# --- members


def test_a_group_is_a_mapping_of_its_members(group: Group) -> None:
    filled(group)
    assert list(group) == list(group.keys()) == ["a", "x"]
    assert len(group) == 2
    assert isinstance(group["a"], Group)
    assert isinstance(group["x"], Array)
    assert [member.path for member in group.values()] == ["a", "x"]
    assert [(name, member.path) for name, member in group.items()] == [("a", "a"), ("x", "x")]
    assert dict(group.arrays()) == {"x": group["x"]}
    assert dict(group.groups()) == {"a": group["a"]}
    assert list(group.array_keys()) == ["x"]
    assert list(group.array_values()) == [group["x"]]
    assert list(group.group_keys()) == ["a"]
    assert list(group.group_values()) == [group["a"]]


def test_an_empty_group_is_true_all_the_same(group: Group) -> None:
    assert group
    assert len(group) == 0
    assert list(group) == []


@pytest.mark.parametrize("path", ["a/b/c", "/a/b/c", "a//b/c/", "a\\b\\c"])
def test_paths_reach_into_groups(group: Group, path: str) -> None:
    filled(group)
    found = group[path]
    assert isinstance(found, Array)
    assert (found.path, found.name, found.basename) == ("a/b/c", "/a/b/c", "c")
    assert path in group
    assert group["a"]["b"]["c"] == found  # type: ignore[index]


def test_a_member_that_is_missing_is_a_key_error_and_names_what_is_near(group: Group) -> None:
    filled(group)
    for error in (KeyError, NodeNotFoundError, MemberNotFoundError):
        with pytest.raises(error, match="did you mean 'a/b/c'"):
            group["a/b/cc"]
    assert "zz" not in group
    assert "" not in group
    assert 3 not in group
    assert "../a" not in group
    assert group.get("zz") is None
    assert group.get("zz", 5) == 5
    with pytest.raises(ValueError, match=r"'\.\.'"):
        group["a/../x"]
    with pytest.raises(KeyError):
        group["/"]
    with pytest.raises(TypeError):
        group[3]  # type: ignore[index]


def test_members_of_one_kind(group: Group) -> None:
    filled(group)
    assert group.get_array("x") == group["x"]
    assert group.get_group("a/b") == group["a/b"]
    with pytest.raises(MemberNotFoundError, match="open_group"):
        group.get_array("a")
    with pytest.raises(MemberNotFoundError, match="open_array"):
        group.get_group("x")


def test_members_at_every_depth(group: Group) -> None:
    filled(group)
    paths = {
        0: ["a", "x"],
        1: ["a", "a/b", "a/empty", "x"],
        None: ["a", "a/b", "a/b/c", "a/empty", "x"],
    }
    for depth, expected in paths.items():
        assert [path for path, _ in group.members(depth)] == expected
        assert group.nmembers(depth) == len(expected)
    sub = group.get_group("a")
    assert [(path, member.path) for path, member in sub.members(None)] == [
        ("b", "a/b"),
        ("b/c", "a/b/c"),
        ("empty", "a/empty"),
    ]
    with pytest.raises(ValueError, match="max_depth"):
        group.members(-1)


def test_members_are_deleted_with_all_that_is_below(group: Group) -> None:
    filled(group)
    del group["a"]
    assert list(group) == ["x"]
    assert not [key for key in group.store.list_prefix("") if key.startswith("a")]
    with pytest.raises(KeyError, match="'a'"):
        del group["a"]
    with pytest.raises(KeyError):
        del group[""]


def test_a_member_that_cannot_be_read_does_not_hide_the_others(group: Group, zarr_format: int) -> None:
    filled(group)
    group.store.set("bad/zarr.json" if zarr_format == 3 else "bad/.zarray", b"{ not json")
    with pytest.warns(ZarrcWarning, match=r"bad is left out"):
        assert [name for name, _ in group.members()] == ["a", "x"]
    with pytest.warns(ZarrcWarning, match="bad"):
        assert "bad" not in str(group.tree())
    with pytest.raises(MetadataError):
        group["bad"]
    with pytest.raises(MetadataError):
        group.get("bad")
    assert "bad" in group
    del group["bad"]
    assert "bad" not in group
    assert list(group) == ["a", "x"]


# --- create


def test_arrays_are_created_with_their_parents(group: Group, zarr_format: int) -> None:
    array = group.create_array("p/q/r", data=np.arange(5), chunks=2, attributes={"u": 1})
    np.testing.assert_array_equal(array[:], np.arange(5))
    assert array.metadata.zarr_format == zarr_format
    assert group["p"].metadata.zarr_format == group["p/q"].metadata.zarr_format == zarr_format
    assert dict(group["p/q/r"].attrs) == {"u": 1}
    assert group.create("s", shape=(2,), dtype="i4").shape == (2,)


def test_children_cannot_be_of_another_format(group: Group, zarr_format: int) -> None:
    with pytest.raises(ValueError, match=f"Zarr v{zarr_format} group"):
        group.create_array("a", shape=(3,), zarr_format=5 - zarr_format)


def test_what_is_there_is_replaced_only_if_asked(group: Group) -> None:
    filled(group)
    with pytest.raises(ContainsArrayError):
        group.create_array("x", shape=(9,))
    with pytest.raises(ContainsGroupError):
        group.create_array("a", shape=(9,))
    with pytest.raises(ContainsGroupError):
        group.create_group("a")
    with pytest.raises(ContainsArrayError, match="x is an array"):
        group.create_array("x/below", shape=(3,))
    assert group.create_array("a", shape=(9,), overwrite=True).shape == (9,)
    assert group.create_group("x", overwrite=True, attributes={"k": 1}).attrs["k"] == 1
    assert [path for path, _ in group.members(None)] == ["a", "x"]


@pytest.mark.parametrize("name", ["", "/", "a/..", "__x", "zarr.json", ".zgroup"])
def test_names_that_no_member_may_have_are_refused(group: Group, name: str) -> None:
    with pytest.raises(ValueError):
        group.create_group(name)
    with pytest.raises(ValueError):
        group.create_array(name, shape=(1,))
    assert len(group) == 0


def test_an_unknown_keyword_is_named_with_close_ones(group: Group) -> None:
    with pytest.raises(TypeError, match=r"Group.create_array\(\).*'chunk'; did you mean 'chunks'"):
        group.create_array("a", shape=(3,), chunk=2)
    assert len(group) == 0


def test_require_group(group: Group) -> None:
    first = group.require_group("a/b")
    first.attrs["k"] = 1
    assert group.require_group("a/b").attrs["k"] == 1
    assert dict(group.require_group("a/b", overwrite=True).attrs) == {}
    group.create_array("x", shape=(1,))
    with pytest.raises(ContainsArrayError):
        group.require_group("x")
    assert [one.path for one in group.require_groups("c", "d")] == ["c", "d"]


def test_require_array(group: Group) -> None:
    made = group.require_array("x", shape=(3, 4), dtype="f8", chunks=2)
    assert made.chunks == (2, 2)
    assert group.require_array("x", shape=(3, 4), dtype="f4") == made
    assert group.require_array("x", shape=(3, 4)) == made
    with pytest.raises(TypeError, match=r"shape \(3, 4\), not \(3,\)"):
        group.require_array("x", shape=3)
    with pytest.raises(TypeError, match="data type float64, not float32"):
        group.require_array("x", shape=(3, 4), dtype="f4", exact=True)
    with pytest.raises(TypeError, match="data type"):
        group.require_array("x", shape=(3, 4), dtype="c16")
    group.create_group("g")
    with pytest.raises(ContainsGroupError):
        group.require_array("g", shape=(1,))


def test_arrays_by_their_content(group: Group) -> None:
    assert (group.zeros("z", shape=(3,), dtype="i4")[:] == 0).all()
    assert (group.ones("o", shape=3, dtype="i4")[:] == 1).all()
    assert (group.full("f", shape=(3,), fill_value=7, dtype="i4")[:] == 7).all()
    assert group.empty("e", shape=(3,)).dtype == np.dtype("f8")
    like: dict[str, Any] = {"data": np.ones((2, 3), "i2")}
    for name, made in {
        "zl": group.zeros_like("zl", **like),
        "ol": group.ones_like("ol", **like),
        "el": group.empty_like("el", **like),
        "fl": group.full_like("fl", fill_value=4, **like),
    }.items():
        assert (made.path, made.shape, made.dtype) == (name, (2, 3), np.dtype("i2"))
    assert (group["fl"][...] == 4).all()  # type: ignore[index]
    assert (group["ol"][...] == 1).all()  # type: ignore[index]


def test_assigning_data_stores_them(group: Group) -> None:
    group["a/b"] = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(group.get_array("a/b")[...], np.arange(6).reshape(2, 3))
    group["a/b"] = [1.5, 2.5]
    np.testing.assert_array_equal(group.get_array("a/b")[...], [1.5, 2.5])
    with pytest.raises(ValueError, match="source itself"):
        group["a/b"] = group["a/b"]
    np.testing.assert_array_equal(group.get_array("a/b")[...], [1.5, 2.5])


# --- read only, identity


def test_a_group_opened_for_reading_passes_that_on(group: Group) -> None:
    filled(group)
    reader = zarrc.open_group(group.store, mode="r")
    assert reader.read_only
    attempts = (
        lambda: reader.create_group("n"),
        lambda: reader.create_array("n", shape=(1,)),
        lambda: reader.__delitem__("x"),
        lambda: reader.__setitem__("n", [1]),
        lambda: reader.attrs.update(a=1),
        lambda: reader.get_array("x").__setitem__(0, 1),
        lambda: reader.get_group("a").create_group("n"),
        lambda: reader.get_group("a").get_array("b/c").attrs.update(a=1),
        lambda: dict(reader.arrays())["x"].__setitem__(0, 1),
    )
    for attempt in attempts:
        with pytest.raises(ReadOnlyError):
            attempt()
    assert list(group) == ["a", "x"]


def test_handles_of_one_group_are_equal_and_copies_share_it(group: Group) -> None:
    filled(group)
    assert group["a"] == group.get_group("a")
    assert group["a"] != group["a/b"]
    assert hash(group["a"]) == hash(group.get_group("a"))
    for twin in (copy.copy(group), copy.deepcopy(group)):
        assert twin == group
        twin.create_group(f"via_{len(group)}")
    assert len(group) == 4


def test_a_group_pickles(tmp_path: Path, zarr_format: int) -> None:
    group = filled(zarrc.create_group(tmp_path / "g", zarr_format=zarr_format))  # type: ignore[arg-type]
    twin = pickle.loads(pickle.dumps(group))
    assert twin == group
    assert list(twin) == ["a", "x"]
    assert pickle.loads(pickle.dumps(zarrc.open_group(tmp_path / "g", mode="r"))).read_only


def test_what_other_handles_create_is_seen_at_once(group: Group) -> None:
    other = zarrc.open_group(group.store)
    other.create_group("new")
    assert "new" in group
    assert list(group) == ["new"]


# --- v2 beside v3


def test_members_of_another_format_are_reached_too() -> None:
    store = MemoryStore()
    root = zarrc.create_group(store)
    old = zarrc.create_group(MemoryStore(), zarr_format=2)
    store.set("old/.zgroup", bytes(old.store.get(".zgroup") or b""))
    assert root["old"].metadata.zarr_format == 2
    assert list(root) == ["old"]


# --- the class's own constructors, representation


def test_open_and_create_by_the_class(zarr_format: int) -> None:
    store = MemoryStore()
    with pytest.raises(GroupNotFoundError):
        Group.open(store)
    made = Group.from_store(store, attributes={"a": 1}, zarr_format=zarr_format)  # type: ignore[arg-type]
    assert Group.open(store) == made
    assert dict(Group.open(store).attrs) == {"a": 1}
    with pytest.raises(ContainsGroupError):
        Group.from_store(store)


def test_its_repr_says_its_place(tmp_path: Path) -> None:
    group = zarrc.create_group(tmp_path / "g")
    assert repr(group) == f"<Group file://{tmp_path}/g>"
    assert repr(group.create_group("a/b")) == f"<Group file://{tmp_path}/g/a/b>"


class CountingDict(dict[str, bytes]):
    """Counts how often something is looked up."""

    n = 0

    def __getitem__(self, key: str) -> bytes:
        self.n += 1
        return super().__getitem__(key)


def _lookups(objects: CountingDict, do: Callable[[], object]) -> int:
    before = objects.n
    do()
    return objects.n - before


@pytest.mark.parametrize("make", [list, tuple, set, sorted])
def test_the_names_of_the_members_are_read_once(make: Callable[[Group], Any]) -> None:
    objects = CountingDict()
    group = filled(zarrc.create_group(objects))
    assert sorted(make(group)) == ["a", "x"]
    assert _lookups(objects, lambda: make(group)) == _lookups(objects, lambda: list(group.keys()))


def test_a_member_that_cannot_be_read_is_warned_of_once(tmp_path: Path) -> None:
    group = filled(zarrc.create_group(tmp_path))
    (tmp_path / "x" / "zarr.json").write_text("{")
    with pytest.warns(ZarrcWarning, match="is left out") as caught:
        assert list(group) == ["a"]
    assert len(caught) == 1


def test_a_length_is_never_that_of_an_earlier_iteration(group: Group) -> None:
    names = iter(filled(group))
    assert (len(group), next(names)) == (2, "a")
    group.create_group("z")
    assert (len(group), list(group), list(names)) == (3, ["a", "x", "z"], ["x"])
    left = iter(group)
    del left
    del group["z"]
    assert len(group) == 2


def test_members_may_be_deleted_while_iterating(group: Group) -> None:
    for name in filled(group):
        del group[name]
    assert list(group) == []
