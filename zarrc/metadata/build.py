"""The metadata of a new array or group, from what the user passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.parsing import codec_from_user, codecs_from_user
from zarrc.codecs.pipeline import check_order, complete_chain
from zarrc.codecs.zstd import ZstdCodec
from zarrc.dtypes import DEFAULT_FILL, DataType, fill_value_for, parse_dtype
from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.frozen import changed
from zarrc.grids import (
    ChunkKeyEncoding,
    DefaultKeyEncoding,
    RegularChunkGrid,
    V2KeyEncoding,
    key_encoding_from_user,
)
from zarrc.metadata.attributes import attributes_to_json
from zarrc.metadata.chunking import parse_chunks, parse_shape
from zarrc.metadata.model import ArrayMetadata, Endian, GroupMetadata, V2Fields
from zarrc.metadata.v2 import codec_chain
from zarrc.metadata.validation import check_shapes, check_zarr_format
from zarrc.reading import Reading, show

__all__ = ["build_array", "build_group"]

AUTO = "auto"


def build_array(
    *,
    shape: Any,
    dtype: Any = None,
    chunks: Any = AUTO,
    chunk_shape: Any = None,
    shards: Any = None,
    codecs: Any = None,
    filters: Any = AUTO,
    serializer: Any = AUTO,
    compressors: Any = AUTO,
    compressor: Any = AUTO,
    fill_value: Any = DEFAULT_FILL,
    order: Any = None,
    dimension_separator: Any = None,
    zarr_format: Literal[2, 3] | None = 3,
    attributes: Mapping[str, Any] | None = None,
    chunk_key_encoding: Any = None,
    dimension_names: Any = None,
    strict_dimension_names: bool = True,
) -> ArrayMetadata:
    """The metadata of a new array, from zarr-python's names of its parts.

    Parameters
    ----------
    shape : int or sequence of int
    dtype : optional
        What `zarrc.dtypes.parse_dtype` takes; by default float64. In v3 a byte order in it becomes the
        ``bytes`` codec's, unless a serializer is given.
    chunks, chunk_shape : optional
        See `zarrc.metadata.chunking.parse_chunks`; two names of one thing.
    shards : None
        Sharding comes in a later version.
    codecs : sequence, optional
        v3: the whole chain; instead of ``filters``, ``serializer`` and ``compressors``.
    filters : sequence, None or "auto"
        v3: array-to-array codecs. v2: the filters. By default none.
    serializer : codec or "auto"
        v3: the array-to-bytes codec; by default ``bytes``.
    compressors, compressor : codec, sequence, None or "auto"
        v3: bytes-to-bytes codecs. v2: at most one. By default ``zstd`` of level 0; None for none.
    fill_value : optional
        See `zarrc.dtypes.fill_value_for`.
    order : {"C", "F"}, optional
        v2: order of the elements in a stored chunk. v3: concerns results in memory only, and changes nothing
        here.
    dimension_separator : {".", "/"}, optional
        v2 only; by default ".".
    zarr_format : {2, 3}, default 3
    attributes : Mapping, optional
    chunk_key_encoding : optional
        See `zarrc.grids.key_encoding_from_user`.
    dimension_names : sequence of (str or None), optional
        v3 only.
    strict_dimension_names : bool, default True
        Whether names must be unique and not empty; the specification does not ask for that.

    Returns
    -------
    ArrayMetadata

    Raises
    ------
    MetadataError
        If an argument is wrong, or they do not fit together; the text says which, and what is allowed.
    AttributesError
        If an attribute cannot be stored as JSON.
    """
    if zarr_format is None:
        zarr_format = 3
    check_zarr_format(zarr_format)
    if shards is not None:
        raise UnknownExtensionError("shards: sharding is not supported in this version of zarrc")
    if order not in (None, "C", "F"):
        raise MetadataError(f"order: must be 'C' or 'F', got {show(order)}")
    data_type, endian = parse_dtype("float64" if dtype is None else dtype)
    extents = parse_shape(shape)
    grid = RegularChunkGrid(parse_chunks(_chunks(chunks, chunk_shape), extents, data_type.itemsize))
    check_shapes(extents, grid.chunk_shape, data_type.itemsize)
    fill = fill_value_for(data_type, fill_value, zarr_format=zarr_format)
    common: dict[str, Any] = {
        "shape": extents,
        "data_type": data_type,
        "chunk_grid": grid,
        "fill_value": fill,
        "attributes": attributes_to_json(attributes or {}),
    }
    spec = ChunkSpec(grid.chunk_shape, data_type.numpy, data_type.default_fill() if fill is None else fill)
    compressors = _one_name("compressors", compressors, "compressor", compressor)
    if zarr_format == 2:
        if dimension_names is not None:
            raise MetadataError("dimension_names: zarr_format 2 has none; use zarr_format=3")
        if codecs is not None or not _is_auto(serializer):
            raise MetadataError("codecs, serializer: zarr_format 2 has filters= and compressors= instead")
        separator = _v2_separator(dimension_separator, chunk_key_encoding)
        v2 = V2Fields(
            order=order or "C",
            filters=_v2_filters(filters),
            compressor=_v2_compressor(compressors),
            dimension_separator=separator,
        )
        return _build_v2(common, v2, spec, endian or "little")
    if dimension_separator is not None:
        raise MetadataError("dimension_separator: belongs to zarr_format 2; use chunk_key_encoding= in 3")
    return ArrayMetadata(
        zarr_format=3,
        chunk_key_encoding=_v3_key_encoding(chunk_key_encoding),
        codecs=_v3_codecs(codecs, filters, serializer, compressors, endian, spec),
        dimension_names=_dimension_names(dimension_names, len(extents), strict_dimension_names),
        **common,
    )


def build_group(
    *, zarr_format: Literal[2, 3] | None = 3, attributes: Mapping[str, Any] | None = None
) -> GroupMetadata:
    """The metadata of a new group."""
    if zarr_format is None:
        zarr_format = 3
    check_zarr_format(zarr_format)
    return GroupMetadata(zarr_format=zarr_format, attributes=attributes_to_json(attributes or {}))


def _is_auto(value: object) -> bool:
    return isinstance(value, str) and value == AUTO


def _one_name(name: str, value: Any, other_name: str, other: Any) -> Any:
    """The argument that was given under one of two names."""
    if not _is_auto(value) and not _is_auto(other):
        raise MetadataError(f"{name}, {other_name}: are two names of one thing; give one of them")
    return other if _is_auto(value) else value


def _chunks(chunks: Any, chunk_shape: Any) -> Any:
    if chunk_shape is None:
        return chunks
    if chunks is not None and not _is_auto(chunks):
        raise MetadataError("chunks, chunk_shape: are two names of one thing; give one of them")
    return chunk_shape


def _v3_key_encoding(value: Any) -> ChunkKeyEncoding:
    return DefaultKeyEncoding() if value is None else key_encoding_from_user(value)


def _v3_codecs(
    codecs: Any, filters: Any, serializer: Any, compressors: Any, endian: Endian | None, spec: ChunkSpec
) -> tuple[Codec, ...]:
    """The complete chain, from ``codecs`` or from its three parts."""
    if codecs is not None:
        if not (_is_auto(filters) and _is_auto(serializer) and _is_auto(compressors)):
            raise MetadataError("codecs: is the whole chain; give it, or filters, serializer and compressors")
        chain = codecs_from_user(codecs, Reading(path="codecs", from_user=True))
    else:
        chain = (
            *_part("filters", "array_to_array", () if _is_auto(filters) else filters),
            _serializer(serializer, endian),
            *_part("compressors", "bytes_to_bytes", ZstdCodec() if _is_auto(compressors) else compressors),
        )
    with Reading(path="codecs").locate():
        check_order(chain)
        return complete_chain(chain, spec)


def _part(name: str, kind: str, values: Any) -> tuple[Codec, ...]:
    reading = Reading(path=name, from_user=True)
    codecs = codecs_from_user(values, reading)
    for codec in codecs:
        if codec.kind != kind:
            raise _wrong_kind(codec, kind, reading)
    return codecs


def _wrong_kind(codec: Codec, kind: str, reading: Reading) -> MetadataError:
    return reading.error(f"{codec.name!r} is {codec.kind}, and only {kind} is allowed here", codec=codec.name)


def _serializer(value: Any, endian: Endian | None) -> Codec:
    reading = Reading(path="serializer", from_user=True)
    codec = BytesCodec(endian=endian or "little") if _is_auto(value) else codec_from_user(value, reading)
    if codec.kind != "array_to_bytes":
        raise _wrong_kind(codec, "array_to_bytes", reading)
    return codec


def _dimension_names(value: Any, ndim: int, strict: bool) -> tuple[str | None, ...] | None:
    if value is None:
        return None
    reading = Reading(path="dimension_names", from_user=True)
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Sequence):
        raise reading.error(f"must be a sequence of strings or None, got {show(value)}")
    for axis, name in enumerate(names):
        if name is not None and not isinstance(name, str):
            raise reading.at(axis).error(f"must be a string or None, got {show(name)}")
    if len(names) != ndim:
        raise reading.error(f"there are {len(names)} names for {ndim} dimensions")
    if strict:
        given = [name for name in names if name is not None]
        if "" in given:
            raise reading.error("a name must not be empty; None stands for no name")
        twice = next((name for i, name in enumerate(given) if name in given[:i]), None)
        if twice is not None:
            raise reading.error(f"{twice!r} names two dimensions; names must be unique")
    return tuple(None if name is None else str(name) for name in names)


def _v2_separator(separator: Any, encoding: Any) -> Literal[".", "/"]:
    reading = Reading(path="dimension_separator", from_user=True)
    if encoding is not None:
        parsed = key_encoding_from_user(encoding)
        if not isinstance(parsed, V2KeyEncoding):
            raise MetadataError(f"chunk_key_encoding: zarr_format 2 takes 'v2' only, got {parsed.name!r}")
        if separator is not None and separator != parsed.separator:
            raise reading.error(f"{separator!r} contradicts the chunk key encoding's {parsed.separator!r}")
        return parsed.separator
    checked: Literal[".", "/"] = reading.one_of("." if separator is None else separator, (".", "/"))
    return checked


def _v2_filters(filters: Any) -> tuple[Codec, ...] | None:
    codecs = () if _is_auto(filters) else codecs_from_user(filters, Reading(path="filters", from_user=True))
    return codecs or None


def _v2_compressor(value: Any) -> Codec | None:
    reading = Reading(path="compressors", from_user=True)
    codecs = codecs_from_user(ZstdCodec() if _is_auto(value) else value, reading)
    if len(codecs) > 1:
        raise reading.error(f"zarr_format 2 has one compressor, got {len(codecs)}; filters= takes any number")
    for codec in codecs:
        if codec.kind != "bytes_to_bytes":
            raise _wrong_kind(codec, "bytes_to_bytes", reading)
    return codecs[0] if codecs else None


def _build_v2(common: dict[str, Any], v2: V2Fields, spec: ChunkSpec, endian: Endian) -> ArrayMetadata:
    for codec in (*(v2.filters or ()), *([v2.compressor] if v2.compressor else [])):
        codec.to_v2_json()
    if v2.compressor is not None:
        # What is stored is complete: the shuffle by name of what it is, not "automatic".
        v2 = changed(v2, compressor=v2.compressor.with_spec(spec))
    data_type: DataType = common["data_type"]
    return ArrayMetadata(
        zarr_format=2,
        endian=endian if data_type.swap_unit > 1 else "little",
        chunk_key_encoding=V2KeyEncoding(v2.dimension_separator or "."),
        codecs=codec_chain(v2, spec, endian),
        v2=v2,
        **common,
    )
