"""``zarr.json``: the documents of format 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.codecs.parsing import codec_from_v3_json
from zarrc.codecs.pipeline import check_order, complete_chain
from zarrc.dtypes import DataType, from_v3_json
from zarrc.dtypes.base import Fill
from zarrc.dtypes.fill import DEFAULT_FILL, fill_value_for
from zarrc.errors import MetadataError, UnknownExtensionError
from zarrc.grids import chunk_grid_from_v3_json, key_encoding_from_v3_json
from zarrc.metadata.json import dump_document, load_document
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.metadata.validation import MAX_NBYTES, check_every_shape, check_shapes
from zarrc.reading import Reading, show

__all__ = [
    "FEW_MEMBERS",
    "array_documents",
    "array_from_json",
    "array_to_json",
    "group_documents",
    "group_to_json",
    "parse_node",
]

FEW_MEMBERS = 64
"""Up to so many members consolidated metadata are indented."""
_GROUP_FIELDS = ("zarr_format", "node_type", "attributes", "consolidated_metadata")
_ARRAY_FIELDS = (
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value",
    "codecs", "attributes", "dimension_names", "storage_transformers", "consolidated_metadata",
)  # fmt: skip


def parse_node(
    document: bytes, *, strict: bool = False, where: str | None = None, repair_fill: object = DEFAULT_FILL
) -> ArrayMetadata | GroupMetadata:
    """The array or group of a ``zarr.json``.

    Parameters
    ----------
    document : bytes
    strict : bool, default False
        Refuse what the specification does not allow, instead of noting it in ``assumed``.
    where : str, optional
        Key of the document; errors carry it.
    repair_fill : optional
        Fill value to take where the document's is null or missing, which is an error otherwise.

    Raises
    ------
    MetadataError
        If the document is not that of an array or group; the text names the field.
    UnknownExtensionError
        If it is, with a codec, data type, grid, key encoding or field that is not known here.
    """
    reading = Reading(strict=strict, key=where)
    fields = load_document(document, reading)
    try:
        return node_from_json(fields, reading, repair_fill)
    except RecursionError:
        raise reading.error("is nested too deeply") from None


def node_from_json(
    fields: Mapping[str, Any], reading: Reading, repair_fill: object = DEFAULT_FILL
) -> ArrayMetadata | GroupMetadata:
    """The array or group of a ``zarr.json`` that is parsed already."""
    reading.at("zarr_format").one_of(reading.required(fields, "zarr_format"), (3,))
    node_type = reading.at("node_type").one_of(reading.required(fields, "node_type"), ("array", "group"))
    if node_type == "group":
        return group_from_json(fields, reading)
    return array_from_json(fields, reading, repair_fill)


def group_from_json(fields: Mapping[str, Any], reading: Reading) -> GroupMetadata:
    """The group of a parsed ``zarr.json``."""
    consolidated = _consolidated(fields, reading)
    if consolidated is not None:
        reading.at("consolidated_metadata").mapping(consolidated)
    return GroupMetadata(
        zarr_format=3,
        attributes=_attributes(fields, reading),
        consolidated=consolidated,
        extra_fields=_extra_fields(fields, _GROUP_FIELDS, reading),
        assumed=tuple(reading.notes),
    )


def array_from_json(
    fields: Mapping[str, Any], reading: Reading, repair_fill: object = DEFAULT_FILL
) -> ArrayMetadata:
    """The array of a parsed ``zarr.json``."""
    shape = shape_from_json(reading.required(fields, "shape"), reading.at("shape"))
    data_type = from_v3_json(reading.required(fields, "data_type"), reading.at("data_type"))
    grid = chunk_grid_from_v3_json(reading.required(fields, "chunk_grid"), reading.at("chunk_grid"), shape)
    encoding = key_encoding_from_v3_json(
        reading.required(fields, "chunk_key_encoding"), reading.at("chunk_key_encoding")
    )
    with reading.locate():
        check_shapes(shape, grid, data_type.itemsize)
    fill = _fill_value(fields, data_type, repair_fill, reading)
    spec = ChunkSpec(grid.largest_shape, data_type.numpy, fill)
    codecs = _codecs(fields, spec, reading)
    if not grid.is_regular:
        with reading.at("codecs").locate():
            check_every_shape(codecs, grid, spec)
    known: tuple[str, ...] = _ARRAY_FIELDS
    if _consolidated(fields, reading) is not None:
        known = tuple(name for name in known if name != "consolidated_metadata")
    extra = _extra_fields(fields, known, reading) | _storage_transformers(fields, reading)
    dimension_names = _dimension_names(fields, len(shape), reading)
    attributes = _attributes(fields, reading)
    return ArrayMetadata.of_checked(
        zarr_format=3,
        shape=shape,
        data_type=data_type,
        chunk_grid=grid,
        chunk_key_encoding=encoding,
        fill_value=fill,
        codecs=codecs,
        endian="little",
        attributes=attributes,
        dimension_names=dimension_names,
        extra_fields=extra,
        assumed=tuple(reading.notes),
        v2=None,
    )


def _codecs(fields: Mapping[str, Any], spec: ChunkSpec, reading: Reading) -> tuple[Codec, ...]:
    at = reading.at("codecs")
    items = at.sequence(reading.required(fields, "codecs"))
    codecs = tuple(codec_from_v3_json(item, at.at(i)) for i, item in enumerate(items))
    with at.locate():
        check_order(codecs)
        return complete_chain(codecs, spec)


def shape_from_json(value: object, reading: Reading) -> tuple[int, ...]:
    """The ``shape`` of a document, of either format."""
    return reading.integers(value, 0, MAX_NBYTES)


def _fill_value(fields: Mapping[str, Any], data_type: DataType, repair: object, reading: Reading) -> Fill:
    at = reading.at("fill_value")
    if fields.get("fill_value") is not None:
        return data_type.fill_from_json(fields["fill_value"], zarr_format=3, reading=at)
    problem = "is null" if "fill_value" in fields else "is missing"
    if repair is DEFAULT_FILL:
        raise at.error(f"{problem}; zarr_format 3 requires one (the option repair_fill= supplies it)")
    at.assume(problem, f"read as {show(repair)}")
    fill = fill_value_for(data_type, repair)
    assert fill is not None
    return fill


def _attributes(fields: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    at = reading.at("attributes")
    attributes = fields.get("attributes", {})
    if attributes is None:
        at.assume("is null", "read as empty")
        return {}
    return dict(at.mapping(attributes))


def _consolidated(fields: Mapping[str, Any], reading: Reading) -> Any:
    if "consolidated_metadata" in fields and fields["consolidated_metadata"] is None:
        reading.at("consolidated_metadata").assume("is null", "ignored")
    return fields.get("consolidated_metadata")


def _dimension_names(fields: Mapping[str, Any], ndim: int, reading: Reading) -> tuple[str | None, ...] | None:
    if "dimension_names" not in fields:
        return None
    at = reading.at("dimension_names")
    if fields["dimension_names"] is None:
        at.assume("is null", "read as no names")
        return None
    names = at.sequence(fields["dimension_names"])
    if len(names) != ndim:
        raise at.error(f"there are {len(names)} names for {ndim} dimensions")
    for i, name in enumerate(names):
        if name is not None and type(name) is not str:
            at.at(i).string(name)
    return tuple(names)


def _storage_transformers(fields: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The storage transformers to keep on a rewrite; each must allow to be ignored."""
    if "storage_transformers" not in fields:
        return {}
    at = reading.at("storage_transformers")
    items = at.sequence(fields["storage_transformers"])
    for i, item in enumerate(items):
        extension = at.at(i).extension(item, may_skip=True)
        if extension.must_understand:
            raise at.at(i).error(f"unknown storage transformer {show(extension.name)}", UnknownExtensionError)
        at.at(i).note(f"the storage transformer {show(extension.name)} has must_understand: false; ignored")
    return {"storage_transformers": list(items)} if items else {}


