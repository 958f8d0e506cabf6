"""Selections at the edges: index arrays without elements, 0-d arrays, more shapes of chunks than are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zarrc
from tests.engine.shards import CountingStore
from tests.indexing.keys import vectorized
from zarrc.errors import SelectionError
from zarrc.grids import RectilinearChunkGrid

Values = npt.NDArray[Any]
SHAPE = (6, 8, 5)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (4, 3, 2)},
    "several shapes": {"chunks": ([1, 5], [3, 3, 2], 5)},
    "shards": {"chunks": (2, 2, 1), "shards": (4, 4, 5)},
    "shards of several shapes": {
        "chunks": (2, 2, 1),
        "shards": {"shape": RectilinearChunkGrid([[2, 4], [4, 2, 2], [2, 3]])},
    },
}
EVERYWHERE = pytest.mark.parametrize("layout", LAYOUTS)
STORES = pytest.mark.parametrize(
    "store", [zarrc.storage.MemoryStore, CountingStore], ids=["memory", "python"]
)


def _array(layout: str, store: Any = zarrc.storage.MemoryStore) -> tuple[Any, Values]:
    array = zarrc.create_array(store(), shape=SHAPE, dtype="i4", fill_value=-1, **LAYOUTS[layout])
    array[...] = values = np.arange(240, dtype="i4").reshape(SHAPE)
    return array, values


# --- without elements

NOTHING: dict[str, Any] = {
    "(0, 3)": np.zeros((0, 3), int),
    "(3, 0)": np.zeros((3, 0), int),
    "(2, 0, 4)": np.zeros((2, 0, 4), int),
    "(0, 0)": np.zeros((0, 0), int),
    "[]": [],
    "[[], []]": [[], []],
    "range": range(0),
    "unsigned": np.zeros((0, 2), "u8"),
    "two": (np.zeros((0, 3), int), np.zeros((0, 3), int)),
    "broadcast": (np.zeros((0, 1), int), np.zeros((1, 3), int)),
    "broadcast, out of bounds": (np.zeros((0, 1), int), np.full((1, 3), 99)),
    "all axes": (np.zeros((0, 3), int),) * 3,
    "beside an integer": np.s_[np.zeros((0, 3), int), 2],
    "behind a slice": np.s_[1:, np.zeros((0, 3), int)],
    "apart": np.s_[np.zeros((0, 3), int), :, np.zeros(3, int)],
    "apart, after an integer": np.s_[0, :, np.zeros((0, 3), int)],
    "with a slice of nothing": np.s_[3:3, np.zeros((0, 3), int)],
    "beside a slice of nothing": np.s_[[1, 0, 1], 3:3],
    "with new axes": np.s_[None, np.zeros((0, 3), int), None, ..., None],
    "mask of nothing": np.zeros(SHAPE, bool),
    "mask of no rows": np.zeros(6, bool),
    "mask of no rows beside a list": np.s_[np.zeros(6, bool), [[1], [2]]],
    "mask of two axes": np.s_[:, np.zeros((8, 5), bool)],
    "false": False,
}


@STORES
@EVERYWHERE
@pytest.mark.parametrize("what", NOTHING)
def test_index_arrays_without_elements_select_nothing(what: str, layout: str, store: Any) -> None:
    array, values = _array(layout, store)
    key = NOTHING[what]
    expected = values[key]
    assert expected.size == 0
    if store is CountingStore:
        array.store.taken()
    found = array[key]
    assert (type(found), found.shape, found.dtype) == (np.ndarray, expected.shape, expected.dtype)
    out = np.empty_like(expected)
    assert array.get_basic_selection(key, out=out) is out
    array[key] = 5
    array[key] = np.zeros(expected.shape)
    if store is CountingStore:
        assert array.store.taken() == []
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        array[key] = np.zeros((7, *expected.shape))
    np.testing.assert_array_equal(array[...], values)
    with array.buffered():
        array[0, 0, 0] = 3
        assert array[key].shape == expected.shape
        array[key] = 5
    values[0, 0, 0] = 3
    np.testing.assert_array_equal(array[...], values)


@EVERYWHERE
@pytest.mark.parametrize("what", [what for what in NOTHING if what != "false"])
def test_points_without_elements_are_as_vindex_places_them(what: str, layout: str) -> None:
    array, values = _array(layout)
    expected = vectorized(values, NOTHING[what])
    found = array.vindex[NOTHING[what]]
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    array.vindex[NOTHING[what]] = 5
    np.testing.assert_array_equal(array[...], values)


@EVERYWHERE
def test_lists_without_elements_along_some_axes(layout: str) -> None:
    array, values = _array(layout)
    for key in (([], [1, 2], [0]), ([2, 0], [], [4, 4]), ([], [], []), (np.zeros(6, bool), [3], slice(1, 4))):
        some = tuple(np.atleast_1d(np.arange(5)[k] if isinstance(k, slice) else k) for k in key)
        some = tuple(np.flatnonzero(k) if k.dtype == bool else k.astype(int) for k in some)
        assert array.oindex[key].shape == values[np.ix_(*some)].shape
        array.oindex[key] = 5
    coordinates = (np.zeros((2, 0), int),) * 3
    assert array.get_coordinate_selection(coordinates).shape == (2, 0)
    array.set_coordinate_selection(coordinates, 5)
    np.testing.assert_array_equal(array[...], values)


@pytest.mark.parametrize("sharded", [False, True], ids=["chunks", "shards"])
def test_an_array_without_elements_is_selected_from(sharded: bool) -> None:
    shards = {"shards": {"shape": RectilinearChunkGrid([[2, 2], [2, 4]])}} if sharded else {}
    chunks: Any = (2, 2) if sharded else ([1, 3], [2, 4])
    array = zarrc.create_array(shape=(4, 6), chunks=chunks, dtype="i4", **shards)
    array.resize((0, 6))
    values = np.zeros((0, 6), "i4")
    for key in (
        np.s_[:, [5, 0]],
        np.zeros((0, 6), bool),
        np.s_[[], [[1], [2]]],
        np.s_[np.zeros((0, 2), int), ::2],
    ):
        assert array[key].shape == values[key].shape
        array[key] = 1
    for key in (np.s_[[0]], np.s_[[0], [1]], np.s_[[-1], ::2]):
        with pytest.raises(IndexError):
            array[key]
        with pytest.raises(IndexError):
            array[key] = 1


# --- 0-d arrays

ZERO_D: dict[str, dict[str, Any]] = {
    "chunk": {},
    "raw": {"compressors": None},
    "shard": {"chunks": (), "shards": ()},
    "format 2": {"zarr_format": 2},
}


@STORES
@pytest.mark.parametrize("layout", ZERO_D)
def test_what_selects_from_a_0d_array_selects_as_numpy_does(layout: str, store: Any) -> None:
    array = zarrc.create_array(store(), shape=(), dtype="i4", fill_value=3, **ZERO_D[layout])
    values = np.array(3, "i4")
    keys: tuple[Any, ...] = (
        (),
        ...,
        None,
        (None, ..., None),
        True,
        False,
        np.array(True),
        (True, None),
        (..., False),
    )
    for number, key in enumerate(keys):
        found, expected = array[key], values[key]
        assert (type(found), np.shape(found), found.dtype) == (
            type(expected),
            np.shape(expected),
            expected.dtype,
        )
        np.testing.assert_array_equal(found, expected)
        array[key] = values[key] = number
        assert array[()] == values[()]
        with array.buffered():
            array[...] = values[...] = 50 + number
            np.testing.assert_array_equal(array[key], values[key])
            array[key] = values[key] = 60 + number
            np.testing.assert_array_equal(array[key], values[key])
        assert array[()] == values[()]
    mask = np.array(True)
    array.set_mask_selection(mask, 9)
    assert array.get_mask_selection(mask).tolist() == [9]
    assert array.get_mask_selection(~mask).shape == (0,)
    for wrong in ([0], [], [True], 0, np.zeros((0, 3), int), slice(None)):
        with pytest.raises(IndexError):
            values[wrong]
        with pytest.raises(IndexError):
            array[wrong]
        with pytest.raises(SelectionError):
            array[wrong] = 1
    assert array[()] == 9


# --- many shapes of chunks


@STORES
def test_points_in_more_shapes_of_chunks_than_are_kept(store: Any) -> None:
    """70 x 70 chunks, each of another shape: 4900 layouts, of which a handle does not keep all."""
    extents = list(range(1, 71))
    n = sum(extents)
    array = zarrc.create_array(
        store(), shape=(n, n), chunks=(extents, extents), dtype="u2", compressors=None, fill_value=7
    )
    ends = np.cumsum(extents)
    # The last element of each chunk, in no order.
    rows, columns = (axis.ravel() for axis in np.meshgrid(ends - 1, ends - 1))
    order = np.random.default_rng(1).permutation(rows.size)
    rows, columns = rows[order], columns[order]
    values = np.arange(8, rows.size + 8, dtype="u2")
    assert rows.size > 4096
    array[rows, columns] = values
    np.testing.assert_array_equal(array[rows, columns], values)
    np.testing.assert_array_equal(array.oindex[ends - 1, ends - 1].T.ravel()[order], values)
    assert array.nchunks_initialized == rows.size
    mask = np.zeros((n, n), bool)
    mask[rows[:50], columns[:50]] = True
    found = np.zeros((n, n), "u2")
    found[rows[:50], columns[:50]] = values[:50]
    np.testing.assert_array_equal(array[mask], found[mask])
    assert (array[ends[:-1], ends[:-1]] == 7).all()


def test_points_in_many_shapes_of_shards() -> None:
    """65 x 65 shards, each of another shape."""
    extents = [2 * i for i in range(1, 66)]
    n = sum(extents)
    array = zarrc.create_array(
        shape=(n, n),
        chunks=(2, 2),
        shards={"shape": RectilinearChunkGrid([extents, extents])},
        dtype="u2",
        compressors=None,
        fill_value=7,
    )
    ends = np.cumsum(extents)
    rows, columns = np.meshgrid(ends - 1, ends - 1, indexing="ij")
    assert rows.size > 4096
    some = np.random.default_rng(1).permutation(rows.size)[:200]
    rows, columns = rows.ravel()[some], columns.ravel()[some]
    array[rows, columns] = values = np.arange(8, 208)
    np.testing.assert_array_equal(array[rows, columns], values)
    everywhere = array.vindex[(ends - 1)[:, None], (ends - 1)[None, :]]
    assert everywhere.shape == (65, 65)
    assert (everywhere.ravel()[some] == values).all()
    assert (everywhere == 7).sum() == 65 * 65 - 200
