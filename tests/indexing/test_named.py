"""Dimensions are selected by their names, and errors say which names there are."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.indexing.keys import orthogonal
from tests.strategies import slices
from zarrc.errors import SelectionError
from zarrc.indexing.named import indexers_of, named_key, sliced_key

NAMES = ("time", "lat", None, "x y/z")
SHAPE = (3, 4, 2, 5)
VALUES = np.arange(120).reshape(SHAPE)
ALL = slice(None)


@given(st.data(), st.permutations(["time", "lat", "x y/z"]), st.integers(0, 3))
def test_a_name_selects_along_its_dimension(data: st.DataObject, names: list[str], n: int) -> None:
    expected: list[Any] = [ALL] * 4
    given_: dict[str, Any] = {}
    for name in names[:n]:
        axis = NAMES.index(name)
        lists = st.lists(st.integers(-SHAPE[axis], SHAPE[axis] - 1), max_size=4)
        item = data.draw(slices(SHAPE[axis]) | st.integers(0, SHAPE[axis] - 1) | lists)
        given_[name] = expected[axis] = item
    np.testing.assert_array_equal(
        orthogonal(VALUES, named_key(given_, NAMES, 4)), orthogonal(VALUES, tuple(expected))
    )


@pytest.mark.parametrize(
    ("named", "box"),
    [
        ({}, {"start": (0, 1, 0, 2), "stop": (2, 3, 1, 4)}),
        ({"lat": slice(2, 4)}, {"start": (0, 1, 0, 2), "stop": (2, 3, 1, 4)}),
        ({"lat": (2, 4), "time": 1}, {"stop": (2, 3, 1, 4)}),
        ({"lat": range(0, 4, 2)}, {"start": (1, 1, 1, 1)}),
        ({}, {"start": (None, 1, None, -2), "stop": (2, None, 100, None)}),
        ({}, {}),
    ],
)
def test_a_box_is_from_start_to_stop_but_where_a_name_says_otherwise(
    named: dict[str, Any], box: dict[str, Any]
) -> None:
    starts, stops = box.get("start", (None,) * 4), box.get("stop", (None,) * 4)
    expected: list[Any] = [slice(*pair) for pair in zip(starts, stops, strict=True)]
    for name, item in named.items():
        expected[NAMES.index(name)] = slice(*item) if isinstance(item, tuple) else item
    key = sliced_key(named, box.get("start"), box.get("stop"), NAMES, 4)
    np.testing.assert_array_equal(orthogonal(VALUES, key), orthogonal(VALUES, tuple(expected)))


def test_one_number_is_a_start_for_one_dimension() -> None:
    assert sliced_key({}, 3, np.int64(5), None, 1) == (slice(3, 5),)


def said(indexers: dict[Any, Any], names: Any = NAMES, zarr_format: int = 3) -> str:
    with pytest.raises(SelectionError) as error:
        named_key(indexers, names, 4, zarr_format)
    return str(error.value)


def test_an_unknown_name_is_answered_by_the_names_that_there_are_closest_first() -> None:
    assert said({"latt": 0}) == "no dimension is named 'latt'; there are 'lat', 'time', 'x y/z'"
    assert said({"Time": 0}).endswith("there are 'time', 'lat', 'x y/z'")


def test_an_array_without_names_says_how_it_gets_them() -> None:
    assert "dimension_names=['time', ...]" in said({"time": 0}, None)
    assert "dimension_names=['time', ...]" in said({"time": 0}, (None,) * 4)
    assert "attribute '_ARRAY_DIMENSIONS' gives them" in said({"time": 0}, None, 2)
    assert said({"drop": True}, (None,) * 4).startswith("no dimension is named 'drop': none has a name")


def test_a_name_of_two_dimensions_says_so() -> None:
    text = said({"x": 0}, ("x", "y", "x", ""))
    assert text.startswith("'x' names the dimensions 0, 2, and cannot say")
    assert named_key({"y": 1, "": 0}, ("x", "y", "x", ""), 4) == (ALL, 1, ALL, 0)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (None, "lat: None selects along no dimension"),
        (..., "lat: Ellipsis selects along no dimension"),
        ((0, 1), "lat: a tuple selects along several dimensions"),
        (np.ones((4, 2), bool), "lat: a mask of one dimension has one dimension, got 2"),
        (True, "lat: a mask of one dimension has one dimension, got 0"),
        ("a", "valid indices, got str 'a'"),
        (1.5, "valid indices, got float 1.5"),
    ],
)
def test_what_selects_along_no_single_dimension_is_refused(item: Any, text: str) -> None:
    assert text in said({"lat": item})


def test_an_unknown_name_is_told_before_a_wrong_item() -> None:
    assert said({"drop": True}).startswith("no dimension is named 'drop'; there are ")


@pytest.mark.parametrize("given", [0, 1, [], (), "", "time", False, np.zeros(0), slice(None), {"time"}])
def test_what_is_no_mapping_is_refused(given: Any) -> None:
    with pytest.raises(SelectionError, match="isel takes a mapping or names, got "):
        indexers_of("isel", given, {})


def test_a_name_is_in_the_mapping_or_a_keyword() -> None:
    assert indexers_of("isel", None, {"x": 0}) == {"x": 0}
    assert indexers_of("isel", MappingProxyType({"y": 1}), {"x": 0}) == {"x": 0, "y": 1}
    with pytest.raises(SelectionError, match="isel was given 'x' twice"):
        indexers_of("isel", {"x": 0}, {"x": 0})


def test_names_are_strings() -> None:
    assert "names, which are strings, got 0" in said({0: 1})
    assert "names, which are strings, got None" in said({None: 1})


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ((0, 0), "start must have one item for each of 4 dimensions, got 2"),
        (0, "start must have one item for each of 4 dimensions, got 1"),
        ((0, 0.5, 0, 0), "start is made of integers, got [0, 0.5, 0, 0]"),
        ("abcd", "for each of 4 dimensions, got 1"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(start: Any, text: str) -> None:
    with pytest.raises(SelectionError) as error:
        sliced_key({}, start, None, NAMES, 4)
    assert text in str(error.value)
