"""Children of a process whose threads are at work: `busy_pool METHOD FOLDER N` starts N of them.

Two threads read all the time; each child reads the same arrays through inherited or pickled handles, and
writes one of its own. Prints how many children were right.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import Any

import numpy as np

import zarrc

N_CHUNKS = 24
CHUNK = 100_000
CHILD_TIMEOUT_S = 60


def expected() -> np.ndarray[Any, Any]:
    """The values of the arrays."""
    return (np.arange(N_CHUNKS * CHUNK, dtype="u4") * np.uint32(2654435761)) >> np.uint32(20)


def make(store: Any) -> Any:
    """A zstd array with these values."""
    array = zarrc.create_array(store, shape=(N_CHUNKS * CHUNK,), chunks=(CHUNK,), dtype="uint32")
    array[...] = expected()
    return array


def child(arrays: list[Any], folder: str) -> None:
    """In a child: read, write, read."""
    for array in arrays:
        for _ in range(3):
            assert np.array_equal(array[...], expected())
    own = zarrc.create_array(folder, shape=(64, 1000), chunks=(1, 500), dtype="int32")
    own[...] = 7
    own[:, 250:750] = 8
    assert own[...].sum() == 64 * (500 * 7 + 500 * 8)


def busy(array: Any, stop: threading.Event) -> None:
    """Keep the pool at work."""
    while not stop.is_set():
        assert np.array_equal(array[:], expected())


def main() -> None:
    method, folder, n_children = sys.argv[1], sys.argv[2], int(sys.argv[3])
    context: Any = multiprocessing.get_context(method)
    arrays = [make(f"{folder}/local"), make(zarrc.storage.MemoryStore())]
    stop = threading.Event()
    threads = [threading.Thread(target=busy, args=(array, stop)) for array in arrays]
    for thread in threads:
        thread.start()
    right = 0
    try:
        for number in range(n_children):
            process = context.Process(target=child, args=(arrays, f"{folder}/own{number}"))
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
    assert np.array_equal(arrays[0][...], expected())
    print(right)


if __name__ == "__main__":
    main()
