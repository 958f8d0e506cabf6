"""Mosaics: several arrays that are read and written as one, as NumPy would."""

from __future__ import annotations

import copy
import json
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.peers.client import Peers
from tests.strategies import basic_selections, broadcastable_shapes, random_values
from zarrc import mosaic
from zarrc.errors import (
    BoundsCheckError,
    CastingError,
    ContainsGroupError,
    CorruptChunkError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    SelectionError,
    StoreError,
)
from zarrc.mosaic.document import Description
from zarrc.mosaic.handle import checked_tiling
from zarrc.mosaic.tile import Tile
from zarrc.mosaic.tiling import Tiling

Shape = tuple[int, ...]


def bricks() -> mosaic.Mosaic:
    """Two rows of tiles that do not line up."""
    return mosaic.from_chunk_shapes(
        shape=(10, 12),
        chunk_shapes={(0, 0): (4, 5), (0, 1): (4, 7), (1, 0): (6, 8), (1, 1): (6, 4)},
        dtype="i4",
    )


# --- against NumPy


@st.composite
def cut(draw: st.DrawFn, start: Shape, stop: Shape, depth: int) -> list[tuple[Shape, Shape]]:
    """Cut a box into boxes at random places."""
    axes = [axis for axis in range(len(start)) if stop[axis] - start[axis] > 1]
    if not axes or depth == 0 or draw(st.integers(0, 4)) == 0:
        return [(start, tuple(b - a for a, b in zip(start, stop, strict=True)))]
    axis = draw(st.sampled_from(axes))
    at = draw(st.integers(start[axis] + 1, stop[axis] - 1))
    left = (*stop[:axis], at, *stop[axis + 1 :])
    right = (*start[:axis], at, *start[axis + 1 :])
    return draw(cut(start, left, depth - 1)) + draw(cut(right, stop, depth - 1))


@st.composite
def tilings(draw: st.DrawFn) -> tuple[Shape, list[tuple[Shape, Shape]], dict[str, str]]:
    """A shape, tiles (start and shape), and whether they overlap or leave gaps."""
    shape = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3)))
    tiles = draw(cut((0,) * len(shape), shape, 4))
    kind = draw(st.sampled_from(("exact", "gaps", "first", "last")))
    if kind == "gaps":
        return shape, draw(st.permutations(tiles))[: draw(st.integers(0, len(tiles)))], {"gaps": "fill"}
    if kind == "exact":
        return shape, draw(st.permutations(tiles)), {}
    for _ in range(draw(st.integers(1, 4))):
        start = tuple(draw(st.integers(0, extent - 1)) for extent in shape)
        tiles.append((start, tuple(draw(st.integers(1, n - a)) for a, n in zip(start, shape, strict=True))))
    return (
        shape,
        draw(st.permutations(tiles)),
        {"overlap": kind, "gaps": draw(st.sampled_from(("fill", "error")))},
    )


@st.composite
def fancy_keys(draw: st.DrawFn, shape: Shape) -> Any:
    """A key with lists or masks, or a basic one."""
    if draw(st.integers(0, 3)) == 0:
        return draw(basic_selections(shape))
    if draw(st.integers(0, 5)) == 0:
        bits = draw(st.integers(0, 2**32 - 1))
        return np.random.default_rng(bits).random(shape) < 0.5
    common = draw(st.sampled_from(((3,), (2, 2), (1,), (0,), (5,))))
    key: list[Any] = []
    for extent in shape:
        what = draw(st.sampled_from(("slice", "points", "points", "mask", "int")))
        if what == "slice":
            key.append(slice(*(draw(st.none() | st.integers(-extent, extent)) for _ in range(2))))
        elif what == "points":
            n = int(np.prod(common))
            flat = draw(st.lists(st.integers(-extent, extent - 1), min_size=n, max_size=n))
            key.append(np.array(flat, dtype=np.int64).reshape(common))
        elif what == "mask":
            # Broadcast with the lists: as long as they are, or of one element.
            mask = np.zeros(extent, bool)
            mask[draw(st.integers(0, extent - 1))] = True
            key.append(mask)
        else:
            key.append(draw(st.integers(-extent, extent - 1)))
    return tuple(key)


