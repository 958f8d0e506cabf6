"""Writers and readers of the same shards: `shard_together JOB`, a process that does one of them.

``JOB`` is JSON: ``path``, ``deed`` (a function below), ``config``, ``n`` (updates), ``worker`` (its number),
``refuse`` (flock).  It prints "ready", begins at the line "go", and prints a number: of updates or reads.

Each worker has a pair of neighbouring inner chunks in each shard, which one write sets to one number. It goes
up by one each time, so that whoever finds another one has lost a write.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

import zarrc
from zarrc.kernels import locks

INNER = (8, 8)
PAIR = (8, 16)
SHARD = (32, 48)
N_SHARDS = 2
SHAPE = (SHARD[0], N_SHARDS * SHARD[1])
MAX_WORKERS = 12
FIRST = 1
Box = tuple[slice, slice]


def box_of(worker: int, shard: int) -> Box:
    """A worker's pair in a shard."""
    row, column = PAIR[0] * (worker // 3), SHARD[1] * shard + PAIR[1] * (worker % 3)
    return slice(row, row + PAIR[0]), slice(column, column + PAIR[1])


def numbers_of(found: Any) -> Any:
    """The number of each pair, of an array or what was read of it; a mix fails."""
    pairs = found.reshape(SHAPE[0] // PAIR[0], PAIR[0], SHAPE[1] // PAIR[1], PAIR[1]).swapaxes(1, 2)
    numbers = pairs[:, :, 0, 0]
    mixed = (pairs != numbers[:, :, None, None]).any(axis=(2, 3))
    assert not mixed.any(), f"mixed: {pairs[mixed]}"
    return numbers


def write(array: Any, worker: int, n: int) -> int:
    """Count up in random shards; what is read before each write is what was written last."""
    chance = random.Random(worker)
    last = [FIRST] * N_SHARDS
    for _ in range(n):
        shard = chance.randrange(N_SHARDS)
        box = box_of(worker, shard)
        found = array[box]
        assert (found == last[shard]).all(), f"{last[shard]} was written, found {found}"
        last[shard] += 1
        array[box] = last[shard]
    for shard in range(N_SHARDS):
        assert (array[box_of(worker, shard)] == last[shard]).all()
    return n


def add(array: Any, worker: int, n: int) -> int:
    """Count up one element of the first (inner) chunk, in which each worker has one."""
    place = 0, worker
    first = int(array[place])
    for i in range(n):
        assert array[place] == first + i
        array[place] = first + i + 1
    return n


def cover(array: Any, worker: int, n: int) -> int:
    """Write whole shards."""
    for i in range(n):
        array[:, : SHARD[1]] = -i
        array[...] = -i
    return 2 * n


def write_over(array: Any, worker: int, n: int) -> int:
    """Write over what others write too."""
    for i in range(n):
        for shard in range(N_SHARDS):
            array[box_of(worker, shard)] = i + FIRST
    return N_SHARDS * n


def compact(array: Any, stop: Path) -> int:
    """Write shards without garbage, until there is such a file."""
    n = 0
    while not stop.exists():
        n += array.compact(0).n_written
    return n


def read(array: Any, stop: Path) -> int:
    """Read until there is such a file: all of it or a part; numbers never go down."""
    n = 0
    last = np.zeros((SHAPE[0] // PAIR[0], SHAPE[1] // PAIR[1]), "i4")
    while not stop.exists():
        if random.random() < 0.5:
            numbers = numbers_of(array[...])
            assert (numbers >= last).all(), (numbers, last)
            last = numbers
        else:
            found = array[box_of(random.randrange(MAX_WORKERS), random.randrange(N_SHARDS))]
            assert (found == found[0, 0]).all(), f"mixed: {found}"
        n += 1
    return n


def read_numbers(array: Any, stop: Path) -> int:
    """Read until there is such a file; numbers may go down."""
    n = 0
    while not stop.exists():
        numbers_of(array[...])
        n += 1
    return n


WRITERS = {"write": write, "add": add, "cover": cover, "write over": write_over}
# Until the writers are done.
OTHERS = {"read": read, "read numbers": read_numbers, "compact": compact}


def do(job: dict[str, Any], array: Any = None) -> int:
    """A job, with a handle of its own or the given one."""
    path, deed = job["path"], job["deed"]
    if array is None:
        mode = "r" if deed.startswith("read") else "r+"
        array = zarrc.open_array(path, mode=mode, config=job.get("config"))
    if deed in OTHERS:
        return OTHERS[deed](array, stop_file(path))
    return WRITERS[deed](array, job["worker"], job["n"])


def stop_file(path: str) -> Path:
    """What tells readers that it is over."""
    return Path(f"{path}-stop")


def fork(jobs: list[dict[str, Any]]) -> int:
    """Do jobs in children, which write by the handle that they inherit; the number of those that failed."""
    array = zarrc.open_array(jobs[0]["path"], mode="r+", config=jobs[0]["config"])
    # It knows the shards, and it has locked.
    array[0, 0] = array[...][0, 0]
    pids = []
    for job in jobs:
        pid = os.fork()
        if pid == 0:
            try:
                do(job, array)
                os._exit(0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        pids.append(pid)
    return sum(os.waitpid(pid, 0)[1] != 0 for pid in pids)


def main() -> None:
    job = json.loads(sys.argv[1])
    locks._refuse_flock(job.get("refuse", False))
    print("ready", flush=True)
    sys.stdin.readline()
    print(fork(job["jobs"]) if "jobs" in job else do(job), flush=True)


if __name__ == "__main__":
    main()
