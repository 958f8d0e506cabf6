"""Codecs: one module each, the registry of their names, and the chain that they make."""

from zarrc.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec, Codec
from zarrc.codecs.bitround import BitroundCodec
from zarrc.codecs.blosc import BloscCodec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.crc32c import Crc32cCodec
from zarrc.codecs.gzip import GzipCodec
from zarrc.codecs.lz4 import Lz4Codec
from zarrc.codecs.registry import get_codec_class, known_codecs, register_codec
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
    "TransposeCodec",
    "UnknownCodec",
    "ZlibCodec",
    "ZstdCodec",
    "get_codec_class",
    "known_codecs",
    "register_codec",
]
