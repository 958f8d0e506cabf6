"""The forms of v3 documents that occur: read, read and noted, or refused; leniently and strictly."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.metadata.documents import MISSING, V3_ARRAY, as_bytes, changed
from zarrc.errors import MetadataError, UnknownCodecError, UnknownDataTypeError, UnknownExtensionError
from zarrc.metadata import ArrayMetadata, parse_node


def read(document: dict[str, Any], **options: Any) -> ArrayMetadata:
    metadata = parse_node(as_bytes(document), where="a/zarr.json", **options)
    assert isinstance(metadata, ArrayMetadata)
    return metadata


class Form(NamedTuple):
    """A document that is read; ``assumed`` is what is noted if it is not legal."""

    name: str
    changes: dict[str, Any]
    written: dict[str, Any]
    assumed: str | None = None


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
PLAIN = {"name": "bytes"}
GRID_0D = {"name": "regular", "configuration": {"chunk_shape": []}}
BLOSC = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}
BLOSC_DOCUMENT = {"name": "blosc", "configuration": BLOSC}
INDEX = [BYTES, {"name": "crc32c"}]
INDEXED = {"index_codecs": INDEX, "index_location": "end"}


def _sharding(codecs: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """Sharding into inner chunks of one element."""
    configuration = {"chunk_shape": [1], "codecs": codecs or [BYTES], **more}
    return {"name": "sharding_indexed", "configuration": configuration}


FORMS = (
    Form(
        "1 short codecs",
        {"data_type": "uint8", "codecs": ["bytes", "crc32c"]},
        {"codecs": [PLAIN, {"name": "crc32c"}]},
    ),
    Form("2 object data type", {"data_type": {"name": "float32"}}, {"data_type": "float32"}),
    Form(
        "3 with configuration",
        {"data_type": {"name": "float32", "configuration": {}}},
        {"data_type": "float32"},
    ),
    Form(
        "4 short key encoding",
        {"chunk_key_encoding": "default"},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}},
    ),
    Form(
        "5 v2 key encoding without configuration",
        {"chunk_key_encoding": {"name": "v2"}},
        {"chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}}},
    ),
    Form(
        "5 default key encoding without configuration",
        {"chunk_key_encoding": {"name": "default"}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}},
    ),
    Form(
        "6 raw bits",
        {"data_type": "r24", "fill_value": [1, 2, 3], "codecs": ["bytes"]},
        {"fill_value": [1, 2, 3]},
    ),
    Form(
        "6 raw bits, base64",
        {"data_type": "r24", "fill_value": "AQID", "codecs": ["bytes"]},
        {"fill_value": [1, 2, 3]},
        "fill_value: base64 is v2's form of raw bits; read as a list of integers",
    ),
    Form(
        "7 raw_bytes",
        {
            "data_type": {"name": "raw_bytes", "configuration": {"length_bytes": 3}},
            "fill_value": [1, 2, 3],
            "codecs": ["bytes"],
        },
        {"data_type": "r24", "fill_value": [1, 2, 3]},
        "data_type: 'raw_bytes' is zarr-python's own name; read as 'r24'",
    ),
    Form("9 NaN by its bits", {"fill_value": "0x7fc00001"}, {"fill_value": "0x7fc00001"}),
    Form("9 the usual NaN by its bits", {"fill_value": "0x7fc00000"}, {"fill_value": "NaN"}),
    Form("9 a number by its bits", {"fill_value": "0x3f800000"}, {"fill_value": 1.0}),
    Form("9 NaN", {"fill_value": "NaN"}, {"fill_value": "NaN"}),
    Form("9 -0.0", {"fill_value": -0.0}, {"fill_value": -0.0}),
    Form(
        "10 +Infinity",
        {"fill_value": "+Infinity"},
        {"fill_value": "Infinity"},
        "fill_value: '+Infinity' is not a form of the specification; read as 'Infinity'",
    ),
    Form(
        "11 whole float for an integer",
        {"data_type": "int32", "fill_value": 1.0},
        {"fill_value": 1},
        "fill_value: 1.0 is not written as an integer; read as 1",
    ),
    Form(
        "12 number for a bool",
        {"data_type": "bool", "fill_value": 0},
        {"fill_value": False, "codecs": [PLAIN]},
        "fill_value: 0 is not true or false; read as false",
    ),
    Form(
        "14 uint64 above 2**53", {"data_type": "uint64", "fill_value": 2**64 - 1}, {"fill_value": 2**64 - 1}
    ),
    Form(
        "14 int64 above 2**53",
        {"data_type": "int64", "fill_value": -(2**53) - 1},
        {"fill_value": -(2**53) - 1},
    ),
    Form(
        "15 complex",
        {"data_type": "complex64", "fill_value": ["-Infinity", "NaN"]},
        {"fill_value": ["-Infinity", "NaN"]},
    ),
    Form(
        "15 complex bits",
        {"data_type": "complex64", "fill_value": ["0x3f800000", "NaN"]},
        {"fill_value": [1.0, "NaN"]},
    ),
    Form(
        "16 complex_float32",
        {"data_type": "complex_float32", "fill_value": [0, 0]},
        {"data_type": "complex_float32"},
    ),
    Form("19 no name", {"dimension_names": [None]}, {"dimension_names": [None]}),
    Form("19 empty name", {"dimension_names": [""]}, {"dimension_names": [""]}),
    Form(
        "19 one name twice",
        {
            "shape": [4, 4],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}},
            "dimension_names": ["x", "x"],
        },
        {"dimension_names": ["x", "x"]},
    ),
    Form(
        "20 extra field",
        {"foo": {"must_understand": False, "a": [1]}},
        {"foo": {"must_understand": False, "a": [1]}},
    ),
    Form("22 no storage transformers", {"storage_transformers": []}, {"storage_transformers": MISSING}),
    Form(
        "27 transpose F",
        {"codecs": [{"name": "transpose", "configuration": {"order": "F"}}, BYTES]},
        {"codecs": [{"name": "transpose", "configuration": {"order": [0]}}, BYTES]},
        "codecs[0].configuration.order: 'F' is a form of v3's drafts; read as all dimensions reversed",
    ),
    Form(
        "28 zstd without checksum",
        {"codecs": [BYTES, {"name": "zstd", "configuration": {"level": 3}}]},
        {"codecs": [BYTES, {"name": "zstd", "configuration": {"level": 3, "checksum": False}}]},
    ),
    Form(
        "28 zstd without configuration",
        {"codecs": [BYTES, "zstd"]},
        {"codecs": [BYTES, {"name": "zstd", "configuration": {"level": 0, "checksum": False}}]},
        "codecs[1].configuration: 'level' is missing; read as 0",
    ),
    Form(
        "28 gzip without configuration",
        {"codecs": [BYTES, {"name": "gzip"}]},
        {"codecs": [BYTES, {"name": "gzip", "configuration": {"level": 5}}]},
        "codecs[1].configuration: 'level' is missing; read as 5",
    ),
    Form(
        "29 blosc without typesize",
        {
            "codecs": [
                BYTES,
                {"name": "blosc", "configuration": {k: v for k, v in BLOSC.items() if k != "typesize"}},
            ]
        },
        {"codecs": [BYTES, BLOSC_DOCUMENT]},
        "codecs[1].configuration: 'typesize' is missing; read as the size of the data type",
    ),
    Form(
        "29 blosc with numcodecs' shuffle",
        {"codecs": [BYTES, {"name": "blosc", "configuration": BLOSC | {"shuffle": 1}}]},
        {"codecs": [BYTES, BLOSC_DOCUMENT]},
        "codecs[1].configuration.shuffle: 1 is numcodecs' number; read as 'shuffle'",
    ),
    Form(
        "30 sharding without index_location",
        {"codecs": [_sharding(index_codecs=INDEX)]},
        {"codecs": [_sharding(index_codecs=INDEX, index_location="end")]},
        "codecs[0].configuration: 'index_location' is missing; read as 'end'",
    ),
    Form(
        "30 sharding without index_codecs",
        {"codecs": [_sharding(index_location="start")]},
        {"codecs": [_sharding(index_codecs=INDEX, index_location="start")]},
        "codecs[0].configuration: 'index_codecs' is missing; read as little-endian bytes and crc32c",
    ),
    Form(
        "sharding in shards",
        {"codecs": [_sharding([_sharding(**INDEXED)], **INDEXED)]},
        {"codecs": [_sharding([_sharding(**INDEXED)], **INDEXED)]},
    ),
    Form("31 0-d", {"shape": [], "chunk_grid": GRID_0D}, {"shape": []}),
    Form("32 no elements", {"shape": [0]}, {"shape": [0]}),
    Form("32 chunk above shape", {"shape": [1]}, {"shape": [1]}),
    Form(
        "33 null attributes", {"attributes": None}, {"attributes": {}}, "attributes: is null; read as empty"
    ),
    Form(
        "null dimension names",
        {"dimension_names": None},
        {"dimension_names": MISSING},
        "dimension_names: is null; read as no names",
    ),
    Form(
        "33 null consolidated metadata",
        {"consolidated_metadata": None},
        {"consolidated_metadata": MISSING},
        "consolidated_metadata: is null; ignored",
    ),
    Form(
        "34 endian",
        {"codecs": [{"name": "endian", "configuration": {"endian": "little"}}]},
        {"codecs": [BYTES]},
        "codecs[0].name: 'endian' is not a registered name; read as 'bytes'",
    ),
    Form(
        "lz4",
        {"codecs": [BYTES, {"name": "lz4"}]},
        {"codecs": [BYTES, {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}]},
        "codecs[1].name: 'lz4' is not a registered name; read as 'numcodecs.lz4'",
    ),
    Form(
        "numcodecs' defaults",
        {"codecs": [BYTES, {"name": "numcodecs.zlib", "configuration": {}}]},
        {"codecs": [BYTES, {"name": "numcodecs.zlib", "configuration": {"level": 1}}]},
    ),
    Form(
        "bare NaN",
        {"fill_value": math.nan},
        {"fill_value": "NaN"},
        "holds a bare NaN, which is not JSON; read as the float",
    ),
)


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_a_form_is_read_and_written_canonically(form: Form) -> None:
    metadata = read(changed(V3_ARRAY, **form.changes))
    assert list(metadata.assumed) == ([] if form.assumed is None else [form.assumed])
    written = json.loads(metadata.to_documents()["zarr.json"])
    for name, value in form.written.items():
        assert written.get(name, MISSING) == value
        # 1 == 1.0 == True and 0.0 == -0.0 in Python, but not in JSON.
        assert value is MISSING or json.dumps(written[name]) == json.dumps(value)
    again = parse_node(metadata.to_documents()["zarr.json"], strict=True)
    assert again == metadata
    assert again.assumed == ()


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_strict_reading_takes_legal_forms_only(form: Form) -> None:
    document = changed(V3_ARRAY, **form.changes)
    if form.assumed is None:
        assert read(document, strict=True).assumed == ()
        return
    with pytest.raises(MetadataError) as caught:
        read(document, strict=True)
    assert caught.value.key == "a/zarr.json"
    assert form.assumed.startswith(caught.value.message)


class Refusal(NamedTuple):
    """A document that is refused, lenient or strict."""

    name: str
    changes: dict[str, Any]
    text: str
    cls: type[MetadataError] = MetadataError


REFUSALS = (
    Refusal("13 null fill", {"fill_value": None}, "fill_value: is null; zarr_format 3 requires one"),
    Refusal("13 no fill", {"fill_value": MISSING}, "fill_value: is missing; zarr_format 3 requires one"),
    Refusal("17 bfloat16", {"data_type": "bfloat16"}, "'bfloat16'", UnknownDataTypeError),
    Refusal(
        "17 int4", {"data_type": "int4"}, "'int4' (4-bit integers) is known but not", UnknownDataTypeError
    ),
    Refusal("17 float8", {"data_type": "float8_e4m3"}, "'float8_e4m3'", UnknownDataTypeError),
    Refusal(
        "8 bytes", {"data_type": "bytes", "fill_value": [1, 2]}, "bytes of any length", UnknownDataTypeError
    ),
    Refusal("18 no endian", {"codecs": ["bytes"]}, "codecs: bytes: endian is missing, and float32 needs one"),
    Refusal(
        "20 extra field",
        {"foo": {"name": "bar"}},
        "'foo': unknown field without must_understand",
        UnknownExtensionError,
    ),
    Refusal(
        "20 extra scalar", {"foo": 1}, "'foo': unknown field without must_understand", UnknownExtensionError
    ),
    Refusal(
        "21 unknown codec", {"codecs": [BYTES, "nope"]}, "codecs[1]: unknown codec 'nope'", UnknownCodecError
    ),
    Refusal(
        "22 storage transformer",
        {"storage_transformers": [{"name": "x"}]},
        "storage_transformers[0]: unknown storage transformer 'x'",
        UnknownExtensionError,
    ),
    Refusal(
        "23 rectilinear without chunks",
        {"chunk_grid": {"name": "rectilinear"}},
        "chunk_grid.configuration: 'kind' is missing",
    ),
    Refusal(
        "24 datetime", {"data_type": {"name": "numpy.datetime64"}}, "points in time", UnknownDataTypeError
    ),
    Refusal(
        "30 sharding without a shape",
        {"codecs": [{"name": "sharding_indexed"}]},
        "codecs[0].configuration: 'chunk_shape' is missing",
    ),
    Refusal(
        "must_understand on a data type",
        {"data_type": {"name": "float32", "must_understand": False}},
        "data_type: must_understand: false is not allowed here",
    ),
    Refusal(
        "names for other dimensions",
        {"dimension_names": ["x", "y"]},
        "dimension_names: there are 2 names for 1",
    ),
    Refusal(
        "a name that is a number", {"dimension_names": [3]}, "dimension_names[0]: must be a string, got 3"
    ),
    Refusal(
        "consolidated metadata of an array",
        {"consolidated_metadata": {"kind": "inline"}},
        "'consolidated_metadata': unknown field",
    ),
)


@pytest.mark.parametrize("refusal", REFUSALS, ids=[refusal.name for refusal in REFUSALS])
@pytest.mark.parametrize("strict", [False, True])
def test_what_has_no_meaning_is_refused(refusal: Refusal, strict: bool) -> None:
    with pytest.raises(refusal.cls) as caught:
        read(changed(V3_ARRAY, **refusal.changes), strict=strict)
    assert refusal.text in str(caught.value)
    assert caught.value.key == "a/zarr.json"


@pytest.mark.parametrize("fill", [None, MISSING])
def test_a_missing_fill_value_can_be_repaired(fill: object) -> None:
    metadata = read(changed(V3_ARRAY, fill_value=fill), repair_fill="NaN")
    assert metadata.fill_value is not None
    assert np.isnan(metadata.fill_value)
    assert len(metadata.assumed) == 1
    assert metadata.assumed[0].startswith("fill_value: is ")
    assert metadata.assumed[0].endswith("; read as 'NaN'")


@pytest.mark.parametrize("strict", [False, True])
def test_an_unknown_codec_that_need_not_be_understood_is_skipped_and_kept(strict: bool) -> None:
    unknown = {"name": "nope", "configuration": {"x": 1}, "must_understand": False}
    metadata = read(changed(V3_ARRAY, codecs=[BYTES, unknown]), strict=strict)
    assert metadata.codecs[1].name == "nope"
    assert metadata.codecs[1].kind == "unknown"
    assert "codecs[1]: the unknown codec 'nope' has must_understand: false" in metadata.assumed[0]
    assert json.loads(metadata.to_documents()["zarr.json"])["codecs"] == [BYTES, unknown]


def test_a_storage_transformer_that_need_not_be_understood_is_kept() -> None:
    transformers = [{"name": "x", "must_understand": False}]
    metadata = read(changed(V3_ARRAY, storage_transformers=transformers), strict=True)
    assert metadata.assumed == (
        "storage_transformers[0]: the storage transformer 'x' has must_understand: false; ignored",
    )
    assert json.loads(metadata.to_documents()["zarr.json"])["storage_transformers"] == transformers


def test_the_registrys_alias_of_bitround_is_legal_and_noted() -> None:
    document = changed(
        V3_ARRAY, codecs=[{"name": "numcodecs.bitround", "configuration": {"keepbits": 3}}, BYTES]
    )
    metadata = read(document, strict=True)
    assert metadata.assumed == ("codecs[0].name: 'numcodecs.bitround' is another name of 'bitround'",)
    written = json.loads(metadata.to_documents()["zarr.json"])["codecs"]
    assert written[0] == {"name": "bitround", "configuration": {"keepbits": 3}}


def test_reading_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in FORMS:
            read(changed(V3_ARRAY, **form.changes))
