"""Documents as text: read and written as the standard library's `json` does, without waiting for it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import AttributesError, MetadataError
from zarrc.metadata.json import dump_document, load_document
from zarrc.reading import Reading

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)
DOCUMENTS = st.dictionaries(st.text(), VALUES)


@given(DOCUMENTS, st.none() | st.integers(0, 4))
def test_documents_are_written_as_json_writes_them(document: dict[str, Any], indent: int | None) -> None:
    assert dump_document(document, indent=indent) == json.dumps(document, indent=indent).encode()


@given(DOCUMENTS, st.none() | st.integers(0, 4), st.text(" \t\r\n"), st.text(" \t\r\n"))
def test_documents_are_read_as_json_reads_them(
    document: dict[str, Any], indent: int | None, before: str, after: str
) -> None:
    text = before + json.dumps(document, indent=indent, ensure_ascii=False) + after
    assert (
        load_document(text.encode("utf-8", "surrogatepass"), Reading()) == document if _utf8(text) else True
    )


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(DOCUMENTS, st.data())
def test_damaged_documents_are_refused_with_the_words_of_json(
    document: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(document, indent=1)
    position = data.draw(st.integers(0, len(text)))
    damaged = text[:position] + data.draw(st.text('{}[]",:0a \\\n\x00', max_size=2)) + text[position + 1 :]
    expected = _outcome(damaged)
    if isinstance(expected, ValueError):
        with pytest.raises(MetadataError, match=r"is not JSON|appears twice") as caught:
            load_document(damaged.encode(), Reading())
        assert str(expected) in str(caught.value)
    elif isinstance(expected, dict):
        assert load_document(damaged.encode(), Reading()) == expected


def _outcome(text: str) -> Any:
    """What `json` makes of a text; its error if it makes nothing."""
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=float)
    except ValueError as error:
        return error


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("appears twice")
    return dict(pairs)


def test_a_bare_constant_is_noted_once_and_refused_by_a_strict_reading() -> None:
    reading = Reading()
    found = load_document(b'{"a": [NaN, NaN, -Infinity]}', reading)
    assert math.isnan(found["a"][0])
    assert found["a"][2] == -math.inf
    assert len(reading.notes) == 2
    with pytest.raises(MetadataError, match="bare NaN"):
        load_document(b'{"a": [NaN, NaN]}', Reading(strict=True))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"bytes", {"x": object()}, [math.nan]])
def test_what_json_cannot_say_is_an_attributes_error(value: Any, indent: int | None) -> None:
    with pytest.raises(AttributesError, match="cannot be written as JSON"):
        dump_document({"a": value}, indent=indent)


@pytest.mark.parametrize("indent", [None, 2])
def test_what_was_read_can_be_written_however_deep(indent: int | None) -> None:
    text = b'{"a": ' + b"[" * 700 + b"]" * 700 + b"}"
    document = load_document(text, Reading())
    assert json.loads(dump_document(document, indent=indent)) == document


def test_a_value_that_holds_itself_is_an_attributes_error() -> None:
    document: dict[str, Any] = {}
    document["a"] = document
    with pytest.raises(AttributesError):
        dump_document(document)
