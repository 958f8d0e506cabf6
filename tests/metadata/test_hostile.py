"""Documents made to hurt: always a MetadataError that names the document, never another exception."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metadata.documents import V2_ARRAY, V3_ARRAY, V3_GROUP, as_bytes, changed
from tests.soak import count
from zarrc.errors import AttributesError, MetadataError
from zarrc.metadata import ArrayMetadata, parse_array, parse_group, parse_node
from zarrc.metadata.validation import check_array

KEYS = {parse_node: "a/zarr.json", parse_array: "a/.zarray", parse_group: "a/.zgroup"}
PARSERS: tuple[Any, ...] = tuple(KEYS)

DEEP = b'{"attributes": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"


def refusal(parse: Callable[..., Any], document: bytes, **options: Any) -> MetadataError | None:
    """The error that reading the document gives, if it gives one; it may be no other than a MetadataError."""
    try:
        read = parse(document, **options)
    except MetadataError as error:
        return error
    if isinstance(read, ArrayMetadata):
        # The reader checks each field as it meets it, and does not run this: what it lets pass must stand.
        check_array(read)
        n_chunks = read.chunk_grid.grid_shape(read.shape)
        assert len(read.chunks) == len(read.shards or n_chunks) == len(read.inner_grid.grid_shape(read.shape))
        for d, (n, extent) in enumerate(zip(n_chunks, read.shape, strict=True)):
            assert n == 0 or extent <= read.chunk_grid.chunk_bounds(d, n - 1)[1] < 2**63 + extent
    return None


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"", "is not JSON: Expecting value"),
        (b"\xff\xfe{}", "is not UTF-8: invalid start byte at byte 0"),
        (b"\xef\xbb\xbf{}", "starts with a byte order mark"),
        (b'{"a": "\xc3"}', "is not UTF-8"),
        ("{}".encode("utf-16"), "is not UTF-8"),
        (b"{}x", "is not JSON: Extra data"),
        (b'{"a": 1', "is not JSON"),
        (b'{"a": \x00}', "is not JSON"),
        (b"[]", "must be a JSON object, got []"),
        (b"3", "must be a JSON object, got 3"),
        (b"null", "must be a JSON object, got None"),
        (b'"zarr"', "must be a JSON object, got 'zarr'"),
        (b"NaN", "must be a JSON object, got nan"),
        (b'{"a": 1, "a": 2}', "the key 'a' appears twice in one object"),
        (b'{"attributes": {"x": [{"b": 1, "b": 1}]}}', "the key 'b' appears twice in one object"),
        (b'{"shape": [' + b"9" * 5000 + b"]}", "is not JSON: Exceeds the limit (4300 digits)"),
        (DEEP, "is nested too deeply"),
        (b"{}", "'zarr_format' is missing"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_document_is_refused(parse: Any, document: bytes, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        parse(document, where=KEYS[parse])
    assert text in str(caught.value)
    assert caught.value.key == KEYS[parse]
    assert len(str(caught.value)) < 300


def test_a_hundred_megabytes_of_digits_are_refused_at_once() -> None:
    with pytest.raises(MetadataError, match="Exceeds the limit"):
        parse_node(b'{"shape": [' + b"1" * (100 << 20) + b"]}")


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([2**70], "shape[0]: must be in [0, 9223372036854775807], got 1180591620717411303424"),
        ([2**63], "shape[0]: must be in [0, 9223372036854775807]"),
        ([-1], "shape[0]: must be in [0, 9223372036854775807], got -1"),
        ([4.0], "shape[0]: must be an integer, got 4.0"),
        ([True], "shape[0]: must be an integer, got True"),
        ([None], "shape[0]: must be an integer, got None"),
        (["4"], "shape[0]: must be an integer, got '4'"),
        ([[4]], "shape[0]: must be an integer, got [4]"),
        (4, "shape: must be a list, got 4"),
        ({}, "shape: must be a list, got {}"),
        (None, "shape: must be a list, got None"),
        ([1] * 33, "shape: has 33 dimensions; up to 32 are supported"),
        ([1] * 100_000, "shape: has 100000 dimensions; up to 32 are supported"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_absurd_shapes_are_refused_in_both_formats(shape: Any, text: str) -> None:
    grid = {
        "name": "regular",
        "configuration": {"chunk_shape": [2] * (len(shape) if isinstance(shape, list) else 1)},
    }
    for parse, document in (
        (parse_node, changed(V3_ARRAY, shape=shape, chunk_grid=grid)),
        (parse_array, changed(V2_ARRAY, shape=shape, chunks=grid["configuration"]["chunk_shape"])),  # type: ignore[index]
    ):
        with pytest.raises(MetadataError) as caught:
            parse(as_bytes(document), where="k")
        assert text in str(caught.value)
        assert caught.value.key == "k"


def test_a_chunk_whose_bytes_overflow_is_refused() -> None:
    grid = {"name": "regular", "configuration": {"chunk_shape": [2**40, 2**40]}}
    document = changed(V3_ARRAY, shape=[2**41, 2**41], chunk_grid=grid)
    with pytest.raises(
        MetadataError, match=r"chunk_grid: a chunk of shape .* has more than 2\*\*63 - 1 bytes"
    ):
        parse_node(as_bytes(document))


@pytest.mark.parametrize(
    ("shape", "chunk_shapes", "text"),
    [
        ([4], [[1, 2]], "chunk_grid: the chunks along axis 0 have 3 elements in all, the array 4"),
        ([4], [], "chunk_grid: the 'rectilinear' grid has 0 dimensions, the array 1"),
        ([4], [2] * 100_000, "has 100000 dimensions, the array 1"),
        (
            [4, 4],
            [[[2, 2]], [2**62, 2**62]],
            "chunk_grid: a chunk of shape [2, 4611686018427387904] has more",
        ),
        ([2**63 - 1], [[2**62 + 1, 2**62]], "chunk_grid: the last chunk along axis 0 ends beyond 2**63 - 1"),
        ([4], [[4], [4]], "chunk_grid: the 'rectilinear' grid has 2 dimensions, the array 1"),
        ([2**63 - 1], [[[10, 2**62]]], "chunk_grid: the last chunk along axis 0 ends beyond 2**63 - 1"),
        ([4], [[[2**63 - 1, 2**63 - 1]]], "chunk_grid: a chunk of shape [9223372036854775807] has more than"),
        ([2**62], [[[1, 2**61]]], "have 2305843009213693952 elements in all, the array 4611686018427387904"),
    ],
)
def test_chunks_of_several_shapes_that_do_not_fit_are_refused(
    shape: list[int], chunk_shapes: list[Any], text: str
) -> None:
    grid = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": chunk_shapes}}
    with pytest.raises(MetadataError) as caught:
        parse_node(as_bytes(changed(V3_ARRAY, shape=shape, chunk_grid=grid)), where="a/zarr.json")
    assert text in str(caught.value)
    assert caught.value.key == "a/zarr.json"
    assert len(str(caught.value)) < 300


def test_an_array_of_very_many_elements_is_legal() -> None:
    grid = {"name": "regular", "configuration": {"chunk_shape": [2**10, 2**10]}}
    parse_node(as_bytes(changed(V3_ARRAY, shape=[2**62, 2**62], chunk_grid=grid)))


@pytest.mark.parametrize(
    "value", [None, True, 3, -1, 1.5, "x", "", [], [[]], {}, {"a": 1}, [1, "x", None], 2**80]
)
@pytest.mark.parametrize("field", [*V3_ARRAY, "attributes", "dimension_names", "storage_transformers", "foo"])
def test_a_v3_field_of_the_wrong_type_is_refused_by_its_name(field: str, value: Any) -> None:
    error = refusal(parse_node, as_bytes(changed(V3_ARRAY, **{field: value})), where="a/zarr.json")
    if error is not None:
        assert field in str(error)
        assert error.key == "a/zarr.json"
        assert len(str(error)) < 400


@pytest.mark.parametrize(
    "value", [None, True, 3, -1, 1.5, "x", "", [], [[]], {}, {"a": 1}, [1, "x", None], 2**80]
)
@pytest.mark.parametrize("field", [*V2_ARRAY, "dimension_separator"])
def test_a_v2_field_of_the_wrong_type_is_refused_by_its_name(field: str, value: Any) -> None:
    error = refusal(parse_array, as_bytes(changed(V2_ARRAY, **{field: value})), where="a/.zarray")
    if error is not None:
        assert field in str(error) or "chunk" in str(error)
        assert error.key == "a/.zarray"
        assert len(str(error)) < 400


@pytest.mark.parametrize("field", [*V3_ARRAY])
def test_a_missing_v3_field_is_refused_by_its_name(field: str) -> None:
    document = {name: value for name, value in V3_ARRAY.items() if name != field}
    with pytest.raises(MetadataError, match=f"'?{field}'?:? is missing"):
        parse_node(as_bytes(document))


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 2**64, 2**70]),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["NaN", "bytes", "zstd", "blosc", "float32", "r24", "r7", "regular", "default", "v2", "C", "F", "<f4"]
    ),
    st.lists(st.integers(-2, 5), max_size=4),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 2, 2**62, 2**63])), max_size=2),
    st.dictionaries(
        st.sampled_from(["name", "configuration", "id", "must_understand", "level"]),
        st.text(max_size=4),
        max_size=3,
    ),
)

BASES: tuple[tuple[Callable[..., Any], dict[str, Any]], ...] = (
    (
        parse_node,
        changed(
            V3_ARRAY,
            fill_value=1.5,
            codecs=[
                {"name": "transpose", "configuration": {"order": [0]}},
                {"name": "bitround", "configuration": {"keepbits": 3}},
                {"name": "bytes", "configuration": {"endian": "little"}},
                {
                    "name": "blosc",
                    "configuration": {
                        "cname": "lz4",
                        "clevel": 5,
                        "shuffle": "shuffle",
                        "typesize": 4,
                        "blocksize": 0,
                    },
                },
                {"name": "zstd", "configuration": {"level": 3, "checksum": True}},
                {"name": "crc32c"},
            ],
            attributes={"a": 1},
            dimension_names=["x"],
            foo={"must_understand": False},
            storage_transformers=[{"name": "x", "must_understand": False}],
        ),
    ),
    (
        parse_node,
        changed(
            V3_ARRAY,
            shape=[40, 7],
            chunk_grid={
                "name": "rectilinear",
                "configuration": {"kind": "inline", "chunk_shapes": [[10, [10, 2], 20], 4]},
            },
            codecs=[
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": [5, 2],
                        "codecs": [{"name": "bytes"}],
                        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
                    },
                }
            ],
        ),
    ),
    *(
        (parse_node, changed(V3_ARRAY, chunk_grid={"name": name, "configuration": {"chunk_shape": shape}}))
        for name, shape in (("rectangular", [[1, 3]]), ("zarrs.regular_bounded", [3]))
    ),
    (parse_node, changed(V3_ARRAY, data_type="complex128", fill_value=["NaN", 1.5])),
    (parse_node, changed(V3_ARRAY, data_type="r24", fill_value=[1, 2, 3])),
    (parse_node, changed(V3_GROUP, consolidated_metadata={"kind": "inline", "metadata": {}})),
    (
        parse_array,
        changed(
            V2_ARRAY,
            filters=[
                {"id": "bitround", "keepbits": 3},
                {"id": "zlib", "level": 3},
                {"id": "crc32c", "location": "end"},
            ],
            compressor={"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
            dimension_separator="/",
        ),
    ),
    (parse_group, {"zarr_format": 2}),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each (container, key) inside a JSON value."""
    if isinstance(value, dict):
        found: list[tuple[Any, Any]] = [(value, key) for key in value]
    elif isinstance(value, list):
        found = [(value, i) for i in range(len(value))]
    else:
        return []
    return found + [place for container, key in list(found) for place in places(container[key])]


