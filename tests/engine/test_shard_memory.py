"""Reading and writing large shards takes little more memory than their encoded bytes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from tests.engine.shards import BYTES, ZSTD, CountingStore, sharded_array

# Of noise, with two threads and inner chunks of 1 MiB: what each deed may add, in MiB.
SHARD = 192
INNER_OF_THREADS = 16  # encoded and decoded, with what an allocator keeps
PENDING = 64  # what may wait for an inner chunk that takes long

BOUNDS: dict[str, dict[str, int]] = {
    "local": {
        "write": PENDING + INNER_OF_THREADS,
        "overwrite": PENDING + INNER_OF_THREADS,
        "change one": INNER_OF_THREADS,
        "read one": INNER_OF_THREADS,
        "read an element of each": INNER_OF_THREADS,
        "read all": INNER_OF_THREADS,
    },
    "memory": {
        "write": SHARD + PENDING + INNER_OF_THREADS,
        "overwrite": SHARD + PENDING + INNER_OF_THREADS,
        "change one": SHARD + INNER_OF_THREADS,
        "read one": INNER_OF_THREADS,
        "read an element of each": INNER_OF_THREADS,
        "read all": INNER_OF_THREADS,
    },
    # A store in Python that copies what it is given has it twice for a moment.
    "python": {
        "write": 2 * SHARD + PENDING + INNER_OF_THREADS,
        "overwrite": 2 * SHARD + PENDING + INNER_OF_THREADS,
        "change one": 2 * SHARD + INNER_OF_THREADS,
        "read one": INNER_OF_THREADS,
        "read an element of each": INNER_OF_THREADS,
        "read all": INNER_OF_THREADS,
    },
    "sent": {"write": SHARD + PENDING + INNER_OF_THREADS},
    # The whole shard, what is around it, and a copy of one of them.
    "local, around": {
        "write": 3 * SHARD + PENDING + INNER_OF_THREADS,
        "change one": 5 * SHARD + INNER_OF_THREADS,
        "read one": 3 * SHARD + INNER_OF_THREADS,
        "read all": 3 * SHARD + INNER_OF_THREADS,
    },
}
BOUNDS["local, raw"] = BOUNDS["local"]


@pytest.mark.skipif("ZARRC_SANITIZE" in os.environ, reason="AddressSanitizer's own memory is in the way")
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize("kind", BOUNDS)
def test_what_is_done_to_a_large_shard_takes_bounded_memory(kind: str, tmp_path: Path) -> None:
    report = json.loads(run_module("tests.engine.programs.shard_memory", kind, str(tmp_path)))
    print(f"{kind}: {report}")
    for deed, bound in BOUNDS[kind].items():
        assert report[deed] <= bound, (deed, report)


@pytest.mark.parametrize("kind", ["memory", "mapping", "local", "python"])
def test_one_element_of_a_shard_larger_than_any_memory_is_written(kind: str, tmp_path: Path) -> None:
    stores: dict[str, Any] = {
        "memory": zarrc.storage.MemoryStore(),
        "mapping": {},
        "python": CountingStore(),
        "local": str(tmp_path),
    }
    array = sharded_array(stores[kind], (2**45,), (2**45,), (2**24,), [BYTES, ZSTD], dtype="u1", fill_value=0)
    array[2**44 + 5] = 3
    array[7] = 4
    assert array[2**44 + 4 : 2**44 + 7].tolist() == [0, 3, 0]
    assert array[7] == 4
    assert array[:: 2**40].sum() == 0


def test_a_range_of_a_mapping_does_not_cost_a_hash_of_the_whole_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    array = sharded_array(
        {}, (64, 1024), (64, 1024), (1, 1024), config={"sharding_coalesce_max_gap_bytes": 0}
    )
    array[...] = np.arange(64)[:, None]
    array[0]
    hashed: list[int] = []
    real = hashlib.blake2b
    monkeypatch.setattr(
        hashlib, "blake2b", lambda data, **more: hashed.append(len(data)) or real(data, **more)
    )
    assert array[::20, 0].tolist() == [0, 20, 40, 60]
    assert sum(hashed) == 0
