"""What is below a prefix of a store, as a store."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from zarrc.errors import StoreError, ZarrcError
from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat
from zarrc.storage.bounded import bounds
from zarrc.storage.keys import check_key, check_prefix
from zarrc.storage.wrappers.base import WrapperStore, is_direct

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.storage.resolve import StoreLike

__all__ = ["PrefixStore"]


class PrefixStore(WrapperStore):
    """The objects below a prefix of another store, under keys without it.

    Keys cannot leave the prefix. Errors name keys as they are here.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store.
    prefix : str
        Names joined by ``/``, with or without a slash at the end; ``""`` is all of the store.

    Attributes
    ----------
    prefix : str
        The prefix, without a slash at its end.

    Raises
    ------
    StoreError
        If the prefix is not legal.

    Notes
    -----
    Locks agree: the same object is locked alike through the store, this wrapper, and one with another
    prefix. Over a directory the engine works on the files, as it does without the wrapper.
    """

    def __init__(self, store: StoreLike, prefix: str) -> None:
        super().__init__(store)
        self._start = check_prefix(prefix)

    @property
    def prefix(self) -> str:
        """The prefix, without a slash at its end."""
        return self._start.removesuffix("/")

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        with self._renaming():
            return self._store.get(self._full(key), range)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        with self._renaming():
            self._store.set(self._full(key), data)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._renaming():
            self._store.delete(self._full(key))

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start, skipped = check_prefix(prefix), len(self._start)
        with self._renaming():
            for key in self._store.list_prefix(self._start + start):
                yield key[skipped:]

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        with self._renaming():
            wanted = [(self._full(key), range) for key, range in requests]
            yield from self._store.get_many(wanted, **bounds(self._store, most))

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        with self._renaming():
            return self._store.get_into(self._full(key), buffer, range)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        with self._renaming():
            self._store.set_many((self._full(key), data) for key, data in items)

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        with self._renaming():
            self._store.delete_many(self._full(key) for key in keys)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        with self._renaming():
            self._store.delete_prefix(self._start + check_prefix(prefix))

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        with self._renaming():
            return self._store.list_dir(self._start + check_prefix(prefix))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        start, skipped = check_prefix(prefix), len(self._start)
        with self._renaming():
            for key, nbytes in self._store.list_sizes(self._start + start):
                yield key[skipped:], nbytes

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        with self._renaming():
            return self._store.stat(self._full(key))

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        with self._renaming():
            yield from self._store.stat_many([self._full(key) for key in keys])

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`."""
        with self._renaming():
            self._store.copy(self._full(source), self._full(target))

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        with self._renaming():
            self._store.copy_many((self._full(source), self._full(target)) for source, target in pairs)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        with self._renaming():
            return self._store.set_if(self._full(key), data, version)

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`."""
        with self._renaming():
            expected = {self._full(key): version for key, version in changes.expected.items()}
            sets = {self._full(key): staged for key, staged in changes.sets.items()}
            deletes = [self._full(key) for key in changes.deletes]
            self._store.apply(Changes(expected, changes.staged, sets, deletes))

    @property
    def identity(self) -> Hashable:
        """That of the place in the wrapped store."""
        return self._store.identity_of(self._start)

    def identity_of(self, prefix: str) -> Hashable:
        """That of the place in the wrapped store."""
        return self._store.identity_of(self._start + check_prefix(prefix))

    @property
    def local_root(self) -> str | None:
        """The directory of the prefix, if the wrapped store is a directory."""
        root = self._store.local_root if is_direct(self._store) else None
        return None if root is None else os.path.join(root, self.prefix) if self._start else root

    def lock_path(self, key: str) -> str | None:
        """See `Store.lock_path`."""
        with self._renaming():
            return self._store.lock_path(self._full(key))

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`."""
        if self.local_root is not None:
            from zarrc.storage.local import LocalStore

            return LocalStore(self.local_root).missing_hint()
        return self._store.missing_hint()

    def _full(self, key: str) -> str:
        try:
            check_key(key)
        except StoreError as error:
            error.key = self._start + key  # as all errors below have it, for `_Renaming`
            raise
        return self._start + key

    def _renaming(self) -> _Renaming:
        return _Renaming(self._start)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r}, {self.prefix!r})"

    def __str__(self) -> str:
        return f"{self._store}/{self.prefix}" if self._start else str(self._store)


class _Renaming:
    """A context in which errors that name a key of the wrapped store name that of the prefix's store."""

    __slots__ = ("_start",)

    def __init__(self, start: str) -> None:
        self._start = start

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ZarrcError) and error.key is not None:
            error.key = error.key.removeprefix(self._start)
