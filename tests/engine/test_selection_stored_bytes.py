"""What is written through permutations, masks and lists is stored in the same bytes as by a slice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.array.test_selections_against_numpy import rectilinear
from tests.engine.shards import BYTES, CRC32C, ZSTD, CountingStore, sharding
from tests.engine.test_shard_selections import sharded_layouts
from tests.grids.test_arrays import arrays as arrays_of_several_shapes
from tests.soak import count
from tests.strategies import layouts, random_values, seeds
from zarrc.codecs import BytesCodec, TransposeCodec
from zarrc.grids import RectilinearChunkGrid

Values = npt.NDArray[Any]
SHAPE = (30, 40)
GRIDS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (8, 15)},
    "raw chunks": {"chunks": (8, 40), "compressors": None},
    "big-endian, transposed": {
        "chunks": (10, 10),
        "filters": [TransposeCodec(order=(1, 0))],
        "serializer": BytesCodec(endian="big"),
    },
    "several shapes": {"chunks": ([10, 15, 5], [1, 30, 9])},
    "shards": {"chunks": (4, 5), "shards": (16, 20)},
    "shards in shards": {
        "chunks": (16, 20),
        "codecs": [sharding((8, 10), [sharding((4, 5), [BYTES, ZSTD])]), CRC32C],
    },
    "shards of several shapes": {
        "chunks": (5, 4),
        "shards": {"shape": RectilinearChunkGrid([[10, 20], [40]]), "index_location": "start"},
    },
    "empty chunks too": {"chunks": (8, 15), "config": {"write_empty_chunks": True}},
    "format 2": {"chunks": (7, 9), "zarr_format": 2, "order": "F"},
}


def _values(seed: int = 1) -> Values:
    """Noise, with some chunks of nothing but the fill value."""
    values = np.random.default_rng(seed).integers(-4, 5, SHAPE, "i4")
    values[:10, :20] = values[16:, 30:] = 0
    return values


def _array(grid: str, store: Any = None) -> Any:
    keywords = {"shape": SHAPE, "dtype": "i4", "fill_value": 0, **GRIDS[grid]}
    return zarrc.create_array(zarrc.storage.MemoryStore() if store is None else store, **keywords)


def _stored(array: Any) -> dict[str, bytes]:
    """All objects of an array."""
    return {key: bytes(array.store.get(key)) for key in sorted(array.store.list_prefix(""))}


def _rows(array: Any, values: Values) -> None:
    rows = np.random.default_rng(2).permutation(SHAPE[0])
    array[rows] = values[rows]


def _columns(array: Any, values: Values) -> None:
    columns = np.random.default_rng(3).permutation(SHAPE[1])
    array[:, columns] = values[:, columns]


def _both(array: Any, values: Values) -> None:
    rng = np.random.default_rng(4)
    rows, columns = rng.permutation(SHAPE[0]), rng.permutation(SHAPE[1])
    array.oindex[rows, columns] = values[np.ix_(rows, columns)]


def _points(array: Any, values: Values) -> None:
    order = np.random.default_rng(5).permutation(values.size)
    rows, columns = np.unravel_index(order, SHAPE)
    array[rows, columns] = values[rows, columns]


def _points_of_a_plane(array: Any, values: Values) -> None:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    array.vindex[rows.T, columns.T] = values.T


def _whole_mask(array: Any, values: Values) -> None:
    array[np.ones(SHAPE, bool)] = values.ravel()


def _two_masks(array: Any, values: Values) -> None:
    mask = np.random.default_rng(6).random(SHAPE) < 0.7
    array[mask] = values[mask]
    array[~mask] = values[~mask]


def _masks_of_rows(array: Any, values: Values) -> None:
    mask = np.arange(SHAPE[0]) % 3 == 1
    array[mask] = values[mask]
    array.oindex[~mask, np.ones(SHAPE[1], bool)] = values[~mask]


def _twice(array: Any, values: Values) -> None:
    """Each row comes twice; what is written last stays."""
    rows = np.random.default_rng(7).permutation(SHAPE[0])
    array[np.concatenate([rows, rows[::-1]])] = np.concatenate([values[rows] + 1, values[rows[::-1]]])


def _rest(array: Any, values: Values) -> None:
    """Some rows, and then the others beside a slice."""
    rows = np.random.default_rng(8).permutation(SHAPE[0])
    array[rows[:13], ::-1] = values[rows[:13], ::-1]
    array[rows[13:], 7:] = values[rows[13:], 7:]
    array[rows[13:], :7] = values[rows[13:], :7]


def _turned(array: Any, values: Values) -> None:
    """The dimension of the lists comes first: all rows of some columns, as columns."""
    array[None, :, [*range(0, 40, 2)]] = values[None, :, ::2]
    array.vindex[:, [*range(39, 0, -2)]] = values.T[::-2]


WRITES = {
    write.__name__.strip("_").replace("_", " "): write
    for write in (
        *(_rows, _columns, _both, _points, _points_of_a_plane, _whole_mask),
        *(_two_masks, _masks_of_rows, _twice, _rest, _turned),
    )
}


@pytest.mark.parametrize("before", ["empty", "full", "buffered"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("what", WRITES)
def test_the_same_bytes_are_stored_as_by_a_slice(what: str, grid: str, before: str) -> None:
    values = _values()
    expected, array = _array(grid), _array(grid)
    expected[...] = values
    if before == "full":
        array[...] = 7
    if before == "buffered":
        with array.buffered():
            array[3:5, 2] = 9
            WRITES[what](array, values)
    else:
        WRITES[what](array, values)
    np.testing.assert_array_equal(array[...], values)
    assert _stored(array) == _stored(expected)


@pytest.mark.parametrize("kind", ["local", "mapping", "counting"])
@pytest.mark.parametrize("grid", GRIDS)
def test_the_same_bytes_are_stored_in_every_store(grid: str, kind: str, tmp_path: Path) -> None:
    values = _values()
    expected = _array(grid)
    expected[...] = values
    for number, write in enumerate(WRITES.values()):
        stores: dict[str, Any] = {"mapping": {}, "counting": CountingStore(), "local": tmp_path / str(number)}
        array = _array(grid, stores[kind])
        write(array, values)
        assert _stored(array) == _stored(expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_what_becomes_the_fill_value_is_not_stored(grid: str) -> None:
    nothing = _array(grid)
    nothing[...] = 0
    for what in WRITES:
        array = _array(grid)
        array[...] = _values()
        WRITES[what](array, np.zeros(SHAPE, "i4"))
        assert _stored(array) == _stored(nothing), what


@settings(max_examples=count(1000))
@given(data=st.data(), grid=st.sampled_from(("regular", "sharded", "several shapes", "both")), seed=seeds())
def test_any_permutation_of_any_layout_stores_the_same_bytes(
    data: st.DataObject, grid: str, seed: int
) -> None:
    stores = zarrc.storage.MemoryStore(), zarrc.storage.MemoryStore()
    if grid == "both":
        array, _ = data.draw(arrays_of_several_shapes())
        expected = zarrc.empty_like(array, store=stores[0], fill_value=array.fill_value)
    elif grid == "sharded":
        layout = data.draw(sharded_layouts())
        expected, array = (layout.create(store) for store in stores)
    else:
        arguments = data.draw(
            layouts(max_ndim=4).map(lambda layout: layout.arguments()) if grid == "regular" else rectilinear()
        )
        expected, array = (zarrc.create_array(store, **arguments) for store in stores)
    if array.ndim == 0:
        return
    values = random_values(array.shape, array.dtype.newbyteorder("="), seed)
    expected[...] = values
    rng = np.random.default_rng(seed)
    order = [rng.permutation(extent) for extent in array.shape]
    how = data.draw(st.sampled_from(("oindex", "points", "mask", "one list")))
    if how == "oindex":
        array.oindex[tuple(order)] = values[np.ix_(*order)]
    elif how == "points":
        points = np.unravel_index(rng.permutation(values.size), values.shape)
        array[points] = values[points]
    elif how == "mask":
        array[np.ones(values.shape, bool)] = values.ravel()
    else:
        axis = data.draw(st.integers(0, array.ndim - 1))
        key = (slice(None),) * axis + (order[axis],)
        array[key] = values[key]
    for key in expected.store.list_prefix(""):
        if "zarr.json" not in key and ".z" not in key:
            assert bytes(array.store.get(key)) == bytes(expected.store.get(key)), key
    assert set(array.store.list_prefix("")) == set(expected.store.list_prefix(""))
