"""The names of codecs, in v3 documents and as the ``id`` of v2 documents."""

from __future__ import annotations

from zarrc.codecs.base import Codec
from zarrc.codecs.bitround import BitroundCodec
from zarrc.codecs.blosc import BloscCodec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.crc32c import Crc32cCodec
from zarrc.codecs.gzip import GzipCodec
from zarrc.codecs.lz4 import Lz4Codec
from zarrc.codecs.transpose import TransposeCodec
from zarrc.codecs.zlib import ZlibCodec
from zarrc.codecs.zstd import ZstdCodec
from zarrc.errors import UnknownCodecError
from zarrc.reading import choices, closest, show

__all__ = [
    "LATER",
    "get_codec_class",
    "get_v2_codec_class",
    "known_codecs",
    "known_v2_ids",
    "register_codec",
    "registrations",
]

LATER = (
    "sharding_indexed", "vlen-utf8", "vlen-bytes", "vlen-array", "packbits", "reshape", "squeeze",
    "scale_offset", "cast_value", "conditional", "zfp", "pcodec", "n5_default", "bz2", "lzma", "shuffle",
    "delta", "fixedscaleoffset", "quantize", "astype", "zfpy", "crc32", "adler32", "fletcher32",
    "jenkins_lookup3", "base64", "categorize", "json2", "msgpack2", "pickle", "gdeflate", "optional",
    "vlen", "vlen_v2",
)  # fmt: skip
"""Names (without ``numcodecs.`` or ``zarrs.``) that others know, and that have no codec here yet."""

_BY_NAME: dict[str, type[Codec]] = {}
_BY_V2_ID: dict[str, type[Codec]] = {}
_n_registered = 0


def registrations() -> int:
    """A number that changes when a codec is registered: what names mean may be another then."""
    return _n_registered


def register_codec(cls: type[Codec]) -> type[Codec]:
    """Make a codec known by its name, its aliases and its v2 ``id``; usable as a decorator.

    Parameters
    ----------
    cls : type
        A subclass of `Codec`. It replaces an earlier codec of the same name.

    Returns
    -------
    type
        ``cls``.
    """
    for name in (cls.name, *cls.aliases):
        _BY_NAME[name] = cls
    if cls.v2_id is not None:
        _BY_V2_ID[cls.v2_id] = cls
    global _n_registered
    _n_registered += 1
    return cls


def known_codecs() -> tuple[str, ...]:
    """The names of the codecs that exist here, as they are written in v3 documents."""
    return tuple(sorted({cls.name for cls in _BY_NAME.values()}))


def known_v2_ids() -> tuple[str, ...]:
    """The ``id`` of each codec that exists here in v2."""
    return tuple(sorted(_BY_V2_ID))


def get_codec_class(name: str) -> type[Codec]:
    """The codec of a v3 name or alias.

    Raises
    ------
    UnknownCodecError
        If there is none; the text names those that there are.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise UnknownCodecError(_unknown(name, known_codecs()), codec=name)


def get_v2_codec_class(v2_id: str) -> type[Codec]:
    """The codec of a v2 ``id``.

    Raises
    ------
    UnknownCodecError
        If there is none; the text names those that there are.
    """
    if v2_id in _BY_V2_ID:
        return _BY_V2_ID[v2_id]
    raise UnknownCodecError(_unknown(v2_id, known_v2_ids()), codec=v2_id)


def _unknown(name: str, known: tuple[str, ...]) -> str:
    if name.removeprefix("numcodecs.").removeprefix("zarrs.") in LATER:
        return f"codec {name!r} is not supported in this version of zarrc; supported: {choices(known)}"
    return f"unknown codec {show(name)}{closest(name, [*_BY_NAME, *LATER])}; known: {choices(known)}"


for _cls in (
    BitroundCodec, BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, Lz4Codec, TransposeCodec, ZlibCodec,
    ZstdCodec,
):  # fmt: skip
    register_codec(_cls)
