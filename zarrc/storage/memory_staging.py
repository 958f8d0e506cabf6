"""Changes of many objects of a memory store in one step."""

from __future__ import annotations

import itertools
import os
import weakref
from _thread import allocate_lock
from typing import TYPE_CHECKING

from zarrc.errors import StoreError
from zarrc.storage.base import changed_meanwhile
from zarrc.storage.wrappers.prefix import PrefixStore

if TYPE_CHECKING:
    from zarrc.kernels.table import Table
    from zarrc.storage.base import Blob, Changes
    from zarrc.storage.memory import MemoryStore

__all__ = ["StagedInMemory", "apply"]

_numbers = itertools.count()
_applying = allocate_lock()


def _apply_anew() -> None:
    """In a forked child, where another thread's lock would stay taken for ever."""
    global _applying
    _applying = allocate_lock()


os.register_at_fork(after_in_child=_apply_anew)


class StagedInMemory(PrefixStore):
    """A part of a memory store's table that listings hide; it goes with this store, or when it is closed."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, f".zc-staged/{next(_numbers)}")
        self.table = store._table
        self._remove = weakref.finalize(self, store._table.remove_prefix, f"{self.prefix}/")

    def close(self) -> None:
        """Drop what is in it."""
        self._remove()


def apply(store: MemoryStore, table: Table, changes: Changes) -> None:
    """See `Store.apply`.

    One call at a time, so that of two that met the same objects the second one finds them changed. A plain
    write that comes in between is noticed where its object is small, as documents are: they are replaced in
    one step with the look at their version.
    """
    with _applying:
        store._check_expected(changes)
        # What there was, to put it back.
        old: list[tuple[str, Blob | None]] = []
        try:
            for key, staged in changes.sets.items():
                old.append((key, table.get(key)))
                _put(table, key, staged, changes)
            for key in changes.deletes:
                old.append((key, table.get(key)))
                table.remove(key)
        except BaseException:
            for key, blob in reversed(old):
                if blob is None:
                    table.remove(key)
                else:
                    table.set(key, blob)
            raise


_SMALL = 64 * 2**10


def _put(table: Table, key: str, staged: str, changes: Changes) -> None:
    view = changes.staged
    if isinstance(view, StagedInMemory) and view.table is table:
        staged = f"{view.prefix}/{staged}"
        blob: Blob | None = table.get(staged)
    else:
        blob = view.get(staged)
    if blob is None:
        raise StoreError("its new content is not staged", key=key)
    if blob.nbytes <= _SMALL and key in changes.expected:
        if table.set_if(key, blob, changes.expected[key]) is None:
            raise changed_meanwhile([key])
    elif isinstance(view, StagedInMemory) and view.table is table:
        table.share(staged, key)
    else:
        table.set(key, blob)
