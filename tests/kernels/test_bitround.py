"""Bit rounding: numcodecs' results, the registry's sample data, and the definition in plain integers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.bitround_values import MANTISSA_NBITS, values_of, wide_patterns
from tests.kernels.guarded import guarded_like
from tests.soak import count, soaking
from zarrc.errors import CorruptChunkError
from zarrc.kernels.bitround import kernel, round_array, round_inplace

VECTORS = json.loads(Path(__file__).with_name("bitround_vectors.json").read_text())["sha256_first_16_bytes"]
LEVELS = (0, -1)
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
KINDS = {"f": 0, "i": 1, "u": 2}

Array = np.ndarray[Any, Any]


def rounded_integer(value: int, bits: int, keepbits: int) -> int:
    """The definition: to a multiple of the last kept bit's worth, half to even, cut where it does not fit."""
    dropped = value.bit_length() - keepbits
    if dropped <= 0:
        return value
    unit = 1 << dropped
    quotient, rest = divmod(value, unit)
    if rest * 2 > unit or (rest * 2 == unit and quotient % 2 == 1):
        quotient += 1
    return quotient * unit if quotient * unit < 1 << bits else (quotient - 1) * unit


def rounded_float(pattern: int, bits: int, mantissa: int, keepbits: int) -> int:
    """The definition on a float's bits: its end rounded as an integer, carrying into the exponent."""
    sign, magnitude = pattern >> (bits - 1) << (bits - 1), pattern & ((1 << (bits - 1)) - 1)
    infinity = ((1 << (bits - 1 - mantissa)) - 1) << mantissa
    if magnitude >= infinity or keepbits >= mantissa:
        return pattern
    unit = 1 << (mantissa - keepbits)
    quotient, rest = divmod(magnitude, unit)
    quotient += rest * 2 > unit or (rest * 2 == unit and quotient % 2 == 1)
    return sign | quotient * unit


def patterns_of(values: Array) -> Array:
    return values.view(f"u{values.itemsize}")


@pytest.mark.parametrize("dtype", MANTISSA_NBITS)
@pytest.mark.parametrize("level", LEVELS)
def test_floats_round_as_numcodecs_rounds_them(dtype: str, level: int) -> None:
    values = values_of(dtype)
    for keepbits, digest in VECTORS[dtype].items():
        rounded = round_array(values, int(keepbits), level=level).astype(values.dtype, copy=False)
        assert hashlib.sha256(rounded.tobytes()).hexdigest()[:32] == digest, keepbits


@pytest.mark.parametrize("level", LEVELS)
def test_the_registrys_sample_data(level: int) -> None:
    original = [0.0, 0.1, 1.2, 12.3, 123.4, 1234.5, np.nan, np.inf, -np.inf]
    expected = [0.0, 0.1015625, 1.25, 12.0, 120.0, 1280.0, np.nan, np.inf, -np.inf]
    rounded = round_array(np.array(original, "f4"), 3, level=level)
    assert rounded.tobytes() == np.array(expected, "f4").tobytes()
    integers = np.array([0, 1, 10, 11, 100, 123, 200, 208, 209, 255], "u1")
    assert round_array(integers, 3, level=level).tolist() == [0, 1, 10, 12, 96, 128, 192, 192, 224, 224]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_every_small_integer_rounds_as_defined(dtype: str, level: int) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    # In quick runs every 16-bit value at some keepbits; each keepbits has its turn when soaking.
    some = range(1, bits + 2) if bits == 8 or soaking() else (1, 2, 7, 15)
    for keepbits in some:
        expected = np.array([rounded_integer(v, bits, keepbits) for v in range(1 << bits)], f"u{bits // 8}")
        values = np.arange(1 << bits, dtype=expected.dtype).view(dtype)
        assert (patterns_of(round_array(values, keepbits, level=level)) == expected).all(), keepbits


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_wide_integers_round_as_defined(dtype: str, level: int) -> None:
    bits = 8 * np.dtype(dtype).itemsize
    patterns = wide_patterns(bits).astype(f"u{bits // 8}")[:: 1 if soaking() else 17]
    for keepbits in range(1, bits + 1, 1 if soaking() else 3):
        expected = np.array([rounded_integer(v, bits, keepbits) for v in patterns.tolist()], patterns.dtype)
        assert (patterns_of(round_array(patterns.view(dtype), keepbits, level=level)) == expected).all(), (
            keepbits
        )


