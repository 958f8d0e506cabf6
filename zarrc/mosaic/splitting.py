"""A selection of a mosaic, split among the tiles that it meets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.indexing.index_map import IndexMap

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.mosaic.tiling import Tiling

    Values = npt.NDArray[Any]
    Indices = npt.NDArray[np.int64]

__all__ = ["Part", "Split"]


class _Range:
    """An axis of the mosaic along which a selection is a range, ``start + step * k`` for k below ``size``."""

    def __init__(self, axis: int, start: int, step: int, count: int, dim: int) -> None:
        self.axis = axis
        self.start = start
        self.step = step
        self.size = count
        self.dims = (dim,) if dim >= 0 else ()
        self.first: Indices
        self.last: Indices

    def meet(self, starts: Indices, stops: Indices) -> npt.NDArray[np.bool_]:
        """Work out for each piece which k it takes; return whether there are any."""
        low, high = starts[:, self.axis], stops[:, self.axis]
        if self.step > 0:
            # The first k with start + step * k >= low: a division that rounds up.
            first, last = (-((self.start - edge) // self.step) for edge in (low, high))
        else:
            # Downwards, the first k that is below an edge.
            first, last = ((self.start - edge) // -self.step + 1 for edge in (high, low))
        # numpy.clip takes three times as long for a few pieces.
        self.first = np.minimum(np.maximum(first, 0), self.size)
        self.last = np.minimum(np.maximum(last, 0), self.size)
        return self.first < self.last

    def of(self, piece: int) -> slice:
        return slice(int(self.first[piece]), int(self.last[piece]))

    def inside(self, place: slice, origin: tuple[int, ...]) -> tuple[int, int, int]:
        """Return start, step and count of some k in a tile that begins at ``origin``."""
        return self.start + self.step * place.start - origin[self.axis], self.step, place.stop - place.start


class _Points:
    """Axes of the mosaic along which a selection is a list of points."""

    def __init__(
        self, axes: tuple[int, ...], arrays: Sequence[Indices], dims: tuple[int, ...], shape: tuple[int, ...]
    ) -> None:
        self.axes = axes
        self.dims = dims
        self.size = math.prod(shape)
        self.points = [np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1) for array in arrays]
        if axes:
            self.order = np.argsort(self.points[0], kind="stable")
            self.sorted = self.points[0][self.order]

    def meet(self, starts: Indices, stops: Indices) -> npt.NDArray[np.bool_]:
        self.starts, self.stops = starts, stops
        found = np.full(len(starts), self.size > 0)
        if not self.size:
            return found
        for axis, points in zip(self.axes, self.points, strict=True):
            found &= (starts[:, axis] <= points.max()) & (stops[:, axis] > points.min())
        if self.axes:
            axis = self.axes[0]
            self.first = np.searchsorted(self.sorted, starts[:, axis], side="left")
            self.last = np.searchsorted(self.sorted, stops[:, axis], side="left")
            found &= self.first < self.last
        return found

    def of(self, piece: int) -> Indices:
        """Return which points lie in a piece, in their own order."""
        if not self.axes:
            return np.arange(self.size)
        near = self.order[self.first[piece] : self.last[piece]]
        for axis, points in zip(self.axes[1:], self.points[1:], strict=True):
            along = points[near]
            near = near[(along >= self.starts[piece, axis]) & (along < self.stops[piece, axis])]
        # Of several values for one element the last one stays.
        return np.sort(near)

    def inside(self, place: Indices, origin: tuple[int, ...]) -> tuple[Indices, ...]:
        """Return the indices of some points in a tile that begins at ``origin``."""
        return tuple(
            points[place] - origin[axis] for axis, points in zip(self.axes, self.points, strict=True)
        )


class Part:
    """What a selection takes of one tile.

    Attributes
    ----------
    tile : int
        Number of the tile.
    index : tuple
        Where the elements stand in the `Split`'s work array.
    map : tuple
        Where they are in the tile: a tuple of slices, or shape, axes and groups of an `IndexMap`.
    n : int
        How many they are.
    is_box : bool
        Whether ``map`` is a tuple of slices.
    """

    __slots__ = ("index", "is_box", "map", "n", "tile")

    def __init__(self, tile: int, index: tuple[Any, ...], where: Any, n: int, is_box: bool) -> None:
        self.tile = tile
        self.index = index
        self.map = where
        self.n = n
        self.is_box = is_box


class Split:
    """A selection of a mosaic: its parts, and how what they give is put together.

    Elements are put into a work array with a dimension for each range and each list of points. It is a view
    of the result, or of the values to be written, as long as NumPy can make one.

    Parameters
    ----------
    index_map : IndexMap
        What is selected.
    """

    def __init__(self, index_map: IndexMap) -> None:
        self.map = index_map
        shape = index_map.shape
        units: list[_Range | _Points] = [
            _Range(axis, *own) for axis, own in enumerate(index_map.axes) if own is not None
        ]
        for axes, arrays, dims in index_map.groups:
            units.append(_Points(axes, arrays, dims, tuple(shape[dim] for dim in dims)))
        # In the order of the result's dimensions; those without any are first.
        self.units = sorted(units, key=lambda unit: unit.dims[:1])
        self.dims = [dim for unit in self.units for dim in unit.dims]
        self.shape = tuple(unit.size for unit in self.units)
        self.is_box = all(isinstance(unit, _Range) for unit in self.units)
        # Of a box, where each axis of the mosaic stands in the work array.
        self.turn = sorted(range(len(self.units)), key=lambda i: getattr(self.units[i], "axis", i))

    @property
    def size(self) -> int:
        """How many elements are selected."""
        return math.prod(self.shape)

    def box(self, work: Values, part: Part) -> Values:
        """Return the part of the work array of a part that is a box, its axes in the mosaic's order."""
        return work[(*part.index, ...)].transpose(self.turn)

    def bounds(self) -> tuple[list[int], list[int]]:
        """Return the box around what is selected; only if something is."""
        low, high = [0] * len(self.map.array_shape), [0] * len(self.map.array_shape)
        for unit in self.units:
            if isinstance(unit, _Range):
                ends = unit.start, unit.start + unit.step * (unit.size - 1)
                low[unit.axis], high[unit.axis] = min(ends), max(ends) + 1
            else:
                for axis, points in zip(unit.axes, unit.points, strict=True):
                    low[axis], high[axis] = int(points.min()), int(points.max()) + 1
        return low, high

    def parts(self, tiling: Tiling, origins: Sequence[tuple[int, ...]]) -> list[Part]:
        """Return what is taken of each piece that the selection meets."""
        met = np.full(len(tiling.tile), self.size > 0)
        for unit in self.units:
            met &= unit.meet(tiling.start, tiling.stop)
        found = []
        for piece in np.flatnonzero(met).tolist():
            places = [unit.of(piece) for unit in self.units]
            counts = [
                place.stop - place.start if isinstance(place, slice) else len(place) for place in places
            ]
            if all(counts):
                tile = int(tiling.tile[piece])
                found.append(self._part(tile, places, counts, origins[tile]))
        return found

    def _part(self, tile: int, places: list[Any], counts: list[int], origin: tuple[int, ...]) -> Part:
        n = math.prod(counts)
        if self.is_box:
            key: list[Any] = [None] * len(origin)
            for unit, place in zip(self.units, places, strict=True):
                assert isinstance(unit, _Range)
                start, step, count = unit.inside(place, origin)
                stop = start + step * count
                key[unit.axis] = slice(start, None if stop < 0 else stop, step)
            return Part(tile, tuple(places), tuple(key), n, True)
        axes: list[Any] = [None] * len(origin)
        groups = []
        for dim, (unit, place) in enumerate(zip(self.units, places, strict=True)):
            if isinstance(unit, _Range):
                axes[unit.axis] = (*unit.inside(place, origin), dim)
            else:
                groups.append((unit.axes, unit.inside(place, origin), (dim,)))
        return Part(tile, _outer(places), (tuple(counts), axes, tuple(groups)), n, False)

    # --- from the work array to the result, and back

    def result_of(self, work: Values) -> Values:
        """Return what the user gets of a filled work array."""
        shape = self.map.shape
        apart = work.reshape([shape[dim] for dim in self.dims])
        order = sorted(range(len(self.dims)), key=lambda i: self.dims[i])
        turned = apart.transpose(order)
        given = {self.dims[i] for i in order}
        spread = turned.reshape([extent if dim in given else 1 for dim, extent in enumerate(shape)])
        return spread if spread.shape == shape else np.array(np.broadcast_to(spread, shape))

    def work_of(self, values: Values) -> Values:
        """Return the work array of the values that the user gives, which have the selection's shape."""
        given = set(self.dims)
        # Of what repeats along a dimension the last is what stays.
        last = values[tuple(slice(None) if dim in given else -1 for dim in range(values.ndim))]
        order = sorted(range(len(self.dims)), key=lambda i: self.dims[i])
        turned = last.transpose(np.argsort(order)) if len(order) > 1 else last
        return turned.reshape(self.shape)


def _outer(places: Sequence[Any]) -> tuple[Any, ...]:
    """Return an index of the work array for ranges and lists that stand for themselves, as `numpy.ix_`."""
    if sum(not isinstance(place, slice) for place in places) < 2:
        return tuple(places)
    return np.ix_(
        *[np.arange(place.start, place.stop) if isinstance(place, slice) else place for place in places]
    )
