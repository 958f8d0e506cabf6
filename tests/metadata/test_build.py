"""The metadata of a new array from what the user passed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZlibCodec, ZstdCodec
from zarrc.errors import (
    AttributesError,
    MetadataError,
    UnknownCodecError,
    UnknownDataTypeError,
    UnknownExtensionError,
)
from zarrc.grids import DefaultKeyEncoding, V2KeyEncoding
from zarrc.metadata import build_array, build_group
from zarrc.metadata.chunking import MAX_TARGET_NBYTES, guess_chunks


def test_the_defaults_of_v3() -> None:
    metadata = build_array(shape=(10, 10))
    assert metadata.zarr_format == 3
    assert metadata.dtype == np.dtype("f8")
    assert metadata.chunks == (10, 10)
    assert metadata.codecs == (BytesCodec(), ZstdCodec(level=0))
    assert metadata.chunk_key_encoding == DefaultKeyEncoding("/")
    assert metadata.fill_value == 0
    assert metadata.dimension_names is None
    assert metadata.v2 is None


def test_the_defaults_of_v2() -> None:
    metadata = build_array(shape=(10, 10), zarr_format=2)
    assert metadata.codecs == (BytesCodec(), ZstdCodec(level=0))
    assert json.loads(metadata.to_documents()[".zarray"]) == {
        "zarr_format": 2,
        "shape": [10, 10],
        "chunks": [10, 10],
        "dtype": "<f8",
        "compressor": {"id": "zstd", "level": 0},
        "fill_value": 0.0,
        "order": "C",
        "filters": None,
        "dimension_separator": ".",
    }


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (5, (5,)),
        ((5, 6), (5, 6)),
        ([5], (5,)),
        ((), ()),
        (np.int64(3), (3,)),
        (np.array([3, 4]), (3, 4)),
        (range(3), (0, 1, 2)),
    ],
)
def test_users_say_shapes_in_many_ways(shape: Any, expected: tuple[int, ...]) -> None:
    assert build_array(shape=shape).shape == expected


@pytest.mark.parametrize(
    "shape", [-1, (2, -1), 2.0, (2.5,), "12", True, (True,), None, (2**63,), {3}, ((2, 3),)]
)
def test_a_wrong_shape_is_refused(shape: Any) -> None:
    with pytest.raises(MetadataError, match="shape: must be"):
        build_array(shape=shape)


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ("auto", (100, 20)),
        (None, (100, 20)),
        (True, (100, 20)),
        (False, (100, 20)),
        (7, (7, 7)),
        (-1, (100, 20)),
        ((10, -1), (10, 20)),
        ((10, None), (10, 20)),
        ([10, np.int64(3)], (10, 3)),
        (np.array([10, 3]), (10, 3)),
        ((1000, 1000), (1000, 1000)),
    ],
)
def test_users_say_chunks_in_many_ways(chunks: Any, expected: tuple[int, ...]) -> None:
    assert build_array(shape=(100, 20), chunks=chunks).chunks == expected
    assert build_array(shape=(100, 20), chunk_shape=chunks).chunks == expected


def test_chunks_like_the_shape_of_no_elements() -> None:
    assert build_array(shape=(0, 5), chunks=(0, 5)).chunks == (1, 5)
    assert build_array(shape=(0, 5)).chunks == (1, 5)


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ((10,), "chunks: [10] has 1 extents, the array 2 dimensions"),
        ((10, 0), "chunks: must be in [1, 9223372036854775807] or -1 for the whole axis, got 0"),
        (0, "chunks: must be in [1,"),
        ((10, -2), "chunks: must be in [-1,"),
        ((10, 2.0), "chunks: must be an integer or a tuple of integers, got 2.0"),
        ("big", "chunks: must be an integer or a tuple of integers, got 'big'"),
        (((50, 0), 20), "chunks[0][1]: must be in [1, 9223372036854775807], got 0"),
        (((50, 49), 20), "chunks: the chunks along axis 0 have 99 elements in all, the array 100"),
        ((((50, 2, 1),), 20), "chunks[0][0]: a run is [extent, count], got [50, 2, 1]"),
        (((), 20), "chunks[0]: has no chunks"),
        ((("auto", 50), 20), "chunks[0][0]: must be an integer, got 'auto'"),
        ((10, 20, 30), "chunks: [10, 20, 30] has 3 extents, the array 2 dimensions"),
    ],
)
def test_wrong_chunks_are_refused(chunks: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        build_array(shape=(100, 20), chunks=chunks)
    assert str(caught.value).startswith(text)


@given(st.lists(st.integers(0, 2**40), max_size=6), st.sampled_from([1, 4, 8, 16, 1000]))
def test_guessed_chunks_are_never_absurd(shape: list[int], itemsize: int) -> None:
    chunks = guess_chunks(tuple(shape), itemsize)
    nbytes = itemsize * int(np.prod(chunks, dtype=object))
    assert all(1 <= chunk <= max(extent, 1) for chunk, extent in zip(chunks, shape, strict=True))
    assert nbytes <= MAX_TARGET_NBYTES
    total = itemsize * int(np.prod([max(extent, 1) for extent in shape], dtype=object))
    # Halving can undershoot the target by a little more than a factor of two.
    assert nbytes >= min(total, 1 << 20) / 4


def test_a_chunk_above_a_codecs_limit_is_refused_at_create() -> None:
    with pytest.raises(MetadataError, match="blosc: a chunk of 8000000000 bytes is above the format's limit"):
        build_array(shape=(10**9,), chunks=-1, compressors=BloscCodec())
    with pytest.raises(MetadataError, match="lz4: a chunk of 8000000000 bytes is above the format's limit"):
        build_array(shape=(10**9,), chunks=-1, compressor={"id": "lz4"}, zarr_format=2)
    with pytest.raises(MetadataError, match=r"more than 2\*\*63 - 1 bytes"):
        build_array(shape=(2**62, 2**62), chunks=-1)


def test_a_byte_order_in_the_dtype_is_stored() -> None:
    assert build_array(shape=3, dtype=">i4").codecs[0] == BytesCodec(endian="big")
    assert build_array(shape=3, dtype=">i4").dtype == np.dtype("i4")
    assert build_array(shape=3, dtype=">i4", zarr_format=2).dtype == np.dtype(">i4")
    assert build_array(shape=3, dtype=">u1", zarr_format=2).endian == "little"
    assert build_array(shape=3, dtype=">i4", serializer={"name": "bytes"}).codecs[0] == BytesCodec(
        endian="little"
    )


@pytest.mark.parametrize(
    ("options", "codecs"),
    [
        ({"compressors": None}, (BytesCodec(),)),
        ({"compressors": ()}, (BytesCodec(),)),
        ({"codecs": ["bytes"]}, (BytesCodec(),)),
        ({"codecs": [{"name": "bytes"}, {"name": "zstd"}]}, (BytesCodec(), ZstdCodec())),
        ({"compressors": "gzip"}, (BytesCodec(), GzipCodec(level=5))),
        ({"compressor": "gzip"}, (BytesCodec(), GzipCodec(level=5))),
        ({"compressors": {"id": "zlib", "level": 2}}, (BytesCodec(), ZlibCodec(level=2))),
        ({"compressors": BloscCodec()}, (BytesCodec(), BloscCodec(typesize=8, shuffle="shuffle"))),
        (
            {"filters": [TransposeCodec(order=(1, 0))], "compressors": ["zstd", "crc32c"]},
            (TransposeCodec(order=(1, 0)), BytesCodec(), ZstdCodec(), Crc32cCodec()),
        ),
        ({"filters": None, "serializer": BytesCodec(endian="big")}, (BytesCodec(endian="big"), ZstdCodec())),
        ({"order": "F"}, (BytesCodec(), ZstdCodec())),
    ],
    ids=repr,
)
def test_users_say_chains_in_many_ways(options: dict[str, Any], codecs: tuple[Any, ...]) -> None:
    assert build_array(shape=(10, 10), **options).codecs == codecs


@pytest.mark.parametrize(
    ("options", "codecs"),
    [
        ({"compressor": None}, (BytesCodec(),)),
        ({"compressors": None}, (BytesCodec(),)),
        ({"compressors": [GzipCodec()]}, (BytesCodec(), GzipCodec())),
        ({"compressor": {"id": "zlib", "level": 1}}, (BytesCodec(), ZlibCodec(level=1))),
        ({"order": "F", "compressor": None}, (TransposeCodec(order=(1, 0)), BytesCodec())),
        ({"filters": [{"id": "crc32c"}], "compressor": None}, (BytesCodec(), Crc32cCodec())),
    ],
    ids=repr,
)
def test_users_say_v2_chains_in_many_ways(options: dict[str, Any], codecs: tuple[Any, ...]) -> None:
    assert build_array(shape=(10, 10), zarr_format=2, **options).codecs == codecs


@pytest.mark.parametrize(
    ("options", "text", "cls"),
    [
        ({"dtype": "f3"}, "unknown data type 'f3'", UnknownDataTypeError),
        ({"dtype": "U3"}, "is known but not supported in this version", UnknownDataTypeError),
        ({"zarr_format": 1}, "zarr_format: must be 2 or 3, got 1", MetadataError),
        ({"zarr_format": True}, "zarr_format: must be 2 or 3, got True", MetadataError),
        (
            {"shards": (20, 20), "chunks": 3},
            "shards: [20, 20] is not a multiple of chunks, [3",
            MetadataError,
        ),
        ({"shards": 4, "zarr_format": 2}, "shards: zarr_format 2 has no shards; use", MetadataError),
        ({"order": "K"}, "order: must be 'C' or 'F', got 'K'", MetadataError),
        ({"codecs": ["zstd"]}, "codecs: there is no array_to_bytes codec, such as 'bytes'", MetadataError),
        ({"codecs": []}, "codecs: there is no array_to_bytes codec", MetadataError),
        (
            {"codecs": ["bytes", "bytes"]},
            "codecs: 'bytes' and 'bytes' are both array_to_bytes",
            MetadataError,
        ),
        (
            {"codecs": ["zstd", "bytes"]},
            "codecs: 'bytes' (array_to_bytes) cannot follow 'zstd'",
            MetadataError,
        ),
        (
            {"codecs": ["bytes", "zstdd"]},
            "codecs[1]: unknown codec 'zstdd' (did you mean 'zstd'?)",
            UnknownCodecError,
        ),
        (
            {"codecs": ["bytes"], "compressors": "zstd"},
            "codecs: is the whole chain; give it, or",
            MetadataError,
        ),
        (
            {"compressors": "zstd", "compressor": "zstd"},
            "compressors, compressor: are two names of one",
            MetadataError,
        ),
        ({"chunks": 3, "chunk_shape": 3}, "chunks, chunk_shape: are two names of one thing", MetadataError),
        (
            {"compressors": "bytes"},
            "compressors: 'bytes' is array_to_bytes, and only bytes_to_bytes",
            MetadataError,
        ),
        ({"filters": ["zstd"]}, "filters: 'zstd' is bytes_to_bytes, and only array_to_array", MetadataError),
        (
            {"serializer": "zstd"},
            "serializer: 'zstd' is bytes_to_bytes, and only array_to_bytes",
            MetadataError,
        ),
        (
            {"filters": TransposeCodec(order=(0, 1, 2))},
            "codecs: transpose: order [0, 1, 2] has 3 items, the array has 2 dimensions",
            MetadataError,
        ),
        (
            {"serializer": BytesCodec(endian=None)},
            "codecs: bytes: endian is missing, and float64",
            MetadataError,
        ),
        ({"dimension_separator": "/"}, "dimension_separator: belongs to zarr_format 2", MetadataError),
        (
            {"chunk_key_encoding": "v3"},
            "chunk_key_encoding: unknown chunk key encoding 'v3'",
            UnknownExtensionError,
        ),
        ({"dimension_names": ["x"]}, "dimension_names: there are 1 names for 2 dimensions", MetadataError),
        (
            {"dimension_names": ["x", "x"]},
            "dimension_names: 'x' names two dimensions; names must be unique",
            MetadataError,
        ),
        (
            {"dimension_names": ["x", ""]},
            "dimension_names: a name must not be empty; None stands for",
            MetadataError,
        ),
        ({"dimension_names": ["x", 3]}, "dimension_names[1]: must be a string or None, got 3", MetadataError),
        (
            {"dimension_names": 3},
            "dimension_names: must be a sequence of strings or None, got 3",
            MetadataError,
        ),
        ({"fill_value": "x"}, "fill_value: as a string must be 'NaN'", MetadataError),
        ({"dtype": "u1", "fill_value": 300}, "fill_value: 300 does not fit uint8", MetadataError),
        (
            {"attributes": {"a": {1}}},
            "attributes['a']: {1} of type set cannot be stored as JSON",
            AttributesError,
        ),
    ],
    ids=repr,
)
def test_a_wrong_argument_says_which_and_what_is_allowed(
    options: dict[str, Any], text: str, cls: type[Exception]
) -> None:
    with pytest.raises(cls) as caught:
        build_array(shape=(10, 10), **options)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"codecs": ["bytes"]}, "codecs, serializer: zarr_format 2 has filters= and compressors= instead"),
        ({"serializer": "bytes"}, "codecs, serializer: zarr_format 2 has filters="),
        ({"dimension_names": ["x", "y"]}, "dimension_names: zarr_format 2 has none"),
        (
            {"compressors": ["zstd", "crc32c"]},
            "compressors: zarr_format 2 has one compressor, got 2; filters= takes any",
        ),
        ({"compressors": "transpose"}, "compressors.configuration: 'order' is missing"),
        ({"filters": [TransposeCodec(order=(1, 0))]}, "codec 'transpose' does not exist in zarr_format 2"),
        (
            {"chunk_key_encoding": "default"},
            "chunk_key_encoding: zarr_format 2 takes 'v2' only, got 'default'",
        ),
        (
            {"chunk_key_encoding": ("v2", "/"), "dimension_separator": "."},
            "dimension_separator: '.' contradicts",
        ),
        ({"dimension_separator": "-"}, "dimension_separator: must be one of '.', '/', got '-'"),
        ({"fill_value": "0x7ff8000000000001"}, "fill_value: zarr_format 2 has one NaN only"),
    ],
    ids=repr,
)
def test_a_wrong_v2_argument_says_which_and_what_is_allowed(options: dict[str, Any], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        build_array(shape=(10, 10), zarr_format=2, **options)
    assert text in str(caught.value)


def test_dimension_names_may_be_missing_one_by_one() -> None:
    assert build_array(shape=(2, 2, 2), dimension_names=["x", None, None]).dimension_names == (
        "x",
        None,
        None,
    )
    assert build_array(shape=2, dimension_names="x").dimension_names == ("x",)
    loose = build_array(shape=(2, 2), dimension_names=["", ""], strict_dimension_names=False)
    assert loose.dimension_names == ("", "")


@pytest.mark.parametrize("value", [("v2", "/"), "v2", {"name": "v2", "separator": "/"}, V2KeyEncoding("/")])
def test_v2_takes_its_key_encoding_too(value: Any) -> None:
    encoding = V2KeyEncoding("." if value == "v2" else "/")
    assert build_array(shape=2, zarr_format=2, chunk_key_encoding=value).chunk_key_encoding == encoding
    assert build_array(shape=2, chunk_key_encoding=value).chunk_key_encoding == encoding


def test_no_fill_value_is_zero_in_v3_and_null_in_v2() -> None:
    assert build_array(shape=2, fill_value=None).fill_value == 0
    assert build_array(shape=2, fill_value=None, zarr_format=2).fill_value is None
    assert build_array(shape=2, zarr_format=2).fill_value == 0


def test_what_is_stored_in_v2_is_complete() -> None:
    metadata = build_array(shape=2, dtype="i1", zarr_format=2, compressor=BloscCodec())
    compressor = json.loads(metadata.to_documents()[".zarray"])["compressor"]
    assert compressor == {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}


def test_a_group_takes_attributes() -> None:
    assert build_group(attributes={"a": np.int8(1)}).attributes == {"a": 1}
    assert build_group(zarr_format=None).zarr_format == 3
    with pytest.raises(MetadataError, match="zarr_format: must be 2 or 3, got 4"):
        build_group(zarr_format=4)  # type: ignore[arg-type]
