"""From what a user says about a new array to the stored array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np

from zarrc.array import Array
from zarrc.config import ArrayConfig, ArrayConfigLike, close_names, parse_array_config
from zarrc.config import config as settings
from zarrc.dtypes import parse_dtype
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.nodes import place
from zarrc.engine.values import as_values
from zarrc.errors import ContainsGroupError
from zarrc.grids import chunk_grid_from_user
from zarrc.kept_layout import keep_layout, said
from zarrc.metadata.build import build_array
from zarrc.metadata.chunking import parse_shape
from zarrc.origins import refuse_self
from zarrc.streaming import copy_into

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata
    from zarrc.storage.base import Store

__all__ = [
    "ArrayKeywords",
    "Plan",
    "array_from_data",
    "check_keywords",
    "check_same",
    "check_source",
    "create_array_at",
    "keywords_like",
    "like_data",
    "plan_array",
    "refuse_self",
]


class ArrayKeywords(TypedDict, total=False):
    """What may be said about a new array, wherever one is created."""

    shape: int | Iterable[int] | None
    dtype: Any
    data: Any
    chunks: Any
    shards: Any
    chunk_grid: Any
    codecs: Iterable[Any] | None
    filters: Any
    serializer: Any
    compressors: Any
    compressor: Any
    fill_value: Any
    order: Literal["C", "F"] | None
    zarr_format: Literal[2, 3] | None
    attributes: Mapping[str, Any] | None
    chunk_key_encoding: Any
    dimension_separator: Literal[".", "/"] | None
    dimension_names: Iterable[str | None] | None
    config: ArrayConfigLike
    write_data: bool
    write_empty_chunks: bool | None


ARRAY_KEYWORDS = tuple(ArrayKeywords.__annotations__)

_BUILD_KEYWORDS = (
    "chunks",
    "shards",
    "codecs",
    "filters",
    "serializer",
    "compressors",
    "compressor",
    "fill_value",
    "order",
    "chunk_key_encoding",
    "dimension_separator",
    "dimension_names",
)


def check_keywords(caller: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for the first keyword that is not known, with close names."""
    known = list(known)
    for name in given:
        if name not in known:
            hint = close_names(name, known) or f"; known: {', '.join(sorted(known))}"
            if name == "storage":
                hint = "; zarrc.create() and zarrc.open_group() take it"
            raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}{hint}")


def create_array_at(
    store: Store, path: str, keywords: Mapping[str, Any], *, overwrite: bool, caller: str
) -> Array:
    """Create an array and write its data, if data are given.

    Parameters
    ----------
    store : Store
        Where to create it.
    path : str
        Normalised path inside the store.
    keywords : Mapping
        What the user said, by the names in ``ARRAY_KEYWORDS``.
    overwrite : bool
        Delete what is there first.
    caller : str
        The function that the user called, for errors.

    Raises
    ------
    TypeError
        For an unknown keyword, or if neither shape nor data are given.
    MetadataError
        If what was said makes no valid array.
    """
    plan = plan_array(keywords, caller, path)
    if plan.data is not None:
        refuse_self(store, path, plan.data)
    create_node(store, path, plan.metadata, overwrite=overwrite)
    array = Array(store, path, plan.metadata, plan.options)
    if plan.data is not None and plan.writes:
        _fill_new(array, plan.data)
    return array


class Plan(NamedTuple):
    """A new array, looked at before anything is stored or deleted."""

    metadata: ArrayMetadata
    options: ArrayConfig
    data: Any
    writes: bool
    """Whether the data are written, or give shape and data type only."""


def plan_array(keywords: Mapping[str, Any], caller: str, path: str) -> Plan:
    """Return what keywords say of a new array; errors as of `create_array_at`."""
    check_keywords(caller, keywords, ARRAY_KEYWORDS)
    given = said(keywords)
    options = parse_array_config(given.pop("config", None))
    if "write_empty_chunks" in given:
        options = parse_array_config({"write_empty_chunks": given.pop("write_empty_chunks")}, options)
    data = given.pop("data", None)
    writes = given.pop("write_data", True)
    if data is not None:
        data = as_source(data)
        _take_from_data(given, data)
    targets = options.target_shard_size_bytes, options.target_chunk_size_bytes
    metadata = build_metadata(given, caller, *targets)
    if metadata.zarr_format == 3 and "order" in given:
        options = parse_array_config({"order": given["order"]}, options)
    if writes and isinstance(data, np.ndarray):
        # A value that does not fit is found before an old array is deleted.
        data = as_values(data, metadata.dtype, data.shape, options.casting, path)
    return Plan(metadata, options, data, writes)


