"""Objects kept in this process's memory."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Blob, ByteRange
from zarrc.storage.wrappers.cached import Known, Part

__all__ = ["MemoryCache"]

# What is known of an object takes about as much, beside its bytes.
_RECORD_NBYTES = 500
# The part that stands for what is known itself.
_NOTHING: Part = (-1, 0)
_N_EPOCHS = 1024


class _Entry:
    """What is kept of one object."""

    __slots__ = ("known", "parts")

    def __init__(self, known: Known) -> None:
        self.known = known
        self.parts: dict[Part, bytes] = {}


_all_caches: weakref.WeakSet[MemoryCache] = weakref.WeakSet()


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    for cache in _all_caches:
        cache._lock = allocate_lock()


os.register_at_fork(after_in_child=_renew)


class MemoryCache:
    """Objects in memory, least lately used first out. Several `CacheStore` may share one; a pickle is empty.

    Parameters
    ----------
    max_nbytes : int
        The most bytes that are kept, with 500 for each object and part of one.
    """

    def __init__(self, max_nbytes: int) -> None:
        self._max_nbytes = max_nbytes
        self._lock = allocate_lock()
        self._epochs = [0] * _N_EPOCHS
        self._n_evicted = 0
        self._empty()
        _all_caches.add(self)

    def _empty(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._order: OrderedDict[tuple[str, Part], int] = OrderedDict()
        self._nbytes = 0

    @property
    def max_nbytes(self) -> int:
        """The bound."""
        return self._max_nbytes

    def epoch(self, name: str) -> int:
        """See `Cache.epoch`."""
        return self._epochs[hash(name) % _N_EPOCHS]

    def hit(self, name: str, range: ByteRange | None, after: float) -> Blob | Known | None:
        """See `Cache.hit`."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            known = entry.known
            if known.checked <= after:
                return None
            if known.absent:
                return known
            data = None if range is None else entry.parts.get(range)  # type: ignore[arg-type]
            if data is None:
                part = (0, known.nbytes)
                data = entry.parts.get(part)
                if data is None:
                    return None
            else:
                part, range = range, None  # type: ignore[assignment]
            self._order.move_to_end((name, part))
        if range is None:
            return Blob(data, version=known.version, object_nbytes=known.nbytes)
        start, nbytes = range
        try:
            return Blob(data, start=start, nbytes=nbytes, version=known.version, object_nbytes=known.nbytes)
        except StoreError:
            return None  # it leaves the object, which the store will say, or it is another object now

    def look(self, name: str) -> Known | None:
        """See `Cache.look`."""
        entry = self._entries.get(name)
        return None if entry is None else entry.known

    def parts(self, name: str, known: Known, start: int, nbytes: int) -> Iterable[Part]:
        """See `Cache.parts`."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.known.version != known.version:
                return []
            if (start, nbytes) in entry.parts:
                return [(start, nbytes)]
            return list(entry.parts)

    def read(self, name: str, known: Known, part: Part, start: int, nbytes: int) -> Blob | bytes | None:
        """See `Cache.read`."""
        with self._lock:
            entry = self._entries.get(name)
            data = entry.parts.get(part) if entry and entry.known.version == known.version else None
            if data is None:
                return None
            self._order.move_to_end((name, part))
        return Blob(
            data, start=start - part[0], nbytes=nbytes, version=known.version, object_nbytes=known.nbytes
        )

    def note(self, name: str, known: Known, epoch: int) -> None:
        """See `Cache.note`."""
        with self._lock:
            if self._epochs[hash(name) % _N_EPOCHS] == epoch:
                self._noted(name, known)
                self._make_room()

    def keep(self, name: str, known: Known, epoch: int, start: int, data: Blob) -> None:
        """See `Cache.keep`."""
        if data.nbytes + 2 * _RECORD_NBYTES > self._max_nbytes:
            return
        own = bytes(data)  # of a view the whole would be kept
        part = (start, len(own))
        with self._lock:
            if self._epochs[hash(name) % _N_EPOCHS] != epoch:
                return
            entry = self._noted(name, known)
            end = start + len(own)
            for other in [one for one in entry.parts if one[0] < end and start < one[0] + one[1]] or ():
                self._drop(name, entry, other)
            if part in entry.parts:
                self._drop(name, entry, part)
            entry.parts[part] = own
            self._add(name, part, len(own) + _RECORD_NBYTES)
            self._make_room()

    def _noted(self, name: str, known: Known) -> _Entry:
        entry = self._entries.get(name)
        if entry is not None and entry.known[:3] != known[:3]:
            self._remove(name)
            entry = None
        if entry is None:
            entry = self._entries[name] = _Entry(known)
            self._add(name, _NOTHING, _RECORD_NBYTES)
        else:
            entry.known = known
            self._order.move_to_end((name, _NOTHING))
        return entry

    def _add(self, name: str, part: Part, nbytes: int) -> None:
        self._order[name, part] = nbytes
        self._nbytes += nbytes

    def _drop(self, name: str, entry: _Entry, part: Part) -> None:
        entry.parts.pop(part, None)
        self._nbytes -= self._order.pop((name, part), 0)

    def _remove(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            for part in [*entry.parts, _NOTHING]:
                self._drop(name, entry, part)

    def _make_room(self) -> None:
        while self._nbytes > self._max_nbytes:
            name, part = next(iter(self._order))
            entry = self._entries[name]
            if part == _NOTHING and entry.parts:
                self._order.move_to_end((name, part))  # it is used as long as its parts are
                continue
            self._n_evicted += 1
            if part == _NOTHING:
                self._remove(name)
            else:
                self._drop(name, entry, part)

    def forget(self, name: str, *, fetched: bool) -> None:
        """See `Cache.forget`."""
        with self._lock:
            if fetched:
                self._epochs[hash(name) % _N_EPOCHS] += 1
            self._remove(name)

    def forget_below(self, starts: tuple[str, ...]) -> None:
        """See `Cache.forget_below`."""
        with self._lock:
            self._epochs = [one + 1 for one in self._epochs]
            for name in [name for name in self._entries if name.startswith(starts)]:
                self._remove(name)

    def clear(self) -> None:
        """See `Cache.clear`."""
        with self._lock:
            self._epochs = [one + 1 for one in self._epochs]
            self._empty()

    def usage(self) -> tuple[int, int, int]:
        """See `Cache.usage`."""
        return self._nbytes, self._n_evicted, 0

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryCache, (self._max_nbytes,)

    def __repr__(self) -> str:
        return f"MemoryCache({self._max_nbytes})"
