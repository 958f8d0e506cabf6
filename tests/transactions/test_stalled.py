"""Owners that stop at a bad moment and go on later, lost answers, threads that wait for each other."""

# ruff: noqa: PT012 - what is tested is a block of several statements
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.transactions.samples import ElsewhereStore, SharedStore, contents, lease, left_names
from zarrc.errors import StoreError, TransactionConflictError
from zarrc.storage import LocalStore, MemoryStore, WrapperStore
from zarrc.transactions import Transaction, recover, transacting
from zarrc.transactions.markers import put_markers
from zarrc.transactions.records import Home, Marker, dump

ID = "ab" * 16


class ScriptedStore(SharedStore):
    """Does something of the test's before, or after, conditional writes and deletes."""

    before: Callable[[str, bytes], None] = staticmethod(lambda key, data: None)
    after: Callable[[str, bytes], None] = staticmethod(lambda key, data: None)
    before_delete: Callable[[str], None] = staticmethod(lambda key: None)

    def set_if(self, key: str, data: Any, version: str | None) -> str | None:
        self.before(key, bytes(data))
        written = self._store.set_if(key, data, version)
        self.after(key, bytes(data))
        return written

    def delete_many(self, keys: Any) -> None:
        for key in keys:
            self.before_delete(key)
            self._store.delete(key)


def filled() -> MemoryStore:
    table = MemoryStore()
    top = zarrc.create_group(table, attributes={"n": 0})
    for name in ("a", "b"):
        top.create_array(name, data=[1, 2, 3, 4], chunks=(2,))
    return table


def change(store: Any) -> Transaction:
    made = zarrc.transaction(zarrc.open_group(store, mode="r+"))
    with made as tx:
        tx["a"][:] = 7
        tx["b"][:] = 7
    return made


def open_all(store: Any) -> list[list[int]]:
    return [zarrc.open_array(store, path=name, mode="r+")[...].tolist() for name in ("a", "b")]


def test_a_marker_that_is_put_after_another_undid_the_transaction_does_not_stay() -> None:
    table = filled()
    before = contents(table)
    store = ScriptedStore(table)
    slept = []

    def sleep(key: str, data: bytes) -> None:
        if slept and threading.current_thread() is not threading.main_thread():
            raise StoreError("asleep")
        if key == "b/.zc-tx.json" and not slept:
            slept.append(key)
            assert table.get("a/.zc-tx.json") is not None
            recover(ElsewhereStore(table), "a")

    store.before = sleep  # type: ignore[method-assign]
    store.get_many = lambda requests: SharedStore.get_many(store, requests)  # type: ignore[method-assign]
    with lease(0.15), pytest.MonkeyPatch.context() as patch:
        # One after the other, so that it sleeps between two.
        patch.setattr("zarrc.transactions.markers._each", lambda home, items, do: [do(one) for one in items])
        with pytest.raises(TransactionConflictError):
            change(store)
    assert slept
    assert open_all(ElsewhereStore(table)) == [[1, 2, 3, 4]] * 2
    assert contents(table) == before
    assert left_names(table) == []


