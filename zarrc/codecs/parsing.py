"""Codecs from what documents and users say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zarrc.codecs.base import Codec
from zarrc.codecs.registry import get_codec_class, get_v2_codec_class, known_codecs
from zarrc.errors import UnknownCodecError, ZarrcError
from zarrc.reading import Extension, Reading, choices, show

if TYPE_CHECKING:
    from zarrc.codecs.unknown import UnknownCodec

__all__ = ["codec_from_user", "codec_from_v2_json", "codec_from_v3_json", "codecs_from_user"]


def codec_from_v3_json(value: object, reading: Reading) -> Codec:
    """The codec of an item of a v3 document's ``codecs``.

    An unknown one with ``must_understand: false`` becomes an `UnknownCodec`.

    Raises
    ------
    UnknownCodecError
        If the name is not known.
    MetadataError
        If the configuration is not what the codec takes.
    """
    extension = reading.extension(value, may_skip=not reading.from_user)
    with reading.locate():
        try:
            cls = get_codec_class(extension.name)
        except UnknownCodecError:
            if extension.must_understand:
                raise
            return _skipped(value, extension, reading)
    _note_alias(cls, extension.name, reading)
    at = reading.at("configuration")
    with at.locate():
        # Under numcodecs' names the configuration and its defaults are those of v2.
        if extension.name.startswith("numcodecs.") and extension.name != cls.name:
            return _made(cls, cls.from_v2_json, extension.configuration, at)
        return _made(cls, cls.from_v3_json, extension.configuration, at)


def _made(
    cls: type[Codec],
    make: Callable[[Mapping[str, Any], Reading], Codec],
    configuration: Mapping[str, Any],
    reading: Reading,
) -> Codec:
    """The codec of a configuration, which a user's own may refuse as ``cls(**configuration)`` does."""
    try:
        return make(configuration, reading)
    except ZarrcError:
        raise
    except (TypeError, ValueError, LookupError) as error:
        raise reading.error(
            f"the codec does not take this configuration: {type(error).__name__}: {error}", codec=cls.name
        ) from error


def _skipped(value: object, extension: Extension, reading: Reading) -> UnknownCodec:
    import json

    from zarrc.codecs.unknown import UnknownCodec

    reading.note(
        f"the unknown codec {show(extension.name)} has must_understand: false; "
        "it is skipped when reading, and data cannot be written"
    )
    return UnknownCodec(json.dumps(value), name=extension.name)


def _note_alias(cls: type[Codec], name: str, reading: Reading) -> None:
    if name == cls.name:
        return
    if name in cls.registered_aliases:
        reading.at("name").note(f"{name!r} is another name of {cls.name!r}")
    else:
        reading.at("name").assume(f"{name!r} is not a registered name", f"read as {cls.name!r}")


def codec_from_v2_json(value: object, reading: Reading) -> Codec:
    """The codec of a v2 document's ``compressor`` or of an item of its ``filters``.

    Raises
    ------
    UnknownCodecError
        If the ``id`` is not known.
    MetadataError
        If the configuration is not what the codec takes.
    """
    configuration = dict(reading.mapping(value))
    v2_id = reading.at("id").string(reading.required(configuration, "id"))
    del configuration["id"]
    with reading.locate():
        cls = get_v2_codec_class(v2_id)
        return _made(cls, cls.from_v2_json, configuration, reading)


def codec_from_user(value: object, reading: Reading) -> Codec:
    """The codec that a user passed.

    Parameters
    ----------
    value : Codec, str or Mapping
        An object of ours; a name; ``{"name": ..., "configuration": {...}}``; numcodecs' ``{"id": ...}``; or
        an object of numcodecs (``get_config()``) or zarr-python (``to_dict()``). What has a default may be
        left out.
    reading : Reading
        With the path of the argument.
    """
    if isinstance(value, Codec):
        return value
    if isinstance(value, type):
        raise reading.error(f"must be a codec, not the class {value.__name__}; write {value.__name__}(...)")
    for method in ("to_dict", "get_config"):
        if callable(getattr(value, method, None)):
            value = getattr(value, method)()
            break
    if isinstance(value, Mapping) and "id" in value and "name" not in value:
        return codec_from_v2_json(value, reading)
    if not isinstance(value, (str, Mapping)):
        raise reading.error(
            f"must be a codec, its name, or an object such as {{'name': 'zstd'}}, got {show(value)}; "
            f"known: {choices(known_codecs())}"
        )
    return codec_from_v3_json(value, reading)


def codecs_from_user(values: object, reading: Reading) -> tuple[Codec, ...]:
    """The codecs that a user passed: one, several, or None for none."""
    if values is None:
        return ()
    if isinstance(values, (str, Mapping, Codec)) or not isinstance(values, Iterable):
        return (codec_from_user(values, reading),)
    items: Iterable[Any] = values
    return tuple(codec_from_user(item, reading.at(i)) for i, item in enumerate(items))
