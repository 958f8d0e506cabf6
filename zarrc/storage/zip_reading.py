"""Members of a zip archive read by ranges: one read each, local header included, and checked."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from zarrc.errors import StoreError
from zarrc.kernels.blob import Blob, resolve_range
from zarrc.storage.base import ByteRange
from zarrc.storage.zip_directory import Directory, Member
from zarrc.storage.zip_format import (
    DEFLATED,
    ENCRYPTED,
    HEADER,
    METHOD_NAMES,
    STORED,
    Facts,
    header_nbytes,
)
from zarrc.storage.zip_source import Extent, Source

__all__ = ["Piece", "Snapshot", "data_start", "decoded", "piece", "read_many", "read_one", "version_of"]

# What a local header has behind the name is known when it is read; this much is read at once. Programs for
# files write times and owners there, 28 to 60 bytes; we and Python's zipfile write nothing, or 20 bytes.
_SLACK: Final = 64
# A range of a member whose header was not seen yet is read with it, if no more than this lies between.
_NEAR: Final = 2**16
# deflate makes no more than 1032 bytes of one (zlib's technical notes), and a few of none.
_MAX_RATIO: Final = 1032
# Threads read this much each at a time; less is faster in one.
_GROUP_NBYTES: Final = 2**20
_MAX_THREADS: Final = 8


class Snapshot(NamedTuple):
    """One state of an archive: its bytes and its directory."""

    source: Source
    directory: Directory


class Piece(NamedTuple):
    """What is to be read: a member of an archive, and the range of it that was asked for."""

    number: int
    member: Member
    start: int
    nbytes: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the member."""
        return self.nbytes == self.member.facts.nbytes


def version_of(facts: Facts) -> str:
    """Made from the content: its checksum and size."""
    return f"crc32-{facts.crc:08x}-{facts.nbytes:x}"


def piece(number: int, member: Member, range: ByteRange | None) -> Piece:
    """The piece of a range, provided that it can be read."""
    facts = member.facts
    if facts.flags & ENCRYPTED:
        raise StoreError("the member of the zip archive is encrypted, which is not supported")
    if facts.method not in (STORED, DEFLATED):
        name = METHOD_NAMES.get(facts.method, "an unknown one")
        raise StoreError(
            f"the member of the zip archive is compressed with method {facts.method} ({name}); "
            "supported are 0 (stored) and 8 (deflate)"
        )
    member.check_room()
    if facts.method == STORED and facts.stored_nbytes != facts.nbytes:
        raise StoreError(
            f"the zip archive is damaged: a member of {facts.nbytes} bytes is stored, "
            f"not compressed, in {facts.stored_nbytes}"
        )
    if facts.nbytes > (facts.stored_nbytes + 16) * _MAX_RATIO:
        raise StoreError(
            f"the zip archive is damaged: {facts.stored_nbytes} bytes cannot be {facts.nbytes}, compressed"
        )
    if range is None:
        return Piece(number, member, 0, facts.nbytes)
    return Piece(number, member, *resolve_range(range[0], range[1], facts.nbytes))


def _named(error: StoreError, facts: Facts) -> StoreError:
    """The error, about this member."""
    error.key = facts.name.decode(errors="replace")
    return error


def decoded(facts: Facts, stored: bytes | Blob) -> bytes | Blob:
    """A member's bytes, whole and checked."""
    try:
        return _decoded(facts, stored)
    except StoreError as error:
        raise _named(error, facts) from None


def _decoded(facts: Facts, stored: bytes | Blob) -> bytes | Blob:
    data = stored
    if facts.method == DEFLATED:
        stream = zlib.decompressobj(-15)
        try:
            # One byte more would show that there are more than there should be.
            data = stream.decompress(stored, facts.nbytes + 1)
        except zlib.error as error:
            raise StoreError(f"a member of the zip archive is damaged: {error}") from None
        if not stream.eof or stream.unused_data:
            raise StoreError("a member of the zip archive is damaged: it is not one whole compressed stream")
    if len(data) != facts.nbytes:
        raise StoreError(f"a member of the zip archive has {len(data)} bytes, not {facts.nbytes}")
    if zlib.crc32(data) != facts.crc:
        raise StoreError("a member of the zip archive is damaged: its CRC-32 is another")
    return data


