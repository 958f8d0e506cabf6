"""Locks of this process for reading, comparing and writing one object, made anew in a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable

__all__ = ["key_lock"]

# Different objects may share a lock, which costs a wait; a lock for each object would cost memory without
# bound.
_N_LOCKS = 64
_locks = [threading.Lock() for _ in range(_N_LOCKS)]


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    _locks[:] = [threading.Lock() for _ in range(_N_LOCKS)]


os.register_at_fork(after_in_child=_renew)


def key_lock(identity: Hashable, key: str) -> threading.Lock:
    """The lock of the object ``key`` in the store with this identity. Hold one at a time."""
    return _locks[hash((identity, key)) % _N_LOCKS]
