"""Copies over products of ranges and lists, against loops over every element."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.kernels.points import Levels, pick

Array = np.ndarray[Any, Any]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

ITEMSIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24)


def noise(nbytes: int, seed: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)


@dataclass
class Side:
    """A chunk's or a user's array: what the levels' places are in."""

    array: Array  # of items, any strides
    data: Bytes  # all of its memory
    start: int  # of its first element in there


def side(shape: tuple[int, ...], itemsize: int, order: list[int], steps: list[int], seed: int) -> Side:
    """An array whose dimensions lie in memory in this order, with these steps."""
    held = tuple(shape[i] * abs(steps[i]) for i in order)
    nbytes = int(np.prod(held)) * itemsize
    data = guarded_like(noise(nbytes, seed), at_end=seed % 2 == 0)
    array = data.view(f"V{itemsize}").reshape(held).transpose([order.index(i) for i in range(len(shape))])
    # The last of each group of 'step', so that the memory ends with an item.
    array = array[(*(slice(abs(s) - 1, None, abs(s)) for s in steps), ...)]
    array = array[(*(slice(None, None, 1 if s > 0 else -1) for s in steps), ...)]
    start = array.__array_interface__["data"][0] - data.__array_interface__["data"][0] if nbytes else 0
    return Side(array, data, start)


def swapped(item: Any, unit: int) -> bytes:
    raw = bytes(item)
    if unit < 2:
        return raw
    return b"".join(raw[i : i + unit][::-1] for i in range(0, len(raw), unit))


@st.composite
def sides(draw: st.DrawFn, shape: tuple[int, ...], itemsize: int) -> Side:
    order = draw(st.one_of(st.just(list(range(len(shape)))), st.permutations(range(len(shape)))))
    steps = [draw(st.sampled_from((1, 1, 1, 2, -1))) for _ in shape]
    return side(shape, itemsize, list(order), steps, draw(st.integers(0, 99)))