def read_one(snapshot: Snapshot, wanted: Piece) -> Blob:
    """The bytes of a piece of a member."""
    if not snapshot.source.is_near:
        for _, blob in _fetch(snapshot, [wanted]):
            return blob
    # The same as `_fetch` does, in half the time: one call of the system, with the header the first time.
    source, member = snapshot.source, wanted.member
    start = int(snapshot.directory.data_starts[member.number])
    if not _takes_all(wanted):
        start = start or data_start(snapshot, member)
        return _blob(wanted, source.read(start + wanted.start, wanted.nbytes), 0)
    stored = member.facts.stored_nbytes
    if not start:
        least = _least(member)
        data = source.read(member.offset, min(least + stored + _SLACK, member.end - member.offset))
        start = _see_header(snapshot, member, data)
        if start - member.offset + stored <= len(data):
            return _blob(wanted, data, start - member.offset)
    return _blob(wanted, source.read(start, stored), 0)


def read_many(snapshot: Snapshot, wanted: Sequence[Piece]) -> Iterator[tuple[int, Blob]]:
    """The same for many, as they come: by one batch of requests, or by threads that read a file."""
    shared: dict[int, list[Piece]] = {}
    for one in wanted:
        if one.member.facts.method == DEFLATED and not one.is_whole:
            shared.setdefault(one.member.number, []).append(one)
    if any(len(parts) > 1 for parts in shared.values()):
        yield from _share(snapshot, wanted, shared)
        return
    if not snapshot.source.is_near:
        yield from _fetch(snapshot, wanted)
        return
    groups = _groups(wanted)
    n_threads = min(_MAX_THREADS, os.cpu_count() or 1, len(groups))
    if n_threads < 2:
        for one in wanted:
            yield one.number, read_one(snapshot, one)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        pending: deque[Future[list[tuple[int, Blob]]]] = deque()
        try:
            for group in groups:
                pending.append(pool.submit(_read_group, snapshot, group))
                if len(pending) > 2 * n_threads:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _share(
    snapshot: Snapshot, wanted: Sequence[Piece], shared: dict[int, list[Piece]]
) -> Iterator[tuple[int, Blob]]:
    """A member that can only be decoded whole is decoded once for all ranges of it."""
    owners: list[list[Piece]] = []
    pieces = []
    for one in wanted:
        parts = shared.pop(one.member.number, None) if not one.is_whole else [one]
        if parts is None:
            if one.member.facts.method != DEFLATED:
                parts = [one]
            else:
                continue  # with the first of its member
        nbytes = one.member.facts.nbytes
        whole = Piece(len(owners), one.member, 0, nbytes) if len(parts) > 1 else one
        pieces.append(whole._replace(number=len(owners)))
        owners.append(parts)
    for at, blob in read_many(snapshot, pieces):
        if len(owners[at]) == 1:
            yield owners[at][0].number, blob
            continue
        for part in owners[at]:
            nbytes = part.member.facts.nbytes
            yield (
                part.number,
                Blob(blob, start=part.start, nbytes=part.nbytes, version=blob.version, object_nbytes=nbytes),
            )


def _read_group(snapshot: Snapshot, group: list[Piece]) -> list[tuple[int, Blob]]:
    return [(one.number, read_one(snapshot, one)) for one in group]


def _groups(wanted: Sequence[Piece]) -> list[list[Piece]]:
    groups: list[list[Piece]] = [[]]
    nbytes = 0
    for one in wanted:
        if nbytes >= _GROUP_NBYTES:
            groups.append([])
            nbytes = 0
        groups[-1].append(one)
        nbytes += one.nbytes
    return groups


def data_start(snapshot: Snapshot, member: Member) -> int:
    """Where a member's bytes start in a near source."""
    known = int(snapshot.directory.data_starts[member.number])
    if known:
        return known
    return _see_header(snapshot, member, snapshot.source.read(member.offset, _least(member)))


def _see_header(snapshot: Snapshot, member: Member, head: bytes | Blob | memoryview) -> int:
    try:
        start = member.offset + header_nbytes(memoryview(head), member.facts)
        if start + member.facts.stored_nbytes > member.end:
            raise StoreError("the zip archive is damaged: a member overlaps another one, or its directory")
    except StoreError as error:
        raise _named(error, member.facts) from None
    snapshot.directory.data_starts[member.number] = start
    return start


