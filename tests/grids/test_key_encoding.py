"""Chunk key encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids import (
    ChunkKeyEncoding,
    DefaultKeyEncoding,
    V2KeyEncoding,
    key_encoding_from_user,
    key_encoding_from_v3_json,
)
from zarrc.reading import Reading

ENCODINGS = (DefaultKeyEncoding(), DefaultKeyEncoding("."), V2KeyEncoding(), V2KeyEncoding("/"))


@pytest.mark.parametrize(
    ("encoding", "coords", "key"),
    [
        (DefaultKeyEncoding(), (1, 23, 45), "c/1/23/45"),
        (DefaultKeyEncoding("."), (1, 23, 45), "c.1.23.45"),
        (DefaultKeyEncoding(), (0,), "c/0"),
        (DefaultKeyEncoding(), (), "c"),
        (DefaultKeyEncoding("."), (), "c"),
        (V2KeyEncoding(), (1, 23, 45), "1.23.45"),
        (V2KeyEncoding("/"), (1, 23, 45), "1/23/45"),
        (V2KeyEncoding(), (0,), "0"),
        (V2KeyEncoding(), (), "0"),
    ],
)
def test_the_keys_are_those_of_the_specification(
    encoding: ChunkKeyEncoding, coords: tuple[int, ...], key: str
) -> None:
    assert encoding.encode(coords) == key
    assert key.startswith(encoding.prefix)


@given(st.sampled_from(ENCODINGS), st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6))
def test_decoding_undoes_encoding(encoding: ChunkKeyEncoding, coords: list[int]) -> None:
    assert encoding.decode(encoding.encode(tuple(coords))) == tuple(coords)


@given(st.sampled_from(ENCODINGS), st.text("c/.0123456789-+ _٣", max_size=12))
def test_only_keys_that_encoding_gives_are_decoded(encoding: ChunkKeyEncoding, key: str) -> None:
    coords = encoding.decode(key)
    assert coords is None or encoding.encode(coords) == key


@pytest.mark.parametrize("key", ["zarr.json", "c/", "c//1", "c/01", "c/1/", "x/1", "", "c/" + "9" * 100000])
def test_what_is_no_chunk_key_is_none(key: str) -> None:
    assert DefaultKeyEncoding().decode(key) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_and_back(encoding: ChunkKeyEncoding) -> None:
    document = encoding.to_v3_json()
    assert document == {"name": encoding.name, "configuration": {"separator": encoding.separator}}
    assert key_encoding_from_v3_json(document, Reading(strict=True)) == encoding


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("default", DefaultKeyEncoding("/")),
        ("v2", V2KeyEncoding(".")),
        ({"name": "v2"}, V2KeyEncoding(".")),
        ({"name": "default"}, DefaultKeyEncoding("/")),
        ({"name": "default", "configuration": {}}, DefaultKeyEncoding("/")),
    ],
)
def test_the_separator_has_a_default(value: object, encoding: ChunkKeyEncoding) -> None:
    assert key_encoding_from_v3_json(value, Reading(strict=True)) == encoding


class OfZarrPython:
    """zarr-python's chunk key encodings have this method."""

    def to_dict(self) -> object:
        return {"name": "v2", "configuration": {"separator": "/"}}


@pytest.mark.parametrize(
    "value",
    [
        V2KeyEncoding("/"),
        ("v2", "/"),
        {"name": "v2", "separator": "/"},
        {"name": "v2", "configuration": {"separator": "/"}},
        OfZarrPython(),
    ],
)
def test_users_say_encodings_in_many_ways(value: object) -> None:
    assert key_encoding_from_user(value) == V2KeyEncoding("/")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("v3", "chunk_key_encoding: unknown chunk key encoding 'v3'; known: 'default', 'v2'"),
        (("v2",), "chunk_key_encoding: as a tuple must be (name, separator)"),
        (("v2", "-"), "chunk_key_encoding.configuration.separator: must be one of '/', '.', got '-'"),
        (3, "chunk_key_encoding: must be a name or an object with a name, got 3"),
        (
            {"name": "v2", "configuration": {"sep": "/"}},
            "chunk_key_encoding.configuration: unknown key 'sep'; allowed: 'separator'",
        ),
        ({"name": "v2", "separator": ["/"]}, "separator: must be one of"),
    ],
)
def test_a_wrong_encoding_says_what_is_right(value: object, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        key_encoding_from_user(value)
    assert text in str(caught.value)


def test_an_encoding_that_comes_later_is_named_as_such() -> None:
    with pytest.raises(
        UnknownExtensionError, match=r"'zarrs\.default_suffix' is not supported in this version"
    ):
        key_encoding_from_v3_json({"name": "zarrs.default_suffix"}, Reading())


def test_a_wrong_separator_is_refused_by_the_class() -> None:
    with pytest.raises(
        MetadataError, match=r"chunk key encoding 'default': the separator must be '/' or '\.', got ':'"
    ):
        DefaultKeyEncoding(":")  # type: ignore[arg-type]
