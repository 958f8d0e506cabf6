"""Connections to SQLite files: lent to one thread at a time, never carried over a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from zarrc.errors import StoreDeniedError, StoreError, StoreTimeoutError

__all__ = ["Connections", "translated"]

# How long SQLite itself waits for other processes, in C, where Ctrl-C is not seen; then we ask again.
_SLICE_S = 0.1

_APPLICATION_ID = 0x7A617272  # "zarr"
_COLUMNS = "id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, data BLOB NOT NULL"
_SCHEMA = f"CREATE TABLE objects ({_COLUMNS})"
_BIRTH = "CREATE TABLE birth (id BLOB NOT NULL)"

# Measured with 30,000 objects of 1 kB, 1000 of 100 kB and 60 of 2 MB, pages of 4, 16 and 64 KiB, with and
# without WITHOUT ROWID: a table with row numbers and pages of 16 KiB is the fastest or within 10 % of it in
# all; WITHOUT ROWID takes 5 times as long to read large objects and 20 times to list them. With auto_vacuum
# the file has a map of its pages: reading the last 100 bytes of 2 MB takes 31 us instead of 371.
_PAGE_NBYTES = 16384


class _Connection:
    """One connection, opened when it is needed. Who uses it has its lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made: sqlite3.Connection | None = None
        self.file = (0, 0)
        self.birth = ""
        with _registry_lock:
            _registry.add(self)

    def close(self) -> None:
        made, self.made = self.made, None
        if made is not None:
            made.close()

    def give_up(self, *, keep: bool) -> None:
        """Take back what it was doing, and close it if that or SQLite fails."""
        try:
            if keep and self.made is not None and self.made.in_transaction:
                self.made.execute("ROLLBACK")
        except sqlite3.Error:
            keep = False
        if not keep:
            self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


_registry_lock = threading.RLock()
_registry: weakref.WeakSet[_Connection] = weakref.WeakSet()
_held: list[_Connection] = []


def _before_fork() -> None:
    # A child must not have a connection of its parent: the locks are the parent's, and what SQLite believes
    # of them would be wrong in the child. So all are closed first, when nobody is within SQLite; each is
    # opened again when it is used, in both processes.
    _registry_lock.acquire()
    for one in list(_registry):
        one.lock.acquire()
        _held.append(one)
        with contextlib.suppress(Exception):
            one.close()


def _after_in_parent() -> None:
    while _held:
        _held.pop().lock.release()
    _registry_lock.release()


def _after_in_child() -> None:
    global _registry_lock
    while _held:
        _held.pop().lock = threading.RLock()
    _registry_lock = threading.RLock()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


