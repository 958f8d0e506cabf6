"""Prints processor time and wall time of reads of 256 MB with two threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import zarrc

SHAPE = (64, 1024, 1024)
CHUNKS = (1, 1024, 1024)
N_READS = 5


@dataclass(frozen=True)
class Times:
    """What one read took, in seconds: by the clock, and of processor time by thread."""

    wall: float
    threads: tuple[float, ...]

    @property
    def processor(self) -> float:
        return sum(self.threads)

    @property
    def ratio(self) -> float:
        return self.processor / self.wall

    @property
    def second_share(self) -> float:
        """The part of the work that the second busiest thread did."""
        return sorted(self.threads)[-2] / self.processor if len(self.threads) > 1 else 0.0


def thread_times() -> dict[str, float]:
    """Processor time of each thread of this process, in seconds."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def measure(work: Callable[[], object]) -> Times:
    """The read with the best ratio of several."""
    found = []
    for _ in range(N_READS):
        before, began = thread_times(), time.perf_counter()
        work()
        wall, after = time.perf_counter() - began, thread_times()
        found.append(Times(wall, tuple(time - before.get(name, 0.0) for name, time in after.items())))
    return max(found, key=lambda times: times.ratio)


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
        found = measure(lambda array=array: array[...])
        print(
            f"{name}: {array.nbytes / 1e6:.0f} MB, wall {found.wall * 1e3:.0f} ms, "
            f"processor {found.processor * 1e3:.0f} ms, ratio {found.ratio:.2f}, "
            f"share of the second thread {found.second_share:.2f}"
        )


if __name__ == "__main__":
    main()
