"""What a mosaic's group says about it: the attribute ``zarrc_mosaic``, version 1.

::

    {"version": 1, "shape": [750, 1000], "data_type": "float64", "fill_value": 0.0,
     "dimension_names": ["y", "x"], "overlap": "error", "gaps": "fill",
     "tiles": [{"path": "0_0", "start": [0, 0], "shape": [50, 50]}, ...]}

``data_type`` and ``fill_value`` are as in an array's ``zarr.json``; ``dimension_names`` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from zarrc.dtypes import from_v3_json
from zarrc.dtypes.base import DataType
from zarrc.engine.node_names import normalize_path
from zarrc.frozen import frozen
from zarrc.mosaic.tile import Tile
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ATTRIBUTE", "GAPS", "OVERLAPS", "Description", "Gaps", "Overlap"]

ATTRIBUTE: Final = "zarrc_mosaic"
"""Name of the attribute."""

Overlap = Literal["error", "first", "last"]
Gaps = Literal["error", "fill"]
OVERLAPS: Final = ("error", "first", "last")
GAPS: Final = ("error", "fill")

_VERSION = 1
_MAX_EXTENT = 2**63 - 1
_MAX_NDIM = 32
_MAX_TILES = 1_000_000
_KEYS = ("version", "shape", "data_type", "fill_value", "dimension_names", "overlap", "gaps", "tiles")


@frozen(kw_only=True, eq=False)
class Description:
    """A mosaic as its group describes it.

    Parameters
    ----------
    shape : tuple of int
    data_type : DataType
    fill_value : numpy.ndarray
        0-d; what is read where no tile is.
    tiles : tuple of Tile
    overlap : {"error", "first", "last"}
    gaps : {"error", "fill"}
    dimension_names : tuple of (str or None), optional

    Raises
    ------
    MetadataError
        If a tile does not lie inside, or two are one array.
    """

    shape: tuple[int, ...]
    data_type: DataType
    fill_value: npt.NDArray[Any]
    tiles: tuple[Tile, ...]
    overlap: Overlap = "error"
    gaps: Gaps = "error"
    dimension_names: tuple[str | None, ...] | None = None

    def check(self, reading: Reading) -> None:
        """Refuse what makes no mosaic."""
        names = self.dimension_names
        if names is not None and len(names) != len(self.shape):
            raise reading.at("dimension_names").error(
                f"{len(names)} names do not fit {len(self.shape)} dimensions"
            )
        if len(self.tiles) > _MAX_TILES:
            raise reading.at("tiles").error(f"{len(self.tiles)} tiles are more than {_MAX_TILES}")
        paths: set[str] = set()
        for i, tile in enumerate(self.tiles):
            at = reading.at("tiles").at(i)
            with at.locate():
                tile.check(self.shape)
            if tile.path in paths:
                raise at.error(f"{show(tile.path)} is a tile already; an array has one place")
            paths.add(tile.path)

    def to_json(self) -> dict[str, Any]:
        """Return the attribute's value."""
        document: dict[str, Any] = {
            "version": _VERSION,
            "shape": list(self.shape),
            "data_type": self.data_type.to_v3_json(),
            "fill_value": self.data_type.fill_to_json(self.fill_value),
            "overlap": self.overlap,
            "gaps": self.gaps,
            "tiles": [
                {"path": tile.path, "start": list(tile.start), "shape": list(tile.shape)}
                for tile in self.tiles
            ],
        }
        if self.dimension_names is not None:
            document["dimension_names"] = list(self.dimension_names)
        return document

    @classmethod
    def from_json(cls, document: object, key: str) -> Description:
        """Return what an attribute's value says.

        Parameters
        ----------
        document : object
            The attribute's value.
        key : str
            Key of the group's document, for errors.

        Raises
        ------
        MetadataError
            If it is not a mosaic's description, or of a later version.
        """
        reading = Reading(key=key, path=f"attributes.{ATTRIBUTE}", strict=True)
        fields = reading.mapping(document)
        version = reading.required(fields, "version")
        if version != _VERSION or isinstance(version, bool):
            raise reading.at("version").error(
                f"must be {_VERSION}, got {show(version)}: written by a later zarrc?"
            )
        reading.only_keys(fields, _KEYS)
        shape = reading.at("shape").integers(reading.required(fields, "shape"), 0, _MAX_EXTENT)
        if len(shape) > _MAX_NDIM:
            raise reading.at("shape").error(f"has {len(shape)} dimensions; at most {_MAX_NDIM}")
        data_type = from_v3_json(reading.required(fields, "data_type"), reading.at("data_type"))
        at_fill = reading.at("fill_value")
        with at_fill.locate():
            fill = data_type.fill_from_json(reading.required(fields, "fill_value"), reading=at_fill)
        found = cls(
            shape=shape,
            data_type=data_type,
            fill_value=fill,
            tiles=_tiles(reading.required(fields, "tiles"), reading.at("tiles")),
            overlap=reading.at("overlap").one_of(fields.get("overlap", "error"), OVERLAPS),
            gaps=reading.at("gaps").one_of(fields.get("gaps", "error"), GAPS),
            dimension_names=_names(fields.get("dimension_names"), reading.at("dimension_names")),
        )
        found.check(reading)
        return found


def _tiles(value: object, reading: Reading) -> tuple[Tile, ...]:
    items = reading.sequence(value)
    if len(items) > _MAX_TILES:
        raise reading.error(f"{len(items)} tiles are more than {_MAX_TILES}")
    return tuple(_tile(item, reading.at(i)) for i, item in enumerate(items))


def _tile(value: object, reading: Reading) -> Tile:
    fields: Mapping[str, Any] = reading.mapping(value)
    reading.only_keys(fields, ("path", "start", "shape"))
    path = reading.at("path").string(reading.required(fields, "path"))
    try:
        normal = normalize_path(path)
    except ValueError as error:
        raise reading.at("path").error(str(error)) from None
    # Another form of the same path would be another tile over the same data.
    if not path or normal != path:
        raise reading.at("path").error(f"must be the path of a node below the group, got {show(path)}")
    start = reading.at("start").integers(reading.required(fields, "start"), 0, _MAX_EXTENT)
    shape = reading.at("shape").integers(reading.required(fields, "shape"), 0, _MAX_EXTENT)
    return Tile(path, start, shape)


def _names(value: object, reading: Reading) -> tuple[str | None, ...] | None:
    if value is None:
        return None
    items = reading.sequence(value)
    return tuple(item if item is None else reading.at(i).string(item) for i, item in enumerate(items))
