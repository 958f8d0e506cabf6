"""What tests of mosaics share."""

from __future__ import annotations

from zarrc import mosaic


def bricks() -> mosaic.Mosaic:
    """Two rows of tiles that do not line up."""
    return mosaic.from_chunk_shapes(
        shape=(10, 12),
        chunk_shapes={(0, 0): (4, 5), (0, 1): (4, 7), (1, 0): (6, 8), (1, 1): (6, 4)},
        dtype="i4",
    )
