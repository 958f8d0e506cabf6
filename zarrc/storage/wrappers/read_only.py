"""A store that can only be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, Self

from zarrc.errors import ReadOnlyError
from zarrc.storage.keys import check_key, check_prefix
from zarrc.storage.wrappers.base import WrapperStore, is_direct

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.storage.base import Changes
    from zarrc.storage.resolve import StoreLike

__all__ = ["ReadOnlyStore"]


class ReadOnlyStore(WrapperStore):
    """A store that can only be read, also by those who get it passed on.

    `Store.with_read_only` gives a store that refuses writes, and gives a writable one back for the asking
    (``with_read_only(False)``). This one does not, nor does its pickle: to write, one has to have the
    wrapped store. It is a guard against accidents, not against code that looks for ``store``.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store to read.

    Notes
    -----
    The engine reads files and tables in memory as fast as without the wrapper.
    """

    _word = "read_only"

    def __init__(self, store: StoreLike) -> None:
        super().__init__(store)
        self._store = self._store.with_read_only()

    @property
    def read_only(self) -> bool:
        """True."""
        return True

    def with_read_only(self, read_only: bool = True) -> Self:
        """Itself.

        Parameters
        ----------
        read_only : bool, default True
            True.

        Raises
        ------
        ReadOnlyError
            If a writable store is asked for.
        """
        if not read_only:
            raise ReadOnlyError(f"{self} can only be read, and gives no writable store: use the wrapped one")
        return self

    @property
    def local_root(self) -> str | None:
        """That of the wrapped store, whose files are read as they are."""
        return self._store.local_root if is_direct(self._store) else None

    @property
    def _table(self) -> Any:
        """The table in memory of the wrapped store, for the engine."""
        from zarrc.storage.memory import MemoryStore

        kinds = (MemoryStore, ReadOnlyStore)
        return self._store._table if type(self._store) in kinds else None  # type: ignore[attr-defined]

    # Refused here too: a wrapped store that is somebody else's may forget to.

    def set(self, key: str, data: Buffer) -> None:
        """Refused."""
        check_key(key)
        self._refuse(key)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Refused, unless there is nothing to set."""
        for key, _ in items:
            self.set(key, b"")

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """Refused."""
        check_key(key)
        self._refuse(key)

    def delete(self, key: str) -> None:
        """Refused."""
        check_key(key)
        self._refuse(key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Refused, unless there is nothing to delete."""
        for key in keys:
            self.delete(key)

    def delete_prefix(self, prefix: str) -> None:
        """Refused."""
        check_prefix(prefix)
        self._refuse(None)

    def copy(self, source: str, target: str) -> None:
        """Refused."""
        check_key(source)
        check_key(target)
        self._refuse(target)

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Refused, unless there is nothing to copy."""
        for source, target in pairs:
            self.copy(source, target)

    def apply(self, changes: Changes) -> None:
        """Refused."""
        self._refuse(next(iter([*changes.sets, *changes.deletes]), None))

    def _refuse(self, key: str | None) -> NoReturn:
        raise ReadOnlyError(f"{self} was opened for reading only", key=key)
