"""The names of chunk grids and chunk key encodings."""

from __future__ import annotations

from collections.abc import Iterable

from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids.key_encoding import ChunkKeyEncoding, DefaultKeyEncoding, V2KeyEncoding
from zarrc.grids.regular import RegularChunkGrid
from zarrc.reading import Reading, choices, closest, show

__all__ = [
    "LATER_GRIDS",
    "LATER_KEY_ENCODINGS",
    "chunk_grid_from_v3_json",
    "key_encoding_from_user",
    "key_encoding_from_v3_json",
]

CHUNK_GRIDS = {RegularChunkGrid.name: RegularChunkGrid}
LATER_GRIDS = ("rectilinear", "rectangular", "irregular", "zarrs.regular_bounded")
"""Names that other implementations or the extension registry know; their place is here."""

KEY_ENCODINGS: dict[str, type[ChunkKeyEncoding]] = {
    DefaultKeyEncoding.name: DefaultKeyEncoding,
    V2KeyEncoding.name: V2KeyEncoding,
}
LATER_KEY_ENCODINGS = ("zarrs.default_suffix",)
"""Names that other implementations know; their place is here."""


def chunk_grid_from_v3_json(value: object, reading: Reading) -> RegularChunkGrid:
    """The chunk grid of a v3 document."""
    extension = reading.extension(value)
    if extension.name not in CHUNK_GRIDS:
        raise _unknown("chunk grid", extension.name, CHUNK_GRIDS, LATER_GRIDS, reading)
    with reading.locate():
        return CHUNK_GRIDS[extension.name].from_v3_json(extension.configuration, reading.at("configuration"))


def key_encoding_from_v3_json(value: object, reading: Reading) -> ChunkKeyEncoding:
    """The chunk key encoding of a v3 document."""
    extension = reading.extension(value)
    if extension.name not in KEY_ENCODINGS:
        raise _unknown("chunk key encoding", extension.name, KEY_ENCODINGS, LATER_KEY_ENCODINGS, reading)
    with reading.locate():
        return KEY_ENCODINGS[extension.name].from_v3_json(
            extension.configuration, reading.at("configuration")
        )


def key_encoding_from_user(value: object) -> ChunkKeyEncoding:
    """The chunk key encoding that a user passed.

    Parameters
    ----------
    value : ChunkKeyEncoding, str, tuple or dict
        An object of ours; a name; ``("v2", "/")``; ``{"name": "v2", "separator": "/"}`` or the form of a v3
        document; or any object whose ``to_dict()`` gives that (zarr-python's).
    """
    if isinstance(value, ChunkKeyEncoding):
        return value
    reading = Reading(path="chunk_key_encoding", from_user=True)
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise reading.error(f"as a tuple must be (name, separator), got {show(value)}")
        value = {"name": value[0], "configuration": {"separator": value[1]}}
    elif callable(getattr(value, "to_dict", None)):
        value = value.to_dict()  # type: ignore[attr-defined]
    if isinstance(value, dict) and "separator" in value:
        flat = dict(value)
        configuration = {"separator": flat.pop("separator")}
        value = {"configuration": configuration, **flat}
    return key_encoding_from_v3_json(value, reading)


def _unknown(
    what: str, name: str, known: Iterable[str], later: tuple[str, ...], reading: Reading
) -> MetadataError:
    if name in later:
        text = f"the {what} {name!r} is not supported in this version of zarrc; supported: {choices(known)}"
    else:
        text = f"unknown {what} {show(name)}{closest(name, [*known, *later])}; known: {choices(known)}"
    return reading.error(text, UnknownExtensionError)
