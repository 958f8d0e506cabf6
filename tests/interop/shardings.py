"""What the sharded cells of the matrix are made of: chains around, inside and deep inside of shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.interop.codecs import BIG, CRC, GZIP, LITTLE, ROTATE, TRANSPOSE, ZSTD, Json, blosc_v3


@dataclass(frozen=True)
class Sharding:
    """The codecs of a sharded array, but for "bytes", which is added before the inner bytes codecs."""

    inner: tuple[Json, ...] = (ZSTD,)
    inner_arrays: tuple[Json, ...] = ()
    before: tuple[Json, ...] = ()
    after: tuple[Json, ...] = ()
    index: tuple[Json, ...] = (LITTLE, CRC)
    location: Literal["start", "end"] = "end"
    # 1: inner chunks of values; 2 and 3: of shards.
    levels: int = 1

    @property
    def plain(self) -> bool:
        """Whether inner chunk shape, shard shape and inner codecs say all of it."""
        usual = self.index == (LITTLE, CRC) and self.location == "end" and self.levels == 1
        return usual and not self.before and not self.after


_NO_CRC = (LITTLE,)
_BLOSC = blosc_v3("lz4", "shuffle")

SHARDINGS: dict[str, Sharding] = {
    "none": Sharding(inner=()),
    "zstd": Sharding(),
    "gzip": Sharding(inner=(GZIP,)),
    "blosc": Sharding(inner=(_BLOSC,)),
    "blosc zstd bitshuffle": Sharding(inner=(blosc_v3("zstd", "bitshuffle"),)),
    "crc32c": Sharding(inner=(CRC,)),
    "zstd > crc32c": Sharding(inner=(ZSTD, CRC)),
    "blosc > crc32c": Sharding(inner=(_BLOSC, CRC)),
    "start": Sharding(inner=(), location="start"),
    "start, zstd": Sharding(location="start"),
    "no crc": Sharding(index=_NO_CRC),
    "no crc, start": Sharding(index=_NO_CRC, location="start"),
    "big-endian index": Sharding(index=(BIG, CRC)),
    "big-endian index, no crc, start": Sharding(inner=(GZIP,), index=(BIG,), location="start"),
    "transposed inside": Sharding(inner_arrays=(TRANSPOSE,)),
    "transposed inside, none": Sharding(inner_arrays=(ROTATE,), inner=()),
    "transposed before": Sharding(before=(ROTATE,)),
    "transposed before, start, blosc": Sharding(before=(TRANSPOSE,), inner=(_BLOSC,), location="start"),
    "transposed before and inside": Sharding(before=(ROTATE,), inner_arrays=(TRANSPOSE,)),
    "gzip after": Sharding(inner=(), after=(GZIP,)),
    "crc32c after": Sharding(after=(CRC,)),
    "transposed before, crc32c after": Sharding(before=(TRANSPOSE,), after=(CRC,)),
    "nested": Sharding(levels=2),
    "nested, start, none": Sharding(inner=(), levels=2, location="start"),
    "nested, no crc, blosc": Sharding(inner=(_BLOSC,), levels=2, index=_NO_CRC),
    "nested, transposed before": Sharding(before=(ROTATE,), levels=2),
    "nested thrice": Sharding(levels=3),
    "nested thrice, start": Sharding(inner=(GZIP,), levels=3, location="start"),
}

Shape = tuple[int, ...]

# (shape, (shard, inner chunk, nested ones)): dividing, with edges, larger than the array, one inner chunk.
SHARDED_LAYOUTS: tuple[tuple[Shape, tuple[Shape, ...]], ...] = (
    ((), ((), (), (), ())),
    ((96,), ((32,), (8,), (4,), (2,))),
    ((37,), ((12,), (4,), (2,), (1,))),
    ((30,), ((10,), (10,), (5,), (5,))),
    ((3000,), ((2048,), (256,), (64,), (64,))),
    ((24, 18), ((12, 6), (4, 3), (2, 3), (2, 1))),
    ((23, 17), ((12, 6), (4, 3), (2, 1), (1, 1))),
    ((5, 4), ((8, 8), (2, 2), (1, 2), (1, 1))),
    ((70, 90), ((64, 32), (16, 16), (8, 16), (4, 4))),
    ((0, 5), ((4, 4), (2, 2), (2, 1), (1, 1))),
    ((8, 8, 8), ((8, 8, 8), (4, 4, 4), (2, 2, 2), (1, 2, 2))),
    ((13, 9, 10), ((8, 4, 6), (4, 2, 3), (2, 1, 3), (1, 1, 3))),
    ((5, 6, 7, 4), ((4, 4, 4, 4), (2, 2, 2, 4), (1, 2, 1, 2), (1, 1, 1, 1))),
)
