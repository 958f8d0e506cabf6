"""Checked casting against exact arithmetic on Python's integers and fractions."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.errors import CastingError
from zarrc.kernels.casting import checked_astype, first_misfit

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64", "longdouble")
REALS = ("bool", *INTEGERS, *FLOATS)
TARGETS = ("bool", *INTEGERS)

Array = np.ndarray[Any, Any]


def bounds(target: str) -> tuple[int, int]:
    return (0, 1) if target == "bool" else (int(np.iinfo(target).min), int(np.iinfo(target).max))


def fits(value: Any, target: str) -> bool:
    """The definition, exact for every number of NumPy."""
    if isinstance(value, np.floating) and not np.isfinite(value):
        return False
    low, high = bounds(target)
    whole = int(value)
    return bool(value == whole) and low <= whole <= high


def first_by_definition(values: Array, target: str) -> int | None:
    return next((i for i, value in enumerate(values.reshape(-1)) if not fits(value, target)), None)


def interesting(dtype: str) -> Array:
    """Numbers at and beside every limit, as far as the type has them."""
    edges = [0, 1]
    for bits in (1, 7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64):
        edges += [sign * ((1 << bits) + step) for sign in (1, -1) for step in (-1, 0, 1)]
    if dtype == "bool":
        return np.array([False, True])
    if dtype in INTEGERS:
        low, high = bounds(dtype)
        return np.array([v for v in edges if low <= v <= high], dtype)
    with np.errstate(all="ignore"):
        whole = np.array([np.longdouble(str(v)) for v in edges]).astype(dtype)
        beside = np.concatenate([np.nextafter(whole, np.array(s, dtype)) for s in (np.inf, -np.inf)])
        halves = (whole / np.array(2, dtype)).astype(dtype)
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.5, -0.5, 1.5, 1e-7, -1e-7], dtype)
    return np.concatenate([whole, beside, halves, special])


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("target", TARGETS)
def test_each_number_beside_a_limit_is_judged_right(dtype: str, target: str) -> None:
    values = interesting(dtype)
    for value in values:
        one = np.full(3, value)
        assert (first_misfit(one, np.dtype(target)) is None) == fits(value, target), value
        strided = np.full(7, value)[::3]
        assert (first_misfit(strided, np.dtype(target)) is None) == fits(value, target), value
    fitting = np.array([v for v in values if fits(v, target)], dtype)
    cast = checked_astype(fitting, np.dtype(target))
    assert [int(v) for v in cast] == [int(v) for v in fitting]


@pytest.mark.parametrize("target", TARGETS)
def test_every_float16_is_judged_right(target: str) -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view("f2")
    low, high = bounds(target)
    exact = values.astype("f8")
    with np.errstate(invalid="ignore"):
        expected = (exact == np.trunc(exact)) & (exact >= low) & (exact <= high)
    judged = np.array([first_misfit(values[i : i + 1], np.dtype(target)) is None for i in range(1 << 16)])
    assert (judged == expected).all()


@given(st.data())
@settings(max_examples=count(4000), deadline=None)
def test_the_first_misfit_is_found_whatever_the_strides_and_byte_order(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(REALS))
    target = data.draw(st.sampled_from(TARGETS))
    shape = tuple(data.draw(st.lists(st.integers(0, 6), max_size=4)))
    values = np.array([v for v in interesting(dtype) if fits(v, target)], dtype)
    values = np.resize(values, shape)
    misfits = [v for v in interesting(dtype) if not fits(v, target)]
    if values.size and misfits:
        for _ in range(data.draw(st.integers(0, 2))):
            place = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
            values[place] = data.draw(st.sampled_from(misfits))
    order = data.draw(st.sampled_from("CF"))
    steps = [data.draw(st.sampled_from((1, 1, 2, -1))) for _ in shape]
    stored = np.dtype(dtype).newbyteorder(data.draw(st.sampled_from("<>")))
    held: Array = np.zeros([2 * n for n in shape], stored).copy(order="C" if order == "C" else "F")
    every: Any = (*(slice(None, None, step) for step in steps), ...)
    inside: Any = (*(slice(0, n) for n in shape), ...)
    view = held[every][inside]
    view[...] = values
    assert first_misfit(view, np.dtype(target)) == first_by_definition(values, target)


@pytest.mark.parametrize("dtype", [d for d in REALS if d not in ("bool", "longdouble")])
def test_a_misfit_anywhere_in_a_long_row_is_found(dtype: str) -> None:
    for at in (0, 1, 1000, 1023, 1024, 1025, 2999):
        values = np.ones(3000, dtype)
        values[at] = 2
        assert first_misfit(values, np.dtype("bool")) == at
        assert first_misfit(values.reshape(30, 100).T, np.dtype("bool")) == at % 100 * 30 + at // 100
    assert first_misfit(np.ones(3000, dtype), np.dtype("bool")) is None


@pytest.mark.parametrize("dtype", [d for d in REALS if d != "bool"])
def test_only_its_own_bytes_are_read(dtype: str) -> None:
    for n in (*range(1, 40), 1023, 1025):
        values = guarded_like(np.ones(n, dtype), at_end=n % 2 == 0)
        assert first_misfit(values, np.dtype("bool")) is None


@pytest.mark.parametrize(
    ("values", "target", "message"),
    [
        (np.array([[1, 2, 3, 1000]]), "uint8", "value 1000 at index (0, 3) does not fit uint8 (0 to 255)"),
        (
            np.array([0, -1]),
            "uint64",
            "value -1 at index (1,) does not fit uint64 (0 to 18446744073709551615)",
        ),
        (np.array(300), "int8", "value 300 does not fit int8 (-128 to 127)"),
        (
            np.array([1.5]),
            "int8",
            "value 1.5 at index (0,) is not a whole number: it does not fit int8 (-128 to 127)",
        ),
        (np.array([np.nan]), "int8", "value nan at index (0,) does not fit int8 (-128 to 127)"),
        (np.array([2]), ">i2", None),
        (np.array([2]), "bool", "value 2 at index (0,) does not fit bool (0 to 1)"),
        (np.array([1j]), "f8", "complex numbers (complex128) cannot become real ones (float64)"),
    ],
)
def test_the_message_says_what_and_where(values: Array, target: str, message: str | None) -> None:
    if message is None:
        assert checked_astype(values, np.dtype(target)).dtype == np.dtype(target)
        return
    with pytest.raises(CastingError) as caught:
        checked_astype(values, np.dtype(target))
    assert str(caught.value) == message


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("target", ["float16", "float32", "float64", "complex64", "complex128"])
def test_any_real_number_becomes_a_float_as_numpy_makes_it_without_a_warning(dtype: str, target: str) -> None:
    values = interesting(dtype)
    with np.errstate(all="ignore"):
        expected = values.astype(target)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        cast = checked_astype(values, np.dtype(target))
    assert cast.tobytes() == expected.tobytes()


def test_values_of_the_targets_type_are_returned_as_they_are() -> None:
    values = np.arange(3.0)
    assert checked_astype(values, np.dtype("f8")) is values
    swapped = checked_astype(values, np.dtype(">f8"))
    assert swapped.dtype == np.dtype(">f8")
    assert (swapped == values).all()


def test_a_broadcast_array_is_judged_without_being_made() -> None:
    values = np.broadcast_to(np.array([1, 300]), (1 << 20, 1 << 20, 2))
    assert first_misfit(values, np.dtype("uint8")) == 1


@pytest.mark.parametrize(
    "bad", [np.array(["a"]), np.zeros(2, "M8[s]"), np.zeros(2, "V3"), np.zeros(2, object)]
)
def test_other_kinds_are_refused(bad: Array) -> None:
    with pytest.raises(TypeError, match="checked casting knows numbers and booleans"):
        checked_astype(bad, np.dtype("int8"))
    with pytest.raises(TypeError):
        first_misfit(np.zeros(2), bad.dtype)


def test_complex_to_real_is_a_type_error_where_an_index_is_asked_for() -> None:
    with pytest.raises(TypeError, match="complex"):
        first_misfit(np.array([1j]), np.dtype("f8"))
    assert first_misfit(np.array([1j]), np.dtype("complex64")) is None


def test_infinite_and_huge_numbers_in_a_longdouble() -> None:
    assert first_misfit(np.array([np.longdouble(2) ** 64 - 1]), np.dtype("uint64")) is None or (
        np.finfo(np.longdouble).nmant < 63
    )
    assert first_misfit(np.array([math.inf], np.longdouble), np.dtype("uint64")) == 0
