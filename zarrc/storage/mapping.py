"""Any mutable mapping from keys to bytes as a store."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Hashable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from zarrc.errors import StoreDeniedError, StoreError
from zarrc.storage.base import Blob, ByteRange, Store
from zarrc.storage.keys import check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MappingStore"]


class _Token:
    """Stands for one mapping as long as a store holds it; its serial is never used again."""

    def __init__(self, serial: int) -> None:
        self.serial = serial


_serials = itertools.count(1)
_tokens: weakref.WeakValueDictionary[int, _Token] = weakref.WeakValueDictionary()


class MappingStore(Store):
    """A mapping from keys to bytes: a dict, a shelf, a cache, a client of a database.

    Parameters
    ----------
    mapping : MutableMapping of str to bytes-like
        Where the objects are; what other code does to it is seen here. ``KeyError`` says that there is no
        such object. ``bytes`` are stored.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.

    Notes
    -----
    It is as safe under threads as the mapping is. Its entries are asked one by one, and a range is cut from
    the whole value. An exception of the mapping becomes a `StoreError` whose ``__cause__`` it is.
    """

    def __init__(self, mapping: MutableMapping[str, Any], *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self._mapping = mapping
        self._token = _token_of(mapping)

    @property
    def mapping(self) -> MutableMapping[str, Any]:
        """The mapping itself."""
        return self._mapping

    @property
    def identity(self) -> Hashable:
        """Equal for two stores on one mapping."""
        return "mapping", self._token.serial

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        try:
            value = self._mapping[key]
        except KeyError:
            return None
        except Exception as error:
            raise _translated(error, key) from error
        try:
            return self._part(key, value, range)
        except (TypeError, BufferError, ValueError) as error:
            raise StoreError(f"the value is no bytes but a {type(value).__name__}", key=key) from error

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        value = data if type(data) is bytes else bytes(Blob(data))
        try:
            self._mapping[key] = value
        except Exception as error:
            raise _translated(error, key) from error

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        try:
            del self._mapping[key]
        except KeyError:
            pass
        except Exception as error:
            raise _translated(error, key) from error

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        try:
            keys = list(self._mapping)
        except Exception as error:
            raise _translated(error, None) from error
        yield from keys_below(start, (key for key in keys if isinstance(key, str)))  # type: ignore[redundant-expr]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._mapping, self._read_only)

    def __repr__(self) -> str:
        return f"<MappingStore on a {type(self._mapping).__name__}>"

    def __str__(self) -> str:
        return f"mapping:{type(self._mapping).__name__}"


def _rebuild(kind: type[MappingStore], mapping: MutableMapping[str, Any], read_only: bool) -> MappingStore:
    return kind(mapping, read_only=read_only)


def _token_of(mapping: MutableMapping[str, Any]) -> _Token:
    # An address is not used again while a store, which has the token, holds the mapping.
    token = _tokens.get(id(mapping))
    return _tokens.setdefault(id(mapping), _Token(next(_serials))) if token is None else token


def _translated(error: Exception, key: str | None) -> StoreError:
    kind = StoreDeniedError if isinstance(error, PermissionError) else StoreError
    return kind(f"the mapping failed: {type(error).__name__}: {error}", key=key)
