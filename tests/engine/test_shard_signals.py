"""Ctrl-C in calls on very many shards, each shorter than the 50 ms between two looks at signals."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.shards import BYTES, ZSTD, sharded_array
from zarrc.storage import MemoryStore

AFTER_S, AT_MOST_S = 0.1, 0.5


class _Rung(Exception):
    pass


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise _Rung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, AFTER_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("what", ["read", "write", "change", "one shard"])
def test_a_signal_ends_a_call_on_many_short_shards(what: str, n_threads: int) -> None:
    with zarrc.config.set({"threading.max_workers": n_threads}):
        if what == "read":
            array = sharded_array(MemoryStore(), (20_000_000,), (10,), (1,), dtype="i1")
            call = array.__getitem__
            argument: Any = (...,)
        elif what == "one shard":
            array = sharded_array(
                MemoryStore(), (1 << 31,), (1 << 31,), (1 << 20,), [BYTES, ZSTD], dtype="i1"
            )
            call, argument = array.__setitem__, (..., 3)
        else:
            inner, step = (1024, 1) if what == "write" else (1 << 18, 1 << 18)
            array = sharded_array(MemoryStore(), (1 << 31,), (1 << 21,), (inner,), [BYTES, ZSTD], dtype="i1")
            call, argument = array.__setitem__, (slice(None, None, step), 3)
        began = time.monotonic()
        with pytest.raises(_Rung), _alarm():
            call(*argument)
        taken = time.monotonic() - began
    assert taken < AFTER_S + AT_MOST_S, f"noticed after {taken - AFTER_S:.2f} s"
    small = np.arange(5, dtype="i1")
    array[:5] = small
    np.testing.assert_array_equal(array[:5], small)
