"""The ``irregular`` grid of a user: extents along each axis, or a shape for each chunk.

No Zarr library stores such a grid. Where its chunks line up, as they do in every grid, it is a
``rectilinear`` one, which others read.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from zarrc.grids.axis import MAX_EXTENT, RunAxis, merged
from zarrc.grids.rectilinear import axis_runs, simplest_grid
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from zarrc.grids.axis import AxisRuns
    from zarrc.grids.base import ChunkGrid

__all__ = ["irregular_grid"]

Cell: TypeAlias = "tuple[int, ...]"

_MOSAIC = "zarrc.mosaic makes one array of parts that do not line up"


def irregular_grid(configuration: Mapping[str, Any], shape: tuple[int, ...], reading: Reading) -> ChunkGrid:
    """The grid that an ``irregular`` one amounts to.

    Parameters
    ----------
    configuration : Mapping
        ``{"chunk_sizes": [[500, 250, 250], [500, 500]]}``, the extents along each axis; or ``{"chunk_shapes":
        {(0, 0): (500, 500), ...}}``, the shape of each chunk by its place in the grid. A place is a tuple, or
        a text such as ``"0,1"``.
    shape : tuple of int
        Shape of the array. Where the chunks do not reach its end, one more does, and a warning says so.
    reading : Reading
        Of the configuration.

    Raises
    ------
    MetadataError
        If chunks do not line up, overlap or leave a gap; the text names two that disagree.
    """
    reading.only_keys(configuration, ("chunk_sizes", "chunk_shapes"))
    if len(configuration) != 1:
        raise reading.error("takes either chunk_sizes= or chunk_shapes=")
    if "chunk_sizes" in configuration:
        at = reading.at("chunk_sizes")
        sizes = at.sequence(configuration["chunk_sizes"])
        if len(sizes) != len(shape):
            raise at.error(f"has {len(sizes)} axes, the array {len(shape)} dimensions")
        axes: list[AxisRuns] = [axis_runs(axis, at.at(d)) for d, axis in enumerate(sizes)]
    else:
        at = reading.at("chunk_shapes")
        axes = _axes_of(_cells(configuration["chunk_shapes"], len(shape), at), len(shape), at)
    completed = [
        _completed(axis, extent, d, at) for d, (axis, extent) in enumerate(zip(axes, shape, strict=True))
    ]
    with at.locate():
        return simplest_grid(completed, shape)


def _completed(runs: AxisRuns, extent: int, d: int, reading: Reading) -> AxisRuns:
    """The chunks along an axis, with one more for what they do not reach."""
    if isinstance(runs, int):
        return runs
    axis = RunAxis(runs)
    if axis.n_chunks(min(extent, axis.total)) < axis.n_all and extent:
        raise reading.error(
            f"has {axis.n_all} chunks along axis {d}, of {axis.total} elements in all; the array, of "
            f"{extent}, ends before the last one"
        )
    missing = extent - axis.total
    if missing <= 0:
        return runs
    from zarrc.warning import warn

    warn(
        f"the chunks along axis {d} have {axis.total} elements in all, the array {extent}: one more chunk "
        f"has the other {missing}"
    )
    return merged((*runs, (missing, 1)))


def _cells(value: Any, ndim: int, reading: Reading) -> dict[Cell, Cell]:
    """The shape of each chunk by its place."""
    if not isinstance(value, Mapping):
        raise reading.error(f"must be a mapping from a chunk's place to its shape, got {show(value)}")
    if not value:
        raise reading.error("has no chunks")
    cells: dict[Cell, Cell] = {}
    for key, shape in value.items():
        place = _integers(_numbers(key), 0, ndim, "place", key, reading)
        given = _integers(shape, 1, ndim, f"shape of chunk {show(place)}", shape, reading)
        if cells.setdefault(place, given) != given:
            raise reading.error(f"names chunk {show(place)} twice: {show(cells[place])} and {show(given)}")
    return cells


def _numbers(key: Any) -> Any:
    """What a place is made of; a text may have brackets."""
    if not isinstance(key, str):
        return key
    parts = key.strip("()[]{} ").split(",")
    return [
        int(part) if part.strip().isascii() and part.strip().isdigit() else part for part in parts if part
    ]


def _integers(value: Any, lowest: int, ndim: int, what: str, said: Any, reading: Reading) -> Cell:
    try:
        items = [value] if isinstance(value, int) and ndim == 1 else list(value)
        numbers = tuple(operator.index(item) for item in items)
        if any(isinstance(item, bool) for item in items):
            raise TypeError
    except TypeError:
        raise reading.error(f"the {what} must be {ndim} integers, got {show(said)}") from None
    if len(numbers) != ndim:
        raise reading.error(f"the {what} must be {ndim} integers, one an axis; got {show(said)}")
    if any(not lowest <= number <= MAX_EXTENT for number in numbers):
        raise reading.error(f"the {what} must be integers of at least {lowest}, got {show(said)}")
    return numbers


def _axes_of(cells: dict[Cell, Cell], ndim: int, reading: Reading) -> list[AxisRuns]:
    """The extents along each axis, on which all chunks agree."""
    axes = [_agreed(cells, d, reading) for d in range(ndim)]
    counts = [max(extents) + 1 for extents in axes]
    if math.prod(counts) != len(cells):
        # One of the first len(cells) + 1 places is missing.
        places = (_place(k, counts) for k in range(len(cells) + 1))
        place = next(one for one in places if one not in cells)
        last = tuple(n - 1 for n in counts)
        raise reading.error(f"chunk {place} is missing, of those up to {last}; {_MOSAIC}")
    return [merged(tuple((extents[i], 1) for i in range(len(extents)))) for extents in axes]


def _place(k: int, counts: list[int]) -> Cell:
    """Number ``k`` of the places in a grid, in C order."""
    place = []
    for count in reversed(counts):
        k, i = divmod(k, count)
        place.append(i)
    return tuple(reversed(place))


def _agreed(cells: dict[Cell, Cell], d: int, reading: Reading) -> dict[int, int]:
    """The extent along axis ``d`` of the chunks with each number there."""
    first: dict[int, Cell] = {}
    for place in sorted(cells):
        other = first.setdefault(place[d], place)
        if cells[place][d] != cells[other][d]:
            raise reading.error(
                f"chunk {place} is {cells[place][d]} long along axis {d}, and chunk {other} "
                f"{cells[other][d]}: in a grid all chunks with number {place[d]} there have one extent; "
                f"{_MOSAIC}"
            )
    return {i: cells[place][d] for i, place in first.items()}
