"""Copies one array into another until it is ended: `copying SOURCE DESTINATION [LIMIT]`.

Prints "ready" when it begins. With a LIMIT no file may grow past so many bytes, which is as near to a full
disk as a test gets; what the copy raised is then printed as JSON. On Ctrl-C it prints when that came and
whether both arrays still work.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from typing import Any

import zarrc

CHUNK = 20_000


def make(path: str, n_chunks: int, value: int) -> Any:
    """An array whose chunk ``i`` holds ``value + i``, uncompressed."""
    import numpy as np

    array: Any = zarrc.create_array(
        path, shape=(n_chunks, CHUNK), chunks=(1, CHUNK), dtype="int32", codecs=["bytes"], overwrite=True
    )
    array[...] = np.broadcast_to(np.arange(value, value + n_chunks)[:, None], array.shape)
    return array


def values(array: Any) -> list[int]:
    """What each chunk holds; AssertionError if it is no whole chunk."""
    found = array[...]
    assert (found == found[:, :1]).all(), "a chunk is half-written"
    return list(map(int, found[:, 0]))


def main() -> None:
    source, target = (zarrc.open_array(path) for path in sys.argv[1:3])
    # A shell that starts the tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("ready", flush=True)
    if len(sys.argv) > 3:
        _fill_the_disk(source, target, int(sys.argv[3]))
        return
    try:
        while True:
            zarrc.copy_array(source, target)
    except KeyboardInterrupt:
        when = time.monotonic()
    values(target)
    zarrc.copy_array(source, target)
    print(json.dumps({"interrupted": when, "usable": values(target) == values(source)}), flush=True)


def _fill_the_disk(source: Any, target: Any, limit: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        zarrc.copy_array(source, target)
    except zarrc.errors.StoreError as error:
        print(json.dumps({"array": error.array, "key": error.key, "errno": error.errno, "text": str(error)}))


if __name__ == "__main__":
    main()
