"""Threads that share a handle select in different ways: reads are right, no write is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zarrc
from tests.engine.shards import CountingStore
from tests.soak import count
from zarrc.grids import RectilinearChunkGrid

Values = npt.NDArray[Any]

N_THREADS = 8
SIDE = 48
GRIDS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (7, 10)},
    "raw chunks": {"chunks": (16, 48), "compressors": None},
    "several shapes": {"chunks": ([5, 20, 3, 20], [1, 30, 17])},
    "shards": {"chunks": (4, 6), "shards": (16, 24)},
    "shards of several shapes": {
        "chunks": (4, 6),
        "shards": {"shape": RectilinearChunkGrid([[8, 24, 16], [12, 36]])},
    },
}
EVERYWHERE = pytest.mark.parametrize(
    ("grid", "kind"),
    [(grid, kind) for grid in GRIDS for kind in ("memory", "local", "python")],
)


def _store(kind: str, folder: Path) -> Any:
    return {"memory": zarrc.storage.MemoryStore, "local": lambda: str(folder), "python": CountingStore}[
        kind
    ]()


def _array(grid: str, kind: str, folder: Path) -> tuple[Any, Values]:
    array = zarrc.create_array(
        _store(kind, folder), shape=(SIDE, SIDE), dtype="i4", fill_value=-1, **GRIDS[grid]
    )
    array[...] = values = np.arange(SIDE * SIDE, dtype="i4").reshape(SIDE, SIDE)
    return array, values


def _together(work: Callable[[int], None]) -> None:
    barrier = threading.Barrier(N_THREADS, timeout=60)

    def begin(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(N_THREADS) as threads:
        for done in [threads.submit(begin, number) for number in range(N_THREADS)]:
            done.result(timeout=300)


def _read_some(array: Any, values: Values, number: int, rng: np.random.Generator) -> None:
    """One read: of another kind in each thread."""
    rows, columns = rng.integers(0, SIDE, (2, rng.integers(1, 60)))
    kind = number % 5
    if kind == 0:
        np.testing.assert_array_equal(array[rows, columns], values[rows, columns])
    elif kind == 1:
        columns = columns[:5]
        np.testing.assert_array_equal(array.oindex[rows, columns], values[np.ix_(rows, columns)])
    elif kind == 2:
        mask = rng.random(values.shape) < rng.choice((0.001, 0.1, 0.9))
        np.testing.assert_array_equal(array[mask], values[mask])
    elif kind == 3:
        key = (slice(rng.integers(0, 20), None, rng.integers(1, 4)), rng.permutation(SIDE)[:7])
        np.testing.assert_array_equal(array[key], values[key])
    else:
        key = np.s_[rng.integers(0, 20) : 40, ::-1]
        np.testing.assert_array_equal(array[key], values[key])


@EVERYWHERE
def test_threads_that_select_in_different_ways_read_right(grid: str, kind: str, tmp_path: Path) -> None:
    array, values = _array(grid, kind, tmp_path)

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        for _ in range(count(300)):
            _read_some(array, values, number, rng)

    _together(work)


@EVERYWHERE
def test_threads_that_write_to_different_elements_lose_nothing(grid: str, kind: str, tmp_path: Path) -> None:
    """Each thread has every eighth element along the diagonals, so that all of them write to all chunks."""
    array, _ = _array(grid, kind, tmp_path)
    owner = np.add.outer(np.arange(SIDE), np.arange(SIDE)) % N_THREADS
    n_rounds = count(60)

    def work(number: int) -> None:
        mine = owner == number
        rows, columns = mine.nonzero()
        order = np.random.default_rng(number).permutation(rows.size)
        rows, columns = rows[order], columns[order]
        for i in range(1, n_rounds + 1):
            value = 10_000 * number + i
            if (i + number) % 3 == 0:
                array[mine] = value
            elif (i + number) % 3 == 1:
                array[rows, columns] = value
            else:
                for row in range(N_THREADS):
                    first = (number - row) % N_THREADS
                    array.oindex[np.arange(row, SIDE, N_THREADS), np.arange(first, SIDE, N_THREADS)] = value
            assert (array[mine] == value).all()
            assert (array.vindex[rows[:20], columns[:20]] == value).all()

    _together(work)
    np.testing.assert_array_equal(array[...], 10_000 * owner + n_rounds)


@EVERYWHERE
def test_permuted_lists_cover_chunks_while_others_read_them(grid: str, kind: str, tmp_path: Path) -> None:
    """Each chunk (inner chunk) is of one write; a list that covers it replaces it as a slice does."""
    array, _ = _array(grid, kind, tmp_path)
    array[...] = 0
    stop = threading.Event()
    chunks = [region[0] for region in array.iter_chunks() if region[1].start == 0]

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        if number < 2:
            for i in range(count(100)):
                array[rng.permutation(SIDE)] = 2 * i + number
            stop.set()
            return
        while not stop.is_set():
            found = array.oindex[rng.permutation(SIDE), rng.permutation(SIDE)[:3]]
            assert found.min() >= 0
            for rows in chunks:
                some = rng.permutation(np.arange(rows.start, rows.stop))[:3]
                chunk = array[some, np.zeros(some.size, int)]
                assert (chunk == chunk[0]).all()

    _together(work)
