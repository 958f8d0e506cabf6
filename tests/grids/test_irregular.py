"""The guide's irregular grid, where its chunks line up and where they do not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import MetadataError, ZarrcWarning
from zarrc.grids import RectilinearChunkGrid, RegularChunkGrid, chunk_grid_from_user

GUIDE = {(0, 0): [500, 500], (0, 1): [500, 500], (1, 0): [250, 500], (1, 1): [250, 500]}


def _grid(shape: tuple[int, ...], **configuration: Any) -> Any:
    return chunk_grid_from_user({"name": "irregular", "configuration": configuration}, shape)


def test_the_guides_example_is_completed_with_a_warning() -> None:
    text = (
        "the chunks along axis 0 have 750 elements in all, the array 1000: one more chunk has the other 250"
    )
    with pytest.warns(ZarrcWarning, match=text):
        grid = _grid((1000, 1000), chunk_shapes=GUIDE)
    assert grid == RectilinearChunkGrid([[500, 250, 250], [500, 500]])


@pytest.mark.parametrize(
    "key",
    [
        lambda place: place,
        lambda place: ",".join(map(str, place)),
        lambda place: str(place),
        lambda place: str(list(place)),
        lambda place: f"{{{place[0]}, {place[1]}}}",
        lambda place: tuple(np.array(place)),
    ],
)
def test_a_place_is_a_tuple_or_a_text(key: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = {key((1 - place[0], place[1])): shape for place, shape in GUIDE.items()}
        assert _grid((750, 1000), chunk_shapes=cells).chunks == ((250, 500), (500, 500))


def test_extents_along_each_axis() -> None:
    grid = _grid((1000, 1000), chunk_sizes=[[500, 250, 250], [500, 500]])
    assert grid.to_v3_json()["configuration"]["chunk_shapes"] == [[500, [250, 2]], [[500, 2]]]
    assert _grid((1000, 1000), chunk_sizes=([500, 500], 250)) == RegularChunkGrid((500, 250))
    with pytest.warns(ZarrcWarning, match="axis 1 have 500 elements in all, the array 1000"):
        assert _grid((1000, 1000), chunk_sizes=[[1000], [300, 200]]).chunks == ((1000,), (300, 200, 500))


def test_the_adaptive_use_case_is_no_grid_and_the_error_says_why() -> None:
    cells = {(0, 0): [50, 50], (0, 1): [100, 100], (0, 2): [200, 200]}
    with pytest.raises(MetadataError) as caught:
        _grid((350, 350), chunk_shapes=cells)
    assert str(caught.value) == (
        "chunk_grid.configuration.chunk_shapes: chunk (0, 1) is 100 long along axis 0, and chunk (0, 0) 50: "
        "in a grid all chunks with number 0 there have one extent; zarrc.mosaic makes one array of parts "
        "that do not line up"
    )


def test_the_sparse_and_dense_use_case_is_no_grid_and_the_error_says_why() -> None:
    with pytest.raises(
        MetadataError, match=r"chunk \(1, 0\) is 100 long along axis 1, and chunk \(0, 0\) 1000: "
    ):
        _grid((1100, 1000), chunk_shapes={(0, 0): [1000, 1000], (1, 0): [100, 100]})


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({}, "has no chunks"),
        ([[500, 500]], "must be a mapping from a chunk's place to its shape, got a list of 1 items"),
        (
            {(0, 0): [10, 20], (1, 1): [10, 20]},
            "chunk (0, 1) is missing, of those up to (1, 1); zarrc.mosaic",
        ),
        ({(1, 0): [10, 20]}, "chunk (0, 0) is missing"),
        ({(10**12, 10**12): [10, 20]}, "chunk (0, 0) is missing"),
        ({(0,): [10, 20]}, "the place must be 2 integers, one an axis; got [0]"),
        ({"0,x": [10, 20]}, "the place must be 2 integers, got '0,x'"),
        ({5: [10, 20]}, "the place must be 2 integers, got 5"),
        ({(-1, 0): [10, 20]}, "the place must be integers of at least 0, got [-1, 0]"),
        ({(0, 0): [10, 0]}, "the shape of chunk [0, 0] must be integers of at least 1, got [10, 0]"),
        ({(0, 0): [10, 2.5]}, "the shape of chunk [0, 0] must be 2 integers, got [10, 2.5]"),
        ({(0, 0): [10, True]}, "the shape of chunk [0, 0] must be 2 integers, got [10, True]"),
        ({(0, 0): 10}, "the shape of chunk [0, 0] must be 2 integers, got 10"),
        ({(0, 0): [10, 20], "0,0": [5, 20]}, "names chunk [0, 0] twice: [10, 20] and [5, 20]"),
        (
            {(0, 0): [10, 20], (1, 0): [10, 20], (2, 0): [10, 20]},
            "has 3 chunks along axis 0, of 30 elements in all; the array, of 20, ends before the last one",
        ),
    ],
)
def test_wrong_cells_are_named(cells: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        _grid((20, 20), chunk_shapes=cells)
    assert str(caught.value).startswith("chunk_grid.configuration.chunk_shapes: ")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({}, "takes either chunk_sizes= or chunk_shapes="),
        ({"chunk_sizes": [[1]], "chunk_shapes": {}}, "takes either chunk_sizes= or chunk_shapes="),
        ({"chunk_size": [[1]]}, "unknown key 'chunk_size' (did you mean 'chunk_sizes'?)"),
        ({"chunk_sizes": [[20]]}, "chunk_sizes: has 1 axes, the array 2 dimensions"),
        ({"chunk_sizes": [[20], []]}, "chunk_sizes[1]: has no chunks"),
        ({"chunk_sizes": 5}, "chunk_sizes: must be a list, got 5"),
    ],
)
def test_a_wrong_configuration_is_named(configuration: dict[str, Any], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        chunk_grid_from_user({"name": "irregular", "configuration": configuration}, (20, 20))
    assert text in str(caught.value)


def test_the_last_chunk_may_reach_over_the_end() -> None:
    assert _grid((25,), chunk_shapes={0: 10, 1: 20}).chunks == ((10, 20),)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_the_cells_of_a_grid_are_that_grid(axes: list[list[int]]) -> None:
    shape = tuple(map(sum, axes))
    places = np.ndindex(*map(len, axes))
    cells = {place: [axis[i] for axis, i in zip(axes, place, strict=True)] for place in places}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid = _grid(shape, chunk_shapes=cells)
    expected = RectilinearChunkGrid(axes)
    assert grid.grid_shape(shape) == expected.grid_shape(shape)
    for d, extent in enumerate(shape):
        assert np.minimum(grid.edges(d, extent), extent).tolist() == expected.edges(d, extent).tolist()
