"""A store that keeps what it read."""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from zarrc.errors import StoreError
from zarrc.kernels.blob import resolve_range
from zarrc.storage.base import Blob, ByteRange, Changes, Stat, Store
from zarrc.storage.bounded import bounds
from zarrc.storage.keys import RESERVED, check_key, check_prefix
from zarrc.storage.local import LocalStore
from zarrc.storage.memory import MemoryStore
from zarrc.storage.wrappers.base import WrapperStore
from zarrc.storage.wrappers.cache_directory import DirectoryCache
from zarrc.storage.wrappers.cache_info import FAILED, FETCHED, HIT, HIT_NBYTES, LOOK, MISS, CacheInfo, Counts
from zarrc.storage.wrappers.cache_memory import MemoryCache
from zarrc.storage.wrappers.cache_names import marked, place_of, starts_of
from zarrc.storage.wrappers.cached import Cache, Known, Part, cover

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.storage.resolve import StoreLike

__all__ = ["CacheInfo", "CacheStore"]

Revalidation = Literal["etag", "never", "always"]
_T = TypeVar("_T")

# Directories of a store whose names in the cache are remembered.
_MOST_PLACES = 4096


class _Ask:
    """One object or range that is asked for: what is known of it, and what of it is kept."""

    __slots__ = ("epoch", "key", "known", "missing", "name", "nbytes", "range", "start", "state", "taken")

    def __init__(self, key: str, range: ByteRange | None, name: str | None) -> None:
        self.key = key
        self.range = range
        self.name = name
        self.state = _OPEN
        self.known: Known | None = None
        self.epoch = 0
        self.start = self.nbytes = 0
        self.taken: list[tuple[Part, int, int]] = []
        self.missing: Part | None = None


# The store is to be asked; only whether the object is unchanged; not at all: it is absent, or kept.
_OPEN, _STALE, _ABSENT, _KEPT = range(4)


