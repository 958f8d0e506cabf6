"""A read that has failed already when a signal's handler raises: what the handler raised goes first."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

import zarrc
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec


class Alarm(Exception):
    pass


@register_codec
@dataclass(frozen=True)
class SlowCodec(BytesBytesCodec):
    """The main thread fails at once; another is in the middle of its item for a while."""

    name = "tests.slow"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return bytes(data)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(1.0)
            return bytes(data)
        time.sleep(0.1)
        raise RuntimeError("bad chunk")


def handler(*_: object) -> NoReturn:
    raise Alarm


def main() -> None:
    codecs = [{"name": "bytes"}, {"name": "tests.slow"}]
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(), shape=(1 << 20,), chunks=(1 << 18,), dtype="i4", codecs=codecs
    )
    array[...] = np.arange(1, (1 << 20) + 1)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    with zarrc.config.set({"threading.max_workers": 2}):
        try:
            array[...]
        except Alarm:
            print("alarm")


if __name__ == "__main__":
    main()
