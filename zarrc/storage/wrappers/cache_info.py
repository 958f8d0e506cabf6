"""What a cache has done."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock

from zarrc.frozen import frozen

__all__ = ["FAILED", "FETCHED", "HIT", "HIT_NBYTES", "LOOK", "MISS", "CacheInfo", "Counts"]

# Places in `Counts.sums`.
HIT, MISS, LOOK, HIT_NBYTES, FETCHED, FAILED = range(6)


@frozen(kw_only=True)
class CacheInfo:
    """What the cache of a `CacheStore` has done so far, and what it holds.

    Parameters
    ----------
    hits : int
        Objects and ranges that were answered from the cache, also after a look that they are unchanged; and
        absent ones that were known to be absent.
    misses : int
        Objects and ranges of which something was fetched.
    revalidations : int
        Looks whether an object is unchanged.
    nbytes_hit, nbytes_fetched : int
        Bytes that came from the cache, and from the store.
    failures : int
        Times that something could not be kept, as where a disk is full.
    nbytes : int
        Bytes that are kept now, by all who share the cache.
    max_nbytes : int
        The bound.
    evictions, damaged : int
        Parts of objects that went to make room; that were found damaged.
    """

    hits: int = 0
    misses: int = 0
    revalidations: int = 0
    nbytes_hit: int = 0
    nbytes_fetched: int = 0
    failures: int = 0
    nbytes: int = 0
    max_nbytes: int = 0
    evictions: int = 0
    damaged: int = 0


class Counts:
    """Hits, misses, revalidations, bytes hit, bytes fetched, failures; shared by the copies of a store."""

    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.sums = [0] * 6
        _all_counts.add(self)

    def add(self, place: int, n: int = 1) -> None:
        """Count more."""
        with self.lock:
            self.sums[place] += n


_all_counts: weakref.WeakSet[Counts] = weakref.WeakSet()


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    for counts in _all_counts:
        counts.lock = allocate_lock()


os.register_at_fork(after_in_child=_renew)
