"""Reads that tell a store how large an object can rightly be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zarrc.storage.base import Blob, ByteRange

__all__ = ["bounded", "bounds"]

# Of larger ones nobody has memory; and some services stumble over their digits.
_NO_BOUND = 2**62

# Kind of store -> whether its own `get_many` takes the bound: a subclass may have one that does not.
_takes: dict[type, bool] = {}


def bounds(store: Any, most: int | None) -> dict[str, int]:
    """The keywords for a store's `get_many` that say how large an object may be; none where it takes none."""
    if most is None or most >= _NO_BOUND or not getattr(store, "takes_most", False):
        return {}
    kind = type(store)
    takes = _takes.get(kind)
    if takes is None:
        code = getattr(kind.get_many, "__code__", None)
        names = () if code is None else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        takes = _takes[kind] = "most" in names
    return {"most": most} if takes else {}


def bounded(store: Any, most: int) -> Any:
    """The store, for reading whole objects of at most so many bytes: of larger ones nothing is read.

    Parameters
    ----------
    store : Store
        Any store.
    most : int
        Bytes.

    Returns
    -------
    object
        Something with the store's `get` and `get_many`: the store itself where it cannot be told.
    """
    return _Bounded(store, most) if bounds(store, most) else store


class _Bounded:
    """A store that is told the bound in each call."""

    __slots__ = ("_most", "_store")

    def __init__(self, store: Any, most: int) -> None:
        self._store = store
        self._most = most

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        found: Blob | None = next(self.get_many([(key, range)]))[1]
        return found

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Any]]:
        """See `Store.get_many`."""
        answers: Iterator[tuple[int, Any]] = self._store.get_many(requests, most=self._most)
        return answers
