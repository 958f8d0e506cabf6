"""Tiny objects as shards of 10^8 inner chunks: prints the errors and the growth of memory: KIND FOLDER."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from tests.engine.hostile_shards import BODY, KEY, PATH, SHARD
from tests.engine.shards import sharded_array
from tests.engine.test_shard_hostile import CHANGES, READS, make_store
from zarrc.errors import CorruptChunkError


def peak_kib() -> int:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(kind: str, folder: str) -> None:
    warm = sharded_array(make_store(kind, Path(folder, "warm")), (16,), (8,), (2,), name=PATH)
    warm[...] = 1
    warm[3:5] = warm[3:5]
    array = sharded_array(make_store(kind, Path(folder)), (10**8,), (10**8,), (1,), name=PATH)
    deeds = (READS["a part"], CHANGES["one before it"])
    before, errors = peak_kib(), []
    for stored in (b"", SHARD, BODY * 1000):
        array.store.set(KEY, stored)
        for deed in deeds:
            try:
                deed(array)
            except CorruptChunkError as error:
                errors.append(str(error))
    print(json.dumps({"errors": errors, "growth_kib": peak_kib() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
