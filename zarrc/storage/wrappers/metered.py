"""A store that counts what is done with it."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock
from typing import TYPE_CHECKING

from zarrc.storage.wrappers.observed import OPERATIONS, ObservedStore, n_pages
from zarrc.storage.wrappers.statistics import N_BUCKETS, StoreStats, operation_stats

if TYPE_CHECKING:
    from zarrc.storage.base import ByteRange

__all__ = ["MeteredStore"]


class _Counters:
    """What was counted; shared by the copies of a store."""

    def __init__(self) -> None:
        self.lock = allocate_lock()
        self.clear()
        _all_counters.add(self)

    def clear(self) -> None:
        # Per operation: calls, requests, errors, misses, bytes, nanoseconds; and how many took how long.
        self.sums = {name: [0, 0, 0, 0, 0, 0] for name in OPERATIONS}
        self.histograms = {name: [0] * N_BUCKETS for name in OPERATIONS}

    def kept(self) -> dict[str, tuple[list[int], tuple[int, ...]]]:
        return {name: (list(sums), tuple(self.histograms[name])) for name, sums in self.sums.items()}


_all_counters: weakref.WeakSet[_Counters] = weakref.WeakSet()


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    for counters in _all_counters:
        counters.lock = allocate_lock()


os.register_at_fork(after_in_child=_renew)


class MeteredStore(ObservedStore):
    """A store that counts operations, bytes, misses, errors and how long they took.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store to measure.

    Notes
    -----
    What is counted are the calls of the store below, one for each object, also in a batch. That is what an
    object store bills, with the exceptions that `StoreStats.cost` tells. What the store below does to
    serve one call is not seen: a request that it tries again, the parts of a multipart upload.

    In a batch the time of an answer is how long the caller had waited in the batch until it came, and the
    time of a batch of writes is divided evenly among its objects. Requests of a batch that was ended early,
    by its caller or by an error, are not counted.

    Counts are exact whatever threads there are. Copies (also ``with_read_only``) share them; a pickled store
    starts with none, so each process counts for itself: add up the `stats` that they send back. A forked
    child starts with what its parent had.
    """

    _word = "metered"
    _shared = ("_counters",)

    _counters: _Counters

    def _start_anew(self) -> None:
        self._counters = _Counters()

    def stats(self) -> StoreStats:
        """What was counted until now; it does not change any more."""
        counters = self._counters
        with counters.lock:
            found = counters.kept()
        return _statistics(found)

    def reset(self) -> StoreStats:
        """Start at 0 again.

        Returns
        -------
        StoreStats
            What was counted until now; nothing is lost or counted twice between the two.
        """
        counters = self._counters
        with counters.lock:
            found = counters.kept()
            counters.clear()
        return _statistics(found)

    def _seen(
        self,
        operation: str,
        key: str | None,
        ns: int,
        nbytes: int = 0,
        *,
        range: ByteRange | None = None,
        n: int = 1,
        miss: bool = False,
        error: BaseException | None = None,
    ) -> None:
        n_calls = n_requests = 1
        if operation == "list":
            n_requests = n_pages(n)
        elif n != 1:
            n_calls = n_requests = n
        bucket = (ns if n_calls == 1 else ns // n_calls).bit_length()
        counters = self._counters
        with counters.lock:
            sums = counters.sums[operation]
            sums[0] += n_calls
            sums[1] += n_requests
            if error is not None:
                sums[2] += 1
            if miss:
                sums[3] += 1
            sums[4] += nbytes
            sums[5] += ns
            counters.histograms[operation][bucket if bucket < N_BUCKETS else N_BUCKETS - 1] += n_calls


def _statistics(counted: dict[str, tuple[list[int], tuple[int, ...]]]) -> StoreStats:
    return StoreStats({name: operation_stats(*one) for name, one in counted.items()})
