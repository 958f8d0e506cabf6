"""``.zarray``, ``.zgroup`` and ``.zattrs``: the forms that occur, the codec chain, the round trip."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metadata.documents import MISSING, V2_ARRAY, as_bytes, changed
from zarrc.codecs import (
    BloscCodec,
    BytesCodec,
    Codec,
    Crc32cCodec,
    GzipCodec,
    Lz4Codec,
    TransposeCodec,
    ZlibCodec,
    ZstdCodec,
)
from zarrc.errors import MetadataError, UnknownCodecError, UnknownDataTypeError
from zarrc.metadata import ArrayMetadata, build_array, build_group, parse_array, parse_group


def read(document: dict[str, Any], zattrs: dict[str, Any] | None = None, **options: Any) -> ArrayMetadata:
    attributes = None if zattrs is None else as_bytes(zattrs)
    return parse_array(as_bytes(document), attributes, where="a/.zarray", **options)


class Form(NamedTuple):
    """A document that is read; ``assumed`` is what is noted if it is not legal."""

    name: str
    changes: dict[str, Any]
    written: dict[str, Any]
    assumed: str | None = None


BLOSC = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}

FORMS = (
    Form("no dimension_separator", {}, {"dimension_separator": "."}),
    Form("dimension_separator /", {"dimension_separator": "/"}, {"dimension_separator": "/"}),
    Form(
        "null dimension_separator",
        {"dimension_separator": None},
        {"dimension_separator": "."},
        "dimension_separator: is null; read as '.'",
    ),
    Form("null fill", {"fill_value": None}, {"fill_value": None}),
    Form("NaN", {"fill_value": "NaN"}, {"fill_value": "NaN"}),
    Form("-Infinity", {"fill_value": "-Infinity"}, {"fill_value": "-Infinity"}),
    Form(
        "bare NaN",
        {"fill_value": math.nan},
        {"fill_value": "NaN"},
        "holds a bare NaN, which is not JSON; read as the float",
    ),
    Form("missing filters", {"filters": MISSING}, {"filters": None}, "'filters' is missing; read as None"),
    Form("missing order", {"order": MISSING}, {"order": "C"}, "'order' is missing; read as 'C'"),
    Form("no filters", {"filters": []}, {"filters": []}),
    Form("order F", {"order": "F"}, {"order": "F"}),
    Form("big endian", {"dtype": ">f4"}, {"dtype": ">f4"}),
    Form("bool", {"dtype": "|b1", "fill_value": False}, {"fill_value": False}),
    Form(
        "bool by number",
        {"dtype": "|b1", "fill_value": 0},
        {"fill_value": False},
        "fill_value: 0 is not true or false; read as false",
    ),
    Form("uint64", {"dtype": "<u8", "fill_value": 2**64 - 1}, {"fill_value": 2**64 - 1}),
    Form(
        "whole float for an integer",
        {"dtype": "<i4", "fill_value": 3.0},
        {"fill_value": 3},
        "fill_value: 3.0 is not written as an integer; read as 3",
    ),
    Form("complex", {"dtype": "<c8", "fill_value": [1.0, "NaN"]}, {"fill_value": [1.0, "NaN"]}),
    Form(
        "complex scalar",
        {"dtype": "<c8", "fill_value": 0.0},
        {"fill_value": [0.0, 0.0]},
        "fill_value: 0.0 is not a list of two numbers; read as the real part",
    ),
    Form("raw bits", {"dtype": "|V3", "fill_value": "AQID"}, {"fill_value": "AQID"}),
    Form(
        "raw bits of 0",
        {"dtype": "|V3", "fill_value": 0},
        {"fill_value": "AAAA"},
        "fill_value: 0 is not base64; read as all bits zero",
    ),
    Form("blosc", {"compressor": BLOSC}, {"compressor": BLOSC}),
    Form(
        "blosc, automatic shuffle",
        {"compressor": BLOSC | {"shuffle": -1}},
        {"compressor": BLOSC | {"shuffle": -1}},
    ),
    Form(
        "blosc without blocksize",
        {"compressor": {name: value for name, value in BLOSC.items() if name != "blocksize"}},
        {"compressor": BLOSC},
    ),
    Form("blosc without anything", {"compressor": {"id": "blosc"}}, {"compressor": BLOSC}),
    Form("zlib", {"compressor": {"id": "zlib", "level": 1}}, {"compressor": {"id": "zlib", "level": 1}}),
    Form("zlib without level", {"compressor": {"id": "zlib"}}, {"compressor": {"id": "zlib", "level": 1}}),
    Form("gzip", {"compressor": {"id": "gzip", "level": 6}}, {"compressor": {"id": "gzip", "level": 6}}),
    Form(
        "lz4",
        {"compressor": {"id": "lz4", "acceleration": 1}},
        {"compressor": {"id": "lz4", "acceleration": 1}},
    ),
    Form(
        "zstd with checksum",
        {"compressor": {"id": "zstd", "level": 5, "checksum": True}},
        {"compressor": {"id": "zstd", "level": 5, "checksum": True}},
    ),
    Form(
        "zstd with checksum false",
        {"compressor": {"id": "zstd", "level": 5, "checksum": False}},
        {"compressor": {"id": "zstd", "level": 5}},
    ),
    Form(
        "crc32c filter", {"filters": [{"id": "crc32c", "location": "end"}]}, {"filters": [{"id": "crc32c"}]}
    ),
    Form("extra fields", {"foo": {"bar": 1}, "_x": None}, {"foo": {"bar": 1}, "_x": None}),
    Form("0-d", {"shape": [], "chunks": []}, {"shape": [], "chunks": []}),
    Form("no elements", {"shape": [0]}, {"shape": [0], "chunks": [2]}),
)


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_a_form_is_read_and_written_canonically(form: Form) -> None:
    metadata = read(changed(V2_ARRAY, **form.changes))
    assert list(metadata.assumed) == ([] if form.assumed is None else [form.assumed])
    documents = metadata.to_documents()
    assert documents.keys() == {".zarray"}
    written = json.loads(documents[".zarray"])
    for name, value in form.written.items():
        assert json.dumps(written[name]) == json.dumps(value)
    again = parse_array(documents[".zarray"], strict=True)
    assert again.to_documents() == documents
    assert again.codecs == metadata.codecs
    assert again.assumed == ()


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_strict_reading_takes_legal_forms_only(form: Form) -> None:
    document = changed(V2_ARRAY, **form.changes)
    if form.assumed is None:
        assert read(document, strict=True).assumed == ()
        return
    with pytest.raises(MetadataError) as caught:
        read(document, strict=True)
    assert caught.value.key == "a/.zarray"
    assert form.assumed.startswith(caught.value.message)


@pytest.mark.parametrize(
    ("changes", "codecs"),
    [
        ({}, (BytesCodec(),)),
        ({"dtype": ">f4"}, (BytesCodec(endian="big"),)),
        ({"dtype": "|u1", "order": "F"}, (BytesCodec(endian=None),)),
        ({"shape": [4, 6], "chunks": [2, 3], "order": "F"}, (TransposeCodec(order=(1, 0)), BytesCodec())),
        (
            {"compressor": BLOSC | {"shuffle": -1}},
            (BytesCodec(), BloscCodec(cname="lz4", typesize=4, shuffle="shuffle")),
        ),
        (
            {"dtype": "|i1", "compressor": BLOSC | {"shuffle": -1}},
            (BytesCodec(endian=None), BloscCodec(cname="lz4", typesize=1, shuffle="bitshuffle")),
        ),
        (
            {"filters": [{"id": "crc32c"}, {"id": "zlib"}], "compressor": {"id": "lz4"}},
            (BytesCodec(), Crc32cCodec(), ZlibCodec(), Lz4Codec()),
        ),
    ],
)
def test_order_filters_byte_order_and_compressor_make_one_chain(
    changes: dict[str, Any], codecs: tuple[Codec, ...]
) -> None:
    assert read(changed(V2_ARRAY, **changes)).codecs == codecs


def test_the_dtype_has_the_declared_byte_order() -> None:
    metadata = read(changed(V2_ARRAY, dtype=">f4", fill_value=1.5))
    assert metadata.dtype == np.dtype(">f4")
    assert metadata.endian == "big"
    assert metadata.data_type.numpy.isnative
    assert metadata.fill_value is not None
    assert metadata.fill_value.dtype.isnative
    assert metadata.fill_value == 1.5


@pytest.mark.parametrize(("separator", "key"), [(MISSING, "1.0"), (".", "1.0"), ("/", "1/0")])
def test_chunk_keys_follow_the_separator(separator: object, key: str) -> None:
    assert read(changed(V2_ARRAY, dimension_separator=separator)).chunk_key_encoding.encode((1, 0)) == key


@pytest.mark.parametrize(
    ("changes", "text", "cls"),
    [
        ({"zarr_format": 3}, "zarr_format: must be one of 2, got 3", MetadataError),
        ({"shape": 4}, "shape: must be a list, got 4", MetadataError),
        ({"shape": [2**70]}, "shape[0]: must be in [0, 9223372036854775807], got", MetadataError),
        ({"chunks": [0]}, "chunks[0]: must be in [1, 9223372036854775807], got 0", MetadataError),
        (
            {"chunks": [2, 2]},
            "chunk_grid: the chunk shape [2, 2] has 2 dimensions, the array 1",
            MetadataError,
        ),
        (
            {"dtype": "<U2"},
            "dtype: data type '<U2' (strings of a fixed length) is known but not",
            UnknownDataTypeError,
        ),
        ({"dtype": "|S4"}, "dtype: data type '|S4'", UnknownDataTypeError),
        ({"dtype": "<M8[ns]"}, "dtype: data type '<M8[ns]' (points in time)", UnknownDataTypeError),
        ({"dtype": [["a", "<f4"]]}, "dtype: data type 'struct' (records)", UnknownDataTypeError),
        ({"dtype": "bfloat16"}, "dtype: data type 'bfloat16'", UnknownDataTypeError),
        ({"dtype": 4}, "dtype: must be a string, got 4", MetadataError),
        ({"compressor": {"id": "lzma"}}, "compressor: codec 'lzma' is not supported", UnknownCodecError),
        (
            {"compressor": {"id": "lz5"}},
            "compressor: unknown codec 'lz5' (did you mean 'lz4'?)",
            UnknownCodecError,
        ),
        ({"compressor": {}}, "compressor: 'id' is missing", MetadataError),
        ({"compressor": "zstd"}, "compressor: must be an object, got 'zstd'", MetadataError),
        ({"compressor": MISSING}, "'compressor' is missing", MetadataError),
        (
            {"compressor": {"id": "gzip", "level": 12}},
            "compressor: gzip: level must be in [0, 9], got 12",
            MetadataError,
        ),
        (
            {"compressor": {"id": "bitround", "keepbits": 3}},
            "'bitround' is a filter, not a compressor",
            MetadataError,
        ),
        ({"filters": {"id": "crc32c"}}, "filters: must be a list", MetadataError),
        (
            {"filters": [{"id": "delta", "dtype": "<f4"}]},
            "filters[0]: codec 'delta' is not supp",
            UnknownCodecError,
        ),
        ({"order": "K"}, "order: must be one of 'C', 'F', got 'K'", MetadataError),
        (
            {"dimension_separator": "-"},
            "dimension_separator: must be one of '.', '/', got '-'",
            MetadataError,
        ),
        (
            {"dimension_separator": 0},
            "dimension_separator: must be one of '.', '/', got 0",
            MetadataError,
        ),
        ({"fill_value": MISSING}, "'fill_value' is missing", MetadataError),
        (
            {"fill_value": "0x7fc00001"},
            "fill_value: as a string must be 'NaN', 'Infinity', '-Infinity'",
            MetadataError,
        ),
        (
            {"filters": [{"id": "zlib"}, {"id": "bitround", "keepbits": 3}]},
            "filters: 'bitround' (array_to_array) cannot follow 'numcodecs.zlib' (bytes_to_bytes)",
            MetadataError,
        ),
        (
            {"shape": [2**31], "chunks": [2**31], "compressor": BLOSC},
            "blosc: a chunk of 8589934592 bytes is above the format's limit of 2147483631",
            MetadataError,
        ),
    ],
)
def test_a_wrong_array_names_the_field(changes: dict[str, Any], text: str, cls: type[MetadataError]) -> None:
    with pytest.raises(cls) as caught:
        read(changed(V2_ARRAY, **changes))
    assert text in str(caught.value)
    assert caught.value.key == "a/.zarray"


def test_attributes_are_beside_the_array() -> None:
    metadata = read(V2_ARRAY, {"a": [1, None]})
    assert metadata.attributes == {"a": [1, None]}
    assert json.loads(metadata.to_documents()[".zattrs"]) == {"a": [1, None]}


def test_wrong_attributes_name_their_own_document() -> None:
    with pytest.raises(MetadataError, match=r"\.zattrs: must be a JSON object, got \[1\]") as caught:
        parse_array(as_bytes(V2_ARRAY), b"[1]", where="a/b/.zarray")
    assert caught.value.key == "a/b/.zattrs"
    with pytest.raises(MetadataError) as caught:
        parse_group(b'{"zarr_format": 2}', b"", where=".zgroup")
    assert caught.value.key == ".zattrs"


def test_bare_nan_in_attributes_is_noted_once() -> None:
    metadata = read(V2_ARRAY, {"a": [math.nan, math.nan, math.inf]})
    assert metadata.assumed == (
        ".zattrs: holds a bare NaN, which is not JSON; read as the float",
        ".zattrs: holds a bare Infinity, which is not JSON; read as the float",
    )


def test_empty_attributes_are_written_only_over_others() -> None:
    assert ".zattrs" not in read(V2_ARRAY).to_documents()
    assert read(V2_ARRAY, {}).to_documents()[".zattrs"] == b"{}"
    created = build_array(shape=(3,), zarr_format=2, attributes={"a": 1})
    assert created.evolve(attributes={}).to_documents()[".zattrs"] == b"{}"
    group = build_group(zarr_format=2)
    assert group.to_documents() == {".zgroup": b'{\n  "zarr_format": 2\n}'}
    emptied = group.evolve(attributes={"a": 1}).evolve(attributes={})
    assert emptied.to_documents()[".zattrs"] == b"{}"


def test_a_group_and_back() -> None:
    group = parse_group(b'{"zarr_format": 2, "extra": 1}', b'{"a": 1}', where="g/.zgroup", strict=True)
    assert group.attributes == {"a": 1}
    assert group.extra_fields == {"extra": 1}
    documents = group.to_documents()
    assert parse_group(documents[".zgroup"], documents[".zattrs"]) == group
    with pytest.raises(MetadataError, match="zarr_format: must be one of 2, got 3"):
        parse_group(b'{"zarr_format": 3}')


@st.composite
def arrays(draw: st.DrawFn) -> ArrayMetadata:
    """Metadata of any v2 array."""
    ndim = draw(st.integers(0, 4))
    dtype = draw(st.sampled_from(["|b1", "|u1", "<i2", ">u8", "<f2", ">f4", "<f8", ">c16", "|V3"]))
    fills = {
        "b": st.booleans(),
        "u": st.integers(0, 255),
        "i": st.integers(-(2**15), 2**15 - 1),
        "f": st.floats(width=16) | st.none(),
        "c": st.lists(st.floats(), min_size=2, max_size=2) | st.none(),
        "V": st.binary(min_size=3, max_size=3) | st.none(),
    }
    compressors = [None, ZstdCodec(level=3, checksum=True), "blosc", GzipCodec(), {"id": "zlib", "level": 9}]
    return build_array(
        shape=tuple(draw(st.lists(st.integers(0, 2**40), min_size=ndim, max_size=ndim))),
        chunks=tuple(draw(st.lists(st.integers(1, 50), min_size=ndim, max_size=ndim))),
        dtype=dtype,
        fill_value=draw(fills[dtype[1]]),
        filters=draw(st.sampled_from([None, [Crc32cCodec()], [{"id": "lz4"}, {"id": "crc32c"}]])),
        compressors=draw(st.sampled_from(compressors)),
        order=draw(st.sampled_from(["C", "F"])),
        dimension_separator=draw(st.sampled_from("./")),
        attributes=draw(
            st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)
        ),
        zarr_format=2,
    )


@given(arrays())
def test_a_documents_reading_is_written_as_the_same_document(metadata: ArrayMetadata) -> None:
    documents = metadata.to_documents()
    again = parse_array(documents[".zarray"], documents.get(".zattrs"), strict=True)
    assert again.to_documents() == documents
    assert again == metadata
    assert again.codecs == metadata.codecs
    assert pickle.loads(pickle.dumps(again)) == metadata
