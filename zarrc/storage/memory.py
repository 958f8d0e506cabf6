"""A table in this process's memory as a store."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from zarrc.errors import StoreError
from zarrc.kernels.table import Table
from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat, Store
from zarrc.storage.keys import check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MemoryStore"]

# The named tables, kept until they are forgotten. Only dict operations that are one step are used, so it
# needs no lock.
_named: dict[str, Table] = {}


class MemoryStore(Store):
    """A table in this process's memory, which the engine reads and writes without Python.

    Parameters
    ----------
    store_dict : mapping of str to bytes-like, optional
        Objects to start with; they are copied. (To work on the mapping itself, pass it where a store is
        expected.)
    name : str, optional
        Two stores of one name share one table, which lives until `forget` is called or the process ends.
        Without a name the table is this store's own and lives as long as it.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.

    Notes
    -----
    `set_if` decides among all threads. A forked child has a copy of every table. A store without a name is
    pickled with its contents, and a copy comes back; one with a name is pickled as its name, which only a
    process that has the table can read.
    """

    def __init__(
        self,
        store_dict: Mapping[str, Buffer] | None = None,
        *,
        name: str | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a memory store is a str, not {type(name).__name__}")
        self._name = name
        self._table = Table() if name is None else _named.setdefault(name, Table())
        for key, data in (store_dict or {}).items():
            check_key(key)
            self._table.set(key, data)

    @staticmethod
    def forget(name: str) -> None:
        """Drop the table of a name: the next store of that name starts with a new one.

        Parameters
        ----------
        name : str
            The name; it is fine if there is no such table. Stores that have the table keep it.
        """
        _named.pop(name, None)

    @staticmethod
    def names() -> list[str]:
        """The names that have a table in this process, sorted."""
        return sorted(_named)

    @property
    def is_conditional(self) -> bool:
        """True: `set_if` decides among all threads, and no other process has the table."""
        return True

    @property
    def name(self) -> str | None:
        """The name that it was given."""
        return self._name

    @property
    def identity(self) -> Hashable:
        """Equal for two stores on one table."""
        return "memory", self._table.serial

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`; nothing is copied."""
        check_key(key)
        if range is None:
            return self._table.get(key)
        try:
            return self._table.get(key, *range)
        except StoreError as error:
            error.key = key
            raise

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        found = self._table.stat(key)
        return None if found is None else Stat(*found)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        self._table.set(key, data)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        check_key(key)
        self._check_writable(key)
        written = self._table.set_if(key, data, version)
        if written is None:
            self._check_version(key, version, None, exists=version is None)
        return written

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        self._table.remove(key)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        start = check_prefix(prefix)
        self._check_writable()
        self._table.remove_prefix(start)

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`; the bytes are shared."""
        check_key(source)
        check_key(target)
        self._check_writable(target)
        if not self._table.share(source, target):
            raise StoreError("there is no such object to copy", key=source)

    @property
    def is_atomic(self) -> bool:
        """True among the threads of the process; a killed process leaves nothing in memory."""
        return True

    def staging(self) -> Store:
        """See `Store.staging`: in the same table, so that `apply` copies nothing."""
        from zarrc.storage.memory_staging import StagedInMemory

        return StagedInMemory(self)

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`."""
        from zarrc.storage.memory_staging import apply

        self._check_writable()
        for key in (*changes.expected, *changes.sets, *changes.deletes):
            check_key(key)
        apply(self, self._table, changes)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        yield from keys_below(start, self._table.keys(start))

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = check_prefix(prefix)
        names = [name[len(start) :] for name in self._table.children(start)]
        keys = (name for name in names if not name.endswith("/"))
        prefixes = (name.removesuffix("/") for name in names if name.endswith("/"))
        return DirListing(sorted(keys_below("", keys)), sorted(keys_below("", prefixes)))

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        if self._name is not None:
            return _named_store, (type(self), self._name, self._read_only)
        found = ((key, self._table.get(key)) for key in self._table.keys(""))
        objects = {key: bytes(blob) for key, blob in found if blob is not None}
        return _unnamed_store, (type(self), objects, self._read_only)

    def __repr__(self) -> str:
        name = "" if self._name is None else f"name={self._name!r}"
        return f"<MemoryStore {name or self._table.serial}>"

    def __str__(self) -> str:
        return f"memory:{self._table.serial if self._name is None else self._name}"


def _named_store(kind: type[MemoryStore], name: str, read_only: bool) -> MemoryStore:
    if name not in _named:
        raise StoreError(f"the memory store {name!r} is in the memory of another process")
    return kind(name=name, read_only=read_only)


def _unnamed_store(kind: type[MemoryStore], objects: dict[str, bytes], read_only: bool) -> MemoryStore:
    return kind(objects, read_only=read_only)
