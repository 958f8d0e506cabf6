"""Updates a sharded array until it is killed: it does the jobs that come as lines of JSON.

Each job is done by a forked child, which has everything loaded and opens the array by itself:

    path      of the array
    config    of the handle
    kind      what is written (`update`), or "compact"
    first     number of the first update
    n         updates
    kill_at   the place (`_kill_at`) where the child is killed, or 0
    after_s   how long after its first update it is killed, or null

The answer: the signal or the exit code of the child, and how many updates it had finished.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from typing import Any

import numpy as np

import zarrc
from zarrc.kernels import local_probes

SHAPE, SHARD, INNER = (60, 64), (32, 32), (8, 8)
GRID = (2, 2)
KINDS = ("one", "several", "part", "across", "shard", "clear", "vanish")
Box = tuple[slice, slice]


def update(kind: str, number: int) -> tuple[Box, int]:
    """A selection and the one value that is written there."""
    chance = random.Random(f"{kind} {number}")
    if kind == "any":
        kind = chance.choice(KINDS)
    row, column = (8 * chance.randrange(8) for _ in range(2))
    if kind == "one":
        return (slice(row, row + 8), slice(column, column + 8)), number
    if kind == "several":
        row, column = chance.choice((0, 8, 32, 36)), chance.choice((0, 16, 32, 40))
        return (slice(row, row + 24), slice(column, column + 16)), number
    if kind == "part":
        row = min(row, 48)
        return (slice(row + 2, row + 5), slice(column + 1, column + 6)), number
    if kind == "across":
        return (slice(29, 36), slice(24, 40)), number
    if kind == "clear":
        return (slice(row, row + 8), slice(column, column + 8)), 0
    row, column = 32 * chance.randrange(2), 32 * chance.randrange(2)
    box = (slice(row, row + 32), slice(column, column + 32))
    return box, number if kind == "shard" else 0


def after(values: Any, kind: str, number: int) -> Any:
    """The array's values after an update."""
    if kind == "compact":
        return values
    box, value = update(kind, number)
    changed = np.array(values)
    changed[box] = value
    return changed


def child(path: str, job: dict[str, Any], done: int) -> None:
    """In the child: a byte for each update that is finished."""
    array = zarrc.open_array(path, mode="r+", config=job["config"])
    local_probes.kill_at(job["kill_at"])
    for number in range(job["first"], job["first"] + job["n"]):
        if job["kind"] == "compact":
            array.compact(0)
        else:
            box, value = update(job["kind"], number)
            array[box] = value
        os.write(done, b".")


def run(path: str, job: dict[str, Any]) -> dict[str, int]:
    """Do a job."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child(path, job, writing)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    done = 0
    if job["after_s"] is not None:
        done += len(os.read(reading, 1))
        time.sleep(job["after_s"])
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        done += len(pipe.read())
    status = os.waitpid(pid, 0)[1]
    return {"ended": os.waitstatus_to_exitcode(status), "done": done}


def load() -> None:
    """Import what a child will need, by doing the like: it took most of a child's time."""
    inner = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}]
    index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
    sharding = {"chunk_shape": INNER, "codecs": inner, "index_codecs": index, "index_location": "end"}
    codecs = [{"name": "sharding_indexed", "configuration": sharding}, {"name": "gzip"}]
    with tempfile.TemporaryDirectory() as folder:
        array = zarrc.create_array(folder, shape=SHARD, chunks=SHARD, codecs=codecs, dtype="i4", fill_value=0)
        array[...] = 1
        zarrc.open_array(folder, mode="r+", config={"locking": "file"})[1:3] = 2


def main() -> None:
    load()
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(run(job["path"], job)), flush=True)


if __name__ == "__main__":
    main()
