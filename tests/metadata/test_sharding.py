"""Inner chunks and shards of new arrays: what users say, what is stored of it, and what zarr-python makes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import chunk_shapes, shapes
from zarrc.array import Array
from zarrc.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec
from zarrc.errors import MetadataError
from zarrc.metadata import ArrayMetadata, build_array, parse_node
from zarrc.metadata.sharding import guess_shards
from zarrc.storage import MemoryStore

# From golden/make_sharded.py.
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "sharded.json").read_text())


def build(**keywords: Any) -> ArrayMetadata:
    """An array of (1000, 7000) elements of 4 bytes, unless something else is said."""
    metadata = build_array(**{"shape": (1000, 7000), "dtype": "int32", **keywords})
    # What is stored says the same, strictly read.
    document = metadata.to_documents()["zarr.json"]
    assert parse_node(document, strict=True) == metadata
    return metadata


def shapes_of(**keywords: Any) -> tuple[Any, Any]:
    metadata = build(**keywords)
    return metadata.chunks, metadata.shards


# --- as zarr-python


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_zarr_python_makes_the_same_of_the_same_keywords(name: str) -> None:
    case = GOLDEN[name]
    metadata = build(**case["keywords"])
    document = json.loads(metadata.to_documents()["zarr.json"])
    assert document["chunk_grid"] == case["chunk_grid"]
    # Elements of one byte have no byte order; it says one all the same.
    if case["keywords"]["dtype"] != "uint8":
        assert document["codecs"] == case["codecs"]
        parts = [*metadata.filters, metadata.serializer, *metadata.compressors]
        assert [part.to_v3_json() for part in parts if part is not None] == case["chain"]
    array = Array(MemoryStore(), "", metadata)
    for told, value in case["told"].items():
        assert json.loads(json.dumps(getattr(array, told))) == value, told


# --- chunks= and shards=


@pytest.mark.parametrize(
    ("keywords", "chunks", "shards"),
    [
        ({"chunks": (100, 100), "shards": (1000, 1000)}, (100, 100), (1000, 1000)),
        ({"chunks": 10, "shards": 20}, (10, 10), (20, 20)),
        ({"chunks": 10, "shards": (20, 10)}, (10, 10), (20, 10)),
        ({"chunks": 10, "shards": 10}, (10, 10), (10, 10)),
        ({"chunks": (300, 300), "shards": (-1, 600)}, (300, 300), (1200, 600)),
        ({"chunks": (300, 300), "shards": -1}, (300, 300), (1200, 7200)),
        ({"chunks": (-1, 100), "shards": (None, 700)}, (1000, 100), (1000, 700)),
        ({"chunks": 10, "shards": None}, (10, 10), None),
        ({"chunks": 10, "shards": False}, (10, 10), None),
        ({"chunks": 10, "shards": (10**6, 10**6)}, (10, 10), (10**6, 10**6)),
        ({"shape": (0, 5), "chunks": 5, "shards": 5}, (5, 5), (5, 5)),
        ({"shape": (), "chunks": (), "shards": ()}, (), ()),
    ],
)
def test_shards_are_whole_numbers_of_chunks(keywords: Any, chunks: Any, shards: Any) -> None:
    assert shapes_of(**keywords) == (chunks, shards)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        (
            {"chunks": (100, 100), "shards": (150, 200)},
            "shards: [150, 200] is not a multiple of chunks, [100, 100]: along axis 0, 150 is no multiple of",
        ),
        (
            {"chunks": (100, 100), "shards": (50, 20)},
            "50 is no multiple of 100; the two may be the wrong way round",
        ),
        ({"chunks": 10, "shards": (20,)}, "shards: [20] has 1 extents, the array 2 dimensions"),
        ({"chunks": 10, "shards": 0}, "shards: must be in [1, 9223372036854775807] or -1 for the whole axis"),
        ({"chunks": 10, "shards": "all"}, "shards: must be an integer or a tuple of integers, got 'all'"),
        ({"chunks": 10, "shards": {"shap": 20}}, "shards: unknown key 'shap' (did you mean 'shape'?)"),
        (
            {"chunks": 10, "shards": {"shape": 20, "index_location": "front"}},
            "shards.index_location: must be one of 'start', 'end', got 'front'",
        ),
        ({"chunks": 8, "shards": 2**40}, "has more than 2**63 - 1 bytes"),
        ({"shape": (2**40,), "chunks": 1, "shards": 2**60, "dtype": "u1"}, "an index of 2**62 bytes or more"),
    ],
)
def test_wrong_shards_say_what_is_allowed(keywords: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        build(**keywords)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "shards"),
    [
        # All 28 MB in one shard.
        ({"chunks": (100, 100)}, (1000, 7000)),
        ({"shape": (100_000, 70_000), "chunks": (100, 100)}, (3200, 5000)),
        ({"shape": (2048, 2048, 2048), "chunks": 64, "dtype": "u2"}, (256, 256, 448)),
        ({"shape": (10**9,), "chunks": 1000}, (15_874_000,)),
        # One chunk is more than the target already.
        ({"chunks": (5000, 7000)}, (5000, 7000)),
        ({"shape": (0, 4), "chunks": 2}, (2, 4)),
        ({"shape": (), "chunks": ()}, ()),
    ],
)
def test_auto_shards_are_of_64_mb(keywords: Any, shards: Any) -> None:
    assert build(**keywords, shards="auto").shards == shards
    assert build(**keywords, shards=True).shards == shards


def test_auto_shards_take_another_target() -> None:
    assert build(chunks=(100, 100), shards="auto", shard_nbytes=400_000).shards == (200, 500)


@given(shapes(4), st.data(), st.integers(1, 16), st.integers(1, 4000))
def test_auto_shards_are_multiples_within_the_array_and_the_target(
    shape: tuple[int, ...], data: st.DataObject, itemsize: int, target: int
) -> None:
    chunks = data.draw(chunk_shapes(shape))
    shards = guess_shards(chunks, shape, itemsize, target)
    counts = []
    for shard, chunk, extent in zip(shards, chunks, shape, strict=True):
        assert shard % chunk == 0
        assert shard < max(extent, 1) + chunk
        counts.append(shard // chunk)
    one = math.prod(chunks) * itemsize
    assert math.prod(counts) == 1 or math.prod(shards) * itemsize <= target
    # Where there is room for several shards' worth of chunks, they are not left one by one.
    needed = math.prod(max(1, -(-n // c)) for n, c in zip(shape, chunks, strict=True))
    assert 4 * math.prod(counts) * 2 ** len(shape) >= min(needed, target // one)


@pytest.mark.parametrize(
    ("shards", "chunks"),
    [((1000, 1000), (500, 500)), ((1009, 1009), (1009, 1009)), ((100, 100), (100, 100))],
)
def test_auto_chunks_divide_the_shards(shards: Any, chunks: Any) -> None:
    assert shapes_of(chunks="auto", shards=shards) == (chunks, shards)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=3), st.integers(1, 16))
def test_auto_chunks_divide_any_shards(shards: list[int], itemsize: int) -> None:
    metadata = build_array(shape=(10**5,) * len(shards), dtype="u1", shards=shards)
    assert all(shard % chunk == 0 for shard, chunk in zip(shards, metadata.chunks, strict=True))


def test_both_may_be_guessed() -> None:
    chunks, shards = shapes_of(shape=(10**5, 10**5), chunks="auto", shards="auto")
    assert 2**19 <= math.prod(chunks) * 4 <= 2**24
    assert 2**24 <= math.prod(shards) * 4 <= 64_000_000


# --- codecs


def test_the_codecs_are_those_of_the_inner_chunks() -> None:
    for keywords in (
        {"filters": TransposeCodec(order=(1, 0)), "compressors": "gzip"},
        {"codecs": [TransposeCodec(order=(1, 0)), "bytes", "gzip"]},
    ):
        metadata = build(chunks=10, shards=20, **keywords)
        inner = (TransposeCodec(order=(1, 0)), BytesCodec(), GzipCodec())
        assert metadata.codecs == (ShardingCodec(chunk_shape=(10, 10), codecs=inner),)
        assert (*metadata.filters, metadata.serializer, *metadata.compressors) == inner


def test_the_byte_order_of_the_data_type_is_that_of_the_inner_bytes() -> None:
    big = (BytesCodec(endian="big"), ZstdCodec())
    assert build(chunks=10, shards=20, dtype=">i4").codecs[0].codecs == big  # type: ignore[attr-defined]
    name = {"name": "sharding_indexed", "configuration": {"chunk_shape": [5, 5]}}
    for keywords in ({"serializer": name}, {"codecs": [name]}):
        metadata = build(chunks=10, dtype=">i4", **keywords)
        assert metadata.codecs[0].codecs == big  # type: ignore[attr-defined]


def guide(chunk_shape: Any, **more: Any) -> dict[str, Any]:
    """The codec as the guide writes it."""
    configuration = {
        "chunk_shape": chunk_shape,
        "codecs": [{"name": "bytes"}, {"name": "gzip", "configuration": {"level": 6}}],
        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
        **more,
    }
    return {"name": "sharding_indexed", "configuration": configuration}


@pytest.mark.parametrize(
    ("keywords", "chunks", "shards"),
    [
        # The guide's form, then the specification's.
        ({"chunks": (100, 100), "codecs": [guide((1000, 1000))]}, (100, 100), (1000, 1000)),
        ({"chunks": (1000, 1000), "codecs": [guide((100, 100))]}, (100, 100), (1000, 1000)),
        ({"chunks": (1000, 1000), "codecs": [guide((1000, 1000))]}, (1000, 1000), (1000, 1000)),
        ({"chunks": (100, 100), "serializer": guide((1000, 1000))}, (100, 100), (1000, 1000)),
        ({"codecs": [guide((100, 100))]}, (100, 100), (1000, 7000)),
        ({"codecs": [guide((100, 100))], "shards": (500, 500)}, (100, 100), (500, 500)),
        ({"chunks": 100, "codecs": [guide((100, 100))], "shards": 500}, (100, 100), (500, 500)),
        ({"chunks": 100, "codecs": [guide((500, 500))], "shards": 500}, (100, 100), (500, 500)),
        ({"chunks": 500, "codecs": [guide((100, 100))], "shards": 500}, (100, 100), (500, 500)),
        # Two levels.
        ({"chunks": 500, "codecs": [guide((100, 100))], "shards": 1000}, (500, 500), (1000, 1000)),
    ],
)
def test_an_explicit_codec_says_chunks_or_shards(keywords: Any, chunks: Any, shards: Any) -> None:
    metadata = build(**keywords)
    assert (metadata.chunks, metadata.shards) == (chunks, shards)
    assert metadata.sharding is not None
    assert metadata.sharding.chunk_shape == chunks
    assert metadata.chunk_grid.chunk_shape == shards


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        (
            {"chunks": (3000, 300), "codecs": [guide((1000, 1000))]},
            "chunks [3000, 300] and the codec's chunk_shape [1000, 1000] do not fit: one must be a multiple",
        ),
        (
            {"chunks": (30, 30), "codecs": [guide((100, 100))], "shards": 3000},
            "the codec's chunk_shape [100, 100] does not fit chunks [30, 30] in shards [3000, 3000]",
        ),
        (
            {"codecs": [guide((100, 100))], "shards": 250},
            "shards: [250, 250] is not a multiple of chunks, [100, 100]",
        ),
        (
            {"chunks": 100, "codecs": [guide((1000,))]},
            "chunk_shape [1000] has 1 extents, the array 2 dimensions",
        ),
        (
            {"codecs": [guide((100, 100))], "shards": {"shape": 200, "index_location": "start"}},
            "shards: index_location 'start' contradicts the sharding codec's, 'end'",
        ),
        (
            {"codecs": [{"name": "sharding_indexed", "configuration": {}}]},
            "codecs[0].configuration: 'chunk_shape' is missing",
        ),
        ({"codecs": [guide((1, 1), index_codecs=["bytes", "zstd"])]}, "'zstd' cannot encode a shard's index"),
        (
            {"chunks": 100, "codecs": [guide((50, 50))], "zarr_format": 2},
            "codecs, serializer: zarr_format 2 has filters=",
        ),
    ],
)
def test_an_explicit_codec_that_does_not_fit_says_why(keywords: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        build(**keywords)
    assert text in str(caught.value)


def test_the_guides_form_is_stored_in_the_specifications() -> None:
    metadata = build(chunks=(100, 100), codecs=[guide((1000, 1000))])
    assert metadata.codecs[0].configuration() == {
        "chunk_shape": [100, 100],
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "gzip", "configuration": {"level": 6}},
        ],
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "end",
    }


def test_chunks_are_said_in_the_arrays_order_of_axes() -> None:
    transpose = TransposeCodec(order=(1, 0))
    metadata = build(chunks=(100, 200), codecs=[transpose, guide((4000, 1000)), "crc32c"])
    assert (metadata.chunks, metadata.shards) == ((100, 200), (1000, 4000))
    sharding = metadata.codecs[1]
    assert isinstance(sharding, ShardingCodec)
    assert sharding.chunk_shape == (200, 100)
    assert metadata.codecs[2] == Crc32cCodec()
    spec = build(chunks=(1000, 4000), codecs=[transpose, guide((200, 100))])
    assert (spec.chunks, spec.shards) == ((100, 200), (1000, 4000))


def test_nothing_compresses_a_shard_unless_it_is_said() -> None:
    assert build(chunks=100, serializer=ShardingCodec(chunk_shape=(10, 10))).compressors == (ZstdCodec(),)
    around = build(chunks=100, serializer=ShardingCodec(chunk_shape=(10, 10)), compressors="gzip")
    assert around.codecs[1:] == (GzipCodec(),)


def test_nesting_beyond_measure_is_an_error() -> None:
    codec: Any = "bytes"
    for _ in range(2000):
        codec = {"name": "sharding_indexed", "configuration": {"chunk_shape": [4], "codecs": [codec]}}
    with pytest.raises(MetadataError, match="nested too deeply"):
        build_array(shape=4, codecs=[codec])
