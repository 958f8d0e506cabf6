"""Fill values: from documents, from users, and back, to the bit."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.dtypes import DEFAULT_FILL, fill_value_for, from_v3_json, same_bits
from zarrc.errors import MetadataError
from zarrc.reading import Reading

NAMES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", "r8", "r24", "r128"),
)


@st.composite
def fills(draw: st.DrawFn) -> tuple[str, Any]:
    """A data type's name and any bits that it can hold."""
    name = draw(st.sampled_from(NAMES))
    dtype = from_v3_json(name).numpy
    data = (
        bytes([draw(st.booleans())])
        if name == "bool"
        else draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize))
    )
    return name, np.frombuffer(data, dtype).reshape(())


@given(fills())
def test_every_bit_pattern_survives_v3_json(drawn: tuple[str, Any]) -> None:
    name, fill = drawn
    data_type = from_v3_json(name)
    text = json.dumps(data_type.fill_to_json(fill), allow_nan=False)
    assert same_bits(data_type.fill_from_json(json.loads(text), reading=Reading(strict=True)), fill)


@given(fills())
def test_every_bit_pattern_survives_v2_json_or_is_refused(drawn: tuple[str, Any]) -> None:
    name, fill = drawn
    data_type = from_v3_json(name)
    try:
        value = data_type.fill_to_json(fill, zarr_format=2)
    except MetadataError:
        assert name.startswith(("float", "complex"))
        assert np.isnan(fill)
        return
    text = json.dumps(value, allow_nan=False)
    assert same_bits(
        data_type.fill_from_json(json.loads(text), zarr_format=2, reading=Reading(strict=True)), fill
    )


@given(fills())
def test_a_numpy_scalar_of_the_type_keeps_its_bits(drawn: tuple[str, Any]) -> None:
    name, fill = drawn
    for value in (fill, fill[()], fill.astype(fill.dtype.newbyteorder("S"))):
        assert same_bits(fill_value_for(from_v3_json(name), value), fill)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_zero_and_read_only(name: str) -> None:
    fill = fill_value_for(from_v3_json(name), DEFAULT_FILL)
    assert fill is not None
    assert fill.shape == ()
    assert not any(fill.tobytes())
    assert not fill.flags.writeable
    assert same_bits(fill_value_for(from_v3_json(name), None), fill)
    assert fill_value_for(from_v3_json(name), None, zarr_format=2) is None
    assert same_bits(fill_value_for(from_v3_json(name), DEFAULT_FILL, zarr_format=2), fill)


@pytest.mark.parametrize(
    ("name", "value", "bits"),
    [
        ("float16", "NaN", 0x7E00),
        ("float32", "NaN", 0x7FC00000),
        ("float64", "NaN", 0x7FF8000000000000),
        ("float32", math.nan, 0x7FC00000),
        ("float32", -math.nan, 0x7FC00000),
        ("float32", "0x7fc00001", 0x7FC00001),
        ("float32", "0x7f800001", 0x7F800001),
        ("float64", "0xfff8000000000000", 0xFFF8000000000000),
        ("float16", "0xFE01", 0xFE01),
        ("float32", "Infinity", 0x7F800000),
        ("float32", "-Infinity", 0xFF800000),
        ("float32", -0.0, 0x80000000),
        ("float64", 0.1, 0x3FB999999999999A),
        ("float32", 0.1, 0x3DCCCCCD),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("uint64", 2**53 + 1, 2**53 + 1),
        ("int64", -(2**63), 2**63),
        ("uint8", 255.0, 255),
        ("uint8", np.float64(3), 3),
        ("uint8", True, 1),
        ("bool", True, 1),
        ("bool", 0, 0),
        ("bool", np.int64(1), 1),
        ("bool", np.False_, 0),
    ],
)
def test_a_users_fill_value_has_these_bits(name: str, value: object, bits: int) -> None:
    fill = fill_value_for(from_v3_json(name), value)
    assert fill is not None
    assert int.from_bytes(fill.tobytes(), sys.byteorder) == bits


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("complex64", 1 + 2j, (1, 2)),
        ("complex64", 3, (3, 0)),
        ("complex128", ["-Infinity", "NaN"], (-math.inf, math.nan)),
        ("complex64", ("0x3f800000", "NaN"), (1, math.nan)),
        ("complex128", np.complex64(1 - 1j), (1, -1)),
        ("complex64", np.float32(2.5), (2.5, 0)),
    ],
)
def test_a_complex_fill_value_is_two_floats(name: str, value: object, parts: tuple[float, float]) -> None:
    fill = fill_value_for(from_v3_json(name), value)
    assert fill is not None
    assert np.array_equal([fill.real, fill.imag], parts, equal_nan=True)


@pytest.mark.parametrize(
    "value", [b"\1\2\3", [1, 2, 3], (1, 2, 3), "AQID", np.void(b"\1\2\3"), bytearray(b"\1\2\3")]
)
def test_a_raw_fill_value_is_bytes_in_any_form(value: object) -> None:
    fill = fill_value_for(from_v3_json("r24"), value)
    assert fill is not None
    assert fill.tobytes() == b"\1\2\3"


