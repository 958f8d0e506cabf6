"""A store for what is not part of another store yet: one temporary file."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from _thread import allocate_lock
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zarrc.errors import StoreError
from zarrc.storage.base import Blob, ByteRange, Stat, Store
from zarrc.storage.keys import check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["TemporaryStore"]


class TemporaryStore(Store):
    """Objects in one temporary file (see `tempfile`), which has no name: it goes with its process.

    Notes
    -----
    A file for all, since thousands of files take a file system seconds. What is replaced or deleted makes
    room for objects of its size.
    """

    def __init__(self) -> None:
        super().__init__()
        self._file = tempfile.TemporaryFile(prefix="zarrc-staged-", buffering=0)  # noqa: SIM115
        self._lock = allocate_lock()
        # Key -> offset, bytes, number of the write.
        self._places: dict[str, tuple[int, int, int]] = {}
        self._free: dict[int, list[int]] = {}
        self._end = 0
        self._numbers = itertools.count(1)

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        # The lock is held while it is read: the place may be another object's afterwards.
        with self._lock:
            place = self._places.get(key)
            if place is None:
                return None
            offset, nbytes, number = place
            data = _read(self._file.fileno(), offset, nbytes, key)
        return self._part(key, data, range, version=str(number))

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        place = self._places.get(key)
        return None if place is None else Stat(place[1], str(place[2]))

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        view = memoryview(data).cast("B")
        with self._lock:
            free = self._free.get(view.nbytes)
            offset = free.pop() if free else self._end
            if offset == self._end:
                self._end += view.nbytes
        try:
            _write(self._file.fileno(), offset, view, key)
        except BaseException:
            self._give_back(offset, view.nbytes)
            raise
        with self._lock:
            old = self._places.get(key)
            self._places[key] = offset, view.nbytes, next(self._numbers)
        if old is not None:
            self._give_back(old[0], old[1])

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        with self._lock:
            old = self._places.pop(key, None)
        if old is not None:
            self._give_back(old[0], old[1])

    def _give_back(self, offset: int, nbytes: int) -> None:
        if nbytes:
            with self._lock:
                self._free.setdefault(nbytes, []).append(offset)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        yield from keys_below(check_prefix(prefix), list(self._places))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _read(fd: int, offset: int, nbytes: int, key: str) -> bytes:
    pieces = []
    while nbytes:
        piece = os.pread(fd, nbytes, offset)
        if not piece:
            raise StoreError("the temporary file was cut", key=key)
        pieces.append(piece)
        offset, nbytes = offset + len(piece), nbytes - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write(fd: int, offset: int, view: memoryview, key: str) -> None:
    try:
        while view.nbytes:
            n = os.pwrite(fd, view, offset)
            view, offset = view[n:], offset + n
    except OSError as error:
        full = f" in {tempfile.gettempdir()} (TMPDIR says where)" if error.errno == errno.ENOSPC else ""
        made = StoreError(f"{error.strerror}{full} [errno {error.errno}]", key=key)
        made.errno = error.errno
        raise made from error
