"""A store that passes everything on to another: what wrappers are made from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat, Store
from zarrc.storage.bounded import bounds

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.storage.resolve import StoreLike

__all__ = ["WrapperStore", "is_direct", "wrapped_store"]


class WrapperStore(Store):
    """A store around another one, to which every call is passed on.

    Subclass it, and override what your wrapper is about. A method for many objects passes the batch on as a
    whole: who looks at single objects overrides these methods too, and keeps them batches.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store to wrap, or what `zarrc.storage.make_store` makes one of.

    Attributes
    ----------
    store : Store
        The wrapped store.

    Notes
    -----
    `identity` and `identity_of` are those of the wrapped store, since the objects are: locks, and caches of
    what was decoded, are shared with handles that go past the wrapper.

    `local_root` is None: the engine, which would else read and write the files by itself, goes through the
    wrapper. So an array behind a wrapper is handled as one on a distant store: its shards are written
    anew, its directories are not renamed. Locks in files (``locking="file"``) work.

    A copy is on the same state as its original (`MeteredStore`: the same counts), a pickled one starts anew.
    """

    # What a wrapper is called in `str`.
    _word: ClassVar[str] = "wrapper"
    # Attributes that copies share, and that a pickled store leaves behind.
    _shared: ClassVar[tuple[str, ...]] = ()

    _store: Store

    def __init__(self, store: StoreLike) -> None:
        self._store = wrapped_store(store)
        self._start_anew()

    def _start_anew(self) -> None:
        """Make the attributes of `_shared`: at first, and after unpickling."""

    @property
    def store(self) -> Store:
        """The wrapped store."""
        return self._store

    # Passed on.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        return self._store.get(key, range)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        self._store.set(key, data)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._store.delete(key)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        return self._store.list_prefix(prefix)

    @property
    def takes_most(self) -> bool:
        """See `Store.takes_most`."""
        return self._store.takes_most

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`; ``most`` goes to the wrapped store where that takes it."""
        return self._store.get_many(requests, **bounds(self._store, most))

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        return self._store.get_into(key, buffer, range)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        self._store.set_many(items)

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        self._store.delete_many(keys)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        self._store.delete_prefix(prefix)

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        return self._store.list_dir(prefix)

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        return self._store.list_sizes(prefix)

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        return self._store.stat(key)

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        return self._store.stat_many(keys)

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`."""
        self._store.copy(source, target)

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        self._store.copy_many(pairs)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        return self._store.set_if(key, data, version)

    @property
    def is_atomic(self) -> bool:
        """See `Store.is_atomic`."""
        return self._store.is_atomic

    def staging(self) -> Store:
        """See `Store.staging`; the wrapper does not see what is put there."""
        return self._store.staging()

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`."""
        self._store.apply(changes)

    @property
    def read_only(self) -> bool:
        """Whether the wrapped store refuses writing and deleting."""
        return self._store.read_only

    def with_read_only(self, read_only: bool = True) -> Self:
        """See `Store.with_read_only`; the wrapped store becomes so."""
        if bool(read_only) == self.read_only:
            return self
        return self._around(self._store.with_read_only(read_only))

    @property
    def is_conditional(self) -> bool:
        """See `Store.is_conditional`."""
        return self._store.is_conditional

    @property
    def below(self) -> Store:
        """Itself; around the store of a transaction, the same wrapper around the store below that."""
        below = self._store.below
        return self if below is self._store else self._around(below)

    @property
    def identity(self) -> Hashable:
        """That of the wrapped store."""
        return self._store.identity

    def identity_of(self, prefix: str) -> Hashable:
        """That of the wrapped store."""
        return self._store.identity_of(prefix)

    @property
    def local_root(self) -> str | None:
        """None: what goes to the files directly would go past the wrapper."""
        return None

    @property
    def durable(self) -> bool:
        """See `Store.durable`."""
        return self._store.durable

    def lock_path(self, key: str) -> str | None:
        """See `Store.lock_path`."""
        return self._store.lock_path(key)

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`."""
        return self._store.missing_hint()

    def flush(self) -> None:
        """See `Store.flush`."""
        self._store.flush()

    def close(self) -> None:
        """Close the wrapped store."""
        self._store.close()

    # Copies.

    def _around(self, store: Store) -> Self:
        """The same wrapper, with the same state, around another store."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._store = store
        return twin

    def __copy__(self) -> Self:
        return self._around(self._store)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in self._shared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_anew()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r})"

    def __str__(self) -> str:
        return f"{self._word}({self._store})"


def wrapped_store(store: StoreLike) -> Store:
    """The store that a user wants to wrap; of a place in a store the objects below it."""
    if isinstance(store, Store):
        return store
    from zarrc.storage.resolve import make_store

    found, path = make_store(store)
    if path:
        from zarrc.storage.wrappers.prefix import PrefixStore

        return PrefixStore(found, path)
    return found


def is_direct(store: Store) -> bool:
    """Whether a store's files are all there is to it: no subclass gets and sets in another way."""
    for cls in type(store).__mro__:
        if "local_root" in vars(cls):
            return True
        if not _OBJECT_METHODS.isdisjoint(vars(cls)):
            return False
    return False


# As the engine has it.
_OBJECT_METHODS = frozenset({"get", "get_many", "get_into", "set", "set_many", "delete", "delete_many"})
