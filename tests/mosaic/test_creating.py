"""Mosaics from the guide's maps, and from whatever else says where tiles are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from zarrc import mosaic
from zarrc.errors import (
    ContainsGroupError,
    GroupNotFoundError,
    MetadataError,
    SelectionError,
)

# --- from the guide's maps


def test_adaptive_resolution() -> None:
    """The guide's first use: fine cells in the centre, coarse ones at the edges."""
    m = mosaic.from_chunk_shapes(
        shape=(200, 350),
        chunk_shapes={(0, 0): (50, 50), (0, 1): (100, 100), (0, 2): (200, 200)},
        dtype="f4",
        fill_value=np.nan,
        gaps="fill",
    )
    assert [(tile.path, tile.start, tile.shape) for tile in m.tiles] == [
        ("0_0", (0, 0), (50, 50)),
        ("0_1", (0, 50), (100, 100)),
        ("0_2", (0, 150), (200, 200)),
    ]
    assert [array.chunks for _, array in m.arrays()] == [(50, 50), (100, 100), (200, 200)]
    m[:50] = 1
    assert m[49, :].sum() == 350
    assert np.isnan(m[50, 0])
    assert m.tiles_in((60, 60)) == (m.tiles[1],)


def test_sparse_and_dense_regions() -> None:
    """The guide's second: one large cell where data are sparse, small ones below it."""
    cells = {"0,0": [1000, 1000]} | {f"1,{j}": [100, 100] for j in range(10)}
    m = mosaic.from_chunk_shapes(None, (1100, 1000), cells, dtype="u1")
    m[900:1050, 450:470] = 3
    assert int(m[...].sum()) == 3 * 150 * 20
    assert [tile.path for tile in m.tiles_in((slice(900, 1050), slice(450, 470)))] == ["0_0", "1_4"]


def test_the_map_of_the_guide_that_is_a_grid() -> None:
    cells = {(0, 0): (500, 500), (0, 1): (500, 500), (1, 0): (250, 500), (1, 1): (250, 500)}
    with pytest.raises(MetadataError, match=r"no tile covers \[750:1000, 0:1000\]"):
        mosaic.from_chunk_shapes(None, (1000, 1000), cells)
    m = mosaic.from_chunk_shapes(None, (750, 1000), cells)
    assert m.tiles[-1].start == (500, 500)


def test_cells_at_the_far_edges_are_cut() -> None:
    m = mosaic.from_chunk_shapes(None, (5, 7), {(0, 0): (4, 4), (0, 1): (4, 4), (1, 0): (4, 8)}, dtype="i2")
    assert [tile.shape for tile in m.tiles] == [(4, 4), (4, 3), (1, 7)]
    m[...] = np.arange(35).reshape(5, 7)
    np.testing.assert_array_equal(m, np.arange(35).reshape(5, 7))


def test_cells_of_three_dimensions_follow_like_text() -> None:
    cells = {(0, 0, 0): (2, 2, 4), (0, 1, 0): (2, 2, 1), (0, 1, 1): (2, 2, 3), (1, 0, 0): (1, 4, 4)}
    m = mosaic.from_chunk_shapes(None, (3, 4, 4), cells)
    assert [tile.start for tile in m.tiles] == [(0, 0, 0), (0, 2, 0), (0, 2, 1), (2, 0, 0)]


def test_starts_say_where_cells_are() -> None:
    cells = {(0,): (3,), (1,): (5,)}
    m = mosaic.from_chunk_shapes(None, (8,), cells, starts={"0": [5], (1,): 0})
    assert [tile.start for tile in m.tiles] == [(5,), (0,)]


