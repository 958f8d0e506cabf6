"""Codecs as a document of format 3 has them; what depends on an array is filled in by the case."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def codec_v3(name: str, **configuration: Any) -> Json:
    return {"name": name, "configuration": configuration}


def blosc_v3(cname: str, shuffle: str, *, clevel: int = 5, blocksize: int = 0) -> Json:
    return codec_v3("blosc", cname=cname, clevel=clevel, shuffle=shuffle, typesize=None, blocksize=blocksize)


ZSTD = codec_v3("zstd", level=1, checksum=False)
GZIP = codec_v3("gzip", level=5)
CRC: Json = {"name": "crc32c"}
TRANSPOSE = codec_v3("transpose", order="reversed")
ROTATE = codec_v3("transpose", order="rotated")
BITROUND = codec_v3("bitround", keepbits=5)
LITTLE = codec_v3("bytes", endian="little")
BIG = codec_v3("bytes", endian="big")
