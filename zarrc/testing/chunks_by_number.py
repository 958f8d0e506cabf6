"""Objects of any key in a store that takes the keys of Zarr only, for `StoreTests`."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING

from zarrc.creation import create_array
from zarrc.errors import StoreError
from zarrc.storage import Blob, ByteRange, Store, check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ChunksByNumber"]

_BITS = 24


class ChunksByNumber(Store):
    """A store of any keys whose objects are the chunks of one array in another store.

    So `StoreTests` runs on a `zarrc.storage.BackendStore`, or on icechunk: what the suite calls ``a/x`` is a
    chunk there, whose place in the grid is made from the name. Listings show the names that were set through
    this object and its copies.

    Parameters
    ----------
    inner : Store
        The store; an array is created at its root.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.
    """

    def __init__(self, inner: Store, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self._inner = inner
        self._names: dict[str, str] = {}
        create_array(inner, shape=(1 << _BITS, 1 << _BITS), chunks=(1, 1), dtype="u1", compressors=None)

    @property
    def identity(self) -> Hashable:
        """Equal for two on one store."""
        return "chunks by number", self._inner.identity

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        try:
            return self._inner.get(_chunk_key(key), range)
        except StoreError as error:
            error.key = key
            raise

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        for key, _ in requests:
            check_key(key)
        yield from self._inner.get_many([(_chunk_key(key), range) for key, range in requests])

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        chunk_key = _chunk_key(key)
        self._inner.set(chunk_key, data)
        self._names[chunk_key] = key

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        self._inner.delete(_chunk_key(key))

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        names = dict(self._names)
        yield from keys_below(start, [names[key] for key in self._inner.list_prefix("c") if key in names])


def _chunk_key(key: str) -> str:
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=2 * _BITS // 8).digest(), "big")
    return f"c/{number >> _BITS}/{number & ((1 << _BITS) - 1)}"
