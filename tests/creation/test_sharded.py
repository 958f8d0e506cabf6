"""Sharded arrays from everything that creates arrays, and what is kept of a sharded source."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec
from zarrc.errors import MetadataError

LAYOUT: dict[str, Any] = {"shape": (20, 20), "dtype": "i4", "chunks": (2, 5), "shards": (4, 10)}


def shapes_of(array: zarrc.Array) -> tuple[Any, Any]:
    return array.chunks, array.shards


def source(**keywords: Any) -> zarrc.Array:
    return zarrc.create_array(**{**LAYOUT, "compressors": GzipCodec(level=2), **keywords})


@pytest.mark.parametrize(
    "make",
    [
        zarrc.create,
        zarrc.create_array,
        zarrc.zeros,
        zarrc.ones,
        zarrc.empty,
        lambda **keywords: zarrc.full(fill_value=3, **keywords),
        lambda **keywords: zarrc.create_group({}).create_array("a", **keywords),
        lambda **keywords: zarrc.open(zarrc.storage.MemoryStore(), mode="w", **keywords),
        lambda **keywords: zarrc.open_array(zarrc.storage.MemoryStore(), mode="w", **keywords),
    ],
)
def test_all_that_creates_takes_shards(make: Any) -> None:
    assert shapes_of(make(**LAYOUT)) == ((2, 5), (4, 10))


def test_what_is_stored_is_read_again() -> None:
    made = source()
    found = zarrc.open_array(made.store, mode="r")
    assert found.metadata == made.metadata
    assert shapes_of(found) == shapes_of(made)
    assert found.metadata.assumed == ()


def test_the_target_of_auto_is_a_setting() -> None:
    keywords = {**LAYOUT, "shards": "auto"}
    assert zarrc.create_array(**keywords).shards == (20, 20)
    with zarrc.config.set({"array.target_shard_size_bytes": 400}):
        assert zarrc.create_array(**keywords).shards == (4, 20)
    small = zarrc.create_array(**keywords, config={"target_shard_size_bytes": 160})
    assert small.shards == (4, 10)


# --- kept of a source


@pytest.mark.parametrize("like", [zarrc.zeros_like, zarrc.empty_like, zarrc.full_like])
def test_like_functions_keep_the_shards(like: Any) -> None:
    made = source(shards={"shape": (4, 10), "index_location": "start"})
    assert like(made).metadata.codecs == made.metadata.codecs
    assert shapes_of(like(made)) == ((2, 5), (4, 10))


CHAINS: tuple[Any, ...] = (
    {},
    {"shards": {"shape": (4, 10), "index_location": "start"}},
    {
        "shards": None,
        "codecs": [ShardingCodec(chunk_shape=(4, 10), index_codecs="bytes")],
    },  # type: ignore[arg-type]
    {
        "shards": None,
        "codecs": [TransposeCodec(order=(1, 0)), ShardingCodec(chunk_shape=(10, 4)), Crc32cCodec()],
    },
    {"codecs": [ShardingCodec(chunk_shape=(1, 5)), "crc32c"]},
)


@pytest.mark.parametrize("chain", CHAINS, ids=repr)
def test_from_array_keeps_the_whole_chain(chain: Any) -> None:
    keywords = chain if "codecs" not in chain else {"compressors": "auto", **chain}
    made = source(**keywords)
    assert shapes_of(made) == ((2, 5), (4, 10))
    for kept in ({}, {"shards": "keep", "chunks": "keep"}):
        copy = zarrc.from_array(data=made, write_data=False, **kept)
        assert copy.metadata.codecs == made.metadata.codecs
        assert copy.metadata.chunk_grid == made.metadata.chunk_grid


def test_from_array_takes_other_shards_chunks_or_codecs() -> None:
    made = source(filters=TransposeCodec(order=(1, 0)))
    inner = (TransposeCodec(order=(1, 0)), BytesCodec(), GzipCodec(level=2))

    def like(**keywords: Any) -> zarrc.Array:
        return zarrc.from_array(data=made, write_data=False, **keywords)

    plain = like(shards=None)
    assert (shapes_of(plain), plain.metadata.codecs) == (((2, 5), None), inner)
    other = like(shards=(8, 20))
    assert shapes_of(other) == ((2, 5), (8, 20))
    assert (*other.filters, other.serializer, *other.compressors) == inner
    smaller = like(chunks=(2, 2))
    assert shapes_of(smaller) == ((2, 2), (4, 10))
    with pytest.raises(MetadataError, match=r"shards: \[4, 10\] is not a multiple of chunks, \[3, 5\]"):
        like(chunks=(3, 5))
    zstd = like(compressors=ZstdCodec())
    assert shapes_of(zstd) == ((2, 5), (4, 10))
    assert (*zstd.filters, zstd.serializer, *zstd.compressors) == (*inner[:2], ZstdCodec())
    chain = like(codecs=["bytes"])
    assert (shapes_of(chain), chain.serializer, chain.compressors) == (((2, 5), (4, 10)), BytesCodec(), ())
    explicit = like(codecs=[ShardingCodec(chunk_shape=(5, 5))], chunks=(10, 10))
    assert shapes_of(explicit) == ((5, 5), (10, 10))
    assert shapes_of(like(codecs=[ShardingCodec(chunk_shape=(5, 5))])) == ((5, 5), (20, 20))


def test_an_array_without_shards_can_be_sharded() -> None:
    plain = zarrc.create_array(shape=(20, 20), dtype="i4", chunks=(2, 5), compressors=GzipCodec(level=2))
    made = zarrc.from_array(data=plain, shards=(4, 10), write_data=False)
    assert shapes_of(made) == ((2, 5), (4, 10))
    assert made.compressors == (GzipCodec(level=2),)


def test_format_2_keeps_the_inner_chunks_and_their_codecs() -> None:
    made = source(filters=TransposeCodec(order=(1, 0)), serializer=BytesCodec(endian="big"))
    copy = zarrc.copy_array(made, zarr_format=2)
    assert (shapes_of(copy), copy.order, copy.dtype) == (((2, 5), None), "F", ">i4")
    assert copy.compressors == (GzipCodec(level=2),)
    nested = source(
        shards=(4, 20), chunks=(4, 10), serializer=ShardingCodec(chunk_shape=(2, 5)), compressors=None
    )
    assert nested.metadata.codecs[0].codecs[0].chunk_shape == (2, 5)  # type: ignore[attr-defined]
    assert zarrc.zeros_like(nested, zarr_format=2).compressors == (ZstdCodec(),)


def test_a_copy_has_the_same_shards() -> None:
    made = source()
    copy = zarrc.copy_array(made)
    assert copy.metadata == made.metadata


@pytest.mark.parametrize("given", [{}, {"chunks": (2, 2)}, {"shards": (8, 20)}, {"shards": None}])
def test_another_librarys_shards_are_kept(given: Any) -> None:
    made = source()
    codecs = [SimpleNamespace(to_dict=codec.to_v3_json) for codec in made.metadata.codecs]
    metadata = SimpleNamespace(zarr_format=3, codecs=codecs, dimension_names=None)
    peer = SimpleNamespace(
        shape=made.shape, dtype=made.dtype, chunks=made.chunks, shards=made.shards, metadata=metadata
    )
    copy = zarrc.from_array(data=peer, write_data=False, **given)
    assert shapes_of(copy) == (given.get("chunks", (2, 5)), given.get("shards", (4, 10)))
    assert copy.compressors == (GzipCodec(level=2),)


# --- data


DATA = np.arange(400, dtype="i4").reshape(20, 20)


def filled() -> zarrc.Array:
    made = source(data=DATA, shape=None, dtype=None)
    np.testing.assert_array_equal(made[...], DATA)
    return made


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"shards": None},
        {"shards": (8, 20)},
        {"chunks": (1, 5)},
        {"compressors": None},
        {"shards": "auto"},
    ],
)
def test_from_array_copies_the_data_of_shards(given: Any) -> None:
    np.testing.assert_array_equal(zarrc.from_array(data=filled(), **given)[...], DATA)


def test_a_copy_passes_the_shards_on_as_they_are() -> None:
    made = filled()
    made[:4, :10] = 0
    steps: list[tuple[int, int]] = []
    copy = zarrc.copy_array(made, progress=lambda n_done, n: steps.append((n_done, n)))
    assert steps[-1] == (10, 10)
    for key in made.store.list_prefix("c/"):
        assert bytes(memoryview(copy.store.get(key))) == bytes(memoryview(made.store.get(key)))  # type: ignore[arg-type]
    assert (copy.nshards_initialized, copy.nchunks_initialized) == (9, 36)


def test_a_copy_into_other_shards_counts_the_shards() -> None:
    steps: list[tuple[int, int]] = []
    target = zarrc.create_array(**{**LAYOUT, "shards": (10, 20)})
    zarrc.copy_array(filled(), target, progress=lambda n_done, n: steps.append((n_done, n)))
    np.testing.assert_array_equal(target[...], DATA)
    assert steps[-1] == (2, 2)


def test_rows_are_those_of_numpy() -> None:
    np.testing.assert_array_equal(list(filled()), DATA)


def test_regions_are_what_is_read_and_written_by() -> None:
    made, target = filled(), zarrc.create_array(**LAYOUT)
    for region in target.iter_shards():
        target[region] = made[region]
    for region in made.iter_chunks():
        np.testing.assert_array_equal(target[region], DATA[region])


def test_the_index_location_of_shards_is_not_that_of_shards_inside() -> None:
    inner = ShardingCodec(chunk_shape=(1, 5))
    outside = {"shape": (4, 10), "index_location": "start"}
    nested = source(shards=outside, chunks=(2, 5), compressors="auto", codecs=[inner])
    assert [codec.index_location for codec in nested.metadata.codecs] == ["start"]  # type: ignore[attr-defined]
    assert nested.serializer == inner
    nested[...] = np.arange(400).reshape(20, 20)  # type: ignore[index]
    like: Any = zarrc.from_array({}, data=nested, chunks=(4, 5))
    assert shapes_of(like) == ((4, 5), (4, 10))
    assert like.metadata.codecs[0].index_location == "start"
    np.testing.assert_array_equal(like[...], nested[...])
    with pytest.raises(MetadataError, match="contradicts the sharding codec's, 'end'"):
        source(shards=outside, chunks=(1, 5), compressors="auto", codecs=[inner])
