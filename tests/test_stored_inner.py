"""What of a sharded array is stored, and what its handle tells of that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.codecs import Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec
from zarrc.errors import CorruptChunkError
from zarrc.storage import MemoryStore


def put(array: zarrc.Array, shard: tuple[int, ...], inner: list[tuple[int, ...]]) -> None:
    """Store a shard with those inner chunks (by their coordinates in it, in the array's order of axes)."""
    metadata = array.metadata
    data: Any = np.zeros(metadata.chunk_grid.chunk_shape, array.dtype)
    for coords in inner:
        data[tuple(i * extent for i, extent in zip(coords, metadata.chunks, strict=True))] = 1
    spec = metadata.chunk_spec
    for codec in metadata.codecs:
        resolved = codec.resolve(spec)
        data = codec.encode(data, spec)  # type: ignore[attr-defined]
        spec = resolved
    array.store.set(metadata.chunk_key_encoding.encode(shard), data)


@pytest.mark.parametrize(
    "keywords",
    [
        {"shards": (4, 6)},
        {"shards": {"shape": (4, 6), "index_location": "start"}},
        {"codecs": [TransposeCodec(order=(1, 0)), ShardingCodec(chunk_shape=(6, 4))]},
        {"codecs": [ShardingCodec(chunk_shape=(4, 6)), GzipCodec(), Crc32cCodec()]},
        {"codecs": [ShardingCodec(chunk_shape=(4, 6), index_codecs=("bytes",))]},  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_inner_chunks_are_counted_by_the_indexes(keywords: Any) -> None:
    array = zarrc.create_array(MemoryStore(), shape=(10, 7), chunks=(2, 3), dtype="i4", **keywords)
    assert (array.chunks, array.shards) == ((2, 3), (4, 6))
    assert (array.nchunks, array.nshards) == (15, 6)
    assert (array.nchunks_initialized, array.nshards_initialized) == (0, 0)
    put(array, (0, 0), [(0, 0), (1, 0)])
    put(array, (1, 1), [(0, 0)])
    assert (array.nchunks_initialized, array.nshards_initialized) == (3, 2)
    # Two of these are beyond the array's end in both directions.
    put(array, (2, 1), [(0, 0), (0, 1), (1, 0), (1, 1)])
    assert (array.nchunks_initialized, array.nshards_initialized) == (4, 3)


def test_a_damaged_index_names_the_shard() -> None:
    array = zarrc.create_array(MemoryStore(), name="a", shape=(4,), chunks=2, shards=4, dtype="i4")
    array.store.set("a/c/0", bytes(50))
    with pytest.raises(CorruptChunkError, match=r"the shard's index .*'a/c/0'"):
        _ = array.nchunks_initialized
    array.store.set("a/c/0", bytes(5))
    with pytest.raises(CorruptChunkError, match=r"shorter than its index .*'a/c/0'"):
        _ = array.nchunks_initialized


def test_info_tells_shards_and_what_they_save() -> None:
    array = zarrc.create_array(shape=(10_000, 10_000), chunks=(100, 100), shards=(1000, 1000), dtype="u2")
    items = dict(array.info.items)
    assert items["Shard shape"] == "(1000, 1000)"
    assert items["Chunk shape"] == "(100, 100)"
    assert items["No. chunks"] == "10000 (100, 100)"
    assert items["No. shards"] == "100 (10, 10)"
    assert items["Sharding saves"] == "100x fewer objects and API calls: 100 shards hold 10000 chunks"
    assert "Compressors" in items
    put(array, (3, 4), [(0, 0), (0, 1)])
    complete = dict(array.info_complete().items)
    assert complete["Chunks initialized"] == "2 / 10000"
    assert complete["Shards initialized"] == "1 / 100"


def test_info_of_one_chunk_a_shard_says_nothing_is_saved() -> None:
    items = dict(zarrc.create_array(shape=(4,), chunks=2, shards=2, dtype="u2").info.items)
    assert items["No. shards"] == "2 (2,)"
    assert "Sharding saves" not in items
    assert "Shard shape" not in dict(zarrc.create_array(shape=(4,), chunks=2, dtype="u2").info.items)
