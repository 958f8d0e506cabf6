"""The directory of a zip archive, as compact as it is stored: a member is decoded when it is asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from zarrc.errors import StoreError
from zarrc.storage.zip_format import (
    ENTRY,
    HEADER,
    UTF8,
    Facts,
    directory_entry,
    without_zip64,
    zip64_numbers,
)

__all__ = ["Directory", "Member"]

_MARK: Final = b"PK\1\2"
# Where these are in an entry, and how long one is without name, extra fields and comment.
_FLAGS, _STORED, _N_NAME, _OFFSET = 8, 20, 28, 42
_FIXED: Final = ENTRY.size

_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]


class Member(NamedTuple):
    """A member: its number in the directory, where its header is in the file, and where its room ends."""

    number: int
    facts: Facts
    offset: int
    end: int

    def check_room(self) -> None:
        """Refuse a member that would reach into another one, or out of the archive."""
        if self.offset + HEADER.size + len(self.facts.name) + self.facts.stored_nbytes > self.end:
            raise StoreError("the zip archive is damaged: a member overlaps another one, or its directory")


class Directory:
    """The entries of an archive's directory; of several with one name, the last.

    Parameters
    ----------
    raw : bytes
        All entries as they are stored.
    n_members : int
        How many the end record says there are.
    start : int
        Where they start in the file: no member is behind.
    shift : int
        What is to be added to offsets in the entries to have those in the file.

    Notes
    -----
    For a million members: 66 bytes and a name each for ``raw``, 36 bytes of index; 0.9 s to make. `ZipInfo`
    objects would take 1 kB each, and 15 s.
    """

    def __init__(self, raw: bytes, n_members: int, start: int, shift: int = 0) -> None:
        self.raw = raw
        self.start = start
        self.shift = shift
        data = np.frombuffer(raw, np.uint8)
        self._starts = _entry_starts(raw, data, n_members)
        self._names_end = self._starts + _FIXED + _numbers(data, self._starts + _N_NAME, 2)
        self._renamed = self._other_names(data)
        self._dead: frozenset[int] = frozenset()
        self._hashes, self._order = self._index()
        self._ends = self._room(data)
        # Where the bytes of a member start, once its header was seen; 0 before.
        self.data_starts: _Numbers = np.zeros(len(self._starts), np.int64)

    def __len__(self) -> int:
        return len(self._starts) - len(self._dead)

    def find(self, key: str) -> Member | None:
        """The member of this name."""
        number = self.number_of(key.encode())
        return None if number < 0 else self.member(number)

    def number_of(self, name: bytes) -> int:
        """The number of the member of this name (UTF-8), -1 if there is none."""
        hashed = hash(name)
        at = int(self._hashes.searchsorted(hashed))
        found = -1
        while at < len(self._hashes) and self._hashes[at] == hashed:
            number = int(self._order[at])
            if self.name(number) == name:
                found = max(found, number)
            at += 1
        return found

    def name(self, number: int) -> bytes:
        """A member's name in UTF-8."""
        if number in self._renamed:
            return self._renamed[number]
        return self.raw[self._starts[number] + _FIXED : self._names_end[number]]

    def member(self, number: int) -> Member:
        """What the directory says of a member."""
        start, fields = self._fields(number)
        name, extra, _ = self._texts(start, fields)
        nbytes, stored, offset = zip64_numbers(extra, fields[11], fields[10], fields[18])
        dos_time = fields[7] | fields[8] << 16
        facts = Facts(name, fields[5], fields[6], dos_time, fields[9], stored, nbytes)
        return Member(number, facts, offset + self.shift, int(self._ends[number]))

    def entry(self, number: int, facts: Facts, offset: int) -> bytes:
        """The entry of a member that was moved, with everything in it that is not about its place."""
        start, fields = self._fields(number)
        _, extra, comment = self._texts(start, fields)
        made = (fields[2], fields[16], fields[17])
        return directory_entry(facts, offset, extra=without_zip64(extra), comment=comment, made=made)

    def numbers(self) -> Iterator[int]:
        """The numbers of all members, without those that a later one of their name hides."""
        return (number for number in range(len(self._starts)) if number not in self._dead)

    def without(self, numbers: Container[int], n_gone: int) -> tuple[list[bytes], int]:
        """The entries but for these, as pieces to be joined, and how many they are."""
        gone = [number for number in range(len(self._starts)) if number in numbers] if n_gone else []
        gone = sorted({*gone, *self._dead})
        pieces, first = [], 0
        for number in gone:
            start = int(self._starts[number])
            pieces.append(self.raw[first:start])
            first = int(self._starts[number + 1]) if number + 1 < len(self._starts) else len(self.raw)
        pieces.append(self.raw[first:])
        return pieces, len(self._starts) - len(gone)

    def names_below(self, start: bytes) -> Iterator[bytes]:
        """The names that start with this, sorted."""
        order = self._by_name
        for at in range(self._first_from(start), len(order)):
            name = self.name(int(order[at]))
            if not name.startswith(start):
                return
            yield name

    def children(self, start: bytes) -> Iterator[bytes]:
        """What follows ``start`` in names, as far as the next slash, which is included; each once, sorted."""
        order = self._by_name
        at = self._first_from(start)
        while at < len(order):
            name = self.name(int(order[at]))
            if not name.startswith(start):
                return
            child, slash, _ = name[len(start) :].partition(b"/")
            yield child + slash
            # "0" comes after "/": past everything below the child.
            at = self._first_from(start + child + b"0") if slash else at + 1

    def _first_from(self, name: bytes) -> int:
        return bisect_left(self._by_name, name, key=self._name_at)

    def _name_at(self, number: Any) -> bytes:
        return self.name(int(number))

    @cached_property
    def _by_name(self) -> npt.NDArray[np.uint32]:
        raw, starts, ends = self.raw, (self._starts + _FIXED).tolist(), self._names_end.tolist()
        names = [raw[start:end] for start, end in zip(starts, ends, strict=True)]
        for number, name in self._renamed.items():
            names[number] = name
        # Entries of directories, which some programs write, are no objects.
        files = (number for number in self.numbers() if not names[number].endswith(b"/"))
        order = sorted(files, key=names.__getitem__)
        return np.array(order, np.uint32)

    # One entry.

    def _fields(self, number: int) -> tuple[int, tuple[int, ...]]:
        start = int(self._starts[number])
        return start, ENTRY.unpack_from(self.raw, start)

    def _texts(self, start: int, fields: tuple[int, ...]) -> tuple[bytes, bytes, bytes]:
        name_end = start + _FIXED + fields[12]
        extra_end = name_end + fields[13]
        raw = self.raw
        return (
            raw[start + _FIXED : name_end],
            raw[name_end:extra_end],
            raw[extra_end : extra_end + fields[14]],
        )

    # All entries at once.

    def _other_names(self, data: _Bytes) -> dict[int, bytes]:
        """The names that are not UTF-8 as they are stored: without the flag they are in code page 437."""
        if not len(data):
            return {}
        # All bits of each name, and of what is between one name and the next. An empty name has those of the
        # byte behind it, which does no harm here.
        bounds = np.stack((self._starts + _FIXED, self._names_end), axis=1).ravel()
        bits = np.bitwise_or.reduceat(data, bounds[bounds < len(data)])[::2]
        found = {}
        for number in np.flatnonzero(bits & 0x80):
            start = self._starts[number]
            name = self.raw[start + _FIXED : self._names_end[number]]
            if (
                not name.isascii()
                and not int.from_bytes(self.raw[start + _FLAGS : start + _FLAGS + 2], "little") & UTF8
            ):
                found[int(number)] = name.decode("cp437").encode()
        return found

    def _index(self) -> tuple[_Numbers, npt.NDArray[np.uint32]]:
        """The hashes of all names, sorted, and the number of each one's member."""
        raw, renamed = self.raw, self._renamed
        starts, ends = (self._starts + _FIXED).tolist(), self._names_end.tolist()
        # Python's hash has a key of this process: nobody can choose names that all collide.
        hashes = np.fromiter(
            (hash(raw[start:end]) for start, end in zip(starts, ends, strict=True)), np.int64, len(starts)
        )
        for number, name in renamed.items():
            hashes[number] = hash(name)
        order = np.argsort(hashes, kind="stable").astype(np.uint32)
        hashes = hashes[order]
        if (hashes[1:] == hashes[:-1]).any():
            self._dead = self._hidden(hashes, order)
        return hashes, order

    def _hidden(self, hashes: _Numbers, order: npt.NDArray[np.uint32]) -> frozenset[int]:
        """The members that a later one of their name hides."""
        last: dict[bytes, int] = {}
        hidden = []
        same = hashes[1:] == hashes[:-1]
        twins = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        for number in sorted(int(order[at]) for at in twins):
            name = self.name(number)
            if name in last:
                hidden.append(last[name])
            last[name] = number
        return frozenset(hidden)

    def _room(self, data: _Bytes) -> _Numbers:
        """Where the next header starts after that of each member, or the directory does."""
        offsets = _numbers(data, self._starts + _OFFSET, 4)
        wide = (offsets == 0xFFFFFFFF) | (_numbers(data, self._starts + _STORED, 4) == 0xFFFFFFFF)
        wide |= _numbers(data, self._starts + _STORED + 4, 4) == 0xFFFFFFFF
        offsets, rest = self._wide_offsets(data, offsets, np.flatnonzero(wide))
        for number in rest:
            start, fields = self._fields(int(number))
            offset = zip64_numbers(self._texts(start, fields)[1], fields[11], fields[10], fields[18])[2]
            offsets[number] = min(offset, 2**62)
        offsets += self.shift
        sorted_offsets = np.sort(offsets)
        ends = np.append(sorted_offsets, self.start)[np.searchsorted(sorted_offsets, offsets, side="right")]
        ends = np.minimum(ends, self.start)
        # Two at one offset: nobody can say which one it is.
        same = sorted_offsets[1:] == sorted_offsets[:-1]
        if same.any():
            ends[np.isin(offsets, sorted_offsets[1:][same])] = 0
        result: _Numbers = ends
        return result

    def _wide_offsets(self, data: _Bytes, offsets: _Numbers, wide: _Numbers) -> tuple[_Numbers, _Numbers]:
        """The offsets with those of zip64 as they usually are stored, and the numbers of the other ones.

        That is in the first extra field, behind the sizes that are wide too; in archives of more than 4 GiB
        most entries have it.
        """
        starts = self._starts[wide]
        n_sizes = sum((_numbers(data, starts + at, 4) == 0xFFFFFFFF).astype(np.int64) for at in (20, 24))
        nbytes = 8 * (n_sizes + 1)
        usual = (offsets[wide] == 0xFFFFFFFF) & (_numbers(data, starts + 30, 2) >= 4 + nbytes)
        wide, rest = wide[usual], wide[~usual]
        field, nbytes = self._names_end[wide], nbytes[usual]
        usual = (_numbers(data, field, 2) == 1) & (_numbers(data, field + 2, 2) >= nbytes)
        wide, field, rest = wide[usual], field[usual], np.concatenate((rest, wide[~usual]))
        at = field + 4 + nbytes[usual] - 8
        high = np.minimum(_numbers(data, at + 4, 4), 2**30 - 1)
        offsets[wide] = _numbers(data, at, 4) | high << 32
        return offsets, rest


