"""Blocks are cells of the grid of stored objects, selected by integers and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.grids import RectilinearChunkGrid, RegularChunkGrid
from zarrc.indexing.blocks import region_of

GRIDS = [
    (RegularChunkGrid((4, 3)), (10, 7)),
    (RegularChunkGrid((20, 1)), (10, 7)),
    (RectilinearChunkGrid([[1, 4, 5], 3]), (10, 7)),
    (RectilinearChunkGrid([[1, 4, 9], [[2, 5]]]), (10, 7)),
    (RegularChunkGrid((2, 2)), (0, 5)),
]


def items(n: int) -> st.SearchStrategy[Any]:
    bounds = st.none() | st.integers(-n - 2, n + 2)
    either: st.SearchStrategy[Any] = st.builds(slice, bounds, bounds, st.none() | st.just(1))
    return either | st.integers(-n, n - 1) if n else either


@given(st.data(), st.sampled_from(GRIDS))
def test_a_region_is_that_of_its_blocks(data: st.DataObject, case: tuple[Any, tuple[int, int]]) -> None:
    grid, shape = case
    counts = grid.grid_shape(shape)
    key = data.draw(st.tuples(items(counts[0]), items(counts[1])))
    region = region_of(key, grid, shape)
    for axis, part in enumerate(region):
        # The number of the block that each element is in.
        bounds = [grid.chunk_bounds(axis, i) for i in range(counts[axis])]
        owner = np.concatenate(
            [np.full(min(stop, shape[axis]) - start, i) for i, (start, stop) in enumerate(bounds)] or [[]]
        )
        wanted = np.atleast_1d(np.arange(counts[axis])[key[axis]])
        assert owner[part].tolist() == [i for i in owner.tolist() if i in wanted]


def test_what_is_left_out_is_everything() -> None:
    grid, shape = GRIDS[0]
    whole = (slice(0, 10), slice(0, 7))
    assert region_of((), grid, shape) == region_of(..., grid, shape) == whole
    assert region_of(1, grid, shape) == (slice(4, 8), slice(0, 7))
    assert region_of((..., 1), grid, shape) == (slice(0, 10), slice(3, 6))
    assert region_of((np.int64(-1), ..., slice(0, 2)), grid, shape) == (slice(8, 10), slice(0, 6))


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (3, BoundsCheckError, "block 3 is out of bounds for axis 0 with 3 blocks"),
        ((0, -4), BoundsCheckError, "block -4 is out of bounds for axis 1 with 3 blocks"),
        (slice(0, 3, 2), SelectionError, "slices without a step"),
        ([0, 1], SelectionError, "integers and slices, got [0, 1]"),
        (True, SelectionError, "integers and slices, got True"),
        (None, SelectionError, "integers and slices, got None"),
        (slice(0.5), SelectionError, "integers or None"),
        ((0, 0, 0), SelectionError, "2-dimensional, but 3 were indexed"),
        ((..., ...), SelectionError, "single ellipsis"),
    ],
)
def test_what_is_no_block_is_refused(key: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        region_of(key, *GRIDS[0])
    assert text in str(error.value)
