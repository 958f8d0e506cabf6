"""The records of zip archives: local headers, directory entries, and the end record that finds them."""

from __future__ import annotations

import struct
import time
from typing import Final, NamedTuple

from zarrc.errors import StoreError

__all__ = [
    "DEFLATED",
    "ENCRYPTED",
    "ENTRY",
    "HEADER",
    "MAX_END_NBYTES",
    "METHOD_NAMES",
    "STORED",
    "UTF8",
    "End",
    "Facts",
    "directory_entry",
    "dos_time",
    "end_records",
    "find_end",
    "header_nbytes",
    "local_header",
    "without_zip64",
    "zip64_numbers",
]

# APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16; all little-endian.
HEADER: Final = struct.Struct("<4s5H3I2H")
ENTRY: Final = struct.Struct("<4s4B4HI2I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_HEADER_MARK: Final = b"PK\3\4"
_ENTRY_MARK: Final = b"PK\1\2"
_END_MARK: Final = b"PK\5\6"
_END_64_MARK: Final = b"PK\6\6"
_LOCATOR_64_MARK: Final = b"PK\6\7"

STORED: Final = 0
DEFLATED: Final = 8
METHOD_NAMES: Final = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    12: "bzip2",
    14: "lzma",
    93: "zstd",
    95: "xz",
}
# General purpose bits: encrypted, strongly so, with a masked directory; names in UTF-8.
ENCRYPTED: Final = 0x2041
UTF8: Final = 0x800

MAX_END_NBYTES: Final = 65535 + _END.size + _LOCATOR_64.size + _END_64.size
"""Nothing of an end record is further from the end than this, but where it has parts that nobody writes."""

# What a field of 4 or 2 bytes cannot hold is in one of 8 (zip64). Tests lower these.
LIMIT = 0xFFFFFFFF
COUNT_LIMIT = 0xFFFF

_ZIP64_ID: Final = 1
_UNIX: Final = 3
_PLAIN_FILE: Final = 0o100644 << 16


class Facts(NamedTuple):
    """What header and directory say of a member: its bytes as they are stored, and what they are decoded."""

    name: bytes
    flags: int
    method: int
    dos_time: int
    crc: int
    stored_nbytes: int
    nbytes: int


class End(NamedTuple):
    """The end record: where the directory is in the file, and how far the archive's offsets lie before."""

    n_members: int
    directory_start: int
    directory_nbytes: int
    shift: int
    comment: bytes


def find_end(tail: bytes, archive_nbytes: int) -> End:
    """The end record in the last bytes of an archive.

    Raises
    ------
    StoreError
        If there is none, or it makes no sense.
    """
    first = archive_nbytes - len(tail)
    at = _end_position(tail)
    _, disk, directory_disk, n_here, n_members, nbytes, offset, n_comment = _END.unpack_from(tail, at)
    comment = tail[at + _END.size : at + _END.size + n_comment]
    end = at
    locator = at - _LOCATOR_64.size
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_64_MARK:
        end, numbers = _end_64(tail, locator, first)
        disk, directory_disk, n_here, n_members, nbytes, offset = numbers
    if disk != 0 or directory_disk != 0 or n_here != n_members:
        raise StoreError("the zip archive is one of several volumes, which are not supported")
    start = first + end - nbytes
    if start < 0 or offset > start:
        raise StoreError("the zip archive is damaged: its directory would start before the file does")
    return End(n_members, start, nbytes, start - offset, comment)


def _end_position(tail: bytes) -> int:
    """Where the end record is: the last one whose comment ends the file, else the last one."""
    last = at = tail.rfind(_END_MARK, 0, max(0, len(tail) - _END.size + 4))
    if at < 0:
        raise StoreError("not a zip archive, or one that is cut off: it has no end record")
    while at >= 0:
        if at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            return at
        at = tail.rfind(_END_MARK, 0, at)
    return last


def _end_64(tail: bytes, locator: int, first: int) -> tuple[int, tuple[int, ...]]:
    _, _, declared, _ = _LOCATOR_64.unpack_from(tail, locator)
    # Where it should be; or, if its data can be extended, where the locator says.
    for at in (locator - _END_64.size, declared - first):
        if 0 <= at <= locator - _END_64.size and tail[at : at + 4] == _END_64_MARK:
            numbers = _END_64.unpack_from(tail, at)[4:]
            return at, numbers
    raise StoreError("the zip archive is damaged: its zip64 end record is not where it should be")


def end_records(n_members: int, directory_offset: int, directory_nbytes: int, comment: bytes) -> bytes:
    """What comes behind a directory that starts at this offset of its archive."""
    end = b""
    if n_members >= COUNT_LIMIT or directory_offset >= LIMIT or directory_nbytes >= LIMIT:
        numbers = (n_members, n_members, directory_nbytes, directory_offset)
        end = _END_64.pack(_END_64_MARK, _END_64.size - 12, 45, 45, 0, 0, *numbers)
        end += _LOCATOR_64.pack(_LOCATOR_64_MARK, 0, directory_offset + directory_nbytes, 1)
        n_members = 0xFFFF if n_members >= COUNT_LIMIT else n_members
        directory_nbytes = 0xFFFFFFFF if directory_nbytes >= LIMIT else directory_nbytes
        directory_offset = 0xFFFFFFFF if directory_offset >= LIMIT else directory_offset
    last = _END.pack(_END_MARK, 0, 0, n_members, n_members, directory_nbytes, directory_offset, len(comment))
    return end + last + comment


