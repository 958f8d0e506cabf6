"""A read or write that takes seconds, to be interrupted: `interrupted read|write`.

Prints "ready" when it begins, then as JSON when the exception came and whether the array still works.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

import zarrc

N_CHUNKS = 3000
CHUNK = 2**20


def main() -> None:
    noise = np.random.default_rng(1).integers(0, 16, CHUNK, "u1")
    gzip = {"name": "gzip", "configuration": {"level": 6}}
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(),
        shape=(N_CHUNKS * CHUNK,),
        chunks=(CHUNK,),
        dtype="uint8",
        codecs=[{"name": "bytes"}, gzip],
    )
    array[:CHUNK] = noise
    encoded = bytes(array.store.get("c/0"))
    for number in range(N_CHUNKS):
        array.store.set(f"c/{number}", encoded)
    print("ready", flush=True)
    try:
        if sys.argv[1] == "read":
            array[...]
        else:
            array[...] = np.broadcast_to(noise[::-1], (N_CHUNKS, CHUNK)).reshape(-1)
        when = None
    except KeyboardInterrupt:
        when = time.monotonic()
    usable = bool((array[5 * CHUNK : 5 * CHUNK + 9].shape == (9,)) and array[-1] in range(16))
    array[:CHUNK] = noise
    usable = usable and np.array_equal(array[:CHUNK], noise)
    print(json.dumps({"interrupted": when, "usable": usable}), flush=True)


if __name__ == "__main__":
    main()
