"""The ``rectilinear`` chunk grid: each axis is cut in its own way."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.grids.axis import MAX_EXTENT, AxisRuns, merged
from zarrc.grids.base import ChunkGrid
from zarrc.grids.regular import RegularChunkGrid
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RectilinearChunkGrid", "axis_runs", "simplest_grid"]


@frozen(repr=False)
class RectilinearChunkGrid(ChunkGrid):
    """A grid whose chunks have extents of their own along each axis.

    Parameters
    ----------
    chunk_shapes : sequence
        For each axis either an int, the extent of all its chunks; or a sequence of extents, in which a pair
        ``[extent, count]`` stands for ``count`` chunks of one extent. The sum must reach the array's end, and
        may go beyond it.

    Raises
    ------
    MetadataError
        If an extent or count is not an integer in ``[1, 2**63 - 1]``, or an axis has none.

    Notes
    -----
    Spec: zarr-extensions ``chunk-grids/rectilinear``. Kept as run lengths, ``(extent, count)``, merged where
    neighbours have one extent: two grids with the same chunks are equal, however they were written.

    Examples
    --------
    >>> from zarrc.grids import RectilinearChunkGrid
    >>> grid = RectilinearChunkGrid([[10, 20, 30], [[50, 2]], 4])
    >>> grid.chunks
    ((10, 20, 30), (50, 50), 4)
    >>> grid.chunk_bounds(0, 1)
    (10, 30)
    """

    name: ClassVar[str] = "rectilinear"

    chunk_shapes: tuple[AxisRuns, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.chunk_shapes, (tuple, list)):
            raise MetadataError(
                f"chunk_shapes must be a list, one item an axis, got {show(self.chunk_shapes)}"
            )
        reading = Reading(path="chunk_shapes", from_user=True)
        axes = tuple(axis_runs(axis, reading.at(d)) for d, axis in enumerate(self.chunk_shapes))
        object.__setattr__(self, "chunk_shapes", axes)

    @classmethod
    def of_runs(cls, axes: tuple[AxisRuns, ...]) -> RectilinearChunkGrid:
        """The grid of these runs, which `axis_runs` has made: to look at a million twice costs a second."""
        grid = object.__new__(cls)
        object.__setattr__(grid, "chunk_shapes", axes)
        return grid

    def runs(self) -> tuple[AxisRuns, ...]:
        """The chunks along each axis: an extent without end, or (extent, count) after one another."""
        return self.chunk_shapes

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise MetadataError unless the chunks cover an array of ``shape``."""
        self._check_reach(shape)  # the runs were checked when the grid was made

    def resized(self, shape: tuple[int, ...]) -> RectilinearChunkGrid:
        """The grid that an array has once it is resized to ``shape``: its chunks stay, and there may be more.

        Elements beyond the last chunk get chunks of the axis' largest extent, and for the rest one that is no
        smaller than the axis' smallest, and a multiple of what divides all extents of the axis.
        """
        runs = tuple(axis.resized(extent) for axis, extent in zip(self.axes, shape, strict=True))
        return self if runs == self.chunk_shapes else RectilinearChunkGrid.of_runs(runs)

    def configuration(self) -> dict[str, Any]:
        """The ``configuration`` in a document: run lengths where an extent is repeated."""
        return {"kind": "inline", "chunk_shapes": [_axis_to_json(runs) for runs in self.chunk_shapes]}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> RectilinearChunkGrid:
        """The grid of a ``configuration``."""
        return cls.from_v3_json(configuration, Reading(path="configuration", from_user=True))

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading) -> RectilinearChunkGrid:
        """The grid of a v3 ``configuration`` object."""
        reading.only_keys(configuration, ("kind", "chunk_shapes"))
        kind = reading.required(configuration, "kind")
        if kind != "inline":
            raise reading.at("kind").error(f"must be 'inline', the only kind that there is; got {show(kind)}")
        at = reading.at("chunk_shapes")
        axes = at.sequence(reading.required(configuration, "chunk_shapes"))
        return cls.of_runs(tuple(axis_runs(axis, at.at(d)) for d, axis in enumerate(axes)))

    def __repr__(self) -> str:
        return f"RectilinearChunkGrid({self.configuration()['chunk_shapes']})"


def simplest_grid(axes: Sequence[AxisRuns], shape: tuple[int, ...]) -> ChunkGrid:
    """The grid of an array with these chunks along each axis: the regular one where that has them.

    Raises
    ------
    MetadataError
        If the chunks do not reach the array's end.
    """
    grid = RectilinearChunkGrid.of_runs(tuple(axes))
    grid.check(shape)
    steps = [_step(runs, extent) for runs, extent in zip(grid.chunk_shapes, shape, strict=True)]
    return grid if None in steps else RegularChunkGrid(tuple(step for step in steps if step is not None))


def _step(runs: AxisRuns, extent: int) -> int | None:
    """The one extent of the chunks along an axis; None if there are several that count."""
    if isinstance(runs, int):
        return runs
    (step, count), *rest = runs
    if not rest or (
        len(rest) == 1 and rest[0][1] == 1 and rest[0][0] < step and step * count + rest[0][0] == extent
    ):
        return step
    return None


def axis_runs(axis: Any, reading: Reading) -> AxisRuns:
    """The chunks along one axis in any of the forms that a document or a user has for them."""
    if isinstance(axis, (list, tuple)):
        if not axis:
            raise reading.error("has no chunks; an axis needs one at least")
        return merged(
            # An extent comes first: a document made to hurt has millions of them.
            (item, 1) if type(item) is int and 1 <= item <= MAX_EXTENT else _run(item, reading.at(i))
            for i, item in enumerate(axis)
        )
    return _extent(axis, reading)


def _run(item: Any, reading: Reading) -> tuple[int, int]:
    if not isinstance(item, (list, tuple)):
        return _extent(item, reading), 1
    if len(item) != 2:
        raise reading.error(f"a run is [extent, count], got {show(item)}")
    return _extent(item[0], reading.at(0)), _extent(item[1], reading.at(1))


def _extent(value: Any, reading: Reading) -> int:
    """An extent or a count; of a user's also NumPy's integers."""
    if reading.from_user and not isinstance(value, (bool, int)):
        # What cannot be one is refused below.
        with contextlib.suppress(TypeError):
            value = operator.index(value)
    return reading.integer(value, 1, MAX_EXTENT)


def _axis_to_json(runs: AxisRuns) -> Any:
    if isinstance(runs, int):
        return runs
    pairs: Sequence[tuple[int, int]] = runs
    return [extent if count == 1 else [extent, count] for extent, count in pairs]
