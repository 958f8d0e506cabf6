"""Damaged shards give an error of ours or data of the right shape, and a bad inner chunk is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import BYTES, CRC32C, ZSTD, Json, key_of, read_shard, sharded_array, sharding
from tests.engine.test_shard_selections import (
    BLOSC,
    GZIP,
    KINDS,
    LZ4,
    Sharded,
    make_store,
    sharded_layouts,
    thoroughly,
)
from tests.soak import count
from tests.strategies import basic_selections, random_values, seeds
from zarrc.errors import CodecError, CorruptChunkError, StoreError, ZarrcError


@st.composite
def _damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A shard with bytes changed, cut away and put in; mostly in its ends, where indexes are."""
    shard = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        places = st.integers(0, max(0, len(shard) - 1))
        ends = st.integers(0, min(40, max(0, len(shard) - 1)))
        position = draw(places | ends | ends.map(lambda i: -1 - i))
        position += len(shard) if position < 0 else 0
        kind = draw(st.sampled_from(("set", "set", "word", "cut", "insert")))
        if kind == "set" and shard:
            shard[position] = draw(st.integers(0, 255))
        elif kind == "word":
            number = draw(st.sampled_from((2**64 - 1, 2**64 - 8, 2**63, 2**32, 0, 1, len(shard))))
            shard[position : position + 8] = number.to_bytes(8, "little")
        elif kind == "cut":
            del shard[position : position + draw(st.integers(1, 20))]
        else:
            shard[position:position] = draw(st.binary(max_size=20))
    return bytes(shard)


@settings(thoroughly, max_examples=count(6000))
@given(data=st.data(), layout=sharded_layouts(3), kind=st.sampled_from(KINDS), seed=seeds())
def test_any_damage_gives_an_error_or_data_of_the_right_shape(
    tmp_path: Path, data: st.DataObject, layout: Sharded, kind: str, seed: int
) -> None:
    array = layout.create(make_store(kind, tmp_path))
    if array.size == 0:
        return
    array[...] = random_values(array.shape, array.dtype.newbyteorder("="), seed)
    key = key_of(array, (0,) * array.ndim)
    good = array.store.get(key)
    if good is None:
        return
    damaged = data.draw(_damaged(bytes(good)))
    array.store.set(key, damaged)
    for selection in (..., data.draw(basic_selections(array.shape))):
        try:
            found = array[selection]
        except ZarrcError as error:
            _check(error)
        else:
            assert found.shape == np.empty(array.shape)[selection].shape
    selection = data.draw(basic_selections(array.shape))
    try:
        array[selection] = np.zeros((), array.dtype.newbyteorder("="))
    except ZarrcError as error:
        _check(error)
        assert bytes(array.store.get(key)) == damaged
    array[...] = random_values(array.shape, array.dtype.newbyteorder("="), seed)
    assert bytes(array.store.get(key)) == bytes(good)


def _check(error: ZarrcError) -> None:
    assert isinstance(error, (CodecError, StoreError))
    assert error.key is not None
    assert error.key in str(error)
    assert "changed" not in str(error)


