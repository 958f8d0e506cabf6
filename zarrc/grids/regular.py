"""The ``regular`` chunk grid: every chunk has the same shape."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.grids.base import ChunkGrid
from zarrc.reading import Reading, show

__all__ = ["RegularChunkGrid"]

MAX_EXTENT = 2**63 - 1


@frozen()
class RegularChunkGrid(ChunkGrid):
    """A grid of chunks of one shape; those at the far edges reach over the array's end.

    Parameters
    ----------
    chunk_shape : tuple of int
        Shape of a chunk, in elements; each at least 1.

    Raises
    ------
    MetadataError
        If an extent is not an integer in ``[1, 2**63 - 1]``.

    Notes
    -----
    Spec: zarr v3 core, "Regular grids".
    """

    name: ClassVar[str] = "regular"

    chunk_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.chunk_shape, (tuple, list)):
            raise MetadataError(f"the chunk shape must be a tuple of integers, got {show(self.chunk_shape)}")
        object.__setattr__(self, "chunk_shape", tuple(_extent(item) for item in self.chunk_shape))

    def runs(self) -> tuple[int, ...]:
        """The extent of the chunks along each axis."""
        return self.chunk_shape

    # In place of what follows from the runs: every open and every handle asks for these.

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.chunk_shape)

    @property
    def is_regular(self) -> bool:
        """True."""
        return True

    @property
    def largest_shape(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return self.chunk_shape

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return self.chunk_shape

    def axis(self, d: int) -> int:
        """The extent of the chunks along axis ``d``."""
        return self.chunk_shape[d]

    def grid_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of chunks along each dimension of an array of ``shape``."""
        return tuple(-(-extent // chunk) for extent, chunk in zip(shape, self.chunk_shape, strict=True))

    def chunk_bounds(self, d: int, i: int) -> tuple[int, int]:
        """Where chunk ``i`` along axis ``d`` begins and ends; it may end beyond the array."""
        return i * self.chunk_shape[d], (i + 1) * self.chunk_shape[d]

    def chunk_of(self, d: int, index: int) -> int:
        """The number of the chunk along axis ``d`` with element ``index``."""
        return index // self.chunk_shape[d]

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise MetadataError unless there are as many dimensions: chunks of one shape cover every array."""
        if len(self.chunk_shape) != len(shape):
            raise MetadataError(
                f"the chunk shape {show(self.chunk_shape)} has {len(self.chunk_shape)} dimensions, the array "
                f"{len(shape)}"
            )

    def resized(self, shape: tuple[int, ...]) -> RegularChunkGrid:
        """The grid itself: it has no end."""
        return self

    def configuration(self) -> dict[str, Any]:
        """The ``configuration`` in a document."""
        return {"chunk_shape": list(self.chunk_shape)}

    @classmethod
    def from_configuration(cls, configuration: Mapping[str, Any]) -> RegularChunkGrid:
        """The grid of a ``configuration``."""
        return cls.from_v3_json(configuration, Reading(path="configuration", from_user=True))

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading) -> RegularChunkGrid:
        """The grid of a v3 ``configuration`` object."""
        reading.only_keys(configuration, ("chunk_shape",))
        extents = reading.required(configuration, "chunk_shape")
        return cls(reading.at("chunk_shape").integers(extents, 1, MAX_EXTENT))


def _extent(value: object) -> int:
    if type(value) is int and 1 <= value <= MAX_EXTENT:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        extent = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise MetadataError(f"an extent of a chunk must be an integer, got {show(value)}") from None
    if not 1 <= extent <= MAX_EXTENT:
        raise MetadataError(f"an extent of a chunk must be in [1, {MAX_EXTENT}], got {show(extent)}")
    return extent
