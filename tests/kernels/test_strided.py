"""The strided copies against NumPy: each fast path gives what the plain loop gives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.kernels import strided

Array = np.ndarray[Any, Any]

ITEMSIZES = (1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 33, 70)
LEVELS = (0, -1)
SWAPPED = ("u2", "i4", "f4", "i8", "f8", "c8", "c16")


def numbered(shape: tuple[int, ...], dtype: Any) -> Array:
    """Distinct bytes, so that an item out of place shows."""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    values = (np.arange(nbytes, dtype=np.uint64) * 2654435761 >> 13).astype(np.uint8)
    return values.view(dtype).reshape(shape) if nbytes else np.empty(shape, dtype)


def box(slices: Iterable[slice]) -> Any:
    """An index of slices under which a 0-d array stays an array."""
    return (*slices, ...)


@st.composite
def strided_arrays(draw: st.DrawFn, dtype: Any, shape: tuple[int, ...], *, broadcast: bool) -> Array:
    """An array of this shape with strides of any sign and order, and with gaps."""
    ndim = len(shape)
    order = draw(st.permutations(range(ndim)))
    steps = [draw(st.sampled_from((1, 1, 1, 2, 3, -1, -2))) for _ in shape]
    flat = [broadcast and draw(st.integers(0, 9)) == 0 for _ in shape]
    held = [1 if flat[i] else shape[i] * abs(steps[i]) + draw(st.integers(0, 2)) for i in range(ndim)]
    base = numbered(tuple(held[i] for i in order), dtype)
    inverse = [order.index(i) for i in range(ndim)]
    turned = base.transpose(inverse)
    sliced = turned[box(slice(None) if flat[i] else slice(None, None, steps[i]) for i in range(ndim))]
    cut = sliced[box(slice(0, 1 if flat[i] else shape[i]) for i in range(ndim))]
    return np.broadcast_to(cut, shape) if any(flat) else cut


shapes = st.one_of(
    st.lists(st.integers(0, 5), max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.lists(st.integers(1, 300), min_size=1, max_size=2),
).map(tuple)


def same_bits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@given(st.data())
@settings(max_examples=count(4000), deadline=None)
def test_a_copy_equals_numpys_for_any_strides(data: st.DataObject) -> None:
    dtype = np.dtype(f"V{data.draw(st.sampled_from(ITEMSIZES))}")
    shape = data.draw(shapes)
    src = data.draw(strided_arrays(dtype, shape, broadcast=True))
    dst = data.draw(strided_arrays(dtype, shape, broadcast=False)).copy(order="K")
    whole = data.draw(strided_arrays(dtype, shape, broadcast=False))
    strided.copy(dst, src, level=data.draw(st.sampled_from(LEVELS)))
    assert same_bits(dst, src)
    strided.copy(whole, src, streamed=data.draw(st.booleans()))
    assert same_bits(whole, src)


@given(st.data())
@settings(max_examples=count(2000), deadline=None)
def test_a_swapping_copy_equals_numpys_byteswap(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(SWAPPED)))
    shape = data.draw(shapes)
    src = data.draw(strided_arrays(dtype, shape, broadcast=True))
    dst = data.draw(strided_arrays(dtype, shape, broadcast=False))
    strided.copy(dst, src, swap=True, level=data.draw(st.sampled_from(LEVELS)))
    assert same_bits(dst, src.byteswap())


@given(st.data())
@settings(max_examples=count(1000), deadline=None)
def test_a_copy_writes_nothing_between_the_items(data: st.DataObject) -> None:
    itemsize = data.draw(st.sampled_from(ITEMSIZES))
    shape = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=3).map(tuple))
    around = np.zeros(tuple(2 * n + 1 for n in shape), f"V{itemsize}")
    inside = around[tuple(slice(1, None, 2) for _ in shape)]
    order = data.draw(st.permutations(range(len(shape))))
    inverse = [order.index(i) for i in range(len(shape))]
    src = numbered(tuple(shape[i] for i in order), f"V{itemsize}").transpose(inverse)
    expected = around.copy()
    expected[tuple(slice(1, None, 2) for _ in shape)] = src
    strided.copy(inside, src)
    assert same_bits(around, expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("itemsize", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(
    "shape", [(1, 300), (2, 2), (16, 16), (17, 33), (64, 64), (128, 129), (257, 255), (600, 5)]
)
def test_transposed_tiles_touch_only_their_own_bytes(
    level: int, itemsize: int, shape: tuple[int, int]
) -> None:
    values = numbered(shape, f"V{itemsize}")
    for at_end in (True, False):
        src = guarded_like(values, at_end=at_end)
        dst = guarded_like(np.zeros(shape[::-1], values.dtype), at_end=at_end)
        strided.copy(dst, src.T, level=level)
        assert same_bits(dst, values.T)


@pytest.mark.parametrize("at_end", [True, False])
def test_streamed_rows_touch_only_their_own_bytes(at_end: bool) -> None:
    for n_bytes in (*range(200, 420), 511, 512, 513, 1000, 4096, 5001):
        values = numbered((3, n_bytes), "V1")
        dst = guarded_like(np.zeros((3, n_bytes), "V1"), at_end=at_end)
        strided.copy(dst, guarded_like(values, at_end=at_end), streamed=True)
        assert same_bits(dst, values)
        # Rows that do not merge, and that begin anywhere in a cache line.
        apart = guarded_like(np.zeros((3, n_bytes + 1), "V1"), at_end=at_end)
        strided.copy(apart[:, 1:], values, streamed=True)
        assert same_bits(apart[:, 1:], values)
        assert same_bits(apart[:, 0], np.zeros(3, "V1"))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("at_end", [True, False])
def test_rows_of_every_length_touch_only_their_own_bytes(level: int, at_end: bool) -> None:
    for nbytes in itertools.chain(range(1, 200), (255, 256, 257, 511, 513, 2047, 2048, 2049, 5000)):
        values = numbered((3, nbytes), "u1")
        around = np.zeros((3, nbytes + 7), "u1")
        strided.copy(around[:, 3:-4], guarded_like(values, at_end=at_end), level=level)
        assert not around[:, :3].any()
        assert not around[:, -4:].any()
        back = guarded_like(np.zeros_like(values), at_end=at_end)
        strided.copy(back, around[:, 3:-4], level=level)
        assert same_bits(back, values)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", SWAPPED)
def test_swapped_rows_touch_only_their_own_bytes(level: int, dtype: str) -> None:
    for n in range(1, 40):
        values = numbered((n,), dtype)
        dst = guarded_like(np.zeros_like(values))
        strided.copy(dst, guarded_like(values), swap=True, level=level)
        assert same_bits(dst, values.byteswap())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8", "c16", "V3"])
def test_every_order_of_three_dimensions(order: tuple[int, ...], dtype: str) -> None:
    values = numbered((70, 33, 150), dtype)
    assert same_bits(strided.transpose(values, order), values.transpose(order))


def test_thirty_two_dimensions_are_copied_and_thirty_three_refused() -> None:
    values = numbered((2,) * 12 + (1,) * 20, "f4")
    order = tuple(reversed(range(32)))
    assert same_bits(strided.transpose(values, order), values.transpose(order))
    with pytest.raises(ValueError, match="at most 32 dimensions, got 33"):
        strided.transpose(np.zeros((1,) * 33), tuple(range(33)))


def test_dimensions_that_do_not_merge_are_walked_all() -> None:
    values = numbered((4,) * 8, "u1")
    part = values[(slice(None, None, 3),) * 8]
    assert same_bits(strided.transpose(part, tuple(range(8))), part)


def test_windows_that_overlap_in_the_source() -> None:
    windows = np.lib.stride_tricks.sliding_window_view(numbered((300,), "f8"), 50)
    assert same_bits(strided.transpose(windows, (1, 0)), windows.T)


def test_a_copy_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"src is \(2,\) of 8 bytes, dst is \(3,\) of 8"):
        strided.copy(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="of 8 bytes, dst is"):
        strided.copy(np.zeros(2, "f4"), np.zeros(2))
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        strided.copy(frozen, np.zeros(2))
    with pytest.raises(TypeError, match="no byte order"):
        strided.copy(np.zeros(2, "V3"), np.zeros(2, "V3"), swap=True)
    with pytest.raises(TypeError, match="references"):
        strided.copy(np.zeros(2, object), np.zeros(2, object))


@given(st.data())
@settings(max_examples=count(2000), deadline=None)
def test_fill_sets_each_item_and_nothing_else(data: st.DataObject) -> None:
    itemsize = data.draw(st.sampled_from((*ITEMSIZES, 256, 5000)))
    shape = data.draw(shapes.filter(lambda shape: math.prod(shape) * itemsize < 1 << 20))
    pattern = bytes([data.draw(st.integers(0, 255))]) * itemsize
    if data.draw(st.booleans()):
        pattern = data.draw(st.binary(min_size=itemsize, max_size=itemsize))
    around = numbered(tuple(2 * n for n in shape), f"V{itemsize}")
    steps = [data.draw(st.sampled_from((1, 1, 2, -1, -2))) for _ in shape]
    part = box(slice(None, None, step) for step in steps)
    expected = around.copy()
    expected[part] = np.frombuffer(pattern, f"V{itemsize}")[0]
    strided.fill(around[part], pattern)
    assert same_bits(around, expected)


@pytest.mark.parametrize("itemsize", [1, 2, 3, 4, 8, 16, 24])
def test_a_fill_of_every_length_stays_inside(itemsize: int) -> None:
    pattern = bytes(range(7, 7 + itemsize))
    for n in (*range(1, 70), 1000, 5000):
        dst = guarded_like(np.zeros(n, f"V{itemsize}"))
        strided.fill(dst, pattern)
        assert dst.tobytes() == pattern * n


@given(st.data())
@settings(max_examples=count(3000), deadline=None)
def test_equals_finds_one_flipped_bit_anywhere(data: st.DataObject) -> None:
    itemsize = data.draw(st.sampled_from(ITEMSIZES))
    shape = data.draw(shapes)
    level = data.draw(st.sampled_from(LEVELS))
    pattern = data.draw(st.binary(min_size=itemsize, max_size=itemsize) | st.just(bytes(itemsize)))
    values = data.draw(strided_arrays(f"V{itemsize}", shape, broadcast=False))
    strided.fill(values, pattern)
    assert strided.equals(values, pattern, level=level)
    if values.size:
        place = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
        item = bytearray(pattern)
        item[data.draw(st.integers(0, itemsize - 1))] ^= 1 << data.draw(st.integers(0, 7))
        values[place] = np.frombuffer(bytes(item), f"V{itemsize}")[0]
        assert not strided.equals(values, pattern, level=level)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("itemsize", [1, 2, 3, 4, 8, 16, 24, 32])
def test_equals_of_every_length_reads_only_its_own_bytes(level: int, itemsize: int) -> None:
    pattern = bytes(range(7, 7 + itemsize))
    for n in (*range(1, 70), 1000):
        values = guarded_like(np.frombuffer(pattern * n, f"V{itemsize}"), at_end=n % 2 == 0)
        assert strided.equals(values, pattern, level=level)
        values.view("u1")[-1] ^= 1
        assert not strided.equals(values, pattern, level=level)


def test_equals_compares_bits_not_values() -> None:
    zeros = np.zeros(40)
    assert strided.equals(zeros, np.float64(0.0).tobytes())
    assert not strided.equals(zeros, np.float64(-0.0).tobytes())
    nans = np.full((3, 3), np.nan)
    assert strided.equals(nans, np.float64(np.nan).tobytes())
    assert not strided.equals(nans, (-np.float64(np.nan)).tobytes())


def test_an_empty_array_equals_any_pattern() -> None:
    assert strided.equals(np.zeros((3, 0, 2)), bytes(8))


def test_a_pattern_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="the pattern has 4 bytes, an item has 8"):
        strided.equals(np.zeros(3), bytes(4))
    with pytest.raises(ValueError, match="the pattern has 4 bytes, an item has 8"):
        strided.fill(np.zeros(3), bytes(4))


@given(st.binary(max_size=600), st.sampled_from((1, 2, 4, 8)))
def test_swap_reverses_each_unit_in_place(raw: bytes, unit: int) -> None:
    raw = raw[: len(raw) // unit * unit]
    data = bytearray(raw)
    strided.swap(data, unit)
    expected = b"".join(raw[i : i + unit][::-1] for i in range(0, len(raw), unit))
    assert bytes(data) == expected


def test_swap_refuses_a_rest() -> None:
    with pytest.raises(ValueError, match="7 bytes cannot be swapped by 2"):
        strided.swap(bytearray(7), 2)