CHAINS: dict[str, tuple[list[Json], str]] = {
    "zstd": ([BYTES, ZSTD], "zstd"),
    "gzip": ([BYTES, GZIP], "gzip"),
    "blosc": ([BYTES, BLOSC], "blosc"),
    "lz4": ([BYTES, LZ4], "lz4"),
    "crc32c": ([BYTES, CRC32C], "crc32c"),
    "zstd, crc32c": ([BYTES, ZSTD, CRC32C], "crc32c"),
    "nested": ([sharding((10, 10), [BYTES, ZSTD])], "zstd"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("name", CHAINS)
def test_a_bad_inner_chunk_is_named_with_its_codec(
    name: str, location: str, kind: str, tmp_path: Path
) -> None:
    codecs, codec = CHAINS[name]
    array = _array(make_store(kind, tmp_path), codecs, location)
    values = np.arange(1, 1601, dtype="i4").reshape(40, 40)
    array[...] = values
    key = key_of(array, (1, 0))
    stored = bytearray(array.store.get(key))
    shard = read_shard(bytes(stored), (20, 40), [sharding((10, 20), codecs, location=location)])
    offset, size = shard.entries[1, 1]
    inner = shard.nested[1, 1].entries[0, 1] if shard.nested else (0, size)
    stored[offset + inner[0] : offset + inner[0] + 12] = (
        # For Blosc a type size of 0: another version would not be corrupt, but from the future.
        b"\2\1\x21" + bytes(9) if name == "blosc" else b"not a stream"
    )
    array.store.set(key, bytes(stored))
    # Nested or not, the chunk that cannot be decoded is told; the shard that it is in has the key.
    place = "inner chunk (0, 1)" if shard.nested else "inner chunk (1, 1)"
    for deed in (
        lambda: array[...],
        lambda: array[35, 30:],
        lambda: array.__setitem__((35, 35), 1),
    ):
        with pytest.raises(CorruptChunkError) as caught:
            deed()
        assert str(caught.value).count(f"; in {place}") == 1
        assert (caught.value.key, caught.value.codec) == (key, codec)
        assert caught.value.array == array.path
    assert bytes(array.store.get(key)) == stored
    np.testing.assert_array_equal(array[:30], values[:30])
    array[20:30] = 5  # a change that does not touch it takes it over as it is
    with pytest.raises(CorruptChunkError):
        array[...]
    array[30:, 20:] = 5
    values[20:30] = 5
    values[30:, 20:] = 5
    np.testing.assert_array_equal(array[...], values)


def _array(store: Any, codecs: list[Json], location: str) -> Any:
    return sharded_array(store, (40, 40), (20, 40), (10, 20), codecs, name="a", location=location)


@pytest.mark.parametrize("after", [[ZSTD], [GZIP], [CRC32C], [ZSTD, CRC32C]], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_the_codecs_around_a_shard_is_told(kind: str, after: list[Json], tmp_path: Path) -> None:
    array = sharded_array(make_store(kind, tmp_path), (16,), (8,), (2,), after=after)
    array[...] = range(1, 17)
    stored = bytes(array.store.get("c/0"))
    for bad in (b"", stored[:-1], stored[: len(stored) // 2], b"not a stream", stored + b"x"):
        array.store.set("c/0", bad)
        for deed in (lambda: array[3], lambda: array[...], lambda: array.__setitem__(3, 1)):
            with pytest.raises(CorruptChunkError) as caught:
                deed()
            assert caught.value.key == "c/0"
            assert (caught.value.array, caught.value.key) == (array.path, "c/0")
        assert bytes(array.store.get("c/0")) == bad


@pytest.mark.parametrize("after", [[ZSTD], [GZIP], [CRC32C], [ZSTD, CRC32C]], ids=repr)
def test_the_codec_around_a_shard_that_failed_is_named(after: list[Json]) -> None:
    array = sharded_array(zarrc.storage.MemoryStore(), (16,), (8,), (2,), after=after)
    array[...] = range(1, 17)
    array.store.set("c/0", b"not a stream")
    with pytest.raises(CorruptChunkError) as caught:
        array[...]
    assert caught.value.codec == after[-1]["name"]


def test_a_shard_with_codecs_around_it_that_is_far_too_large_is_refused(tmp_path: Path) -> None:
    array = sharded_array(str(tmp_path), (16,), (8,), (2,), after=[ZSTD])
    array[...] = range(1, 17)
    (tmp_path / "c/0").write_bytes(bytes(32 << 20))
    with pytest.raises(CorruptChunkError, match="larger than any encoding of its shard"):
        array[...]


def test_a_bomb_around_a_shard_is_refused() -> None:
    from tests.engine.hostile import zstd_frame

    array = sharded_array(zarrc.storage.MemoryStore(), (16,), (8,), (2,), after=[ZSTD])
    array[...] = range(1, 17)
    for frame in (zstd_frame(1 << 32), zstd_frame(1 << 32, with_size=False), zstd_frame(1 << 32, blocks=3)):
        array.store.set("c/0", frame)
        with pytest.raises(CorruptChunkError, match="decode to more than"):
            array[...]
