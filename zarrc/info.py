"""Summaries of arrays and groups, as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zarrc.errors import MetadataError

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.codecs.base import Codec
    from zarrc.grids.axis import Axis
    from zarrc.grids.base import ChunkGrid
    from zarrc.group import Group

__all__ = ["ArrayInfo", "GroupInfo", "array_info", "group_info"]

_FEW_EXTENTS = 8
"""More chunks along an axis are not shown one by one."""
_UNITS = ("", "K", "M", "G", "T", "P", "E")


@dataclass(frozen=True, slots=True)
class Info:
    """Names and values, in the order in which they are shown.

    Parameters
    ----------
    items : tuple of (str, str)
        What to show.
    """

    items: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        width = max(len(name) for name, _ in self.items)
        return "\n".join(f"{name:<{width}} : {value}" for name, value in self.items)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="text-align: left">{html.escape(name)}</th>'
            f'<td style="text-align: left">{html.escape(value)}</td></tr>'
            for name, value in self.items
        )
        return f'<table class="zarrc-info"><tbody>{rows}</tbody></table>'


class ArrayInfo(Info):
    """Summary of an array: sizes, chunks, codecs, and where it was asked for what is stored."""

    __slots__ = ()


class GroupInfo(Info):
    """Summary of a group."""

    __slots__ = ()


def human_nbytes(nbytes: int) -> str:
    """Return a number of bytes with its value in K, M, G, ... (powers of 1024) where that is shorter."""
    if nbytes < 1024:
        return str(nbytes)
    value, unit = float(nbytes), 0
    # Judged as it will be shown: 1023.96 K would be written "1024.0K".
    while value >= 1023.95 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{nbytes} ({value:.1f}{_UNITS[unit]})"


def describe_codec(codec: Codec) -> str:
    """Return a codec as ``name(option=value, ...)``."""
    document = codec.to_v3_json()
    options = ", ".join(f"{key}={value!r}" for key, value in document.get("configuration", {}).items())
    return f"{document['name']}({options})"


def _describe_codecs(codecs: tuple[Codec, ...]) -> str:
    return ", ".join(_describe(codec) for codec in codecs) or "none"


def _describe(codec: Codec) -> str:
    # A codec that cannot say itself in v3 JSON (of v2 only) has its Python form.
    try:
        return describe_codec(codec)
    except MetadataError:
        return repr(codec)


def array_info(array: Array, *, complete: bool = False) -> ArrayInfo:
    """Return the summary of an array; ``complete`` lists the store for what is really there."""
    items = [*_what_it_is(array), *_codec_items(array), ("No. bytes", human_nbytes(array.nbytes))]
    if complete:
        items += _stored_items(array)
    items += [("Assumed", note) for note in array.metadata.assumed]
    return ArrayInfo(tuple(items))


def _what_it_is(array: Array) -> list[tuple[str, str]]:
    metadata = array.metadata
    items = [
        ("Name", array.name),
        ("Type", "Array"),
        ("Zarr format", str(metadata.zarr_format)),
        ("Data type", f"{metadata.data_type.name} ({array.dtype.str})"),
        ("Fill value", str(array.fill_value)),
        ("Shape", str(array.shape)),
        *_grid_items(array),
        ("Order", array.order),
        ("Read-only", str(array.read_only)),
        ("Store", str(array.store)),
    ]
    if array.dimension_names is not None:
        items.insert(6, ("Dimension names", str(array.dimension_names)))
    return items


def _grid_items(array: Array) -> list[tuple[str, str]]:
    metadata = array.metadata
    chunks = [
        ("Chunk shape", describe_grid(metadata.inner_grid)),
        ("No. chunks", f"{array.nchunks} {array.cdata_shape}"),
    ]
    if array.shards is None:
        return chunks
    n_shards = array.nshards
    grid = metadata.chunk_grid.grid_shape(array.shape)
    shards = describe_grid(metadata.chunk_grid)
    items = [("Shard shape", shards), *chunks, ("No. shards", f"{n_shards} {grid}")]
    if array.nchunks > n_shards:
        times = f"{array.nchunks / n_shards:.1f}".removesuffix(".0")
        saved = f"{times}x fewer objects and API calls: {n_shards} shards hold {array.nchunks} chunks"
        items.append(("Sharding saves", saved))
    return items


def describe_grid(grid: ChunkGrid) -> str:
    """Return the chunks along each axis; of many extents how many they are, and from which to which."""
    if grid.is_regular:
        return str(grid.chunk_shape)
    axes = ", ".join(map(_describe_axis, grid.axes))
    return f"({axes}{',' if grid.ndim == 1 else ''}), {grid.name}"


def _describe_axis(axis: Axis) -> str:
    runs = axis.runs
    if isinstance(runs, int):
        return str(runs)
    if sum(count for _, count in runs) <= _FEW_EXTENTS:
        return str(axis.said())
    extents = axis.distinct()
    n_chunks = sum(count for _, count in runs)
    return (
        f"{n_chunks} of {min(extents)} to {max(extents)}"
        if len(extents) > 1
        else f"{n_chunks} of {extents[0]}"
    )


def _codec_items(array: Array) -> list[tuple[str, str]]:
    items = [("Filters", _describe_codecs(array.filters))]
    if array.serializer is not None:
        items.append(("Serializer", _describe(array.serializer)))
    return [*items, ("Compressors", _describe_codecs(array.compressors))]


def _stored_items(array: Array) -> list[tuple[str, str]]:
    stored = array.nbytes_stored()
    shards = (
        []
        if array.shards is None
        else [("Shards initialized", _of(array.nshards_initialized, array.nshards))]
    )
    return [
        ("No. bytes stored", human_nbytes(stored)),
        ("Storage ratio", f"{array.nbytes / stored:.1f}" if stored else "-"),
        ("Chunks initialized", _of(array.nchunks_initialized, array.nchunks)),
        *shards,
    ]


def _of(n_stored: int, n: int) -> str:
    return f"{n_stored} / {n}"


def group_info(group: Group, *, complete: bool = False) -> GroupInfo:
    """Return the summary of a group; ``complete`` counts what is below it."""
    items: list[tuple[str, Any]] = [
        ("Name", group.name),
        ("Type", "Group"),
        ("Zarr format", group.metadata.zarr_format),
        ("Read-only", group.read_only),
        ("Store", group.store),
    ]
    if complete:
        kinds = [type(member).__name__ for _, member in group.members(max_depth=None)]
        items += [
            ("No. members", len(kinds)),
            ("No. arrays", kinds.count("Array")),
            ("No. groups", kinds.count("Group")),
        ]
    items += [("Assumed", note) for note in group.metadata.assumed]
    return GroupInfo(tuple((name, str(value)) for name, value in items))