@pytest.mark.parametrize(
    ("shape", "cells", "keywords", "words"),
    [
        ((4, 4), {}, {}, "chunk_shapes must map cells"),
        ((4, 4), {(0, 0): (4, 0)}, {}, r"cell \(0, 0\) has no elements"),
        ((4, 4), {(0, -1): (4, 4)}, {}, "not negative"),
        ((4, 4), {(0, 0): (4,)}, {}, "one number for each dimension"),
        ((4, 4), {(0, 0): (4, 4), "0,0": (4, 4)}, {}, "is there twice"),
        ((4, 4), {(0, 0): (4, 4), (0, 1): (1, 1)}, {}, r"cell \(0, 1\) .* outside"),
        ((4,), {(0, 0): (4, 4)}, {}, "do not fit the shape"),
        ((4, 4), {(0, 0): (4, 4)}, {"starts": {}}, r"none for cell \(0, 0\)"),
        ((4,), {(0,): (4,)}, {"starts": {(0,): 0, (1,): 0}}, "has no cell"),
        ((4,), {(0,): (4,)}, {"starts": {(0,): -1}}, "outside"),
        ((4, 4), {"a,b": (4, 4)}, {}, "index is a tuple of integers"),
        ((4, 4), {(0, 0): "abc"}, {}, "shape is a tuple of integers"),
        ((4, 4), {(0, 0): (True, 4)}, {}, "shape is a tuple of integers"),
        ((4, 4), {(0, 0): (4, 4)}, {"tils": 1}, "unexpected keyword argument 'tils'"),
    ],
)
def test_a_wrong_map_is_an_error(shape: tuple[int, ...], cells: Any, keywords: Any, words: str) -> None:
    with pytest.raises((MetadataError, TypeError), match=words):
        mosaic.from_chunk_shapes(None, shape, cells, **keywords)


# --- creating


def test_tiles_may_be_made_in_any_way(tmp_path: Path) -> None:
    m = mosaic.create(
        tmp_path / "m.zarr",
        shape=(8, 16),
        tiles=[
            ((0, 0), (8, 8), {"path": "fine/west", "chunks": (2, 2), "shards": (4, 4)}),
            ((0, 8), (8, 8), {"codecs": [{"name": "bytes"}, {"name": "gzip"}], "attributes": {"a": 1}}),
        ],
        dtype=">i2",
        fill_value=-1,
        dimension_names=("y", "x"),
        tile_options={"compressors": None},
        attributes={"title": "two"},
    )
    west, east = (array for _, array in m.arrays())
    assert (west.path, west.shards, west.chunks, west.compressors) == ("fine/west", (4, 4), (2, 2), ())
    assert [codec.name for codec in east.compressors] == ["gzip"]
    assert west.metadata.dimension_names == ("y", "x")
    assert (m.dtype, m.fill_value, m.dimension_names) == (np.dtype("i2"), -1, ("y", "x"))
    assert dict(m.attrs) == {"title": "two"}
    m[2, 6:10] = [1, 2, 3, 4]
    assert west[2, 6:].tolist() == [1, 2]
    assert east[2, :3].tolist() == [3, 4, -1]
    again = mosaic.open(tmp_path / "m.zarr")
    assert again == m
    assert again[2, 5:11].tolist() == [-1, 1, 2, 3, 4, -1]
    assert again.isel(y=2, x=slice(5, 8)).tolist() == [-1, 1, 2]
    assert again[{"y": 2, "x": slice(5, 8)}].tolist() == [-1, 1, 2]
    assert len(again.tiles_in({"x": 0})) == 1
    again[{"y": 0, "x": [7, 8]}] = [5, 6]
    assert again[0, 6:10].tolist() == [-1, 5, 6, -1]
    for wrong in (0, [], ""):
        with pytest.raises(SelectionError, match="isel takes a mapping or names, got"):
            again.isel(wrong)
    assert again.isel({"x": [7, 6], "y": [2, 3]}).tolist() == [[2, 1], [-1, -1]]
    with pytest.raises(SelectionError, match="'z'"):
        again.isel(z=0)