def reference(
    shape: Shape, tiles: list[tuple[Shape, Shape]], options: dict[str, str], fill: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return which tile is seen at each element (-1: none), and the values of a mosaic of numbered tiles."""
    owner = np.full(shape, -1, dtype=np.int64)
    order = range(len(tiles))
    for number in order if options.get("overlap") == "last" else reversed(order):
        start, extents = tiles[number]
        owner[tuple(slice(a, a + n) for a, n in zip(start, extents, strict=True))] = number
    return owner, np.full(shape, fill, dtype=np.int64)


@given(tilings(), st.data())
def test_reads_and_writes_are_numpys(
    case: tuple[Shape, list[tuple[Shape, Shape]], dict[str, str]], data: st.DataObject
) -> None:
    shape, tiles, options = case
    owner, expected = reference(shape, tiles, options, 7)
    made = {"shape": shape, "tiles": tiles, "dtype": "i4", "fill_value": 7, **options}
    if (owner < 0).any() and options.get("gaps", "error") == "error":
        with pytest.raises(MetadataError, match="no tile covers"):
            mosaic.create(**made)
        return
    chunks = data.draw(st.sampled_from(("auto", 1, 3)))
    m = mosaic.create(**made, tile_options={"chunks": chunks})
    for _ in range(3):
        key = data.draw(fancy_keys(shape))
        target = expected[key]
        seed = data.draw(st.integers(0, 2**32 - 1))
        value_shape = data.draw(broadcastable_shapes(target.shape))
        value = random_values(value_shape, "int16", seed)
        if (owner[key] < 0).any():
            before = m[...]
            with pytest.raises(SelectionError, match="no tile covers"):
                m[key] = value
            np.testing.assert_array_equal(m[...], before)
        else:
            m[key] = value
            expected[key] = value.reshape(value.shape[max(0, value.ndim - target.ndim) :])
        np.testing.assert_array_equal(m[...], expected)
        key = data.draw(fancy_keys(shape))
        found = m[key]
        assert type(found) is type(expected.astype("i4")[key])
        np.testing.assert_array_equal(found, expected[key])
        assert {m.tiles.index(tile) for tile in m.tiles_in(key)} == set(np.unique(owner[key])) - {-1}
    # Each tile holds what is seen of it, and the fill value where it is hidden.
    for number, (tile, array) in enumerate(m.arrays()):
        seen = owner[tile.region] == number
        np.testing.assert_array_equal(array[...], np.where(seen, expected[tile.region], 7))


@given(tilings(), st.data())
def test_orthogonal_and_point_selections(
    case: tuple[Shape, list[tuple[Shape, Shape]], dict[str, str]], data: st.DataObject
) -> None:
    shape, tiles, options = case
    owner, expected = reference(shape, tiles, options, 0)
    m = mosaic.create(shape=shape, tiles=tiles, dtype="i4", **{**options, "gaps": "fill"})  # type: ignore[arg-type]
    covered = owner >= 0
    expected[covered] = np.arange(covered.sum())
    # By lists, since a mask with gaps in it would be refused.
    m[np.nonzero(covered)] = expected[covered]
    lists = [
        np.array(data.draw(st.lists(st.integers(0, extent - 1), min_size=1, max_size=6))) for extent in shape
    ]
    np.testing.assert_array_equal(m.oindex[tuple(lists)], expected[np.ix_(*lists)])
    same = [points[: min(map(len, lists))] for points in lists]
    np.testing.assert_array_equal(m.vindex[tuple(same)], expected[tuple(same)])
    if covered.all():
        value = np.arange(np.prod([len(one) for one in lists])).reshape([len(one) for one in lists])
        m.oindex[tuple(lists)] = value
        # Of several values for one element the last one stays.
        expected[np.ix_(*lists)] = value
        np.testing.assert_array_equal(m[...], expected)


@given(tilings())
def test_overlap_and_gaps_are_found(case: tuple[Shape, list[tuple[Shape, Shape]], dict[str, str]]) -> None:
    shape, boxes, _ = case
    count = np.zeros(shape, int)
    for start, extents in boxes:
        count[tuple(slice(a, a + n) for a, n in zip(start, extents, strict=True))] += 1
    tiles = [Tile(str(i), start, extents) for i, (start, extents) in enumerate(boxes)]
    if (count > 1).any():
        with pytest.raises(MetadataError, match="overlap at"):
            Tiling(shape, tiles, "error")
    tiling = Tiling(shape, tiles, "first")
    assert tiling.overlaps == bool((count > 1).any())
    assert tiling.n_covered == int((count > 0).sum())
    assert tiling.has_gaps == bool((count == 0).any())
    gap = tiling.first_gap()
    assert (gap is None) == (not tiling.has_gaps)
    if gap is not None:
        box = tuple(slice(a, b) for a, b in zip(*gap, strict=True))
        assert count[box].size
        assert not count[box].any()


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
def test_a_wrong_map_is_an_error(shape: Shape, cells: Any, keywords: Any, words: str) -> None:
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


# --- what it tells


def test_what_a_mosaic_tells(tmp_path: Path) -> None:
    m = bricks()
    assert (m.shape, m.ndim, m.size, m.itemsize, m.nbytes, len(m)) == ((10, 12), 2, 120, 4, 480, 10)
    assert (m.path, m.name, m.read_only, m.overlap, m.gaps) == ("", "/", False, "error", "error")
    assert m.store is m.group.store
    assert repr(m).endswith("shape=(10, 12) dtype=int32 of 4 tiles>")
    assert "Covered     : all" in repr(m.info)
    assert "<table" in m._repr_html_()
    assert "1_1 (6, 4) int32" in str(m.tree())
    assert m.array("1_1").shape == m.array(-1).shape == (6, 4)
    with pytest.raises(KeyError, match="no tile '2_2'"):
        m.array("2_2")
    for number in (4, -5):
        with pytest.raises(IndexError, match=f"the mosaic has 4 tiles, and no number {number}"):
            m.array(number)
    with pytest.raises(TypeError, match=r"a tile is a number or a path, got 1\.5"):
        m.array(1.5)  # type: ignore[arg-type]
    assert np.asarray(m, dtype="f4").dtype == np.float32
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(m, copy=False)
    with pytest.raises(ValueError, match="truth value"):
        bool(m)
    assert m != 3
    assert hash(m) == hash(mosaic.open(m.group))


def test_attributes_leave_the_description_alone() -> None:
    m = bricks()
    m.attrs["units"] = "K"
    m.attrs.put({"title": "t"})
    assert dict(m.attrs) == {"title": "t"}
    m.attrs.clear()
    assert dict(m.attrs) == {}
    with pytest.raises(MetadataError, match="stays as it is"):
        m.attrs["zarrc_mosaic"] = {}
    assert mosaic.open(m.group.store)[0, 0] == 0


def test_a_mosaic_is_pickled_and_copied(tmp_path: Path) -> None:
    m = mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 2, 2: 2}, dtype="i4")
    m[...] = [1, 2, 3, 4]
    for one in (pickle.loads(pickle.dumps(m)), copy.copy(m), copy.deepcopy(m)):
        assert one == m
        assert one[...].tolist() == [1, 2, 3, 4]


def test_only_the_tiles_that_are_met_are_read(tmp_path: Path) -> None:
    m = mosaic.create(tmp_path / "m.zarr", shape=(9,), tiles={0: 3, 3: 3, 6: 3}, dtype="i4")
    m[...] = np.arange(9)
    chunk = tmp_path / "m.zarr/1/c/0"
    chunk.write_bytes(b"damage")
    assert m[[0, 8, 2]].tolist() == [0, 8, 2]
    assert m[::6].tolist() == [0, 6]
    assert m[:3].tolist() == [0, 1, 2]
    with pytest.raises(CorruptChunkError):
        m[2:4]


# --- writing


def test_a_value_that_does_not_fit_writes_nothing() -> None:
    m = bricks()
    with pytest.raises(CastingError):
        m[...] = np.full((10, 12), 2**40)
    with pytest.raises(ValueError, match="broadcast"):
        m[...] = np.zeros((3, 3))
    with pytest.raises(BoundsCheckError, match="axis 1 with size 12"):
        m[0, 12]
    with pytest.raises(IndexError):
        m[0, 0, 0]
    assert not m[...].any()
    unchecked = mosaic.open(m.group, config={"casting": "unsafe"})
    unchecked[0, 0] = np.int64(2**40 + 1)
    assert m[0, 0] == 1


def test_reading_only(tmp_path: Path) -> None:
    mosaic.create(tmp_path / "m.zarr", shape=(4,), tiles={0: 4})
    m = mosaic.open(tmp_path / "m.zarr", mode="r")
    assert m.read_only
    with pytest.raises(ReadOnlyError):
        m[0] = 1
    with pytest.raises(ReadOnlyError):
        m.array(0)[0] = 1
    with pytest.raises(ValueError, match="mode must be"):
        mosaic.open(tmp_path / "m.zarr", mode="w")


def test_of_values_for_one_element_the_last_stays() -> None:
    m = mosaic.create(shape=(6,), tiles={0: 3, 3: 3}, dtype="i4")
    m[[4, 1, 4, 1]] = [1, 2, 3, 4]
    assert m[...].tolist() == [0, 4, 0, 0, 3, 0]


def test_tiles_may_be_written_directly() -> None:
    m = bricks()
    with m.array("0_0").buffered():
        m.array("0_0")[0] = 5
        assert m[0].tolist() == [5] * 5 + [0] * 7
        m[[0, 1], [0, 0]] = 6
    assert m[:2, 0].tolist() == [6, 6]


# --- what is stored may be wrong


def damaged(store: Any, **changes: Any) -> None:
    """Change a mosaic's description as an editor would."""
    group = zarrc.open_group(store)
    found = group.attrs["zarrc_mosaic"]
    for name, value in changes.items():
        if value is ...:
            del found[name]
        else:
            found[name] = value
    del group.attrs["zarrc_mosaic"]
    group.attrs["zarrc_mosaic"] = found


def tile(path: Any = "0", start: Any = (0,), shape: Any = (4,)) -> dict[str, Any]:
    return {"path": path, "start": start, "shape": shape}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version: must be 1, got 2"),
        ({"version": ...}, "'version' is missing"),
        ({"version": True}, "version: must be 1"),
        ({"shape": [-4]}, r"shape\[0\]: must be in"),
        ({"shape": [4.0]}, r"shape\[0\]: must be an integer"),
        ({"shape": [2**64]}, r"shape\[0\]: must be in"),
        ({"shape": [1] * 33}, "33 dimensions; at most 32"),
        ({"shape": [5]}, r"no tile covers \[4:5\]"),
        ({"shape": [4, 4]}, "has a start of 1"),
        ({"data_type": "float33"}, "data_type"),
        ({"data_type": "float32"}, "data type float64, not float32"),
        ({"fill_value": "x"}, "fill_value"),
        ({"overlap": "some"}, "overlap: must be one of"),
        ({"gaps": 1}, "gaps: must be one of"),
        ({"more": 1}, "unknown key 'more'"),
        ({"dimension_names": ["x", "y"]}, "2 names do not fit"),
        ({"dimension_names": [1]}, r"dimension_names\[0\]: must be a string"),
        ({"tiles": {}}, "tiles: must be a list"),
        ({"tiles": [1]}, r"tiles\[0\]: must be an object"),
        ({"tiles": [{"path": "0"}]}, "'start' is missing"),
        ({"tiles": [tile(start=[1])]}, "reaches out"),
        ({"tiles": [tile(shape=[2**63 - 1], start=[1])]}, "reaches out"),
        ({"tiles": [tile(shape=[0])]}, "has no elements"),
        ({"tiles": [tile(), tile()]}, r"tiles\[1\]: '0' is a tile already"),
        ({"tiles": [tile(), tile(path="1")]}, "overlap at"),
        ({"tiles": [tile(path="../0")]}, "path"),
        ({"tiles": [tile(path="/0")]}, "must be the path of a node below"),
        ({"tiles": [tile(path="")]}, "must be the path of a node below"),
        ({"tiles": [tile(path=1)]}, "path: must be a string"),
        ({"tiles": [tile(path="1")]}, "tile '1' at .* is not there"),
        ({"tiles": [tile(shape=[3]), tile(path="1", start=[3], shape=[1])]}, "has another shape"),
    ],
)
def test_a_description_that_lies_is_an_error(changes: dict[str, Any], words: str) -> None:
    store = zarrc.storage.MemoryStore()
    mosaic.create(store, shape=(4,), tiles={0: 4})
    damaged(store, **changes)
    with pytest.raises((MetadataError, NodeNotFoundError), match=words):
        mosaic.open(store)


