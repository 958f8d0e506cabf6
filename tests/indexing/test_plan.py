"""The plan: its parts tile the selection, each element once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.indexing.plan import Plan
from zarrc.indexing.selection import Selection

HUGE = 2**62


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[slice | int, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 12), max_size=3)))
    chunks = tuple(draw(st.integers(1, 14)) for _ in shape)
    bound = st.none() | st.integers(-15, 15)
    step = st.none() | st.integers(-15, 15).filter(bool) | st.sampled_from([HUGE, -HUGE])
    key = tuple(draw(st.builds(slice, bound, bound, step) | st.integers(-n, n - 1)) for n in shape)
    return shape, chunks, key


def _elements(plan: Plan, number: int, axes: tuple[tuple[int, int, int], ...], chunks: tuple[int, ...]):
    """(index in the array, index along each axis of the part) of the part's elements."""
    chunk, start, count, _, _ = plan[number]
    for k in np.ndindex(*count):
        yield (
            tuple(
                c * n + s + i * abs(axis[1])
                for c, n, s, i, axis in zip(chunk, chunks, start, k, axes, strict=True)
            ),
            k,
        )


@given(cases())
def test_the_parts_fill_the_result_as_numpy_would(case) -> None:
    shape, chunks, key = case
    array = np.arange(int(np.prod(shape))).reshape(shape)
    selection = Selection(key, shape)
    result = np.full(selection.result_shape, -1)
    plan = Plan(selection, shape, chunks, result.strides)
    strides = iter(result.strides)
    signed = [
        (next(strides) if isinstance(k, slice) else 0) * (1 if axis[1] > 0 else -1)
        for k, axis in zip(key, selection.axes, strict=True)
    ]
    flat = result.reshape(-1)
    for number in range(len(plan)):
        offset = plan[number][3]
        for index, k in _elements(plan, number, selection.axes, chunks):
            place = (offset + sum(i * stride for i, stride in zip(k, signed, strict=True))) // result.itemsize
            assert flat[place] == -1
            flat[place] = array[index]
    np.testing.assert_array_equal(result, array[key])


@given(cases())
def test_a_part_covers_its_chunk_when_it_has_all_of_it_inside_the_array(case) -> None:
    shape, chunks, key = case
    selection = Selection(key, shape)
    plan = Plan(selection, shape, chunks, (8,) * len(selection.result_shape))
    for number in range(len(plan)):
        chunk, _, count, _, covers = plan[number]
        inside = [min(n, extent - c * n) for c, n, extent in zip(chunk, chunks, shape, strict=True)]
        assert covers == (list(count) == inside)


def test_a_plan_of_very_many_chunks_costs_nothing() -> None:
    plan = Plan(Selection(..., (2**40,)), (2**40,), (1,), (8,))
    assert len(plan) == 2**40
    assert plan[2**40 - 1] == ((2**40 - 1,), (0,), (1,), 8 * (2**40 - 1), True)


def test_a_plan_of_shapes_that_are_not_the_selection_s_is_refused() -> None:
    selection = Selection((slice(None), 1), (4, 5))
    for shape, chunks, strides in (
        ((), (), ()),
        ((4, 5), (2,), (8,)),
        ((4, 5), (2, 2), ()),
        ((4, 5), (2, 0), (8,)),
    ):
        with pytest.raises(ValueError, match="chunk"):
            Plan(selection, shape, chunks, strides)
