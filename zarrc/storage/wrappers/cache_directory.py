"""Objects kept in a directory, which several processes may share."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from zarrc.errors import StoreError
from zarrc.kernels import local_io
from zarrc.kernels.blob import resolve_range
from zarrc.kernels.checksums import crc32c
from zarrc.storage.base import Blob, ByteRange
from zarrc.storage.keys import RESERVED
from zarrc.storage.local import LocalStore
from zarrc.storage.wrappers.cached import Known, Part

__all__ = ["DirectoryCache"]

# Each has a checksum of its own, so that a small range of a large part is checked by reading little more.
_BLOCK_NBYTES = 32 << 10
# Below this a part is read as a whole.
_WHOLE_NBYTES = 64 << 10
# Files take space in such pieces.
_PIECE_NBYTES = 4096
# More than the files of one directory: 256 of them, with a million objects.
_FOLDER_LETTERS = 3
_DIGEST_LETTERS = 40
# When there is too much, the oldest go until there is this part of the bound.
_FILLED = 0.9
# Of the bound: after so many bytes of our own we look what others have written.
_UNSEEN = 1 / 16
# What a killed process was writing is removed after an hour.
_LEFT_SECONDS = 3600


# Records that are remembered, with the stamps of their files.
_REMEMBERED = 8192


class _Seen(NamedTuple):
    """A record as it was read: its file's stamp, what it says, and what the names of its parts start with."""

    stamp: tuple[int, int, int]
    known: Known
    begin: str


class _File(NamedTuple):
    """One file of the directory."""

    path: str
    nbytes: int
    used: float


