"""Create and open mosaics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.array import Array
from zarrc.config import ArrayConfigLike, close_names, parse_array_config
from zarrc.creation.keywords import ZarrFormat, default_format, parse_format
from zarrc.creation.opening import open_group
from zarrc.creation.places import Mode, Place
from zarrc.dtypes import DEFAULT_FILL, fill_value_for, parse_dtype
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.node_names import check_new_path, join, normalize_path
from zarrc.errors import MetadataError
from zarrc.group import Group
from zarrc.metadata.build import build_group
from zarrc.metadata.chunking import parse_shape
from zarrc.mosaic.cells import NewTile, cells_to_tiles, parse_cells, parse_tiles
from zarrc.mosaic.document import ATTRIBUTE, GAPS, OVERLAPS, Description, Gaps, Overlap
from zarrc.mosaic.handle import Mosaic, checked_tiling
from zarrc.mosaic.tile import Tile
from zarrc.new_array import build_metadata, check_keywords
from zarrc.reading import Reading, choices, show

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["create", "from_arrays", "from_chunk_shapes", "open"]

_TILE_KEYWORDS = (
    "chunks",
    "chunk_grid",
    "shards",
    "codecs",
    "filters",
    "serializer",
    "compressors",
    "compressor",
    "order",
    "chunk_key_encoding",
    "dimension_separator",
    "attributes",
)


def create(
    store: Any = None,
    *,
    shape: int | Iterable[int],
    tiles: Any,
    dtype: Any = None,
    fill_value: Any = DEFAULT_FILL,
    overlap: Overlap = "error",
    gaps: Gaps = "error",
    dimension_names: Iterable[str | None] | None = None,
    tile_options: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
) -> Mosaic:
    """Create a mosaic: a group, an array in it for each tile, and an attribute that says how they lie.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; None for a new `MemoryStore`.
    shape : int or tuple of int
        Shape of the whole.
    tiles : Mapping or iterable
        ``{start: shape, ...}``, or ``{start: {"shape": ..., "chunks": ..., "path": ...}, ...}``; or a list of
        ``(start, shape)``, ``(start, shape, {"chunks": ...})`` and `Tile` objects. ``path`` names the tile's
        array; by default it is the tile's number.
    dtype : dtype-like, default float64
        Data type of all tiles.
    fill_value : scalar, optional
        Value of elements that no tile covers, and of those that were never written; 0 by default.
    overlap : {"error", "first", "last"}, default "error"
        Whether tiles may overlap, and whose elements are seen there: those of the first tile in the list, or
        of the last. What is written goes to the tile that is seen, and to no other.
    gaps : {"error", "fill"}, default "error"
        Whether there may be elements that no tile covers. With "fill" they read as ``fill_value``; writing
        to them is an error.
    dimension_names : sequence of (str or None), optional
        A name for each dimension.
    tile_options : Mapping, optional
        Keywords for the arrays of all tiles: ``chunks``, ``shards``, ``codecs`` and so on, as for
        `zarrc.create_array`. What a tile says itself comes before them.
    attributes : Mapping, optional
        The user's attributes.
    zarr_format : {2, 3}, optional
        Of the group and the tiles.
    path : str, optional
        Path inside the store.
    overwrite : bool, default False
        Delete what is there first.
    storage_options : Mapping, optional
        For the file system of a URL.
    config : ArrayConfig or Mapping, optional
        How tiles are read and written.

    Returns
    -------
    Mosaic

    Raises
    ------
    MetadataError
        If a tile does not lie inside, if there are overlaps or gaps that must not be, or if an option makes
        no valid array. Nothing is stored then.
    ContainsNodeError
        If there is an array or a group already.
    TypeError
        If something is of a wrong kind, or for an option that tiles do not have.

    Notes
    -----
    The attribute is written last: what was interrupted is no mosaic. Tiles cannot be resized.

    Examples
    --------
    >>> from zarrc import mosaic
    >>> m = mosaic.create(shape=(100, 300), tiles={(0, 0): (100, 100), (0, 100): (100, 200)}, dtype="i4")
    >>> m[50, 90:110] = 7
    >>> int(m[...].sum())
    140
    """
    return _create(
        store,
        parse_tiles(tiles),
        shape=shape,
        dtype=dtype,
        fill_value=fill_value,
        overlap=overlap,
        gaps=gaps,
        dimension_names=dimension_names,
        tile_options=tile_options,
        attributes=attributes,
        zarr_format=zarr_format,
        path=path,
        overwrite=overwrite,
        storage_options=storage_options,
        config=config,
        caller="mosaic.create",
    )


def from_chunk_shapes(
    store: Any = None,
    shape: int | Iterable[int] | None = None,
    chunk_shapes: Mapping[Any, Any] | None = None,
    *,
    starts: Mapping[Any, Any] | None = None,
    **keywords: Any,
) -> Mosaic:
    """Create a mosaic of cells that need not line up in a grid: one tile, and one chunk, for each cell.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; None for a new `MemoryStore`.
    shape : int or tuple of int
        Shape of the whole.
    chunk_shapes : Mapping
        From a cell's index to its shape: ``{(0, 0): (50, 50), (0, 1): (100, 100), ...}``. Indices and shapes
        may be lists, an index also text: ``"0,1"``.
    starts : Mapping, optional
        Where each cell begins, by its index. By default cells stand like text on lines: those that differ in
        the last number of their index only are a row, and stand side by side, without gaps, in the order of
        that number. Rows stand one below the other, each as high as its highest cell. With more dimensions,
        blocks of rows follow each other in the same way.
    **keywords
        As for `create`: ``dtype``, ``fill_value``, ``gaps``, ``overlap``, ``tile_options`` and so on.

    Returns
    -------
    Mosaic
        Its tiles are named by the indices of their cells: ``"0_1"``.

    Raises
    ------
    MetadataError
        As for `create`, and for maps that are none.

    Notes
    -----
    A cell that reaches over the far edge of the shape is cut there, as chunks are. Under a cell that is lower
    than its row there is a gap: ``gaps="fill"`` allows that, ``starts`` says it otherwise.
    """
    if shape is None or chunk_shapes is None:
        raise TypeError("from_chunk_shapes() needs a shape and chunk_shapes")
    known = set(create.__kwdefaults__ or {}) | {"overlap", "gaps"}
    check_keywords("mosaic.from_chunk_shapes", keywords, sorted(known - {"tiles", "shape"}))
    new = cells_to_tiles(parse_cells(chunk_shapes), parse_shape(shape), starts)
    return _create(store, new, shape=shape, caller="mosaic.from_chunk_shapes", **keywords)


def from_arrays(
    group: Any,
    tiles: Mapping[Any, Any] | Iterable[Any],
    *,
    shape: int | Iterable[int] | None = None,
    fill_value: Any = DEFAULT_FILL,
    overlap: Overlap = "error",
    gaps: Gaps = "error",
    dimension_names: Iterable[str | None] | None = None,
    config: ArrayConfigLike = None,
) -> Mosaic:
    """Make a mosaic of arrays that are stored already, below one group.

    Parameters
    ----------
    group : Group or store-like
        The group; it gets the attribute that describes the mosaic.
    tiles : Mapping or iterable
        ``{start: "path", ...}`` or a list of ``(start, "path")``: paths below the group.
    shape : int or tuple of int, optional
        Shape of the whole; by default that of the box around all tiles, from 0.
    fill_value, overlap, gaps, dimension_names, config
        As for `create`. Elements of tiles that were never written have the tile's own fill value.

    Returns
    -------
    Mosaic

    Raises
    ------
    MemberNotFoundError
        If there is no such array.
    MetadataError
        As for `create`; also if the arrays' data types differ.
    """
    if not isinstance(group, Group):
        group = open_group(group, mode="r+")
    pairs = list(tiles.items() if isinstance(tiles, Mapping) else tiles)
    found: list[tuple[Tile, Array]] = []
    for start, path in pairs:
        array = group.get_array(path)
        where = tuple(start) if isinstance(start, Iterable) else (start,)
        found.append((Tile(normalize_path(path), tuple(map(int, where)), array.shape), array))
    if not found:
        raise ValueError("a mosaic of stored arrays needs at least one")
    if shape is None:
        stops = [tile.stop for tile, _ in found if len(tile.start) == len(tile.shape)]
        shape = tuple(map(max, *stops)) if len(stops) > 1 else found[0][0].stop
    first = found[0][1].metadata.data_type
    for tile, array in found:
        if array.metadata.data_type != first:
            raise MetadataError(f"tile {tile.path!r} is of data type {array.metadata.data_type}, not {first}")
    description = _described(
        [tile for tile, _ in found], shape, first.name, fill_value, overlap, gaps, dimension_names
    )
    group._check_writable("make it a mosaic")
    _publish(group, description)
    return Mosaic(group, config=config)


def open(
    store: Any = None,
    *,
    mode: Mode | None = None,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    check: bool = True,
) -> Mosaic:
    """Open a mosaic.

    Parameters
    ----------
    store : store-like or Group, optional
        Store, path, URL or mapping, or the group itself; by default ``path`` is the place.
    mode : {"r", "r+"}, optional
        By default read and write, where the store allows it.
    path : str, optional
        Path inside ``store``.
    zarr_format : {2, 3}, optional
        Look for this format only.
    storage_options : Mapping, optional
        For the file system of a URL.
    config : ArrayConfig or Mapping, optional
        How tiles are read and written.
    check : bool, default True
        Whether to look at all tiles now, with one batch of requests; otherwise each is looked at when it is
        first read or written.

    Raises
    ------
    GroupNotFoundError
        If there is no group.
    NodeNotFoundError
        If a tile's array is not there.
    MetadataError
        If the group describes no mosaic, or a wrong one, or a tile is not what it says.
    """
    if mode not in (None, "r", "r+"):
        raise ValueError(f"mode must be 'r' or 'r+', got {mode!r}; mosaic.create makes a new one")
    if isinstance(store, Group):
        group = store
    else:
        where = Place(store, path, mode, storage_options)
        found = where.find(parse_format(zarr_format, None))
        if found is None:
            raise where.missing("group", zarr_format)
        if not isinstance(found, Group):
            raise where.wrong_kind(found)
        group = found
    return Mosaic(group, config=config, check=check)


# --- what they have in common


def _create(
    store: Any,
    new: list[NewTile],
    *,
    shape: Any,
    dtype: Any = None,
    fill_value: Any = DEFAULT_FILL,
    overlap: Any = "error",
    gaps: Any = "error",
    dimension_names: Any = None,
    tile_options: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    caller: str,
) -> Mosaic:
    options = parse_array_config(config)
    description = _described(
        [tile for tile, _ in new], shape, dtype, fill_value, overlap, gaps, dimension_names
    )
    wanted = default_format(parse_format(zarr_format, None))
    if attributes and ATTRIBUTE in attributes:
        raise MetadataError(f"the attribute {ATTRIBUTE!r} describes the mosaic; leave it out")
    # Everything is looked at before anything is stored or deleted.
    arrays = _tile_metadata(description, new, dict(tile_options or {}), wanted, caller)
    metadata = build_group(zarr_format=wanted, attributes=attributes)
    where = Place(store, path, "w" if overwrite else "a", storage_options)
    create_node(where.store, where.path, metadata, overwrite=overwrite)
    group = Group(where.store, where.path, metadata)
    try:
        for (tile, _), array in zip(new, arrays, strict=True):
            create_node(where.store, join(where.path, tile.path), array)
        _publish(group, description)
    except BaseException:
        delete_node(where.store, where.path)
        raise
    return Mosaic(group, config=options, check=False)


def _described(
    tiles: list[Tile],
    shape: Any,
    dtype: Any,
    fill_value: Any,
    overlap: Any,
    gaps: Any,
    dimension_names: Any,
) -> Description:
    """Return the description of a new mosaic, of which all that can be wrong was looked at."""
    if overlap not in OVERLAPS:
        raise ValueError(f"overlap must be one of {choices(OVERLAPS)}, got {show(overlap)}")
    if gaps not in GAPS:
        raise ValueError(f"gaps must be one of {choices(GAPS)}, got {show(gaps)}")
    data_type = parse_dtype("float64" if dtype is None else dtype)[0]
    fill = fill_value_for(data_type, fill_value)
    description = Description(
        shape=parse_shape(shape),
        data_type=data_type,
        fill_value=np.asarray(fill),
        tiles=tuple(tiles),
        overlap=overlap,
        gaps=gaps,
        dimension_names=None if dimension_names is None else tuple(dimension_names),
    )
    for tile in tiles:
        check_new_path(tile.path)
    description.check(Reading(from_user=True))
    checked_tiling(description)
    return description


def _tile_metadata(
    description: Description,
    new: list[NewTile],
    common: dict[str, Any],
    zarr_format: ZarrFormat,
    caller: str,
) -> list[ArrayMetadata]:
    """Return the metadata of the arrays; tiles that are made alike share theirs."""
    _check_options(f"{caller}: tile_options", common)
    known: dict[Any, ArrayMetadata] = {}
    found = []
    for tile, own in new:
        _check_options(f"{caller}: the options of tile {tile.path!r}", own)
        key = (tile.shape, own.get("chunks")) if set(own) <= {"chunks"} and _is_plain(own) else None
        metadata = known.get(key)
        if key is None or metadata is None:
            given = {**_without_contradictions(common, own), **own}
            given |= {"shape": tile.shape, "dtype": description.data_type.name}
            given |= {"zarr_format": zarr_format, "fill_value": description.fill_value}
            if description.dimension_names is not None and zarr_format == 3:
                given["dimension_names"] = description.dimension_names
            metadata = build_metadata(given, caller)
            if key is not None:
                known[key] = metadata
        found.append(metadata)
    return found


def _check_options(where: str, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in _TILE_KEYWORDS:
            hint = close_names(name, _TILE_KEYWORDS) or f"; known: {', '.join(sorted(_TILE_KEYWORDS))}"
            raise TypeError(f"{where} have the unknown name {show(name)}{hint}")


def _without_contradictions(common: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the common options without those that would contradict a tile's own."""
    parts = {"filters", "serializer", "compressors", "compressor"}
    if "chunk_grid" in own:
        common = {name: value for name, value in common.items() if name != "chunks"}
    if "chunks" in own:
        common = {name: value for name, value in common.items() if name != "chunk_grid"}
    if "codecs" in own:
        return {name: value for name, value in common.items() if name not in parts}
    if parts & set(own):
        return {name: value for name, value in common.items() if name != "codecs"}
    return common


def _is_plain(own: Mapping[str, Any]) -> bool:
    chunks = own.get("chunks")
    return chunks is None or (isinstance(chunks, tuple) and all(type(one) is int for one in chunks))


def _publish(group: Group, description: Description) -> None:
    """Write the attribute that makes the group a mosaic."""
    document = description.to_json()
    group._change_attributes(lambda stored: stored.update({ATTRIBUTE: document}))
