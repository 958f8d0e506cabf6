"""A signal that comes in the middle of a long call, and how soon that ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import zarrc

__all__ = ["is_ended"]

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


def is_ended(call: Callable[[], Any], *, n_threads: int = 2) -> None:
    """A signal ends the call soon after it came."""
    with zarrc.config.set({"threading.max_workers": n_threads}):
        began = time.monotonic()
        with pytest.raises(_Rung), _alarm():
            call()
        taken = time.monotonic() - began
    assert taken < AFTER_S + AT_MOST_S, f"noticed after {taken - AFTER_S:.2f} s"
