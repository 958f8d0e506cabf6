"""Copies, moves, renames, deletes and creations that fail at each call of a store: old or new, as is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.group.faults import KINDS, Faults, count_renames, failing_store
from zarrc.errors import StoreError
from zarrc.group import Group
from zarrc.storage import Store

FORMATS = (2, 3)
_MOST_CALLS = 400


@pytest.fixture(params=KINDS)
def faults_and_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Faults, Callable[[], Store]]:
    faults = Faults()
    count_renames(faults, monkeypatch)
    numbers = iter(range(10_000))
    return faults, lambda: failing_store(request.param, tmp_path / str(next(numbers)), faults)


def filled(store: Store, zarr_format: Any) -> Group:
    root = zarrc.create_group(store, zarr_format=zarr_format)
    root.create_group("a", attributes={"k": 1})
    root.create_array("a/x", data=np.arange(5), chunks=2, attributes={"unit": "m"})
    root.create_array("a/sub/y", data=np.arange(3.0))
    root.create_array("b", data=np.arange(3), chunks=2)
    return root


def content(store: Store, path: str, *, below: bool = True) -> Any:
    """What a node is, with all that it holds; None if there is none."""
    try:
        node = zarrc.open(store, path=path, mode="r", use_consolidated=False)
    except FileNotFoundError:
        return None
    if isinstance(node, zarrc.Array):
        return dict(node.attrs), node.dtype.str, node[...].tolist()
    return dict(node.attrs), {name: content(store, member.path) for name, member in node.members()}


def each_failure(
    faults: Faults, make: Callable[[], Store], zarr_format: Any, act: Callable[[Group], object]
) -> Any:
    """Yield the store and the error for each call at which ``act`` can fail, once and for good."""
    for for_good in (False, True):
        for number in range(_MOST_CALLS):
            faults.heal()
            store = make()
            root = filled(store, zarr_format)
            faults.arm(number, for_good=for_good)
            error: StoreError | None = None
            try:
                act(root)
            except StoreError as caught:
                error = caught
            has_failed = faults.has_failed
            faults.heal()
            if not has_failed:
                assert error is None
                break
            if error is not None:  # it may have been of no consequence
                yield store, error.message
        else:
            pytest.fail("it never comes to its end")


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("how", "name"), [("move", "a"), ("rename", "b"), ("zarrc.move", "a")])
def test_a_move_leaves_the_node_whole_at_one_place_and_says_at_which(
    faults_and_store: Any, zarr_format: Any, name: str, how: str
) -> None:
    faults, make = faults_and_store
    wanted = content(filled(make(), zarr_format).store, name)
    target = "n/new" if how == "move" else "new"
    acts: dict[str, Callable[[Group], object]] = {
        "move": lambda root: root.move(name, target),
        "rename": lambda root: root.rename(name, target),
        "zarrc.move": lambda root: zarrc.move(root[name], root, target),
    }
    n = 0
    for store, said in each_failure(faults, make, zarr_format, acts[how]):
        old, new = content(store, name), content(store, target)
        if "its old place" in said:
            assert (old, new) == (wanted, None), said
        elif "and still at its old one" in said:
            assert (old, new) == (wanted, wanted), said
        elif "its new place" in said:
            assert new == wanted, said
            assert old in (None, wanted) or "could not be deleted" in said, said
        else:  # before anything was begun
            assert (old, new) == (wanted, None), said
        n += 1
    assert n > 5


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_move_over_another_node_never_loses_the_one_that_is_moved(
    faults_and_store: Any, zarr_format: Any
) -> None:
    faults, make = faults_and_store
    store = filled(make(), zarr_format).store
    wanted, other = content(store, "a"), content(store, "b")
    for store, said in each_failure(
        faults, make, zarr_format, lambda root: root.move("a", "b", if_exists="replace")
    ):
        old, new = content(store, "a"), content(store, "b")
        if "its new place" in said:
            assert new == wanted, said
        else:
            assert old == wanted, said
            is_gone = "is deleted" in said or "is now called" in said
            assert new == (None if is_gone else other) or "not known" in said, said


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_move_to_another_store_is_whole_at_one_place(
    faults_and_store: Any, tmp_path: Path, zarr_format: Any
) -> None:
    faults, make = faults_and_store
    wanted = content(filled(make(), zarr_format).store, "a")
    targets: list[Store] = []

    def act(root: Group) -> None:
        targets.append(zarrc.storage.MemoryStore())
        zarrc.move(root["a"], targets[-1], "q")

    for store, said in each_failure(faults, make, zarr_format, act):
        old, new = content(store, "a"), content(targets[-1], "q")
        if "its new place" in said:
            assert new == wanted, said
        else:
            assert (old, new) == (wanted, None), said


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_copy_is_there_whole_or_not_at_all(faults_and_store: Any, zarr_format: Any, name: str) -> None:
    faults, make = faults_and_store
    wanted = content(filled(make(), zarr_format).store, name)
    n = 0
    for store, said in each_failure(
        faults, make, zarr_format, lambda root: zarrc.copy(root[name], root, "n/copy")
    ):
        assert content(store, name) == wanted, said
        assert content(store, "n/copy") is None, said
        n += 1
    assert n > 5


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_copy_over_another_node_is_the_old_or_the_new(faults_and_store: Any, zarr_format: Any) -> None:
    faults, make = faults_and_store
    store = filled(make(), zarr_format).store
    wanted, other = content(store, "a"), content(store, "b")
    for store, said in each_failure(
        faults, make, zarr_format, lambda root: zarrc.copy(root["a"], root, "b", if_exists="replace")
    ):
        assert content(store, "a") == wanted
        found = content(store, "b")
        if any(text in said for text in ("it is not there", "is deleted", "is now called")):
            # On stores without renames the old one goes first.
            assert found is None, said
        else:
            assert found == other or "not known" in said, said


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize(("how", "name"), [("del", "a"), ("zarrc.delete", "b")])
def test_a_node_is_whole_or_deleted_and_it_is_said_which(
    faults_and_store: Any, zarr_format: Any, name: str, how: str
) -> None:
    faults, make = faults_and_store
    wanted = content(filled(make(), zarr_format).store, name)
    acts: dict[str, Callable[[Group], object]] = {
        "del": lambda root: root.__delitem__(name),
        "zarrc.delete": lambda root: zarrc.delete(root.store, name),
    }
    for store, said in each_failure(faults, make, zarr_format, acts[how]):
        found = content(store, name)
        if "is deleted" in said:
            assert found is None, said
        elif "not known" in said:
            assert found in (None, wanted), said
        else:
            assert found == wanted, said


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("kind", ["group", "array"])
def test_what_is_required_is_there_whole_or_not_at_all(
    faults_and_store: Any, zarr_format: Any, kind: str
) -> None:
    faults, make = faults_and_store

    def act(root: Group) -> object:
        if kind == "group":
            return root.require_group("n/m")
        return root.require_array("n/m", shape=(3,), dtype="i4", attributes={"u": 1})

    whole = ({}, {}) if kind == "group" else ({"u": 1}, "<i4", [0, 0, 0])
    n = 0
    for store, said in each_failure(faults, make, zarr_format, act):
        found = content(store, "n/m")
        if "it is there now" in said:
            assert found == whole, said
        elif "not known" in said and found is not None:
            assert found in (whole, ({}, "<i4", [0, 0, 0])), said
        else:
            assert found is None, said
        n += 1
    assert n > 3


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_what_is_required_and_there_stays_as_it_is(faults_and_store: Any, zarr_format: Any) -> None:
    faults, make = faults_and_store
    wanted = content(filled(make(), zarr_format).store, "")
    for store, _ in each_failure(
        faults,
        make,
        zarr_format,
        lambda root: (root.require_group("a"), root.require_array("b", shape=3, exact=True, dtype="i8")),
    ):
        assert content(store, "") == wanted


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_change_that_the_consolidated_metadata_miss_is_stored_and_said(
    faults_and_store: Any, zarr_format: Any
) -> None:
    faults, make = faults_and_store
    told = []
    for store, said in each_failure(
        faults, make, zarr_format, lambda root: zarrc.consolidate_metadata(root.store).create_group("new")
    ):
        if "could not be brought up to date" in said:
            told.append(said)
            assert content(store, "new") == ({}, {})
    assert told
