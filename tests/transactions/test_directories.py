"""Transactions in directories: by way of which path they are found again, who owns them, what may fail."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.transactions.samples import change, check, contents, fill, left_names
from zarrc.errors import StoreError, TransactionConflictError, ZarrcWarning
from zarrc.storage import LocalStore
from zarrc.transactions import applying, claims_local, clean, recover, transacting

FORK = multiprocessing.get_context("fork")


def run_child(do: Callable[..., None], *arguments: Any) -> None:
    process = FORK.Process(target=do, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None


def die_in(path: Path, where: str) -> None:
    """A child whose transaction ends at a step: before its record, or after it."""
    name = "_decide" if where == "before" else "_finish"
    setattr(transacting.Transaction, name, lambda *_: os._exit(9))
    with zarrc.transaction(zarrc.open_group(path)) as tx:
        change(tx)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    fill(LocalStore(tmp_path / "x"))
    return tmp_path / "x"


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("member", ["grown", "deep/er/z", "deep/er", "cut"])
def test_a_member_that_is_opened_as_a_directory_of_its_own_finds_it(
    place: Path, where: str, member: str
) -> None:
    run_child(die_in, place, where)
    assert left_names(LocalStore(place)) != []
    zarrc.open(place / member, mode="r+")
    check(zarrc.open_group(place, mode="r"), changed=where == "after")
    assert left_names(LocalStore(place)) == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_directory_that_was_moved_as_a_whole(place: Path, where: str) -> None:
    run_child(die_in, place, where)
    shutil.move(place, place.parent / "y")
    check(zarrc.open_group(place.parent / "y"), changed=where == "after")


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_group_that_was_renamed_in_it(place: Path, where: str) -> None:
    run_child(die_in, place, where)
    os.rename(place / "deep", place / "other")
    z = zarrc.open_array(place, path="other/er/z", mode="r+")
    assert z[1, 1] == (7 if where == "after" else 1)
    assert zarrc.open_group(place / "other/er").attrs["x"] == (7 if where == "after" else 1)
    assert zarrc.open_array(place, path="grown").shape == ((49,) if where == "after" else (40,))
    assert left_names(LocalStore(place)) == []


def test_a_node_that_was_moved_elsewhere_finds_it_by_its_old_place(place: Path) -> None:
    run_child(die_in, place, "after")
    os.rename(place / "grown", place.parent / "grown")
    assert zarrc.open_array(place.parent / "grown").shape == (49,)
    assert zarrc.open_array(place.parent / "grown")[10] == 7
    assert left_names(LocalStore(place)) == []


def test_a_marker_without_its_records_is_an_error_that_says_what_to_do(place: Path) -> None:
    run_child(die_in, place, "after")
    shutil.move(place / "grown", place.parent / "grown")
    shutil.rmtree(place)
    with pytest.raises(StoreError, match="move it back"):
        zarrc.open_array(place.parent / "grown")
    assert zarrc.open_array(place.parent / "grown", mode="r").shape == (40,)


def test_a_way_by_a_link(place: Path) -> None:
    os.rename(place / "deep", place.parent / "elsewhere")
    os.symlink(place.parent / "elsewhere", place / "deep")
    with zarrc.transaction(zarrc.open_group(place)) as tx:
        change(tx)
    check(zarrc.open_group(place), changed=True)


@pytest.mark.parametrize("where", ["before", "after"])
def test_by_the_other_end_of_a_link(place: Path, where: str) -> None:
    os.rename(place / "deep", place.parent / "elsewhere")
    os.symlink(place.parent / "elsewhere", place / "deep")
    run_child(die_in, place, where)
    z = zarrc.open_array(place.parent / "elsewhere/er/z", mode="r+")
    assert z[1, 1] == (7 if where == "after" else 1)


def test_creating_and_deleting_settle_it_too(place: Path) -> None:
    run_child(die_in, place, "after")
    zarrc.create_group(place, path="fresh/more")
    check(zarrc.open_group(place, mode="r"), changed=True)
    run_child(die_in, place, "after")
    zarrc.delete(place, "grown")
    assert left_names(LocalStore(place)) == []


def test_a_look_for_reading_changes_nothing(place: Path) -> None:
    run_child(die_in, place, "after")
    before = sorted(place.rglob("*"))
    check(zarrc.open_group(place, mode="r"), changed=False)
    assert sorted(place.rglob("*")) == before
    assert recover(place)
    assert not recover(place)
    check(zarrc.open_group(place, mode="r"), changed=True)


def test_what_was_killed_before_its_end_goes_with_the_next(place: Path) -> None:
    def die(path: Path) -> None:
        with zarrc.transaction(zarrc.open_group(path)) as tx:
            change(tx)
            os._exit(9)

    run_child(die, place)
    assert left_names(LocalStore(place)) != []
    with zarrc.transaction(zarrc.open_group(place)) as tx:
        tx["grown"][0] = 1
    assert left_names(LocalStore(place)) == []
    run_child(die, place)
    (found,) = clean(place)
    assert found.outcome == "rolled back"
    assert left_names(LocalStore(place)) == []


def test_the_place_of_another_process_is_not_taken(place: Path) -> None:
    here, there = FORK.Pipe()

    def stay(path: Path) -> None:
        with zarrc.transaction(zarrc.open_group(path)) as tx:
            change(tx)
            there.send("begun")
            there.recv()

    process = FORK.Process(target=stay, args=(place,))
    process.start()
    assert here.recv() == "begun"
    assert clean(place) == []
    with zarrc.transaction(zarrc.open_group(place)) as tx:
        tx["grown"][10] = 100
    here.send("go on")
    process.join(60)
    # It changed the same chunk.
    assert process.exitcode == 1
    grown = zarrc.open_array(place, path="grown")
    assert (grown.shape, grown[10], grown[11]) == ((40,), 100, 11)
    assert left_names(LocalStore(place)) == []


def test_two_processes_lose_nothing(place: Path) -> None:
    def count_up(path: Path) -> None:
        for _ in range(10):
            while True:
                try:
                    with zarrc.transaction(zarrc.open_group(path)) as tx:
                        tx["grown"][0] += 1
                        tx["cut"][0] += 1
                    break
                except TransactionConflictError:
                    continue

    processes = [FORK.Process(target=count_up, args=(place,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    top = zarrc.open_group(place)
    assert (top["grown"][0], top["cut"][0]) == (20, 20)
    assert left_names(LocalStore(place)) == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_where_files_cannot_be_locked_the_process_is_looked_for(
    place: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_local, "_flock", lambda fd: None)
    with zarrc.transaction(zarrc.open_group(place)["grown"]) as tx:
        tx[0] = 0
        assert clean(place / "grown") == []
        tx[1] = 1
    run_child(die_in, place, where)
    check(zarrc.open_group(place), changed=where == "after")
    assert left_names(LocalStore(place)) == []


def test_a_process_of_another_machine_may_live(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_local, "_flock", lambda fd: None)
    run_child(die_in, place, "after")
    (owner,) = place.glob(".zc-tx/*/owner")
    owner.write_text(json.dumps({**json.loads(owner.read_text()), "host_id": "another"}))
    with (
        zarrc.config.set({"storage.transaction_lease": 0.1}),
        pytest.raises(TransactionConflictError, match="is being committed by process"),
    ):
        zarrc.open_group(place)


def test_a_full_disk_drops_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(LocalStore(place))
    old = LocalStore.set

    def set_(self: LocalStore, key: str, data: Any) -> None:
        if key.endswith("/d/5"):
            raise StoreError("No space left on device [errno 28]", key=key)
        old(self, key, data)

    monkeypatch.setattr(LocalStore, "set", set_)
    with pytest.raises(StoreError, match="No space"), zarrc.transaction(zarrc.open_group(place)) as tx:
        change(tx)
    assert contents(LocalStore(place)) == before
    assert left_names(LocalStore(place)) == []


def test_what_cannot_be_moved_is_told_and_done_by_the_next(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(source: str, target: str) -> None:
        if target.endswith("grown/c/1"):
            raise PermissionError(13, "Permission denied")
        whole(source, target)

    whole = applying._Doing._rename_one
    with monkeypatch.context() as patch:
        patch.setattr(applying._Doing, "_rename_one", staticmethod(rename))
        with pytest.raises(StoreError, match="Permission denied") as caught:  # noqa: SIM117
            with zarrc.transaction(zarrc.open_group(place, mode="r+")) as tx:
                change(tx)
    assert "the transaction is committed" in caught.value.__notes__[0]
    check(zarrc.open_group(place), changed=True)
    assert left_names(LocalStore(place)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_who_may_not_write_is_warned(place: Path) -> None:
    run_child(die_in, place, "after")
    os.chmod(next(place.glob(".zc-tx/*")), 0o500)
    with pytest.warns(ZarrcWarning, match="was interrupted"):
        zarrc.open_group(place)


def _plan(**fields: Any) -> bytes:
    whole = {"zarrc_transaction": 1, "nodes": [], "documents": [], "removed": [], "locks_files": False}
    return json.dumps({**whole, **fields}).encode()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff" * 10,
        b'{"zarrc_transaction": 2}',
        b'{"zarrc_transaction": 1}',
        _plan(nodes=[["../x", {}, [], [], True]]),
        _plan(nodes=[["", {"../x": 1}, [], [], True]]),
        _plan(nodes=[["", {"x": -1}, [], [], True]]),
        _plan(nodes=[["", {}, ["a/../../x"], [], True]]),
        _plan(nodes=[["", {}, [".zc-tx/x"], [], True]]),
        _plan(nodes=[["", {}, [], [1], True]]),
        _plan(documents=[[0, "x"]]),
        _plan(removed=["../x"]),
    ],
)
@pytest.mark.parametrize("record", ["plan", "marker"])
def test_damaged_records_are_errors_and_change_nothing(place: Path, record: str, damage: bytes) -> None:
    run_child(die_in, place, "after")
    path = next(place.glob(".zc-tx/*/plan")) if record == "plan" else place / ".zc-tx.json"
    path.write_bytes(damage)
    before = contents(LocalStore(place))
    with pytest.raises(StoreError):
        zarrc.open_group(place)
    assert contents(LocalStore(place)) == before


def test_locking_by_files_goes_on_in_it(place: Path) -> None:
    array = zarrc.open_array(place, path="grown", config={"locking": "file"})
    with zarrc.transaction(array) as tx:
        tx[0] = 50
    assert array[0] == 50
    with zarrc.config.set({"array.locking": "file"}), zarrc.transaction(zarrc.open_group(place)) as group:
        group["grown"][1] = 51
        group["grown"].attrs["x"] = 1
    assert array[:2].tolist() == [50, 51]
    assert left_names(LocalStore(place)) == []


def test_shards_that_are_appended_to_elsewhere_are_written_anew_in_it(place: Path) -> None:
    array = zarrc.open_array(place, path="sharded", config={"shard_update": "append"})
    array[0:4] = 100
    with zarrc.transaction(array) as tx:
        tx[4:8] = 101
        assert tx[0:9].tolist() == [100] * 4 + [101] * 4 + [8]
    array[8:12] = 102
    expected = np.concatenate([[100] * 4, [101] * 4, [102] * 4, np.arange(12, 64)])
    assert array[...].tolist() == expected.tolist()