class DirectoryCache:
    """Objects in a directory, least lately used first out; shared by all processes that name it.

    Of each object there is a record (name, version, size; a checksum), whose file's time is when the store
    was last asked; and a file for each part, with checksums, whose file's time is when it was last used. All
    are written under another name and renamed. A file that is not what it should be is none.

    Parameters
    ----------
    root : str
        The directory; made when something is first kept.
    max_nbytes : int
        The most bytes of files, in pieces of 4 KiB. With several processes it may be passed by a sixteenth
        for each.
    """

    def __init__(self, root: str, max_nbytes: int) -> None:
        self._max_nbytes = max_nbytes
        self._files = LocalStore(os.path.join(root, "zarrc-cache-1"))
        self._root = self._files.root
        self._start_anew()

    def _start_anew(self) -> None:
        self._records: dict[str, _Seen] = {}
        self._nbytes: int | None = None  # as of the last look, and our own since
        self._unseen = 0
        self._n_evicted = self._n_damaged = 0

    @property
    def root(self) -> str:
        """The directory."""
        return os.path.dirname(self._root)

    @property
    def max_nbytes(self) -> int:
        """The bound."""
        return self._max_nbytes

    def epoch(self, name: str) -> int:
        """See `Cache.epoch`: the size of a file that grows by a byte each time."""
        try:
            return os.stat(self._epochs(_digest(name))).st_size
        except OSError:
            return 0

    def hit(self, name: str, range: ByteRange | None, after: float) -> Blob | Known | None:
        """See `Cache.hit`."""
        digest = _digest(name)
        seen = self._seen(name, digest)
        if seen is None or not after < seen.known.checked <= time.time() + 1:
            return None
        known = seen.known
        if known.absent:
            return known
        try:
            start, nbytes = resolve_range(*(range or (0, None)), known.nbytes)
            if known.nbytes == 0:
                return None
            for part in dict.fromkeys([(start, nbytes), (0, known.nbytes)]):
                if nbytes:
                    path = f"{self._root}/{digest[:_FOLDER_LETTERS]}/{seen.begin}{part[0]}-{part[1]}"
                    blob = self._read(path, known, part, start - part[0], nbytes)
                    if blob is not None:
                        return blob
        except (StoreError, OSError):
            pass
        return None

    def look(self, name: str) -> Known | None:
        """See `Cache.look`."""
        seen = self._seen(name, _digest(name))
        return None if seen is None else seen.known

    def _seen(self, name: str, digest: str) -> _Seen | None:
        """The record; it is read again if its file is another one, or was touched."""
        path = f"{self._root}/{digest[:_FOLDER_LETTERS]}/{digest}"
        try:
            found = os.stat(path)
            stamp = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
            seen = self._records.get(name)
            if seen is not None and seen.stamp == stamp:
                return seen
            blob = local_io.read(path.encode(), 0, None)
        except (StoreError, OSError):
            return None
        if blob is None:
            return None
        known = _parsed(bytes(blob), name, found.st_mtime)
        if known is None:
            self._n_damaged += 1
            return None
        if len(self._records) >= _REMEMBERED:
            self._records = {}
        seen = self._records[name] = _Seen(stamp, known, _part_name(digest, known, None))
        return seen

    def parts(self, name: str, known: Known, start: int, nbytes: int) -> Iterable[Part]:
        """See `Cache.parts`."""
        digest = _digest(name)
        # These two without looking at everything.
        for part in ((start, nbytes), (0, known.nbytes)):
            if os.path.exists(self._path(digest, known, part)):
                return [part]
        return self._all_parts(digest, known)

    def _all_parts(self, digest: str, known: Known) -> list[Part]:
        begin = _part_name(digest, known, None)
        try:
            names = os.listdir(os.path.join(self._root, digest[:_FOLDER_LETTERS]))
        except OSError:
            return []
        found = []
        for name in names:
            if name.startswith(begin):
                start, _, nbytes = name[len(begin) :].partition("-")
                if start.isdecimal() and nbytes.isdecimal() and int(start) + int(nbytes) <= known.nbytes:
                    found.append((int(start), int(nbytes)))
        return found

    def read(self, name: str, known: Known, part: Part, start: int, nbytes: int) -> Blob | bytes | None:
        """See `Cache.read`."""
        try:
            return self._read(self._path(_digest(name), known, part), known, part, start - part[0], nbytes)
        except (StoreError, OSError):
            return None

    def _read(self, path: str, known: Known, part: Part, start: int, nbytes: int) -> Blob | None:
        """A range of a part, whose file is deleted if it is damaged."""
        blob = self._checked(path, known, part, start, nbytes)
        if blob is None:
            if os.path.exists(path):
                self._n_damaged += 1
                os.unlink(path)
            return None
        os.utime(path)
        return blob

    def _checked(self, path: str, known: Known, part: Part, start: int, nbytes: int) -> Blob | None:
        """A range of a part; None if its file is not there, or not what it should be."""
        where = path.encode()
        seed = _seed(path)
        total = part[1]
        n_blocks = math.ceil(total / _BLOCK_NBYTES)
        if total <= _WHOLE_NBYTES or nbytes * 2 >= total:
            blob = local_io.read(where, 0, None)
            if blob is None or blob.nbytes != total + 4 * n_blocks:
                return None
            view = memoryview(blob)
            first, data, sums = 0, view[:total], view[total:]
        else:
            first = start // _BLOCK_NBYTES
            last = (start + nbytes - 1) // _BLOCK_NBYTES
            begin, end = first * _BLOCK_NBYTES, min((last + 1) * _BLOCK_NBYTES, total)
            blob = local_io.read(where, begin, end - begin)
            table = local_io.read(where, total + 4 * first, 4 * (last + 1 - first))
            if blob is None or table is None or blob.object_nbytes != total + 4 * n_blocks:
                return None
            data, sums = memoryview(blob), memoryview(table)
        if sums != _checksums(data, seed, first):
            return None
        offset = start - first * _BLOCK_NBYTES
        return Blob(blob, start=offset, nbytes=nbytes, version=known.version, object_nbytes=known.nbytes)

    def note(self, name: str, known: Known, epoch: int) -> None:
        """See `Cache.note`."""
        self._note(name, known, epoch)

    def _note(self, name: str, known: Known, epoch: int) -> bool:
        """`note`; whether the object was not forgotten."""
        digest = _digest(name)
        with self._locked(digest) as now:
            if now != epoch:
                return False
            old = self.look(name)
            if old is not None and (old.version, old.nbytes, old.absent) != known[:3]:
                self._remove(digest, but=_part_name(digest, known, None))
                old = None
            key = f"{digest[:_FOLDER_LETTERS]}/{digest}"
            if old is None:
                record = _record(name, known)
                self._files.set(key, record)
                self._grow(len(record))
            os.utime(os.path.join(self._root, key), (known.checked, known.checked))
        self._make_room()
        return True

    def keep(self, name: str, known: Known, epoch: int, start: int, data: Blob) -> None:
        """See `Cache.keep`."""
        if data.nbytes + 2 * _PIECE_NBYTES > self._max_nbytes:
            return
        digest = _digest(name)
        part = (start, data.nbytes)
        path = self._path(digest, known, part)
        view = memoryview(data)
        stored = bytearray(view)
        stored += _checksums(view, _seed(path), 0)
        # Before the record, since a part that no record tells of is not read.
        self._files.set(path[len(self._root) + 1 :], stored)
        self._grow(len(stored))
        if not self._note(name, known, epoch):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def forget(self, name: str, *, fetched: bool) -> None:
        """See `Cache.forget`."""
        digest = _digest(name)
        if not fetched:
            if os.path.exists(os.path.join(self._root, digest[:_FOLDER_LETTERS], digest)):
                self._remove(digest)
            return
        with self._locked(digest, grow=True):
            if os.path.exists(os.path.join(self._root, digest[:_FOLDER_LETTERS], digest)):
                self._remove(digest)

    def _remove(self, digest: str, *, but: str = "/") -> None:
        """Delete the record, and first the parts, so that none is left that another record might tell of.

        Parts whose names start with ``but`` stay.
        """
        folder = os.path.join(self._root, digest[:_FOLDER_LETTERS])
        with suppress(FileNotFoundError):
            for name in os.listdir(folder):
                if name.startswith(digest + "-") and not name.startswith(but):
                    with suppress(FileNotFoundError):
                        os.unlink(os.path.join(folder, name))
            os.unlink(os.path.join(folder, digest))

    def forget_below(self, starts: tuple[str, ...]) -> None:
        """See `Cache.forget_below`; looks at every record."""
        for folder in self._folders():
            with self._locked(folder, grow=True):
                for name in _names(os.path.join(self._root, folder)):
                    if len(name) != _DIGEST_LETTERS:
                        continue
                    with suppress(FileNotFoundError):  # others delete without the lock
                        with open(os.path.join(self._root, folder, name), "rb") as file:
                            told = _name_of(file.read())
                        if told is None or told.startswith(starts):
                            self._remove(name)

    def clear(self) -> None:
        """See `Cache.clear`."""
        for folder in self._folders():
            with self._locked(folder, grow=True):
                for name in _names(os.path.join(self._root, folder)):
                    if name != "epoch":
                        with suppress(FileNotFoundError):
                            os.unlink(os.path.join(self._root, folder, name))
        self._nbytes = 0

    def usage(self) -> tuple[int, int, int]:
        """See `Cache.usage`; looks at every file."""
        files = list(self._all_files())
        self._nbytes = sum(file.nbytes for file in files)
        self._unseen = 0
        return self._nbytes, self._n_evicted, self._n_damaged

    # Files.

    def _path(self, digest: str, known: Known, part: Part) -> str:
        return os.path.join(self._root, digest[:_FOLDER_LETTERS], _part_name(digest, known, part))

    def _epochs(self, digest: str) -> str:
        return os.path.join(self._root, digest[:_FOLDER_LETTERS], "epoch")

    @contextmanager
    def _locked(self, digest: str, *, grow: bool = False) -> Iterator[int]:
        """Hold the lock of a folder; the epoch, or one more."""
        path = self._epochs(digest)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if grow:
                os.write(descriptor, b".")
            yield os.fstat(descriptor).st_size
        finally:
            # Said in words, since a forked child may have the descriptor too.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _folders(self) -> list[str]:
        return [name for name in _names(self._root) if len(name) == _FOLDER_LETTERS]

    def _all_files(self) -> Iterator[_File]:
        for folder in self._folders():
            with suppress(OSError), os.scandir(os.path.join(self._root, folder)) as entries:
                for entry in entries:
                    with suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if entry.name.startswith(RESERVED) and found.st_mtime < time.time() - _LEFT_SECONDS:
                            os.unlink(entry.path)
                        elif entry.name != "epoch":
                            yield _File(entry.path, _pieces(found.st_size), found.st_mtime)

    def _grow(self, nbytes: int) -> None:
        self._unseen += _pieces(nbytes)
        if self._nbytes is not None:
            self._nbytes += _pieces(nbytes)

    def _make_room(self) -> None:
        """Look what there is, if that may be too much, and delete what was not used for longest."""
        seen = self._nbytes is not None and self._unseen <= self._max_nbytes * _UNSEEN
        if seen and self._nbytes <= self._max_nbytes:  # type: ignore[operator]
            return
        files = list(self._all_files())
        total = sum(file.nbytes for file in files)
        if total > self._max_nbytes:
            total = self._evict(files, total)
        self._nbytes, self._unseen = total, 0

    def _evict(self, files: list[_File], total: int) -> int:
        # A record goes after its parts: it is used when they are.
        used: dict[str, float] = {}
        for file in files:
            digest = os.path.basename(file.path)[:_DIGEST_LETTERS]
            used[digest] = max(used.get(digest, 0.0), file.used)
        for file in sorted(files, key=lambda file: _age(file, used)):
            if total <= self._max_nbytes * _FILLED:
                break
            with suppress(OSError):
                os.unlink(file.path)
                self._n_evicted += 1
            total -= file.nbytes
        return total

    def __getstate__(self) -> tuple[str, int]:
        return self.root, self._max_nbytes

    def __setstate__(self, state: tuple[str, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"DirectoryCache({self.root!r}, {self._max_nbytes})"


def _age(file: _File, used: dict[str, float]) -> tuple[float, bool]:
    name = os.path.basename(file.path)
    is_record = len(name) == _DIGEST_LETTERS
    return (used[name], True) if is_record else (file.used, False)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _pieces(nbytes: int) -> int:
    return -(-nbytes // _PIECE_NBYTES) * _PIECE_NBYTES


def _digest(name: str) -> str:
    return hashlib.blake2b(
        name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_LETTERS // 2
    ).hexdigest()


def _part_name(digest: str, known: Known, part: Part | None) -> str:
    version = hashlib.blake2b(f"{known.nbytes} {known.version}".encode(), digest_size=8).hexdigest()
    return f"{digest}-{version}-" if part is None else f"{digest}-{version}-{part[0]}-{part[1]}"


def _seed(path: str) -> int:
    """What the checksums of a part start with: of its file's name, so that another's file is found out."""
    return crc32c(path.rpartition("/")[2].encode())


def _checksums(data: memoryview, seed: int, first: int) -> bytes:
    """Of each block of some, of which the first has this number."""
    found = bytearray()
    for number, start in enumerate(range(0, len(data), _BLOCK_NBYTES), first):
        found += crc32c(data[start : start + _BLOCK_NBYTES], seed ^ number).to_bytes(4, "little")
    return bytes(found)


def _record(name: str, known: Known) -> bytes:
    fields = {"name": name, "version": known.version, "nbytes": known.nbytes, "absent": known.absent}
    body = json.dumps(fields).encode()
    return crc32c(body).to_bytes(4, "little") + body


def _fields(record: bytes) -> dict[str, Any] | None:
    body = record[4:]
    if len(record) < 4 or record[:4] != crc32c(body).to_bytes(4, "little"):
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _name_of(record: bytes) -> str | None:
    name = (_fields(record) or {}).get("name")
    return name if isinstance(name, str) else None


def _parsed(record: bytes, name: str, checked: float) -> Known | None:
    """What a record says; None if it is damaged, or of another object."""
    fields = _fields(record)
    if fields is None or fields.get("name") != name:
        return None
    version, nbytes, absent = fields.get("version"), fields.get("nbytes"), fields.get("absent")
    if not (version is None or isinstance(version, str)) or type(absent) is not bool:
        return None
    if type(nbytes) is not int or not 0 <= nbytes < 2**63:
        return None
    return Known(version, nbytes, absent, checked)
