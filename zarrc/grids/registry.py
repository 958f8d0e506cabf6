"""The names of chunk grids and chunk key encodings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids.base import ChunkGrid
from zarrc.grids.key_encoding import ChunkKeyEncoding, DefaultKeyEncoding, V2KeyEncoding
from zarrc.grids.regular import RegularChunkGrid
from zarrc.reading import Reading, choices, closest, show

__all__ = [
    "LATER_KEY_ENCODINGS",
    "chunk_grid_from_user",
    "chunk_grid_from_v3_json",
    "grid_registrations",
    "key_encoding_from_user",
    "key_encoding_from_v3_json",
    "known_chunk_grids",
    "register_chunk_grid",
    "unregister_chunk_grid",
]

_Grid = TypeVar("_Grid", bound=ChunkGrid)

_READ_ONLY = {"rectangular": "rectangular", "zarrs.regular_bounded": "regular_bounded"}
"""Grids that are read as others: name -> function of `zarrc.grids.read_only`, imported when one is met."""
_OWN = (RegularChunkGrid.name, "rectilinear")
"""What comes with zarrc; ``rectilinear`` is imported when it is met."""

_GRIDS: dict[str, type[ChunkGrid]] = {RegularChunkGrid.name: RegularChunkGrid}
_n_registered = 0

KEY_ENCODINGS: dict[str, type[ChunkKeyEncoding]] = {
    DefaultKeyEncoding.name: DefaultKeyEncoding,
    V2KeyEncoding.name: V2KeyEncoding,
}
LATER_KEY_ENCODINGS = ("zarrs.default_suffix",)
"""Names that other implementations know; their place is here."""


def register_chunk_grid(cls: type[_Grid]) -> type[_Grid]:
    """Make a chunk grid known by its name; usable as a decorator.

    Parameters
    ----------
    cls : type
        A subclass of `ChunkGrid`. It replaces an earlier one of the same name.

    Returns
    -------
    type
        ``cls``.

    Raises
    ------
    TypeError
        If it is no subclass of `ChunkGrid`, or has no name.
    ValueError
        If the name is that of a grid that comes with zarrc.
    """
    given: object = cls
    if not isinstance(given, type) or not issubclass(given, ChunkGrid):
        raise TypeError(f"a chunk grid is a subclass of zarrc.grids.ChunkGrid, got {show(cls)}")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(f"a chunk grid has a name that documents call it by; {cls.__qualname__} has none")
    _refuse_own(name)
    _GRIDS[name] = cls
    _count()
    return cls


def unregister_chunk_grid(name: str) -> None:
    """Forget a chunk grid that `register_chunk_grid` made known.

    Raises
    ------
    KeyError
        If there is none of this name.
    ValueError
        If the name is that of a grid that comes with zarrc.
    """
    _refuse_own(name)
    del _GRIDS[name]
    _count()


def known_chunk_grids() -> tuple[str, ...]:
    """The names of the chunk grids that exist here."""
    return tuple(sorted({*_GRIDS, *_OWN}))


def grid_registrations() -> int:
    """A number that changes when a chunk grid is registered: what names mean may be another then."""
    return _n_registered


def _count() -> None:
    global _n_registered
    _n_registered += 1


def _refuse_own(name: str) -> None:
    if name in _OWN or name in _READ_ONLY:
        raise ValueError(f"the chunk grid {name!r} comes with zarrc")


def chunk_grid_from_v3_json(
    value: object, reading: Reading, shape: tuple[int, ...] | None = None
) -> ChunkGrid:
    """The chunk grid of a v3 document, of an array of ``shape``."""
    extension = reading.extension(value)
    name, configuration = extension.name, extension.configuration
    cls = _GRIDS.get(name)
    if cls is None:
        if name in _READ_ONLY and shape is not None:
            read = getattr(import_module("zarrc.grids.read_only"), _READ_ONLY[name])
            with reading.locate():
                grid: ChunkGrid = read(configuration, shape, reading)
            return grid
        if name != "rectilinear":
            raise _unknown("chunk grid", name, known_chunk_grids(), tuple(_READ_ONLY), reading)
        cls = _rectilinear()
    with reading.locate():
        return cls.from_v3_json(configuration, reading.at("configuration"))


def _rectilinear() -> type[ChunkGrid]:
    from zarrc.grids.rectilinear import RectilinearChunkGrid

    return RectilinearChunkGrid


def chunk_grid_from_user(value: object, shape: tuple[int, ...]) -> ChunkGrid:
    """The chunk grid that a user passed.

    Parameters
    ----------
    value : ChunkGrid, Mapping or str
        An object of ours; the form of a v3 document; any object whose ``to_dict()`` gives that
        (zarr-python's), or that has a ``chunk_shape``. The name ``irregular`` has the forms of
        `zarrc.grids.irregular.irregular_grid`.
    shape : tuple of int
        Shape of the array.

    Raises
    ------
    MetadataError
        If it is none of these, or the chunks do not fit together.
    """
    reading = Reading(path="chunk_grid", from_user=True)
    grid = _grid_from_user(value, shape, reading)
    if len(grid.axes) != len(shape):
        raise reading.error(f"the {grid.name!r} grid has {len(grid.axes)} dimensions, the array {len(shape)}")
    return grid


def _grid_from_user(value: object, shape: tuple[int, ...], reading: Reading) -> ChunkGrid:
    if isinstance(value, ChunkGrid):
        return value
    given: Any = value
    if not isinstance(value, (str, Mapping)) and callable(getattr(value, "to_dict", None)):
        given = given.to_dict()
    if isinstance(given, Mapping) and given.get("name") == "irregular":
        extension = reading.extension(given)
        from zarrc.grids.irregular import irregular_grid

        return irregular_grid(extension.configuration, shape, reading.at("configuration"))
    if isinstance(given, (str, Mapping)):
        return chunk_grid_from_v3_json(given, reading, shape)
    if hasattr(given, "chunk_shape"):
        return RegularChunkGrid(tuple(given.chunk_shape))
    raise reading.error(
        "must be an object such as {'name': 'regular', 'configuration': {'chunk_shape': [2, 3]}}, got "
        f"{show(value)}"
    )


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
    if what == "chunk grid" and name == "irregular":
        text = (
            "the chunk grid 'irregular' is for chunk_grid= of a new array, which stores a 'rectilinear' one"
        )
    elif name in later:
        text = f"the {what} {name!r} is not supported in this version of zarrc; supported: {choices(known)}"
    else:
        text = f"unknown {what} {show(name)}{closest(name, [*known, *later])}; known: {choices(known)}"
    return reading.error(text, UnknownExtensionError)
