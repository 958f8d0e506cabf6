from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zarrc.interop.blocks import block_shape, choose_block, iterate_blocks

axis = st.tuples(st.integers(0, 14), st.integers(1, 6), st.integers(1, 15))


@given(st.lists(axis, max_size=3), st.integers(1, 3000), st.booleans())
def test_blocks_cover_every_element_once_and_end_on_chunk_borders(
    axes: list[tuple[int, int, int]], max_nbytes: int, chunked: bool
) -> None:
    shape = tuple(a[0] for a in axes)
    chunks = tuple(a[1] for a in axes)
    source = tuple(a[2] for a in axes) if chunked else None
    block = block_shape(shape, chunks, source_chunks=source, itemsize=4, max_nbytes=max_nbytes)
    seen = np.zeros(shape, dtype=int)
    for box in iterate_blocks(shape, block):
        seen[box] += 1
        for part, length, chunk in zip(box, shape, chunks, strict=True):
            assert part.start % chunk == 0
            assert part.stop == length or part.stop % chunk == 0
    assert (seen == 1).all()


@given(st.lists(axis, max_size=4), st.integers(1, 3000))
def test_a_block_is_no_larger_than_allowed_or_one_chunk(
    axes: list[tuple[int, int, int]], max_nbytes: int
) -> None:
    shape = tuple(a[0] for a in axes)
    chunks = tuple(a[1] for a in axes)
    source = tuple(a[2] for a in axes)
    block = block_shape(shape, chunks, source_chunks=source, itemsize=4, max_nbytes=max_nbytes)
    one_chunk = math.prod(min(c, n) for c, n in zip(chunks, shape, strict=True)) * 4
    assert math.prod(block) * 4 <= max(max_nbytes, one_chunk)


def test_a_block_takes_in_whole_chunks_of_the_file_where_memory_allows() -> None:
    block = block_shape((100, 100), (10, 10), source_chunks=(100, 1), itemsize=1, max_nbytes=2000)
    assert block == (100, 20)


def test_a_scalar_is_one_block() -> None:
    assert list(iterate_blocks((), block_shape((), (), source_chunks=None, itemsize=8, max_nbytes=1))) == [()]


def test_an_array_without_elements_has_no_blocks() -> None:
    assert (
        list(
            iterate_blocks((0, 3), block_shape((0, 3), (1, 3), source_chunks=None, itemsize=8, max_nbytes=64))
        )
        == []
    )


def test_more_memory_is_taken_where_chunks_of_the_file_would_be_cut() -> None:
    maps_to_series = choose_block((1024, 512, 512), (1024, 32, 32), source_chunks=(1, 512, 512), itemsize=4)
    assert maps_to_series == (1024, 512, 128)
    maps_to_maps = choose_block((1024, 512, 512), (1, 512, 512), source_chunks=(1, 512, 512), itemsize=4)
    assert maps_to_maps == (64, 512, 512)
    assert choose_block((1024, 512, 512), (1, 512, 512), source_chunks=None, itemsize=4) == (64, 512, 512)
