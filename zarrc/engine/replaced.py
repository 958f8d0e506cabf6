"""Notice that the array under an open handle is another one now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarrc.engine.nodes import open_node
from zarrc.metadata.model import ArrayMetadata

if TYPE_CHECKING:
    from zarrc.storage import Store

# What decides which bytes a chunk has and where they are. The shape is not among them: an array that was
# resized through another handle keeps its chunks where they are.
_LAYOUT_FIELDS = ("zarr_format", "data_type", "endian", "chunk_grid", "chunk_key_encoding", "codecs")


def same_layout(store: Store, path: str, metadata: ArrayMetadata) -> bool:
    """Whether what is stored at ``path`` now has the chunks that ``metadata`` describes.

    Raises
    ------
    NodeNotFoundError
        If nothing is stored there any more.
    """
    now = open_node(store, path, zarr_format=metadata.zarr_format, repair_fill=metadata.fill_value)
    if not isinstance(now, ArrayMetadata):
        return False
    # From the cache of what was parsed before: of equal documents.
    if now.derived is metadata.derived:
        return True
    return all(getattr(now, field) == getattr(metadata, field) for field in _LAYOUT_FIELDS) and (
        _fill_bytes(now) == _fill_bytes(metadata)
    )


def _fill_bytes(metadata: ArrayMetadata) -> bytes | None:
    return None if metadata.fill_value is None else metadata.fill_value.tobytes()
