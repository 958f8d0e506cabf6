"""Going through an array by its chunks, its shards and its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from tests.strategies import chunk_shapes, shapes
from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.grids import RegularChunkGrid
from zarrc.walking import grid_regions, row_slices


def sharded(shape: Any, chunks: Any, shards: Any, **keywords: Any) -> zarrc.Array:
    return zarrc.create_array(shape=shape, chunks=chunks, shards=shards, dtype="u1", **keywords)


def bounds(regions: Any) -> list[Any]:
    return [tuple((part.start, part.stop) for part in region) for region in regions]


def test_chunks_and_shards_come_in_c_order_cut_to_the_array() -> None:
    array = sharded((5, 3), (2, 2), (4, 2))
    rows, columns = [(0, 2), (2, 4), (4, 5)], [(0, 2), (2, 3)]
    assert bounds(array.iter_chunks()) == [(row, column) for row in rows for column in columns]
    assert bounds(array.iter_shards()) == [(row, column) for row in [(0, 4), (4, 5)] for column in columns]


def test_without_shards_each_chunk_is_an_object() -> None:
    array = zarrc.create_array(shape=(5,), chunks=2, dtype="u1")
    assert bounds(array.iter_shards()) == bounds(array.iter_chunks()) == [((0, 2),), ((2, 4),), ((4, 5),)]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((slice(1, 3), slice(1, 2)), [((1, 2), (1, 2)), ((2, 3), (1, 2))]),
        (slice(4, None), [((4, 5), (0, 2)), ((4, 5), (2, 3))]),
        ((..., -1), [((0, 2), (2, 3)), ((2, 4), (2, 3)), ((4, 5), (2, 3))]),
        ((3, np.int64(0)), [((3, 4), (0, 1))]),
        (slice(3, 1), []),
        (slice(7, 9), []),
    ],
)
def test_a_region_is_gone_through_and_no_more(region: Any, expected: Any) -> None:
    assert bounds(sharded((5, 3), (2, 2), (4, 2)).iter_chunks(region)) == expected


@pytest.mark.parametrize(
    ("region", "error", "text"),
    [
        (slice(None, None, 2), SelectionError, "a region has no steps"),
        ((0, 0, 0), SelectionError, "does not fit an array of 2 dimensions"),
        ((..., ...), SelectionError, "does not fit an array of 2 dimensions"),
        ("x", SelectionError, "a region is made of slices and integers, got 'x'"),
        (5, BoundsCheckError, "index 5 is out of bounds for an axis of 5"),
    ],
)
def test_a_wrong_region_is_refused_at_once(region: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        sharded((5, 3), (2, 2), (4, 2)).iter_chunks(region)
    assert text in str(caught.value)


@given(shapes(4), st.data())
def test_each_element_is_met_once(shape: tuple[int, ...], data: st.DataObject) -> None:
    extents = data.draw(chunk_shapes(shape))
    region = tuple(
        slice(*sorted(data.draw(st.lists(st.integers(0, extent), min_size=2, max_size=2))))
        for extent in shape
    )
    met = np.zeros(shape, int)
    for part in grid_regions(shape, RegularChunkGrid(extents), region):
        met[part] += 1
        for one, extent in zip(part, extents, strict=True):
            assert one.start < one.stop
            assert one.start // extent == (one.stop - 1) // extent
    expected = np.zeros(shape, int)
    expected[region] = 1
    np.testing.assert_array_equal(met, expected)


def test_a_0d_array_is_one_region() -> None:
    assert list(sharded((), (), ()).iter_chunks()) == [()]
    assert list(sharded((0, 3), 1, 1).iter_chunks()) == []


def test_many_chunks_are_not_listed_beforehand() -> None:
    array = zarrc.create_array(shape=(2**60,), chunks=1, dtype="u1")
    assert bounds([next(iter(array.iter_chunks(slice(5, None))))]) == [((5, 6),)]


@pytest.mark.parametrize(
    ("nbytes", "expected"),
    [
        # Whole rows of shards; of inner chunks in them; of what fits.
        (1000, [(0, 8), (8, 16), (16, 20)]),
        (80, [(0, 8), (8, 16), (16, 20)]),
        (79, [(0, 6), (6, 8), (8, 14), (14, 16), (16, 20)]),
        (30, [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14), (14, 16), (16, 18), (18, 20)]),
        (10, [(i, i + 1) for i in range(20)]),
        (1, [(i, i + 1) for i in range(20)]),
    ],
)
def test_rows_are_read_by_shards_in_bounded_memory(
    nbytes: int, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zarrc.walking._ITERATION_NBYTES", nbytes)
    array = sharded((20, 10), (2, 5), (8, 10))
    assert [(rows.start, rows.stop) for rows in row_slices(array)] == expected


@pytest.mark.parametrize("wrong", [True, None, [1, 2], 1.0, np.s_[::2], (0, 0, 0)])
def test_what_is_no_box_is_refused(wrong: Any) -> None:
    array = sharded((4, 4), (2, 2), (4, 4))
    with pytest.raises(SelectionError):
        list(array.iter_chunks(wrong))
