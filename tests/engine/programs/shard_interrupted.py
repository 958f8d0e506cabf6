"""A long call on one shard, to be interrupted: `shard_interrupted KIND read|write|change FOLDER`.

Prints "ready" when it begins, then as JSON when the exception came, whether the array still works, and files.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import zarrc
from tests.engine.hostile_shards import index
from tests.engine.shards import ABSENT, BYTES, CountingStore, sharded_array

N_INNER = 2000
N_COPIES = 40
INNER = 2**20
GZIP = {"name": "gzip", "configuration": {"level": 6}}


def main(kind: str, what: str, folder: str) -> None:
    stores: dict[str, Any] = {"memory": zarrc.storage.MemoryStore(), "python": CountingStore()}
    noise = np.random.default_rng(1).integers(0, 16, INNER, "u1")
    array = sharded_array(
        stores.get(kind, folder),
        (N_INNER, INNER),
        (N_INNER, INNER),
        (1, INNER),
        [BYTES, GZIP],
        dtype="u1",
        fill_value=0,
    )
    _fill(array, noise, N_INNER if what == "read" else 10)
    before = bytes(array.store.get("c/0/0"))
    print("ready", flush=True)
    try:
        if what == "read":
            array[...]
        else:
            array[slice(None) if what == "write" else slice(3, None)] = noise[::-1]
        when = None
    except KeyboardInterrupt:
        when = time.monotonic()
    usable = bytes(array.store.get("c/0/0")) == before and np.array_equal(array[5], noise)
    array[5, 3:7] = 7
    usable = usable and bool((array[5, 3:7] == 7).all()) and np.array_equal(array[6], noise)
    files = sorted(path.name for path in Path(folder).rglob("*") if path.is_file())
    print(json.dumps({"interrupted": when, "usable": usable, "files": files}), flush=True)


def _fill(array: Any, noise: Any, n: int) -> None:
    """Store a few copies of one inner chunk for many: to encode each would take minutes."""
    array[0] = noise
    stored = bytes(array.store.get("c/0/0"))
    size = struct.unpack_from("<QQ", stored, len(stored) - 4 - 16 * N_INNER)[1]
    entries = [(number % N_COPIES * size, size) for number in range(n)] + [(ABSENT, ABSENT)] * (N_INNER - n)
    array.store.set("c/0/0", stored[:size] * N_COPIES + index(entries))


if __name__ == "__main__":
    main(*sys.argv[1:])
