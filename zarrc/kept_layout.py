"""The chunks, shards, codecs and keys of an array that another one is made like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zarrc.array import Array
from zarrc.metadata.chunking import parse_shape
from zarrc.streaming import chunk_shape_of, grid_of, peer_grid

if TYPE_CHECKING:
    from zarrc.codecs.base import Codec
    from zarrc.grids.base import ChunkGrid
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["keep_layout", "leaf_codecs", "said"]

# None has a meaning of its own for these ("no compressor"); for the others it is as if they had not been
# named.
_NONE_COUNTS = ("fill_value", "filters", "compressors", "compressor", "shards")
_SHAPES = ("chunks", "chunk_shape", "chunk_grid", "shards")
_PARTS = ("filters", "serializer", "compressors", "compressor")
_SHARDING = "sharding_indexed"


def said(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that say something: those that are not None, and those for which None counts."""
    return {name: value for name, value in keywords.items() if value is not None or name in _NONE_COUNTS}


def keep_layout(source: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for a stored array's chunks, codecs and keys, where no others are given.

    Parameters
    ----------
    source : array_like
        Any array; those of other Zarr libraries and of HDF5 tell some of it.
    given : Mapping
        What is said already.
    """
    given = said(given)
    kept: dict[str, Any] = {}
    chunks = _chunks_of(source, given)
    if chunks is not None and not any(name in given for name in ("chunk_shape", "chunk_grid")):
        kept["chunks"] = chunks
    if isinstance(source, Array):
        kept.update(_own_layout(source, given))
    elif hasattr(getattr(source, "metadata", None), "zarr_format"):
        kept.update(_peer_layout(source, given))
    if _says_sharding(given):
        # A codec that comes with a shape of its own, which the kept ones may contradict.
        kept = {name: value for name, value in kept.items() if name not in _SHAPES}
    return {name: value for name, value in said(kept).items() if name not in given}


def _chunks_of(source: Any, given: Mapping[str, Any]) -> Any:
    """Return the chunks of a source, as ``chunks=`` takes them; a grid if they have several shapes."""
    grid = grid_of(source)
    if grid is None:
        return chunk_shape_of(source)
    if grid.is_regular:
        return grid.chunk_shape
    if given.get("shards") is not None:
        return None  # there chunks have one shape, and theirs have several
    return grid.largest_shape if _format(given, source.metadata) == 2 else _grid_for(grid, given)


def _grid_for(grid: ChunkGrid, given: Mapping[str, Any]) -> ChunkGrid:
    """Return the grid for an array of the shape that is given, if one is."""
    return grid.resized(parse_shape(given["shape"])) if given.get("shape") is not None else grid


def _says_sharding(given: Mapping[str, Any]) -> bool:
    codecs = given.get("codecs")
    if not isinstance(codecs, Iterable) or isinstance(codecs, (str, Mapping)):
        codecs = (codecs,)
    named = (*codecs, given.get("serializer"))
    return any(_name(codec) == _SHARDING for codec in named)


def _name(codec: Any) -> Any:
    if isinstance(codec, Mapping):
        return codec.get("name")
    if hasattr(codec, "to_dict"):
        return codec.to_dict().get("name")
    return getattr(codec, "name", codec)


def _format(given: Mapping[str, Any], metadata: Any) -> Any:
    return given.get("zarr_format") or given.get("zarr_version") or metadata.zarr_format


def _own_layout(source: Array, given: Mapping[str, Any]) -> dict[str, Any]:
    metadata = source.metadata
    zarr_format = _format(given, metadata)
    kept: dict[str, Any] = _own_codecs(metadata, zarr_format, given)
    if "zarr_version" not in given:
        kept["zarr_format"] = zarr_format
    if zarr_format == 3:
        kept["dimension_names"] = _distinct_names(metadata.dimension_names, given)
        if metadata.sharding is not None:
            kept["shards"] = {
                "shape": _grid_for(metadata.chunk_grid, given),
                "index_location": metadata.sharding.index_location,
            }
    if zarr_format == metadata.zarr_format:
        kept["chunk_key_encoding"] = metadata.chunk_key_encoding
        if "dimension_separator" in given:
            del kept["chunk_key_encoding"]
        if metadata.v2 is not None:
            kept["order"] = metadata.v2.order
    return kept


def _distinct_names(names: Any, given: Mapping[str, Any]) -> Any:
    """Return a source's dimension names, with None for those that a new array must not have."""
    if names is None or "dimension_names" in given:
        return names
    left_out = {name for name in names if name == "" or (name is not None and list(names).count(name) > 1)}
    if not left_out:
        return names
    from zarrc.warning import warn

    shown = ", ".join(map(repr, sorted(left_out)))
    warn(f"the source's dimension names {shown} are left out: a new array has each once, and no empty one")
    return tuple(None if name in left_out else name for name in names)


def _own_codecs(metadata: ArrayMetadata, zarr_format: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the codec chain as a whole, or the parts of it that are not given."""
    if given.get("codecs") is not None:
        return {}
    if zarr_format == 2 and metadata.zarr_format == 3:
        leaf = leaf_codecs(metadata.codecs)
        parts: dict[str, Any] = {
            "filters": tuple(codec for codec in leaf if codec.kind == "array_to_array"),
            "compressors": tuple(codec for codec in leaf if codec.kind == "bytes_to_bytes"),
        }
    else:
        parts = {"filters": metadata.filters, "compressors": metadata.compressors}
    if metadata.zarr_format == zarr_format == 3:
        parts["serializer"] = metadata.serializer
    if "compressor" in given:
        del parts["compressors"]
    if zarr_format != 3 or any(name in given for name in _PARTS):
        return parts
    # The whole chain, in which a v2 array's order and byte order are codecs.
    sharding = metadata.sharding
    if sharding is not None and any(name in given for name in _SHAPES):
        # Chunks or shards are others: those codecs are kept that an inner chunk has.
        return {"codecs": sharding.codecs}
    return {"codecs": metadata.codecs}


def leaf_codecs(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return the chain of what is encoded alone, below all levels of sharding."""
    for codec in codecs:
        if codec.name == _SHARDING and hasattr(codec, "codecs"):
            return leaf_codecs(codec.codecs)
    return codecs


def _peer_layout(source: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same of another library's Zarr array, from its own JSON forms."""
    metadata = source.metadata
    zarr_format = given.get("zarr_format") or metadata.zarr_format
    kept: dict[str, Any] = {"zarr_format": zarr_format}
    if zarr_format == 3 and metadata.zarr_format == 3:
        codecs = [codec.to_dict() for codec in metadata.codecs]
        if len(codecs) == 1 and _name(codecs[0]) == _SHARDING:
            configuration = codecs[0]["configuration"]
            grid = peer_grid(metadata)
            kept["shards"] = {
                "shape": source.shards if grid is None else _grid_for(grid, given),
                "index_location": configuration.get("index_location", "end"),
            }
            if any(name in given for name in _SHAPES):
                codecs = configuration["codecs"]
        kept["codecs"] = codecs
        kept["dimension_names"] = _distinct_names(metadata.dimension_names, given)
    elif zarr_format == 2 and metadata.zarr_format == 2:
        kept["filters"], kept["compressor"] = metadata.filters, metadata.compressor
    return kept
