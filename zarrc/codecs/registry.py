"""The names of codecs, in v3 documents and as the ``id`` of v2 documents."""

from __future__ import annotations

from importlib import import_module

from zarrc.codecs.base import Codec
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
    "vlen-utf8", "vlen-bytes", "vlen-array", "packbits", "reshape", "squeeze",
    "scale_offset", "cast_value", "conditional", "zfp", "pcodec", "n5_default", "bz2", "lzma", "shuffle",
    "delta", "fixedscaleoffset", "quantize", "astype", "zfpy", "crc32", "adler32", "fletcher32",
    "jenkins_lookup3", "base64", "categorize", "json2", "msgpack2", "pickle", "gdeflate", "optional",
    "vlen", "vlen_v2",
)  # fmt: skip
"""Names (without ``numcodecs.`` or ``zarrs.``) that others know, and that have no codec here yet."""

# What comes with zarrc: module, class, v3 name and aliases, v2 id; a test compares them with the classes. A
# module is imported when its codec is met: an array has two or three of them.
_OWN = (
    ("bitround", "BitroundCodec", ("bitround", "numcodecs.bitround"), "bitround"),
    ("blosc", "BloscCodec", ("blosc", "numcodecs.blosc"), "blosc"),
    ("bytes", "BytesCodec", ("bytes", "endian"), None),
    ("crc32c", "Crc32cCodec", ("crc32c", "numcodecs.crc32c"), "crc32c"),
    ("gzip", "GzipCodec", ("gzip", "numcodecs.gzip"), "gzip"),
    ("lz4", "Lz4Codec", ("numcodecs.lz4", "lz4"), "lz4"),
    ("sharding", "ShardingCodec", ("sharding_indexed",), None),
    ("transpose", "TransposeCodec", ("transpose",), None),
    ("zlib", "ZlibCodec", ("numcodecs.zlib", "zlib"), "zlib"),
    ("zstd", "ZstdCodec", ("zstd", "numcodecs.zstd"), "zstd"),
)


class _Unloaded:
    """A codec that comes with zarrc, and that nobody has asked for yet."""

    def __init__(self, module: str, class_name: str, name: str) -> None:
        self.module = module
        self.class_name = class_name
        self.name = name

    def load(self) -> type[Codec]:
        cls: type[Codec] = getattr(import_module(f"zarrc.codecs.{self.module}"), self.class_name)
        return cls


_BY_NAME: dict[str, type[Codec] | _Unloaded] = {}
_BY_V2_ID: dict[str, type[Codec] | _Unloaded] = {}
for _module, _class_name, _names, _v2_id in _OWN:
    _codec = _Unloaded(_module, _class_name, _names[0])
    _BY_NAME.update(dict.fromkeys(_names, _codec))
    if _v2_id is not None:
        _BY_V2_ID[_v2_id] = _codec
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
        return _loaded(_BY_NAME, name)
    raise UnknownCodecError(_unknown(name, known_codecs()), codec=name)


def get_v2_codec_class(v2_id: str) -> type[Codec]:
    """The codec of a v2 ``id``.

    Raises
    ------
    UnknownCodecError
        If there is none; the text names those that there are.
    """
    if v2_id in _BY_V2_ID:
        return _loaded(_BY_V2_ID, v2_id)
    raise UnknownCodecError(_unknown(v2_id, known_v2_ids()), codec=v2_id)


def _loaded(known: dict[str, type[Codec] | _Unloaded], name: str) -> type[Codec]:
    codec = known[name]
    if isinstance(codec, _Unloaded):
        codec = known[name] = codec.load()
    return codec


def _unknown(name: str, known: tuple[str, ...]) -> str:
    if name.removeprefix("numcodecs.").removeprefix("zarrs.") in LATER:
        return f"codec {name!r} is not supported in this version of zarrc; supported: {choices(known)}"
    return f"unknown codec {show(name)}{closest(name, [*_BY_NAME, *LATER])}; known: {choices(known)}"
