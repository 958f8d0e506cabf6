"""Regions that data are copied by: they cover everything once, in whole chunks, and stay small."""

from __future__ import annotations

import math
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import zarrc
from zarrc.grids import RegularChunkGrid
from zarrc.streaming import copy_into, regions

LIMIT = sys.modules["zarrc.streaming"]._REGION_NBYTES  # type: ignore[attr-defined]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=4),
    st.sampled_from([1, 2**16, 2**22, 2**28]),
)
def test_regions_cover_everything_once_in_whole_steps(axes: list[tuple[int, int]], itemsize: int) -> None:
    shape = tuple(length for length, _ in axes)
    steps = tuple(step for _, step in axes)
    seen = np.zeros(shape, dtype="i4")
    for region in regions(RegularChunkGrid(steps), shape, itemsize):
        seen[region] += 1
        extents = [part.stop - part.start for part in region]
        assert all(part.start % step == 0 for part, step in zip(region, steps, strict=True))
        assert math.prod(extents) * itemsize <= max(LIMIT, math.prod(steps) * itemsize)
    assert (seen == 1).all()


def test_regions_are_as_large_as_the_limit_lets_them_be() -> None:
    shape, steps = (1000, 1000, 1000), (10, 100, 100)
    sizes = [
        math.prod(part.stop - part.start for part in region) * 8
        for region in regions(RegularChunkGrid(steps), shape, 8)
    ]
    assert max(sizes) > LIMIT // 2
    assert len(sizes) < 2 * math.prod(shape) * 8 / LIMIT + 1


def sharded(shards: tuple[int, ...] | None, chunks: tuple[int, ...], **keywords: Any) -> zarrc.Array:
    return zarrc.create_array(shape=(64, 64), chunks=chunks, shards=shards, dtype="u1", **keywords)


DATA = np.arange(64 * 64, dtype="u1").reshape(64, 64)


@pytest.mark.parametrize("limit", [1, 100, 300, 2**20])
@pytest.mark.parametrize(
    ("source_chunks", "source_shards", "chunks", "shards"),
    [
        ((4, 4), (32, 32), (8, 8), (16, 64)),
        ((4, 4), (32, 32), (8, 8), None),
        ((5, 7), None, (8, 8), (24, 24)),
        ((8, 8), (64, 64), (4, 4), (8, 8)),
    ],
)
def test_each_shard_of_a_copy_is_written_once(
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    source_chunks: Any,
    source_shards: Any,
    chunks: Any,
    shards: Any,
) -> None:
    monkeypatch.setattr("zarrc.streaming._REGION_NBYTES", limit)
    source, target = sharded(source_shards, source_chunks), sharded(shards, chunks)
    source[:] = DATA
    seen: list[Any] = []
    copy_into(target, source, seen.append)
    np.testing.assert_array_equal(target[:], DATA)
    steps = target.shards or target.chunks
    for region in seen:
        assert all(part.start % step == 0 for part, step in zip(region, steps, strict=True))
        size = math.prod(part.stop - part.start for part in region)
        assert size <= max(limit, math.prod(steps))


def test_a_source_is_read_by_whole_shards_where_they_fit() -> None:
    source, target = sharded((32, 64), (4, 4)), sharded(None, (8, 8))
    seen: list[Any] = []
    copy_into(target, source, seen.append)
    assert all(region[0].start % 32 == 0 for region in seen)


def test_what_is_stored_here_and_there_is_copied_in_bounded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zarrc.streaming._REGION_NBYTES", 256)
    monkeypatch.setattr("zarrc.tools.copying._FEW_CHUNKS", 1)
    source = zarrc.create_array(shape=(64, 640), chunks=(4, 4), shards=(64, 64), dtype="u1")
    source[:, 64:128] = 3
    target = zarrc.create_array(shape=(64, 640), chunks=(8, 8), dtype="u1")
    sizes: list[int] = []
    write = zarrc.Array.__setitem__

    def noted(self: zarrc.Array, region: Any, value: Any) -> None:
        sizes.append(np.size(value))
        write(self, region, value)

    monkeypatch.setattr(zarrc.Array, "__setitem__", noted)
    zarrc.copy_array(source, target)
    np.testing.assert_array_equal(target[:], source[:])
    assert max(sizes) <= 256
    assert sum(sizes) == 64 * 64
