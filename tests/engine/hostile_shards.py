"""Shards that lie: stored bytes that are no shard of their array, and what the error has to say."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.engine.shards import ABSENT, crc32c

# The shard of all examples: four inner chunks of two int32, the index at the end with its checksum.
N_INNER = 4
BODY = np.arange(1, 9, dtype="<i4").tobytes()
Entry = tuple[int, int]
GOOD: tuple[Entry, ...] = ((0, 8), (8, 8), (16, 8), (24, 8))
PATH = "sea/temperature"
KEY = f"{PATH}/c/0"
BAD_PLACE = "inner chunk (2,)"


def index(entries: Sequence[Entry], *, checksum: bool = True) -> bytes:
    """The stored bytes of an index."""
    packed = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    return packed + struct.pack("<I", crc32c(packed)) if checksum else packed


def with_entry(entry: Entry, number: int = 2) -> bytes:
    """A shard whose index says something else of one inner chunk."""
    return BODY + index([*GOOD[:number], entry, *GOOD[number + 1 :]])


SHARD = BODY + index(GOOD)


@dataclass(frozen=True)
class BadShard:
    """One lie: what is wrong, the object, words of the error. ``of_index``: whatever is read tells."""

    what: str
    stored: bytes
    text: str
    of_index: bool = True

    def __str__(self) -> str:
        return self.what


def bad_shards() -> Iterator[BadShard]:
    """Every example that has to be refused."""
    short, crc = "the shard is shorter than its index", "the checksum does not match the stored bytes"
    yield BadShard("an empty object", b"", short)
    yield BadShard("one byte", b"\0", short)
    yield BadShard("one byte less than the index", index(GOOD)[1:], short)
    yield BadShard("an object cut in the index", SHARD[:-10], crc)
    yield BadShard("an object without its last byte", SHARD[:-1], crc)
    yield BadShard("a checksum that is flipped", SHARD[:-1] + bytes([SHARD[-1] ^ 1]), crc)
    yield BadShard("an entry that is flipped", SHARD[:40] + bytes([SHARD[40] ^ 1]) + SHARD[41:], crc)
    yield BadShard("an index of fewer inner chunks", BODY + index(GOOD[:3]), crc)
    yield BadShard("an index of more inner chunks", BODY + index([*GOOD, (24, 8)]), crc)
    yield BadShard("an index without its checksum", BODY + index(GOOD, checksum=False), crc)
    yield BadShard("bytes of something else behind it", SHARD + b"something else", crc)
    outside = "lies outside the shard"
    for what, entry in (
        ("a range that ends behind the object", (40, 96)),
        ("a range that starts behind the object", (1000, 8)),
        ("an offset near 2^64", (ABSENT - 7, 8)),
        ("a size near 2^64", (8, ABSENT - 1)),
        ("a sum that wraps around to the start", (16, ABSENT - 15)),
        ("a sum that wraps around to the inside", (16, ABSENT - 3)),
        ("an offset of 2^63", (2**63, 8)),
        ("only an offset of 2^64 - 1", (ABSENT, 8)),
        ("only a size of 2^64 - 1", (8, ABSENT)),
    ):
        yield BadShard(what, with_entry(entry), outside, of_index=False)


def bad_sizes() -> Iterator[BadShard]:
    """Ranges inside the shard that no inner chunk can have."""
    for what, size in (("empty", 0), ("cut", 7), ("too long", 9), ("as long as two", 16)):
        text = "have another length"
        yield BadShard(f"an inner chunk that is {what}", with_entry((8, size)), text, of_index=False)
