"""Points sorted by chunk, against a plain sort in Python."""

from __future__ import annotations

import bisect
import itertools
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.kernels.points import Points, normalize_indices

Array = np.ndarray[Any, Any]
Numbers = tuple[int, ...]

HUGE = 2**63 - 1


def chunk_of(index: int, extents: list[int], edges: list[int] | None) -> tuple[Numbers, int]:
    """The chunk's number at each level, and the index in the leaf."""
    numbers = []
    for level, extent in enumerate(extents):
        if level == 0 and edges is not None:
            numbers.append(bisect.bisect_right(edges, index) - 1)
            index -= edges[numbers[-1]]
        else:
            numbers.append(index // extent)
            index %= extent
    return tuple(numbers), index


Row = tuple[tuple[Numbers, ...], Numbers, int]


def by_chunk(rows: list[Row], level: int) -> list[tuple[tuple[Numbers, ...], list[Row]]]:
    """The chunks of a level, named from level 0 on, and their rows."""
    return [(key, list(group)) for key, group in itertools.groupby(rows, lambda row: row[0][: level + 1])]


def expect_sorted(
    indices: list[Array], extents: list[list[int]], strides: list[int], edges: list[list[int] | None]
) -> None:
    """`Points` of these are what sorting by (level, axis) gives."""
    shape = indices[0].shape
    n_axes, n_levels = len(indices), len(extents[0])
    rows: list[Row] = []
    for place in itertools.product(*map(range, shape)):
        found = [chunk_of(int(indices[a][place]), extents[a], edges[a]) for a in range(n_axes)]
        key = tuple(tuple(found[a][0][level] for a in range(n_axes)) for level in range(n_levels))
        user = sum(i * stride for i, stride in zip(place, strides, strict=True))
        rows.append((key, tuple(f[1] for f in found), user))
    rows.sort(key=lambda row: row[0])

    points = Points(indices, extents, strides, edges)
    assert points.n_points == len(rows)
    assert list(zip(*(axis.tolist() for axis in points.coords), strict=True)) == [row[1] for row in rows]
    assert points.user.tolist() == [row[2] for row in rows]
    if n_axes == 1:
        assert points.n_distinct(0) is None
        points.count_distinct()
        points.count_distinct()
    for level in range(n_levels):
        groups = by_chunk(rows, level)
        assert points.chunks(level).tolist() == [list(key[level]) for key, _ in groups]
        below = (
            [len(group) for _, group in groups]
            if level == n_levels - 1
            else [len(by_chunk(group, level + 1)) for _, group in groups]
        )
        sizes = [len(group) for _, group in groups]
        first = [0, *itertools.accumulate(below)][:-1]
        first_point = [0, *itertools.accumulate(sizes)][:-1]
        assert points.buckets(level).tolist() == [
            list(row) for row in zip(first, below, first_point, sizes, strict=True)
        ]
        if n_axes == 1 and rows:
            distinct = points.n_distinct(level)
            assert distinct is not None
            assert distinct.tolist() == [len({(row[0], row[1]) for row in group}) for _, group in groups]
    leaves = [[row[1] for row in group] for _, group in by_chunk(rows, n_levels - 1)]
    low, high = points.boxes
    assert low.tolist() == [[min(axis) for axis in zip(*leaf, strict=True)] for leaf in leaves]
    assert high.tolist() == [[max(axis) for axis in zip(*leaf, strict=True)] for leaf in leaves]


shapes = st.one_of(
    st.lists(st.integers(0, 4), max_size=4),
    st.lists(st.integers(1, 12), min_size=1, max_size=2),
    st.lists(st.integers(1, 400), min_size=1, max_size=1),
).map(tuple)

extents_of_arrays = st.sampled_from((1, 2, 7, 30, 100, 1000, 70_000, 2**40, 2**62, HUGE))


@st.composite
def index_arrays(draw: st.DrawFn, shape: tuple[int, ...], extent: int) -> Array:
    """Indices of an axis, in order or not, near each other or not, with repeats; any strides."""
    width = draw(st.sampled_from((extent, extent, 1, 2, 50, 5000)))
    start = draw(st.integers(0, extent - 1))
    stop = min(extent, start + width)
    step = [draw(st.sampled_from((1, 1, 2, -1, 0))) for _ in shape]
    held = tuple(1 if s == 0 else max(n, 1) * abs(s) for n, s in zip(shape, step, strict=True))
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(start, stop, held, np.int64)
    if draw(st.booleans()):
        values = np.sort(values, None).reshape(held)
    if draw(st.booleans()):
        values = guarded_like(values, at_end=draw(st.booleans()))
    values = values[(*(slice(None, None, s or None) for s in step), ...)]
    values = values[(*(slice(0, 1 if s == 0 else n) for n, s in zip(shape, step, strict=True)), ...)]
    return np.broadcast_to(values, shape)


@st.composite
def axis_chunks(draw: st.DrawFn, extent: int, n_levels: int) -> tuple[list[int], list[int] | None]:
    near = st.one_of(st.integers(1, 40), st.integers(1, extent), st.just(extent), st.just(HUGE))
    extents = [draw(near) for _ in range(n_levels)]
    if draw(st.integers(0, 2)) > 0:
        return extents, None
    inside = draw(st.lists(st.integers(1, extent), max_size=20))
    after = min(extent + draw(st.integers(0, 3)), HUGE)
    return extents, [0, *sorted(inside), extent, after]


@given(st.data())
@settings(max_examples=count(3000), deadline=None)
def test_points_come_sorted_by_chunk_and_else_in_order(data: st.DataObject) -> None:
    shape = data.draw(shapes)
    n_axes = data.draw(st.sampled_from((1, 1, 2, 2, 3, 5)))
    n_levels = data.draw(st.sampled_from((1, 1, 2, 3)))
    indices, extents, edges = [], [], []
    for _ in range(n_axes):
        extent = data.draw(extents_of_arrays)
        chunks, table = data.draw(axis_chunks(extent, n_levels))
        if table is not None and table[-1] <= extent - 1:
            table = None
        indices.append(data.draw(index_arrays(shape, extent)))
        if indices[-1].size and table is not None and int(indices[-1].max()) >= table[-1]:
            table = None
        extents.append(chunks)
        edges.append(table)
    strides = [data.draw(st.integers(-1000, 1000)) for _ in shape]
    expect_sorted(indices, extents, strides, edges)


@given(st.integers(1, HUGE), st.lists(st.integers(0, HUGE - 1), min_size=2, max_size=20))
@settings(max_examples=count(3000))
def test_chunk_numbers_are_exact_up_to_the_largest_extent(extent: int, indices: list[int]) -> None:
    """Division is by multiplication: next to each multiple of the extent too."""
    near = [i // extent * extent + d for i in indices for d in (-1, 0, extent - 1)]
    places = np.array([i for i in near if 0 <= i < HUGE] + [0, HUGE - 1], np.int64)
    points = Points([places], [[extent]], [1])
    numbers = points.chunks(0)[:, 0].repeat(points.buckets(0)[:, 3])
    order = points.user
    assert numbers.tolist() == [int(places[i]) // extent for i in order]
    assert points.coords[0].tolist() == [int(places[i]) % extent for i in order]


@pytest.mark.parametrize("n", [1, 511, 512, 513, 20_000])
@pytest.mark.parametrize("chunk", [1, 3, 64, 1000])
def test_many_points_equal_a_stable_sort(n: int, chunk: int) -> None:
    rng = np.random.default_rng(n)
    for extent in (1000, 100_000, 2**50):
        rows, columns = (rng.integers(0, extent, n) for _ in range(2))
        points = Points([rows, columns], [[chunk], [chunk]], [8])
        order = np.lexsort((columns // chunk, rows // chunk))
        assert np.array_equal(points.user, order * 8)
        assert np.array_equal(points.coords[0], rows[order] % chunk)
        assert np.array_equal(points.coords[1], columns[order] % chunk)


def test_keys_of_more_than_64_bits_are_sorted_too() -> None:
    rng = np.random.default_rng(5)
    indices = [rng.integers(0, 2**60, 3000) // 2**58 * 2**58 for _ in range(6)]
    points = Points(indices, [[2]] * 6, [1])
    assert np.array_equal(points.user, np.lexsort(indices[::-1]))
    distinct = np.unique(np.stack(indices), axis=1)
    assert np.array_equal(points.chunks(0), distinct.T // 2)


def test_no_dimensions_are_one_point_and_a_dimension_of_0_is_none() -> None:
    points = Points([np.array(7, np.int64)], [[5]], [])
    assert (points.n_points, points.coords[0].tolist(), points.user.tolist()) == (1, [2], [0])
    assert points.chunks(0).tolist() == [[1]]
    empty = Points([np.empty((3, 0, 2**40), np.int64)], [[5, 2]], [8, 8, 8])
    assert (empty.n_points, len(empty.buckets(0)), len(empty.buckets(1))) == (0, 0, 0)
    empty.count_distinct()
    assert empty.n_distinct(0) is None


def test_32_axes_and_8_levels_work() -> None:
    rng = np.random.default_rng(1)
    indices = [rng.integers(0, 2**8, 300) for _ in range(32)]
    extents = [[2**level for level in range(7, -1, -1)]] * 32
    points = Points(indices, extents, [1])
    keys = [indices[a] >> level & 1 for level in range(7, -1, -1) for a in range(32)]
    assert np.array_equal(points.user, np.lexsort(keys[::-1]))


def test_numbers_out_of_range_are_refused() -> None:
    place = np.array([1, 5], np.int64)
    refused: list[tuple[Any, ...]] = [
        ([place], [[0]], [8]),
        ([place], [[-3]], [8]),
        ([place], [[4, 0]], [8]),
        ([-place], [[4]], [8]),
        ([place], [[1] * 9], [8]),
        ([place] * 33, [[1]] * 33, [8]),
        ([place], [[1]], [8], [[0, 5]]),
        ([place], [[1]], [8], [[1, 9]]),
        ([place], [[1]], [8], [[0, 3, 1, 9]]),
        ([place], [[1]], [8], [[0]]),
    ]
    for arguments in refused:
        with pytest.raises(ValueError, match="out of range"):
            Points(*arguments)
    with pytest.raises(ValueError, match="out of range"):
        Points([place, place], [[1], [1]], [8]).count_distinct()


def test_more_points_than_memory_are_an_error() -> None:
    one = np.array(0, np.int64)
    with pytest.raises(MemoryError):
        Points([np.broadcast_to(one, (2**59,))], [[1]], [8])


@given(st.data())
@settings(max_examples=count(500), deadline=None)
def test_distinct_indices_are_counted(data: st.DataObject) -> None:
    extent = data.draw(st.sampled_from((10, 1000, 2**40)))
    indices = data.draw(index_arrays((data.draw(st.integers(1, 3000)),), extent))
    chunk = data.draw(st.sampled_from((1, 7, 64, extent)))
    points = Points([indices], [[chunk * 3, chunk]], [1])
    points.count_distinct()
    for level, size in enumerate((chunk * 3, chunk)):
        numbers = np.unique(indices) // size
        found = points.n_distinct(level)
        assert found is not None
        expected = [n for _, n in sorted(zip(*np.unique(numbers, return_counts=True), strict=True))]
        if level == 0:
            assert found.tolist() == expected
        assert sum(found.tolist()) == len(np.unique(indices))


INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@given(st.data())
@settings(max_examples=count(1500), deadline=None)
def test_indices_are_normalized_as_numpy_does(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(("<", ">"))) + data.draw(st.sampled_from(INTEGERS)))
    shape = data.draw(st.lists(st.integers(0, 7), max_size=4).map(tuple))
    extent = data.draw(st.sampled_from((0, 1, 5, 100, 40_000, 2**40, HUGE)))
    info = np.iinfo(dtype)
    low, high = max(info.min, -extent), min(int(info.max), extent - 1)
    bad = data.draw(st.integers(0, 4)) == 0 or low > high
    if bad:
        low, high = int(info.min), int(info.max)
    n = math.prod(shape)
    numbers = data.draw(st.lists(st.integers(low, high), min_size=n, max_size=n))
    values = np.array(numbers, dtype).reshape(shape)
    steps = [data.draw(st.sampled_from((1, -1))) for _ in shape]
    values = values.transpose(data.draw(st.permutations(range(len(shape)))))
    values = values[(*(slice(None, None, step) for step in steps[: values.ndim]), ...)]
    if data.draw(st.booleans()):
        values = np.broadcast_to(values, (2, *values.shape))
    found, first_bad = normalize_indices(values, extent)
    outside = [int(v) for v in values.flat if not -extent <= int(v) < extent]
    if outside:
        assert found is None
        assert first_bad == outside[0]
    else:
        assert found is not None
        assert first_bad is None
        assert (found.dtype, found.shape) == (np.int64, values.shape)
        assert found.flags.c_contiguous
        assert found.ravel().tolist() == [int(v) % extent for v in values.flat]


def test_only_integers_are_normalized() -> None:
    for values in (np.zeros(3), np.zeros(3, bool), np.array(["a"])):
        with pytest.raises(TypeError, match="integers"):
            normalize_indices(values, 5)


def test_normalized_indices_are_read_where_they_are() -> None:
    for dtype in INTEGERS:
        values = guarded_like(np.arange(100).astype(dtype))
        found, _ = normalize_indices(values[::-3], 100)
        assert found is not None
        assert found.tolist() == list(range(99, -1, -3))


LITTLE_MEMORY = """
import resource
import numpy as np
from zarrc.kernels.points import Mask, Points

def nbytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

n = 600_000
rng = np.random.default_rng(0)
few, many = [rng.integers(0, 1000, n)], [rng.integers(0, 2**40, n)]
axes = [rng.permutation(many[0][:100_000]) for _ in range(6)]
mask = np.ones((1000, 40_000), bool)
work = [
    lambda: Points(few, [[10]], [8]),
    lambda: Points(many, [[1]], [8]),
    lambda: Points(axes, [[1, 1]] * 6, [8]),
    lambda: Points(many, [[2**30]], [8]).count_distinct(),
    lambda: Mask(mask),
]
refused = [0] * len(work)
for i, call in enumerate(work):
    for _ in range(3):    # the allocator's own memory grows at first
        before = nbytes()
        for room in range(0, 64, 4):
            resource.setrlimit(resource.RLIMIT_AS, (before + (room << 20), resource.RLIM_INFINITY))
            try:
                call()
            except MemoryError:
                refused[i] += 1
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert nbytes() - before < 1 << 20, (i, nbytes() - before)
print(*refused)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits an address space")
@pytest.mark.skipif(os.environ.get("ZARRC_SANITIZE") == "1", reason="the sanitizers need the address space")
def test_little_memory_is_an_error_and_leaves_nothing_behind() -> None:
    found = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    refused = [int(n) for n in found.stdout.split()]
    assert len(refused) == 5
    assert all(refused)