def local_header(facts: Facts) -> bytes:
    """What comes before a member's bytes."""
    stored, nbytes, extra = facts.stored_nbytes, facts.nbytes, b""
    if stored >= LIMIT or nbytes >= LIMIT:
        extra = struct.pack("<2H2Q", _ZIP64_ID, 16, nbytes, stored)
        stored = nbytes = 0xFFFFFFFF
    return (
        HEADER.pack(
            _HEADER_MARK,
            _version_needed(bool(extra)),
            facts.flags,
            facts.method,
            facts.dos_time & 0xFFFF,
            facts.dos_time >> 16,
            facts.crc,
            stored,
            nbytes,
            len(facts.name),
            len(extra),
        )
        + facts.name
        + extra
    )


def header_nbytes(head: bytes | memoryview, facts: Facts) -> int:
    """The size of a member's local header, which must be that of the member.

    Raises
    ------
    StoreError
        If ``head``, its first bytes, which are 30 and the name at least, are something else.
    """
    if len(head) < HEADER.size:
        raise StoreError("the zip archive is damaged: a member's header is cut off")
    mark, _, _, method, _, _, _, _, _, n_name, n_extra = HEADER.unpack_from(head)
    if mark != _HEADER_MARK:
        raise StoreError("the zip archive is damaged: there is no member where its directory says")
    if n_name != len(facts.name) or bytes(head[HEADER.size : HEADER.size + n_name]) != facts.name:
        raise StoreError("the zip archive is damaged: another member is where its directory says")
    if method != facts.method:
        raise StoreError("the zip archive is damaged: directory and header name different methods")
    return HEADER.size + int(n_name) + int(n_extra)


def directory_entry(
    facts: Facts,
    offset: int,
    *,
    extra: bytes = b"",
    comment: bytes = b"",
    made: tuple[int, int, int] | None = None,
) -> bytes:
    """A member's entry in the directory.

    Parameters
    ----------
    facts : Facts
        What its header says.
    offset : int
        Where that is.
    extra, comment : bytes
        Further fields without the one of zip64, and the comment.
    made : (int, int, int), optional
        The system, the internal and the external attributes; by default those of a plain file.
    """
    system, internal, external = made or (_UNIX, 0, _PLAIN_FILE)
    stored, nbytes, wide = facts.stored_nbytes, facts.nbytes, b""
    if nbytes >= LIMIT:
        wide, nbytes = wide + struct.pack("<Q", nbytes), 0xFFFFFFFF
    if stored >= LIMIT:
        wide, stored = wide + struct.pack("<Q", stored), 0xFFFFFFFF
    if offset >= LIMIT:
        wide, offset = wide + struct.pack("<Q", offset), 0xFFFFFFFF
    if wide:
        extra = struct.pack("<2H", _ZIP64_ID, len(wide)) + wide + extra
    version = _version_needed(bool(wide))
    fields = (
        _ENTRY_MARK,
        version,
        system,
        version,
        0,
        facts.flags,
        facts.method,
        facts.dos_time & 0xFFFF,
        facts.dos_time >> 16,
        facts.crc,
        stored,
        nbytes,
        len(facts.name),
        len(extra),
        len(comment),
        0,
        internal,
        external,
        offset,
    )
    return ENTRY.pack(*fields) + facts.name + extra + comment


def _version_needed(wide: bool) -> int:
    return 45 if wide else 20


def zip64_numbers(extra: bytes, nbytes: int, stored: int, offset: int) -> tuple[int, int, int]:
    """Size, stored size and offset of an entry, of which the wide ones are in its extra fields."""
    if nbytes != 0xFFFFFFFF and stored != 0xFFFFFFFF and offset != 0xFFFFFFFF:
        return nbytes, stored, offset
    wide = _field(extra, _ZIP64_ID)
    if wide is None:
        return nbytes, stored, offset
    numbers = []
    at = 0
    for number in (nbytes, stored, offset):
        if number == 0xFFFFFFFF:
            if at + 8 > len(wide):
                raise StoreError("the zip archive is damaged: a zip64 field of its directory is too short")
            number = int.from_bytes(wide[at : at + 8], "little")
            at += 8
        numbers.append(number)
    return numbers[0], numbers[1], numbers[2]


def _fields(extra: bytes) -> list[tuple[int, int, int]]:
    """Identifier, first byte and end of each extra field."""
    found = []
    at = 0
    while at + 4 <= len(extra):
        name, nbytes = struct.unpack_from("<2H", extra, at)
        if nbytes > len(extra) - at - 4:
            break
        found.append((name, at, at + 4 + nbytes))
        at += 4 + nbytes
    return found


def _field(extra: bytes, wanted: int) -> bytes | None:
    for name, start, end in _fields(extra):
        if name == wanted:
            return extra[start + 4 : end]
    return None


def without_zip64(extra: bytes) -> bytes:
    """The extra fields of an entry, without those that do not make sense and the one of zip64."""
    return b"".join(extra[start:end] for name, start, end in _fields(extra) if name != _ZIP64_ID)


def dos_time() -> int:
    """The local time as zip writes it: the date above the time, in steps of two seconds."""
    year, month, day, hour, minute, second = time.localtime()[:6]
    year = min(max(year, 1980), 2107)
    return (((year - 1980) << 9 | month << 5 | day) << 16) | hour << 11 | minute << 5 | second // 2
