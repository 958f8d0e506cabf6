"""The rectilinear chunk grid."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.grids.strategies import grids
from zarrc.errors import MetadataError
from zarrc.grids import RectilinearChunkGrid, RegularChunkGrid, chunk_grid_from_v3_json
from zarrc.grids.axis import MAX_LISTED
from zarrc.reading import Reading

GUIDE = {
    "name": "rectilinear",
    "configuration": {"kind": "inline", "chunk_shapes": [4, [1, 2, 3], [[4, 2]], [[1, 3], 3]]},
}


def _expanded(grid: RectilinearChunkGrid, d: int, extent: int) -> list[int]:
    """The edges by the definition: every chunk by itself."""
    runs = grid.axis(d)
    if isinstance(runs, int):
        return [runs * i for i in range(-(-extent // runs) + 1)]
    edges = [0]
    for size in (size for size, count in runs for _ in range(count)):
        if edges[-1] >= extent:
            break
        edges.append(edges[-1] + size)
    return edges


_shapes = st.lists(st.integers(0, 60), max_size=3).map(tuple)


@given(_shapes.flatmap(lambda shape: st.tuples(st.just(shape), grids(shape))))
def test_all_doors_agree_with_the_chunks_one_by_one(
    case: tuple[tuple[int, ...], RectilinearChunkGrid],
) -> None:
    shape, grid = case
    grid.check(shape)
    assert len(grid.grid_shape(shape)) == grid.ndim == len(shape)
    for d, extent in enumerate(shape):
        edges = _expanded(grid, d, extent)
        assert grid.edges(d, extent).tolist() == edges
        assert grid.edges(d, extent).dtype == np.int64
        assert grid.grid_shape(shape)[d] == len(edges) - 1
        for i, bounds in enumerate(itertools.pairwise(edges)):
            assert grid.chunk_bounds(d, i) == bounds
            assert {grid.chunk_of(d, index) for index in range(*bounds)} == {i}
        assert max(np.diff(edges), default=1) <= grid.largest_shape[d]


@given(_shapes.flatmap(lambda shape: st.tuples(st.just(shape), grids(shape))), st.data())
def test_runs_between_are_the_chunks_that_meet_a_range(
    case: tuple[tuple[int, ...], RectilinearChunkGrid], data: st.DataObject
) -> None:
    shape, grid = case
    for d, extent in enumerate(shape):
        start = data.draw(st.integers(0, extent))
        stop = data.draw(st.integers(0, extent))
        edges = _expanded(grid, d, extent)
        met = [
            (i, edges[i], edges[i + 1])
            for i in range(len(edges) - 1)
            if start < stop and edges[i] < stop and edges[i + 1] > start
        ]
        assert met == [
            (run.first + k, run.start + k * run.extent, run.start + (k + 1) * run.extent)
            for run in grid.runs_between(d, start, stop)
            for k in range(run.n)
        ]


@given(_shapes.flatmap(lambda shape: st.tuples(st.just(shape), grids(shape))), st.data())
def test_a_resized_grid_covers_the_array_and_keeps_its_chunks(
    case: tuple[tuple[int, ...], RectilinearChunkGrid], data: st.DataObject
) -> None:
    shape, grid = case
    new = tuple(data.draw(st.integers(0, 150)) for _ in shape)
    resized = grid.resized(new)
    resized.check(new)
    assert resized.resized(shape) is resized
    for d, axis in enumerate(grid.axes):
        if isinstance(axis.runs, int):
            assert resized.axis(d) == axis.runs
            continue
        before, after = axis.said(), resized.axes[d].said()
        assert after[: len(before)] == before
        added = after[len(before) :]
        unit = math.gcd(*before)
        assert all(size % unit == 0 and min(before) <= size <= max(before) for size in added)
        assert sum(after[:-1]) < new[d] or not added  # none too many


@given(_shapes.flatmap(grids))
def test_json_pickle_and_copy_and_back(grid: RectilinearChunkGrid) -> None:
    document = grid.to_v3_json()
    assert chunk_grid_from_v3_json(document, Reading()) == grid
    assert pickle.loads(pickle.dumps(grid)) == grid == copy.deepcopy(grid)
    assert hash(RectilinearChunkGrid(grid.chunk_shapes)) == hash(grid)
    assert RectilinearChunkGrid(grid.chunks) == grid  # as chunks= takes them


def test_the_forms_of_the_specification() -> None:
    grid = chunk_grid_from_v3_json(GUIDE, Reading(strict=True))
    assert grid.chunks == (4, (1, 2, 3), (4, 4), (1, 1, 1, 3))
    assert [grid.axis(d) for d in range(4)] == [4, ((1, 1), (2, 1), (3, 1)), ((4, 2),), ((1, 3), (3, 1))]
    assert grid.to_v3_json() == GUIDE
    assert grid.grid_shape((6, 6, 6, 6)) == (2, 3, 2, 4)
    assert repr(grid) == "RectilinearChunkGrid([4, [1, 2, 3], [[4, 2]], [[1, 3], 3]])"


def test_what_is_written_is_one_form_however_it_was_said() -> None:
    said = ([1, 1, 2], [[1, 2], 2], [[1, 1], 1, [2, 1]], (np.int64(1), (1, 1), 2))
    written = {repr(RectilinearChunkGrid([axis]).to_v3_json()) for axis in said}
    assert written == {repr(RectilinearChunkGrid([[[1, 2], 2]]).to_v3_json())}


def test_the_last_chunks_may_reach_over_the_end_or_lie_beyond_it() -> None:
    grid = RectilinearChunkGrid([[10, 20, 30]])
    assert [grid.grid_shape((n,)) for n in (0, 1, 10, 11, 30, 31, 60)] == [
        (0,), (1,), (1,), (2,), (2,), (3,), (3,),
    ]  # fmt: skip
    assert grid.edges(0, 31).tolist() == [0, 10, 30, 60]


def test_chunks_of_one_shape_have_a_chunk_shape_and_others_have_none() -> None:
    assert RectilinearChunkGrid([3, 4]).is_regular
    assert RectilinearChunkGrid([3, 4]).chunk_shape == (3, 4)
    grid = RectilinearChunkGrid([3, [4]])
    assert not grid.is_regular
    with pytest.raises(AttributeError, match="several shapes"):
        _ = grid.chunk_shape
    assert RegularChunkGrid((3, 4)).edges(1, 9).tolist() == [0, 4, 8, 12]
    assert RegularChunkGrid((3, 4)).chunk_bounds(0, 2) == (6, 9)
    assert RegularChunkGrid((3, 4)).resized((100, 100)) == RegularChunkGrid((3, 4))
    assert [tuple(run) for run in RegularChunkGrid((3,)).runs_between(0, 4, 10)] == [(1, 3, 3, 3)]


def test_a_growing_axis_gets_chunks_like_those_it_has() -> None:
    months = RectilinearChunkGrid([[31, 28, 31]])
    assert months.resized((120,)).chunks == ((31, 28, 31, 30),)
    assert months.resized((91,)).chunks == ((31, 28, 31, 28),)  # room for what is appended next
    assert months.resized((180,)).chunks == ((31, 28, 31, 31, 31, 28),)
    tens = RectilinearChunkGrid([[10, 30]])
    assert tens.resized((61,)).chunks == ((10, 30, 30),)  # multiples of ten
    assert tens.resized((5,)) is tens


def test_ten_thousand_appended_rows_are_one_run() -> None:
    grid = RectilinearChunkGrid([[10, 20]])
    for n in range(31, 10_031):
        grid = grid.resized((n,))
    assert grid.runs() == (((10, 1), (20, 1), (10, 1000)),)


def test_a_short_document_with_very_many_chunks_takes_no_memory() -> None:
    document = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[[1, 10**18]]]}}
    tracemalloc.start()
    try:
        grid = chunk_grid_from_v3_json(document, Reading())
        grid.check((10**17,))
        assert grid.grid_shape((10**17,)) == (10**17,)
        assert grid.chunk_bounds(0, 10**16) == (10**16, 10**16 + 1)
        assert [tuple(run) for run in grid.runs_between(0, 5, 10**16)] == [(5, 5, 1, 10**16 - 5)]
        assert grid.chunks == (((1, 10**18),),)
        assert grid.resized((10**18 + 5,)).runs() == (((1, 10**18 + 5),),)
        assert grid.to_v3_json() == document
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_chunks_are_listed_one_by_one_has_a_bound() -> None:
    assert len(RectilinearChunkGrid([[[1, MAX_LISTED]]]).chunks[0]) == MAX_LISTED
    assert RectilinearChunkGrid([[[1, MAX_LISTED + 1]]]).chunks == (((1, MAX_LISTED + 1),),)


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({}, "configuration: 'kind' is missing"),
        ({"kind": "inline"}, "configuration: 'chunk_shapes' is missing"),
        (
            {"kind": "file", "chunk_shapes": [1]},
            "kind: must be 'inline', the only kind that there is; got 'file'",
        ),
        ({"kind": None, "chunk_shapes": [1]}, "kind: must be 'inline'"),
        ({"kind": "inline", "chunk_shapes": 4}, "chunk_shapes: must be a list, got 4"),
        ({"kind": "inline", "chunk_shapes": [1], "x": 1}, "unknown key 'x'"),
        ({"kind": "inline", "chunk_shapes": [[]]}, "chunk_shapes[0]: has no chunks"),
        ({"kind": "inline", "chunk_shapes": [0]}, "chunk_shapes[0]: must be in"),
        ({"kind": "inline", "chunk_shapes": [-1]}, "chunk_shapes[0]: must be in"),
        ({"kind": "inline", "chunk_shapes": [None]}, "chunk_shapes[0]: must be an integer, got None"),
        ({"kind": "inline", "chunk_shapes": [True]}, "chunk_shapes[0]: must be an integer, got True"),
        ({"kind": "inline", "chunk_shapes": ["4"]}, "chunk_shapes[0]: must be an integer, got '4'"),
        ({"kind": "inline", "chunk_shapes": [2**63]}, "chunk_shapes[0]: must be in"),
        ({"kind": "inline", "chunk_shapes": [[1, 0]]}, "chunk_shapes[0][1]: must be in"),
        ({"kind": "inline", "chunk_shapes": [[1, 2.0]]}, "chunk_shapes[0][1]: must be an integer, got 2.0"),
        ({"kind": "inline", "chunk_shapes": [[[1, 0]]]}, "chunk_shapes[0][0][1]: must be in"),
        ({"kind": "inline", "chunk_shapes": [[[0, 1]]]}, "chunk_shapes[0][0][0]: must be in"),
        ({"kind": "inline", "chunk_shapes": [[[1, 2**63]]]}, "chunk_shapes[0][0][1]: must be in"),
        ({"kind": "inline", "chunk_shapes": [[[1, 2, 3]]]}, "chunk_shapes[0][0]: a run is [extent, count]"),
        ({"kind": "inline", "chunk_shapes": [[[[1]], 2]]}, "chunk_shapes[0][0]: a run is [extent, count]"),
        ({"kind": "inline", "chunk_shapes": [[[[1], 2]]]}, "chunk_shapes[0][0][0]: must be an integer"),
        ({"kind": "inline", "chunk_shapes": {"0": 4}}, "chunk_shapes: must be a list"),
    ],
)
def test_a_wrong_document_says_where_it_is_wrong(configuration: dict[str, Any], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        chunk_grid_from_v3_json(
            {"name": "rectilinear", "configuration": configuration}, Reading(path="chunk_grid")
        )
    assert str(caught.value).startswith("chunk_grid.configuration")
    assert text in str(caught.value)


def test_chunks_that_do_not_reach_the_end_are_refused() -> None:
    with pytest.raises(MetadataError, match="along axis 1 have 30 elements in all, the array 31"):
        RectilinearChunkGrid([5, [10, 20]]).check((10**9, 31))


def test_a_last_chunk_whose_end_no_offset_can_say_is_refused() -> None:
    grid = RectilinearChunkGrid([[2**62, 2**62 + 1]])
    grid.check((2**62,))
    with pytest.raises(MetadataError, match="ends beyond 2"):
        grid.check((2**62 + 1,))


def test_the_draft_is_read_and_noted_and_not_written() -> None:
    reading = Reading(path="chunk_grid")
    document = {"name": "rectangular", "configuration": {"chunk_shape": [[5, 5, 15], 10]}}
    grid = chunk_grid_from_v3_json(document, reading, (25, 25))
    assert grid == RectilinearChunkGrid([[5, 5, 15], 10])
    assert reading.notes == ["chunk_grid: 'rectangular' is the name in a draft; read as 'rectilinear'"]
    with pytest.raises(MetadataError, match="'rectangular' is the name in a draft"):
        chunk_grid_from_v3_json(document, Reading(path="chunk_grid", strict=True), (25, 25))
    wrong = {"name": "rectangular", "configuration": {"chunk_shape": [[5, 0]]}}
    with pytest.raises(MetadataError, match=r"configuration.chunk_shape\[0\]\[1\]: must be in"):
        chunk_grid_from_v3_json(wrong, Reading(path="chunk_grid"), (5,))


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((10, 9), ((4, 4, 2), 3)), ((3, 0), ((3,), 3)), ((8, 3), (4, 3)), ((5, 4), ((4, 1), (3, 1)))],
)
def test_chunks_that_end_with_the_array_are_read(shape: tuple[int, ...], chunks: tuple[Any, ...]) -> None:
    reading = Reading(path="chunk_grid")
    document = {"name": "zarrs.regular_bounded", "configuration": {"chunk_shape": [4, 3]}}
    grid = chunk_grid_from_v3_json(document, reading, shape)
    grid.check(shape)
    assert grid.chunks == chunks
    assert reading.notes == [
        "chunk_grid: 'zarrs.regular_bounded' is not in the registry; read as 'rectilinear'"
    ]
