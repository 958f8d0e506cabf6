"""A transaction on a shared store whose owner dies at any call: all of it is done, or nothing.

And so it is when who resolves it dies too, when the owner was only slow, and when several resolve it at once.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import Any

import pytest

import zarrc
from tests.soak import count, soaking
from tests.transactions.dying import DeadError, DyingStore
from tests.transactions.samples import (
    ElsewhereStore,
    SharedStore,
    change,
    check,
    contents,
    fill,
    lease,
    left_names,
)
from zarrc.errors import StoreError, TransactionConflictError
from zarrc.storage import MemoryStore
from zarrc.transactions import clean, recover

LEASE_S = 0.04


def filled(zarr_format: Any = 3) -> MemoryStore:
    table = MemoryStore()
    fill(table, zarr_format)
    return table


def copied(table: MemoryStore) -> MemoryStore:
    return MemoryStore({key: bytes(table.get(key) or b"") for key in table._table.keys("")})


def run_and_die(table: MemoryStore, at: int, *, after: bool = False) -> DyingStore:
    """Change a hierarchy, and die at a call."""
    store = DyingStore(table, at, after=after)
    with contextlib.suppress(DeadError), zarrc.transaction(zarrc.open_group(store, mode="r+")) as tx:
        change(tx)
    return store


def n_calls(table: MemoryStore) -> int:
    return run_and_die(copied(table), 0).n_calls


def state_of(table: MemoryStore, before: dict[str, bytes], after: dict[str, bytes]) -> str:
    found = contents(table)
    assert found in (before, after), {
        key: (found.get(key), before.get(key), after.get(key))
        for key in before.keys() | after.keys() | found.keys()
        if found.get(key) not in (before.get(key), after.get(key))
    }
    return "after" if found == after else "before"


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("after", [False, True])
def test_wherever_the_owner_dies_all_or_nothing_is_done(zarr_format: Any, after: bool) -> None:
    first = filled(zarr_format)
    done = copied(first)
    total = run_and_die(done, 0).n_calls
    before, changed = contents(first), contents(done)
    states = []
    places = range(1, total + 1) if soaking() else sorted(random.Random(1).sample(range(1, total + 1), 40))
    with lease(LEASE_S):
        for at in places:
            table = copied(first)
            run_and_die(table, at, after=after)
            again = SharedStore(table)
            top = zarrc.open_group(again, mode="r+")
            for name in ("grown", "cut", "anew", "deep/er", "deep/er/z"):
                assert top[name] is not None
            states.append(state_of(table, before, changed))
            check(top, changed=states[-1] == "after")
            clean(again)
            assert left_names(table) == [], at
    # It is decided at one call.
    assert states == sorted(states, reverse=True)
    assert set(states) == {"before", "after"}


def test_wherever_who_resolves_it_dies_too() -> None:
    first = filled()
    done = copied(first)
    total = run_and_die(done, 0).n_calls
    before, changed = contents(first), contents(done)
    chance = random.Random(2)
    with lease(LEASE_S):
        for _ in range(count(400)):
            table = copied(first)
            run_and_die(table, chance.randrange(1, total + 1), after=chance.random() < 0.5)
            for _ in range(chance.randrange(1, 4)):
                store = DyingStore(table, chance.randrange(1, 60), after=chance.random() < 0.5)
                with contextlib.suppress(DeadError):
                    recover(store, chance.choice(["", "grown", "deep/er", "anew", "cut"]))
                    clean(store)
            again = SharedStore(table)
            top = zarrc.open_group(again, mode="r+")
            for name in ("grown", "cut", "anew", "deep/er", "deep/er/z"):
                assert top[name] is not None
            state_of(table, before, changed)
            clean(again)
            assert left_names(table) == []


def test_several_that_resolve_it_at_once_do_no_harm() -> None:
    first = filled()
    done = copied(first)
    total = run_and_die(done, 0).n_calls
    before, changed = contents(first), contents(done)
    chance = random.Random(3)
    with lease(0.3):
        for _ in range(count(60)):
            table = copied(first)
            run_and_die(table, chance.randrange(total // 2, total + 1))
            failures: list[BaseException] = []

            def resolve(path: str, table: MemoryStore = table, failures: Any = failures) -> None:
                try:
                    recover(ElsewhereStore(table), path)
                except BaseException as error:
                    failures.append(error)

            threads = [
                threading.Thread(target=resolve, args=(path,)) for path in ("", "grown", "grown", "deep/er")
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert failures == []
            state_of(table, before, changed)


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_owner_that_wakes_up_finds_that_it_is_over(where: str) -> None:
    table = filled()
    before = contents(table)
    asleep, awake = threading.Event(), threading.Event()

    class SlowStore(DyingStore):
        """Sleeps before it decides, or before the first object is moved; its lease is not renewed then."""

        is_asleep = False

        def set_if(self, key: str, data: Any, version: str | None) -> str | None:
            if self.is_asleep and threading.current_thread() is not owner:
                raise StoreError("asleep")
            if where == "before" and b'"commit"' in bytes(data):
                self.sleep()
            return super().set_if(key, data, version)

        def copy(self, source: str, target: str) -> None:
            if where == "after" and not asleep.is_set():
                self.sleep()
            super().copy(source, target)

        def sleep(self) -> None:
            self.is_asleep = True
            asleep.set()
            assert awake.wait(30)
            self.is_asleep = False

    failures: list[BaseException] = []
    store = SlowStore(table)

    def run() -> None:
        try:
            with zarrc.transaction(zarrc.open_group(store, mode="r+")) as tx:
                change(tx)
        except BaseException as error:
            failures.append(error)

    with lease(0.2):
        owner = threading.Thread(target=run)
        owner.start()
        assert asleep.wait(30)
        top = zarrc.open_group(ElsewhereStore(table), mode="r+")
        check(top, changed=where == "after")
        if where == "after":
            top["grown"][5] = 1000
            top["sharded"][12] = 1000
        awake.set()
        owner.join()
    if where == "before":
        assert contents(table) == before
    else:
        assert (top["grown"][5], top["sharded"][12], top["grown"][6]) == (1000, 1000, 7)
    assert [type(error) for error in failures] in ([TransactionConflictError], [StoreError])
    assert left_names(table) == []


def test_an_owner_that_lives_is_waited_for() -> None:
    table = filled()
    begun = threading.Event()

    class SlowStore(DyingStore):
        def copy(self, source: str, target: str) -> None:
            begun.set()
            time.sleep(0.02)
            super().copy(source, target)

    def run() -> None:
        with zarrc.transaction(zarrc.open_group(SlowStore(table), mode="r+")) as tx:
            change(tx)

    with lease(2.0):
        owner = threading.Thread(target=run)
        owner.start()
        assert begun.wait(30)
        check(zarrc.open_group(ElsewhereStore(table), mode="r+"), changed=True)
        owner.join()
    assert left_names(table) == []


def test_an_owner_that_lives_for_too_long_is_an_error() -> None:
    table = filled()
    begun, go_on = threading.Event(), threading.Event()

    class SlowStore(DyingStore):
        def copy(self, source: str, target: str) -> None:
            begun.set()
            assert go_on.wait(30)
            super().copy(source, target)

    def run() -> None:
        with zarrc.transaction(zarrc.open_group(SlowStore(table), mode="r+")) as tx:
            change(tx)

    with lease(0.6):
        owner = threading.Thread(target=run)
        owner.start()
        assert begun.wait(30)
        with pytest.raises(TransactionConflictError, match="is being committed by process"):
            zarrc.open_group(ElsewhereStore(table), mode="r+")
        with (
            pytest.raises(TransactionConflictError, match="is being committed"),
            zarrc.transaction(ElsewhereStore(table), timeout=0.1) as tx,
        ):
            tx.set("zarr.json", b"{}")
        zarrc.open_group(ElsewhereStore(table), mode="r")
        go_on.set()
        owner.join()
    assert left_names(table) == []
