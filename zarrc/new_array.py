"""From what a user says about a new array to the stored array."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

from zarrc.array import Array
from zarrc.config import ArrayConfigLike, close_names, parse_array_config
from zarrc.config import config as settings
from zarrc.dtypes import parse_dtype
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.node_names import ancestors
from zarrc.engine.nodes import place
from zarrc.engine.values import as_values
from zarrc.errors import ContainsGroupError
from zarrc.grids import chunk_grid_from_user
from zarrc.kept_layout import keep_layout, said
from zarrc.metadata.build import build_array
from zarrc.metadata.chunking import parse_shape
from zarrc.streaming import copy_into

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata
    from zarrc.node import Node
    from zarrc.storage.base import Store

__all__ = [
    "ArrayKeywords",
    "array_from_data",
    "check_keywords",
    "check_same",
    "create_array_at",
    "keywords_like",
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
    check_keywords(caller, keywords, ARRAY_KEYWORDS)
    given = said(keywords)
    # Everything is looked at before anything is stored or deleted.
    options = parse_array_config(given.pop("config", None))
    if "write_empty_chunks" in given:
        options = parse_array_config({"write_empty_chunks": given.pop("write_empty_chunks")}, options)
    data = given.pop("data", None)
    write_data = given.pop("write_data", True)
    if data is not None:
        data = as_source(data)
        _take_from_data(given, data)
        if isinstance(data, Array):
            refuse_self(store, path, data)
    targets = options.target_shard_size_bytes, options.target_chunk_size_bytes
    metadata = build_metadata(given, caller, *targets)
    if metadata.zarr_format == 3 and "order" in given:
        options = parse_array_config({"order": given["order"]}, options)
    if write_data and isinstance(data, np.ndarray):
        # A value that does not fit is found before an old array is deleted.
        data = as_values(data, metadata.dtype, data.shape, options.casting, path)
    create_node(store, path, metadata, overwrite=overwrite)
    array = Array(store, path, metadata, options)
    if data is not None and write_data:
        _fill_new(array, data)
    return array


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
    data = as_source(data)
    given = said(keywords)
    wanted = {**keep_layout(data, given), **given, "data": data}
    return create_array_at(store, path, wanted, overwrite=overwrite, caller=caller)


def refuse_self(store: Store, path: str, source: Node) -> None:
    """Refuse to put a copy where its source is, or above: it is deleted with that, now or on failure."""
    target = store.identity_of(path)
    if any(source.store.identity_of(one) == target for one in (source.path, *ancestors(source.path))):
        raise ValueError(f"{place(store, path)} is the source itself, or holds it")
    if store.local_root is not None and source.store.local_root is not None:
        # Stores with roots of their own: one may lie inside the other.
        inner = os.path.realpath(os.path.join(source.store.local_root, source.path))
        if f"{inner}/".startswith(f"{os.path.realpath(os.path.join(store.local_root, path))}/"):
            raise ValueError(f"{place(store, path)} holds the source, {place(source.store, source.path)}")


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