@dataclass
class Case:
    chunk: Side
    user: Side
    levels: Levels
    #: (chunk index, user index) of each element, in C order
    places: list[tuple[tuple[int, ...], tuple[int, ...]]]
    itemsize: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A chunk of some axes: in one list together, in lists of their own, in ranges, or fixed."""
    itemsize = draw(st.sampled_from(ITEMSIZES))
    ndim = draw(st.integers(0, 4))
    wide = draw(st.sampled_from((4, 9, 40)))
    shape = tuple(draw(st.integers(1, wide if d >= ndim - 2 else 3)) for d in range(ndim))
    chunk = draw(sides(shape, itemsize))
    kinds = [draw(st.sampled_from(("range", "range", "list", "tied", "fixed"))) for _ in shape]
    groups: list[tuple[str, list[int]]] = []
    tied = [d for d in range(ndim) if kinds[d] == "tied"]
    for d in range(ndim):
        if kinds[d] == "tied":
            if d == tied[0]:
                groups.append(("list", tied))
        else:
            groups.append((kinds[d], [d]))
    picked: list[tuple[str, list[int], list[tuple[int, ...]]]] = []
    for kind, axes in groups:
        if kind == "fixed":
            rows = [(draw(st.integers(0, shape[axes[0]] - 1)),)]
        elif kind == "range":
            step = draw(st.sampled_from((1, 1, 2, -1)))
            start = draw(st.integers(0, shape[axes[0]] - 1))
            rows = [(i,) for i in range(shape[axes[0]])[start if step < 0 else 0 :: step]]
            rows = rows[: draw(st.sampled_from((0, 1, 50, 50, 50)))]
        else:
            n = draw(st.sampled_from((0, 1, 3, 20, 300)))
            rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
            rows = [tuple(int(rng.integers(0, shape[a])) for a in axes) for _ in range(n)]
        picked.append((kind, axes, rows))
    total = int(np.prod([len(rows) for _, _, rows in picked])) if picked else 1
    if total > 1000:
        picked = [(kind, axes, rows[:4]) for kind, axes, rows in picked]
    user_shape = tuple(len(rows) for kind, _, rows in picked if kind != "fixed")
    user = draw(sides(user_shape, itemsize))

    levels: list[tuple[Any, ...]] = []
    strides, user_strides = chunk.array.strides, iter(user.array.strides)
    for kind, axes, rows in picked:
        if kind == "fixed":
            chunk.start += rows[0][0] * strides[axes[0]]
            continue
        user_stride = next(user_strides)
        if kind == "range":
            step = rows[1][0] - rows[0][0] if len(rows) > 1 else 1
            chunk.start += rows[0][0] * strides[axes[0]] if rows else 0
            levels.append((len(rows), step * strides[axes[0]], user_stride))
        else:
            before = draw(st.integers(0, 2))
            coords = [[7] * before + [row[i] for row in rows] for i in range(len(axes))]
            places = [9] * before + [i * user_stride for i in range(len(rows))]
            levels.append((before, len(rows), coords, [strides[a] for a in axes], places))
    order = draw(st.permutations(range(len(levels))))
    places_of = []
    for chosen in itertools.product(*(range(len(rows)) for _, _, rows in picked)):
        index = [0] * ndim
        for (_, axes, rows), i in zip(picked, chosen, strict=True):
            for axis, value in zip(axes, rows[i], strict=True):
                index[axis] = value
        outside = tuple(i for (kind, _, _), i in zip(picked, chosen, strict=True) if kind != "fixed")
        places_of.append((tuple(index), outside))
    return Case(chunk, user, Levels([levels[i] for i in order]), places_of, itemsize)


def unit_of(data: st.DataObject, itemsize: int) -> int:
    return data.draw(st.sampled_from([unit for unit in (0, 1, 2, 4, 8) if itemsize % max(unit, 1) == 0]))


@given(st.data())
@settings(max_examples=count(1500), deadline=None)
def test_reading_copies_each_element_of_the_product_and_no_other(data: st.DataObject) -> None:
    case = data.draw(cases())
    unit = unit_of(data, case.itemsize)
    expected = case.user.data.copy()
    copy = expected.view(f"V{case.itemsize}")
    start, strides = case.user.start, case.user.array.strides
    for inside, outside in case.places:
        at = (start + sum(i * s for i, s in zip(outside, strides, strict=True))) // case.itemsize
        copy[at] = np.void(swapped(case.chunk.array[inside], unit))
    pick(
        "read",
        case.user.data,
        case.user.start,
        case.chunk.data,
        case.chunk.start,
        case.levels,
        case.itemsize,
        unit,
    )
    assert case.user.data.tobytes() == expected.tobytes()


@given(st.data())
@settings(max_examples=count(1500), deadline=None)
def test_writing_lets_the_last_of_several_points_win(data: st.DataObject) -> None:
    case = data.draw(cases())
    unit = unit_of(data, case.itemsize)
    first = case.chunk.data.copy()
    for inside, outside in case.places:
        case.chunk.array[inside] = np.void(swapped(case.user.array[outside], unit))
    expected = case.chunk.data.copy()
    case.chunk.data[:] = first
    pick(
        "write",
        case.user.data,
        case.user.start,
        case.chunk.data,
        case.chunk.start,
        case.levels,
        case.itemsize,
        unit,
    )
    assert case.chunk.data.tobytes() == expected.tobytes()


@given(st.data())
@settings(max_examples=count(1000), deadline=None)
def test_filling_sets_what_reading_would(data: st.DataObject) -> None:
    case = data.draw(cases())
    item = noise(case.itemsize, 5)
    first = case.user.data.copy()
    case.chunk.data[:] = 0
    case.user.data[:] = 1
    pick(
        "read",
        case.user.data,
        case.user.start,
        case.chunk.data,
        case.chunk.start,
        case.levels,
        case.itemsize,
    )
    read = case.user.data == 0
    expected = np.where(read, np.resize(item, read.size) if read.size else first, first)
    case.user.data[:] = first
    pick("fill", case.user.data, case.user.start, guarded_like(item), 0, case.levels, case.itemsize)
    assert case.user.data.tobytes() == expected.tobytes()


def test_values_that_repeat_are_written_everywhere() -> None:
    """Strides of 0 and below on the user's side, as broadcast and reversed values have."""
    chunk = np.zeros((4, 100), "u4")
    values = np.arange(100, dtype="u4")
    levels = Levels([(0, 3, [[3, 0, 2]], [400], [0, 0, 0]), (100, 4, -4)])
    pick("write", values.view("u1"), 396, chunk.view("u1").reshape(-1), 0, levels, 4)
    assert chunk[[0, 2, 3]].tolist() == [values[::-1].tolist()] * 3
    assert not chunk[1].any()


