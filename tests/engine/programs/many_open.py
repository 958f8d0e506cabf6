"""Opens far more arrays than descriptors are allowed, and reads and writes them all: `many_open FOLDER`."""

from __future__ import annotations

import os
import resource
import sys

import zarrc

N_ARRAYS = 2000
N_DESCRIPTORS = 48


def main() -> None:
    folder = sys.argv[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (N_DESCRIPTORS, N_DESCRIPTORS))
    zarrc.create_array(folder, shape=(40,), chunks=(4,), dtype="int16")[...] = 3
    arrays = [zarrc.open_array(folder, mode="r+") for _ in range(N_ARRAYS)]
    assert all(array[:].sum() == 3 * 40 for array in arrays)
    for number, array in enumerate(arrays):
        array[number % 40] = number % 100
    assert all(array[5] == arrays[0][5] for array in arrays)
    print(len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)


if __name__ == "__main__":
    main()
