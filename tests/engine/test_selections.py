"""Basic selections mean what they mean in NumPy, in reads and in writes, on any array and store."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zarrc
from tests.soak import count
from tests.strategies import (
    Layout,
    basic_selections,
    broadcastable_shapes,
    layouts,
    random_values,
    seeds,
    wrong_selections,
)

Values = npt.NDArray[Any]
StoreMaker = Callable[[str], Any]
kinds = st.sampled_from(("memory", "local"))

thoroughly = settings(
    max_examples=count(5000),
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture
def make_store(tmp_path: Path) -> StoreMaker:
    """Makes stores of a kind, a new one at each call."""
    numbers = itertools.count()

    def make(kind: str) -> Any:
        return zarrc.storage.MemoryStore() if kind == "memory" else str(tmp_path / str(next(numbers)))

    return make


def _create(store: Any, layout: Layout, seed: int) -> tuple[Any, Values]:
    """An array with values, and the same in NumPy."""
    array = zarrc.create_array(store, **layout.arguments())
    values = random_values(layout.shape, layout.dtype_name, seed)
    array[...] = values
    return array, values


def _assert_same(found: Any, expected: Any) -> None:
    """Equal bit for bit, and of the same type: a NumPy scalar, or an array of the same shape."""
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    assert found.dtype.newbyteorder("=") == expected.dtype
    assert np.asarray(found).astype(expected.dtype).tobytes() == np.asarray(expected).tobytes()


@thoroughly
@given(data=st.data(), layout=layouts(), seed=seeds(), kind=kinds)
def test_reading_a_selection_equals_numpy(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    array, values = _create(make_store(kind), layout, seed)
    for _ in range(3):
        selection = data.draw(basic_selections(layout.shape))
        _assert_same(array[selection], values[selection])


@thoroughly
@given(data=st.data(), layout=layouts(), seed=seeds(), kind=kinds)
def test_writing_a_selection_equals_numpy(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    array, values = _create(make_store(kind), layout, seed)
    for _ in range(2):
        selection = data.draw(basic_selections(layout.shape))
        shape = data.draw(_value_shapes(values[selection]))
        new = random_values(shape, layout.dtype_name, data.draw(seeds()))
        array[selection] = new
        values[selection] = new
        _assert_same(array[...], values)


def _value_shapes(selected: Any) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes that NumPy assigns to a selection; to a single element it takes no array of one element."""
    return st.just(()) if isinstance(selected, np.generic) else broadcastable_shapes(selected.shape)


@settings(thoroughly, max_examples=count(2000))
@given(data=st.data(), layout=layouts(), seed=seeds(), kind=kinds)
def test_writing_a_scalar_equals_numpy(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    array, values = _create(make_store(kind), layout, seed)
    selection = data.draw(basic_selections(layout.shape))
    scalar = data.draw(st.sampled_from((0, 1, True, np.float32(1), np.uint8(1))))
    array[selection] = scalar
    values[selection] = scalar
    _assert_same(array[...], values)


@settings(thoroughly, max_examples=count(2000))
@given(data=st.data(), layout=layouts(max_ndim=4), seed=seeds(), kind=kinds)
def test_writing_into_an_array_without_chunks_leaves_the_rest_at_the_fill_value(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    fill = random_values((), layout.dtype_name, seed)[()]
    if layout.zarr_format == 2 and fill != fill:
        fill = np.zeros((), layout.dtype_name)[()]  # v2 has no form for the NaNs that random bits give
    array = zarrc.create_array(make_store(kind), fill_value=fill, **layout.arguments())
    values = np.full(layout.shape, fill, layout.dtype_name)
    selection = data.draw(basic_selections(layout.shape))
    new = random_values(np.shape(values[selection]), layout.dtype_name, seed + 1)
    array[selection] = new
    values[selection] = new
    _assert_same(array[...], values)


@settings(thoroughly, max_examples=count(2000))
@given(data=st.data(), layout=layouts(), seed=seeds(), kind=kinds)
def test_what_numpy_refuses_is_refused_and_changes_nothing(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    array, values = _create(make_store(kind), layout, seed)
    selection = data.draw(wrong_selections(layout.shape))
    with pytest.raises((IndexError, ValueError)) as expected:
        values[selection]
    with pytest.raises(expected.type):
        array[selection]
    with pytest.raises(expected.type):
        array[selection] = 1
    _assert_same(array[...], values)


@settings(thoroughly, max_examples=count(1000))
@given(data=st.data(), layout=layouts(), seed=seeds(), kind=kinds)
def test_a_value_that_does_not_broadcast_is_refused_and_changes_nothing(
    make_store: StoreMaker, data: st.DataObject, layout: Layout, seed: int, kind: str
) -> None:
    array, values = _create(make_store(kind), layout, seed)
    selection = data.draw(basic_selections(layout.shape))
    wanted = np.shape(values[selection])
    wrong = data.draw(
        st.lists(st.integers(0, 5), max_size=len(wanted) + 1).map(tuple).filter(_refused(wanted))
    )
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        array[selection] = np.ones(wrong, layout.dtype_name)
    _assert_same(array[...], values)


def _refused(wanted: tuple[int, ...]) -> Callable[[tuple[int, ...]], bool]:
    """Does NumPy refuse to assign a value of this shape?"""
    target = np.empty(wanted, bool)

    def refuses(shape: tuple[int, ...]) -> bool:
        try:
            target[...] = np.empty(shape, bool)
        except ValueError:
            return True
        return False

    return refuses
