"""Shards in other processes and many threads: forks, Ctrl-C, one handle for all."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module, start_module
from tests.engine.shards import BYTES, ZSTD, CountingStore, check_stored, sharded_array
from tests.soak import count

PROGRAMS = "tests.engine.programs"
# Generous: the machine that runs this may be doing other things.
INTERRUPT_S = 2.0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_a_process_that_is_at_work_on_shards_read_and_write(method: str, tmp_path: Path) -> None:
    n_children = count(40) if method == "fork" else count(20)
    assert int(run_module(f"{PROGRAMS}.shard_forked", method, str(tmp_path), str(n_children))) == n_children


@pytest.mark.parametrize("kind", ["memory", "local", "python"])
@pytest.mark.parametrize("what", ["read", "write", "change"])
def test_an_interrupt_ends_a_long_call_on_one_shard(what: str, kind: str, tmp_path: Path) -> None:
    with start_module(f"{PROGRAMS}.shard_interrupted", kind, what, str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.stderr and process.stderr.read()
        time.sleep(0.4)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["interrupted"] is not None, "the call was over before the signal, or did not notice it"
    print(f"{report['interrupted'] - sent:.3f} s after the signal, in a long {what}, {kind}")
    assert report["interrupted"] - sent < INTERRUPT_S
    assert report["usable"]
    assert report["files"] == (["0", "zarr.json"] if kind == "local" else [])


@pytest.mark.parametrize("kind", ["memory", "local", "local, append", "local, file lock", "python", "trust"])
def test_one_handle_serves_many_threads(kind: str, tmp_path: Path) -> None:
    """Eight threads change elements of their own in the same inner chunks, and read what others change."""
    configs: dict[str, Any] = {
        "local, append": {"shard_update": "append"},
        "local, file lock": {"locking": "file"},
        "trust": {"shard_index": "trust", "sharding_coalesce_max_gap_bytes": 0},
    }
    store: Any = zarrc.storage.MemoryStore() if kind == "memory" else str(tmp_path)
    if kind in ("python", "trust"):
        store = CountingStore()
    array = sharded_array(store, (640,), (160,), (16,), [BYTES, ZSTD], config=configs.get(kind, {}))
    array[...] = 0
    barrier = threading.Barrier(8, timeout=60)
    rounds = count(200)

    def work(index: int) -> None:
        barrier.wait()
        mine = slice(index, None, 8)
        for number in range(1, rounds + 1):
            array[mine] = number
            assert (array[mine] == number).all()
            part = array[:160]
            assert ((part >= 0) & (part <= rounds)).all()
            assert array[index + 8 * (number % 80)] == number

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, index) for index in range(8)]:
            done.result(timeout=300)
    assert (array[...] == rounds).all()
    check_stored(array, np.full(640, rounds, "i4"), gaps="append" in kind)


def test_shards_that_appear_and_vanish_under_others_are_old_or_new(tmp_path: Path) -> None:
    """One thread fills shards and empties them again; readers see each inner chunk whole."""
    array = sharded_array(str(tmp_path), (4096,), (1024,), (64,), [BYTES, ZSTD])
    other = zarrc.open_array(str(tmp_path), mode="r")
    stop = threading.Event()

    def write() -> None:
        for number in range(count(1000)):
            array[:2048] = -1 if number % 2 else number
            array[100:1900] = number
        stop.set()

    def read() -> int:
        n = 0
        while not stop.is_set():
            found = other[:2048].reshape(-1, 64)[2:29]
            assert (found == found[:, :1]).all()
            n += 1
        return n

    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(read), threads.submit(read), threads.submit(write)]
        for done in reversed(jobs):
            done.result(timeout=300)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted by Linux")
def test_many_shards_read_and_written_leave_few_descriptors_open(tmp_path: Path) -> None:
    array = sharded_array(str(tmp_path), (40_000,), (8,), (2,), [BYTES, ZSTD])
    array[...] = range(40_000)
    before = len(os.listdir("/proc/self/fd"))
    np.testing.assert_array_equal(array[...], range(40_000))
    array[::7] = 1
    for _ in range(3):
        assert array[::8].size == 5000
    assert len(os.listdir("/proc/self/fd")) - before <= 300
    del array
    import gc

    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
