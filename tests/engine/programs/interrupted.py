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
        shape=(N_CHUNKS, CHUNK),
        chunks=(1, CHUNK),
        dtype="uint8",
        codecs=[{"name": "bytes"}, gzip],
    )
    array[0] = noise
    encoded = bytes(array.store.get("c/0/0"))
    for number in range(N_CHUNKS):
        array.store.set(f"c/{number}/0", encoded)
    print("ready", flush=True)
    try:
        if sys.argv[1] == "read":
            array[...]
        else:
            array[...] = noise[::-1]
        when = None
    except KeyboardInterrupt:
        when = time.monotonic()
    old_or_new = (noise, noise[::-1])
    usable = all(any(np.array_equal(array[row], values) for values in old_or_new) for row in (0, 5, -1))
    array[5] = 7
    usable = usable and bool((array[5] == 7).all())
    print(json.dumps({"interrupted": when, "usable": usable}), flush=True)


if __name__ == "__main__":
    main()
