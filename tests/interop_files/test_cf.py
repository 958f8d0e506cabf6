from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from zarrc.interop.cf import array_attributes, encode_fill, group_attributes


def converted(attributes: dict[str, Any], dtype: str = "f4", zarr_format: Any = 3) -> Any:
    return array_attributes(attributes, np.dtype(dtype), ("x",), zarr_format)


def test_a_float_fill_value_is_base64_of_its_float64_in_v3() -> None:
    assert encode_fill(np.float32(math.nan), np.dtype("f4")) == "AAAAAAAA+H8="
    assert encode_fill(np.float64(1.0), np.dtype("f8")) == "AAAAAAAA8D8="


def test_a_complex_fill_value_is_a_pair_in_v3() -> None:
    assert encode_fill(np.complex64(1 + 0j), np.dtype("c8")) == ["AAAAAAAA8D8=", "AAAAAAAAAAA="]


def test_an_integer_fill_value_is_json_in_v3() -> None:
    result = converted({"_FillValue": np.array([-999], "i2")}, "i2")
    assert result.attributes == {"_FillValue": -999}
    assert result.fill_value == -999


def test_without_a_fill_value_v3_arrays_are_filled_as_xarray_fills_them() -> None:
    assert math.isnan(converted({}, "f8").fill_value)
    assert converted({}, "i4").fill_value == 0


def test_in_v2_the_fill_value_is_the_arrays_and_no_attribute() -> None:
    result = converted({"_FillValue": np.float32(1e20)}, "f4", 2)
    assert result.attributes == {"_ARRAY_DIMENSIONS": ["x"]}
    assert result.fill_value == np.float32(1e20)


def test_in_v2_a_variable_without_a_fill_value_has_none_so_that_zeros_are_not_masked() -> None:
    assert converted({}, "i4", 2).fill_value is None


@pytest.mark.parametrize("value", ["text", np.array([1, 2], "i2"), np.float64(0.5), np.int64(70000)])
def test_a_fill_value_that_is_no_value_of_the_variable_is_left_out(value: Any) -> None:
    result = converted({"_FillValue": value}, "i2")
    assert result.attributes == {}
    assert result.left_out == ["_FillValue"]


def test_a_missing_value_of_nan_becomes_the_fill_value() -> None:
    result = converted({"missing_value": np.array([math.nan], "f4")})
    assert result.attributes == {"_FillValue": "AAAAAAAA+H8="}
    assert result.left_out == []


def test_a_missing_value_of_nan_beside_a_fill_value_is_dropped() -> None:
    result = converted({"missing_value": np.float32(math.nan), "_FillValue": np.float32(0)})
    assert result.attributes == {"_FillValue": "AAAAAAAAAAA="}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.array([7], "i8"), 7),
        (np.array([1, 2], "u1"), [1, 2]),
        (np.array([], "f8"), []),
        (np.array([1.0, math.inf, -math.inf, math.nan]), [1.0, "Infinity", "-Infinity", "NaN"]),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.complex128(1 + 2j), [1.0, 2.0]),
        ("grün", "grün"),
        (np.bytes_(b"abc"), "abc"),
        (np.array([b"a", b"bc"]), ["a", "bc"]),
        (np.array(["p", "q"], dtype=object), ["p", "q"]),
        (["p", "q"], ["p", "q"]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ("", ""),
    ],
)
def test_an_attribute_becomes_json(value: Any, expected: Any) -> None:
    assert group_attributes({"a": value}).attributes == {"a": expected}


def test_bytes_that_are_not_utf8_are_read_as_latin1() -> None:
    assert group_attributes({"a": b"caf\xe9"}).attributes == {"a": "café"}
    assert group_attributes({"a": b"caf\xe9".decode("utf-8", "surrogateescape")}).attributes == {"a": "café"}


@pytest.mark.parametrize(
    "value", [np.zeros(1, [("x", "i4")])[0], ValueError("unreadable"), np.array([object()])]
)
def test_an_attribute_without_a_form_in_json_is_named(value: Any) -> None:
    result = group_attributes({"good": 1, "bad": value})
    assert result.attributes == {"good": 1}
    assert result.left_out == ["bad"]
