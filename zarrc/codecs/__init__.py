"""Codecs: one module each, the registry of their names, and the chain that they make."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec, Codec
    from zarrc.codecs.bitround import BitroundCodec
    from zarrc.codecs.blosc import BloscCodec
    from zarrc.codecs.bytes import BytesCodec
    from zarrc.codecs.crc32c import Crc32cCodec
    from zarrc.codecs.gzip import GzipCodec
    from zarrc.codecs.lz4 import Lz4Codec
    from zarrc.codecs.registry import get_codec_class, known_codecs, register_codec
    from zarrc.codecs.sharding import ShardingCodec
    from zarrc.codecs.transpose import TransposeCodec
    from zarrc.codecs.unknown import UnknownCodec
    from zarrc.codecs.zlib import ZlibCodec
    from zarrc.codecs.zstd import ZstdCodec

__all__ = [
    "ArrayArrayCodec",
    "ArrayBytesCodec",
    "BitroundCodec",
    "BloscCodec",
    "BytesBytesCodec",
    "BytesCodec",
    "ChunkSpec",
    "Codec",
    "Crc32cCodec",
    "GzipCodec",
    "Lz4Codec",
    "ShardingCodec",
    "TransposeCodec",
    "UnknownCodec",
    "ZlibCodec",
    "ZstdCodec",
    "get_codec_class",
    "known_codecs",
    "register_codec",
]

# Name -> module; loaded on first use: an array has two or three of them.
__getattr__, __dir__ = lazy(
    globals(),
    {
        "ArrayArrayCodec": "base",
        "ArrayBytesCodec": "base",
        "BitroundCodec": "bitround",
        "BloscCodec": "blosc",
        "BytesBytesCodec": "base",
        "BytesCodec": "bytes",
        "ChunkSpec": "base",
        "Codec": "base",
        "Crc32cCodec": "crc32c",
        "GzipCodec": "gzip",
        "Lz4Codec": "lz4",
        "ShardingCodec": "sharding",
        "TransposeCodec": "transpose",
        "UnknownCodec": "unknown",
        "ZlibCodec": "zlib",
        "ZstdCodec": "zstd",
        "get_codec_class": "registry",
        "known_codecs": "registry",
        "register_codec": "registry",
    },
)
