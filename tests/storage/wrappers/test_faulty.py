"""Faults come when they are told to."""

from __future__ import annotations

import os
import pickle
import signal
import time
from typing import Any

import numpy as np
import pytest

import zarrc as zarr
from zarrc.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
    ZarrcError,
)
from zarrc.storage import Fault, FaultyStore, MemoryStore, MeteredStore
from zarrc.testing.together import at_once

BODY = bytes(range(200))


def faulty(*faults: Fault, **options: Any) -> FaultyStore:
    return FaultyStore(MemoryStore({"a/x": BODY, "b": b"b"}), faults, **options)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error", StoreError),
        ("denied", StoreDeniedError),
        ("throttled", StoreThrottledError),
        ("timeout", StoreTimeoutError),
        ("conflict", StoreConflictError),
    ],
)
def test_each_error_comes_in_place_of_the_operation(kind: str, error: type[StoreError]) -> None:
    store = faulty(Fault(kind=kind))
    actions: list[Any] = [
        lambda: store.get("a/x"),
        lambda: store.get("a/x", (0, 1)),
        lambda: list(store.get_many([("a/x", None)])),
        lambda: store.get_into("a/x", bytearray(300)),
        lambda: store.stat("a/x"),
        lambda: list(store.stat_many(["a/x"])),
        lambda: store.set("a/x", b""),
        lambda: store.set_many([("a/x", b"")]),
        lambda: store.set_if("a/x", b"", None),
        lambda: store.delete("a/x"),
        lambda: store.delete_many(["a/x"]),
        lambda: store.copy("a/x", "c"),
        lambda: store.copy_many([("a/x", "c")]),
        lambda: list(store.list_prefix("a/x")),
        lambda: list(store.list_sizes("a/x")),
        lambda: store.list_dir("a/x"),
        lambda: store.delete_prefix("a/x"),
    ]
    for number, action in enumerate(actions, 1):
        with pytest.raises(error, match="injected") as caught:
            action()
        assert type(caught.value) is error
        assert caught.value.key == "a/x"
        assert store.n_calls == number
    assert bytes(store.store.get("a/x") or b"") == BODY
    assert sorted(store.store.list_prefix("")) == ["a/x", "b"]


def test_lost_means_done_and_not_told() -> None:
    store = faulty(Fault(kind="lost", on="write"))
    with pytest.raises(StoreTimeoutError):
        store.set("a/x", b"new")
    assert bytes(store.get("a/x") or b"") == b"new"
    with pytest.raises(StoreTimeoutError):
        store.delete("a/x")
    assert store.get("a/x") is None
    with pytest.raises(StoreTimeoutError):
        store.set_many([("p", b"1"), ("q", b"2")])
    assert (store.get("p") is not None, store.get("q")) == (True, None)


def test_a_short_body() -> None:
    store = faulty(Fault(kind="short"))
    assert bytes(store.get("a/x") or b"") == BODY[:100]
    assert bytes(store.get("a/x", (10, 50)) or b"") == BODY[10:35]
    assert bytes(dict(store.get_many([("a/x", None)]))[0] or b"") == BODY[:100]


