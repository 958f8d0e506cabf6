"""Chunk grids and chunk key encodings: one module each, and the registry of their names."""

from zarrc.grids.key_encoding import ChunkKeyEncoding, DefaultKeyEncoding, V2KeyEncoding
from zarrc.grids.registry import chunk_grid_from_v3_json, key_encoding_from_user, key_encoding_from_v3_json
from zarrc.grids.regular import RegularChunkGrid

__all__ = [
    "ChunkKeyEncoding",
    "DefaultKeyEncoding",
    "RegularChunkGrid",
    "V2KeyEncoding",
    "chunk_grid_from_v3_json",
    "key_encoding_from_user",
    "key_encoding_from_v3_json",
]
