"""The regular chunk grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import MetadataError
from zarrc.grids import RegularChunkGrid, chunk_grid_from_v3_json
from zarrc.reading import Reading


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 1500)), max_size=6))
def test_the_chunks_cover_the_array_and_no_chunk_is_outside(axes: list[tuple[int, int]]) -> None:
    shape, chunks = tuple(a for a, _ in axes), tuple(c for _, c in axes)
    for extent, chunk, n in zip(shape, chunks, RegularChunkGrid(chunks).grid_shape(shape), strict=True):
        assert n * chunk >= extent
        assert n == 0 or (n - 1) * chunk < extent


def test_a_0d_array_has_one_chunk_and_a_zero_length_one_has_none() -> None:
    assert RegularChunkGrid(()).grid_shape(()) == ()
    assert RegularChunkGrid((5, 5)).grid_shape((0, 5)) == (0, 1)


def test_json_and_back() -> None:
    grid = RegularChunkGrid((np.int64(2), 3))  # type: ignore[arg-type]
    assert grid.chunk_shape == (2, 3)
    assert grid.to_v3_json() == {"name": "regular", "configuration": {"chunk_shape": [2, 3]}}
    assert chunk_grid_from_v3_json(grid.to_v3_json(), Reading()) == grid


@pytest.mark.parametrize("extent", [0, -1, 2**63, 2**70, 1.0, True, "2", None])
def test_an_extent_is_a_positive_integer(extent: object) -> None:
    with pytest.raises(MetadataError, match="extent of a chunk must be"):
        RegularChunkGrid((2, extent))  # type: ignore[arg-type]
    document = {"name": "regular", "configuration": {"chunk_shape": [2, extent]}}
    with pytest.raises(MetadataError, match=r"chunk_grid.configuration.chunk_shape\[1\]: must be"):
        chunk_grid_from_v3_json(document, Reading(path="chunk_grid"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"name": "regluar"},
            "unknown chunk grid 'regluar' (did you mean 'regular'?); known: 'rectilinear', 'regular'",
        ),
        ("regular", "chunk_grid.configuration: 'chunk_shape' is missing"),
        ({"name": "regular", "configuration": {"chunk_shape": 3}}, "chunk_shape: must be a list, got 3"),
        (
            {"name": "regular", "configuration": {"chunk_shape": [], "x": 1}},
            "unknown key 'x'; allowed: 'chunk_shape'",
        ),
        ({"name": "regular", "configuration": []}, "chunk_grid.configuration: must be an object"),
        ({"name": "regular", "must_understand": False}, "must_understand: false is not allowed here"),
        (None, "chunk_grid: must be a name or an object with a name, got None"),
    ],
)
def test_a_wrong_grid_says_what_is_right(value: object, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        chunk_grid_from_v3_json(value, Reading(path="chunk_grid"))
    assert text in str(caught.value)
