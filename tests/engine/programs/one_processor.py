"""The pool's one helper often begins on its caller's processor: it may always run where it could before."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import zarrc
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec

ROUNDS = 50
# The processors that the threads which decode may use.
found: set[frozenset[int]] = set()


@register_codec
@dataclass(frozen=True)
class LookingCodec(BytesBytesCodec):
    name = "tests.looking"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return bytes(data)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        found.add(frozenset(os.sched_getaffinity(0)))
        return bytes(data)


def read(arrays: list[zarrc.Array], helper: int, mine: set[int], its: set[int]) -> None:
    """Read in a new thread that may run on ``mine``, while the helper may run on ``its`` processors."""

    def work() -> None:
        os.sched_setaffinity(0, mine)
        os.sched_setaffinity(helper, its)
        for array in arrays:
            expected = np.arange(1, array.size + 1)
            for _ in range(ROUNDS):
                np.testing.assert_array_equal(array[...], expected)
                assert os.sched_getaffinity(helper) == its

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def main() -> None:
    arrays = []
    for codec in ("zstd", "tests.looking"):
        array = zarrc.create_array(
            zarrc.storage.MemoryStore(),
            shape=2_000_000,
            chunks=10_000,
            dtype="i4",
            codecs=[{"name": "bytes"}, {"name": codec}],
        )
        arrays.append(array)
    before = set(os.listdir("/proc/self/task"))
    zarrc.config.set({"threading.max_workers": 2})
    for array in arrays:
        array[...] = np.arange(1, array.size + 1)
    (helper,) = map(int, set(os.listdir("/proc/self/task")) - before)
    everywhere = os.sched_getaffinity(0)
    one = {min(everywhere)}
    for mine, its in ((everywhere, everywhere), (one, everywhere), (everywhere, one), (one, one)):
        found.clear()
        read(arrays, helper, mine, its)
        assert found <= {frozenset(mine), frozenset(its)}, found
    print("ended")


if __name__ == "__main__":
    main()
