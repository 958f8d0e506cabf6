"""The pool's one helper begins on its caller's processor: it leaves it, unless the process has no other."""

import os
import threading

import numpy as np

import zarrc

ROUNDS = 50


def has_left(array: zarrc.Array, helper: int, cpu: int) -> bool:
    """Whether the helper goes away from ``cpu`` in a while of reads by a thread that runs there."""
    expected = np.arange(1, array.size + 1)
    found = []

    def read() -> None:
        os.sched_setaffinity(0, {cpu})
        os.sched_setaffinity(helper, {cpu})
        for _ in range(ROUNDS):
            np.testing.assert_array_equal(array[...], expected)
            if os.sched_getaffinity(helper) != {cpu}:
                break
        found.append(cpu not in os.sched_getaffinity(helper))

    caller = threading.Thread(target=read)
    caller.start()
    caller.join()
    return found[0]


def main() -> None:
    array = zarrc.create_array(zarrc.storage.MemoryStore(), shape=2_000_000, chunks=10_000, dtype="i4")
    before = set(os.listdir("/proc/self/task"))
    zarrc.config.set({"threading.max_workers": 2})
    array[...] = np.arange(1, array.size + 1)
    (helper,) = map(int, set(os.listdir("/proc/self/task")) - before)
    cpu = min(os.sched_getaffinity(0))
    print("left" if has_left(array, helper, cpu) else "stayed")
    # The main thread's processors are those of the process.
    os.sched_setaffinity(os.getpid(), {cpu})
    print("left" if has_left(array, helper, cpu) else "stayed")


if __name__ == "__main__":
    main()
