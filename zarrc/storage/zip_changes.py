"""What was written to a zip archive and is not in it yet: members in a file beside it, as they will be."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from zarrc.errors import StoreError
from zarrc.kernels.blob import Blob
from zarrc.storage.zip_directory import Member
from zarrc.storage.zip_format import (
    DEFLATED,
    STORED,
    UTF8,
    Facts,
    directory_entry,
    dos_time,
    local_header,
)
from zarrc.storage.zip_source import LocalFile, write_all

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Encoded", "Entry", "SideFile", "as_copy", "encoded"]

_MAX_NAME_NBYTES: Final = 65535
# zlib's; zarr's chunks are compressed already, what is left are documents.
_LEVEL: Final = 6
# What is copied behind its header, to be written by one call of the system.
_SMALL: Final = 2**16


class Encoded(NamedTuple):
    """A member that is to be written: header and stored bytes."""

    facts: Facts
    header: bytes
    stored: memoryview | bytes


class Entry(NamedTuple):
    """A member in a side file: where its header and its bytes start there."""

    file: LocalFile
    facts: Facts
    offset: int
    data_start: int

    @property
    def end(self) -> int:
        """The offset behind its bytes."""
        return self.data_start + self.facts.stored_nbytes

    @property
    def member(self) -> Member:
        """The same as of an archive."""
        return Member(0, self.facts, self.offset, self.end)

    def directory_entry(self, offset: int) -> bytes:
        """Its entry in the directory of an archive where it is at this offset."""
        return directory_entry(self.facts, offset)


def encoded(key: str, data: Buffer, method: int) -> Encoded:
    """The member for an object; what does not become smaller is stored as it is."""
    name = _name(key)
    view = _bytes_of(data)
    crc, stored = zlib.crc32(view), view
    if method == DEFLATED:
        stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        smaller = stream.compress(view) + stream.flush()
        if len(smaller) < view.nbytes:
            stored = memoryview(smaller)
    method = STORED if stored is view else DEFLATED
    flags = 0 if name.isascii() else UTF8
    facts = Facts(name, flags, method, dos_time(), crc, stored.nbytes, view.nbytes)
    return Encoded(facts, local_header(facts), stored)


def _bytes_of(data: Buffer) -> memoryview:
    view = memoryview(data)
    if not view.contiguous:
        raise BufferError("the data are not contiguous")
    try:
        return view.cast("B")
    except TypeError:  # another byte order, or no elements
        return memoryview(Blob(data))


def as_copy(key: str, facts: Facts, stored: memoryview | bytes) -> Encoded:
    """The member for a copy of another one's stored bytes."""
    name = _name(key)
    flags = 0 if name.isascii() else UTF8
    new = facts._replace(name=name, flags=flags, dos_time=dos_time())
    return Encoded(new, local_header(new), stored)


def _name(key: str) -> bytes:
    name = key.encode()
    if len(name) > _MAX_NAME_NBYTES:
        raise StoreError(
            f"a name in a zip archive has at most {_MAX_NAME_NBYTES} bytes, this has {len(name)}"
        )
    return name


class SideFile:
    """A new file that members are written to, one behind the other; no member is written over.

    Its descriptor may be read in a forked child, also after this process gave the file another name.
    """

    def __init__(self, path: str, mode: int = 0o666) -> None:
        self.path = path
        # A file that somebody left who was killed: its inode may be open in children.
        with suppress(FileNotFoundError):
            os.unlink(path)
        self.file = LocalFile(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self.nbytes = 0

    def put(self, new: Encoded) -> Entry:
        """Write a member at the end."""
        offset = self.nbytes
        start = offset + len(new.header)
        if len(new.stored) <= _SMALL:
            write_all(self.file.fd, new.header + new.stored, offset)
        else:
            write_all(self.file.fd, new.header, offset)
            write_all(self.file.fd, new.stored, start)
        # After a failure the next member is written over what is there of this one.
        self.nbytes = self.file.nbytes = start + len(new.stored)
        return Entry(self.file, new.facts, offset, start)

    def drop(self) -> None:
        """Remove the file; who has it open can go on reading. One that stays is in nobody's way."""
        with suppress(OSError):
            os.unlink(self.path)
