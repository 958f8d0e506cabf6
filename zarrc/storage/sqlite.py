"""A SQLite file as a store: many small objects in one file, for several processes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from zarrc.config import config
from zarrc.errors import StoreError, TransactionConflictError
from zarrc.kernels.blob import Blob
from zarrc.storage.base import ByteRange, Changes, DirListing, Stat, Store
from zarrc.storage.keys import RESERVED, check_key, check_prefix, is_key, keys_below
from zarrc.storage.sqlite_connections import Connections, is_busy, translated

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["SQLiteStore"]

_T = TypeVar("_T")

# A range of an object up to this is cut from the whole: opening it for ranges takes longer.
_WHOLE_NBYTES = 65536

# What one transaction takes of many objects to read or write: so long others wait, so much memory it needs.
_BATCH = 1000
_BATCH_NBYTES = 32 << 20

# Keys that a listing takes at once.
_PAGE = 1000

# As many files, at most, are locked by a commit to any number of chunks.
_N_CHUNK_LOCKS = 64
_DOCUMENTS = frozenset(("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"))

_PUT = "INSERT OR REPLACE INTO objects (key, data) VALUES (?, ?)"
_DELETE = "DELETE FROM objects WHERE key = ?"
_DELETE_ALL = "DELETE FROM objects WHERE key >= ? AND key < ?"
_FIND = "SELECT id FROM objects WHERE key = ?"
_STAT = "SELECT id, length(data) FROM objects WHERE key = ?"


class SQLiteStore(Store):
    """One SQLite file; each object is a row.

    Parameters
    ----------
    path : str or os.PathLike
        The file. It need not be there: the first write makes it, and the directories above it.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`. The file is opened for reading only then.
    journal : {"delete", "wal"}, optional
        SQLite's journal. ``"wal"``: readers do not wait for a writer; all processes must be on one machine.
        By default what the file has, and ``"delete"`` for a new one.
    timeout : float, default 60
        Seconds to wait for other writers, then `StoreTimeoutError`.
    durable : bool, optional
        Whether what was written is on the disk when a call returns. Without, a power cut can take the last
        writes, and nothing else. By default as ``config["storage.durable"]``, which is False.

    Notes
    -----
    Each call is one transaction (of `set_many` and `get_many`, one for each thousand objects): a killed
    process leaves what it had committed, whole. Any number of threads and processes may read and write; one
    writes at a time. `set_if` and `apply` decide among all of them. Several processes that write to parts of
    the same chunks need ``locking="file"``, as in a directory.

    SQLite needs a file system with working locks: local ones have them, NFS often has not. An object has at
    most 1,000,000,000 bytes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        journal: Literal["delete", "wal"] | None = None,
        timeout: float = 60.0,
        durable: bool | None = None,
    ) -> None:
        super().__init__(read_only=read_only)
        text = os.fspath(path)
        if not isinstance(text, str):
            raise TypeError(f"a path is a str or a pathlib.Path, not {type(text).__name__}")
        if "\0" in text:
            raise ValueError("a path holds no NUL")
        if journal not in (None, "delete", "wal"):
            raise ValueError(f"journal must be 'delete' or 'wal', not {journal!r}")
        if not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds, not {timeout!r}")
        if durable is not None and durable not in (True, False):
            raise TypeError(f"durable must be True, False or None, not {durable!r}")
        self._path = os.path.realpath(text) if ".." in text.split("/") else os.path.abspath(text)
        self._options: dict[str, Any] = {
            "journal": journal,
            "timeout": float(timeout),
            "durable": bool(config.get("storage.durable") if durable is None else durable),
        }
        self._connections = Connections(self._path, read_only=self._read_only, **self._options)

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        return self._path

    @property
    def durable(self) -> bool:
        """Whether a commit is on the disk when it returns."""
        return bool(self._options["durable"])

    @property
    def is_conditional(self) -> bool:
        """True: `set_if` decides among all threads and processes."""
        return True

    @property
    def identity(self) -> Hashable:
        """Equal for two paths that lead to one file."""
        return "sqlite", os.path.realpath(self._path)

    def lock_path(self, key: str) -> str | None:
        """See `Store.lock_path`: a name beside the SQLite file, of chunks one of 64."""
        import hashlib

        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        # A commit holds the locks of all its chunks at once. Documents are locked by themselves, and chunks
        # while a document is.
        is_document = key.rpartition("/")[2] in _DOCUMENTS
        name = digest.hex() if is_document else f"{digest[0] % _N_CHUNK_LOCKS:02x}"
        return f"{os.path.realpath(self._path)}-{name}"

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        found = self._attempt(
            lambda made, birth: _get(made, birth, key, range),
            key,
            make=False,
            begin=None if range is None else "BEGIN",
        )
        return None if found is _NO_FILE else found

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        for key, _ in requests:
            check_key(key)
        at = 0
        while at < len(requests):
            first, found = at, self._read(_Reads(requests, at), len(requests) - at)
            at += len(found)
            yield from enumerate(found, first)

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        found = self._attempt(lambda made, birth: _stat(made, birth, key), key, make=False)
        return None if found is _NO_FILE else found

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        for key in keys:
            check_key(key)
        for first in range(0, len(keys), _BATCH):
            some = keys[first : first + _BATCH]
            found = self._read(
                lambda made, birth, some=some: [_stat(made, birth, key) for key in some],  # type: ignore[misc]
                len(some),
            )
            yield from enumerate(found, first)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        row = key, _as_bytes(data)
        self._write(lambda made, birth: made.execute(_PUT, row), key)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`; a thousand objects are one transaction."""
        self._check_writable()
        rows: list[tuple[str, Buffer]] = []
        nbytes = 0
        for key, data in items:
            check_key(key)
            # The caller may use the memory of the last one for the next.
            rows.append((key, data if type(data) is bytes else bytes(_as_bytes(data))))
            nbytes += len(rows[-1][1])  # type: ignore[arg-type]
            if len(rows) == _BATCH or nbytes >= _BATCH_NBYTES:
                self._put_rows(rows)
                rows, nbytes = [], 0
        self._put_rows(rows)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        check_key(key)
        self._check_writable(key)
        row = key, _as_bytes(data)

        def work(made: sqlite3.Connection, birth: str) -> str:
            found = _find(made, birth, key)
            self._check_version(key, version, found, found is not None)
            return _version(made.execute(_PUT, row).lastrowid, birth)

        return self._write(work, key)

    @property
    def is_atomic(self) -> bool:
        """True: `apply` is one transaction of SQLite."""
        return True

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`; one transaction, in which others wait while the new contents are taken over."""
        self._check_writable()
        for key in (*changes.expected, *changes.sets, *changes.deletes):
            check_key(key)

        def work(made: sqlite3.Connection, birth: str) -> None:
            wrong = [key for key, version in changes.expected.items() if _find(made, birth, key) != version]
            if wrong:
                raise TransactionConflictError(
                    f"changed by others since they were read: {', '.join(map(repr, wrong))}", key=wrong[0]
                )
            for key, staged_key in changes.sets.items():
                blob = changes.staged.get(staged_key)
                if blob is None:
                    raise StoreError("its new content is not there any more", key=key)
                made.execute(_PUT, (key, _as_bytes(blob)))
            made.executemany(_DELETE, [(key,) for key in changes.deletes])

        self._write(work, None)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self.delete_many([key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`; all are one transaction."""
        rows = [(key,) for key in keys]
        for (key,) in rows:
            check_key(key)
            self._check_writable(key)
        self._check_writable()
        if rows and os.path.lexists(self._path):
            self._write(
                lambda made, birth: made.executemany(_DELETE, rows),
                rows[0][0] if len(rows) == 1 else None,
            )

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`; it is one transaction."""
        start = check_prefix(prefix)
        self._check_writable()
        if os.path.lexists(self._path):
            self._write(
                lambda made, birth: made.execute(_DELETE_ALL, _bounds(start)),
                None,
            )

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`; the bytes stay inside SQLite."""
        check_key(source)
        check_key(target)
        self._check_writable(target)

        def work(made: sqlite3.Connection, birth: str) -> None:
            done = made.execute(
                "INSERT OR REPLACE INTO objects (key, data) SELECT ?, data FROM objects WHERE key = ?",
                (target, source),
            )
            if done.rowcount != 1:
                raise StoreError("there is no such object to copy", key=source)

        self._write(work, source)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`; in order."""
        start = check_prefix(prefix)
        for rows in self._pages("key", start):
            yield from keys_below(start, (key for (key,) in rows))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`; in order."""
        start = check_prefix(prefix)
        for rows in self._pages("key, length(data)", start):
            sizes = {key: nbytes for key, nbytes in rows if type(nbytes) is int}
            for key in keys_below(start, sizes):
                yield key, sizes[key]

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`; what is further below is passed over, not read."""
        start = check_prefix(prefix)
        first, end = _bounds(start)
        keys: list[str] = []
        prefixes: list[str] = []
        n = 16
        while rows := self._some("key", first, end, n):
            below = ""
            for (key,) in rows:
                first = key + "\0"  # the next possible key
                if below and key.startswith(below):
                    continue
                name, slash, _ = key[len(start) :].partition("/")
                if is_key(name) and not name.startswith(RESERVED):
                    (prefixes if slash else keys).append(name)
                below = f"{start}{name}/" if slash else ""
            if below:
                # Past all that is further below; where much is, little is read in vain.
                first, n = _after(below), 16
            else:
                n = min(2 * n, _PAGE)
        # In SQLite's order "a.x" comes between "a" and "a/x".
        return DirListing(sorted(set(keys)), sorted(set(prefixes)))

    def compact(self) -> None:
        """Give the room of what was deleted back to the file system. Others wait meanwhile."""
        self._check_writable()
        if os.path.lexists(self._path):
            self._write(_give_back_pages, None)

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`."""
        return None if os.path.lexists(self._path) else f"there is no SQLite file {self._path!r}"

    def with_read_only(self, read_only: bool = True) -> Self:
        """See `Store.with_read_only`; with connections of its own."""
        if bool(read_only) == self._read_only:
            return self
        import copy

        twin = copy.copy(self)
        twin._read_only = bool(read_only)
        twin._connections = Connections(self._path, read_only=twin._read_only, **self._options)
        return twin

    def close(self) -> None:
        """Close the connections that are not at work; another call opens one again."""
        self._connections.close()

    # The transactions.

    def _read(self, work: Callable[[sqlite3.Connection, str], list[_T]], n_absent: int = 0) -> list[_T]:
        """Run ``work`` on one state of the file; what is absent if there is none."""
        found = self._attempt(work, None, make=False, begin="BEGIN")
        return [None] * n_absent if found is _NO_FILE else found  # type: ignore[list-item]

    def _write(self, work: Callable[[sqlite3.Connection, str], _T], key: str | None) -> _T:
        return self._attempt(work, key, make=True, begin="BEGIN IMMEDIATE")  # type: ignore[no-any-return]

    def _attempt(
        self,
        work: Callable[[sqlite3.Connection, str], Any],
        key: str | None,
        *,
        make: bool,
        begin: str | None = None,
    ) -> Any:
        """Run one transaction, again and again while others have the file, until it has gone through."""
        began = time.monotonic()
        while True:
            try:
                with self._connections.lend(make=make) as lent:
                    if lent is None:
                        return _NO_FILE
                    if begin is None:  # a single statement
                        return work(*lent)
                    lent[0].execute(begin)
                    result = work(*lent)
                    lent[0].execute("COMMIT")
                    return result
            except (sqlite3.Error, OverflowError, UnicodeDecodeError, OSError) as error:
                if isinstance(error, StoreError):
                    error.key = error.key or key
                    raise
                if not is_busy(error) or time.monotonic() - began >= self._connections.timeout:
                    raise translated(error, self._path, key) from error

    def _put_rows(self, rows: list[tuple[str, Buffer]]) -> None:
        if rows:
            self._write(
                lambda made, birth: made.executemany(_PUT, rows), rows[0][0] if len(rows) == 1 else None
            )

    def _some(self, what: str, first: str, end: str, n: int) -> list[tuple[Any, ...]]:
        """The next ``n`` rows with legal keys from ``first`` on, before ``end``; fewer only at the end."""
        sql = f"SELECT {what} FROM objects WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
        rows: list[tuple[Any, ...]] = self._read(
            lambda made, birth: made.execute(sql, (first, end, n)).fetchall()
        )
        if not all(type(row[0]) is str for row in rows):
            raise StoreError(f"the SQLite file {self._path!r} has keys that are no texts")
        return rows

    def _pages(self, what: str, start: str) -> Iterator[list[tuple[Any, ...]]]:
        first, end = _bounds(start)
        while rows := self._some(what, first, end, _PAGE):
            yield rows
            first = rows[-1][0] + "\0"

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_connections"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._connections = Connections(self._path, read_only=self._read_only, **self._options)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r}{', read_only=True' if self._read_only else ''})"

    def __str__(self) -> str:
        return f"sqlite:///{self._path}"


_NO_FILE: Any = object()


class _Reads:
    """Some of many requests, until they are enough for one transaction."""

    def __init__(self, requests: Sequence[tuple[str, ByteRange | None]], first: int) -> None:
        self._requests = requests
        self._first = first

    def __call__(self, made: sqlite3.Connection, birth: str) -> list[Blob | None]:
        found: list[Blob | None] = []
        nbytes = 0
        for key, range in self._requests[self._first : self._first + _BATCH]:
            blob = _get(made, birth, key, range)
            found.append(blob)
            nbytes += 0 if blob is None else blob.nbytes
            if nbytes >= _BATCH_NBYTES:
                break
        return found


def _give_back_pages(made: sqlite3.Connection, birth: str) -> None:
    # Python takes one step of the statement, which is one page.
    for _ in range(made.execute("PRAGMA freelist_count").fetchone()[0]):
        made.execute("PRAGMA incremental_vacuum")


def _version(number: Any, birth: str) -> str:
    # A row number is never used again in one file, and another file of that name has another birth.
    return f"{number}-{birth}"


def _bounds(start: str) -> tuple[str, str]:
    """The first key that can start with ``start``, and the first behind all of them."""
    return start, _after(start)


def _after(start: str) -> str:
    # No key has the last code point of all, which is the last in the order of UTF-8 too; "0" comes after "/".
    return start[:-1] + "0" if start else "\U0010ffff" * 2


def _as_bytes(data: Buffer) -> bytes | memoryview:
    if type(data) is bytes:
        return data
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("the data are not contiguous")
    # A view of no bytes may have no address, which SQLite would take for NULL.
    return view.cast("B") if view.nbytes else b""


def _find(made: sqlite3.Connection, birth: str, key: str) -> str | None:
    """The version of an object, None if there is none."""
    found = made.execute(_FIND, (key,)).fetchone()
    return None if found is None else _version(found[0], birth)


def _stat(made: sqlite3.Connection, birth: str, key: str) -> Stat | None:
    found = made.execute(_STAT, (key,)).fetchone()
    if found is None:
        return None
    if type(found[1]) is not int:
        raise StoreError("the row has no bytes", key=key)
    return Stat(found[1], _version(found[0], birth))


def _get(made: sqlite3.Connection, birth: str, key: str, range: ByteRange | None) -> Blob | None:
    if range is None:
        found = made.execute("SELECT id, data FROM objects WHERE key = ?", (key,)).fetchone()
        return None if found is None else _blob(key, found[1], range, _version(found[0], birth))
    found = made.execute(_STAT, (key,)).fetchone()
    if found is None:
        return None
    number, nbytes = found
    if type(nbytes) is not int:
        raise StoreError("the row has no bytes", key=key)
    version = _version(number, birth)
    if nbytes <= _WHOLE_NBYTES:
        found = made.execute("SELECT data FROM objects WHERE id = ?", (number,)).fetchone()
        return _blob(key, None if found is None else found[0], range, version)
    start, length = range
    first = start if start >= 0 else nbytes + start
    length = nbytes - first if length is None else length
    if not (0 <= first <= nbytes and 0 <= length <= nbytes - first):
        raise StoreError(f"the range {range} leaves the object, which has {nbytes} bytes", key=key)
    with made.blobopen("objects", "data", number, readonly=True) as opened:
        opened.seek(first)
        data = opened.read(length)
    if len(data) != length:
        raise StoreError(f"{len(data)} bytes came where {length} were asked for", key=key)
    return Blob(data, version=version, object_nbytes=nbytes)


def _blob(key: str, data: Any, range: ByteRange | None, version: str) -> Blob:
    if type(data) is not bytes:
        raise StoreError(f"the row has no bytes but a {type(data).__name__}", key=key)
    return Store._part(key, data, range, version=version)
