"""Threads, each with a handle of its own, on one chunk: nothing is lost and nothing is seen half-written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.soak import count

N_THREADS = 8
PART = 16

Opener = Callable[[int], Any]


def _create(store: Any, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "shape": (N_THREADS * PART,),
        "chunks": (N_THREADS * PART,),
        "dtype": "int64",
    }
    zarrc.create_array(store, **(arguments | changes))[...] = -1


def _local_opener(tmp_path: Path, **changes: Any) -> Opener:
    """Handles through the path, a symbolic link to it, one to its parent, and a path with a detour."""
    path = tmp_path / "data" / "array"
    _create(str(path), **changes)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "parent").symlink_to(tmp_path / "data")
    ways = (
        path,
        tmp_path / "link",
        tmp_path / "parent" / "array",
        tmp_path / "data" / ".." / "data" / "array",
    )
    return lambda number: zarrc.open_array(str(ways[number % len(ways)]), mode="r+")


def _member_opener(tmp_path: Path) -> Opener:
    """Handles through stores that begin at different folders."""
    zarrc.create_group(str(tmp_path / "data"))
    _create(str(tmp_path / "data" / "array"))
    return lambda number: (
        zarrc.open_group(str(tmp_path / "data"), mode="r+")["array"]
        if number % 2
        else zarrc.open_array(str(tmp_path / "data" / "array"), mode="r+")
    )


def _memory_opener(tmp_path: Path) -> Opener:
    store = zarrc.storage.MemoryStore()
    _create(store)
    return lambda number: zarrc.open_array(store, mode="r+")


def _mapping_opener(tmp_path: Path) -> Opener:
    """Each handle wraps the same dict in a store of its own."""
    mapping: dict[str, bytes] = {}
    _create(mapping)
    return lambda number: zarrc.open_array(mapping, mode="r+")


OPENERS: dict[str, Callable[[Path], Opener]] = {
    "local": _local_opener,
    "local raw": lambda path: _local_opener(path, codecs=[{"name": "bytes"}]),
    "local v2": lambda path: _local_opener(path, zarr_format=2),
    "local group member": _member_opener,
    "memory": _memory_opener,
    "mapping": _mapping_opener,
}


@pytest.mark.parametrize("opener", OPENERS)
def test_no_write_to_a_part_of_a_chunk_is_lost(opener: str, tmp_path: Path) -> None:
    open_handle = OPENERS[opener](tmp_path)
    n_rounds = count(1000)
    lost: list[str] = []
    barrier = threading.Barrier(N_THREADS, timeout=60)

    def work(number: int) -> None:
        array = open_handle(number)
        part = slice(number * PART, (number + 1) * PART)
        for round_number in range(n_rounds):
            barrier.wait()
            array[part] = round_number
            if barrier.wait() == 0:
                found = array[...]
                if not (found == round_number).all():
                    lost.append(f"round {round_number}: {found}")

    _together(work)
    assert not lost, f"{len(lost)} of {n_rounds} rounds lost something, first {lost[0]}"


def _together(work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(N_THREADS) as threads:
        for done in [threads.submit(work, number) for number in range(N_THREADS)]:
            done.result(timeout=300)


def test_single_elements_of_one_chunk_are_all_kept(tmp_path: Path) -> None:
    open_handle = _local_opener(tmp_path)

    def work(number: int) -> None:
        array = open_handle(number)
        for index in range(number, N_THREADS * PART, N_THREADS):
            array[index] = index

    _together(work)
    np.testing.assert_array_equal(open_handle(0)[...], np.arange(N_THREADS * PART))


@pytest.mark.parametrize("opener", ["local", "memory", "mapping"])
def test_a_reader_sees_old_or_new_chunks_and_nothing_between(opener: str, tmp_path: Path) -> None:
    open_handle = OPENERS[opener](tmp_path)
    stop = threading.Event()
    n_reads = count(2000)

    def work(number: int) -> None:
        array = open_handle(number)
        if number < 2:
            value = number
            while not stop.is_set():
                array[...] = value
                value += 2
            return
        try:
            for _ in range(n_reads):
                found = array[...]
                assert (found == found[0]).all()
        finally:
            stop.set()

    _together(work)


def test_one_handle_serves_many_threads(tmp_path: Path) -> None:
    array = zarrc.create_array(str(tmp_path / "array"), shape=(64, 1000), chunks=(3, 301), dtype="float32")
    values = np.random.default_rng(5).random((64, 1000), "float32")

    def work(number: int) -> None:
        rows = slice(number * 8, number * 8 + 8)
        array[rows] = values[rows]
        for _ in range(20):
            np.testing.assert_array_equal(array[rows], values[rows])

    _together(work)
    np.testing.assert_array_equal(array[...], values)


def test_chunks_that_become_fill_are_deleted_while_others_write_to_them(tmp_path: Path) -> None:
    open_handle = _local_opener(tmp_path)
    n_rounds = count(500)

    def work(number: int) -> None:
        array = open_handle(number)
        part = slice(number * PART, (number + 1) * PART)
        for _ in range(n_rounds):
            array[part] = 0
            array[part] = number + 1
            assert (array[part] == number + 1).all()

    _together(work)
    expected = np.repeat(np.arange(1, N_THREADS + 1), PART)
    np.testing.assert_array_equal(open_handle(0)[...], expected)
