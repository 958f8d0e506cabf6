"""What tests of shards share: a reader that owes nothing to the engine, a store that counts."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import zarrc
from zarrc.codecs import ChunkSpec
from zarrc.codecs.parsing import codec_from_v3_json
from zarrc.errors import StoreError
from zarrc.reading import Reading
from zarrc.storage import Blob, ByteRange, Store, keys_below

ABSENT = 2**64 - 1
Json = dict[str, Any]
BYTES: Json = {"name": "bytes", "configuration": {"endian": "little"}}
CRC32C: Json = {"name": "crc32c"}
ZSTD: Json = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}


def sharding(
    inner_shape: Sequence[int],
    codecs: Sequence[Json] = (BYTES,),
    index_codecs: Sequence[Json] = (BYTES, CRC32C),
    location: str = "end",
) -> Json:
    """The JSON of the codec."""
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(inner_shape),
            "codecs": list(codecs),
            "index_codecs": list(index_codecs),
            "index_location": location,
        },
    }


def sharded_array(
    store: Any, shape: Any, shards: Any, inner: Any, codecs: Sequence[Json] = (BYTES,), **keywords: Any
) -> Any:
    """An array with one level of shards; ``before`` and ``after`` are codecs around them."""
    index = {name: keywords.pop(name) for name in ("index_codecs", "location") if name in keywords}
    before, after = keywords.pop("before", ()), keywords.pop("after", ())
    return zarrc.create_array(
        store,
        shape=shape,
        chunks=shards,
        codecs=[*before, sharding(inner, codecs, **index), *after],
        **{"dtype": "i4", "fill_value": -1, **keywords},
    )


# --- the independent reader


_CRC_TABLE: list[int] = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0x82F63B78 if _byte & 1 else 0)
    _CRC_TABLE.append(_byte)


def crc32c(data: bytes) -> int:
    """By the definition, byte by byte."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


@dataclass
class StoredShard:
    """One shard as it is stored, with its index read and checked."""

    grid: tuple[int, ...]
    inner_shape: tuple[int, ...]
    entries: dict[tuple[int, ...], tuple[int, int]]
    body: bytes
    index: bytes
    codecs: list[Json]
    nested: dict[tuple[int, ...], StoredShard] = field(default_factory=dict)


def order_of(codec: Json) -> list[int]:
    """The axes of a transpose."""
    return list(codec["configuration"]["order"])


