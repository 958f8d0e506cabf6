"""What every chunk grid can do, and what a grid of a user's own must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.errors import MetadataError
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from zarrc.grids.axis import Axis, AxisRuns, Run

__all__ = ["ChunkGrid"]

_set = object.__setattr__


class ChunkGrid:
    """A grid of chunks: along each axis, where one ends and the next begins.

    A grid of one's own is a subclass, made known by `register_chunk_grid`. It has a ``name`` and the methods
    `runs`, `configuration` and `from_configuration`; all else follows from them. It is a value: it never
    changes, and two grids of one class are equal if their configurations are.
    """

    __slots__ = ("_axes",)

    _axes: tuple[Axis, ...]

    name: ClassVar[str]
    """The name in documents."""

    # --- what a grid is made of

    def runs(self) -> tuple[AxisRuns, ...]:
        """The chunks along each axis: an int for chunks of one extent without end, or run lengths.

        Run lengths are (extent, number of chunks) after one another, each at least 1. Together they may reach
        over the array's end, and must reach it.
        """
        raise NotImplementedError

    def configuration(self) -> dict[str, Any]:
        """The ``configuration`` in a document, of JSON values."""
        raise NotImplementedError

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> Self:
        """The grid of a ``configuration``, which anybody may have written.

        Raises
        ------
        MetadataError
            (Or another ``ValueError`` or ``TypeError``.) If it is wrong: the text says what would be right.
        """
        raise NotImplementedError

    # --- what follows from it

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes, with what is looked up in them; made once."""
        try:
            return self._axes
        except AttributeError:
            from zarrc.grids.axis import axis_of

            axes: tuple[Axis, ...] = tuple(axis_of(one) for one in self.runs())
            _set(self, "_axes", axes)
            return axes

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @property
    def is_regular(self) -> bool:
        """Whether all chunks have one shape, `chunk_shape`, and there is no end of them."""
        return all(isinstance(axis.runs, int) for axis in self.axes)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of every chunk.

        Raises
        ------
        AttributeError
            If the chunks have several shapes: see `is_regular`.
        """
        if not self.is_regular:
            raise AttributeError(
                f"the chunks of the {self.name!r} grid have several shapes, and there is no chunk_shape"
            )
        return self.largest_shape

    @property
    def largest_shape(self) -> tuple[int, ...]:
        """The largest extent along each axis: no chunk is larger."""
        return tuple(axis.largest for axis in self.axes)

    @property
    def chunks(self) -> tuple[Any, ...]:
        """The chunks as ``chunks=`` takes them: for each axis an int, or a tuple of all extents."""
        return tuple(axis.said() for axis in self.axes)

    def axis(self, d: int) -> AxisRuns:
        """The chunks along axis ``d``: an int, or (extent, number of chunks) after one another."""
        return self.axes[d].runs

    def grid_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of chunks along each axis that meet an array of ``shape``."""
        return tuple(axis.n_chunks(extent) for axis, extent in zip(self.axes, shape, strict=True))

    def edges(self, d: int, extent: int) -> npt.NDArray[np.int64]:
        """The edges of the chunks along axis ``d`` that meet the first ``extent`` elements.

        One more than there are such chunks; the last one may be beyond ``extent``.

        Raises
        ------
        MetadataError
            If these are more than 2^22 chunks: `runs_between` and `chunk_of` do without a list of them.
        """
        from zarrc.grids.axis import edges_of

        return edges_of(self.axes[d], extent)

    def chunk_bounds(self, d: int, i: int) -> tuple[int, int]:
        """Where chunk ``i`` along axis ``d`` begins and ends; it may end beyond the array."""
        return self.axes[d].bounds(i)

    def chunk_of(self, d: int, index: int) -> int:
        """The number of the chunk along axis ``d`` with element ``index``."""
        return self.axes[d].chunk_of(index)

    def runs_between(self, d: int, start: int, stop: int) -> Iterator[Run]:
        """The chunks along axis ``d`` that meet elements ``[start, stop)``: runs of chunks of one extent."""
        return self.axes[d].runs_between(start, stop)

    def shape_of(self, coords: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the chunk with these coordinates, as it is encoded: also what is beyond the array."""
        bounds = (self.chunk_bounds(d, i) for d, i in enumerate(coords))
        return tuple(stop - start for start, stop in bounds)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise MetadataError unless the chunks cover an array of ``shape``."""
        _check_runs(self)
        self._check_reach(shape)

    def _check_reach(self, shape: tuple[int, ...]) -> None:
        if len(self.axes) != len(shape):
            raise MetadataError(
                f"the {self.name!r} grid has {len(self.axes)} dimensions, the array {len(shape)}"
            )
        for d, (axis, extent) in enumerate(zip(self.axes, shape, strict=True)):
            axis.check(extent, d)

    def resized(self, shape: tuple[int, ...]) -> ChunkGrid:
        """The grid that an array has once it is resized to ``shape``: its chunks stay, and there may be more.

        Raises
        ------
        MetadataError
            If this grid does not reach so far, and cannot grow. (Those of this library can.)
        """
        self.check(shape)
        return self

    # --- JSON, and equality

    def to_v3_json(self) -> dict[str, Any]:
        """The grid as a v3 document holds it."""
        return {"name": self.name, "configuration": self.configuration()}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading) -> ChunkGrid:
        """The grid of a v3 ``configuration`` object."""
        try:
            grid = cls.from_configuration(configuration)
        except MetadataError:
            raise
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise reading.error(f"{type(error).__name__}: {error}") from error
        _check_runs(grid)
        return grid

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.configuration() == other.configuration()

    def __hash__(self) -> int:
        return hash((self.name, self.runs()))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.configuration().items())
        return f"{type(self).__name__}({options})"


def _check_runs(grid: ChunkGrid) -> None:
    """Refuse what a grid of a user's own must not say."""
    from zarrc.grids.axis import MAX_EXTENT

    for d, runs in enumerate(grid.runs()):
        pairs: Any = ((runs, 1),) if isinstance(runs, int) else runs
        if not isinstance(pairs, tuple) or not pairs:
            raise MetadataError(f"{grid.name!r}: axis {d} must be an int or a tuple, got {show(runs)}")
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2 or not all(type(n) is int for n in pair):
                raise MetadataError(f"{grid.name!r}: a run is (extent, count), got {show(pair)} on axis {d}")
            if not (1 <= pair[0] <= MAX_EXTENT and 1 <= pair[1] <= MAX_EXTENT):
                raise MetadataError(
                    f"{grid.name!r}: extents and counts must be in [1, 2**63 - 1], got {show(pair)}"
                )
