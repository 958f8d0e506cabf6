"""Chunks that lie: for each codec, stored bytes that are not a chunk of it, and what is wrong with them."""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import zarrc

# The chunk of all examples: 64 int32, so 256 bytes.
N_ELEMENTS = 64
CHUNK_NBYTES = 4 * N_ELEMENTS
VALUES = np.arange(N_ELEMENTS, dtype="int32") % 13
PATH = "sea/temperature"
KEY = f"{PATH}/c/0"

Json = dict[str, Any]


def _blosc(cname: str, shuffle: str = "shuffle") -> Json:
    return {
        "name": "blosc",
        "configuration": {"cname": cname, "clevel": 5, "shuffle": shuffle, "blocksize": 0},
    }


_ZSTD = {"name": "zstd", "configuration": {"level": 3, "checksum": False}}
_GZIP = {"name": "gzip", "configuration": {"level": 5}}

CODECS: dict[str, list[Json]] = {
    "bytes": [],
    "zstd": [_ZSTD],
    "zstd with checksum": [{"name": "zstd", "configuration": {"level": 3, "checksum": True}}],
    "gzip": [_GZIP],
    "zlib": [{"name": "numcodecs.zlib", "configuration": {"level": 5}}],
    "lz4": [{"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}],
    "crc32c": [{"name": "crc32c"}],
    **{f"blosc {name}": [_blosc(name)] for name in ("blosclz", "lz4", "lz4hc", "zlib", "zstd", "snappy")},
    "blosc lz4 bitshuffle": [_blosc("lz4", "bitshuffle")],
    "zstd over gzip": [_GZIP, _ZSTD],
    "gzip over zstd": [_ZSTD, _GZIP],
    "crc32c over zstd": [_ZSTD, {"name": "crc32c"}],
}


@dataclass(frozen=True)
class BadChunk:
    """One lie.

    Parameters
    ----------
    codecs : str
        Name of the chain in `CODECS`.
    what : str
        What is wrong.
    blamed : str
        The codec that the error has to name; without the prefix "numcodecs.".
    spoil : callable
        Makes the bad chunk from a good one.
    """

    codecs: str
    what: str
    blamed: str
    spoil: Callable[[bytes], bytes]

    def __str__(self) -> str:
        return f"{self.codecs}: {self.what}"


def make_array(codecs: str, store: Any = None, path: str = PATH) -> Any:
    """An array of one chunk, written."""
    chain = [{"name": "bytes", "configuration": {"endian": "little"}}, *CODECS[codecs]]
    array = zarrc.create_array(
        zarrc.storage.MemoryStore() if store is None else store,
        name=path,
        shape=(N_ELEMENTS,),
        chunks=(N_ELEMENTS,),
        dtype="int32",
        codecs=chain,
        fill_value=-1,
    )
    array[...] = VALUES
    return array


def spoil(array: Any, bad: BadChunk) -> None:
    """Put the bad chunk in the place of the good one."""
    array.store.set(KEY, bad.spoil(bytes(array.store.get(KEY))))


def bad_chunks() -> Iterator[BadChunk]:
    """Every example that has to be refused."""
    for codecs in CODECS:
        yield from _cuts(codecs)
    yield from _trailers()
    yield from _streams()
    yield from _blosc_headers()
    yield from bombs()


def outermost(codecs: str) -> str:
    """Name of the codec that sees the stored bytes first."""
    return codecs.split()[0]


def _cuts(codecs: str) -> Iterator[BadChunk]:
    blamed = outermost(codecs)
    yield BadChunk(codecs, "empty object", blamed, lambda good: b"")
    yield BadChunk(codecs, "one byte", blamed, lambda good: good[:1])
    yield BadChunk(codecs, "cut in half", blamed, lambda good: good[: len(good) // 2])
    yield BadChunk(codecs, "without its last byte", blamed, lambda good: good[:-1])
    yield BadChunk(codecs, "bytes of something else behind it", blamed, lambda good: good + b"something else")


def _flip(position: int) -> Callable[[bytes], bytes]:
    def flipped(good: bytes) -> bytes:
        spoiled = bytearray(good)
        spoiled[position] ^= 0x10
        return bytes(spoiled)

    return flipped


def _trailers() -> Iterator[BadChunk]:
    yield BadChunk("gzip", "CRC-32 of the trailer flipped", "gzip", _flip(-8))
    yield BadChunk("gzip", "length of the trailer flipped", "gzip", _flip(-4))
    yield BadChunk("zlib", "Adler-32 of the trailer flipped", "zlib", _flip(-1))
    yield BadChunk("zstd with checksum", "checksum of the frame flipped", "zstd", _flip(-1))
    yield BadChunk("crc32c", "checksum flipped", "crc32c", _flip(-1))
    yield BadChunk("crc32c", "data flipped", "crc32c", _flip(5))
    yield BadChunk("crc32c over zstd", "data flipped", "crc32c", _flip(9))


def _streams() -> Iterator[BadChunk]:
    noise = bytes((7 * i * i + 3) & 0xFF for i in range(80))
    for codecs in CODECS:
        yield BadChunk(codecs, "noise", outermost(codecs), _instead(noise))
    good, short, long = VALUES.tobytes(), bytes(CHUNK_NBYTES - 1), bytes(CHUNK_NBYTES + 1)
    for codec, what, stream in (
        ("zstd", "a gzip stream", gzip.compress(good)),
        ("gzip", "a zlib stream", zlib.compress(good)),
        ("zlib", "a gzip stream", gzip.compress(good)),
        ("gzip", "a stream of too few bytes", gzip.compress(short)),
        ("gzip", "a stream of too many bytes", gzip.compress(long)),
        ("zlib", "a stream of too few bytes", zlib.compress(short)),
        ("zlib", "a stream of too many bytes", zlib.compress(long)),
        ("zstd", "a frame of too few bytes", zstd_frame(len(short))),
        ("zstd", "a frame of too many bytes", zstd_frame(len(long))),
        ("bytes", "too few bytes", short),
        ("bytes", "too many bytes", long),
    ):
        yield BadChunk(codec, what, codec, _instead(stream))
    yield BadChunk("lz4", "a length of too few bytes", "lz4", _patched(0, "<I", len(short)))
    yield BadChunk("lz4", "a length of too many bytes", "lz4", _patched(0, "<I", len(long)))


def _instead(stream: bytes) -> Callable[[bytes], bytes]:
    return lambda good: stream


def _patched(offset: int, layout: str, *values: int) -> Callable[[bytes], bytes]:
    def patched(good: bytes) -> bytes:
        spoiled = bytearray(good)
        struct.pack_into(layout, spoiled, offset, *values)
        return bytes(spoiled)

    return patched


def _blosc_headers() -> Iterator[BadChunk]:
    """Four bytes (version, codec version, flags, type size), then nbytes, block size and cbytes as u32."""
    for codecs in ("blosc lz4", "blosc blosclz", "blosc zstd", "blosc snappy"):
        for what, offset, layout, value in (
            ("a version from the future", 0, "<B", 200),
            ("a compressor that does not exist", 2, "<B", 0xE1),
            ("type size 0", 3, "<B", 0),
            ("fewer bytes than the chunk", 4, "<I", CHUNK_NBYTES - 4),
            ("more bytes than the chunk", 4, "<I", CHUNK_NBYTES + 4),
            ("2 GiB decoded", 4, "<I", 2**31 - 1),
            ("4 GiB decoded", 4, "<I", 2**32 - 1),
            ("block size 0", 8, "<I", 0),
            ("blocks of 4 GiB", 8, "<I", 2**32 - 1),
            ("one byte more than there are", 12, "<I", 10_000),
            ("4 GiB stored", 12, "<I", 2**32 - 1),
            ("nothing stored", 12, "<I", 0),
            ("a block that starts far behind the end", 16, "<I", 2**31),
            ("a block that starts inside the header", 16, "<I", 2),
            ("a negative start", 16, "<i", -16),
        ):
            yield BadChunk(codecs, f"the header says {what}", "blosc", _patched(offset, layout, value))


def zstd_frame(n_bytes: int, *, with_size: bool = True, blocks: int | None = None) -> bytes:
    """A frame of zeros, made by hand of run-length blocks; `blocks` cuts it short of what its header says."""
    head = b"\x28\xb5\x2f\xfd" + (b"\xe0" + struct.pack("<Q", n_bytes) if with_size else b"\x00\x58")
    sizes = [2**17] * (n_bytes // 2**17) + ([n_bytes % 2**17] if n_bytes % 2**17 else [])
    sizes = sizes[:blocks]
    body = [
        struct.pack("<I", size << 3 | 2 | (i == len(sizes) - 1))[:3] + b"\0" for i, size in enumerate(sizes)
    ]
    return head + b"".join(body)


def _lz4_bomb() -> bytes:
    return struct.pack("<I", 2**31 - 2) + b"\x1f\x00\x01\x00" + b"\xff" * 56


def _blosc_bomb(flags: int) -> bytes:
    return struct.pack("<BBBBIIII", 2, 1, flags, 4, 2**31 - 17, 2**30, 64, 20) + bytes(44)


def bombs() -> Iterator[BadChunk]:
    """A few bytes that decode, or say that they decode, to gigabytes."""
    for codecs, what, stream in _bombs():
        yield BadChunk(codecs, what, outermost(codecs), _instead(stream))


@functools.cache
def _bombs() -> tuple[tuple[str, str, bytes], ...]:
    huge = 4 * 2**30
    gzipped = gzip.compress(bytes(2**28), 1)
    return (
        ("zstd", "64 bytes that claim 4 GiB", zstd_frame(huge, blocks=12)),
        ("zstd", "a valid frame of 4 GiB", zstd_frame(huge)),
        ("zstd", "4 GiB that are not announced", zstd_frame(huge, with_size=False)),
        ("gzip", "64 bytes that claim 4 GiB", gzip.compress(bytes(40_000))[:-4] + b"\xff\xff\xff\xff"),
        ("gzip", "a valid stream of 256 MiB", gzipped),
        ("zlib", "64 bytes of 40,000", zlib.compress(bytes(40_000), 9)),
        ("zlib", "a valid stream of 256 MiB", zlib.compress(bytes(2**28), 1)),
        ("lz4", "64 bytes that claim 2 GiB", _lz4_bomb()),
        ("blosc lz4", "64 bytes that claim 2 GiB", _blosc_bomb(0x21)),
        ("blosc zstd", "64 bytes that claim 2 GiB", _blosc_bomb(0x81)),
        ("blosc snappy", "64 bytes that claim 2 GiB", _blosc_bomb(0x41)),
        ("blosc blosclz", "64 bytes that claim a copy of 2 GiB", _blosc_bomb(0x02)),
        ("zstd over gzip", "a valid frame of 4 GiB", zstd_frame(huge)),
        ("gzip over zstd", "a valid stream of 256 MiB", gzipped),
    )
