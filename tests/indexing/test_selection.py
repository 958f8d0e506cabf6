"""What the user typed, in plain numbers: the same as NumPy's own reading of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.indexing.selection import Selection

HUGE = 2**62


@st.composite
def keys_and_shapes(draw: st.DrawFn) -> tuple[tuple[object, ...], tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(0, 7), max_size=5)))
    key: list[object] = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        bound = st.none() | st.integers(-9, 9) | st.sampled_from([HUGE, -HUGE])
        step = st.none() | st.integers(-9, 9).filter(bool) | st.sampled_from([HUGE, -HUGE])
        one = st.builds(slice, bound, bound, step)
        key.append(draw(one | st.integers(-extent, extent - 1) if extent else one))
        if draw(st.booleans()):
            key.append(None)
    if draw(st.booleans()):
        key.insert(draw(st.integers(0, len(key))), Ellipsis)
    if Ellipsis in key and len(key) - key.count(None) - 1 > len(shape):
        key.remove(Ellipsis)
    return tuple(key), shape


@given(keys_and_shapes())
def test_the_result_has_the_shape_that_numpy_gives(case: tuple[tuple[object, ...], tuple[int, ...]]) -> None:
    key, shape = case
    try:
        expected = np.empty(shape)[key].shape
    except IndexError as error:  # an ellipsis may move an integer to a shorter axis
        with pytest.raises(SelectionError, match=str(error)):
            Selection(key, shape)
    else:
        assert Selection(key, shape).result_shape == expected


@given(st.integers(0, 9), st.integers(-12, 12), st.integers(-12, 12), st.integers(-4, 4).filter(bool))
def test_a_slice_selects_the_indices_of_range(extent: int, start: int, stop: int, step: int) -> None:
    ((first, stride, count),) = Selection(slice(start, stop, step), (extent,)).axes
    assert [first + i * stride for i in range(count)] == list(range(extent))[start:stop:step]


@pytest.mark.parametrize("index", [3, -4, 2**70, -(2**70)])
def test_an_index_out_of_bounds_names_axis_and_size(index: int) -> None:
    with pytest.raises(BoundsCheckError, match=r"out of bounds for axis 1 with size 3"):
        Selection((0, index), (2, 3))


def test_too_many_indices_are_counted() -> None:
    with pytest.raises(SelectionError, match="array is 1-dimensional, but 2 were indexed"):
        Selection((0, 0), (3,))


def test_a_second_ellipsis_is_refused() -> None:
    with pytest.raises(SelectionError, match="single ellipsis"):
        Selection((..., ...), (3, 3))


@pytest.mark.parametrize("item", [1.0, "a", True, np.True_, b"x", object()])
def test_what_does_not_select_is_named(item: object) -> None:
    with pytest.raises(SelectionError, match=type(item).__name__):
        Selection(item, (3,))


@pytest.mark.parametrize("part", [slice(0.5), slice(None, "a"), slice(None, None, 1.5)])
def test_slices_take_integers_only(part: slice) -> None:
    with pytest.raises(SelectionError, match="slice indices must be integers"):
        Selection(part, (3,))


def test_a_zero_step_is_refused_as_numpy_does() -> None:
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        Selection(slice(None, None, 0), (3,))


@pytest.mark.parametrize("index", [np.int8(-1), np.uint64(2), np.array(2)])
def test_numpy_integers_are_integers(index: object) -> None:
    assert Selection(index, (3,)).axes == ((2, 1, 1),)
