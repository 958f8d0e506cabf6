"""Mosaics: one logical array over several Zarr arrays of a group."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.mosaic.creating import create, from_arrays, from_chunk_shapes, open
    from zarrc.mosaic.handle import Mosaic
    from zarrc.mosaic.tile import Tile

__all__ = ["Mosaic", "Tile", "create", "from_arrays", "from_chunk_shapes", "open"]

__getattr__, __dir__ = lazy(
    globals(),
    {
        "Mosaic": "handle",
        "Tile": "tile",
        "create": "creating",
        "from_arrays": "creating",
        "from_chunk_shapes": "creating",
        "open": "creating",
    },
)