def _numbers(data: _Bytes, at: _Numbers, nbytes: int) -> _Numbers:
    """The little-endian numbers of 2 or 4 bytes at these places."""
    if not len(at):
        return np.zeros(0, np.int64)
    # All numbers that the bytes could be, each a byte behind the one before; only those asked for are made.
    every: Any = np.ndarray((len(data) - nbytes + 1,), f"<u{nbytes}", data.data, 0, (1,))
    found: _Numbers = every[at].astype(np.int64)
    return found


def _entry_starts(raw: bytes, data: _Bytes, n_members: int) -> _Numbers:
    """Where each entry starts.

    The lengths in one tell where the next one is. A million such steps in Python would take a second, so all
    places that look like a start are found at once, and then compared with where the lengths say they are.
    """
    found = np.flatnonzero(data[: max(0, len(raw) - _FIXED + 1)] == _MARK[0]).astype(np.int64)
    for i in range(1, 4):
        found = found[data[found + i] == _MARK[i]]
    ends = _ends(data, found)
    first_is_first = len(found) > 0 and found[0] == 0 and ends[-1] == len(raw)
    if not (first_is_first and np.array_equal(ends[:-1], found[1:])) and raw:
        found = _walked(raw)
    if len(found) != n_members and len(found) & 0xFFFF != n_members:
        raise StoreError(
            f"the zip archive is damaged: its directory has {len(found)} members, and should have {n_members}"
        )
    return found


def _ends(data: _Bytes, starts: _Numbers) -> _Numbers:
    lengths = sum(_numbers(data, starts + _N_NAME + 2 * i, 2) for i in range(3))
    return starts + _FIXED + lengths


def _walked(raw: bytes) -> _Numbers:
    """The same, step by step: what looks like a start may be in a name, or is missing."""
    starts = []
    at = 0
    while at < len(raw):
        if at + _FIXED > len(raw) or raw[at : at + 4] != _MARK:
            raise StoreError(f"the zip archive is damaged: no entry at byte {at} of its directory")
        starts.append(at)
        at += _FIXED + sum(int.from_bytes(raw[at + i : at + i + 2], "little") for i in (28, 30, 32))
    if at != len(raw):
        raise StoreError("the zip archive is damaged: its directory ends within an entry")
    return np.array(starts, np.int64)