def test_a_changed_version() -> None:
    store = faulty(Fault(kind="changed", at=2))
    first, second, third = (store.get("a/x") for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.version == third.version != second.version
    assert bytes(second) == BODY
    with pytest.raises(StoreConflictError):
        FaultyStore(store, [Fault(kind="changed", on="set_if")]).set_if("new", b"", None)


def test_a_delay() -> None:
    store = faulty(Fault(kind="delay", seconds=0.05, at=1))
    start = time.perf_counter()
    store.get("b")
    assert time.perf_counter() - start > 0.04
    store = faulty(Fault(kind="delay", seconds=0.05, key="b"))
    start = time.perf_counter()
    assert len(list(store.get_many([("b", None), ("a/x", None), ("b", (0, 1))]))) == 3
    assert time.perf_counter() - start > 0.04


def test_at_counts_the_calls_that_match() -> None:
    store = faulty(Fault(kind="error", on="get", key="a/*", at=(2, 3)))
    outcomes = []
    for key in ("a/x", "b", "a/x", "b", "a/x", "a/x"):
        try:
            store.get(key)
            outcomes.append("ok")
        except StoreError:
            outcomes.append("error")
    assert outcomes == ["ok", "ok", "error", "ok", "error", "ok"]
    assert [call.faults for call in store.calls] == [(), (), ("error",), (), ("error",), ()]
    assert store.calls[2][:3] == (3, "get", "a/x")
    assert (store.count("get"), store.count("read", "a/*"), store.count("write")) == (6, 4, 0)


def _failures(store: FaultyStore, threads: int) -> set[tuple[str, int]]:
    """Which call of which key failed."""
    found = set()

    def work(mine: int) -> None:
        for key in range(mine, 40, threads):
            for turn in range(10):
                try:
                    store.get(f"k{key}")
                except StoreError:
                    found.add((f"k{key}", turn))

    at_once(*(lambda mine=mine: work(mine) for mine in range(threads)))
    return found


def test_a_seed_gives_the_same_faults_whatever_the_threads_do() -> None:
    def store(seed: int) -> FaultyStore:
        return FaultyStore(MemoryStore(), rates={"error": 0.2, "throttled": 0.1}, seed=seed)

    once = _failures(store(1), 1)
    assert once == _failures(store(1), 4) == _failures(store(1), 1)
    assert once != _failures(store(2), 1)
    assert 60 < len(once) < 170  # of 400, about 112


def test_a_batch_stays_a_batch() -> None:
    batches = []

    class Counting(MemoryStore):
        def get_many(self, requests: Any) -> Any:
            batches.append(len(requests))
            return super().get_many(requests)

        def set_many(self, items: Any) -> None:
            items = list(items)
            batches.append(-len(items))
            super().set_many(items)

    store = FaultyStore(Counting(), [Fault(kind="timeout", on="get", key="k3")])
    store.set_many((f"k{n}", bytes([n])) for n in range(6))
    answers = []

    def read() -> None:
        for number, blob in store.get_many([(f"k{n}", None) for n in range(6)]):
            answers.append((number, bytes(blob or b"")))

    with pytest.raises(StoreTimeoutError):
        read()
    assert answers == [(n, bytes([n])) for n in range(6) if n != 3]
    assert batches == [-6, 5]


@pytest.mark.parametrize(("kind", "survives"), [("kill", b"old"), ("kill_after", b"new")])
def test_the_process_ends_at_that_call(tmp_path: Any, kind: str, survives: bytes) -> None:
    store = FaultyStore(tmp_path, [Fault(kind=kind, on="set", at=2)])
    store.store.set("y", b"old")
    pid = os.fork()
    if pid == 0:
        try:
            store.set_many([("x", b"1"), ("y", b"new"), ("z", b"3")])
        finally:
            os._exit(3)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert bytes(store.store.get("y") or b"") == survives
    assert store.store.get("z") is None


def test_every_write_of_a_program_can_be_the_last() -> None:
    """The way to test what a crash leaves: count, then fail at each write in turn."""

    def program(store: FaultyStore) -> None:
        array = zarr.create_array(store, shape=(4,), chunks=(2,), dtype="i4")
        array[:] = [1, 2, 3, 4]

    store = faulty()
    program(store)
    n_writes = store.count("write")
    assert n_writes >= 3
    for number in range(1, n_writes + 1):
        store = faulty(Fault(kind="error", on="write", at=number))
        with pytest.raises(StoreError):
            program(store)
        assert store.count("write") >= number
        assert [call.faults for call in store.calls if call.faults] == [("error",)]


def test_arrays_never_take_a_fault_for_absence() -> None:
    """An error of any kind is an error of the read, and never fill."""
    inner = MemoryStore()
    data = np.arange(1, 10_001, dtype="i4").reshape(100, 100)
    zarr.create_array(inner, name="plain", data=data, chunks=(10, 10))
    zarr.create_array(inner, name="shards", data=data, chunks=(10, 10), shards=(50, 50))
    rates = dict.fromkeys(["error", "denied", "throttled", "timeout", "short"], 0.02)
    right = wrong = 0
    for seed in range(60):
        store = FaultyStore(inner, rates=rates, seed=seed)
        for name in ("plain", "shards"):
            try:
                found = zarr.open_array(store, path=name, mode="r")[20:80, 30:60]
            except ZarrcError:
                wrong += 1
                continue
            np.testing.assert_array_equal(found, data[20:80, 30:60])
            right += 1
    assert right > 10
    assert wrong > 10


def test_a_changed_shard_is_read_again() -> None:
    inner = MemoryStore()
    data = np.arange(10_000, dtype="i4").reshape(100, 100)
    zarr.create_array(inner, data=data, chunks=(10, 10), shards=(100, 100), compressors=None)
    store = FaultyStore(inner, [Fault(kind="changed", on="get_range", at=2)])
    with zarr.config.set({"array.sharding_coalesce_max_gap_bytes": 0}):
        np.testing.assert_array_equal(zarr.open_array(store, mode="r")[15:25, 15:25], data[15:25, 15:25])
    assert store.calls[-1].number > 3


def test_faults_below_a_meter_are_errors_there() -> None:
    store = MeteredStore(faulty(Fault(kind="error", on="get", at=1)))
    with pytest.raises(StoreError):
        store.get("b")
    store.get("b")
    assert (store.stats()["get"].n_calls, store.stats()["get"].n_errors) == (2, 1)


def test_a_pickle_counts_anew() -> None:
    store = faulty(Fault(kind="error", at=2), seed=3)
    store.get("b")
    twin = pickle.loads(pickle.dumps(store))
    assert twin.n_calls == 0
    twin.get("b")
    with pytest.raises(StoreError):
        twin.get("b")
    assert repr(twin) == repr(store).replace(repr(store.store), repr(twin.store))


def test_the_options_are_checked() -> None:
    wrong: list[dict[str, Any]] = [
        {"kind": "fire"},
        {"kind": "error", "on": "read_chunk"},
        {"kind": "error", "rate": 1.5},
        {"kind": "error", "at": 0},
        {"kind": "error", "at": 1, "rate": 0.5},
    ]
    for options in wrong:
        with pytest.raises(ValueError):
            Fault(**options)


def test_one_fault_is_a_list_of_one() -> None:
    store = FaultyStore(MemoryStore(), Fault(kind="denied", on="get"))
    assert store.faults == (Fault(kind="denied", on="get"),)
    with pytest.raises(StoreDeniedError):
        store.get("a")
