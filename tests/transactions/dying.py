"""A store whose process dies at a call: from then on no call does anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from tests.transactions.samples import SharedStore
from zarrc.errors import StoreError
from zarrc.storage import Blob, ByteRange, DirListing, Stat, Store


class DeadError(BaseException):
    """What ends a program that is killed, here."""


class DyingStore(SharedStore):
    """Dies before its change number ``at``, or after it; 0: never, and counts."""

    def __init__(self, store: Any, at: int = 0, *, after: bool = False) -> None:
        super().__init__(store)
        self.at, self.after = at, after
        self.n_calls = 0
        self.dead = False
        self.guard = threading.Lock()

    def step(self, do: Any, *arguments: Any) -> Any:
        with self.guard:
            self.n_calls += 1
            dies = self.n_calls == self.at
            self.dead = self.dead or (dies and not self.after)
        self._live()
        result = do(*arguments)
        if dies:
            self.dead = True
        self._live()
        return result

    def _live(self) -> None:
        if self.dead:
            # The threads of a dead process say nothing any more.
            if threading.current_thread() is not threading.main_thread():
                raise StoreError("dead")
            raise DeadError

    def set(self, key: str, data: Any) -> None:
        self.step(self._store.set, key, data)

    def delete(self, key: str) -> None:
        self.step(self._store.delete, key)

    def copy(self, source: str, target: str) -> None:
        self.step(self._store.copy, source, target)

    def set_if(self, key: str, data: Any, version: str | None) -> str | None:
        return self.step(self._store.set_if, key, data, version)  # type: ignore[no-any-return]

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        self._live()
        return self._store.get(key, range)

    def stat(self, key: str) -> Stat | None:
        self._live()
        return self._store.stat(key)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        self._live()
        return self._store.list_prefix(prefix)

    def list_dir(self, prefix: str) -> DirListing:
        self._live()
        return self._store.list_dir(prefix)

    get_many = Store.get_many
    stat_many = Store.stat_many
    set_many = Store.set_many
    delete_many = Store.delete_many
    copy_many = Store.copy_many
    delete_prefix = Store.delete_prefix
