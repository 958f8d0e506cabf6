"""Children of a process whose threads are at work on shards: `shard_forked METHOD FOLDER N` starts N of them.

As `busy_pool`; each child also changes shards, whose descriptors and indexes it inherited. Prints how many
were right.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import Any

import numpy as np

import zarrc
from tests.engine.shards import BYTES, ZSTD, CountingStore, sharded_array

SHARD = 200_000
N_SHARDS = 4
CHILD_TIMEOUT_S = 60


def expected() -> np.ndarray[Any, Any]:
    """The values of the arrays."""
    return (np.arange(N_SHARDS * SHARD, dtype="i4") * np.int32(2654435)) >> np.int32(12)


def make(store: Any, **config: Any) -> Any:
    """A sharded array with these values, and a handle that has read from it."""
    array = sharded_array(store, (N_SHARDS * SHARD,), (SHARD,), (2000,), [BYTES, ZSTD], config=config)
    array[...] = expected()
    return array


def child(arrays: list[Any], folder: str, number: int) -> None:
    """In a child: read, write, read; of what is shared only places of its own."""
    for array in arrays:
        for _ in range(3):
            assert np.array_equal(array[100:], expected()[100:])
            assert array[SHARD + 7] == expected()[SHARD + 7]
        array[number] = -number
        assert array[number] == -number
    own = make(folder)
    own[50_000:150_000] = 8
    assert (own[50_000:150_000] == 8).all()
    assert np.array_equal(own[150_000:], expected()[150_000:])


def busy(array: Any, stop: threading.Event) -> None:
    """Keep the pool at work."""
    while not stop.is_set():
        assert np.array_equal(array[100:], expected()[100:])
        array[SHARD : 2 * SHARD] = expected()[SHARD : 2 * SHARD]


def main() -> None:
    method, folder, n_children = sys.argv[1], sys.argv[2], int(sys.argv[3])
    context: Any = multiprocessing.get_context(method)
    arrays = [
        make(f"{folder}/local"),
        make(f"{folder}/locked", locking="file"),
        make(zarrc.storage.MemoryStore()),
    ]
    if method == "fork":
        arrays.append(make(CountingStore(), shard_index="trust"))
    stop = threading.Event()
    threads = [threading.Thread(target=busy, args=(array, stop)) for array in arrays]
    for thread in threads:
        thread.start()
    right = 0
    try:
        for number in range(1, n_children + 1):
            process = context.Process(target=child, args=(arrays, f"{folder}/own{number}", number))
            process.start()
            process.join(CHILD_TIMEOUT_S)
            right += process.exitcode == 0
            if process.exitcode is None:
                process.kill()
                print(f"child {number} hung", file=sys.stderr)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for array in arrays:
        assert np.array_equal(array[100:], expected()[100:])
    # What the children wrote to files is there.
    assert arrays[1][1 : n_children + 1].tolist() == [-number for number in range(1, n_children + 1)]
    print(right)


if __name__ == "__main__":
    main()