@pytest.mark.parametrize("level", LEVELS)
def test_every_float16_rounds_as_defined_and_nan_stays(level: int) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    for keepbits in range(1, 12):
        expected = np.array([rounded_float(v, 16, 10, keepbits) for v in range(1 << 16)], np.uint16)
        assert (patterns_of(round_array(patterns.view("f2"), keepbits, level=level)) == expected).all(), (
            keepbits
        )


@given(st.data())
@settings(max_examples=count(2000), deadline=None)
def test_wide_floats_round_as_defined_and_nan_stays(data: st.DataObject) -> None:
    bits, mantissa = data.draw(st.sampled_from(((32, 23), (64, 52))))
    keepbits = data.draw(st.integers(1, mantissa + 1))
    patterns = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=40))
    values = np.array(patterns, f"u{bits // 8}").view(f"f{bits // 8}")
    expected = [rounded_float(v, bits, mantissa, keepbits) for v in patterns]
    for level in LEVELS:
        assert patterns_of(round_array(values, keepbits, level=level)).tolist() == expected


def test_subnormals_round_by_their_own_bits() -> None:
    smallest = np.array([1, 3, 0x3FF], np.uint16).view("f2")
    assert patterns_of(round_array(smallest, 9)).tolist() == [0, 4, 0x400]


def test_the_largest_float_becomes_infinite() -> None:
    assert round_array(np.array([65504.0, -65504.0], "f2"), 3).tolist() == [np.inf, -np.inf]


def test_negative_integers_round_from_the_sign_bit() -> None:
    assert round_array(np.array([-1, -128, -3, -33], "i1"), 3).tolist() == [-32, -128, -32, -32]


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_round_by_component(dtype: str) -> None:
    real = np.dtype(dtype).type(0).real.dtype
    values = values_of(real.name).astype(real)
    values = values[: len(values) // 2 * 2]
    for keepbits in (1, 10, 22):
        rounded = round_array(values.view(dtype), keepbits)
        assert rounded.tobytes() == round_array(values, keepbits).tobytes()
        inplace = values.view(dtype).copy()
        round_inplace(inplace, keepbits)
        assert inplace.tobytes() == rounded.tobytes()


@given(st.data())
@settings(max_examples=count(1000), deadline=None)
def test_rounding_in_place_to_a_copy_and_by_the_kernel_agree(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from((*INTEGERS, *MANTISSA_NBITS))))
    raw = data.draw(st.binary(max_size=900))
    keepbits = data.draw(st.integers(1, 70))
    values = np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype)
    rounded = round_array(values, keepbits)
    inplace = values.copy()
    round_inplace(inplace, keepbits)
    codec = kernel(KINDS[dtype.kind], dtype.itemsize, keepbits)
    assert rounded.tobytes() == inplace.tobytes() == codec.encode(values.tobytes())
    assert codec.decode(rounded.tobytes(), rounded.nbytes) == rounded.tobytes()
    assert round_array(rounded, keepbits).tobytes() == rounded.tobytes()


@pytest.mark.parametrize("dtype", [*INTEGERS, *MANTISSA_NBITS])
def test_only_its_own_bytes_are_touched(dtype: str) -> None:
    for n in range(1, 70):
        for at_end in (True, False):
            values = guarded_like(np.arange(n).astype(dtype), at_end=at_end)
            expected = round_array(values, 2)
            round_inplace(values, 2)
            assert values.tobytes() == expected.tobytes()


def test_byte_order_and_strides_of_the_input_do_not_matter() -> None:
    values = np.arange(-300, 300, dtype="<i4").reshape(20, 30)
    assert (round_array(values.astype(">i4")[::2, ::-1], 3) == round_array(values, 3)[::2, ::-1]).all()


def test_part_of_a_number_is_an_error() -> None:
    with pytest.raises(CorruptChunkError, match="another length"):
        kernel(0, 4, 3).encode(bytes(7))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 3), "bitround has no kind 0 of 1 bytes"),
        ((3, 4, 3), "bitround has no kind 3 of 4 bytes"),
        ((1, 4, 0), "keepbits must be at least 1, got 0"),
    ],
)
def test_a_kernel_for_something_else_is_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(*arguments)


def test_other_data_types_are_refused() -> None:
    with pytest.raises(ValueError, match="bitround cannot round bool"):
        round_array(np.zeros(3, bool), 3)
