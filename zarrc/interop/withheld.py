"""A store that keeps some objects to itself until it is told to write them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from zarrc.storage.base import Blob, ByteRange, Store

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["WithheldStore"]


class WithheldStore(Store):
    """Another store, of which some objects are not written before `release`.

    With the root's metadata documents withheld, whoever opens the other store meanwhile finds no node there.

    Parameters
    ----------
    store : Store
        Where everything else is read and written.
    keys : iterable of str
        Keys of the objects to withhold. They are small: they are kept in memory.
    """

    def __init__(self, store: Store, keys: Iterable[str]) -> None:
        super().__init__(read_only=store.read_only)
        self._store = store
        self._keys = frozenset(keys)
        self._held: dict[str, bytes] = {}

    def release(self) -> None:
        """Write what was withheld."""
        for key, data in self._held.items():
            self._store.set(key, data)
        self._held.clear()

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """As `Store.get`; a withheld object is seen here only."""
        if key not in self._keys:
            return self._store.get(key, range)
        data = self._held.get(key)
        return None if data is None else self._part(key, data, range, version="withheld")

    def set(self, key: str, data: Buffer) -> None:
        """As `Store.set`."""
        if key in self._keys:
            self._held[key] = bytes(data)
        else:
            self._store.set(key, data)

    def delete(self, key: str) -> None:
        """As `Store.delete`."""
        if key in self._keys:
            self._held.pop(key, None)
        else:
            self._store.delete(key)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """As `Store.list_prefix`; withheld objects are not listed."""
        return self._store.list_prefix(prefix)

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """As `Store.get_many`, in one batch of the other store where nothing in it is withheld."""
        if any(key in self._keys for key, _ in requests):
            return super().get_many(requests)
        return self._store.get_many(requests)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """As `Store.set_many`, in one batch of the other store where nothing in it is withheld."""
        items = list(items)
        if any(key in self._keys for key, _ in items):
            super().set_many(items)
        else:
            self._store.set_many(items)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """As `Store.set_if`."""
        if key in self._keys:
            return super().set_if(key, data, version)
        return self._store.set_if(key, data, version)

    @property
    def identity(self) -> Hashable:
        """That of the other store: it is the same place."""
        return self._store.identity

    def identity_of(self, prefix: str) -> Hashable:
        """That of the other store."""
        return self._store.identity_of(prefix)

    def __str__(self) -> str:
        return str(self._store)
