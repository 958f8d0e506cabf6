"""Files beside a local zip archive: the lock of its writer, and the record that takes an append back.

An append never writes over bytes of the archive: new members come behind its end record, and a new
directory behind them. Before the first byte is appended, a record beside the archive says how long it was;
its removal is the commit. A record that is there means that nobody finished: the archive is what it was at
that length. The next writer cuts off what is behind; readers, who take no lock, look no further than that.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import time
import zlib
from contextlib import suppress
from typing import Final

from zarrc.errors import StoreDeniedError, StoreError
from zarrc.storage.zip_source import LocalFile, write_all

__all__ = ["WriterLock", "beside", "remove_record", "repair", "translated", "undone_nbytes", "write_record"]

# Mark, device, inode and size of the archive, a checksum of its last bytes; the record's own follows.
_RECORD: Final = struct.Struct("<8s3QI")
_MARK: Final = b"zczip\0\0\1"
_TAIL_NBYTES: Final = 4096
# In a directory that others can write to, too, a name of ours may be their link to something else.
_OURS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
# Seconds between two looks at a lock.
_PAUSE: Final = 0.01
# What flock says where the file system knows no locks: there, writers must be kept apart by the user.
_NO_LOCKS: Final = {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}


def beside(path: str, kind: str) -> str:
    """The path of our own file of this kind beside an archive."""
    directory, name = os.path.split(path)
    if len(os.fsencode(name)) > 200:  # with what we put before it, it could be too long for a name
        name = hashlib.blake2b(os.fsencode(name), digest_size=20).hexdigest()
    return os.path.join(directory, f".zc-{kind}-{name}")


class WriterLock:
    """The right to write an archive, among processes, until `release` or the end of this one.

    ``wait`` is for how many seconds to wait for another process that has it.
    """

    def __init__(self, path: str, wait: float = 0.0) -> None:
        self._path = beside(path, "lock")
        self._fd = self._taken(path, time.monotonic() + wait)

    def _taken(self, path: str, until: float) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | _OURS, 0o666)
            try:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() < until:
                        os.close(fd)
                        fd = -1
                        time.sleep(_PAUSE)
                        continue
                    other = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                    who = f"process {other}" if other.isdigit() else "another process"
                    raise StoreError(
                        f"the zip archive {path!r} is being written by {who}; "
                        "one writes at a time, until it flushes or closes its store"
                    ) from None
                except OSError as error:
                    if error.errno not in _NO_LOCKS:
                        raise
                # Whoever had it may have removed the file before we had it.
                if self._is_file(fd):
                    os.ftruncate(fd, 0)
                    os.pwrite(fd, str(os.getpid()).encode(), 0)
                    return fd
                os.close(fd)
            except BaseException:
                if fd >= 0:
                    os.close(fd)
                raise

    def _is_file(self, fd: int) -> bool:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(fd))

    def release(self) -> None:
        """Let others write."""
        if self._fd >= 0:
            # The file may stay: the lock goes with the descriptor. Where somebody removed it, another process
            # may have the name by now.
            with suppress(OSError):
                if self._is_file(self._fd):
                    os.unlink(self._path)
            self.forget()

    def forget(self) -> None:
        """Leave the lock to the process that has it: what a forked child does."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_record(archive: LocalFile, nbytes: int) -> None:
    """Say that the archive has this many bytes, whatever comes behind; on the disk when this returns."""
    device, inode, _, _ = archive.stamp()
    record = _RECORD.pack(_MARK, device, inode, nbytes, _tail_checksum(archive, nbytes))
    path = beside(archive.path, "undo")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OURS, 0o666)
    try:
        write_all(fd, record + struct.pack("<I", zlib.crc32(record)), 0)
        os.fsync(fd)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
    sync_directory(path)


def remove_record(path: str) -> None:
    """Make what was appended a part of the archive."""
    os.unlink(beside(path, "undo"))


def undone_nbytes(archive: LocalFile) -> int | None:
    """The size of an archive to which somebody appends, or died appending; None if nobody does."""
    try:
        with open(beside(archive.path, "undo"), "rb") as file:
            record = file.read(_RECORD.size + 4)
    except FileNotFoundError:
        return None
    if len(record) != _RECORD.size + 4:
        return None
    mark, device, inode, nbytes, checksum = _RECORD.unpack_from(record)
    if mark != _MARK or zlib.crc32(record[: _RECORD.size]) != int.from_bytes(
        record[_RECORD.size :], "little"
    ):
        return None
    now = archive.stamp()
    if (device, inode) != now[:2] or nbytes > now[2] or checksum != _tail_checksum(archive, nbytes):
        return None  # of another file that had the name before, or was written in its place
    return int(nbytes)


def record_bytes(path: str) -> bytes | None:
    """The record as it is, to see whether it changes."""
    try:
        with open(beside(path, "undo"), "rb") as file:
            return file.read(_RECORD.size + 4)
    except FileNotFoundError:
        return None


def repair(path: str) -> None:
    """Take back what a writer did not finish. The caller has the lock."""
    if not os.path.lexists(beside(path, "undo")):
        return
    try:
        archive = LocalFile(path, os.O_RDWR)
    except FileNotFoundError:
        remove_record(path)
        return
    nbytes = undone_nbytes(archive)
    if nbytes is not None:
        os.ftruncate(archive.fd, nbytes)
        os.fsync(archive.fd)
    remove_record(path)


def _tail_checksum(archive: LocalFile, nbytes: int) -> int:
    n = min(_TAIL_NBYTES, nbytes)
    return zlib.crc32(archive.read(nbytes - n, n))


def sync_directory(path: str) -> None:
    """Have the names in a file's directory on the disk; one that may not be read is left to the system."""
    try:
        fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def translated(error: OSError, what: str) -> StoreError:
    """A failing call of the operating system as one of our errors."""
    denied = error.errno in (errno.EPERM, errno.EACCES, errno.EROFS)
    kind = StoreDeniedError if denied else StoreError
    result = kind(f"{what}: {error.strerror or error} [errno {error.errno}]")
    result.errno = error.errno
    return result