def test_a_tile_that_is_a_group_is_an_error() -> None:
    store = zarrc.storage.MemoryStore()
    m = mosaic.create(store, shape=(4,), tiles={0: 4})
    del m.group["0"]
    with pytest.raises(NodeNotFoundError, match=r"tile '0' at .* is not there"):
        mosaic.open(store)
    later = mosaic.open(store, check=False)
    with pytest.raises(NodeNotFoundError):
        later[0]
    with pytest.raises(NodeNotFoundError):
        later[0] = 1
    m.group.create_group("0")
    with pytest.raises(MetadataError, match="is a group"):
        mosaic.open(store)


def test_a_plain_group_is_no_mosaic(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "g.zarr")
    with pytest.raises(MetadataError, match="is no mosaic"):
        mosaic.open(tmp_path / "g.zarr")
    zarrc.create_array(tmp_path / "a.zarr", shape=(3,))
    with pytest.raises(GroupNotFoundError):
        mosaic.open(tmp_path / "a.zarr")
    with pytest.raises(GroupNotFoundError):
        mosaic.open(tmp_path / "nothing.zarr")


def test_tiles_that_overlap_in_too_many_ways_are_an_error() -> None:
    n = 3000
    tiles = [Tile(str(i), (i, 0), (n, n)) for i in range(n)]
    with pytest.raises(MetadataError, match="more ways than can be kept apart"):
        Tiling((2 * n, n), tiles, "first")


