"""A call on chunks of several shapes: each chunk once, signals and threads as with one shape."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from tests.engine.shards import CountingStore
from tests.engine.test_selection_processes import (
    CHUNK,
    READS,
    WRITES,
    N,
    long_array,
    read_is_ended,
    write_is_ended,
)
from tests.engine.test_selection_requests import SEVERAL, chunked
from tests.engine.test_selection_requests import VALUES as REQUESTED

PROGRAMS = "tests.engine.programs"

# --- requests

LISTS: dict[str, Any] = {
    "a list": ([0, 100, 20, 20, 70], 5),
    "a list beside a slice": np.s_[[0, 100, 20], ::40],
    "points": ([0, 100, 20, 127], [191, 0, 35, 64]),
    "a mask": REQUESTED % 997 == 0,
    "all": ...,
    "a slice": np.s_[10:100, 5:150],
    "rows": np.s_[[127, 0, 64]],
}


@pytest.mark.parametrize("what", LISTS)
def test_each_chunk_is_asked_for_once(what: str) -> None:
    array = chunked(SEVERAL)
    key = LISTS[what]
    np.testing.assert_array_equal(array[key], REQUESTED[key])
    taken = array.store.taken()
    assert len(taken) == len(set(taken)) == len({k for _, k, _ in taken})


def test_lists_along_both_axes_ask_for_each_chunk_that_they_meet() -> None:
    array = chunked(SEVERAL)
    key = ([127, 3, 17], [0, 190, 100, 33])
    np.testing.assert_array_equal(array.oindex[key], REQUESTED[np.ix_(*key)])
    assert Counter(array.store.taken()) == Counter(
        ("get", f"c/{row}/{column}", None) for row in (0, 1, 3) for column in (0, 1, 3)
    )


def test_points_ask_for_each_chunk_once_though_all_have_other_shapes() -> None:
    extents = list(range(1, 21))
    array = zarrc.create_array(
        CountingStore(), shape=(210, 210), chunks=(extents, extents), dtype="i4", fill_value=-1
    )
    array[...] = values = np.arange(210 * 210, dtype="i4").reshape(210, 210)
    array.store.taken()
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, 210, (2, 3000))
    np.testing.assert_array_equal(array[rows, columns], values[rows, columns])
    taken = array.store.taken()
    assert len(set(taken)) == len(taken) > 300


# --- signals

SIGNALLED: dict[str, Any] = {
    "two shapes": ([[1, N - 2], 2], [CHUNK]),
    "many shapes": ([*range(1, 9), [1, N - 36]], [CHUNK]),
}


@pytest.fixture(scope="module")
def long_arrays() -> dict[str, Any]:
    return {name: long_array(chunks) for name, chunks in SIGNALLED.items()}


@pytest.mark.parametrize("grid", SIGNALLED)
@pytest.mark.parametrize("what", READS)
def test_a_signal_ends_a_long_read(what: str, grid: str, long_arrays: Any) -> None:
    read_is_ended(long_arrays[grid], what)


@pytest.mark.parametrize("grid", SIGNALLED)
@pytest.mark.parametrize("what", WRITES)
def test_a_signal_ends_a_long_write(what: str, grid: str) -> None:
    write_is_ended(SIGNALLED[grid], what)


# --- the configured number of threads


class ThreadsStore(CountingStore):
    """Notes which threads ask."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def get(self, key: str, range: Any = None) -> Any:
        if "c/" in key:
            self.threads.add(threading.get_ident())
        return super().get(key, range)


@pytest.mark.parametrize("chunks", [(100, 100), ([100, 200, 300], [150, 450])], ids=["one shape", "several"])
@pytest.mark.parametrize("key", [..., np.s_[[599, 0, 300]], np.s_[[0, 150, 599], [5, 160, 599]]], ids=repr)
def test_with_one_thread_the_caller_is_the_only_one(key: Any, chunks: Any) -> None:
    store = ThreadsStore()
    array = zarrc.create_array(store, shape=(600, 600), chunks=chunks, dtype="f8", compressors=None)
    array[...] = values = np.arange(360_000.0).reshape(600, 600)
    store.threads.clear()
    with zarrc.config.set({"threading.max_workers": 1}):
        np.testing.assert_array_equal(array[key], values[key])
        assert store.threads == {threading.get_ident()}


# --- the end of the interpreter


def test_selections_work_while_the_interpreter_ends() -> None:
    assert run_module(f"{PROGRAMS}.selecting_at_exit").split() == ["same"] * 4
