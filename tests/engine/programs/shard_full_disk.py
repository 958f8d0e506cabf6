"""Writes a shard where files may not grow far enough: `shard_full_disk WHAT FOLDER`. Prints the error."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

import numpy as np

from tests.engine.shards import BYTES, ZSTD, sharded_array
from zarrc.errors import StoreError

SHARD = 1 << 20
INNER = 1 << 14


def main(what: str, folder: str) -> None:
    array = sharded_array(
        folder,
        (SHARD,),
        (SHARD,),
        (INNER,),
        [BYTES, ZSTD],
        name="a",
        after=[ZSTD] if what == "wrapped" else [],
        location="start" if what == "start" else "end",
        config={"shard_update": "append"} if what == "append" else {},
    )
    array[...] = 1
    files = {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
    noise = np.random.default_rng(1).integers(0, 2**31 - 1, SHARD, "i4")
    selections = [slice(INNER, SHARD)] if what in ("part", "append") else [slice(None), slice(5, SHARD)]
    for selection in selections:
        for _ in range(3):
            try:
                array[selection] = noise[selection]
            except StoreError as error:
                print(f"{type(error).__name__}: {error}")
            else:
                raise AssertionError("it was written")
            assert (array[...] == 1).all()
            left = {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
            assert left == files, sorted(left)
    array[5:7] = 2
    assert array[4:8].tolist() == [1, 2, 2, 1]


if __name__ == "__main__":
    main(*sys.argv[1:])