# --- many tiles, other stores


def test_tiles_in_a_spiral_are_no_trouble() -> None:
    low, high, tiles = [0, 0], [5_000, 5_000], []
    for i in range(5_000):
        # From each side in turn a strip is taken off.
        start, stop = list(low), list(high)
        if i % 4 < 2:
            stop[i % 2] = low[i % 2] = low[i % 2] + 1
        else:
            start[i % 2] = high[i % 2] = high[i % 2] - 1
        tiles.append(Tile(str(i), tuple(start), tuple(b - a for a, b in zip(start, stop, strict=True))))
    begin = time.process_time()
    tiling = Tiling((5_000, 5_000), tiles, "error")
    assert tiling.first_gap() == (tuple(low), tuple(high))
    with pytest.raises(MetadataError, match="overlap at"):
        Tiling((5_000, 5_000), [*tiles, Tile("x", (9, 9), (2, 1))], "error")
    assert time.process_time() - begin < 20


def test_ten_thousand_tiles_are_fine() -> None:
    begin = time.process_time()
    tiles = [Tile(f"{i}", (i // 100 * 10, i % 100 * 10), (10, 10)) for i in range(10_000)]
    tiling = Tiling((1000, 1000), tiles, "error")
    assert not tiling.has_gaps
    assert Tiling((1000, 1001), tiles, "error").first_gap() == ((0, 1000), (1000, 1001))
    # Rows that are shifted against each other, and long tiles beside them: no cut separates them all.
    shifted = [Tile(f"{i}", (i // 100 * 10 + i % 2, i % 100 * 10), (10, 10)) for i in range(10_000)]
    assert Tiling((1001, 1000), shifted, "error").has_gaps
    moved = [*tiles[:5000], Tile("x", (495, 3), (10, 4)), *tiles[5001:]]
    with pytest.raises(MetadataError, match="overlap at"):
        Tiling((1000, 1000), moved, "error")
    assert time.process_time() - begin < 10


def test_stores_that_take_their_time_are_asked_for_several_tiles_at_once() -> None:
    active = most = 0
    pause = 0.0

    class Slow(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            nonlocal active, most
            active += 1
            most = max(most, active)
            time.sleep(pause)
            active -= 1
            return super().__getitem__(key)

    m = mosaic.create(zarrc.storage.MappingStore(Slow()), shape=(40,), tiles=dict.fromkeys(range(40), 1))
    m[...] = np.arange(40)
    most, pause = 0, 0.01
    np.testing.assert_array_equal(m[::-1], np.arange(40)[::-1])
    assert most > 1


def test_an_error_among_several_tiles_is_raised() -> None:
    class Broken(dict[str, bytes]):
        broken = False

        def __getitem__(self, key: str) -> bytes:
            if self.broken and key == "3/c/0":
                raise OSError("gone")
            return super().__getitem__(key)

    objects = Broken()
    m = mosaic.create(zarrc.storage.MappingStore(objects), shape=(40,), tiles={4 * i: 4 for i in range(10)})
    m[...] = 1
    objects.broken = True
    with pytest.raises((OSError, StoreError), match="gone"):
        m[...]
    assert m[:12].sum() == 12


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.data())
def test_any_description_opens_or_is_an_error(data: st.DataObject) -> None:
    good: dict[str, Any] = {
        "version": 1,
        "shape": [4],
        "data_type": "float64",
        "fill_value": 0.0,
        "overlap": "first",
        "gaps": "fill",
        "dimension_names": ["x"],
        "tiles": [tile(start=[0], shape=[3]), tile(path="b", start=[1], shape=[3])],
    }
    wrong = data.draw(st.sampled_from((*good, "path", "start", "shape of a tile", "new")))
    value = data.draw(json_values | st.sampled_from(([], [[]], [2**63 - 1], [-1], "", "a", {}, 2**63)))
    if wrong in ("path", "start", "shape of a tile"):
        good["tiles"][1][wrong.partition(" ")[0]] = value
    else:
        good[wrong] = value
    said = "tile"
    try:
        checked_tiling(Description.from_json(good, "zarr.json"))
    except MetadataError as error:
        said = str(error)
    assert "attributes.zarrc_mosaic" in said or "tile" in said


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_peers_fill_values_keep_their_bits(seed: int) -> None:
    values = random_values((1,), "float64", seed)
    store = zarrc.storage.MemoryStore()
    mosaic.create(store, shape=(4,), tiles={0: 2}, gaps="fill", fill_value=values[0])
    assert mosaic.open(store)[...].tobytes() == np.repeat(values, 4).tobytes()