def _extra_fields(fields: Mapping[str, Any], known: tuple[str, ...], reading: Reading) -> dict[str, Any]:
    """The unknown fields, each of which must say that it may be ignored."""
    extra = {name: value for name, value in fields.items() if name not in known}
    for name, value in extra.items():
        if not isinstance(value, Mapping) or value.get("must_understand", True) is not False:
            raise reading.at(show(name)).error(
                "unknown field without must_understand: false", UnknownExtensionError
            )
    return extra


def array_to_json(metadata: ArrayMetadata) -> dict[str, Any]:
    """The ``zarr.json`` of an array, canonical: long forms, no optional field that says nothing."""
    if metadata.fill_value is None:
        raise MetadataError("fill_value: zarr_format 3 requires one")
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(metadata.shape),
        "data_type": metadata.data_type.to_v3_json(),
        "chunk_grid": metadata.chunk_grid.to_v3_json(),
        "chunk_key_encoding": metadata.chunk_key_encoding.to_v3_json(),
        "fill_value": metadata.data_type.fill_to_json(metadata.fill_value, zarr_format=3),
        "codecs": [codec.to_v3_json() for codec in metadata.codecs],
        "attributes": dict(metadata.attributes),
    }
    if metadata.dimension_names is not None:
        document["dimension_names"] = list(metadata.dimension_names)
    return document | dict(metadata.extra_fields)


def group_to_json(metadata: GroupMetadata) -> dict[str, Any]:
    """The ``zarr.json`` of a group, canonical."""
    document: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(metadata.attributes),
    }
    if metadata.consolidated is not None:
        document["consolidated_metadata"] = dict(metadata.consolidated)
    return document | dict(metadata.extra_fields)


def array_documents(metadata: ArrayMetadata, *, indent: int | None) -> dict[str, bytes]:
    """The documents of a v3 array, by name."""
    return {"zarr.json": dump_document(array_to_json(metadata), indent=indent)}


def group_documents(metadata: GroupMetadata, *, indent: int | None) -> dict[str, bytes]:
    """The documents of a v3 group, by name; with many members consolidated on one line.

    Indented, they take 20 times as long, since only Python's own printer does that.
    """
    members = (metadata.consolidated or {}).get("metadata")
    if isinstance(members, Mapping) and len(members) > FEW_MEMBERS:
        indent = None
    return {"zarr.json": dump_document(group_to_json(metadata), indent=indent)}
