"""Readings: paths in messages, notes, and the suggestions for names."""

from __future__ import annotations

import pytest

from zarrc.errors import MetadataError, UnknownCodecError
from zarrc.reading import Reading, closest, show


def test_the_path_is_that_of_the_field() -> None:
    reading = Reading(key="a/zarr.json").at("codecs").at(1).at("configuration").at("level")
    assert reading.path == "codecs[1].configuration.level"
    error = reading.error("is wrong", UnknownCodecError, codec="x")
    assert isinstance(error, UnknownCodecError)
    assert str(error) == "codecs[1].configuration.level: is wrong (key 'a/zarr.json', codec 'x')"
    assert str(Reading().error("is wrong")) == "is wrong"


def test_notes_are_shared_and_a_users_arguments_leave_none() -> None:
    reading = Reading()
    reading.at("a").at(0).assume("is odd", "read as even")
    reading.note("by the way")
    assert reading.notes == ["a[0]: is odd; read as even", "by the way"]
    user = Reading(from_user=True)
    user.at("a").assume("is odd", "read as even")
    user.note("by the way")
    assert user.notes == []


def test_strict_refuses_what_is_assumed_and_notes_what_is_legal() -> None:
    reading = Reading(strict=True)
    reading.at("a").note("by the way")
    assert reading.notes == ["a: by the way"]
    with pytest.raises(MetadataError, match=r"^a: is odd$"):
        reading.at("a").assume("is odd", "read as even")


def test_an_error_from_below_gets_path_and_key_once() -> None:
    reading = Reading(key="k")
    with pytest.raises(MetadataError) as caught, reading.locate(), reading.at("codecs").locate():
        raise UnknownCodecError("is wrong", codec="c")
    assert str(caught.value) == "codecs: is wrong (key 'k', codec 'c')"
    with pytest.raises(MetadataError) as caught, reading.at("outer").locate():
        raise Reading(path="inner").error("is wrong")
    assert str(caught.value) == "inner: is wrong (key 'k')"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10**5000, "an integer of 16610 bits"),
        ("x" * 100, "'" + "x" * 60 + "'..."),
        (b"ab", "b'ab'"),
        ("\ud800", r"'\ud800'"),
        ([1, "a", None, True], "[1, 'a', None, True]"),
        ((1, 2), "[1, 2]"),
        (list(range(9)), "a list of 9 items"),
        ([[1]], "a list of 1 items"),
        ([10**5000], "[an integer of 16610 bits]"),
        ({}, "{}"),
        ({"a": 1, "b": 2}, "an object with the keys 'a', 'b'"),
        (1.5, "1.5"),
        (object, "<class 'object'>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_shown_short_and_safely(value: object, text: str) -> None:
    assert show(value) == text


def test_a_close_name_is_suggested_and_a_far_one_is_not() -> None:
    assert closest("zsdt", ["zstd", "gzip"]) == " (did you mean 'zstd'?)"
    assert closest("nope", ["zstd", "gzip"]) == ""
    assert closest("x" * 10**6, ["zstd"]) == ""
