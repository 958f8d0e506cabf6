"""What masks and lists ask a store for: no more of shards than they need, no chunk in vain, all together."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import BYTES, CRC32C, ZSTD, CountingStore, index_nbytes, sharded_array, sharding
from tests.soak import count
from zarrc.errors import ChunkNotFoundError

Values = npt.NDArray[Any]
APART = {"sharding_coalesce_max_gap_bytes": 0}
VERSIONS = pytest.mark.parametrize("versions", [True, False], ids=["versions", "no versions"])

# Shards of 8 x 8 inner chunks of 256 bytes, uncompressed: where they are is plain arithmetic.
SHAPE, SHARDS, INNER = (128, 192), (64, 64), (8, 8)
INNER_NBYTES = 4 * math.prod(INNER)
INDEX_NBYTES = index_nbytes((8, 8), [BYTES, CRC32C])
VALUES = np.arange(1, math.prod(SHAPE) + 1, dtype="i4").reshape(SHAPE)
Place = tuple[int, int]
Request = tuple[str, str, Any]


def _sharded(*, versions: bool = True, **keywords: Any) -> Any:
    array = sharded_array(
        CountingStore(versions=versions), SHAPE, SHARDS, INNER, **{"config": APART, **keywords}
    )
    array[...] = VALUES
    array.store.taken()
    return array


def _key(shard: Place) -> str:
    return f"c/{shard[0]}/{shard[1]}"


def _index(*shards: Place) -> list[Request]:
    return [("get", _key(shard), (-INDEX_NBYTES, INDEX_NBYTES)) for shard in shards]


def _inner(shard: Place, *places: Place) -> list[Request]:
    """Requests of inner chunks, each its own."""
    return [("get", _key(shard), (INNER_NBYTES * (8 * row + column), INNER_NBYTES)) for row, column in places]


def _mask(*elements: Place) -> Values:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(np.array(elements).T)] = True
    return mask


# --- shards


# In the shards (0, 0) and (1, 2): the inner chunks (0, 0), (2, 5) and (7, 7), (4, 1).
ELEMENTS = ((0, 0), (3, 5), (17, 40), (23, 47), (127, 191), (96, 136))
WANTED = Counter([*_index((0, 0), (1, 2)), *_inner((0, 0), (0, 0), (2, 5)), *_inner((1, 2), (7, 7), (4, 1))])
ROWS, COLUMNS = (np.array(axis) for axis in zip(*ELEMENTS, strict=True))

SPARSE: dict[str, Any] = {
    "mask": _mask(*ELEMENTS),
    "points": (ROWS, COLUMNS),
    "points, some of them twice": (np.tile(ROWS, 3)[::-1], np.tile(COLUMNS, 3)[::-1]),
}


@VERSIONS
@pytest.mark.parametrize("what", SPARSE)
def test_few_elements_of_shards_are_their_indexes_and_ranges(what: str, versions: bool) -> None:
    array = _sharded(versions=versions)
    key = SPARSE[what]
    np.testing.assert_array_equal(array[key], VALUES[key])
    groups, taken = array.store.groups, array.store.taken()
    again = Counter(() if versions else _index((0, 0), (1, 2)))
    assert Counter(taken) == WANTED + again
    assert groups == [2, 4] + [2] * (not versions), "those of both shards together"


@VERSIONS
def test_lists_along_both_axes_ask_for_their_product_of_inner_chunks(versions: bool) -> None:
    array = _sharded(versions=versions)
    rows, columns = [70, 3, 71], [190, 9, 10, 189]
    np.testing.assert_array_equal(array.oindex[rows, columns], VALUES[np.ix_(rows, columns)])
    shards = ((0, 0), (0, 2), (1, 0), (1, 2))
    expected = [*_index(*shards)] * (1 if versions else 2)
    for (row, column), place in zip(shards, ((0, 1), (0, 7), (0, 1), (0, 7)), strict=True):
        expected += _inner((row, column), place)
    assert Counter(array.store.taken()) == Counter(expected)


@VERSIONS
def test_a_mask_of_half_a_shard_or_more_asks_for_all_of_it(versions: bool) -> None:
    array = _sharded(versions=versions)
    mask = np.zeros(SHAPE, bool)
    mask[:64, :64] = True
    mask[100, 100] = True
    np.testing.assert_array_equal(array[mask], VALUES[mask])
    taken = array.store.taken()
    assert Counter(taken) == Counter(
        [
            ("get", "c/0/0", None),
            *_index((1, 1)) * (1 if versions else 2),
            *_inner((1, 1), (4, 4)),
        ]
    )


def test_a_shard_without_a_true_element_is_not_asked_for() -> None:
    array = _sharded(config={})
    for key in (_mask((5, 70)), _mask((5, 70), (63, 127)), np.zeros(SHAPE, bool)):
        np.testing.assert_array_equal(array[key], VALUES[key])
        assert {key for _, key, _ in array.store.taken()} == ({"c/0/1"} if key.any() else set())


def test_a_mask_on_shards_in_shards_asks_for_what_is_needed_of_the_outer_one() -> None:
    inner = sharding((4, 4), [BYTES])
    array = sharded_array(CountingStore(), SHAPE, SHARDS, (16, 16), [inner], config=APART)
    array[...] = VALUES
    array.store.taken()
    mask = _mask((3, 3), (63, 63))
    np.testing.assert_array_equal(array[mask], VALUES[mask])
    taken = array.store.taken()
    assert {key for _, key, _ in taken} == {"c/0/0"}
    assert all(wanted is not None for _, _, wanted in taken)
    whole = len(array.store.objects["c/0/0"][0])
    assert sum(wanted[1] for _, _, wanted in taken) < whole / 4


@settings(max_examples=count(500))
@given(data=st.data())
def test_no_mask_asks_for_more_of_shards_than_it_must(data: st.DataObject) -> None:
    array = _sharded(versions=data.draw(st.booleans()))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    elements = rng.integers(0, SHAPE, (data.draw(st.integers(0, 40)), 2))
    key: Any = tuple(elements.T)
    if data.draw(st.booleans()):
        key = np.zeros(SHAPE, bool)
        key[tuple(elements.T)] = True
    np.testing.assert_array_equal(array[key], VALUES[key])
    taken = array.store.taken()
    touched = {(r // 64, c // 64, r % 64 // 8, c % 64 // 8) for r, c in elements.tolist()}
    shards = {_key(place[:2]) for place in touched}
    assert {key for _, key, _ in taken} == shards
    ranges = [wanted for _, _, wanted in taken if wanted is not None and wanted[0] >= 0]
    indexes = [wanted for _, _, wanted in taken if wanted is not None and wanted[0] < 0]
    assert sum(nbytes for _, nbytes in ranges) == INNER_NBYTES * len(touched)
    assert len(indexes) == len(shards) * (1 if array.store.versions else 2)
    assert len(taken) == len(ranges) + len(indexes), "no shard of which so little is wanted is read whole"


# --- chunks of one shape


def chunked(chunks: Any, **keywords: Any) -> Any:
    """An array of such chunks that holds `VALUES`."""
    array = zarrc.create_array(
        CountingStore(), shape=SHAPE, chunks=chunks, dtype="i4", fill_value=-1, **keywords
    )
    array[...] = VALUES
    array.store.taken()
    return array


SEVERAL: Any = ([16, 48, 32, 32], [[32, 3], 96])


@pytest.mark.parametrize("chunks", [(16, 32), SEVERAL], ids=["regular", "several shapes"])
def test_chunks_without_a_true_element_are_not_asked_for(chunks: Any) -> None:
    array = chunked(chunks)
    mask = _mask((0, 0), (15, 31), (16, 32), (127, 191))
    np.testing.assert_array_equal(array[mask], VALUES[mask])
    last = "c/7/5" if chunks == (16, 32) else "c/3/3"
    assert Counter(array.store.taken()) == Counter([("get", k, None) for k in ("c/0/0", "c/1/1", last)])
    array[np.zeros(SHAPE, bool)]
    array[np.zeros(SHAPE, bool)] = 3
    assert array.store.taken() == []
    array[mask] = -7
    taken = array.store.taken()
    assert Counter(taken) == Counter(
        (deed, k, None) for deed in ("get", "set") for k in ("c/0/0", "c/1/1", last)
    )
    assert (array[mask] == -7).all()


@pytest.mark.parametrize("chunks", [(16, 32), SEVERAL], ids=["regular", "several shapes"])
def test_a_mask_along_one_axis_asks_only_for_chunks_that_it_meets(chunks: Any) -> None:
    array = chunked(chunks)
    rows = np.zeros(SHAPE[0], bool)
    rows[[3, 5, 127]] = True
    np.testing.assert_array_equal(array[rows, 40], VALUES[rows, 40])
    last = 7 if chunks == (16, 32) else 3
    assert Counter(array.store.taken()) == Counter(("get", f"c/{row}/1", None) for row in (0, last))


# --- chunks of several shapes


def test_a_missing_chunk_of_several_shapes_is_told_or_filled() -> None:
    array = chunked(SEVERAL)
    array.store.delete("c/2/3")
    expected = VALUES.copy()
    expected[64:96, 96:] = -1
    rows, columns = [0, 70, 127], [5, 100, 191]
    np.testing.assert_array_equal(array[rows, columns], expected[rows, columns])
    strict = array.with_config({"read_missing_chunks": False})
    with pytest.raises(ChunkNotFoundError) as caught:
        strict[rows, columns]
    assert caught.value.key == "c/2/3"
    assert strict[[0, 127], [5, 191]].tolist() == VALUES[[0, 127], [5, 191]].tolist()


# --- writes


def _permutation(seed: int, n: int) -> Values:
    return np.random.default_rng(seed).permutation(n)


COVERING: dict[str, Any] = {
    "rows": np.s_[_permutation(1, 128)],
    "columns": np.s_[:, _permutation(2, 192)],
    "rows of some chunks": np.s_[np.concatenate([_permutation(1, 64), [3, 3, 60]])],
    "both": np.ix_(_permutation(3, 128), _permutation(4, 192)),
    "rows, columns backwards": np.s_[_permutation(5, 128), ::-1],
    "rows that are ranges": np.s_[list(range(127, -1, -1))],
    "a mask of rows": np.s_[np.arange(128) < 64],
}
# Which rows of the array are written.
COVERED = {"rows of some chunks": 64, "a mask of rows": 64}
GRIDS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (16, 32)},
    "chunks over the end": {"chunks": (64, 50)},
    "several shapes": {"chunks": SEVERAL},
    "shards": {"chunks": INNER, "shards": SHARDS},
    "shards over the end": {"chunks": (8, 10), "shards": (64, 50)},
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("what", COVERING)
def test_lists_that_cover_chunks_read_nothing_first(what: str, grid: str) -> None:
    array = zarrc.create_array(CountingStore(), shape=SHAPE, dtype="i4", fill_value=-1, **GRIDS[grid])
    array[...] = expected = VALUES.copy()
    array.store.taken()
    key = COVERING[what]
    new = -10 - np.arange(expected[key].size, dtype="i4").reshape(expected[key].shape)
    array[key] = expected[key] = new
    assert {deed for deed, _, _ in array.store.taken()} == {"set"}
    np.testing.assert_array_equal(array[...], expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_list_that_leaves_one_index_of_a_chunk_out_reads_it_first(grid: str) -> None:
    array = zarrc.create_array(CountingStore(), shape=SHAPE, dtype="i4", fill_value=-1, **GRIDS[grid])
    array[...] = expected = VALUES.copy()
    array.store.taken()
    rows = _permutation(1, 128)
    rows[rows == 70] = 71  # as many, but one of them twice
    array[rows] = -5
    expected[rows] = -5
    taken = array.store.taken()
    np.testing.assert_array_equal(array[...], expected)
    row = next(
        i
        for i in range(9)
        if array.metadata.chunk_grid.chunk_bounds(0, i)[0]
        <= 70
        < array.metadata.chunk_grid.chunk_bounds(0, i)[1]
    )
    assert {key.split("/")[1] for deed, key, _ in taken if deed == "get"} == {str(row)}
    written = [key for deed, key, _ in taken if deed == "set"]
    assert len(written) == len(set(written)) == array.nshards if array.shards else array.nchunks


@pytest.mark.parametrize("codecs", [[BYTES], [BYTES, ZSTD]], ids=["raw", "zstd"])
def test_each_object_is_read_and_written_once_by_points_in_any_order(codecs: Any) -> None:
    for array in (
        _sharded(codecs=codecs, config={}),
        chunked((16, 32), codecs=codecs),
        chunked(SEVERAL, codecs=codecs),
    ):
        expected = VALUES.copy()
        rng = np.random.default_rng(3)
        rows, columns = rng.integers(0, 128, 400), rng.integers(0, 192, 400)
        new = -1 - np.arange(400, dtype="i4")
        array[rows, columns] = new
        for row, column, value in zip(rows, columns, new, strict=True):
            expected[row, column] = value
        taken = array.store.taken()
        for deed in ("get", "set"):
            keys = [key for done, key, _ in taken if done == deed]
            assert len(keys) == len(set(keys))
        np.testing.assert_array_equal(array[...], expected)
