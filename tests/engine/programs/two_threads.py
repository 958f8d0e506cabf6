"""Prints processor time and wall time of reads of 256 MB with two threads."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import zarrc

SHAPE = (64, 1024, 1024)
CHUNKS = (1, 1024, 1024)
N_READS = 5


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time in seconds of the read with the best ratio."""
    found = []
    for _ in range(N_READS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return max(found, key=lambda times: times[1] / times[0])


def main() -> None:
    smooth = np.cumsum(np.random.default_rng(3).standard_normal(SHAPE[1:], "float32"), axis=0)
    zarrc.config.set({"threading.max_workers": 2})
    for name, codecs in (
        ("zstd", [{"name": "zstd", "configuration": {"level": 1}}]),
        ("blosc", [{"name": "blosc", "configuration": {"cname": "lz4", "shuffle": "shuffle"}}]),
        ("gzip", [{"name": "gzip", "configuration": {"level": 1}}]),
    ):
        store = zarrc.storage.MemoryStore()
        chain = [{"name": "bytes", "configuration": {"endian": "little"}}, *codecs]
        array = zarrc.create_array(store, shape=SHAPE, chunks=CHUNKS, dtype="float32", codecs=chain)
        for number in range(SHAPE[0]):
            array[number] = smooth + np.float32(number)
        wall, processor = measure(lambda array=array: array[...])
        times = f"wall {wall * 1e3:.0f} ms, processor {processor * 1e3:.0f} ms, ratio {processor / wall:.2f}"
        print(f"{name}: {array.nbytes / 1e6:.0f} MB, {times}")


if __name__ == "__main__":
    main()