def _fill_new(array: Array, data: Any) -> None:
    """Write its data to a new array; one that they do not get into is not left behind."""
    try:
        copy_into(array, data)
    except BaseException:
        delete_node(array.store, array.path)
        raise


def build_metadata(
    given: Mapping[str, Any], caller: str, shard_nbytes: int | None = None, chunk_nbytes: int | None = None
) -> ArrayMetadata:
    """Return the metadata that keywords describe; shards and chunks of "auto" aim at these bytes."""
    if "shape" not in given:
        raise TypeError(f"{caller}() needs shape= (or data=) for a new array")
    zarr_format = given.get("zarr_format", settings.get("default_zarr_format"))
    build = {name: given[name] for name in _BUILD_KEYWORDS if name in given}
    if "chunk_grid" in given:
        if "chunks" in given:
            raise TypeError(f"{caller}() takes either chunks= or chunk_grid=, not both")
        build["chunks"] = chunk_grid_from_user(given["chunk_grid"], parse_shape(given["shape"]))
    return build_array(
        shape=given["shape"],
        dtype=given.get("dtype"),
        zarr_format=zarr_format,
        attributes=given.get("attributes"),
        shard_nbytes=shard_nbytes,
        chunk_nbytes=chunk_nbytes,
        **build,
    )


# --- data


def as_source(data: Any) -> Any:
    """Return data that has ``shape`` and ``dtype`` as it is, anything else as a NumPy array."""
    return data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)


def _take_from_data(given: dict[str, Any], data: Any) -> None:
    """Add shape and data type of the data; refuse a shape that is not theirs."""
    shape = tuple(data.shape)
    if "shape" in given and parse_shape(given["shape"]) != shape:
        raise ValueError(f"shape={given['shape']} does not fit data of shape {shape}; leave shape out")
    given["shape"] = shape
    given.setdefault("dtype", data.dtype)


def array_from_data(
    store: Store,
    path: str,
    data: Any,
    keywords: Mapping[str, Any],
    *,
    overwrite: bool,
    caller: str = "from_array",
) -> Array:
    """Create an array from data, with the data's own chunks and codecs where no others are given."""
    return create_array_at(store, path, like_data(data, keywords), overwrite=overwrite, caller=caller)


def like_data(data: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords with the data, and with their layout where nothing else is said."""
    data = as_source(data)
    given = said(keywords)
    return {**keep_layout(data, given), **given, "data": data}


def check_source(source: Any, caller: str, zarr_format: Literal[2, 3] | None) -> None:
    """Raise if an array cannot be made of data, with nothing else said."""
    given = {"zarr_format": zarr_format, "shape": tuple(source.shape), "dtype": source.dtype}
    build_metadata({**keep_layout(source, said(given)), **said(given)}, caller)


def keywords_like(a: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given`` with the shape, data type, chunks and codecs of ``a`` added where it has none."""
    source = as_source(a)
    given = said(given)
    if "shape" in given and len(parse_shape(given["shape"])) != len(source.shape):
        return {"dtype": source.dtype, **given}
    return {"shape": tuple(source.shape), "dtype": source.dtype, **keep_layout(source, given), **given}


def check_same(found: Array, shape: Any, dtype: Any, *, exact: bool) -> None:
    """Raise TypeError unless an array has this shape, and a data type that is (or holds) this one."""
    if found.shape != parse_shape(shape):
        raise TypeError(f"{place(found.store, found.path)} has shape {found.shape}, not {parse_shape(shape)}")
    if dtype is None:
        return
    wanted = parse_dtype(dtype)[0].numpy
    stored = found.metadata.data_type.numpy
    if stored != wanted and (exact or not np.can_cast(wanted, stored)):
        raise TypeError(f"{place(found.store, found.path)} has data type {found.dtype}, not {wanted}")


def contains_group(store: Store, path: str) -> ContainsGroupError:
    """Return the error for a group where an array is wanted."""
    return ContainsGroupError(f"{place(store, path)} is a group, not an array")