def test_who_waits_for_a_marker_removes_none_of_others() -> None:
    table = filled()
    store = ScriptedStore(table)
    slept = []

    def sleep(key: str) -> None:
        """Between its own marker at "a" and its removal another undoes it, and puts its own there."""
        if key == "a/.zc-tx.json" and not slept:
            slept.append(key)
            marker = table.get("b/.zc-tx.json")
            assert marker is not None
            table.set("a/.zc-tx.json", bytes(marker))

    class Sleeping(ScriptedStore):
        def set_if(self, key: str, data: Any, version: str | None) -> str | None:
            try:
                return super().set_if(key, data, version)
            finally:
                if key == "b/.zc-tx.json":
                    sleep("a/.zc-tx.json")

    other = "cd" * 16
    theirs = Home(SharedStore(table), "", other)
    table.set(theirs.key("state"), dump({"state": "commit", "holder": "x", "lease": 5.0, "beat": 0}))
    table.set("b/.zc-tx.json", Marker(other, 1, "b", 0, None, "").to_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zarrc.transactions.markers._each", lambda home, items, do: [do(one) for one in items])
        store = Sleeping(table)
        home = Home(store, "", ID)
        with lease(0.1), pytest.raises(TransactionConflictError):
            put_markers(home, ["a", "b"], time.monotonic(), lambda: None)
    assert slept
    assert bytes(table.get("a/.zc-tx.json") or b"") == bytes(table.get("b/.zc-tx.json") or b"")


def test_markers_that_cannot_be_removed_keep_their_records() -> None:
    table = filled()
    store = ScriptedStore(table)
    failing = [True]

    def fail(key: str, data: bytes) -> None:
        if key == "b/.zc-tx.json" and failing:
            raise StoreError("no answer", key=key)

    def fail_once(key: str) -> None:
        if key.endswith(".zc-tx.json") and failing:
            failing.clear()
            raise StoreError("no answer", key=key)

    store.after = fail  # type: ignore[method-assign]
    store.before_delete = fail_once  # type: ignore[method-assign]
    with lease(0.2):
        with pytest.raises(StoreError, match="no answer"):
            change(store)
        assert open_all(ElsewhereStore(table)) == [[1, 2, 3, 4]] * 2
    assert left_names(table) == []


@pytest.mark.parametrize("lands", [True, False])
def test_a_decision_whose_answer_is_lost_while_another_finishes_it(lands: bool) -> None:
    table = filled()
    store = ScriptedStore(table)
    lost = []

    def lose(key: str, data: bytes) -> None:
        if lost:
            raise StoreError("no answer", key=key)
        if b'"commit"' in data:
            lost.append(key)
            recover(ElsewhereStore(table), "a")
            raise StoreError("no answer", key=key)

    setattr(store, "after" if lands else "before", lose)
    made = zarrc.transaction(zarrc.open_group(store, mode="r+"))
    with lease(0.15), pytest.raises(StoreError, match="no answer"), made as tx:
        tx["a"][:] = 7
        tx["b"][:] = 7
    assert open_all(ElsewhereStore(table)) == [[7] * 4 if lands else [1, 2, 3, 4]] * 2
    assert made.status == ("undecided" if lands else "rolled back")
    assert left_names(table) == []


def test_creating_does_not_keep_the_lock_for_which_a_commit_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = zarrc.create_group(tmp_path / "x")
    top.create_array("a", data=[1, 2, 3])
    marked = threading.Event()
    whole = transacting.Transaction._decide

    def decide(self: Any, *arguments: Any) -> None:
        marked.set()
        time.sleep(0.2)
        whole(self, *arguments)

    monkeypatch.setattr(transacting.Transaction, "_decide", decide)

    def run() -> None:
        with zarrc.transaction(top) as tx:
            tx["a"].append([4])

    with lease(20.0):
        owner = threading.Thread(target=run)
        owner.start()
        assert marked.wait(30)
        begun = time.monotonic()
        zarrc.create_array(tmp_path / "x", name="a", data=[7], overwrite=True)
        owner.join()
    assert time.monotonic() - begun < 10
    assert zarrc.open_array(tmp_path / "x", path="a")[...].tolist() == [7]
    assert left_names(LocalStore(tmp_path / "x")) == []


def test_by_way_of_a_wrapper_nothing_stays_in_a_directory(tmp_path: Path) -> None:
    class Hiding(WrapperStore):
        """Passes all on, and hides that it is a directory."""

        def __init__(self, store: Any = None) -> None:
            super().__init__(store)

        @property
        def local_root(self) -> None:
            return None

    zarrc.create_array(tmp_path / "x", data=[1, 2, 3])
    for _ in range(2):
        with zarrc.transaction(zarrc.open_array(Hiding(LocalStore(tmp_path / "x")))) as tx:
            tx[0] = 7
    assert left_names(LocalStore(tmp_path / "x")) == []
    # What is left of a kill is not waited for, one by one.
    for number in range(30):
        (tmp_path / "x/.zc-tx" / f"{number:032x}").mkdir(parents=True)
    begun = time.monotonic()
    with zarrc.transaction(zarrc.open_array(tmp_path / "x")) as tx:
        tx[0] = 8
    assert time.monotonic() - begun < 10
    assert left_names(LocalStore(tmp_path / "x")) == []
