"""``locking="file"`` for chunks: several processes change parts of one."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.engine.children import start_module
from tests.soak import count
from zarrc.errors import StoreError
from zarrc.storage import LocalStore, MappingStore, MemoryStore

N_PROCESSES = 4


def make(path: Path, **keywords: Any) -> None:
    zarrc.create_array(str(path), shape=(8, 8), chunks=(8, 8), dtype="i4", fill_value=0, **keywords)


def jobs(path: Path, n: int) -> list[dict[str, Any]]:
    """To count up an element each, of one chunk."""
    job = {"path": str(path), "deed": "add", "config": {"locking": "file"}, "n": n}
    return [{**job, "worker": worker} for worker in range(N_PROCESSES)]


def start(job: dict[str, Any]) -> Any:
    process = start_module("tests.engine.programs.shard_together", json.dumps(job))
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready", process.communicate()[1]
    return process


def is_counted(path: Path, n: int) -> None:
    found = zarrc.open_array(str(path), mode="r")[...]
    assert found[0].tolist() == [n] * N_PROCESSES + [0] * (8 - N_PROCESSES)
    assert not found[1:].any()
    assert [str(left) for left in path.rglob(".zc-*")] == []


def test_processes_change_elements_of_one_chunk_and_lose_nothing(tmp_path: Path) -> None:
    path, n = tmp_path / "a", count(1000)
    make(path)
    processes = [start(job) for job in jobs(path, n)]
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        errors = list(pool.map(lambda process: process.communicate("go\n", timeout=600)[1], processes))
    assert errors == [""] * N_PROCESSES
    is_counted(path, n)


@pytest.mark.parametrize("refuse", [False, True], ids=["flock", "flock refused"])
@pytest.mark.parametrize("compressors", ["auto", None], ids=["compressed", "raw"])
def test_children_change_elements_of_one_chunk_and_lose_nothing(
    compressors: Any, refuse: bool, tmp_path: Path
) -> None:
    path, n = tmp_path / "a", count(1000)
    make(path, compressors=compressors)
    out, err = start({"jobs": jobs(path, n), "refuse": refuse}).communicate("go\n", timeout=600)
    assert (out.split(), err) == (["0"], "")
    is_counted(path, n)


def test_a_chunk_that_is_not_there_yet_is_locked_too(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    zarrc.create_array(str(path), shape=(100,), chunks=(10,), dtype="i4", fill_value=0)
    array = zarrc.open_array(str(path), mode="r+", config={"locking": "file"})
    array[15] = 3
    array[...] = 4
    array[15] = 5
    array[20:30] = 0
    assert array[10:31].tolist() == [4] * 5 + [5] + [4] * 4 + [0] * 10 + [4]
    names = sorted(os.listdir(path / "c"))
    assert names == ["0", "1", "3", "4", "5", "6", "7", "8", "9"]


@pytest.mark.parametrize("sharded", [False, True], ids=["chunks", "shards"])
@pytest.mark.parametrize("store", [MemoryStore, lambda: MappingStore({})], ids=["memory", "mapping"])
def test_a_store_without_files_says_that_it_cannot(store: Any, sharded: bool) -> None:
    shards = {"shards": (20,)} if sharded else {}
    array = zarrc.create_array(store(), shape=(100,), chunks=(10,), dtype="i4", **shards)
    array[...] = 1
    locked = array.with_config({"locking": "file"})
    with pytest.raises(StoreError) as caught:
        locked[3] = 2
    print(caught.value)
    assert "locking='file' is for directories" in str(caught.value)
    assert type(array.store).__name__ in str(caught.value)
    # To read needs no lock, and nothing was written.
    assert (locked[...] == 1).all()


def test_a_store_around_a_local_one_says_that_it_cannot(tmp_path: Path) -> None:
    class Counting(LocalStore):
        def set(self, key: str, data: Any) -> None:
            super().set(key, data)

    array = zarrc.create_array(
        Counting(tmp_path), shape=(100,), chunks=(10,), dtype="i4", config={"locking": "file"}
    )
    with pytest.raises(StoreError, match=r"Counting is none"):
        array[3] = 2
