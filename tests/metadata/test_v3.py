"""``zarr.json``: golden documents, groups, and the round trip of any array."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metadata.documents import V3_ARRAY, V3_GROUP, as_bytes, changed
from zarrc.codecs import BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarrc.errors import AttributesError, MetadataError
from zarrc.metadata import ArrayMetadata, GroupMetadata, build_array, build_group, parse_node
from zarrc.metadata.validation import check_array

GOLDEN = Path(__file__).parent / "golden"


def golden_arrays() -> dict[str, ArrayMetadata]:
    """Arrays whose documents are in ``golden/``, by the name of the file."""
    return {
        "v3_default": build_array(shape=(10000, 1000), chunks=(1000, 100)),
        "v3_full": build_array(
            shape=(10000, 1000),
            chunks=(1000, 100),
            dtype=">f4",
            fill_value="0x7fc00001",
            codecs=[
                {"name": "transpose", "configuration": {"order": [1, 0]}},
                {"name": "bytes", "configuration": {"endian": "big"}},
                "blosc",
                "crc32c",
            ],
            chunk_key_encoding=("v2", "/"),
            attributes={"units": "µm", "scale": np.float32(0.5)},
            dimension_names=["rows", None],
        ),
        "v3_uint8": build_array(shape=(3,), dtype="u1", compressors=None, fill_value=255),
        "v3_raw": build_array(shape=(), dtype="r24", fill_value=b"\1\2\3", compressors=["gzip"]),
    }


@pytest.mark.parametrize("name", sorted(golden_arrays()))
def test_a_document_is_written_to_the_byte_as_agreed(name: str) -> None:
    metadata = golden_arrays()[name]
    expected = (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")
    assert metadata.to_documents() == {"zarr.json": expected}
    assert parse_node(expected, strict=True) == metadata


def test_the_indent_is_the_callers() -> None:
    documents = build_group(attributes={"a": 1}).to_documents(indent=None)
    assert documents == {"zarr.json": b'{"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}'}


def test_a_group_and_back() -> None:
    group = build_group(attributes={"a": [1, {"b": None}]})
    assert group.to_documents().keys() == {"zarr.json"}
    assert "consolidated_metadata" not in json.loads(group.to_documents()["zarr.json"])
    assert parse_node(group.to_documents()["zarr.json"], strict=True) == group
    assert pickle.loads(pickle.dumps(group)) == group


def test_a_group_keeps_what_it_does_not_know() -> None:
    consolidated = {"kind": "inline", "must_understand": False, "metadata": {"a": changed(V3_ARRAY)}}
    extra = {"must_understand": False, "x": 1}
    document = changed(V3_GROUP, consolidated_metadata=consolidated, foo=extra)
    group = parse_node(as_bytes(document), strict=True)
    assert isinstance(group, GroupMetadata)
    assert group.consolidated == consolidated
    assert group.extra_fields == {"foo": extra}
    assert json.loads(group.evolve(attributes={"a": 1}).to_documents()["zarr.json"]) == changed(
        document, attributes={"a": 1}
    )


def test_a_groups_null_consolidated_metadata_is_dropped() -> None:
    group = parse_node(as_bytes(changed(V3_GROUP, consolidated_metadata=None)))
    assert group.assumed == ("consolidated_metadata: is null; ignored",)
    assert json.loads(group.to_documents()["zarr.json"]) == V3_GROUP


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"zarr_format": 2}, "zarr_format: must be one of 3, got 2"),
        ({"zarr_format": "3"}, "zarr_format: must be one of 3, got '3'"),
        ({"zarr_format": 3.0}, "zarr_format: must be one of 3, got 3.0"),
        ({"zarr_format": True}, "zarr_format: must be one of 3, got True"),
        ({"node_type": "dataset"}, "node_type: must be one of 'array', 'group', got 'dataset'"),
        ({"attributes": []}, "attributes: must be an object, got []"),
        ({"consolidated_metadata": 3}, "consolidated_metadata: must be an object, got 3"),
        ({"foo": {}}, "'foo': unknown field without must_understand: false"),
    ],
)
def test_a_wrong_group_names_the_field(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        parse_node(as_bytes(changed(V3_GROUP, **changes)), where="g/zarr.json")
    assert str(caught.value) == f"{text} (key 'g/zarr.json')"


def test_the_model_prints_usefully() -> None:
    metadata = golden_arrays()["v3_full"]
    assert str(metadata.data_type) == "float32"
    assert metadata.shape == (10000, 1000)
    assert metadata.chunk_grid.chunk_shape == metadata.chunks == (1000, 100)
    assert metadata.dimension_names == ("rows", None)
    assert metadata.dtype == np.dtype("f4")
    assert metadata.ndim == 2
    assert metadata.shards is None
    assert repr(metadata.codecs[:2]) == "(TransposeCodec(order=(1, 0)), BytesCodec(endian='big'))"
    assert [codec.name for codec in metadata.filters] == ["transpose"]
    assert metadata.serializer == BytesCodec(endian="big")
    assert [codec.name for codec in metadata.compressors] == ["blosc", "crc32c"]


def test_metadata_evolves_pickles_and_keeps_its_fill_value_read_only() -> None:
    metadata = golden_arrays()["v3_full"]
    changed_metadata = metadata.evolve(shape=(3, 3))
    assert changed_metadata.shape == (3, 3)
    assert changed_metadata != metadata
    assert changed_metadata.evolve(shape=metadata.shape) == metadata
    copy = pickle.loads(pickle.dumps(metadata))
    assert copy == metadata
    assert copy.fill_value is not None
    assert not copy.fill_value.flags.writeable
    with pytest.raises(MetadataError, match="chunk_grid: the chunk shape"):
        metadata.evolve(shape=(3,))


def test_attributes_that_json_cannot_say_are_never_written() -> None:
    metadata = parse_node(as_bytes(changed(V3_ARRAY, attributes={"c": float("nan")})))
    assert metadata.assumed == ("holds a bare NaN, which is not JSON; read as the float",)
    assert isinstance(metadata, ArrayMetadata)
    assert metadata.evolve() == metadata
    with pytest.raises(AttributesError, match="cannot be written as JSON"):
        metadata.to_documents()


def test_equality_looks_at_the_bits_of_the_fill_value() -> None:
    zero, minus_zero, nan = (build_array(shape=3, fill_value=value) for value in (0.0, -0.0, "NaN"))
    assert zero != minus_zero
    assert nan == build_array(shape=3, fill_value=np.nan)
    assert zero != "zero"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arrays(draw: st.DrawFn) -> ArrayMetadata:
    """Metadata of any v3 array."""
    ndim = draw(st.integers(0, 4))
    name = draw(
        st.sampled_from(["bool", "int8", "uint64", "float16", "float32", "float64", "complex128", "r24"])
    )
    itemsize = {
        "bool": 1,
        "int8": 1,
        "uint64": 8,
        "float16": 2,
        "float32": 4,
        "float64": 8,
        "complex128": 16,
        "r24": 3,
    }[name]
    dtype = np.dtype("V3" if name == "r24" else name)
    data = (
        bytes([draw(st.booleans())])
        if name == "bool"
        else draw(st.binary(min_size=itemsize, max_size=itemsize))
    )
    order = draw(st.permutations(range(ndim)))
    chain: Any = draw(
        st.sampled_from([[], [ZstdCodec(level=3, checksum=True)], ["blosc"], [GzipCodec(), Crc32cCodec()]])
    )
    return build_array(
        shape=tuple(draw(st.lists(st.integers(0, 2**40), min_size=ndim, max_size=ndim))),
        chunks=tuple(draw(st.lists(st.integers(1, 50), min_size=ndim, max_size=ndim))),
        dtype=name,
        fill_value=np.frombuffer(data, dtype).reshape(()),
        codecs=[
            TransposeCodec(order=tuple(order)),
            BytesCodec(endian=draw(st.sampled_from(["little", "big"]))),
            *chain,
        ],
        chunk_key_encoding=(draw(st.sampled_from(["default", "v2"])), draw(st.sampled_from("./"))),
        dimension_names=draw(st.none() | st.lists(st.none() | st.text(), min_size=ndim, max_size=ndim)),
        strict_dimension_names=False,
        attributes=draw(st.dictionaries(st.text(max_size=5), JSON, max_size=3)),
    )


@given(arrays(), st.sampled_from([None, 2]))
def test_a_documents_reading_is_written_as_the_same_document(
    metadata: ArrayMetadata, indent: int | None
) -> None:
    document = metadata.to_documents(indent=indent)["zarr.json"]
    again = parse_node(document, strict=True)
    assert isinstance(again, ArrayMetadata)
    assert again.to_documents(indent=indent)["zarr.json"] == document
    assert again == metadata
    assert again.codecs == metadata.codecs
    assert again.attributes == metadata.attributes


@given(arrays())
def test_what_is_read_would_pass_the_checks_again(metadata: ArrayMetadata) -> None:
    """The reader checks each field as it meets it, and does not run `check_array`."""
    (document,) = metadata.to_documents().values()
    read = parse_node(document)
    assert isinstance(read, ArrayMetadata)
    check_array(read)
    assert read.fill_value is not None
    assert not read.fill_value.flags.writeable
    assert read.evolve() == read == metadata
