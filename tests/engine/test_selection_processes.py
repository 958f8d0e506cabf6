"""Selections and processes: Ctrl-C in a long one, files that two of them lock, a forked child."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.alarms import is_ended
from tests.engine.children import run_module, start_module
from tests.soak import count

PROGRAMS = "tests.engine.programs"

# --- Ctrl-C

# Zeros take much longer to read than to keep: half a millisecond a chunk.
N, CHUNK = 6000, 2**21
GZIP = {"name": "gzip", "configuration": {"level": 1}}
ROWS = np.random.default_rng(1).permutation(N)
COLUMNS = np.arange(0, CHUNK, 2**11)
READS: dict[str, Any] = {
    "list": np.s_[ROWS, :: 2**11],
    "points": np.s_[ROWS[:, None], COLUMNS],
    "lists along both axes": np.ix_(ROWS, COLUMNS + 3),
    "few points": np.s_[ROWS, np.arange(N)],
    "mask": np.s_[np.arange(N) % 50 != 7, 1000 :: 2**11],
    "slice": np.s_[1:, :: 2**11],
}
# Many, but not so many that a test that fails takes a minute.
SOME_ROWS = ROWS[(ROWS % 4 == 0) | (ROWS > N - 9)]
WRITES: dict[str, tuple[Any, int]] = {
    "list": (np.s_[SOME_ROWS], CHUNK),
    "points": (np.s_[SOME_ROWS[:, None], COLUMNS], COLUMNS.size),
}


def long_array(chunks: Any) -> Any:
    """An array that takes seconds to read; all its chunks are zeros."""
    array: Any = zarrc.create_array(
        shape=(N, CHUNK), chunks=chunks, dtype="u1", codecs=[{"name": "bytes"}, GZIP], fill_value=1
    )
    stored: dict[int, bytes] = {}
    for i in range(array.cdata_shape[0]):
        start, stop = array.metadata.chunk_grid.chunk_bounds(0, i)
        if stop - start not in stored:
            array[start:stop] = 0
            stored[stop - start] = bytes(array.store.get(f"c/{i}/0"))
        array.store.set(f"c/{i}/0", stored[stop - start])
    return array


def read_is_ended(array: Any, what: str) -> None:
    """So it is in a read, after which the array works."""
    is_ended(lambda: array[READS[what]])
    assert not array[[3, 1, 7], 5].any()


def write_is_ended(chunks: Any, what: str) -> None:
    """So it is in a write, which leaves old and new elements, and no lock."""
    array: Any = zarrc.create_array(
        shape=(N, CHUNK), chunks=chunks, dtype="u1", codecs=[{"name": "bytes"}, GZIP], fill_value=1
    )
    key, n_columns = WRITES[what]
    values = np.broadcast_to(np.uint8(2), (SOME_ROWS.size, n_columns))
    is_ended(lambda: array.__setitem__(key, values))
    assert set(np.unique(array[:30, ::8]).tolist()) <= {1, 2}
    array[[7, 3], 5] = 9
    assert array[[3, 7], [5, 5]].tolist() == [9, 9]


@pytest.fixture(scope="module")
def one_shape() -> Any:
    return long_array((1, CHUNK))


@pytest.mark.parametrize("what", READS)
def test_a_signal_ends_a_long_read(what: str, one_shape: Any) -> None:
    read_is_ended(one_shape, what)


@pytest.mark.parametrize("what", WRITES)
def test_a_signal_ends_a_long_write(what: str) -> None:
    write_is_ended((1, CHUNK), what)


# --- another process


LOCKED: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (8, 8)},
    "raw chunks": {"chunks": (16, 24), "compressors": None},
    "several shapes": {"chunks": ([4, 12, 8], [10, 14])},
    "shards": {"chunks": (4, 4), "shards": (12, 24)},
}


@pytest.mark.parametrize("how", ["points", "lists", "mask"])
@pytest.mark.parametrize("layout", LOCKED)
def test_processes_that_lock_files_lose_nothing_of_what_they_select(
    layout: str, how: str, tmp_path: Path
) -> None:
    path, n_rounds = tmp_path / "a", count(200)
    zarrc.create_array(path, shape=(24, 24), dtype="i4", fill_value=0, **LOCKED[layout])
    n_processes = 2
    processes = []
    for worker in range(n_processes):
        job = {"path": str(path), "how": how, "worker": worker, "n": n_rounds}
        process = start_module(f"{PROGRAMS}.selecting_together", json.dumps(job))
        assert process.stdout is not None
        processes.append(process)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.communicate()[1]
    with ThreadPoolExecutor(n_processes) as pool:
        errors = list(pool.map(lambda process: process.communicate("go\n", timeout=240)[1], processes))
    assert errors == [""] * n_processes
    owner = np.add.outer(np.arange(24), np.arange(24)) % n_processes
    np.testing.assert_array_equal(zarrc.open_array(path, mode="r")[...], 1000 * owner + n_rounds)
    assert [str(left) for left in path.rglob(".zc-*")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("layout", ["chunks", "several shapes"])
def test_a_child_that_is_forked_selects_by_the_handle_that_it_inherits(layout: str, tmp_path: Path) -> None:
    out = run_module(f"{PROGRAMS}.selecting_in_a_child", str(tmp_path / "a"), json.dumps(LOCKED[layout]))
    assert out.split() == ["same"] * 3