def read_shard(
    stored: bytes, shape: Sequence[int], codecs: Sequence[Json], *, gaps: bool = False
) -> StoredShard:
    """A stored shard of that shape, before ``codecs``: its index, and those of the shards inside."""
    shape = tuple(shape)
    at = next(i for i, codec in enumerate(codecs) if codec["name"] == "sharding_indexed")
    for codec in codecs[:at]:
        if codec["name"] == "transpose":
            shape = tuple(shape[axis] for axis in order_of(codec))
    for codec in reversed(codecs[at + 1 :]):
        spec = ChunkSpec((1 << 24,), np.dtype("u1"))  # more than any of the tests' shards decodes to
        stored = bytes(codec_from_v3_json(codec, Reading()).decode(stored, spec))  # type: ignore[attr-defined]
    configuration = codecs[at]["configuration"]
    inner_shape = tuple(configuration["chunk_shape"])
    grid = tuple(extent // inner for extent, inner in zip(shape, inner_shape, strict=True))
    nbytes = index_nbytes(grid, configuration["index_codecs"])
    start = 0 if configuration["index_location"] == "start" else len(stored) - nbytes
    assert start >= 0, "shorter than its index"
    index = stored[start : start + nbytes]
    entries = parse_index(index, grid, configuration["index_codecs"])
    _check_ranges(entries, len(stored), (start, start + nbytes), gaps)
    shard = StoredShard(grid, inner_shape, entries, stored, index, configuration["codecs"])
    if any(codec["name"] == "sharding_indexed" for codec in shard.codecs):
        for place, (offset, size) in entries.items():
            shard.nested[place] = read_shard(stored[offset : offset + size], inner_shape, shard.codecs)
    return shard


def index_nbytes(grid: Sequence[int], index_codecs: Sequence[Json]) -> int:
    """Size of an index as stored."""
    return 16 * math.prod(grid) + 4 * sum(codec["name"] == "crc32c" for codec in index_codecs)


def parse_index(
    index: bytes, grid: Sequence[int], index_codecs: Sequence[Json]
) -> dict[tuple[int, ...], tuple[int, int]]:
    """The entries that are not absent."""
    endian, order = "<", list(range(len(grid) + 1))
    for codec in reversed(index_codecs):
        if codec["name"] == "crc32c":
            index, stored = index[:-4], struct.unpack("<I", index[-4:])[0]
            assert stored == crc32c(index), "the index's checksum"
        elif codec["name"] == "bytes":
            endian = "<" if codec["configuration"]["endian"] == "little" else ">"
        else:
            order = [order_of(codec)[axis] for axis in order]
    words = struct.unpack(f"{endian}{2 * math.prod(grid)}Q", index)
    shape = (*grid, 2)
    axes = [order.index(axis) for axis in range(len(shape))]
    table = np.array(words, "u8").reshape([shape[axis] for axis in order]).transpose(axes)
    found = {}
    for place in itertools.product(*map(range, grid)):
        offset, nbytes = (int(word) for word in table[place])
        assert (offset == ABSENT) == (nbytes == ABSENT)
        if offset != ABSENT:
            found[place] = (offset, nbytes)
    return found


def _check_ranges(
    entries: dict[tuple[int, ...], tuple[int, int]], nbytes: int, index: tuple[int, int], gaps: bool
) -> None:
    """What we write is inside and apart; unless it was appended, without gaps and in order."""
    if gaps:
        ranges = sorted([*entries.values(), (index[0], index[1] - index[0])])
        ends = [offset + size for offset, size in ranges]
        assert all(end <= nxt for end, (nxt, _) in zip(ends, [*ranges[1:], (nbytes, 0)], strict=True))
        return
    at = index[1] if index[0] == 0 else 0
    for place in sorted(entries):
        offset, size = entries[place]
        assert offset == at, f"inner chunk {place} is at {offset}, expected {at}"
        assert size > 0
        at += size
    assert at == (nbytes if index[0] == 0 else index[0])


def shard_objects(array: Any) -> dict[tuple[int, ...], bytes]:
    """The stored shards of an array, by their place in the grid."""
    document = array.metadata
    grid = [-(-n // c) for n, c in zip(document.shape, document.chunk_grid.chunk_shape, strict=True)]
    found = {}
    for place in itertools.product(*map(range, grid)):
        blob = array.store.get(key_of(array, place))
        if blob is not None:
            found[place] = bytes(blob)
    return found


def key_of(array: Any, place: tuple[int, ...]) -> str:
    """The key of a shard."""
    key = str(array.metadata.chunk_key_encoding.encode(place))
    return f"{array.path}/{key}" if array.path else key


def codecs_of(array: Any) -> list[Json]:
    """Its codecs as the document says them."""
    return [codec.to_v3_json() for codec in array.metadata.codecs]


def check_stored(
    array: Any,
    expected: npt.NDArray[Any],
    *,
    exact: bool = True,
    with_empty: bool = False,
    gaps: bool = False,
) -> None:
    """Every stored shard is sound, and what is empty is not stored.

    ``exact``: what is empty shows in the bits of ``expected``; ``with_empty``: it may be stored all the same;
    ``gaps``: changes were appended.
    """
    codecs, shape = codecs_of(array), array.metadata.chunk_grid.chunk_shape
    fill = np.asarray(array.fill_value).astype(expected.dtype)
    stored = shard_objects(array)
    grid = [-(-n // c) for n, c in zip(array.shape, shape, strict=True)]
    for place in itertools.product(*map(range, grid)):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, shape, strict=True))
        if place not in stored:
            assert _is_fill(expected[box], fill) or not exact, f"shard {place} is not stored"
            continue
        assert with_empty or not exact or not _is_fill(expected[box], fill), (
            f"shard {place} is empty, and stored"
        )
        shard = read_shard(stored[place], shape, codecs, gaps=gaps)
        _check_inner(shard, expected[box], shape, codecs, fill, exact, with_empty)


def _check_inner(
    shard: StoredShard, data: Any, shape: Any, codecs: list[Json], fill: Any, exact: bool, with_empty: bool
) -> None:
    """Which inner chunks are stored; ``data`` is the shard's part inside the array."""
    padded = np.full(shape, fill, data.dtype)
    padded[tuple(map(slice, data.shape))] = data
    inside = np.zeros(shape, bool)
    inside[tuple(map(slice, data.shape))] = True
    for codec in codecs:
        if codec["name"] == "transpose":
            padded, inside = padded.transpose(order_of(codec)), inside.transpose(order_of(codec))
    for place in itertools.product(*map(range, shard.grid)):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(place, shard.inner_shape, strict=True))
        if place not in shard.entries:
            assert not exact or _is_fill(padded[box], fill), f"inner chunk {place} is not stored"
            continue
        assert inside[box].any(), f"inner chunk {place} is outside the array, and stored"
        assert with_empty or not exact or not _is_fill(padded[box], fill), f"inner chunk {place} is empty"
        if place in shard.nested:
            n_inside = tuple(
                int(inside[box].any(axis=tuple(a for a in range(inside.ndim) if a != axis)).sum())
                for axis in range(inside.ndim)
            )
            part = padded[box][tuple(map(slice, n_inside))]
            _check_inner(shard.nested[place], part, shard.inner_shape, shard.codecs, fill, exact, with_empty)


def _is_fill(data: Any, fill: Any) -> bool:
    return bool(data.tobytes() == fill.tobytes() * data.size)


# --- stores that count


def _is_of_a_shard(key: str) -> bool:
    return key == "c" or key.startswith("c/") or "/c/" in key


class CountingStore(Store):
    """Objects in a dict; notes each request, as ``(deed, key, range or None)``.

    Parameters
    ----------
    versions : bool
        Whether blobs say the version of their object, and its size.
    """

    def __init__(self, *, versions: bool = True) -> None:
        super().__init__()
        self.versions = versions
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.requests: list[tuple[str, str, ByteRange | None]] = []
        self.groups: list[int] = []
        self.before_get: Any = lambda key, wanted: None

    def get(self, key: str, range: ByteRange | None = None) -> Any:
        self._note("get", key, range)
        self.before_get(key, range)
        if key not in self.objects:
            return None
        data, version = self.objects[key]
        start, nbytes = range or (0, None)
        try:
            if not self.versions:
                return Blob(bytes(Blob(data, start=start, nbytes=nbytes)), object_nbytes=-1)
            return Blob(data, start=start, nbytes=nbytes, version=str(version))
        except StoreError as error:
            error.key = key
            raise

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Any]]:
        if _is_of_a_shard(requests[0][0]):
            self.groups.append(len(requests))
        yield from super().get_many(requests)

    def set(self, key: str, data: Any) -> None:
        self._note("set", key, None)
        self.objects[key] = (bytes(data), self.objects.get(key, (b"", 0))[1] + 1)

    def delete(self, key: str) -> None:
        self._note("delete", key, None)
        self.objects.pop(key, None)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        yield from keys_below(prefix, list(self.objects))

    def _note(self, deed: str, key: str, range: ByteRange | None) -> None:
        if _is_of_a_shard(key):
            self.requests.append((deed, key, range))

    def taken(self) -> list[tuple[str, str, ByteRange | None]]:
        """The requests since this was asked."""
        taken, self.requests, self.groups = self.requests, [], []
        return taken