def test_a_raw_fill_value_has_one_form_in_each_format() -> None:
    raw = from_v3_json("r24")
    fill = fill_value_for(raw, b"\1\2\3")
    assert fill is not None
    assert raw.fill_to_json(fill) == [1, 2, 3]
    assert raw.fill_to_json(fill, zarr_format=2) == "AQID"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("uint8", 300, "300 does not fit uint8: [0, 255]"),
        ("uint8", -1, "-1 does not fit uint8"),
        ("int64", 2**70, "does not fit int64"),
        ("int32", 0.5, "must be an integer for int32, got 0.5"),
        ("int32", math.nan, "must be an integer for int32, got nan"),
        ("int32", math.inf, "must be an integer for int32, got inf"),
        ("int32", "5", "must be an integer for int32, got '5'"),
        ("int32", 1j, "must be an integer"),
        ("bool", 2, "must be true or false for bool, got 2"),
        ("bool", "x", "must be true or false"),
        ("float32", 1e39, "1e+39 is beyond float32"),
        ("float16", 65520, "65520 is beyond float16"),
        ("float64", 10**400, "is beyond float64"),
        ("float32", "nan", "must be 'NaN', 'Infinity', '-Infinity' or '0x' and 8 hexadecimal digits"),
        ("float32", "0x7fc", "8 hexadecimal digits for float32, got '0x7fc'"),
        ("float32", "0x7fc0000g", "8 hexadecimal digits"),
        ("float32", [1], "must be a number or a string such as 'NaN'"),
        ("float32", 1j, "must be a number"),
        ("complex64", [1, 2, 3], "must be a number or [real, imaginary]"),
        ("complex64", 1e39j, "is beyond float32"),
        ("r24", b"\1\2", "must have 3 bytes for r24, got 2"),
        ("r24", [1, 2, 300], "fill_value[2]: must be in [0, 255], got 300"),
        ("r24", "A*", "is not base64"),
        ("r24", 1.5, "must be a list of 3 integers"),
        ("float64", object(), "must be a number"),
        ("float64", np.zeros(3), "must be a scalar, got an array of shape (3,)"),
    ],
)
def test_a_fill_value_that_does_not_fit_is_refused(name: str, value: object, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        fill_value_for(from_v3_json(name), value)
    assert str(caught.value).startswith("fill_value")
    assert text in str(caught.value)


def test_v2_has_one_nan_only() -> None:
    with pytest.raises(
        MetadataError, match="zarr_format 2 has one NaN only, not one with the bits 0x7fc00001"
    ):
        fill_value_for(from_v3_json("float32"), "0x7fc00001", zarr_format=2)
    with pytest.raises(MetadataError, match="as a string must be 'NaN', 'Infinity', '-Infinity' for float32"):
        from_v3_json("float32").fill_from_json("0x7fc00001", zarr_format=2)


@pytest.mark.parametrize(
    ("name", "zarr_format", "value", "note"),
    [
        (
            "float32",
            3,
            "+Infinity",
            "fill_value: '+Infinity' is not a form of the specification; read as 'Infinity'",
        ),
        ("int16", 3, 1.0, "fill_value: 1.0 is not written as an integer; read as 1"),
        ("bool", 3, 0, "fill_value: 0 is not true or false; read as false"),
        ("bool", 2, 1, "fill_value: 1 is not true or false; read as true"),
        ("r24", 3, "AQID", "fill_value: base64 is v2's form of raw bits; read as a list of integers"),
        ("r24", 2, [1, 2, 3], "fill_value: a list of integers is v3's form of raw bits; read as base64"),
        ("complex64", 2, 0.0, "fill_value: 0.0 is not a list of two numbers; read as the real part"),
    ],
)
def test_a_lenient_fill_value_is_noted_and_strict_refuses_it(
    name: str, zarr_format: Any, value: object, note: str
) -> None:
    data_type = from_v3_json(name)
    reading = Reading(path="fill_value")
    data_type.fill_from_json(value, zarr_format=zarr_format, reading=reading)
    assert reading.notes == [note]
    with pytest.raises(MetadataError) as caught:
        data_type.fill_from_json(
            value, zarr_format=zarr_format, reading=Reading(path="fill_value", strict=True)
        )
    assert note.startswith(str(caught.value))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [{}, {"a": 1}, [[]], [None], "", "x", True, [1, 2, 3, 4, 5], 1e400, -1.5])
def test_any_json_is_a_fill_value_or_a_metadata_error(name: str, value: object) -> None:
    for zarr_format in (2, 3):
        with contextlib.suppress(MetadataError):
            fill = from_v3_json(name).fill_from_json(value, zarr_format=zarr_format)
            assert fill.dtype == from_v3_json(name).numpy


def test_equality_is_that_of_bits() -> None:
    def f4(bits: int) -> Any:
        return np.frombuffer(bits.to_bytes(4, sys.byteorder), "f4").reshape(())

    assert same_bits(f4(0x7FC00000), f4(0x7FC00000))
    assert not same_bits(f4(0x7FC00000), f4(0x7FC00001))
    assert not same_bits(f4(0), f4(0x80000000))
    assert not same_bits(f4(0), np.zeros((), "i4"))
    assert same_bits(None, None)
    assert not same_bits(None, f4(0))


def test_an_enormous_integer_is_refused_without_printing_it() -> None:
    with pytest.raises(MetadataError, match="an integer of 16610 bits does not fit uint8"):
        fill_value_for(from_v3_json("uint8"), 10**5000)


@given(st.sampled_from(["float16", "float32", "float64"]), st.floats(allow_nan=False))
def test_a_number_is_rounded_as_numpy_rounds_it(name: str, value: float) -> None:
    data_type = from_v3_json(name)
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.float64(value).astype(name)
    if np.isinf(rounded) and not math.isinf(value):
        with pytest.raises(MetadataError, match="beyond"):
            fill_value_for(data_type, value)
    else:
        fill = fill_value_for(data_type, value)
        assert fill is not None
        assert fill.tobytes() == rounded.tobytes()
