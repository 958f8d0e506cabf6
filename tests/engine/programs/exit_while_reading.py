"""The interpreter ends while daemon threads read with codecs in C and in Python, and the pool is busy."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import zarrc
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec


@register_codec
@dataclass(frozen=True)
class PlainCodec(BytesBytesCodec):
    name = "tests.plain"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return bytes(data)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        return bytes(data)


def _read_on(array: Any) -> None:
    while True:
        array[...]
        array[1:-1] = 5


def main() -> None:
    zarrc.config.set({"threading.max_workers": 4})
    for name in ("zstd", "tests.plain"):
        for store in (zarrc.storage.MemoryStore(), {}):
            array = zarrc.create_array(
                store,
                shape=(1 << 20,),
                chunks=(1 << 14,),
                dtype="i4",
                codecs=[{"name": "bytes"}, {"name": name}],
            )
            array[...] = np.arange(1 << 20)
            threading.Thread(target=_read_on, args=(array,), daemon=True).start()
    time.sleep(0.3)
    print("ended")


if __name__ == "__main__":
    main()
