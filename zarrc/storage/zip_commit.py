"""Members and a directory put together: behind what an archive has, or to a whole new archive."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from zarrc.storage import zip_undo
from zarrc.storage.zip_changes import Entry, SideFile
from zarrc.storage.zip_directory import Directory
from zarrc.storage.zip_format import Facts, end_records, local_header
from zarrc.storage.zip_reading import Snapshot, data_start
from zarrc.storage.zip_source import LocalFile, Source, write_all

__all__ = ["Changes", "append", "complete", "live_nbytes"]

Changes = Mapping[str, "Entry | None"]
"""The new member of each key that was written, None where it was deleted."""

_STEP: Final = 2**23


def reached(point: str) -> None:
    """Called at points where tests end the process."""


class Archive(NamedTuple):
    """An archive that was written: the size of its file, and the directory in it."""

    nbytes: int
    directory: Directory


def live_nbytes(changes: Changes) -> int:
    """The bytes of the new members, headers included."""
    return sum(entry.end - entry.offset for entry in changes.values() if entry is not None)


def append(archive: LocalFile, base: Snapshot, comment: bytes, changes: Changes) -> Archive:
    """Put changes behind the archive of ``base``; it is as before or as after, whatever happens.

    Raises
    ------
    OSError
        If that fails; the archive is as before, or the record of that stays beside it.
    """
    nbytes = base.source.nbytes
    zip_undo.write_record(archive, nbytes)
    reached("recorded")
    try:
        written = _appended(archive.fd, nbytes, base, comment, changes)
        os.fsync(archive.fd)
        reached("appended")
    except BaseException:
        os.ftruncate(archive.fd, nbytes)
        zip_undo.remove_record(archive.path)
        raise
    zip_undo.remove_record(archive.path)
    reached("committed")
    return written


def _appended(fd: int, nbytes: int, base: Snapshot, comment: bytes, changes: Changes) -> Archive:
    directory = base.directory
    shift, at, entries = directory.shift, nbytes, []
    for entry in _in_order(changes):
        entries.append(entry.directory_entry(at - shift))
        at = _copied(entry.file, entry.offset, entry.end - entry.offset, fd, at)
        reached("member")
    pieces, n_kept = _kept(directory, changes)
    return _finish(fd, at, [*pieces, *entries], n_kept + len(entries), shift, comment)


def _kept(directory: Directory, changes: Changes) -> tuple[list[bytes], int]:
    gone = {directory.number_of(key.encode()) for key in changes} - {-1}
    return directory.without(gone, len(gone))


def complete(side: SideFile, base: Snapshot | None, comment: bytes, changes: Changes) -> Archive:
    """Make a file of new members a whole archive: with the old ones that stay behind them.

    Members that are in another file are copied too. Nobody else has seen the file under its name.
    """
    at, entries = side.nbytes, []
    for entry in _in_order(changes):
        if entry.file is side.file:
            entries.append(entry.directory_entry(entry.offset))
        else:
            entries.append(entry.directory_entry(at))
            at = _copied(entry.file, entry.offset, entry.end - entry.offset, side.file.fd, at)
    if base is not None:
        for piece in _moved(base, changes, side.file.fd, at):
            if isinstance(piece, bytes):
                entries.append(piece)
            else:
                at = piece
    reached("members")
    written = _finish(side.file.fd, at, entries, len(entries), 0, comment)
    reached("completed")
    return written


def _in_order(changes: Changes) -> list[Entry]:
    entries = [entry for entry in changes.values() if entry is not None]
    return sorted(entries, key=lambda entry: entry.offset)


def _finish(fd: int, at: int, entries: list[bytes], n: int, shift: int, comment: bytes) -> Archive:
    """Write directory and end record."""
    raw = b"".join(entries)
    end = write_all(fd, raw, at)
    reached("directory")
    end = write_all(fd, end_records(n, at - shift, len(raw), comment), end)
    # A file that was longer, after a failure, ends here.
    os.ftruncate(fd, end)
    return Archive(end, Directory(raw, n, at, shift))


def _moved(base: Snapshot, changes: Changes, fd: int, at: int) -> Iterator[bytes | int]:
    """Copy what stays of an archive: the entry of each member, and the offset behind those so far."""
    directory = base.directory
    gone = {directory.number_of(key.encode()) for key in changes}
    stay = [directory.member(number) for number in directory.numbers() if number not in gone]
    stay.sort(key=lambda member: member.offset)
    for member in stay:
        member.check_room()
        start = _start(base, member.number)
        # What was written as a stream has its sizes behind its bytes, too; here they are in the header.
        facts = _plain(member.facts)
        yield directory.entry(member.number, facts, at)
        at = write_all(fd, local_header(facts), at)
        at = _copied(base.source, start, facts.stored_nbytes, fd, at)
        yield at


def _start(base: Snapshot, number: int) -> int:
    return data_start(base, base.directory.member(number))


def _plain(facts: Facts) -> Facts:
    return facts._replace(flags=facts.flags & ~8)


def _copied(source: Source, start: int, nbytes: int, fd: int, at: int) -> int:
    """Copy bytes of an archive to a place in a file; the offset behind."""
    if isinstance(source, LocalFile):
        start, nbytes, at = _copied_within(source.fd, start, nbytes, fd, at)
    while nbytes:
        n = min(nbytes, _STEP)
        at = write_all(fd, memoryview(source.read(start, n)), at)
        start, nbytes = start + n, nbytes - n
    return at


def _copied_within(source: int, start: int, nbytes: int, fd: int, at: int) -> tuple[int, int, int]:
    """Have the system copy, which some file systems do without moving bytes; what it left over."""
    copy = getattr(os, "copy_file_range", None)
    while copy is not None and nbytes > _STEP // 64:
        try:
            n = copy(source, fd, min(nbytes, _STEP), start, at)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO):
                raise
            break
        if n == 0:
            break
        start, nbytes, at = start + n, nbytes - n, at + n
    return start, nbytes, at
