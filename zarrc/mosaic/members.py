"""The arrays of a mosaic's tiles: opened, and compared with what the mosaic says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarrc.array import Array
from zarrc.engine.node_names import join
from zarrc.engine.nodes import V3_DOCUMENT, get_documents, open_node, parse_v3, place
from zarrc.errors import MetadataError, NodeNotFoundError
from zarrc.metadata.model import ArrayMetadata

if TYPE_CHECKING:
    from zarrc.config import ArrayConfigLike
    from zarrc.engine.nodes import NodeMetadata
    from zarrc.group import Group
    from zarrc.mosaic.document import Description

__all__ = ["open_tile", "read_tiles"]

_BATCH = 1000


def read_tiles(group: Group, description: Description) -> list[NodeMetadata | None]:
    """Read the metadata of all tiles in batches; None for those that are no v3 nodes."""
    found: list[NodeMetadata | None] = []
    paths = [join(group.path, tile.path) for tile in description.tiles]
    if group.metadata.zarr_format != 3:
        return [None] * len(paths)
    for first in range(0, len(paths), _BATCH):
        some = paths[first : first + _BATCH]
        documents = get_documents(group.store, [join(path, V3_DOCUMENT) for path in some])
        for path, document in zip(some, documents, strict=True):
            found.append(parse_v3(group.store, path, document))
    return found


def open_tile(
    group: Group,
    description: Description,
    number: int,
    config: ArrayConfigLike,
    metadata: NodeMetadata | None = None,
) -> Array:
    """Open the array of a tile, or make its handle from metadata that were read before.

    Raises
    ------
    MetadataError
        If there is no array, or one of another shape or data type.
    """
    tile = description.tiles[number]
    path = join(group.path, tile.path)
    if metadata is None:
        try:
            metadata = open_node(group.store, path, kind="array")
        except NodeNotFoundError as error:
            raise NodeNotFoundError(
                f"tile {tile} of the mosaic is not there: {error.message}", key=path
            ) from error
    where = place(group.store, path)
    if not isinstance(metadata, ArrayMetadata):
        raise MetadataError(f"tile {tile} of the mosaic is a group, at {where}", key=path)
    if metadata.shape != tile.shape:
        raise MetadataError(
            f"tile {tile} of the mosaic has another shape, {metadata.shape}, at {where}; a mosaic's tiles "
            "are not resized",
            key=path,
        )
    if metadata.data_type != description.data_type:
        raise MetadataError(
            f"tile {tile} of the mosaic is of data type {metadata.data_type}, not "
            f"{description.data_type}, at {where}",
            key=path,
        )
    return Array(group.store, path, metadata, config, read_only=group.read_only)
