"""`Tile`: one array of a mosaic, and where it lies."""

from __future__ import annotations

import math

from zarrc.errors import MetadataError
from zarrc.frozen import frozen

__all__ = ["Tile"]


@frozen()
class Tile:
    """One array of a mosaic, and where it lies.

    Parameters
    ----------
    path : str
        Path of the array below the mosaic's group.
    start : tuple of int
        Index in the mosaic of the tile's first element.
    shape : tuple of int
        Shape of the tile; each extent at least 1.
    """

    path: str
    start: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def stop(self) -> tuple[int, ...]:
        """Where the tile ends along each dimension: one past its last element."""
        return tuple(start + extent for start, extent in zip(self.start, self.shape, strict=True))

    @property
    def region(self) -> tuple[slice, ...]:
        """The slices of the mosaic that the tile covers."""
        return tuple(map(slice, self.start, self.stop))

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.path!r} at {box_text(self.start, self.stop)}"

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse a tile that does not lie inside a mosaic of ``shape``."""
        if len(self.start) != len(shape) or len(self.shape) != len(shape):
            raise MetadataError(
                f"tile {self.path!r} has a start of {len(self.start)} and a shape of {len(self.shape)} "
                f"numbers, the mosaic has {len(shape)} dimensions"
            )
        for axis, (start, extent, whole) in enumerate(zip(self.start, self.shape, shape, strict=True)):
            if extent < 1:
                raise MetadataError(f"tile {self.path!r} has no elements: its shape is {self.shape}")
            if start < 0 or extent > whole - start:
                raise MetadataError(
                    f"tile {self} reaches out of the mosaic of shape {shape}, along dimension {axis}"
                )


def box_text(start: tuple[int, ...], stop: tuple[int, ...]) -> str:
    """Return a box as it is indexed: ``[0:5, 3:9]``."""
    return f"[{', '.join(f'{a}:{b}' for a, b in zip(start, stop, strict=True))}]"
