"""Arrays whose chunks have several shapes: everything that arrays do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.grids.strategies import axes
from tests.soak import count
from tests.strategies import basic_selections, random_values, seeds
from zarrc.errors import MetadataError
from zarrc.grids import RectilinearChunkGrid, RegularChunkGrid
from zarrc.storage import MemoryStore
from zarrc.tools.compacting import compact_array as compact

ZSTD = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 1}}]
TRANSPOSED = [{"name": "transpose", "configuration": {"order": "F"}}, *ZSTD]
CODECS: dict[str, Any] = {
    "raw": [{"name": "bytes"}],
    "big-endian raw": [{"name": "bytes", "configuration": {"endian": "big"}}],
    "zstd": ZSTD,
    "transposed": [
        {"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes"},
        {"name": "crc32c"},
    ],
}


class CountingDict(dict[str, bytes]):
    """A store that counts the chunks (or shards) that are written."""

    n_writes = 0

    def __setitem__(self, key: str, value: bytes) -> None:
        self.n_writes += key.startswith("c/")
        super().__setitem__(key, value)


@st.composite
def arrays(draw: st.DrawFn, dtype: str = "i4") -> tuple[zarrc.Array, np.ndarray[Any, Any]]:
    """An array of two dimensions with chunks of several shapes, in shards or not, and what it holds."""
    shape = draw(st.integers(0, 25)), draw(st.integers(0, 25))
    keywords: dict[str, Any] = {"codecs": CODECS[draw(st.sampled_from(sorted(CODECS)))]}
    if draw(st.booleans()):
        keywords["chunks"] = tuple(draw(st.integers(1, 4)) for _ in shape)
        extents = [draw(axes(n, unit)) for n, unit in zip(shape, keywords["chunks"], strict=True)]
        location = draw(st.sampled_from(("start", "end")))
        keywords["shards"] = {"shape": RectilinearChunkGrid(extents), "index_location": location}
    else:
        keywords["chunk_grid"] = RectilinearChunkGrid([draw(axes(n)) for n in shape])
    array = zarrc.create_array(MemoryStore(), shape=shape, dtype=dtype, fill_value=7, **keywords)
    return array, np.full(shape, 7, dtype)


@settings(max_examples=count(3000))
@given(arrays(), st.data())
def test_writes_and_reads_mean_what_they_mean_in_numpy(
    case: tuple[zarrc.Array, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    array, expected = case
    for _ in range(3):
        selection = data.draw(basic_selections(array.shape))
        values = random_values(expected[selection].shape, array.dtype, data.draw(seeds()))
        array[selection] = expected[selection] = values
        selection = data.draw(basic_selections(array.shape))
        np.testing.assert_array_equal(array[selection], expected[selection])
    np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(zarrc.open_array(array.store)[...], expected)


@settings(max_examples=count(600))
@given(arrays(), seeds())
def test_what_tells_of_chunks_agrees(case: tuple[zarrc.Array, np.ndarray[Any, Any]], seed: int) -> None:
    array, expected = case
    array[...] = expected = random_values(array.shape, array.dtype, seed) | 1
    assert tuple(map(len, array.read_chunk_sizes)) == array.cdata_shape
    assert tuple(map(sum, array.read_chunk_sizes)) == array.shape == tuple(map(sum, array.write_chunk_sizes))
    assert array.nchunks == array.nchunks_initialized == len(list(array.iter_chunks()))
    assert array.nshards == array.nshards_initialized == len(list(array.iter_shards()))
    seen = np.zeros(array.shape, int)
    for region in array.iter_chunks():
        seen[region] += 1
    for region in array.iter_shards():
        seen[region] += 1
        np.testing.assert_array_equal(array[region], expected[region])
    assert (seen == 2).all()
    np.testing.assert_array_equal(np.array(list(array)).reshape(array.shape), expected)
    assert str(array.nchunks) in repr(array.info)


@settings(max_examples=count(600))
@given(arrays(), seeds())
def test_copies_keep_the_grid_or_change_it(case: tuple[zarrc.Array, np.ndarray[Any, Any]], seed: int) -> None:
    array, expected = case
    array[...] = expected = random_values(array.shape, array.dtype, seed)
    for made in (
        zarrc.copy_array(array),
        zarrc.from_array(data=array),
        zarrc.array(array),
        zarrc.array(expected, chunks=array.chunks, shards=array.shards),
        pickle.loads(pickle.dumps(array)),
        zarrc.copy_array(array, zarrc.zeros(array.shape, dtype=array.dtype, chunks=(3, 5))),
        zarrc.copy_array(zarrc.array(expected, chunks=(3, 5)), zarrc.empty_like(array)),
        zarrc.copy_array(array, zarr_format=2),
    ):
        np.testing.assert_array_equal(made[...], expected)
    for made in (zarrc.copy_array(array), pickle.loads(pickle.dumps(array)), zarrc.zeros_like(array)):
        if not array.metadata.chunk_grid.is_regular:  # said in the simpler way
            assert made.metadata.chunk_grid == array.metadata.chunk_grid
        assert (made.chunks, made.shards) == (array.chunks, array.shards)


@settings(max_examples=count(600))
@given(arrays(), st.data())
def test_buffered_writes_are_there_after_the_block(
    case: tuple[zarrc.Array, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    array, expected = case
    with array.buffered():
        for _ in range(4):
            selection = data.draw(basic_selections(array.shape))
            values = random_values(expected[selection].shape, array.dtype, data.draw(seeds()))
            array[selection] = expected[selection] = values
            np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(array[...], expected)


@settings(max_examples=count(600))
@given(arrays(), st.data())
def test_a_resized_array_keeps_what_is_inside_and_shows_no_old_data(
    case: tuple[zarrc.Array, np.ndarray[Any, Any]], data: st.DataObject
) -> None:
    array, expected = case
    array[...] = expected = random_values(array.shape, array.dtype, data.draw(seeds()))
    for _ in range(3):
        shape = tuple(data.draw(st.integers(0, 40)) for _ in array.shape)
        array.resize(shape)
        new = np.full(shape, 7, array.dtype)
        inside = tuple(slice(min(pair)) for pair in zip(shape, expected.shape, strict=True))
        new[inside] = expected[inside]
        expected = new
        np.testing.assert_array_equal(array[...], expected)
        np.testing.assert_array_equal(zarrc.open_array(array.store)[...], expected)


def test_three_dimensions_and_one() -> None:
    values = np.arange(7 * 11 * 13).reshape(7, 11, 13)
    array = zarrc.array(values, chunks=[[1, 2, 4], 5, [[3, 4], 1]])
    assert array.chunks == ((1, 2, 4), 5, (3, 3, 3, 3, 1))
    np.testing.assert_array_equal(array[1:6:2, ::-1, 4], values[1:6:2, ::-1, 4])
    line = zarrc.array(np.arange(60), chunks=[[10, 20, 30]], attributes={"a": 1})
    assert line.cdata_shape == (3,)
    assert line.blocks[1].tolist() == list(range(10, 30))
    assert [int(row) for row in line] == list(range(60))
    assert sorted(key for key in line.store.list_prefix("") if key != "zarr.json") == ["c/0", "c/1", "c/2"]


def test_what_is_shown_of_many_chunks_is_short() -> None:
    array = zarrc.create_array(shape=(6000, 10), chunks=[[1, 2, 3] * 1000, 10], dtype="u1")
    assert "Chunk shape : (3000 of 1 to 3, 10), rectilinear" in " ".join(repr(array.info).split())
    array = zarrc.create_array(shape=(60,), chunks=[[10, 20, 30]], dtype="u1")
    assert "Chunk shape : ((10, 20, 30),), rectilinear" in " ".join(repr(array.info).split())
    array = zarrc.create_array(shape=(60, 8), shards=[[20, 40], 8], chunks=(10, 4), dtype="u1")
    shown = " ".join(repr(array.info).split())
    assert "Shard shape : ((20, 40), 8), rectilinear Chunk shape : (10, 4) No. chunks : 12 (6, 2)" in shown


def test_lists_of_equal_extents_are_regular_and_others_are_not() -> None:
    def grid(*chunks: Any) -> Any:
        shape = (100, 60)
        return zarrc.create_array(shape=shape, dtype="u1", chunks=chunks).metadata.chunk_grid

    assert grid((30, 30, 30, 10), (20, 20, 20)) == RegularChunkGrid((30, 20))
    assert grid((30, 30, 30, 10), (20, 40)) == RectilinearChunkGrid([[30, 30, 30, 10], [20, 40]])
    assert grid((50, 49, 1), 60).chunks == ((50, 49, 1), 60)
    assert grid((30, 30, 40), 60).chunks == ((30, 30, 40), 60)
    assert grid([[25, 4]], -1) == RegularChunkGrid((25, 60))
    assert grid(np.array([60, 40]), None) == RegularChunkGrid((60, 60))


def test_chunks_of_several_extents_are_not_for_shards_or_for_version_2() -> None:
    with pytest.raises(MetadataError, match="the chunks in shards have one shape"):
        zarrc.create_array(shape=(60,), chunks=[[10, 50]], shards=(60,))
    with pytest.raises(MetadataError, match="zarr_format 2 has chunks of one shape"):
        zarrc.create_array(shape=(60,), chunks=[[10, 50]], zarr_format=2)
    with pytest.raises(MetadataError, match="along axis 0, 15 is no multiple of 10"):
        zarrc.create_array(shape=(60,), chunks=10, shards=[[15, 45]])
    array = zarrc.create_array(shape=(60, 8), shards=[[20, 40], -1], chunks=(10, 3))
    assert (array.chunks, array.shards) == ((10, 3), ((20, 40), 9))


def test_the_inner_chunks_divide_every_shard_whatever_a_document_says() -> None:
    store = MemoryStore()
    zarrc.create_array(store, shape=(60,), shards=[[20, 40]], chunks=10, dtype="u1")
    document = bytes(store.get("zarr.json") or b"").replace(b"20", b"25")
    store.set("zarr.json", document)
    with pytest.raises(MetadataError, match="extent 10, which does not divide that of a shard, 25"):
        zarrc.open_array(store)


def test_a_document_of_very_many_chunks_opens_in_no_memory() -> None:
    store = MemoryStore()
    array = zarrc.create_array(store, shape=(10**15,), dtype="u1", chunks=[[[1, 10**15 - 1], 2]])
    assert array.nchunks == 10**15
    assert zarrc.open_array(store).chunks == (((1, 10**15 - 1), (2, 1)),)
    assert "1000000000000000 of 1 to 2" in repr(array.info)
    with pytest.raises(MetadataError, match="can be listed"):
        array[5]


def test_shards_of_several_sizes_are_appended_to_and_compacted(tmp_path: Path) -> None:
    values = np.arange(60 * 8, dtype="i4").reshape(60, 8)
    config = {"shard_update": "append"}
    array = zarrc.create_array(
        tmp_path, shape=(60, 8), shards=([20, 10, 30], -1), chunks=(5, 4), dtype="i4", config=config
    )
    array[...] = values
    for row in range(0, 60, 7):
        array[row] = values[row] = -row
    stored = array.nbytes_stored()
    assert array.nchunks_initialized == array.nchunks == 24
    compact(array)
    assert array.nbytes_stored() < stored
    np.testing.assert_array_equal(zarrc.open_array(tmp_path)[...], values)


def test_shards_behind_a_codec_in_python_are_counted(tmp_path: Path) -> None:
    chain = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [5, 4]}}, {"name": "crc32c"}]
    array = zarrc.create_array(tmp_path, shape=(55, 8), chunks=([20, 10, 30], 8), codecs=chain, dtype="i4")
    assert (array.chunks, array.shards) == ((5, 4), ((20, 10, 30), 8))
    array[18:52, :3] = 1
    assert (array.nshards_initialized, array.nchunks_initialized) == (3, 8)


def test_groups_and_every_way_to_create_take_a_grid(tmp_path: Path) -> None:
    grid = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[1, 3], 2]}}
    group = zarrc.group(tmp_path / "g")
    made = [
        group.create_array("a", shape=(4, 4), chunk_grid=grid),
        group.create_array("b", data=np.ones((4, 4)), chunks=[[1, 3], 2]),
        group.require_array("a", shape=(4, 4)),
        zarrc.zeros((4, 4), chunk_grid=grid),
        zarrc.open(tmp_path / "new", mode="w", shape=(4, 4), chunks=((1, 3), 2)),
        zarrc.open_array(tmp_path / "other", mode="w", shape=(4, 4), chunk_grid=grid),
        zarrc.zeros_like(group["a"]),
    ]
    for array in made:
        assert array.metadata.chunk_grid == RectilinearChunkGrid([[1, 3], 2])
    assert zarrc.zeros_like(group["a"], shape=(9, 4)).chunks == ((1, 3, 3, 2), 2)
    assert zarrc.from_array(data=group["b"], shards=(4, 4)).shards == (4, 4)
    assert zarrc.from_array(data=group["b"], chunks=2).chunks == (2, 2)


@pytest.mark.parametrize("shards", [False, True])
def test_a_buffered_block_writes_each_object_once(shards: bool) -> None:
    store = CountingDict()
    extents = [[20, 5, 35], 8]
    layout: Any = {"chunks": (5, 4), "shards": extents} if shards else {"chunks": extents}
    array = zarrc.create_array(store, shape=(60, 8), dtype="i4", **layout)
    expected = np.zeros((60, 8), "i4")
    with array.buffered() as block:
        for row in range(60):
            array[row, 1:] = expected[row, 1:] = row
        assert store.n_writes == 0
        assert block.nbytes >= expected.nbytes
        np.testing.assert_array_equal(array[...], expected)
    assert store.n_writes == 3
    np.testing.assert_array_equal(array[...], expected)


@pytest.mark.parametrize(
    ("name", "chunk_shape", "chunks"),
    [
        ("rectangular", [[4, 4, 2], 3], ((4, 4, 2), 3)),
        ("zarrs.regular_bounded", [4, 3], ((4, 4, 2), (3, 3, 1))),
    ],
)
def test_grids_of_other_names_are_read_and_written_as_rectilinear(
    name: str, chunk_shape: Any, chunks: Any
) -> None:
    store = MemoryStore()
    values = np.arange(70).reshape(10, 7)
    zarrc.create_array(store, data=values, chunk_grid=RectilinearChunkGrid(chunks))
    document = json.loads(bytes(store.get("zarr.json") or b""))
    document["chunk_grid"] = {"name": name, "configuration": {"chunk_shape": chunk_shape}}
    store.set("zarr.json", json.dumps(document).encode())
    array = zarrc.open_array(store, mode="r+")
    assert array.chunks == chunks
    assert "read as 'rectilinear'" in array.metadata.assumed[0]
    np.testing.assert_array_equal(array[...], values)
    array[9, 6] = values[9, 6] = -1
    array.attrs["a"] = 1
    written = json.loads(bytes(store.get("zarr.json") or b""))["chunk_grid"]
    assert written == RectilinearChunkGrid(chunks).to_v3_json()
    np.testing.assert_array_equal(zarrc.open_array(store)[...], values)


def test_a_month_that_is_appended_is_a_chunk_and_rows_are_not() -> None:
    days = [31, 29, 31]
    array = zarrc.array(np.arange(91), chunks=[days])
    array.append(np.arange(91, 121))
    assert array.chunks == ((31, 29, 31, 30),)
    other = zarrc.open_array(array.store, mode="r+")
    for day in range(121, 180):
        array.append([day])
    assert array.chunks == ((31, 29, 31, 30, 29, 29, 29),)
    other[5:100] = np.arange(5, 100)  # a handle from before
    assert array[:].tolist() == list(range(180)) == zarrc.open_array(array.store)[:].tolist()
    array.resize((60,))
    array.resize((91,))
    assert array.chunks == ((31, 29, 31, 30, 29, 29, 29),)
    assert array[:].tolist() == [*range(60), *[0] * 31]


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=3))
def test_listed_chunks_are_those_chunks_whatever_the_grid_is_called(axes: list[list[int]]) -> None:
    array = zarrc.create_array(shape=tuple(map(sum, axes)), chunks=axes, dtype="u1")
    assert array.read_chunk_sizes == tuple(map(tuple, axes))
    equal = all(set(axis[:-1]) <= {axis[0]} and axis[-1] <= axis[0] for axis in axes)
    assert isinstance(array.metadata.chunk_grid, RegularChunkGrid) == equal
