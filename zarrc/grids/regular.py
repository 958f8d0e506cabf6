"""The ``regular`` chunk grid: every chunk has the same shape."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["RegularChunkGrid"]

MAX_EXTENT = 2**63 - 1


@frozen()
class RegularChunkGrid:
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

    def grid_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of chunks along each dimension of an array of ``shape``."""
        return tuple(-(-extent // chunk) for extent, chunk in zip(shape, self.chunk_shape, strict=True))

    def to_v3_json(self) -> dict[str, Any]:
        """The grid as a v3 document holds it."""
        return {"name": self.name, "configuration": {"chunk_shape": list(self.chunk_shape)}}

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
