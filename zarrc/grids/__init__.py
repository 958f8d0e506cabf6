"""Chunk grids and chunk key encodings: one module each, and the registry of their names."""

from __future__ import annotations

from zarrc.grids.base import ChunkGrid
from zarrc.grids.key_encoding import ChunkKeyEncoding, DefaultKeyEncoding, V2KeyEncoding
from zarrc.grids.registry import (
    chunk_grid_from_user,
    chunk_grid_from_v3_json,
    key_encoding_from_user,
    key_encoding_from_v3_json,
    known_chunk_grids,
    register_chunk_grid,
    unregister_chunk_grid,
)
from zarrc.grids.regular import RegularChunkGrid
from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.grids.rectilinear import RectilinearChunkGrid

__all__ = [
    "ChunkGrid",
    "ChunkKeyEncoding",
    "DefaultKeyEncoding",
    "RectilinearChunkGrid",
    "RegularChunkGrid",
    "V2KeyEncoding",
    "chunk_grid_from_user",
    "chunk_grid_from_v3_json",
    "key_encoding_from_user",
    "key_encoding_from_v3_json",
    "known_chunk_grids",
    "register_chunk_grid",
    "unregister_chunk_grid",
]

# Loaded on first use: few arrays have such a grid.
__getattr__, __dir__ = lazy(globals(), {"RectilinearChunkGrid": "rectilinear"})
