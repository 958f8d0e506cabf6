"""Where the bytes of a zip archive are read from: a file, an object of another store, a file object."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, TypeAlias

from zarrc.errors import StoreConflictError, StoreError
from zarrc.kernels.blob import Blob

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["Extent", "LocalFile", "ObjectSource", "Source", "StreamSource", "write_all"]

Extent: TypeAlias = "tuple[int, int]"
"""First byte and number of bytes."""

# The kernel writes and reads at most 2 GiB in one call.
_STEP = 2**30


class Source(ABC):
    """The bytes of one version of an archive: those within `nbytes` never change."""

    nbytes: int
    is_near = False
    """Whether reading costs a system call and not a request."""

    @abstractmethod
    def read(self, offset: int, nbytes: int) -> bytes | Blob:
        """That many bytes; a StoreError if they are not there."""

    def read_many(self, extents: Sequence[Extent]) -> Iterator[tuple[int, bytes | Blob]]:
        """The number of each extent and its bytes, as they come."""
        for number, extent in enumerate(extents):
            yield number, self.read(*extent)


class LocalFile(Source):
    """An open file, closed with this object; ``nbytes`` is set by who knows how much of it is the archive."""

    is_near = True

    def __init__(self, path: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> None:
        self._fd = -1
        self.path = path
        self._fd = os.open(path, flags | os.O_CLOEXEC, mode)
        self.nbytes = os.fstat(self._fd).st_size

    @property
    def fd(self) -> int:
        """The descriptor, which must not be closed."""
        return self._fd

    def stamp(self) -> tuple[int, int, int, int]:
        """Device, inode, size and time of the last change."""
        return stamp_of(os.fstat(self._fd))

    def read(self, offset: int, nbytes: int) -> bytes:
        """See `Source.read`."""
        data = os.pread(self._fd, nbytes, offset)
        if len(data) == nbytes:
            return data
        out = bytearray(nbytes) if nbytes <= self.nbytes else bytearray()
        if len(out) != nbytes or self.read_into(offset, memoryview(out)) != nbytes:
            raise StoreError(
                f"the zip archive is cut off: {nbytes} bytes from byte {offset} on are not there"
            )
        return bytes(out)

    def read_into(self, offset: int, out: memoryview) -> int:
        """Read into memory; the number of bytes that were there."""
        done = 0
        while done < out.nbytes:
            n = os.preadv(self._fd, [out[done : done + _STEP]], offset + done)
            if n == 0:
                break
            done += n
        return done

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class ObjectSource(Source):
    """An object of another store, read by ranges."""

    def __init__(self, store: Store, key: str, nbytes: int, version: str | None) -> None:
        self._store = store
        self._key = key
        self.nbytes = nbytes
        self.version = version

    def read(self, offset: int, nbytes: int) -> Blob:
        """See `Source.read`."""
        return self._checked(self._store.get(self._key, (offset, nbytes)), nbytes)

    def read_many(self, extents: Sequence[Extent]) -> Iterator[tuple[int, Blob]]:
        """See `Source.read_many`; all requests are the store's batch."""
        requests = [(self._key, extent) for extent in extents]
        for number, blob in self._store.get_many(requests):
            yield number, self._checked(blob, extents[number][1])

    def _checked(self, blob: Blob | None, nbytes: int) -> Blob:
        if blob is None:
            raise StoreConflictError("the zip archive was removed while it was read", key=self._key)
        # The version of a range may be unknown, the one that a listing told may be of another kind.
        known = blob.version
        if known is not None and self.version is None:
            self.version = known
        if (known is not None and known != self.version) or (
            blob.object_nbytes or self.nbytes
        ) != self.nbytes:
            raise StoreConflictError("the zip archive was changed while it was read", key=self._key)
        if blob.nbytes != nbytes:
            raise StoreError(f"{blob.nbytes} bytes came for a range of {nbytes}", key=self._key)
        return blob


class StreamSource(Source):
    """A file object; those who read it take turns."""

    def __init__(self, file: IO[bytes], lock: threading.RLock) -> None:
        self._file = file
        self._lock = lock
        with self._lock:
            self.nbytes = file.seek(0, os.SEEK_END)

    def read(self, offset: int, nbytes: int) -> bytes:
        """See `Source.read`."""
        pieces = []
        with self._lock:
            self._file.seek(offset)
            while nbytes:
                piece = self._file.read(nbytes)
                if not piece:
                    raise StoreError(f"the zip archive is cut off: {nbytes} bytes are not there")
                pieces.append(piece)
                nbytes -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def stamp_of(found: os.stat_result) -> tuple[int, int, int, int]:
    """What differs between two states of a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def write_all(fd: int, data: bytes | memoryview, offset: int) -> int:
    """Write at an offset; the offset behind."""
    view = memoryview(data).cast("B")
    done = 0
    while done < view.nbytes:
        done += os.pwrite(fd, view[done : done + _STEP], offset + done)
    return offset + done
