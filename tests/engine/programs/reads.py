"""Do one small thing many times: ``CASE ROUNDS FOLDER``. Valgrind counts the instructions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import zarrc

BLOSC = [
    {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 8}}
]
N_TINY = 1000


def small(store: Any, compressors: Any) -> zarrc.Array:
    """The guide's array: 400 x 400 float64 in chunks of 100 x 100."""
    array = zarrc.create_array(
        store, shape=(400, 400), chunks=(100, 100), dtype="f8", compressors=compressors
    )
    array[...] = np.arange(400 * 400.0).reshape(400, 400)
    return array


def tiny() -> zarrc.Array:
    """Chunks of 64 bytes."""
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(), shape=(16 * N_TINY,), chunks=(16,), dtype="f4", compressors=None
    )
    array[...] = np.arange(16.0 * N_TINY)
    return array


def operations(folder: str) -> dict[str, Callable[[], Any]]:
    """What there is to count, by name: all of it is made ready, whichever is then done."""
    in_memory, packed = small(zarrc.storage.MemoryStore(), None), small(zarrc.storage.MemoryStore(), BLOSC)
    local = small(folder, None)
    chunks = tiny()
    element, box = (137, 245), (slice(20, 70), slice(130, 180))
    return {
        "element, memory": lambda: in_memory[element],
        "slice, memory": lambda: in_memory[box],
        "element, local": lambda: local[element],
        "element, blosc, memory": lambda: packed[element],
        "write of an element, memory": lambda: in_memory.__setitem__(element, 1.0),
        "64 bytes a chunk": lambda: chunks[...],
        "open, local": lambda: zarrc.open_array(folder, mode="r").shape,
    }


def main(case: str, rounds: str, folder: str) -> None:
    """Do each thing a few times, then one of them ``rounds`` times."""
    all_of_them = operations(folder)
    for run in all_of_them.values():
        for _ in range(20):
            run()
    for _ in range(int(rounds)):
        all_of_them[case]()


if __name__ == "__main__":
    main(*sys.argv[1:])
