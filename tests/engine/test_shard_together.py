"""Several writers of the same shards, in threads and processes, and readers beside them: nothing is lost."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine import shards
from tests.engine.children import start_module
from tests.engine.programs import shard_together
from tests.engine.programs.shard_together import FIRST, INNER, MAX_WORKERS, N_SHARDS, SHAPE, SHARD
from tests.soak import count, soaking
from zarrc.kernels import locks

TIMEOUT_S = 600
MODES = ("rewrite", "append")
Job = dict[str, Any]


LOCATION = {"rewrite": "end", "append": "start"}
ALL = [("append", "end"), ("append", "start"), ("rewrite", "end"), ("rewrite", "start")]


@pytest.fixture
def flock_refused() -> Iterator[None]:
    locks._refuse_flock(True)
    yield
    locks._refuse_flock(False)


def make(folder: Path, location: str = "end") -> str:
    path = str(folder / "a")
    codecs = [shards.BYTES, shards.ZSTD] if location == "end" else [shards.BYTES]
    shards.sharded_array(path, SHAPE, SHARD, INNER, codecs, location=location)[...] = FIRST
    return path


def config(mode: str, locking: str = "file") -> dict[str, Any]:
    return {"shard_update": mode, "locking": locking}


def at_once(path: str, in_threads: list[Job], in_processes: list[Job], array: Any = None) -> str:
    """Do jobs, each in a thread or a process of its own; those that read, until the writers are done.

    ``array`` is a handle that the threads share. What was done and how long it took, to be printed.
    """
    processes = [
        start_module("tests.engine.programs.shard_together", json.dumps(job)) for job in in_processes
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready", process.communicate()[1]
        return _run(path, in_threads, list(zip(in_processes, processes, strict=True)), array)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _run(path: str, in_threads: list[Job], in_processes: list[tuple[Job, Any]], array: Any) -> str:
    began = time.perf_counter()
    n_done: Counter[str] = Counter()
    stop = shard_together.stop_file(path)
    gate = threading.Barrier(len(in_threads) + len(in_processes))

    def in_thread(job: Job) -> int:
        gate.wait()
        return shard_together.do(job, array)

    def in_process(job: Job, process: Any) -> int:
        gate.wait()
        out, err = process.communicate("go\n", timeout=TIMEOUT_S)
        assert process.returncode == 0, err
        return int(out)

    with ThreadPoolExecutor(max(len(in_threads) + len(in_processes), 1)) as pool:
        tasks = [(job, pool.submit(in_thread, job)) for job in in_threads]
        tasks += [(job, pool.submit(in_process, job, process)) for job, process in in_processes]
        try:
            for job, task in sorted(tasks, key=lambda pair: pair[0]["deed"] in shard_together.OTHERS):
                if job["deed"] in shard_together.OTHERS:
                    stop.touch()
                n_done[job["deed"]] += task.result()
        finally:
            stop.touch()
    stop.unlink()
    seconds = time.perf_counter() - began
    return ", ".join(f"{deed} {n}" for deed, n in n_done.items()) + f" in {seconds:.1f} s"


def nothing_is_left(path: str) -> None:
    """No lock files, no records, no temporary files."""
    assert [str(left) for left in Path(path).rglob(".zc-*")] == []


def counted(path: str, n_workers: int, n: int) -> None:
    """Each write of each of the first workers is there, by a fresh handle."""
    numbers = shard_together.numbers_of(zarrc.open_array(path, mode="r")[...])
    counts = numbers.reshape(-1, N_SHARDS, 3).swapaxes(1, 2).reshape(-1, N_SHARDS) - FIRST
    assert counts.sum(axis=1).tolist() == [n] * n_workers + [0] * (MAX_WORKERS - n_workers)
    nothing_is_left(path)


@pytest.mark.parametrize(("mode", "location"), ALL if soaking() else ALL[:3])
def test_threads_and_processes_lose_nothing_and_readers_see_no_mix(
    mode: str, location: str, tmp_path: Path
) -> None:
    path, n = make(tmp_path, location), count(1000)
    job = {"path": path, "deed": "write", "config": config(mode), "n": n}
    # Readers know nothing of how it is written.
    reader = {"path": path, "deed": "read"}
    in_threads = [{**job, "worker": worker} for worker in range(8)]
    in_processes = [{**job, "worker": worker} for worker in range(8, 12)]
    done = at_once(path, [*in_threads, reader], [*in_processes, reader])
    print(f"{mode}, index at the {location}, 8 threads and 4 processes: {done}")
    counted(path, 12, n)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shared", [True, False], ids=["one handle", "a handle each"])
def test_threads_of_one_process_need_no_locks_of_files(mode: str, shared: bool, tmp_path: Path) -> None:
    path, n = make(tmp_path), count(1000)
    array = zarrc.open_array(path, mode="r+", config=config(mode, "thread")) if shared else None
    job = {"path": path, "deed": "write", "config": config(mode, "thread"), "n": n}
    in_threads = [{**job, "worker": worker} for worker in range(8)]
    done = at_once(path, [*in_threads, {"path": path, "deed": "read"}], [], array)
    print(f"{mode}, 8 threads: {done}")
    counted(path, 8, n)


@pytest.mark.parametrize("mode", MODES)
def test_children_with_an_inherited_handle_lose_nothing(mode: str, tmp_path: Path) -> None:
    path, n = make(tmp_path, LOCATION[mode]), count(1000)
    job = {"path": path, "deed": "write", "config": config(mode), "n": n}
    parent = {"path": path, "deed": "fork", "jobs": [{**job, "worker": worker} for worker in range(4)]}
    with start_module("tests.engine.programs.shard_together", json.dumps(parent)) as process:
        out, err = process.communicate("go\n", timeout=TIMEOUT_S)
    assert (process.returncode, out.split(), err) == (0, ["ready", "0"], "")
    counted(path, 4, n)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_lost_where_flock_is_refused(mode: str, tmp_path: Path, flock_refused: None) -> None:
    path, n = make(tmp_path), count(300)
    job = {"path": path, "deed": "write", "config": config(mode), "n": n, "refuse": True}
    in_threads = [{**job, "worker": worker} for worker in range(3)]
    in_processes = [{**job, "worker": worker} for worker in range(3, 5)]
    done = at_once(path, [*in_threads, {"path": path, "deed": "read"}], in_processes)
    print(f"{mode}, without flock: {done}")
    counted(path, 5, n)


@pytest.mark.parametrize("location", ["start", "end"] if soaking() else ["start"])
def test_one_appends_another_rewrites_and_a_third_compacts_the_same_shards(
    location: str, tmp_path: Path
) -> None:
    path, n = make(tmp_path, location), count(1000)
    reader = {"path": path, "deed": "read"}
    jobs = [
        {"path": path, "deed": "write", "config": config(MODES[worker % 2]), "n": n, "worker": worker}
        for worker in range(4)
    ]
    compacting = {**jobs[0], "deed": "compact"}
    done = at_once(path, [*jobs[:2], reader, compacting], [*jobs[2:], reader, compacting])
    print(f"both, index at the {location}: {done}")
    counted(path, 4, n)


@pytest.mark.parametrize("mode", MODES)
def test_writes_of_whole_shards_beside_parts_leave_one_or_the_other(mode: str, tmp_path: Path) -> None:
    path, n = make(tmp_path, LOCATION[mode]), count(300)
    job = {"path": path, "config": config(mode), "n": n}
    reader = {"path": path, "deed": "read numbers"}
    covering = {**job, "deed": "cover", "worker": 0}
    parts = [{**job, "deed": "write over", "worker": worker} for worker in (1, 2)]
    done = at_once(path, [covering, parts[0], reader], [parts[1], {**covering, "config": config("rewrite")}])
    print(f"{mode}, covering and parts: {done}")
    array = zarrc.open_array(path, mode="r+", config=config(mode))
    numbers = shard_together.numbers_of(array[...])
    assert (np.delete(numbers, [1, 2, 4, 5], axis=1) <= 0).all()
    assert set(numbers[0, [1, 2, 4, 5]]) <= {n, *range(-n, 1)}
    nothing_is_left(path)


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_one_inner_chunk_by_several_processes_are_all_there(mode: str, tmp_path: Path) -> None:
    path, n = make(tmp_path), count(1000)
    job = {"path": path, "deed": "add", "config": config(mode), "n": n}
    in_threads = [{**job, "worker": worker} for worker in range(3)]
    in_processes = [{**job, "worker": worker} for worker in range(3, 5)]
    print(f"{mode}, parts of one inner chunk: {at_once(path, in_threads, in_processes)}")
    found = zarrc.open_array(path, mode="r")[0, : INNER[1]]
    assert found.tolist() == [FIRST + n] * 5 + [FIRST] * 3
    nothing_is_left(path)
