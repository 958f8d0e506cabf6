"""Masks of whole arrays, box by box, against NumPy's boolean indexing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.kernels.points import Mask

Array = np.ndarray[Any, Any]

shapes = st.one_of(
    st.lists(st.integers(0, 5), max_size=5),
    st.lists(st.integers(1, 70), min_size=1, max_size=2),
    st.lists(st.integers(1, 2000), min_size=1, max_size=1),
    st.tuples(st.integers(1, 3), st.sampled_from((63, 64, 65, 255, 256, 257, 512, 513))),
).map(tuple)


@st.composite
def masks(draw: st.DrawFn) -> Array:
    shape = draw(shapes)
    share = draw(st.sampled_from((0.0, 0.01, 0.3, 0.5, 0.97, 1.0)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask: Array = np.asarray(rng.random(shape) < share)
    if mask.ndim and mask.size and draw(st.booleans()):
        mask[: draw(st.integers(0, mask.shape[0]))] = draw(st.booleans())
    return mask


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    low = [draw(st.one_of(st.just(0), st.integers(0, n))) for n in shape]
    most = [n - first for n, first in zip(shape, low, strict=True)]
    return low, [draw(st.one_of(st.just(n), st.integers(0, n))) for n in most]


def inside(low: list[int], n: list[int]) -> Any:
    return (*(slice(first, first + size) for first, size in zip(low, n, strict=True)), ...)


@given(st.data())
@settings(max_examples=count(2000), deadline=None)
def test_true_elements_of_a_box_are_counted(data: st.DataObject) -> None:
    mask = data.draw(masks())
    low, n = data.draw(boxes(mask.shape))
    found = Mask(guarded_like(mask, at_end=data.draw(st.booleans())))
    assert found.n_true == np.count_nonzero(mask)
    assert found.count(low, n) == np.count_nonzero(mask[inside(low, n)])


@st.composite
def chunks(draw: st.DrawFn, shape: list[int], dtype: Any) -> Array:
    """Noise with strides of any order and sign."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from((1, 1, 2, -1))) for _ in shape]
    held = [shape[i] * abs(steps[i]) for i in order]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.frombuffer(rng.bytes(int(np.prod(held)) * np.dtype(dtype).itemsize), dtype).copy()
    values = values.reshape(held).transpose([order.index(i) for i in range(len(shape))])
    return values[(*(slice(None, None, step) for step in steps), ...)]


DTYPES = ("V1", "V2", "V3", "V4", "V8", "V16", "V24")
SWAPPED = {"u2": 2, "i4": 4, "u8": 8, "c8": 4, "c16": 8}


def bits(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


@given(st.data())
@settings(max_examples=count(2500), deadline=None)
def test_boxes_are_read_written_and_filled_as_numpy_does(data: st.DataObject) -> None:
    mask = data.draw(masks())
    low, n = data.draw(boxes(mask.shape))
    dtype = data.draw(st.sampled_from((*DTYPES, *SWAPPED)))
    unit = SWAPPED.get(dtype, 0)
    chunk = data.draw(chunks(n, dtype))
    found = Mask(mask)
    step = data.draw(st.sampled_from((1, 1, 2, -1)))
    user = guarded_like(np.zeros(found.n_true * abs(step), dtype))[::step]
    before = np.frombuffer(np.random.default_rng(3).bytes(user.nbytes), dtype)

    # Which of the user's elements are in the box, in its order.
    ranks = (np.cumsum(mask.ravel()) - 1).reshape(mask.shape)[inside(low, n)]
    chosen = mask[inside(low, n)]
    order = ranks[chosen]

    def values_of(array: Array) -> Array:
        return array.byteswap() if unit else array

    user[...] = before
    expected = before.copy()
    expected[order] = values_of(chunk)[chosen]
    found.move("read", low, user, chunk, swap_unit=unit)
    assert bits(user) == bits(expected)

    if chunk.size:
        expected[order] = chunk[(0,) * chunk.ndim]
        found.move("fill", low, user, chunk)
        assert bits(user) == bits(expected)

    user[...] = before
    wanted = chunk.copy()
    wanted[chosen] = values_of(before)[order]
    found.move("write", low, user, chunk, swap_unit=unit)
    assert bits(chunk) == bits(wanted)


def test_all_chunks_together_are_the_whole_mask() -> None:
    rng = np.random.default_rng(8)
    values = rng.random((70, 130, 33))
    mask = rng.random(values.shape) < 0.4
    found = Mask(mask)
    user = guarded_like(np.zeros(found.n_true))
    total = 0
    for low in itertools.product(range(0, 70, 32), range(0, 130, 50), range(0, 33, 10)):
        chunk = values[tuple(slice(i, i + n) for i, n in zip(low, (32, 50, 10), strict=True))]
        total += found.count(low, chunk.shape)
        found.move("read", low, user, guarded_like(chunk))
    assert total == found.n_true
    assert np.array_equal(user, values[mask])


def test_one_value_can_be_written_to_all() -> None:
    mask = np.random.default_rng(0).random((9, 300)) < 0.5
    found = Mask(mask)
    chunk = np.zeros(mask.shape, "i4")
    found.move("write", (0, 0), np.broadcast_to(np.array(7, "i4"), found.n_true), chunk)
    assert np.array_equal(chunk, np.where(mask, 7, 0))


def test_what_is_not_0_is_true() -> None:
    values = np.arange(300, dtype="u1")
    assert Mask(values).n_true == np.count_nonzero(values)
    for value in (1, 2, 0x7F, 0x80, 0xFF):
        assert Mask(np.full(65, value, "u1")).n_true == 65


def test_the_mask_may_change_after_it_was_given() -> None:
    mask = np.ones((3, 100), bool)
    found = Mask(mask)
    mask[...] = False
    assert found.count((1, 0), (2, 100)) == 200


def test_no_dimensions_are_one_element() -> None:
    for value in (True, False):
        found = Mask(np.array(value))
        user = np.zeros(int(value), "i2")
        found.move("read", (), user, np.array(5, "i2"))
        assert user.tolist() == [5] * value
        assert found.count((), ()) == int(value)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (0, 2**40, 2**20), (1,) * 32, (2,) * 12 + (1,) * 20])
def test_empty_masks_and_32_dimensions_work(shape: tuple[int, ...]) -> None:
    found = Mask(np.ones(shape, bool))
    assert found.n_true == found.count((0,) * len(shape), shape)


def test_every_row_of_every_box_begins_at_its_rank() -> None:
    """Rows around the blocks that ranks are kept for, at each place in them."""
    mask = np.random.default_rng(2).random((5, 259)) < 0.5
    found = Mask(guarded_like(mask))
    for low in range(259):
        for n in (1, 2, 63, 64, 65, 259 - low):
            if low + n <= 259:
                assert found.count((2, low), (3, n)) == np.count_nonzero(mask[2:, low : low + n])
