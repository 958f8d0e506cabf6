"""``locking="file"`` for chunks: several processes change parts of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.engine.children import environment, start_module
from tests.soak import count
from zarrc.errors import StoreError, StoreTimeoutError
from zarrc.kernels import locks
from zarrc.kernels.locks import FileLock
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


class Counting(LocalStore):
    def set(self, key: str, data: Any) -> None:
        super().set(key, data)


def test_a_store_around_a_local_one_has_the_locks_of_its_files(tmp_path: Path) -> None:
    array = zarrc.create_array(
        Counting(tmp_path), shape=(100,), chunks=(10,), dtype="i4", config={"locking": "file"}
    )
    array[3] = 2
    assert array[:5].tolist() == [0, 0, 0, 2, 0]
    with (
        zarrc.config.set({"storage.lock": "lockfile", "storage.lock_timeout": 1}),
        FileLock(os.fsencode(tmp_path / "c" / "0"), way="lockfile"),
    ):
        other = zarrc.open_array(Counting(tmp_path), mode="r+", config={"locking": "file"})
        with pytest.raises(StoreTimeoutError, match=str(tmp_path / "c" / ".zc-lock-0.x")):
            other[3] = 4
    assert [str(left) for left in tmp_path.rglob(".zc-*")] == []


HOLDS = """
import sys, time
from zarrc.kernels.locks import FileLock
with FileLock(sys.argv[1].encode(), way=sys.argv[2]):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[str, Path], None]]:
    """What has another process take a lock."""
    processes = []

    def hold(way: str, path: Path) -> None:
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", HOLDS, str(path), way],
                stdout=subprocess.PIPE,
                text=True,
                env=environment(),
            )
        )
        assert processes[-1].stdout is not None
        assert processes[-1].stdout.readline() == "held\n"

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


def do(array: Any, deed: str) -> None:
    """Change one chunk, several chunks or shards, or the metadata."""
    if deed == "attribute":
        array.attrs["x"] = 1
    elif deed == "append":
        array.append([1])
    else:
        array[350 if deed == "chunk" else slice(5, -5)] = 2


@pytest.mark.parametrize("way", ["flock", "lockfile"])
@pytest.mark.parametrize("deed", ["chunk", "chunks", "shards", "attribute", "append"])
def test_who_waits_for_a_lock_can_be_interrupted(
    deed: str, way: str, holder: Callable[[str, Path], None], tmp_path: Path
) -> None:
    shards = {"shards": (100,)} if deed == "shards" else {}
    with zarrc.config.set({"storage.lock": way}):
        array = zarrc.create_array(
            tmp_path / "a",
            shape=(1000,),
            chunks=(100,) if deed != "shards" else (50,),
            dtype="f8",
            config={"locking": "file"},
            **shards,
        )
        array[...] = 1
        holder(way, tmp_path / "a" / ("zarr.json" if deed in ("attribute", "append") else "c/3"))
        timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            do(array, deed)
        assert 0.4 < time.monotonic() - began < 10
        timer.join()


@pytest.mark.parametrize("deed", ["chunk", "chunks", "attribute"])
def test_a_lock_that_nobody_gives_back_is_an_error_that_names_its_file(
    deed: str, holder: Callable[[str, Path], None], tmp_path: Path
) -> None:
    with zarrc.config.set({"storage.lock": "lockfile", "storage.lock_timeout": 1}):
        array = zarrc.create_array(
            tmp_path / "a", shape=(1000,), chunks=(100,), dtype="i4", config={"locking": "file"}
        )
        array[...] = 1
        name = tmp_path / "a" / ("zarr.json" if deed == "attribute" else "c/3")
        holder("lockfile", name)
        with pytest.raises(StoreTimeoutError) as caught:
            do(array, deed)
        assert f"if it is gone, remove {name.parent}/.zc-lock-{name.name}.x" in str(caught.value)
        (name.parent / f".zc-lock-{name.name}.x").unlink()
        array[350] = 3


def test_without_flock_nothing_else_is_tried_where_that_is_asked_for(tmp_path: Path) -> None:
    with zarrc.config.set({"storage.lock": "flock"}):
        array = zarrc.create_array(
            tmp_path / "a", shape=(10,), chunks=(10,), dtype="i4", config={"locking": "file"}
        )
        locks._refuse_flock(True)
        try:
            with pytest.raises(StoreError, match="errno"):
                array[3] = 1
        finally:
            locks._refuse_flock(False)
        array[3] = 1
    assert [str(left) for left in tmp_path.rglob(".zc-*")] == []


class _Stuck(MemoryStore):
    """Sets chunks only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go = threading.Event(), threading.Event()

    def set(self, key: str, data: Any) -> None:
        if key.startswith("c/"):
            self.began.set()
            assert self.may_go.wait(30)
        super().set(key, data)


@pytest.mark.parametrize("deed", ["chunk", "chunks"])
def test_who_waits_for_a_thread_at_a_slow_store_can_be_interrupted(deed: str) -> None:
    store = _Stuck()
    array: Any = zarrc.create_array(store, shape=(1000,), chunks=(100,), dtype="f8")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(array.__setitem__, slice(330, 360), 1)
        try:
            assert store.began.wait(10)
            timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
            # Whatever happens, it is let in the end.
            late = threading.Timer(8, store.may_go.set)
            timer.start()
            late.start()
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                do(array, deed)
            assert time.monotonic() - began < 5
            timer.join()
            late.cancel()
        finally:
            store.may_go.set()
        other.result(10)
    array[355] = 2
    assert array[328:332].tolist() == [0, 0, 1, 1]
    assert array[354:357].tolist() == [1, 2, 1]
