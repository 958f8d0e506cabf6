"""Mosaics are read and written as one array, as NumPy would."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import basic_selections, broadcastable_shapes, random_values
from zarrc import mosaic
from zarrc.errors import (
    MetadataError,
    SelectionError,
)
from zarrc.mosaic.tile import Tile
from zarrc.mosaic.tiling import Tiling

Shape = tuple[int, ...]


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