def test_what_is_stored_is_plain_zarr(tmp_path: Path) -> None:
    mosaic.create(tmp_path / "m.zarr", shape=(6,), tiles=[((0,), (2,)), ((2,), (4,))], dtype="u1")
    document = json.loads((tmp_path / "m.zarr/zarr.json").read_text())
    assert document["attributes"]["zarrc_mosaic"] == {
        "version": 1,
        "shape": [6],
        "data_type": "uint8",
        "fill_value": 0,
        "overlap": "error",
        "gaps": "error",
        "tiles": [{"path": "0", "start": [0], "shape": [2]}, {"path": "1", "start": [2], "shape": [4]}],
    }
    group = zarrc.open_group(tmp_path / "m.zarr", mode="r")
    assert sorted(group) == ["0", "1"]
    assert group["1"].shape == (4,)


def test_peers_read_the_tiles(peers: Peers, tmp_path: Path) -> None:
    m = mosaic.from_chunk_shapes(
        tmp_path / "m.zarr", (5, 7), {(0, 0): (4, 4), (0, 1): (4, 3), (1, 0): (1, 7)}, dtype="i2"
    )
    m[...] = np.arange(35).reshape(5, 7)
    program = """
import zarr
g = zarr.open_group(store, mode="r+")
g["0_0"][0, 0] = 100
result = [sorted(g.array_keys()), g["0_1"][...].tolist(), list(g.attrs["zarrc_mosaic"]["tiles"][2]["start"])]
"""
    found = peers.run(program, store=str(tmp_path / "m.zarr"))
    assert found == [["0_0", "0_1", "1_0"], m[:4, 4:].tolist(), [4, 0]]
    assert m[0, :2].tolist() == [100, 1]


def test_version_2(tmp_path: Path) -> None:
    made = mosaic.create(
        tmp_path / "m.zarr", shape=(4,), tiles={0: 3, 3: 1}, dtype="f8", fill_value=np.nan, zarr_format=2
    )
    made[1:] = [1, 2, 3]
    m = mosaic.open(tmp_path / "m.zarr", mode="r")
    assert m.array(0).metadata.zarr_format == 2
    np.testing.assert_array_equal(m[...], [np.nan, 1, 2, 3])


def test_stored_arrays_become_a_mosaic(tmp_path: Path) -> None:
    group = zarrc.create_group(tmp_path / "g.zarr")
    group["left"] = np.arange(6).reshape(2, 3)
    group["deep/right"] = np.arange(4).reshape(2, 2) + 10
    m = mosaic.from_arrays(group, {(0, 0): "left", (0, 3): "deep/right"})
    assert m[...].tolist() == [[0, 1, 2, 10, 11], [3, 4, 5, 12, 13]]
    m[:, 2:4] = 0
    assert mosaic.open(tmp_path / "g.zarr")[1].tolist() == [3, 4, 0, 0, 13]
    group["other"] = np.zeros((2, 2), "f4")
    with pytest.raises(MetadataError, match="'other' is of data type float32, not int64"):
        mosaic.from_arrays(group, {(0, 0): "left", (0, 3): "other"})
    with pytest.raises(KeyError):
        mosaic.from_arrays(tmp_path / "g.zarr", {(0, 0): "lift"})
    with pytest.raises(ValueError, match="at least one"):
        mosaic.from_arrays(group, [])