# By ranges of the archive. A member that is read as a whole is one range from its header on. Of a part, the
# range is where it would be without further fields in the header, and the header is one more range the first
# time, in the same batch; what turns out to be elsewhere, or longer, is a second batch.


class _Ask(NamedTuple):
    wanted: Piece
    extents: list[Extent]


def _fetch(snapshot: Snapshot, wanted: Sequence[Piece]) -> Iterator[tuple[int, Blob]]:
    asks = [_ask(snapshot, one) for one in wanted]
    owners = [(number, part) for number, ask in enumerate(asks) for part in range(len(ask.extents))]
    parts: dict[int, dict[int, bytes | Blob]] = {}
    again: list[tuple[_Ask, list[bytes | Blob]]] = []
    for at, data in snapshot.source.read_many([asks[number].extents[part] for number, part in owners]):
        number, part = owners[at]
        ask = asks[number]
        found = parts.setdefault(number, {})
        found[part] = data
        if len(found) < len(ask.extents):
            continue
        del parts[number]
        pieces = [found[i] for i in range(len(ask.extents))]
        blob = _take(snapshot, ask, pieces)
        if blob is None:
            again.append((ask, pieces))
        else:
            yield ask.wanted.number, blob
    if again:
        yield from _fetch_rest(snapshot, again)


def _fetch_rest(
    snapshot: Snapshot, asks: list[tuple[_Ask, list[bytes | Blob]]]
) -> Iterator[tuple[int, Blob]]:
    """What was not where it was looked for: its start is known by now."""
    extents = []
    for ask, _ in asks:
        one = ask.wanted
        start = int(snapshot.directory.data_starts[one.member.number])
        facts = one.member.facts
        extents.append((start, facts.stored_nbytes) if _takes_all(one) else (start + one.start, one.nbytes))
    for at, data in snapshot.source.read_many(extents):
        one = asks[at][0].wanted
        yield one.number, _blob(one, data, 0)


def _takes_all(one: Piece) -> bool:
    return one.is_whole or one.member.facts.method == DEFLATED


def _least(member: Member) -> int:
    return HEADER.size + len(member.facts.name)


def _ask(snapshot: Snapshot, one: Piece) -> _Ask:
    member = one.member
    offset, facts = member.offset, member.facts
    known = int(snapshot.directory.data_starts[member.number])
    room = member.end - offset
    if _takes_all(one):
        if known:
            return _Ask(one, [(known, facts.stored_nbytes)])
        return _Ask(one, [(offset, min(_least(member) + facts.stored_nbytes + _SLACK, room))])
    if known:
        return _Ask(one, [(known + one.start, one.nbytes)])
    if one.start <= _NEAR:
        return _Ask(one, [(offset, min(_least(member) + one.start + one.nbytes + _SLACK, room))])
    # Without garbage behind it, a member's further fields are what is left of its room.
    spare = room - _least(member) - facts.stored_nbytes
    guess = offset + _least(member) + (spare if spare <= _SLACK else 0)
    return _Ask(one, [(offset, _least(member)), (guess + one.start, one.nbytes)])


def _take(snapshot: Snapshot, ask: _Ask, parts: list[bytes | Blob]) -> Blob | None:
    """The blob, or None if its bytes are not all in the parts."""
    one = ask.wanted
    first = ask.extents[0][0]
    start = int(snapshot.directory.data_starts[one.member.number])
    if not start or first == one.member.offset:
        start = _see_header(snapshot, one.member, parts[0])
    due = (start, one.member.facts.stored_nbytes) if _takes_all(one) else (start + one.start, one.nbytes)
    for (at, nbytes), data in zip(ask.extents, parts, strict=True):
        if at <= due[0] and due[0] + due[1] <= at + nbytes:
            return _blob(one, data, due[0] - at)
    return None


def _blob(one: Piece, data: bytes | Blob, at: int) -> Blob:
    """The blob of a piece whose stored bytes start at byte ``at`` of these."""
    facts = one.member.facts
    version = version_of(facts)
    if not _takes_all(one):
        return Blob(data, start=at, nbytes=one.nbytes, version=version, object_nbytes=facts.nbytes)
    stored: bytes | Blob = data
    if at or len(data) != facts.stored_nbytes:
        stored = Blob(data, start=at, nbytes=facts.stored_nbytes)
    whole = decoded(facts, stored)
    return Blob(whole, start=one.start, nbytes=one.nbytes, version=version, object_nbytes=facts.nbytes)