class Connections:
    """What lends connections to one file.

    Parameters
    ----------
    path : str
        Absolute path of the file.
    read_only : bool
        Whether nothing is written, not even the file made.
    journal : {"delete", "wal"} or None
        The journal mode; None leaves an existing file's.
    timeout : float
        Seconds to wait for other writers.
    durable : bool
        Whether a commit is on the disk when it returns.
    """

    def __init__(
        self, path: str, *, read_only: bool, journal: str | None, timeout: float, durable: bool
    ) -> None:
        self.path = path
        self.timeout = timeout
        self._read_only = read_only
        self._journal = journal
        self._durable = durable
        self._idle: list[_Connection] = []

    @contextmanager
    def lend(self, *, make: bool = False) -> Iterator[tuple[sqlite3.Connection, str] | None]:
        """A connection and the birth of its file, for one short piece of work; None if there is no file.

        Parameters
        ----------
        make : bool, default False
            Whether to make the file, and the directories above it.
        """
        one = self._taken() or _Connection()
        with one.lock:
            try:
                yield (one.made, one.birth) if self._ready(one, make) and one.made is not None else None
            except BaseException as error:
                one.give_up(keep=is_busy(error) or not isinstance(error, sqlite3.Error))
                raise
            finally:
                self._idle.append(one)

    def close(self) -> None:
        """Close what is not lent out; it is opened again when it is needed."""
        while (one := self._taken()) is not None:
            with one.lock:
                one.close()

    def _taken(self) -> _Connection | None:
        """Take an idle one, in one step: several threads do."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _ready(self, one: _Connection, make: bool) -> bool:
        """Open it if need be; False if there is no file."""
        # By name, and never with open(): closing any descriptor of the file would release SQLite's locks.
        try:
            info = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            info = None
        if one.made is not None and (info is None or (info.st_dev, info.st_ino) != one.file):
            # Somebody removed or replaced the file: what is written to the old one is lost.
            one.close()
        if one.made is not None:
            return True
        if info is None:
            if not make:
                return False
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
        elif os.path.isdir(self.path):
            raise StoreError(f"{self.path!r} is a directory, not a SQLite file")
        elif info.st_size == 0 and not make:
            return False
        made = self._open("ro" if self._read_only else "rwc" if make else "rw")
        try:
            one.birth = self._prepare(made)
            info = os.stat(self.path)
        except BaseException:
            made.close()
            raise
        one.made, one.file = made, (info.st_dev, info.st_ino)
        return True

    def _open(self, mode: str) -> sqlite3.Connection:
        from urllib.parse import quote

        return sqlite3.connect(
            f"file:{quote(self.path)}?mode={mode}",
            uri=True,
            timeout=min(_SLICE_S, self.timeout),
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, made: sqlite3.Connection) -> str:
        # Of a file from elsewhere nothing is run, and its pages are checked before they are believed.
        made.execute("PRAGMA trusted_schema=OFF")
        made.execute("PRAGMA cell_size_check=ON")
        if not self._read_only:
            self._set_up(made)
        return self._check_schema(made)

    def _set_up(self, made: sqlite3.Connection) -> None:
        mode = self._journal
        if made.execute("PRAGMA schema_version").fetchone()[0] == 0:
            mode = mode or "delete"
            # These hold from the first table on.
            made.execute(f"PRAGMA page_size={_PAGE_NBYTES}")
            made.execute("PRAGMA auto_vacuum=INCREMENTAL")
            made.execute("BEGIN IMMEDIATE")
            if made.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
                made.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                made.execute("PRAGMA user_version=1")
                made.execute(_SCHEMA)
                made.execute(_BIRTH)
                made.execute("INSERT INTO birth VALUES (randomblob(8))")
            made.execute("COMMIT")
        else:
            # Before anything of a foreign file is changed.
            self._check_schema(made)
        if mode is not None and made.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            made.execute(f"PRAGMA journal_mode={mode}")
        is_wal = made.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        level = ("FULL" if is_wal else "EXTRA") if self._durable else "NORMAL"
        made.execute(f"PRAGMA synchronous={level}")

    def _check_schema(self, made: sqlite3.Connection) -> str:
        """Refuse a file that is not ours; the text that tells it from others of its name."""
        found = made.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name LIMIT 3"
        ).fetchall()
        if made.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID or found != [
            ("table", "birth", _BIRTH),
            ("table", "objects", _SCHEMA),
        ]:
            raise StoreError(f"the SQLite file {self.path!r} was not made by zarrc: it has other tables")
        version = made.execute("PRAGMA user_version").fetchone()[0]
        if version != 1:
            raise StoreError(
                f"the SQLite file {self.path!r} is of version {version}; this zarrc knows version 1"
            )
        birth = made.execute("SELECT id FROM birth LIMIT 1").fetchone()
        if birth is None or type(birth[0]) is not bytes or len(birth[0]) != 8:
            raise StoreError(f"the SQLite file {self.path!r} is damaged: it does not say which one it is")
        return birth[0].hex()


def is_busy(error: BaseException) -> bool:
    """Whether SQLite says that somebody else has the file."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: BaseException, path: str, key: str | None) -> StoreError:
    """What SQLite or the system says, as one of our errors that names the file."""
    if isinstance(error, OSError):
        denied = isinstance(error, PermissionError)
        kind = StoreDeniedError if denied else StoreError
        result = kind(f"{path!r}: {error.strerror or error} [errno {error.errno}]", key=key)
        result.errno = error.errno
        return result
    code = getattr(error, "sqlite_errorcode", None)
    first = None if code is None else code & 0xFF
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    said = f"{error} [{name}]"
    if first in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreTimeoutError(f"another process or thread kept the SQLite file {path!r} locked", key=key)
    if first in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StoreDeniedError(f"the SQLite file {path!r} cannot be written: {said}", key=key)
    if first == sqlite3.SQLITE_CANTOPEN:
        folder = os.path.dirname(path)
        if os.path.exists(path) and not os.access(path, os.R_OK):
            return StoreDeniedError(f"reading the SQLite file {path!r} is not permitted: {said}", key=key)
        if os.path.isdir(folder) and not os.access(folder, os.W_OK):
            return StoreDeniedError(
                f"the SQLite file {path!r} cannot be opened: its directory must be writable, for the journal",
                key=key,
            )
        return StoreError(f"the SQLite file {path!r} cannot be opened: {said}", key=key)
    if first == sqlite3.SQLITE_NOTADB:
        return StoreError(f"{path!r} is no SQLite file", key=key)
    if first == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeDecodeError):
        return StoreError(f"the SQLite file {path!r} is damaged: {said}", key=key)
    if first == sqlite3.SQLITE_FULL:
        return StoreError(f"there is no room for the SQLite file {path!r}: {said}", key=key)
    if first == sqlite3.SQLITE_TOOBIG or isinstance(error, OverflowError):
        return StoreError(f"too large an object for the SQLite file {path!r}: {said}", key=key)
    return StoreError(f"the SQLite file {path!r}: {said}", key=key)
