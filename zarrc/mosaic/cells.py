"""From what a user says about tiles, a list or a map of cells, to the tiles."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from zarrc.engine.node_names import normalize_path
from zarrc.errors import MetadataError
from zarrc.mosaic.tile import Tile
from zarrc.reading import show

__all__ = ["NewTile", "cells_to_tiles", "parse_cells", "parse_tiles"]

NewTile = tuple[Tile, Mapping[str, Any]]
"""A tile and the keywords that its array is created with."""


def parse_tiles(tiles: Any) -> list[NewTile]:
    """Return the tiles that a user listed.

    Parameters
    ----------
    tiles : Mapping or iterable
        A mapping from starts to shapes, or to dicts with ``shape`` and keywords of an array; or an iterable
        of tiles, each a `Tile`, or a tuple of start, shape and perhaps such keywords. A ``path`` among the
        keywords names the array; by default it is the tile's number.
    """
    if isinstance(tiles, Mapping):
        items = [_from_mapping(start, what) for start, what in tiles.items()]
    elif isinstance(tiles, Iterable) and not isinstance(tiles, (str, bytes)):
        items = [_from_item(item) for item in tiles]
    else:
        raise TypeError(f"tiles must be a mapping or a list, got {show(tiles)}")
    width = len(str(max(len(items) - 1, 0)))
    made: list[NewTile] = []
    for number, (start, shape, keywords) in enumerate(items):
        options = dict(keywords)
        path = options.pop("path", None)
        name = f"{number:0{width}d}" if path is None else normalize_path(path)
        if not name:
            raise ValueError(f"tile {number}: a tile's array needs a name, got {path!r}")
        made.append((Tile(name, start, shape), options))
    return made


def _from_mapping(start: Any, what: Any) -> tuple[tuple[int, ...], tuple[int, ...], Mapping[str, Any]]:
    if isinstance(what, Mapping):
        return _from_item((start, what.get("shape"), {k: v for k, v in what.items() if k != "shape"}))
    return _from_item((start, what))


def _from_item(item: Any) -> tuple[tuple[int, ...], tuple[int, ...], Mapping[str, Any]]:
    if isinstance(item, Tile):
        return item.start, item.shape, {"path": item.path}
    if not isinstance(item, (tuple, list)) or not 2 <= len(item) <= 3:
        raise TypeError(f"a tile is a start, a shape and perhaps options, got {show(item)}")
    start, shape, options = (*item, {})[:3]
    if not isinstance(options, Mapping):
        raise TypeError(f"a tile's options are keywords such as {{'chunks': (50, 50)}}, got {show(options)}")
    return _integers(start, "start"), _integers(shape, "shape"), options


def _integers(value: Any, what: str) -> tuple[int, ...]:
    try:
        if isinstance(value, str):
            value = [int(part) for part in value.split(",")] if value.strip() else []
        elif hasattr(value, "__index__") and not hasattr(value, "__len__"):
            value = [value]
        numbers = tuple(operator.index(number) for number in value)
        if any(isinstance(number, bool) for number in value):
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(f"a tile's {what} is a tuple of integers, got {show(value)}") from None
    return numbers


# --- maps of cells


def parse_cells(chunk_shapes: Any) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return a map from a cell's index to its shape, in the order of the indices.

    Parameters
    ----------
    chunk_shapes : Mapping
        Indices and shapes are tuples or lists; an index may be text, "0,1".
    """
    if not isinstance(chunk_shapes, Mapping) or not chunk_shapes:
        raise TypeError(
            f"chunk_shapes must map cells to shapes, such as {{(0, 0): (50, 50)}}, got {show(chunk_shapes)}"
        )
    cells: dict[tuple[int, ...], tuple[int, ...]] = {}
    for index, shape in chunk_shapes.items():
        cell = _integers(index, "index")
        if cell in cells:
            raise MetadataError(f"chunk_shapes: cell {cell} is there twice")
        cells[cell] = _integers(shape, "shape")
        if any(number < 0 for number in cell):
            raise MetadataError(f"chunk_shapes: the index of a cell is not negative, got {cell}")
        if any(extent < 1 for extent in cells[cell]):
            raise MetadataError(f"chunk_shapes: cell {cell} has no elements: its shape is {cells[cell]}")
    ndims = {len(cell) for cell in cells} | {len(shape) for shape in cells.values()}
    if len(ndims) > 1:
        raise MetadataError(
            f"chunk_shapes: all indices and shapes have one number for each dimension, got {sorted(ndims)}"
        )
    return dict(sorted(cells.items()))


def cells_to_tiles(
    cells: Mapping[tuple[int, ...], tuple[int, ...]],
    shape: tuple[int, ...],
    starts: Mapping[Any, Any] | None,
) -> list[NewTile]:
    """Return a tile for each cell, of one chunk; those at the array's far edges are cut to it.

    Parameters
    ----------
    cells : Mapping
        Shapes by index, as `parse_cells` gives them.
    shape : tuple of int
        Shape of the mosaic.
    starts : Mapping, optional
        Where each cell begins; by default as `cell_starts` says.
    """
    ndim = len(next(iter(cells)))
    if ndim != len(shape):
        raise MetadataError(f"chunk_shapes: cells of {ndim} dimensions do not fit the shape {shape}")
    if starts is None:
        begin = cell_starts(cells)
    else:
        begin = {_integers(cell, "index"): _integers(start, "start") for cell, start in starts.items()}
        for cell in cells:
            if cell not in begin:
                raise MetadataError(f"starts: there is none for cell {cell}")
        for cell in begin:
            if cell not in cells:
                raise MetadataError(f"starts: chunk_shapes has no cell {cell}")
    made: list[NewTile] = []
    for cell, extents in cells.items():
        start = begin[cell]
        inside = tuple(
            min(extent, whole - first) for first, extent, whole in zip(start, extents, shape, strict=False)
        )
        if len(start) != ndim or any(extent < 1 for extent in inside) or any(first < 0 for first in start):
            raise MetadataError(
                f"chunk_shapes: cell {cell} of shape {extents} would begin at {start}, outside of the shape "
                f"{shape}"
            )
        made.append((Tile("_".join(map(str, cell)) or "0", start, inside), {"chunks": inside}))
    return made


def cell_starts(
    cells: Mapping[tuple[int, ...], tuple[int, ...]],
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Return where cells begin, like text on lines.

    Cells whose indices differ in the last number only are a row: they stand side by side, each beginning
    where the one before it ends. Rows are put one below the other: each begins where the longest cell of the
    row before it ends. So it goes on over all dimensions: what has all but the last n numbers of its indices
    in common is a block, and begins where the longest part of the block before it ends.
    """
    starts: dict[tuple[int, ...], tuple[int, ...]] = dict.fromkeys(cells, ())
    for axis in range(len(next(iter(cells)))):
        # The extent of each block along this axis: that of its longest cell.
        longest: dict[tuple[int, ...], int] = {}
        for cell, shape in cells.items():
            block = cell[: axis + 1]
            longest[block] = max(longest.get(block, 0), shape[axis])
        begin: dict[tuple[int, ...], int] = {}
        ends: dict[tuple[int, ...], int] = {}
        for block in sorted(longest):
            begin[block] = ends.get(block[:-1], 0)
            ends[block[:-1]] = begin[block] + longest[block]
        for cell in cells:
            starts[cell] += (begin[cell[: axis + 1]],)
    return starts
