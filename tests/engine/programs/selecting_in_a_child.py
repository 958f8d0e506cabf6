"""Forked children select by the handle of their parent: `selecting_in_a_child PATH LAYOUT`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

import zarrc

N = 24


def same(array: Any, values: Any) -> bool:
    """Whether all ways to select agree with NumPy."""
    rows, columns = np.random.default_rng(1).integers(0, N, (2, 200))
    return bool(
        (array[rows, columns] == values[rows, columns]).all()
        and (array[values % 5 == 0] == values[values % 5 == 0]).all()
        and (array.oindex[rows, columns] == values[np.ix_(rows, columns)]).all()
        and (array[...] == values).all()
    )


def main() -> None:
    array: Any = zarrc.create_array(sys.argv[1], shape=(N, N), dtype="i4", **json.loads(sys.argv[2]))
    values = np.arange(N * N, dtype="i4").reshape(N, N)
    array[...] = values
    assert same(array, values)
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                values[[child, 20], [3, 7]] = array[[child, 20], [3, 7]] = -1 - child
                print("same" if same(array, values) else "other", flush=True)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        values[[child, 20], [3, 7]] = -1 - child


if __name__ == "__main__":
    main()
