"""The metadata of a new array or group, from what the user passed."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.parsing import codec_from_user, codecs_from_user
from zarrc.codecs.pipeline import check_order, complete_chain
from zarrc.codecs.zstd import ZstdCodec
from zarrc.dtypes import DEFAULT_FILL, DataType, fill_value_for, parse_dtype
from zarrc.errors import MetadataError
from zarrc.frozen import changed
from zarrc.grids import (
    ChunkKeyEncoding,
    DefaultKeyEncoding,
    RegularChunkGrid,
    V2KeyEncoding,
    key_encoding_from_user,
)
from zarrc.metadata.attributes import attributes_to_json
from zarrc.metadata.chunking import parse_grid, parse_shape
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
    shard_nbytes: int | None = None,
    chunk_nbytes: int | None = None,
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
        See `zarrc.metadata.chunking.parse_grid`; two names of one thing.
    shards : optional
        v3: see `zarrc.metadata.sharding.parse_shards`; ``chunks`` are the inner chunks then, and the codecs
        are theirs.
    shard_nbytes : int, optional
        What ``shards="auto"`` aims at, in decoded bytes; by default 64 MB.
    chunk_nbytes : int, optional
        What ``chunks="auto"`` aims at, in decoded bytes; by default 1 to 16 MiB, by the array's size.
    codecs : sequence, optional
        v3: the whole chain; instead of ``filters``, ``serializer`` and ``compressors``. Where there is a
        sharding codec in it (or for the serializer), ``chunks`` is the shape of the shards if its
        ``chunk_shape`` divides it, and that of the inner chunks if it divides the ``chunk_shape``.
    filters : sequence, None or "auto"
        v3: array-to-array codecs. v2: the filters. By default none.
    serializer : codec or "auto"
        v3: the array-to-bytes codec; by default ``bytes``.
    compressors, compressor : codec, sequence, None or "auto"
        v3: bytes-to-bytes codecs. v2: at most one. By default ``zstd`` of level 0 (none around a sharding
        codec, of which nothing less than whole shards could be read then); None for none.
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
    shards = None if shards is False else shards
    if order not in (None, "C", "F"):
        raise MetadataError(f"order: must be 'C' or 'F', got {show(order)}")
    data_type, endian = parse_dtype("float64" if dtype is None else dtype)
    extents = parse_shape(shape)
    chunks = _chunks(chunks, chunk_shape)
    compressors = _one_name("compressors", compressors, "compressor", compressor)
    chain: tuple[Codec, ...] | None = None
    if zarr_format == 3:
        with _NotTooDeep():
            chain = _v3_codecs(codecs, filters, serializer, compressors, endian)
            targets = shard_nbytes, chunk_nbytes
            chunks, chain = _sharded(chain, chunks, shards, extents, data_type.itemsize, *targets)
    elif shards is not None:
        raise MetadataError("shards: zarr_format 2 has no shards; use zarr_format=3")
    grid = parse_grid(chunks, extents, data_type.itemsize, target=chunk_nbytes)
    if zarr_format == 2 and not isinstance(grid, RegularChunkGrid):
        if not grid.is_regular:
            raise MetadataError(
                "chunks: zarr_format 2 has chunks of one shape, and no list of extents along an axis; use "
                "zarr_format=3"
            )
        grid = RegularChunkGrid(grid.chunk_shape)
    check_shapes(extents, grid, data_type.itemsize)
    fill = fill_value_for(data_type, fill_value, zarr_format=zarr_format)
    common: dict[str, Any] = {
        "shape": extents,
        "data_type": data_type,
        "chunk_grid": grid,
        "fill_value": fill,
        "attributes": attributes_to_json(attributes or {}),
    }
    spec = ChunkSpec(grid.largest_shape, data_type.numpy, data_type.default_fill() if fill is None else fill)
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
    assert chain is not None
    with _NotTooDeep():
        with Reading(path="codecs").locate():
            chain = complete_chain(chain, spec)
        return ArrayMetadata(
            zarr_format=3,
            chunk_key_encoding=_v3_key_encoding(chunk_key_encoding),
            codecs=chain,
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
    codecs: Any, filters: Any, serializer: Any, compressors: Any, endian: Endian | None
) -> tuple[Codec, ...]:
    """The chain in order, from ``codecs`` or from its three parts."""
    if codecs is not None:
        if not (_is_auto(filters) and _is_auto(serializer) and _is_auto(compressors)):
            raise MetadataError("codecs: is the whole chain; give it, or filters, serializer and compressors")
        chain = codecs_from_user(_with_endian(codecs, endian), Reading(path="codecs", from_user=True))
    else:
        serial = _serializer(_with_endian(serializer, endian), endian)
        if _is_auto(compressors):
            compressors = () if isinstance(serial, _sharding_class()) else ZstdCodec()
        chain = (
            *_part("filters", "array_to_array", () if _is_auto(filters) else filters),
            serial,
            *_part("compressors", "bytes_to_bytes", compressors),
        )
    with Reading(path="codecs").locate():
        check_order(chain)
    return chain


def _sharding_class() -> Any:
    """The sharding codec's class; nothing is an instance of what is there before it is loaded."""
    loaded = sys.modules.get("zarrc.codecs.sharding")
    return () if loaded is None else loaded.ShardingCodec


def _with_endian(codecs: Any, endian: Endian | None) -> Any:
    """Give a sharding codec without inner codecs the data type's byte order, as the default chain has it."""
    if endian != "big":
        return codecs
    if isinstance(codecs, (list, tuple)):
        return [_with_endian(codec, endian) for codec in codecs]
    configuration = codecs.get("configuration") if isinstance(codecs, Mapping) else None
    if not isinstance(configuration, Mapping) or codecs.get("name") != "sharding_indexed":
        return codecs
    default = (BytesCodec(endian=endian), ZstdCodec())
    return {**codecs, "configuration": {"codecs": default, **configuration}}


def _sharded(
    chain: tuple[Codec, ...],
    chunks: Any,
    shards: Any,
    shape: tuple[int, ...],
    itemsize: int,
    shard_nbytes: int | None,
    chunk_nbytes: int | None,
) -> tuple[Any, tuple[Codec, ...]]:
    """What is said of the chunk grid and the chain, with the shards that were asked for, if any were."""
    explicit = any(isinstance(codec, _sharding_class()) for codec in chain)
    if shards is None and not explicit:
        return chunks, chain
    from zarrc.codecs.sharding import ShardingCodec
    from zarrc.metadata.sharding import parse_shards, shards_of_chain

    if explicit:
        found = shards_of_chain(chain, chunks, shards, shape, itemsize, shard_nbytes, chunk_nbytes)
        if found is not None:
            return found[1], found[0]
    wanted = parse_shards(chunks, shards, shape, itemsize, shard_nbytes, chunk_nbytes)
    codec = ShardingCodec(chunk_shape=wanted.chunks, codecs=chain, index_location=wanted.index_location)
    return wanted.shards, (codec,)


class _NotTooDeep:
    """Codecs in codecs that nobody can have meant are an error of ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, RecursionError):
            raise MetadataError("codecs: are nested too deeply") from None


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
