"""One of several processes that write to an array by lists, points or masks: `selecting_together JOB`.

``JOB`` is JSON: ``path``, ``how``, ``worker`` (0 or 1: it has every second element along
the diagonals), ``n`` (rounds). Prints "ready" and begins at the line "go".
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import zarrc


def work(array: Any, how: str, worker: int, n: int) -> None:
    """Set the worker's elements to one number after another, and find them unchanged."""
    rng = np.random.default_rng(worker)
    mine = np.add.outer(*map(np.arange, array.shape)) % 2 == worker
    rows, columns = mine.nonzero()
    for i in range(1, n + 1):
        value = 1000 * worker + i
        if how == "mask":
            array[mine] = value
        elif how == "points":
            order = rng.permutation(rows.size)
            array[rows[order], columns[order]] = value
        else:
            for first in range(2):
                # Of every second row; shuffled, so that it is no slice.
                own = rng.permutation(np.arange(first, array.shape[0], 2))
                other = rng.permutation(np.arange((worker + first) % 2, array.shape[1], 2))
                array.oindex[own, other] = value
        assert (array[mine] == value).all()


def main() -> None:
    job = json.loads(sys.argv[1])
    array = zarrc.open_array(job["path"], mode="r+", config={"locking": "file"})
    print("ready", flush=True)
    sys.stdin.readline()
    work(array, job["how"], job["worker"], job["n"])


if __name__ == "__main__":
    main()
