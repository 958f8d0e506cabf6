"""Overwrites an array again and again until it is killed: `overwriting PATH FIRST`.

Prints the number of each value that is completely written.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

import zarrc

N_CHUNKS = 12
CHUNK = 50_000


def values(number: int) -> np.ndarray[Any, Any]:
    """The array's values at the given overwrite; the first element of a chunk tells which it is."""
    index = np.arange(N_CHUNKS * CHUNK, dtype="i8")
    return (index * 2654435761 % 65521 + number * 100_000).astype("u4")


def create(path: str) -> None:
    """The array before the first overwrite."""
    zarrc.create_array(path, shape=(N_CHUNKS * CHUNK,), chunks=(CHUNK,), dtype="uint32")[...] = values(0)


def main() -> None:
    array = zarrc.open_array(sys.argv[1], mode="r+")
    for number in itertools.count(int(sys.argv[2])):
        array[...] = values(number)
        print(number, flush=True)


if __name__ == "__main__":
    main()
