from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zarrc.interop.chunking import check_chunks, choose_chunks
from zarrc.interop.hierarchy import SourceArray, SourceFile


def source(
    shape: tuple[int, ...], chunks: tuple[int, ...] | None = None, unlimited: bool = False
) -> SourceArray:
    return SourceArray(
        path="a",
        dtype=np.dtype("f8"),
        shape=shape,
        dimensions=("time", "lat", "lon")[: len(shape)],
        unlimited=(unlimited,) + (False,) * (len(shape) - 1),
        chunks=chunks,
        attributes={},
        read=lambda box: np.zeros(()),
    )


def file_of(*arrays: SourceArray) -> SourceFile:
    return SourceFile(groups=[], arrays=list(arrays), left_out=[], close=lambda: None)


def test_the_files_own_chunks_are_kept_where_they_are_of_a_sensible_size() -> None:
    assert choose_chunks(source((1000, 500, 500), (10, 100, 100)), None) == (10, 100, 100)


def test_tiny_chunks_of_the_file_are_not_kept() -> None:
    assert choose_chunks(source((1000, 37, 49), (1, 37, 49)), None) == "auto"


def test_huge_chunks_of_the_file_are_not_kept() -> None:
    assert choose_chunks(source((1000, 1000, 1000), (100, 1000, 1000)), None) == "auto"


def test_an_array_that_is_one_chunk_stays_one_chunk() -> None:
    assert choose_chunks(source((20,), (512,), unlimited=True), None) == (20,)


def test_contiguous_data_get_automatic_chunks() -> None:
    assert choose_chunks(source((1000, 1000)), None) == "auto"


def test_a_named_dimension_gets_its_length_and_the_others_stay_whole() -> None:
    assert choose_chunks(source((240, 37, 49), (1, 37, 49)), {"time": 12}) == (12, 37, 49)


def test_minus_one_is_the_whole_axis() -> None:
    assert choose_chunks(source((240, 37, 49)), {"time": -1, "lat": 5}) == (240, 5, 49)


def test_axes_that_were_not_named_are_halved_while_a_chunk_is_large() -> None:
    chunks: Any = choose_chunks(source((10, 8000, 6000)), {"time": 1})
    assert chunks == (1, 1000, 1500)
    assert np.prod(chunks) * 8 <= 16 * 1024**2


def test_an_asked_length_is_cut_to_an_axis_that_cannot_grow() -> None:
    assert choose_chunks(source((10, 4)), {"time": 50}) == (10, 4)
    assert choose_chunks(source((10, 4), unlimited=True), {"time": 50}) == (50, 4)


def test_an_array_without_the_named_dimension_is_chunked_as_if_nothing_was_asked() -> None:
    assert choose_chunks(source((20,), (20,)), {"lon": 3}) == (20,)


def test_an_unknown_dimension_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no dimension 'depth' to chunk; the file's dimensions: time, lat"):
        check_chunks({"depth": 3}, file_of(source((2, 3))))


@pytest.mark.parametrize("length", [0, -2, True, 1.5])
def test_a_length_that_means_nothing_is_refused(length: Any) -> None:
    with pytest.raises(ValueError, match="chunk length of 'time' must be at least 1"):
        check_chunks({"time": length}, file_of(source((2, 3))))


def test_a_zero_length_axis_gets_a_chunk_of_one() -> None:
    assert choose_chunks(source((0, 3), (1, 3), unlimited=True), {"lat": 3}) == (1, 3)