def test_the_edges() -> None:
    scalar = mosaic.create(shape=(), tiles=[((), ())], dtype="i4")
    scalar[...] = 5
    assert scalar[()] == 5
    assert isinstance(scalar[()], np.int32)
    assert bool(scalar)
    empty = mosaic.create(shape=(0, 3), tiles=[])
    assert empty[...].shape == (0, 3)
    assert empty[:, [1, 2, 2]].shape == (0, 3)
    empty[...] = 1
    huge = mosaic.create(shape=(2**62, 4), tiles={(2**61, 0): (3, 4)}, gaps="fill", fill_value=9, dtype="u1")
    huge[2**61 + 1] = [1, 2, 3, 4]
    assert huge[2**61 - 1 : 2**61 + 3 : 1, 2].tolist() == [9, 9, 3, 9]
    assert huge[:: 2**61, 1].tolist() == [9, 9]
    with pytest.raises(SelectionError, match=rf"no tile covers, such as \[0:{2**61}, 0:1\]"):
        huge[::3, 0] = 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tiles": [((0,), (3,)), ((2,), (2,))]}, r"'0' at \[0:3\] and '1' at \[2:4\] overlap at \[2:3\]"),
        ({"tiles": [((0,), (3,))]}, r"no tile covers \[3:4\] of the mosaic of shape \(4,\); gaps='fill'"),
        ({"tiles": []}, r"no tile covers \[0:4\]"),
        ({"tiles": [((0,), (5,))]}, "reaches out of the mosaic"),
        ({"tiles": [((-1,), (5,))]}, "reaches out of the mosaic"),
        ({"tiles": [((0,), (0,))]}, "has no elements"),
        ({"tiles": [((0, 0), (4, 1))]}, "the mosaic has 1 dimension"),
        ({"tiles": [((0,), (2,), {"path": "a"}), ((2,), (2,), {"path": "/a"})]}, "is a tile already"),
        ({"tiles": [((0,), (4,), {"path": "__a"})]}, "cannot have the name '__a'"),
        ({"tiles": [((0,), (4,), {"path": "a/../b"})]}, r"a part '\.\.'"),
        ({"tiles": [((0,), (4,), {"path": "/"})]}, "needs a name"),
        ({"tiles": [((0,), (4,), {"chunks": 0})]}, "chunks"),
        ({"tiles": {0: 4}, "dimension_names": ("x", "y")}, "2 names do not fit 1 dimensions"),
        ({"tiles": {0: 4}, "dtype": "u1", "fill_value": 300}, "fill_value"),
        ({"tiles": {0: 4}, "overlap": "middle"}, "overlap must be one of"),
        ({"tiles": {0: 4}, "gaps": "last"}, "gaps must be one of"),
        ({"tiles": {0: 4}, "attributes": {"zarrc_mosaic": 1}}, "leave it out"),
    ],
)
def test_what_makes_no_mosaic_is_an_error_and_stores_nothing(
    tmp_path: Path, arguments: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        mosaic.create(tmp_path / "m.zarr", shape=(4,), **arguments)
    assert not (tmp_path / "m.zarr").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tiles": "abc"}, "tiles must be a mapping or a list"),
        ({"tiles": [3]}, "a tile is a start, a shape"),
        ({"tiles": [(0, 4, 5)]}, "options are keywords"),
        ({"tiles": {0: {"chunks": 2}}}, "shape is a tuple of integers, got None"),
        ({"tiles": {0: 4.0}}, "shape is a tuple of integers"),
        (
            {"tiles": {0: {"shape": 4, "chunk": 2}}},
            r"the options of tile '0' have the unknown name 'chunk'; did you mean 'chunks'",
        ),
        (
            {"tiles": {0: 4}, "tile_options": {"dtype": "i4"}},
            r"create: tile_options have the unknown name 'dtype'",
        ),
    ],
)
def test_what_is_of_a_wrong_kind_is_a_type_error(arguments: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mosaic.create(shape=(4,), **arguments)


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    first = mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 4})
    first[...] = 1
    with pytest.raises(ContainsGroupError):
        mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 4})
    assert first[0] == 1
    second = mosaic.create(tmp_path / "m.zarr", shape=(5,), tiles={0: 5}, overwrite=True)
    assert second[...].tolist() == [0] * 5


def test_a_creation_that_fails_leaves_nothing() -> None:
    class Broken(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            if key.startswith("m/1/"):
                raise OSError("full")
            super().__setitem__(key, value)

    store = zarrc.storage.MappingStore(Broken())
    with pytest.raises(OSError, match="full"):
        mosaic.create(store, path="m", shape=(4,), tiles={0: 2, 2: 2})
    with pytest.raises(GroupNotFoundError):
        mosaic.open(store, path="m")