def mutate(document: dict[str, Any], data: st.DataObject) -> None:
    """Change one place in the document: another value, gone, or one more."""
    container, key = data.draw(
        st.sampled_from(places(document)) if places(document) else st.just((document, "x"))
    )
    action = data.draw(st.sampled_from(["replace", "remove", "add", "swap"]))
    if action == "remove" and isinstance(container, (dict, list)):
        container.pop(key)
    elif action == "add" and isinstance(container, dict):
        container[data.draw(st.text(max_size=5))] = data.draw(ODD)
    elif action == "add":
        container.insert(key, data.draw(ODD))
    elif action == "swap":
        other, other_key = data.draw(st.sampled_from(places(document)))
        container[key] = copy.deepcopy(other[other_key])
    else:
        container[key] = data.draw(ODD)


@settings(max_examples=count(10_000))
@given(st.sampled_from(BASES), st.integers(1, 3), st.booleans(), st.data())
def test_a_changed_document_is_read_or_refused(
    base: tuple[Callable[..., Any], dict[str, Any]], n_changes: int, strict: bool, data: st.DataObject
) -> None:
    parse, document = base[0], copy.deepcopy(base[1])
    for _ in range(n_changes):
        if document:
            mutate(document, data)
    text = json.dumps(document).encode()
    error = refusal(parse, text, where="the key", strict=strict)
    if error is None:
        assert parse_again(parse, parse(text))
    else:
        assert error.key == "the key"
        assert str(error)


def parse_again(parse: Callable[..., Any], metadata: Any) -> bool:
    """Whether what was read is written so that strict reading gives it back."""
    try:
        documents = list(metadata.to_documents().values())
    except AttributesError:
        # A bare NaN in the attributes or an unknown field.
        return True
    return bool(parse(documents[0], strict=True).to_documents() == metadata.to_documents())


@settings(max_examples=count(2_000))
@given(st.sampled_from(BASES), st.data())
def test_a_document_with_changed_bytes_is_read_or_refused(
    base: tuple[Callable[..., Any], dict[str, Any]], data: st.DataObject
) -> None:
    document = bytearray(json.dumps(base[1]).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    error = refusal(base[0], bytes(document), where="the key")
    assert error is None or error.key == "the key"
