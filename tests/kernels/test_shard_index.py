"""The shard index kernels: entries are checked, ranges sorted and joined, at any value."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from zarrc.errors import CorruptChunkError
from zarrc.kernels import shard_index

ABSENT = 2**64 - 1

# Small values that meet each other, values around the powers of two, and the last ones below 2^64.
words = st.one_of(
    st.integers(0, 40),
    st.integers(0, ABSENT),
    st.integers(ABSENT - 40, ABSENT),
    st.integers(2**63 - 20, 2**63 + 20),
)
small = st.integers(0, 200)
Rows = list[tuple[int, int]]


def rows(word: st.SearchStrategy[int]) -> st.SearchStrategy[Rows]:
    return st.lists(st.tuples(word, word), max_size=60)


def table(values: list[tuple[int, ...]], n_columns: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Rows of words against a guard page."""
    return guarded_like(np.array(values, np.uint64).reshape(len(values), n_columns))


def sorted_ranges(places: Rows) -> list[tuple[int, int, int]]:
    ranges = table([(offset, nbytes, item) for item, (offset, nbytes) in enumerate(places)], 3)
    shard_index.sort(ranges)
    return [(int(offset), int(nbytes), int(item)) for offset, nbytes, item in ranges]


def runs_of(ranges: list[tuple[int, int, int]], gap: int, limit: int) -> list[tuple[int, int, int, int]]:
    runs = table([(0, 0, 0, 0)] * len(ranges), 4)
    n = shard_index.coalesce(table(list(ranges), 3), gap, limit, runs)
    return [(int(run[0]), int(run[1]), int(run[2]), int(run[3])) for run in runs[:n]]


@given(offset=words, nbytes=words, object_nbytes=words)
def test_an_entry_is_inside_the_object_absent_or_an_error(
    offset: int, nbytes: int, object_nbytes: int
) -> None:
    index = table([(0, 0), (offset, nbytes)], 2)
    if offset == nbytes == ABSENT:
        assert shard_index.entry(index, 1, object_nbytes) is None
    elif ABSENT in (offset, nbytes) or offset + nbytes > object_nbytes:
        with pytest.raises(CorruptChunkError, match="the stored bytes are not valid"):
            shard_index.entry(index, 1, object_nbytes)
    else:
        assert shard_index.entry(index, 1, object_nbytes) == (offset, nbytes)


def test_one_word_alone_is_not_absent_however_large_the_object() -> None:
    for place in ((ABSENT, 0), (0, ABSENT)):
        with pytest.raises(CorruptChunkError):
            shard_index.entry(table([place], 2), 0, ABSENT)


@given(places=st.one_of(rows(words), rows(small), rows(st.integers(0, 3))))
def test_ranges_are_sorted_by_offset_size_and_item(places: Rows) -> None:
    assert sorted_ranges(places) == sorted((*place, item) for item, place in enumerate(places))


@pytest.mark.parametrize("n", [2, 3, 31, 1000, 4097])
@pytest.mark.parametrize("order", ["sorted", "reversed", "random", "sawtooth", "appended", "equal"])
def test_any_order_is_sorted(n: int, order: str) -> None:
    at = np.arange(n)
    offsets = {
        "sorted": at,
        "reversed": at[::-1],
        "random": np.random.default_rng(n).permutation(n),
        "sawtooth": at * 7919 % n,
        "appended": np.where(at % 97 == 5, at + n, at),
        "equal": at * 0,
    }[order]
    places = [(int(offset) << 50, 5) for offset in offsets]
    assert sorted_ranges(places) == sorted((*place, item) for item, place in enumerate(places))


@given(places=st.one_of(rows(words), rows(small)), gap=st.one_of(small, words), limit=st.one_of(small, words))
def test_each_range_is_in_one_run_and_inside_it(places: Rows, gap: int, limit: int) -> None:
    ranges = sorted_ranges(places)
    runs = runs_of(ranges, gap, limit)
    assert [run[2] for run in runs] == [sum(run[3] for run in runs[:i]) for i in range(len(runs))]
    assert sum(run[3] for run in runs) == len(ranges)
    for offset, nbytes, first, n in runs:
        members = ranges[first : first + n]
        end = max(member[0] + member[1] for member in members)
        assert (offset, offset + nbytes) == (members[0][0], end)


@given(places=st.one_of(rows(words), rows(small)), gap=st.one_of(small, words), limit=st.one_of(small, words))
def test_runs_keep_to_the_gap_and_the_limit_and_are_as_long_as_they_may_be(
    places: Rows, gap: int, limit: int
) -> None:
    ranges = sorted_ranges(places)
    runs = runs_of(ranges, gap, limit)
    for offset, nbytes, first, n in runs:
        assert nbytes <= max(limit, ranges[first][1])
        end = offset
        for member in ranges[first : first + n]:
            assert member[0] - end <= gap
            end = max(end, member[0] + member[1])
    for (offset, nbytes, _, _), (next_offset, _, next_first, _) in itertools.pairwise(runs):
        next_end = next_offset + ranges[next_first][1]
        assert next_end > offset + nbytes
        assert next_offset - (offset + nbytes) > gap or next_end - offset > limit


def test_runs_of_a_usual_shard() -> None:
    places = [(100, 50), (0, 100), (150, 10), (400, 10), (160, 0), (1000, 900)]
    ranges = sorted_ranges(places)
    assert runs_of(ranges, 0, 1 << 20) == [(0, 160, 0, 4), (400, 10, 4, 1), (1000, 900, 5, 1)]
    assert runs_of(ranges, 240, 1 << 20) == [(0, 410, 0, 5), (1000, 900, 5, 1)]
    assert runs_of(ranges, 590, 1 << 20) == [(0, 1900, 0, 6)]
    assert runs_of(ranges, 590, 150) == [(0, 150, 0, 2), (150, 10, 2, 2), (400, 10, 4, 1), (1000, 900, 5, 1)]


def test_equal_ranges_larger_than_the_limit_are_read_once() -> None:
    assert runs_of(sorted_ranges([(5, 1000)] * 3 + [(10, 20)]), 0, 100) == [(5, 1000, 0, 4)]


@given(places=rows(words))
def test_the_index_is_little_endian_words(places: Rows) -> None:
    index = table(list(places), 2)
    stored = guarded_like(np.zeros(16 * len(places), np.uint8))
    shard_index.store(stored, index)
    assert stored.tobytes() == struct.pack(f"<{2 * len(places)}Q", *(word for row in places for word in row))
    loaded = table([(1, 1)] * len(places), 2)
    shard_index.load(loaded, stored)
    assert loaded.tolist() == index.tolist()


def test_arrays_of_another_shape_are_refused() -> None:
    pairs, triples, fours = (np.zeros((2, n), np.uint64) for n in (2, 3, 4))
    with pytest.raises(ValueError, match="rows of 2 words are needed, not of 3"):
        shard_index.entry(triples, 0, 0)
    with pytest.raises(IndexError, match="entry 2 of 2"):
        shard_index.entry(pairs, 2, 0)
    with pytest.raises(ValueError, match="rows of 3 words"):
        shard_index.sort(fours)
    with pytest.raises(ValueError, match="room for 1 runs, 2 are needed"):
        shard_index.coalesce(triples, 0, 0, fours[:1])
    with pytest.raises(ValueError, match="2 entries have 16 bytes each, got 31"):
        shard_index.load(pairs, bytes(31))
    with pytest.raises(ValueError, match="2 entries have 16 bytes each, got 33"):
        shard_index.store(np.zeros(33, np.uint8), pairs)
