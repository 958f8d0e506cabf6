"""Resident memory of a memory store with encoded chunks of 4 MiB, as a multiple of their bytes."""

import sys

import numpy as np

import zarrc
from zarrc.kernels import memory, worker

CHUNK_NBYTES = 4 << 20
N_CHUNKS = 24


def resident() -> int:
    memory.trim()
    worker.trim()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def main() -> None:
    share = float(sys.argv[1])
    chunk = np.zeros(CHUNK_NBYTES, "u1")
    chunk[: int(share * CHUNK_NBYTES)] = np.random.default_rng(1).integers(0, 256, int(share * CHUNK_NBYTES))
    array = zarrc.create_array(shape=CHUNK_NBYTES * (N_CHUNKS + 1), chunks=CHUNK_NBYTES, dtype="u1")
    array[:CHUNK_NBYTES] = chunk
    before = resident()
    for start in range(CHUNK_NBYTES, array.size, CHUNK_NBYTES):
        array[start : start + CHUNK_NBYTES] = chunk
        # What is kept of this result is where the next chunk is encoded.
        array[start : start + CHUNK_NBYTES][...] = 1
    stored = N_CHUNKS * len(array.store.get("c/0"))
    print((resident() - before) / (stored + (4 << 20)))


if __name__ == "__main__":
    main()