@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
def test_two_lists_meet_in_every_pair(n: int) -> None:
    rng = np.random.default_rng(n)
    chunk = rng.integers(0, 99, (30, 40)).astype("i2")
    rows, columns = rng.integers(0, 30, 50), rng.integers(0, 40, n)
    user = np.zeros((50, n), "i2")
    levels = Levels(
        [
            (0, 50, [rows], [80], np.arange(50) * 2 * n),
            (0, n, [columns], [2], np.arange(n) * 2),
        ]
    )
    pick("read", user.view("u1").reshape(-1), 0, chunk.view("u1").reshape(-1), 0, levels, 2)
    assert np.array_equal(user, chunk[np.ix_(rows, columns)])


def test_only_a_part_of_the_chunk_need_be_there() -> None:
    chunk = np.arange(1000, dtype="i8")
    part = guarded_like(chunk[500:520], at_end=False)
    user = np.zeros(3, "i8")
    levels = Levels([(0, 3, [[519, 500, 507]], [8], [0, 8, 16])])
    pick("read", user.view("u1"), 0, part.view("u1"), -500 * 8, levels, 8)
    assert user.tolist() == [519, 500, 507]


def test_no_levels_are_one_element_and_64_are_taken() -> None:
    one, other = np.array([5], "i4"), np.array([6], "i4")
    pick("read", one.view("u1"), 0, other.view("u1"), 0, Levels([]), 4)
    assert one[0] == 6
    lists: list[tuple[Any, ...]] = [(0, 1, [[0]], [4], [0])] * 32
    chunk = np.arange(4, dtype="i4")
    user = np.zeros(4, "i4")
    ranges: list[tuple[Any, ...]] = [(2, 8, 8), (2, 4, 4), *[(1, 4, 4)] * 30]
    pick("read", user.view("u1"), 0, chunk.view("u1"), 0, Levels([*lists, *ranges]), 4)
    assert user.tolist() == [0, 1, 2, 3]


def test_filling_does_not_look_at_the_chunks_side() -> None:
    user = np.zeros((3, 20), "i2")
    levels = Levels([(0, 2, None, None, [80, 0]), (20, 0, 2)])
    pick("fill", user.view("u1").reshape(-1), 0, bytearray(b"\1\2"), 0, levels, 2)
    assert user.tolist() == [[0x201] * 20, [0] * 20, [0x201] * 20]
    with pytest.raises(ValueError, match="can only be filled"):
        pick("read", user.view("u1").reshape(-1), 0, bytearray(2), 0, levels, 2)


def test_levels_that_leave_their_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves 16 bytes"):
        pick("read", bytearray(16), 0, bytearray(99), 0, Levels([(5, 4, 4)]), 4)
    with pytest.raises(ValueError, match="leaves 8 bytes"):
        pick("write", bytearray(16), 0, bytearray(8), 0, Levels([(0, 1, [[2]], [4], [0])]), 4)
