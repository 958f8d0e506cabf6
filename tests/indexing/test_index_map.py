"""An index map takes of an array what NumPy takes, one selection on another."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.indexing.keys import (
    fancy_keys,
    masks,
    orthogonal,
    orthogonal_keys,
    small_shapes,
    vectorized,
    view_steps,
    wrong_fancy_keys,
)
from tests.soak import count
from tests.strategies import basic_selections
from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.indexing.index_map import IndexMap

Values = npt.NDArray[Any]

thoroughly = settings(max_examples=count(10_000), deadline=None)


def numbers(shape: tuple[int, ...]) -> Values:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def assert_takes(found: IndexMap, expected: Any) -> None:
    array = numbers(found.array_shape)
    taken: Any = found.take(array)
    if found.is_scalar:
        taken = taken[()]
    assert type(taken) is type(expected)
    assert found.shape == taken.shape == expected.shape
    np.testing.assert_array_equal(taken, expected)
    assert_is_sound(found)


def assert_is_sound(found: IndexMap) -> None:
    """Every index is inside the array, and every dimension has one owner."""
    owned: list[int] = []
    assert len(found.axes) == len(found.array_shape)
    grouped = [axis for of, _, _ in found.groups for axis in of]
    assert sorted(grouped) == [axis for axis, own in enumerate(found.axes) if own is None]
    for own, extent in zip(found.axes, found.array_shape, strict=True):
        if own is not None:
            start, step, n, dim = own
            assert all(type(number) is int for number in own)
            assert n == (found.shape[dim] if dim >= 0 else 1)
            assert 0 <= start < extent or n == 0
            assert n == 0 or 0 <= start + step * (n - 1) < extent
            assert step != 0
            owned += [dim] if dim >= 0 else []
    for of, arrays, along in found.groups:
        assert list(along) == sorted(along)
        owned += along
        wanted = tuple(found.shape[dim] for dim in along)
        assert np.broadcast_shapes(*[array.shape for array in arrays]) == wanted
        for axis, array in zip(of, arrays, strict=True):
            assert array.dtype == np.int64
            assert array.ndim == len(along)
            assert array.size == 0 or 0 <= array.min() <= array.max() < found.array_shape[axis]
    assert len(set(owned)) == len(owned)


@thoroughly
@given(data=st.data(), shape=small_shapes())
def test_a_key_takes_what_numpy_takes(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(fancy_keys(shape))
    assert_takes(IndexMap.identity(shape).index(key), numbers(shape)[key])


@settings(thoroughly, max_examples=count(3000))
@given(data=st.data(), shape=small_shapes(5))
def test_a_basic_key_takes_what_numpy_takes(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(basic_selections(shape))
    found = IndexMap.identity(shape).index(key)
    assert_takes(found, numbers(shape)[key])
    assert not found.groups


@settings(thoroughly, max_examples=count(3000))
@given(data=st.data(), shape=small_shapes())
def test_an_orthogonal_key_takes_axis_by_axis(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(orthogonal_keys(shape))
    found = IndexMap.identity(shape).oindex(key)
    assert_takes(found, orthogonal(numbers(shape), key))
    assert all(len(of) == 1 for of, _, _ in found.groups)


@settings(thoroughly, max_examples=count(3000))
@given(data=st.data(), shape=small_shapes())
def test_a_key_of_points_puts_their_dimensions_first(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(fancy_keys(shape))
    found = IndexMap.identity(shape).vindex(key)
    assert_takes(found, vectorized(numbers(shape), key))


@settings(thoroughly, max_examples=count(2000))
@given(data=st.data(), shape=small_shapes())
def test_a_mask_takes_what_numpy_takes(data: st.DataObject, shape: tuple[int, ...]) -> None:
    mask = data.draw(masks(shape))
    found = IndexMap.identity(shape).index(mask)
    assert (found.mask is not None) == bool(shape)
    assert_takes(found, numbers(shape)[mask])


@thoroughly
@given(data=st.data(), shape=small_shapes(), steps=view_steps())
def test_selections_of_selections_take_what_numpy_takes(
    data: st.DataObject, shape: tuple[int, ...], steps: list[str]
) -> None:
    found, expected = IndexMap.identity(shape), numbers(shape)
    for step in steps:
        if expected.ndim > 8 or expected.size > 10_000:
            break
        found, expected = _one_more(data, step, found, expected)
        assert_takes(found, expected if found.is_scalar else np.asarray(expected))
        expected = np.asarray(expected)


def _one_more(data: st.DataObject, step: str, found: IndexMap, expected: Values) -> tuple[IndexMap, Any]:
    shape = expected.shape
    if step == "transpose":
        order = data.draw(st.permutations(range(len(shape))) | st.none())
        turned = expected.transpose(order)
        return found.transpose(order), turned[()] if found.is_scalar else turned
    if step == "oindex":
        key = data.draw(orthogonal_keys(shape))
        return found.oindex(key), orthogonal(expected, key)
    if step == "vindex":
        key = data.draw(fancy_keys(shape))
        return found.vindex(key), vectorized(expected, key)
    keys = {"index": fancy_keys, "basic": basic_selections, "mask": masks}[step]
    key = data.draw(keys(shape))
    return found.index(key), expected[key]


@settings(thoroughly, max_examples=count(3000))
@given(data=st.data(), shape=small_shapes())
def test_what_numpy_refuses_is_refused(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(wrong_fancy_keys(shape))
    with pytest.raises((IndexError, ValueError)):
        numbers(shape)[key]
    with pytest.raises(SelectionError):
        IndexMap.identity(shape).index(key)


@pytest.mark.parametrize(
    "key", [[0, 5, 1], [-1, -3], range(1, 3), range(-5, 1), np.array([[7]]), 9, (0, [4])]
)
def test_bounds_errors_are_numpys_words(key: Any) -> None:
    array = numbers((2, 4))
    with pytest.raises(IndexError) as expected:
        array[key]
    with pytest.raises(BoundsCheckError) as found:
        IndexMap.identity(array.shape).index(key)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (([0, 1], [0, 1, 2]), "could not be broadcast together with shapes (2,) (3,)"),
        (np.ones((2, 3), bool), "axis 1; size of axis is 4 but size of corresponding boolean axis is 3"),
        ([[1], [1, 2]], "inhomogeneous"),
        ("time", "by name with isel"),
        ([0.5], "got list [0.5]"),
        (np.array([0.5]), "must be of integer (or boolean) type, got float64"),
        ((0, 0, [0]), "array is 2-dimensional, but 3 were indexed"),
        ((..., [0], ...), "single ellipsis"),
    ],
)
def test_errors_say_what_is_wrong(key: Any, text: str) -> None:
    with pytest.raises(SelectionError) as error:
        IndexMap.identity((2, 4)).index(key)
    assert text in str(error.value)


def test_a_list_that_the_user_changes_afterwards_changes_nothing() -> None:
    listed = np.array([3, 0, 1])
    mask = np.array([True, False, True, True])
    maps = [IndexMap.identity((4,)).index(listed), IndexMap.identity((4,)).index(mask)]
    listed[:] = 99
    mask[:] = False
    assert [found.take(numbers((4,))).tolist() for found in maps] == [[3, 0, 1], [0, 2, 3]]


def test_lists_that_run_along_different_dimensions_are_groups_of_their_own() -> None:
    rows, columns = np.array([5, 1, 1]), np.array([2, 8, 3, 3])
    found = IndexMap.identity((9, 9)).index(np.ix_(rows, columns))
    assert [(of, along) for of, _, along in found.groups] == [((0,), (0,)), ((1,), (1,))]
    repeated = np.broadcast_arrays(*np.ix_(rows, columns))
    again = IndexMap.identity((9, 9)).index(tuple(repeated))
    assert [(of, along) for of, _, along in again.groups] == [((0,), (0,)), ((1,), (1,))]


def test_lists_of_even_steps_are_ranges() -> None:
    identity = IndexMap.identity((100, 100))
    assert identity.index(np.arange(10, 50, 3)).axes[0] == (10, 3, 14, 0)
    assert identity.index(([7], np.arange(9)[::-1])).axes == ((7, 1, 1, -1), (8, -1, 9, 0))
    assert identity.oindex((range(3, 9), [5, 5, 5])).axes == ((3, 1, 6, 0), None)


def test_ranges_are_never_written_out() -> None:
    found = IndexMap.identity((2**62, 3)).index(range(5, 2**61, 7))
    found = found.oindex((slice(10, None, 1000), [0, 2, 2])).transpose().oindex((0, range(-1, -9, -3)))
    n = len(range(5, 2**61, 7)[10::1000])
    last = 5 + 7 * (10 + 1000 * (n - 1))
    assert found.axes == ((last, -21_000, 3, 0), (0, 1, 1, -1))
    assert not found.groups


def test_what_repeats_is_told_to_the_engine_by_a_list() -> None:
    """A dimension that no axis is along has an extent of 1 there."""
    found = IndexMap.identity((2, 3)).index(None).index([0, 0])
    assert found.shape == (2, 2, 3)
    axes, groups = list(found.axes), list(found.groups)
    found._tie_repeats(axes, groups)
    owned = [own[3] for own in axes if own is not None] + [dim for _, _, along in groups for dim in along]
    assert sorted(owned) == [0, 1, 2]


def test_a_transpose_that_does_not_fit_is_refused() -> None:
    for axes in ((0,), (0, 0), (0, 2), (0, 1, 2)):
        with pytest.raises(ValueError, match="do not fit a view of 2 dimensions"):
            IndexMap.identity((2, 4)).transpose(axes)


def test_it_pickles() -> None:
    found = IndexMap.identity((2, 4)).index(([0, 1, 1], [3, 3, 0]))
    again = pickle.loads(pickle.dumps(found))
    assert again.shape == found.shape
    np.testing.assert_array_equal(again.take(numbers((2, 4))), found.take(numbers((2, 4))))


def test_it_is_shown_by_its_shapes() -> None:
    assert repr(IndexMap.identity((2, 4)).index([0])) == "<IndexMap (1, 4) of (2, 4)>"