class CacheStore(WrapperStore):
    """A store that keeps what it read, in memory or in a directory, and does not fetch it again.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store; a distant one.
    cache : str, os.PathLike, LocalStore, MemoryStore or None, optional
        Where to keep: a directory, which several processes may share and which survives them; or, by
        default, this process's memory. The caches of stores that get one `MemoryStore` are one; the store
        itself is not written to.
    max_nbytes : int, default 256 MiB
        The most bytes to keep; what was not used for longest goes first.
    ttl : float, optional
        Seconds after which what is kept is stale. By default it never is: what others write is not seen as
        long as the old is kept.
    revalidate : {"etag", "never", "always"}, default "etag"
        What is done with what is stale: ``"etag"`` asks the store for the version (a HEAD), and fetches
        anew only if that is another one; ``"never"`` fetches anew; ``"always"`` asks for the version in each
        read, whatever ``ttl`` says.
    namespace : str, optional
        For a directory: what the store is called there. By default that follows from the place that it is
        (its `identity`); where another process cannot know that place (memory), from this process too, so
        that nobody else uses what is kept. Stores with one namespace must have the same objects.

    Attributes
    ----------
    cache : object
        Where it keeps; give it to another `CacheStore` to share it.

    Raises
    ------
    ValueError
        If an option is not legal.

    Notes
    -----
    Requests: what is kept and not stale, none. What is stale, one look (in a batch all looks together), and
    one GET if it changed. What is not kept, one GET; of a range of which the start or the end is kept, one
    GET for the rest. Reads of a shard share its index and its inner chunks, whatever ranges they were read
    in. That an object is absent is kept too. `stat` and listings are not: a version that is asked for is the
    true one, so that transactions and conditional writes find out what others wrote. Names that start with
    ``.zc`` (locks, journals) always go to the store.

    All that is kept of an object is of one version. When an answer has another one, the rest is dropped.
    Ranges are kept only if the store tells the version of ranges and the size of the object.

    What is written or deleted through this store, or through one that shares the cache, is forgotten, also
    if it is being fetched meanwhile.

    A write to a part of a chunk reads the chunk first, perhaps from the cache: where several processes write
    parts of the same chunks, use ``revalidate="always"`` or a transaction.

    What is damaged in a directory is found by its checksum, and fetched again; a cache that cannot be
    written (full, read-only) costs hits, not errors, except when something has to be forgotten. Whoever can
    write to the directory can change what is read: do not share it with those you do not trust. It is for
    the processes of one machine.
    """

    _word = "cached"
    _shared = ("_counts", "_places", "_steps")

    _counts: Counts

    def __init__(
        self,
        store: StoreLike,
        cache: str | os.PathLike[str] | LocalStore | MemoryStore | Cache | None = None,
        *,
        max_nbytes: int = 256 << 20,
        ttl: float | None = None,
        revalidate: Revalidation = "etag",
        namespace: str | None = None,
    ) -> None:
        if max_nbytes < 0:
            raise ValueError(f"max_nbytes must not be negative, and is {max_nbytes}")
        if ttl is not None and not _is_seconds(ttl):
            raise ValueError(f"ttl is a number of seconds, not {ttl!r}")
        if revalidate not in ("etag", "never", "always"):
            raise ValueError(f"revalidate is 'etag', 'never' or 'always', not {revalidate!r}")
        self._cache = _made_cache(cache, max_nbytes)
        # Whatever the clock does, all that is kept is stale then.
        self._ttl = -math.inf if revalidate == "always" else ttl
        self._revalidates = revalidate != "never"
        self._namespace = namespace
        self._is_seen = isinstance(self._cache, DirectoryCache)
        super().__init__(store)

    def _start_anew(self) -> None:
        self._counts = Counts()
        self._places: dict[str, str] = {}
        # The keys of each step (`apply`) that is under way.
        self._steps: dict[object, frozenset[str]] = {}

    @property
    def cache(self) -> Cache:
        """Where it keeps."""
        return self._cache

    def cache_info(self) -> CacheInfo:
        """Return what the cache has done for this store and its copies, and what it holds."""
        nbytes, evictions, damaged = self._cache.usage()
        with self._counts.lock:
            hits, misses, looks, nbytes_hit, nbytes_fetched, failures = self._counts.sums
        return CacheInfo(
            hits=hits,
            misses=misses,
            revalidations=looks,
            nbytes_hit=nbytes_hit,
            nbytes_fetched=nbytes_fetched,
            failures=failures,
            nbytes=nbytes,
            max_nbytes=self._cache.max_nbytes,
            evictions=evictions,
            damaged=damaged,
        )

    def clear_cache(self) -> None:
        """Drop all that is kept, of other stores that share the cache too."""
        self._cache.clear()

    # Reading.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        name = self._name(key)
        if name is not None:
            found = self._cache.hit(name, range, self._oldest())
            if found is not None:
                return self._hit(found)
        ask = self._asked(key, range, name)
        if ask.state == _STALE:
            self._looked(ask, self._store.stat(key))
        if ask.state == _ABSENT:
            self._counts.add(HIT)
            return None
        if ask.state == _KEPT:
            blob = self._read(ask)
            if blob is not None:
                return blob
        return self._taken(ask, self._store.get(key, _request(ask)))

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        requests = list(requests)
        for key, _ in requests:
            check_key(key)
        asks: dict[int, _Ask] = {}
        for number, (key, range) in enumerate(requests):
            name = self._name(key)
            hit = None if name is None else self._cache.hit(name, range, self._oldest())
            if hit is None:
                asks[number] = self._asked(key, range, name)
            else:
                yield number, self._hit(hit)
        stale = [ask for ask in asks.values() if ask.state == _STALE]
        if stale:
            for number, found in self._store.stat_many([ask.key for ask in stale]):
                self._looked(stale[number], found)
        open_asks = []
        for number, ask in asks.items():
            if ask.state == _ABSENT:
                self._counts.add(HIT)
                yield number, None
                continue
            blob = self._read(ask) if ask.state == _KEPT else None
            if blob is None:
                open_asks.append(number)
            else:
                yield number, blob
        if open_asks:
            wanted = [(asks[number].key, _request(asks[number])) for number in open_asks]
            for place, blob in self._store.get_many(wanted, **bounds(self._store, most)):
                yield open_asks[place], self._taken(asks[open_asks[place]], blob)

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        return Store.get_into(self, key, buffer, range)

    # Who asks for a version wants the true one, to compare it, as a transaction that commits does.

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`; the store is always asked, and what is kept of another version goes."""
        check_key(key)
        name = self._name(key)
        epoch = 0 if name is None else self._cache.epoch(name)
        return self._noted(name, epoch, self._store.stat(key))

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`, and `stat`."""
        keys = list(keys)
        for key in keys:
            check_key(key)
        names = [self._name(key) for key in keys]
        epochs = [0 if name is None else self._cache.epoch(name) for name in names]
        for number, found in self._store.stat_many(keys):
            yield number, self._noted(names[number], epochs[number], found)

    def _oldest(self) -> float:
        """When the store must have been asked for something at least, for that not to be stale."""
        return -math.inf if self._ttl is None else time.time() - self._ttl

    def _hit(self, found: Blob | Known) -> Blob | None:
        blob = found if isinstance(found, Blob) else None
        counts = self._counts
        with counts.lock:
            counts.sums[HIT] += 1
            if blob is not None:
                counts.sums[HIT_NBYTES] += blob.nbytes
        return blob

    def _asked(self, key: str, range: ByteRange | None, name: str | None) -> _Ask:
        """Look up what is known and kept."""
        ask = _Ask(key, range, name)
        if name is None:
            return ask
        known = self._cache.look(name)
        self._judged(ask, known)
        if ask.state in (_OPEN, _STALE):
            # What is written from now on may not be what comes, and will not be kept.
            ask.epoch = self._cache.epoch(name)
        return ask

    def _judged(self, ask: _Ask, known: Known | None) -> None:
        """Decide what is to be asked, by what is known."""
        if known is None:
            return
        ask.known = known
        # What was asked for in the future tells that the clock was set back.
        fresh = self._ttl is None or self._oldest() < known.checked <= time.time() + 1
        if known.absent:
            ask.state = _ABSENT if fresh else _OPEN
        elif fresh:
            self._covered(ask)
        elif self._revalidates and known.version is not None:
            ask.state = _STALE
        else:
            ask.known = None

    def _covered(self, ask: _Ask) -> None:
        """Look up what is kept of what is asked for."""
        known = ask.known
        assert known is not None
        assert ask.name is not None
        try:
            ask.start, ask.nbytes = resolve_range(*(ask.range or (0, None)), known.nbytes)
        except StoreError:
            return  # the store will say it, or else the object is another one now
        if known.version is None and (ask.start, ask.nbytes) != (0, known.nbytes):
            return
        parts = self._cache.parts(ask.name, known, ask.start, ask.nbytes)
        ask.taken, ask.missing = cover(parts, ask.start, ask.nbytes)
        if ask.missing is None:
            ask.state = _KEPT
        elif ask.range is None or not ask.taken:
            ask.taken, ask.missing = [], None

    def _looked(self, ask: _Ask, found: Stat | None) -> None:
        """Compare a stale object's version with the store's."""
        self._counts.add(LOOK)
        known = ask.known
        assert known is not None
        assert ask.name is not None
        ask.state = _OPEN
        if found is None or found.version != known.version or found.nbytes != known.nbytes:
            ask.known = None
            if found is None:
                self._try(self._cache.note, ask.name, Known(None, 0, True, time.time()), ask.epoch)
                ask.state = _ABSENT
            return
        ask.known = known._replace(checked=time.time())
        self._try(self._cache.note, ask.name, ask.known, ask.epoch)
        self._covered(ask)

    def _read(self, ask: _Ask) -> Blob | None:
        """What is asked for, from the cache; None if some of it is not there any more."""
        pieces = self._pieces(ask)
        if pieces is None:
            ask.taken, ask.missing, ask.state = [], None, _OPEN
            assert ask.name is not None
            ask.epoch = self._cache.epoch(ask.name)
            return None
        known = ask.known
        assert known is not None
        if len(pieces) == 1 and isinstance(pieces[0], Blob):
            blob = pieces[0]
        else:
            blob = Blob(b"".join(map(bytes, pieces)), version=known.version, object_nbytes=known.nbytes)
        with self._counts.lock:
            self._counts.sums[HIT] += 1
            self._counts.sums[HIT_NBYTES] += blob.nbytes
        return blob

    def _pieces(self, ask: _Ask) -> list[Blob | bytes] | None:
        found = []
        assert ask.known is not None
        assert ask.name is not None
        for part, start, nbytes in ask.taken:
            piece = self._cache.read(ask.name, ask.known, part, start, nbytes)
            if piece is None:
                return None
            found.append(piece)
        return found

    def _taken(self, ask: _Ask, blob: Blob | None) -> Blob | None:
        """The answer, made of what came and what is kept; what came is kept too."""
        self._counts.add(MISS)
        if ask.name is None:
            return blob
        if blob is None:
            self._try(self._cache.note, ask.name, Known(None, 0, True, time.time()), ask.epoch)
            return None
        self._counts.add(FETCHED, blob.nbytes)
        if ask.missing is not None:
            return self._joined(ask, blob)
        self._keep(ask, blob)
        return blob

    def _joined(self, ask: _Ask, blob: Blob) -> Blob | None:
        known = ask.known
        assert known is not None
        assert ask.missing is not None
        before = after = None
        if (blob.version, blob.object_nbytes) == (known.version, known.nbytes):
            before, after = self._pieces(ask), True
        if before is None or after is None or blob.nbytes != ask.missing[1]:
            # It changed, or what was kept is gone: everything anew.
            ask.known, ask.taken, ask.missing = None, [], None
            whole = self._store.get(ask.key, ask.range)
            if whole is None:
                self._try(self._cache.note, ask.name, Known(None, 0, True, time.time()), ask.epoch)
            else:
                self._counts.add(FETCHED, whole.nbytes)
                self._keep(ask, whole)
            return whole
        n_before = sum(start < ask.missing[0] for _, start, _ in ask.taken)
        pieces = [*before[:n_before], blob, *before[n_before:]]
        self._try(
            self._cache.keep,
            ask.name,
            known._replace(checked=time.time()),
            ask.epoch,
            ask.missing[0],
            blob,
        )
        return Blob(b"".join(map(bytes, pieces)), version=known.version, object_nbytes=known.nbytes)

    def _keep(self, ask: _Ask, blob: Blob) -> None:
        assert ask.name is not None
        size = blob.object_nbytes
        if size is None or (ask.range is not None and blob.version is None):
            return
        try:
            start, nbytes = resolve_range(*(ask.range or (0, None)), size)
        except StoreError:
            return
        if nbytes != blob.nbytes:
            return  # the caller will find out
        known = Known(blob.version, size, False, time.time())
        self._try(self._cache.keep, ask.name, known, ask.epoch, start, blob)

    def _noted(self, name: str | None, epoch: int, found: Stat | None) -> Stat | None:
        if name is not None:
            now = time.time()
            known = (
                Known(None, 0, True, now) if found is None else Known(found.version, found.nbytes, False, now)
            )
            self._try(self._cache.note, name, known, epoch)
        return found

    def _try(self, action: Callable[..., None], *arguments: object) -> None:
        """Keep something; that it cannot be kept is no failure of the read."""
        try:
            action(*arguments)
        except (StoreError, OSError):
            self._counts.add(FAILED)

    # Writing: what is written is forgotten before, for whoever is killed meanwhile, and after.

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        self._change([key], lambda: self._store.set(key, data))

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        return self._change([key], lambda: self._store.set_if(key, data, version))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._change([key], lambda: self._store.delete(key))

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`."""
        self._change([target], lambda: self._store.copy(source, target))

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`."""
        # What was expected may be what was kept, and the reason of a conflict.
        keys = frozenset((*changes.expected, *changes.sets, *changes.deletes))
        step = object()

        def applied() -> None:
            # Who reads one of them now, and then another, must not find that one as it was kept before.
            self._steps[step] = keys
            self._store.apply(changes)

        try:
            self._change(keys, applied)
        finally:
            self._steps.pop(step, None)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        self._change_many(items, self._store.set_many, lambda item: item[0])

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        self._change_many(keys, self._store.delete_many, lambda key: key)

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        self._change_many(pairs, self._store.copy_many, lambda pair: pair[1])

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        start = check_prefix(prefix)
        starts = starts_of(self._store, start, self._namespace)
        if self._is_seen:
            starts = tuple(map(marked, starts))
        self._surely(self._cache.forget_below, starts)
        try:
            self._store.delete_prefix(prefix)
        finally:
            self._surely(self._cache.forget_below, starts)

    def _change(self, keys: Collection[str], action: Callable[[], _T]) -> _T:
        names = [name for key in keys if (name := self._checked_name(key)) is not None]
        for name in names:
            self._surely(self._cache.forget, name, fetched=False)
        try:
            return action()
        finally:
            self._forget_fetched(names)

    def _change_many(
        self, items: Iterable[_T], action: Callable[[Iterable[_T]], None], key_of: Callable[[_T], str]
    ) -> None:
        names: list[str] = []

        def passing() -> Iterator[_T]:
            for item in items:
                name = self._checked_name(key_of(item))
                if name is not None:
                    self._surely(self._cache.forget, name, fetched=False)
                    names.append(name)
                yield item

        try:
            action(passing())
        finally:
            self._forget_fetched(names)

    def _forget_fetched(self, names: Iterable[str]) -> None:
        """Forget all of them, also what is being fetched; what fails with one is told after the others."""
        failed: StoreError | None = None
        for name in names:
            try:
                self._surely(self._cache.forget, name, fetched=True)
            except StoreError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _surely(self, action: Callable[..., None], *arguments: object, **named: object) -> None:
        """Forget something; what cannot be forgotten would be read for ever."""
        try:
            action(*arguments, **named)
        except StoreError:
            raise
        except OSError as error:
            where = f"the cache {self._cache} cannot be written: {error.strerror} [errno {error.errno}]"
            raise StoreError(where) from error

    # Names.

    def _checked_name(self, key: str) -> str | None:
        check_key(key)
        return self._name(key)

    def _name(self, key: str) -> str | None:
        """What an object is called in the cache; None if it is not to be kept."""
        if key.startswith(RESERVED) or f"/{RESERVED}" in key:
            return None
        if self._steps and any(key in keys for keys in tuple(self._steps.values())):
            return None
        directory, slash, name = key.rpartition("/")
        place = self._places.get(directory)
        if place is None:
            if len(self._places) >= _MOST_PLACES:
                self._places = {}
            place = self._places[directory] = place_of(self._store, directory + slash, self._namespace)
        # Not what is remembered: a forked child has another mark.
        return (marked(place) if self._is_seen else place) + name


def _request(ask: _Ask) -> ByteRange | None:
    return ask.range if ask.missing is None else ask.missing


# Memory store -> the cache of all who name it.
_of_stores: dict[Hashable, weakref.ref[MemoryCache]] = {}


def _is_seconds(given: Any) -> bool:
    return isinstance(given, (int, float)) and given >= 0


def _made_cache(cache: Any, max_nbytes: int) -> Cache:
    if cache is None:
        return MemoryCache(max_nbytes)
    if isinstance(cache, MemoryStore):
        known = _of_stores.get(cache.identity)
        found = None if known is None else known()
        if found is None:
            found = MemoryCache(max_nbytes)
            _of_stores[cache.identity] = weakref.ref(found)
        return found
    if isinstance(cache, (MemoryCache, DirectoryCache)):
        return cache
    if isinstance(cache, LocalStore):
        return DirectoryCache(cache.root, max_nbytes)
    if isinstance(cache, (str, os.PathLike)):
        return DirectoryCache(LocalStore(cache).root, max_nbytes)
    raise TypeError(f"a cache is a directory, or None for memory, not a {type(cache).__name__}")
