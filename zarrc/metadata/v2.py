"""``.zarray``, ``.zgroup`` and ``.zattrs``: the documents of format 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.parsing import codec_from_v2_json
from zarrc.codecs.pipeline import check_order, complete_chain
from zarrc.codecs.transpose import TransposeCodec
from zarrc.dtypes import DataType, from_v2_json
from zarrc.dtypes.base import Fill
from zarrc.grids import RegularChunkGrid, V2KeyEncoding
from zarrc.grids.regular import MAX_EXTENT
from zarrc.metadata.json import dump_document, load_document
from zarrc.metadata.model import ArrayMetadata, Endian, GroupMetadata, V2Fields
from zarrc.metadata.v3 import shape_from_json
from zarrc.metadata.validation import check_shapes
from zarrc.reading import Reading

__all__ = ["array_documents", "array_to_json", "codec_chain", "group_documents", "parse_array", "parse_group"]

_FIELDS = (
    "zarr_format", "shape", "chunks", "dtype", "compressor", "fill_value", "order", "filters",
    "dimension_separator",
)  # fmt: skip


def parse_array(
    zarray: bytes, zattrs: bytes | None = None, *, strict: bool = False, where: str | None = None
) -> ArrayMetadata:
    """The array of a ``.zarray`` and its ``.zattrs``.

    Parameters
    ----------
    zarray, zattrs : bytes
        The documents; None for a ``.zattrs`` that does not exist.
    strict : bool, default False
        Refuse what the specification does not allow, instead of noting it in ``assumed``.
    where : str, optional
        Key of the ``.zarray``; errors carry it, or that of the ``.zattrs`` beside it.

    Raises
    ------
    MetadataError
        If a document is not valid; the text names the field.
    UnknownExtensionError
        If a codec or the data type is not known here.
    """
    reading = Reading(strict=strict, key=where)
    try:
        attributes = _attributes(zattrs, reading)
        fields = load_document(zarray, reading)
        return array_from_json(fields, attributes, reading, has_zattrs=zattrs is not None)
    except RecursionError:
        raise reading.error("is nested too deeply") from None


def parse_group(
    zgroup: bytes, zattrs: bytes | None = None, *, strict: bool = False, where: str | None = None
) -> GroupMetadata:
    """The group of a ``.zgroup`` and its ``.zattrs``; parameters and errors as for `parse_array`."""
    reading = Reading(strict=strict, key=where)
    attributes = _attributes(zattrs, reading)
    fields = load_document(zgroup, reading)
    reading.at("zarr_format").one_of(reading.required(fields, "zarr_format"), (2,))
    return GroupMetadata(
        zarr_format=2,
        attributes=attributes,
        extra_fields={name: value for name, value in fields.items() if name != "zarr_format"},
        assumed=tuple(reading.notes),
        has_zattrs=zattrs is not None,
    )


def _attributes(zattrs: bytes | None, reading: Reading) -> dict[str, Any]:
    if zattrs is None:
        return {}
    node = None if reading.key is None else reading.key.removesuffix(".zarray").removesuffix(".zgroup")
    key = None if node is None else f"{node}.zattrs"
    return load_document(zattrs, Reading(strict=reading.strict, key=key, path=".zattrs", notes=reading.notes))


def array_from_json(
    fields: Mapping[str, Any], attributes: dict[str, Any], reading: Reading, *, has_zattrs: bool = False
) -> ArrayMetadata:
    """The array of a ``.zarray`` that is parsed already."""
    reading.at("zarr_format").one_of(reading.required(fields, "zarr_format"), (2,))
    shape = shape_from_json(reading.required(fields, "shape"), reading.at("shape"))
    chunks = reading.at("chunks").integers(reading.required(fields, "chunks"), 1, MAX_EXTENT)
    grid = RegularChunkGrid(chunks)
    data_type, endian = from_v2_json(reading.required(fields, "dtype"), reading.at("dtype"))
    with reading.locate():
        check_shapes(shape, grid, data_type.itemsize)
    fill = _fill_value(fields, data_type, reading)
    v2 = V2Fields(
        order=reading.at("order").one_of(reading.defaulted(fields, "order", "C"), ("C", "F")),
        filters=_filters(fields, reading),
        compressor=_compressor(fields, reading),
        dimension_separator=_separator(fields, reading),
        has_zattrs=has_zattrs,
    )
    with reading.locate():
        return ArrayMetadata(
            zarr_format=2,
            shape=shape,
            data_type=data_type,
            endian=endian or "little",
            chunk_grid=grid,
            chunk_key_encoding=V2KeyEncoding(v2.dimension_separator or "."),
            fill_value=fill,
            codecs=codec_chain(v2, ChunkSpec(chunks, data_type.numpy, fill), endian or "little"),
            attributes=attributes,
            extra_fields={name: value for name, value in fields.items() if name not in _FIELDS},
            assumed=tuple(reading.notes),
            v2=v2,
        )


def codec_chain(v2: V2Fields, spec: ChunkSpec, endian: Endian) -> tuple[Codec, ...]:
    """The codec chain that order, filters, byte order and compressor of a v2 array amount to.

    Raises
    ------
    MetadataError
        If the filters are in an order that makes no chain, or cannot encode the array's chunks.
    """
    filters = v2.filters or ()
    # A filter on bytes (a checksum, say) follows the elements' layout, which v2 does not list as a step.
    n_arrays = next((i for i, codec in enumerate(filters) if codec.kind != "array_to_array"), len(filters))
    chain: list[Codec] = [TransposeCodec(order="F")] if v2.order == "F" and len(spec.shape) > 1 else []
    chain += [*filters[:n_arrays], BytesCodec(endian=endian), *filters[n_arrays:]]
    if v2.compressor is not None:
        chain.append(v2.compressor)
    at = Reading(path="filters")
    with at.locate():
        check_order(chain)
        return complete_chain(chain, spec)


def _fill_value(fields: Mapping[str, Any], data_type: DataType, reading: Reading) -> Fill | None:
    value = reading.required(fields, "fill_value")
    if value is None:
        return None
    return data_type.fill_from_json(value, zarr_format=2, reading=reading.at("fill_value"))


def _filters(fields: Mapping[str, Any], reading: Reading) -> tuple[Codec, ...] | None:
    value = reading.defaulted(fields, "filters", None)
    if value is None:
        return None
    at = reading.at("filters")
    items: Sequence[Any] = at.sequence(value)
    return tuple(codec_from_v2_json(item, at.at(i)) for i, item in enumerate(items))


def _compressor(fields: Mapping[str, Any], reading: Reading) -> Codec | None:
    value = reading.required(fields, "compressor")
    if value is None:
        return None
    codec = codec_from_v2_json(value, reading.at("compressor"))
    if codec.kind != "bytes_to_bytes":
        raise reading.at("compressor").error(
            f"{codec.name!r} is a filter, not a compressor", codec=codec.name
        )
    return codec


def _separator(fields: Mapping[str, Any], reading: Reading) -> Literal[".", "/"] | None:
    if "dimension_separator" not in fields:
        return None
    at = reading.at("dimension_separator")
    if fields["dimension_separator"] is None:
        at.assume("is null", "read as '.'")
        return None
    separator: Literal[".", "/"] = at.one_of(fields["dimension_separator"], (".", "/"))
    return separator


def array_to_json(metadata: ArrayMetadata) -> dict[str, Any]:
    """The ``.zarray`` of an array: every field of the specification, then the unknown ones as they were."""
    v2, fill = metadata.v2, metadata.fill_value
    assert v2 is not None
    document: dict[str, Any] = {
        "zarr_format": 2,
        "shape": list(metadata.shape),
        "chunks": list(metadata.chunks),
        "dtype": metadata.data_type.to_v2_json(metadata.endian),
        "compressor": None if v2.compressor is None else v2.compressor.to_v2_json(),
        "fill_value": None if fill is None else metadata.data_type.fill_to_json(fill, zarr_format=2),
        "order": v2.order,
        "filters": None if v2.filters is None else [codec.to_v2_json() for codec in v2.filters],
        "dimension_separator": metadata.chunk_key_encoding.separator,
    }
    return document | dict(metadata.extra_fields)


def array_documents(metadata: ArrayMetadata, *, indent: int | None) -> dict[str, bytes]:
    """The documents of a v2 array, by name."""
    assert metadata.v2 is not None
    documents = {".zarray": dump_document(array_to_json(metadata), indent=indent)}
    return documents | _zattrs(metadata.attributes, metadata.v2.has_zattrs, indent)


def group_documents(metadata: GroupMetadata, *, indent: int | None) -> dict[str, bytes]:
    """The documents of a v2 group, by name."""
    documents = {".zgroup": dump_document({"zarr_format": 2} | dict(metadata.extra_fields), indent=indent)}
    return documents | _zattrs(metadata.attributes, metadata.has_zattrs, indent)


def _zattrs(attributes: Mapping[str, Any], has_zattrs: bool, indent: int | None) -> dict[str, bytes]:
    """``.zattrs``, unless there is nothing to say and nothing to overwrite."""
    return {".zattrs": dump_document(attributes, indent=indent)} if attributes or has_zattrs else {}
