"""Ctrl-C in calls on very many shards, each shorter than the 50 ms between two looks at signals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine.alarms import is_ended
from tests.engine.shards import BYTES, ZSTD, sharded_array
from zarrc.storage import MemoryStore


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("what", ["read", "write", "change", "one shard"])
def test_a_signal_ends_a_call_on_many_short_shards(what: str, n_threads: int) -> None:
    if what == "read":
        array = sharded_array(MemoryStore(), (20_000_000,), (10,), (1,), dtype="i1")
        call = array.__getitem__
        argument: Any = (...,)
    elif what == "one shard":
        array = sharded_array(MemoryStore(), (1 << 31,), (1 << 31,), (1 << 20,), [BYTES, ZSTD], dtype="i1")
        call, argument = array.__setitem__, (..., 3)
    else:
        inner, step = (1024, 1) if what == "write" else (1 << 18, 1 << 18)
        array = sharded_array(MemoryStore(), (1 << 31,), (1 << 21,), (inner,), [BYTES, ZSTD], dtype="i1")
        call, argument = array.__setitem__, (slice(None, None, step), 3)
    is_ended(lambda: call(*argument), n_threads=n_threads)
    small = np.arange(5, dtype="i1")
    array[:5] = small
    np.testing.assert_array_equal(array[:5], small)
