"""A codec in Python that forks in the middle of a read: the parent reads on, the child gets an error.

Prints what they saw: "parent ok" and "child cancelled" or, where no thread was at work, "child ok".
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import zarrc
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.errors import CodecError

N_CHUNKS = 400
forked: list[int] = []


@register_codec
@dataclass(frozen=True)
class ForkingCodec(BytesBytesCodec):
    name = "tests.forking"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return bytes(data)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        if not forked and threading.current_thread() is threading.main_thread():
            time.sleep(0.05)  # until helpers are in the middle of their items
            forked.append(os.fork())
        time.sleep(0.0005)
        return bytes(data)


def main() -> None:
    values = np.arange(1, 100 * N_CHUNKS + 1, dtype="i4")
    codecs = [{"name": "bytes"}, {"name": "tests.forking"}]
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(), shape=values.shape, chunks=(100,), dtype="i4", codecs=codecs
    )
    array[...] = values
    with zarrc.config.set({"threading.max_workers": 4}):
        try:
            result = "ok" if np.array_equal(array[...], values) else "wrong"
        except CodecError as error:
            result = "cancelled" if "forked" in str(error) else str(error)
        again = np.array_equal(array[...], values)
    assert again
    if forked[0] == 0:
        print("child", result, flush=True)
        os._exit(0)
    assert os.waitpid(forked[0], 0)[1] == 0
    print("parent", result)


if __name__ == "__main__":
    main()
