"""Keys of every kind in a buffered block: masks, lists, points, and what of them is a range, are NumPy's."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zarrc
from tests.array.test_selections_against_numpy import rectilinear
from tests.engine.shards import BYTES, CRC32C, ZSTD, CountingStore, check_stored, sharded_array
from tests.engine.test_shard_selections import sharded_layouts
from tests.grids.test_arrays import arrays as arrays_of_several_shapes
from tests.indexing.keys import fancy_keys, masks, orthogonal, orthogonal_keys, vectorized
from tests.soak import count
from tests.strategies import basic_selections, broadcastable_shapes, layouts, random_values, seeds

Values = npt.NDArray[Any]
LIMITS = (2**28, 2**28, 2**28, 0, 1, 300, 5000)
GRIDS = ("regular", "sharded", "several shapes", "shards of several shapes")
KINDS = ("basic", "[...]", "[...]", "oindex", "vindex", "mask")


def _array(data: st.DataObject, grid: str, folder: Path) -> Any:
    """An empty array."""
    kinds: dict[str, Callable[[], Any]] = {
        "memory": zarrc.storage.MemoryStore,
        "local": lambda: tempfile.mkdtemp(dir=folder),
        "counting": CountingStore,
    }
    if grid == "shards of several shapes":
        array, _ = data.draw(arrays_of_several_shapes())
        return array
    store = kinds[data.draw(st.sampled_from(("memory", "memory", "counting", "local")))]()
    if grid == "sharded":
        return data.draw(sharded_layouts().filter(lambda layout: not layout.rounded)).create(store)
    if grid == "regular":
        return zarrc.create_array(store, **data.draw(layouts(max_ndim=4)).arguments())
    return zarrc.create_array(store, **data.draw(rectilinear()))


def _selected(data: st.DataObject, array: Any, kind: str) -> tuple[Any, Any, Callable[[Values], Any]]:
    """What takes a key in brackets, a key, and what it means in NumPy."""
    shape = array.shape
    if kind == "basic":
        key = data.draw(st.just(...) | basic_selections(shape))
        return array, key, lambda values: values[key]
    if kind == "oindex":
        key = data.draw(orthogonal_keys(shape))
        return array.oindex, key, lambda values: orthogonal(values, key)
    key = data.draw(masks(shape) if kind == "mask" else fancy_keys(shape))
    if kind == "vindex":
        return array.vindex, key, lambda values: vectorized(values, key)
    return array, key, lambda values: values[key]


def _assign(values: Values, pick: Callable[[Values], Any], new: Values) -> None:
    """Assign in C order to what is picked."""
    places = np.asarray(pick(np.arange(values.size).reshape(values.shape)))
    flat = values.reshape(-1)
    for at, value in zip(places.ravel().tolist(), np.broadcast_to(new, places.shape).ravel(), strict=True):
        flat[at] = value


def _same(found: Any, expected: Any) -> None:
    assert np.shape(found) == np.shape(expected)
    expected = np.asarray(expected)
    assert np.asarray(found).astype(expected.dtype).tobytes() == expected.tobytes()


def _some_writes_and_reads(data: st.DataObject, array: Any, expected: Values) -> None:
    for _ in range(data.draw(st.integers(1, 5))):
        brackets, key, pick = _selected(data, array, data.draw(st.sampled_from(KINDS)))
        wanted = np.shape(pick(expected))
        shape = () if not wanted else data.draw(broadcastable_shapes(wanted))
        new = random_values(shape, expected.dtype, data.draw(seeds()))
        brackets[key] = new
        while new.ndim > len(wanted):
            new = new[0]
        _assign(expected, pick, new)
        for _ in range(data.draw(st.integers(0, 2))):
            brackets, key, pick = _selected(data, array, data.draw(st.sampled_from(KINDS)))
            _same(brackets[key], pick(expected))


@pytest.mark.parametrize("grid", GRIDS)
@settings(max_examples=count(700), suppress_health_check=list(HealthCheck))
@given(data=st.data(), limit=st.sampled_from(LIMITS))
def test_selections_of_all_kinds_are_numpys_inside_the_block_and_after_it(
    tmp_path: Path, data: st.DataObject, grid: str, limit: int
) -> None:
    array = _array(data, grid, tmp_path)
    expected = np.array(array[...], array.dtype.newbyteorder("="), order="C")
    if data.draw(st.booleans()):
        array[...] = expected[...] = random_values(array.shape, expected.dtype, data.draw(seeds()))
    with array.buffered(limit) as waiting:
        _some_writes_and_reads(data, array, expected)
        assert waiting.nbytes <= limit
    _same(array[...], expected)
    _same(zarrc.open_array(array.store, path=array.path)[...], expected)
    if grid == "sharded":
        check_stored(array, expected, with_empty=array.config.write_empty_chunks)


# --- the same, by example

LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (2, 2, 3)},
    "shards": {"chunks": (1, 2, 1), "shards": (2, 4, 2)},
    "several shapes": {"chunks": ([1, 2, 1], 2, [1, 4])},
    "shards of several shapes": {
        "chunks": (1, 2, 1),
        "shards": {"shape": zarrc.grids.RectilinearChunkGrid([[1, 2, 1], [2, 4], [1, 4]])},
    },
}
SHAPE = (4, 6, 5)
EVERYWHERE = pytest.mark.parametrize("layout", LAYOUTS)


def _filled(layout: str, store: Any = None) -> tuple[Any, Values]:
    array = zarrc.create_array(
        zarrc.storage.MemoryStore() if store is None else store,
        shape=SHAPE,
        dtype="i4",
        **LAYOUTS[layout],
    )
    array[...] = values = np.arange(120, dtype="i4").reshape(SHAPE)
    return array, values.copy()


PERMUTED: dict[str, Any] = {
    # An integer beside a list is a list: with a slice between them their dimension comes first.
    "integer, slice, range": np.s_[0, :, [1, 3]],
    "integer, slice, list": np.s_[0, :, [1, 0, 3]],
    "range, slice, integer": np.s_[[1, 2, 3], :, 2],
    "range, slice backwards, range": np.s_[range(2), ::-1, [1, 3]],
    "mask, slice, integer": np.s_[[True, False, True, True], 1:5, -1],
    "one index, slice, one index": np.s_[[2], ::2, [4]],
    "list of lists, slice, integer": np.s_[[[0, 1], [2, 3]], :, 4],
    "new axes": np.s_[None, 3, :, None, [0, 1, 2]],
    "ellipsis between": np.s_[1, ..., [4, 2]],
}


@EVERYWHERE
@pytest.mark.parametrize("what", PERMUTED)
def test_a_result_with_its_dimensions_in_another_order_is_read_and_written(layout: str, what: str) -> None:
    array, values = _filled(layout)
    key = PERMUTED[what]
    new = -1 - np.arange(values[key].size).reshape(values[key].shape)
    with array.buffered():
        array[0, 0, 0] = values[0, 0, 0] = 77  # something waits
        np.testing.assert_array_equal(array[key], values[key])
        array[key] = values[key] = new
        np.testing.assert_array_equal(array[key], new)
        np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[...], values)


RANGES: dict[str, Any] = {
    "ascending": [0, 1, 2],
    "with a step": [0, 2, 4],
    "descending": [5, 4, 3],
    "descending with a step": [5, 3, 1],
    "one": [3],
    "none": [],
    "negative": [-3, -2, -1],
    "of numpy": np.arange(1, 5),
    "range": range(5, -1, -2),
    "mask": np.array([False, True, False, True, False, True]),
    "unsigned": np.array([1, 2, 3], "u1"),
}


@EVERYWHERE
@pytest.mark.parametrize("what", RANGES)
def test_a_list_that_is_a_range_is_read_and_written_while_something_waits(layout: str, what: str) -> None:
    array, values = _filled(layout)
    key = (slice(None), RANGES[what])
    with array.buffered():
        array[1, 2] = values[1, 2] = -5
        array[2, 3:, ::2] = values[2, 3:, ::2] = -6
        np.testing.assert_array_equal(array[key], values[key])
        np.testing.assert_array_equal(array.oindex[key], values[key])
        np.testing.assert_array_equal(array.vindex[key], vectorized(values, key))
        out = np.zeros_like(values[key])
        array.get_orthogonal_selection(key, out=out)
        np.testing.assert_array_equal(out, values[key])
        new = -100 - np.arange(values[key].size).reshape(values[key].shape)
        array[key] = values[key] = new
        np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[...], values)


def test_the_list_of_a_one_dimensional_array() -> None:
    for shards in (None, (4,)):
        array = zarrc.create_array(shape=(9,), chunks=(2,), shards=shards, dtype="i4", fill_value=0)
        with array.buffered():
            array[3] = 1
            assert array[[0, 2, 4]].tolist() == [0, 0, 0]
            assert array[[3]].tolist() == [1]
            assert array[[1, 3, 5]].tolist() == [0, 1, 0]
            assert array[[3, 3, 0]].tolist() == [1, 1, 0]
            array[[0, 2, 4]] = [5, 6, 7]
            assert array[:5].tolist() == [5, 0, 6, 1, 7]
        assert array[:5].tolist() == [5, 0, 6, 1, 7]


@EVERYWHERE
def test_of_several_values_for_one_element_the_last_one_stays(layout: str) -> None:
    array, values = _filled(layout)
    with array.buffered():
        array[0, 0] = values[0, 0] = -1
        array[[0, 3, 0], 0, [1, 2, 1]] = [10, 20, 30]
        values[0, 0, 1], values[3, 0, 2] = 30, 20
        np.testing.assert_array_equal(array[...], values)
        array[0, 0, 1] = values[0, 0, 1] = 40
        np.testing.assert_array_equal(array[[0, 3], 0, [1, 2]], [40, 20])
    np.testing.assert_array_equal(array[...], values)


@EVERYWHERE
def test_writes_come_in_their_order_whatever_their_kind(layout: str) -> None:
    array, values = _filled(layout)
    mask = values % 3 == 0
    with array.buffered():
        for i, key in enumerate(
            (np.s_[1:3], mask, np.s_[:, [5, 0]], ..., (mask & (values > 50)), np.s_[::2, 1])
        ):
            array[key] = values[key] = -i - 1
            np.testing.assert_array_equal(array[mask], values[mask])
    np.testing.assert_array_equal(array[...], values)


@EVERYWHERE
def test_a_value_that_does_not_fit_is_refused_and_what_waits_goes_on_waiting(layout: str) -> None:
    array, values = _filled(layout)
    with array.buffered():
        array[0, 0, 0] = values[0, 0, 0] = -5
        for key in ([0, 2], values > 7, np.s_[0, :, [1, 3]]):
            with pytest.raises(ValueError, match=r"broadcast|shape"):
                array[key] = np.zeros((7, 11))
            with pytest.raises(zarrc.errors.CastingError):
                array[key] = 2**40
        for wrong in ([0, 4], np.ones((4, 6, 6), bool), np.s_[0, [0, 1], [0, 1, 2]]):
            with pytest.raises(IndexError):
                array[wrong]
            with pytest.raises(IndexError):
                array[wrong] = 1
        np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[...], values)


@pytest.mark.parametrize("codecs", [[BYTES], [BYTES, ZSTD, CRC32C]], ids=["raw", "zstd"])
def test_a_missing_chunk_that_waits_is_there_for_lists_and_masks(codecs: Any) -> None:
    array = sharded_array({}, (8,), (4,), (2,), codecs, config={"read_missing_chunks": False})
    mask = np.array([True, True] + [False] * 6)
    with array.buffered():
        array[0:2] = [1, 2]
        assert array[[0, 1]].tolist() == [1, 2]
        assert array[[1, 0, 1]].tolist() == [2, 1, 2]
        assert array[mask].tolist() == [1, 2]
        with pytest.raises(zarrc.errors.ChunkNotFoundError):
            array[[0, 3]]
        with pytest.raises(zarrc.errors.ChunkNotFoundError):
            array[[0, 7, 3]]
    assert array[[1, 0, 1]].tolist() == [2, 1, 2]


@EVERYWHERE
def test_threads_that_share_a_block_lose_nothing(layout: str) -> None:
    array, values = _filled(layout)
    n_threads = 4
    failed: list[BaseException] = []

    def work(row: int) -> None:
        try:
            for i in range(20):
                array[row, :, [4, 1]] = i
                array[row, [0, 5]] = -i
                assert (array[row, 1:5, [4, 1]] == i).all()
                assert (array[[row], [5, 0, 5]] == -i).all()
        except BaseException as error:
            failed.append(error)

    with array.buffered():
        threads = [threading.Thread(target=work, args=(row,)) for row in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed, failed[0]
    values[:, :, [4, 1]] = 19
    values[:, [0, 5]] = -19
    np.testing.assert_array_equal(array[...], values)
