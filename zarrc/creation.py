"""The functions of the module: create, open, save and load arrays and groups."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

import numpy.typing as npt

from zarrc import new_array
from zarrc.array import Array
from zarrc.config import ArrayConfigLike, close_names
from zarrc.config import config as settings
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.node_search import missing_node_error
from zarrc.engine.nodes import Kind, create_node, find_node, place, wrong_kind
from zarrc.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    NodeNotFoundError,
    ZarrcError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.metadata.build import build_group
from zarrc.metadata.model import ArrayMetadata
from zarrc.new_array import ARRAY_KEYWORDS, ArrayKeywords, check_keywords, create_array_at

if TYPE_CHECKING:
    from zarrc.storage.base import Store
    from zarrc.tree import Tree

__all__ = [
    "array",
    "create",
    "create_array",
    "create_group",
    "empty",
    "empty_like",
    "from_array",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_group",
    "open_like",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]

Mode = Literal["r", "r+", "a", "w", "w-"]
ZarrFormat = Literal[2, 3]

_MODES: Final = ("r", "r+", "a", "w", "w-")

# Of zarr-python's `create` and `open`: what they meant is done always, or was never done.
_IGNORED: Final = ("synchronizer", "cache_metadata", "cache_attrs")
_GROUP_KEYWORDS: Final = (
    "store",
    "mode",
    "path",
    "zarr_format",
    "attributes",
    "overwrite",
    "storage_options",
)
_REFUSED: Final = ("chunk_store", "meta_array", "object_codec", "use_consolidated")


# --- where


class _Place:
    """A place in a store that the user named, and what may be done there."""

    def __init__(
        self,
        store: Any,
        path: str | None,
        mode: Mode | None,
        storage_options: Mapping[str, Any] | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
        self.mode = mode
        self.store: Store
        if named is not None:
            self.store, self.path = _open_named(store, path, named), ""
        else:
            self.store, self.path = _make_store(store, path, mode, storage_options)
        self.read_only = mode == "r"

    def __str__(self) -> str:
        return place(self.store, self.path)

    def find(
        self, zarr_format: ZarrFormat | None, strict: bool, config: ArrayConfigLike = None
    ) -> Array | Group | None:
        """Open the node that is there, if there is one."""
        metadata = find_node(self.store, self.path, zarr_format, strict)
        if metadata is None:
            return None
        if isinstance(metadata, ArrayMetadata):
            return Array(self.store, self.path, metadata, config, read_only=self.read_only)
        return Group(self.store, self.path, metadata, read_only=self.read_only)

    def missing(self, kind: Kind | None, zarr_format: ZarrFormat | None, advice: str) -> NodeNotFoundError:
        """Return the error for a node that is not there, with what to do about it."""
        error = missing_node_error(self.store, self.path, kind, zarr_format)
        but = f" (mode={self.mode!r} never creates)" if self.mode in ("r", "r+") else ""
        return type(error)(f"{error.message}; pass {advice}{but}", key=error.key)

    def wrong_kind(self, found: Array | Group) -> ZarrcError:
        """Return the error for a node of the other kind than is wanted."""
        message = wrong_kind(self.store, self.path, found.metadata)
        if self.mode in ("r", "r+", None):
            return (GroupNotFoundError if isinstance(found, Array) else ArrayNotFoundError)(message)
        return (ContainsArrayError if isinstance(found, Array) else ContainsGroupError)(message)


def _make_store(
    store: Any, path: str | None, mode: Mode | None, storage_options: Mapping[str, Any] | None
) -> tuple[Store, str]:
    from zarrc.storage.resolve import make_store

    if store is None and path:
        # The path is all that was said: it is where the data are, not a path inside a new memory store.
        store, path = path, None
    options = None if storage_options is None else dict(storage_options)
    found, prefix = make_store(store, mode=mode, storage_options=options)
    inner = normalize_path(path or "")
    return found, join(prefix, inner) if inner else prefix


def _open_named(store: Any, path: str | None, named: Mapping[str, Any]) -> Store:
    """Make the store of ``storage=`` from its own keywords."""
    from zarrc.storage.registry import open_named

    if store is not None:
        raise TypeError("pass either store= or storage=, not both")
    options = {**named} if path is None else {**named, "path": path}
    storage = options.pop("storage")
    try:
        return open_named(storage, **options)
    except TypeError as error:
        raise _about_keyword(error, storage) from error


def _about_keyword(error: TypeError, storage: str) -> TypeError:
    """Say a store's complaint about its keywords in terms of what the user called."""
    unexpected = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    missing = re.search(r"missing \d+ required .* arguments?: (.*)", str(error))
    if unexpected:
        name = unexpected[1]
        return TypeError(
            f"{name}= is no keyword of an array or of storage={storage!r}{close_names(name, ARRAY_KEYWORDS)}"
        )
    if missing:
        return TypeError(f"storage={storage!r} needs {missing[1]}")
    return error


def _format(zarr_format: Any, zarr_version: Any) -> ZarrFormat | None:
    """Return the Zarr format that was asked for, under its name of today or of yesterday."""
    if zarr_format is not None and zarr_version is not None and zarr_format != zarr_version:
        raise ValueError(
            f"zarr_format={zarr_format!r} and zarr_version={zarr_version!r} differ; pass one of them"
        )
    wanted = zarr_version if zarr_format is None else zarr_format
    if wanted is not None and (wanted not in (2, 3) or isinstance(wanted, bool)):
        raise ValueError(f"zarr_format must be 2 or 3, got {wanted!r}")
    return None if wanted is None else (2 if wanted == 2 else 3)


def _default_format(wanted: ZarrFormat | None) -> ZarrFormat:
    chosen: ZarrFormat = settings.get("default_zarr_format") if wanted is None else wanted
    return chosen


def _legacy(caller: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """Return keywords without zarr-python's that mean nothing here; refuse those that would be missed."""
    kept = {**keywords}
    for name in _REFUSED:
        if kept.pop(name, None) not in (None, False):
            raise NotImplementedError(f"{caller}() does not support {name}=")
    for name in _IGNORED:
        if kept.pop(name, None) is not None:
            warnings.warn(f"{caller}() ignores {name}=", ZarrcWarning, stacklevel=4)
    chunk_shape = kept.pop("chunk_shape", None)
    if chunk_shape is not None:
        if kept.get("chunks") is not None:
            raise TypeError("pass either chunks= or chunk_shape=, not both")
        kept["chunks"] = chunk_shape
    return kept


def _split_storage(
    caller: str, storage: str | None, keywords: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Split keywords into those of the array and, with ``storage=``, those of the store."""
    kept = _legacy(caller, dict(keywords))
    if storage is None:
        check_keywords(caller, kept, (*ARRAY_KEYWORDS, "storage", "table_name"))
        if "table_name" in kept:
            raise TypeError(
                f"{caller}() takes table_name= together with storage='memory' or storage='ets' only"
            )
        return kept, None
    mine = {name: value for name, value in kept.items() if name in ARRAY_KEYWORDS}
    theirs = {name: value for name, value in kept.items() if name not in ARRAY_KEYWORDS}
    return mine, {"storage": storage, **theirs}


# --- create arrays


def create(
    shape: int | tuple[int, ...] | None = None,
    *,
    store: Any = None,
    path: str | None = None,
    storage: str | None = None,
    mode: Mode | None = None,
    overwrite: bool = False,
    read_only: bool | None = None,
    zarr_version: ZarrFormat | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> Array:
    """Create an array.

    Parameters
    ----------
    shape : int or tuple of int, optional
        Shape; not needed with ``data=``.
    store : store-like, optional
        Store, path, URL or mapping. By default ``path`` is the place, and without it a new `MemoryStore`.
    path : str, optional
        Path inside ``store``; without ``store``, where the data are: a directory or URL.
    storage : str, optional
        Name of a registered kind of store in place of ``store``: ``"filesystem"`` (with ``path``),
        ``"memory"`` or ``"ets"`` (with ``table_name``: arrays of one name share their data in this process).
    mode : {"w", "w-", "a"}, optional
        "w" is ``overwrite=True``.
    overwrite : bool, default False
        Delete what is there first.
    read_only : bool, optional
        Return a handle that refuses writes.
    zarr_version : {2, 3}, optional
        The same as ``zarr_format``.
    storage_options : Mapping, optional
        For the file system of a URL.
    **keywords
        As for `create_array`; further ones go to the store of ``storage``.

    Returns
    -------
    Array
        The new array, open for reading and writing.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already.
    MetadataError
        If what was said makes no valid array.
    TypeError
        For a keyword that does not exist; the text offers close names.

    Examples
    --------
    >>> import zarrc
    >>> a = zarrc.create(shape=(100, 100), chunks=(10, 10), dtype="i4", codecs=[{"name": "bytes"}])
    >>> a.shape, a.chunks
    ((100, 100), (10, 10))
    """
    mine, named = _split_storage("create", storage, keywords)
    mine["zarr_format"] = _format(mine.get("zarr_format"), zarr_version)
    if shape is not None:
        mine["shape"] = shape
    if mode in ("r", "r+"):
        raise ValueError(f"create() writes: mode must be 'w', 'w-' or 'a', got {mode!r}")
    where = _Place(store, path, "w" if overwrite else mode or "a", storage_options, named)
    made = create_array_at(where.store, where.path, mine, overwrite=overwrite or mode == "w", caller="create")
    return Array(made.store, made.path, made.metadata, made.config, read_only=True) if read_only else made


def create_array(
    store: Any = None,
    *,
    name: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **keywords: Unpack[ArrayKeywords],
) -> Array:
    """Create an array.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; None for a new `MemoryStore`.
    name : str, optional
        Path inside the store; groups on the way are created too.
    overwrite : bool, default False
        Delete what is there first.
    storage_options : Mapping, optional
        For the file system of a URL.
    shape : int or tuple of int
        Shape; not needed with ``data``.
    dtype : dtype-like, default float64
        NumPy's or Zarr's name of the data type.
    data : array_like, optional
        What to write; gives shape and data type.
    chunks : int, tuple of int or "auto", default "auto"
        Shape of a chunk; -1 for a whole dimension.
    filters, serializer, compressors : codec-like or sequence of these, default "auto"
        The three parts of the codec chain: arrays to arrays, array to bytes, bytes to bytes. None for none.
    codecs : sequence of codec-like, optional
        The whole chain at once, in place of these three: `zarrc.codecs` objects, names, or dicts with "name"
        and "configuration".
    compressor : codec-like, optional
        The ``compressor`` of a v2 array.
    fill_value : scalar, optional
        Value of elements that were never written; 0 by default.
    order : {"C", "F"}, optional
        v2: order of the elements in a chunk. v3: memory order of what a read returns.
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    attributes : Mapping, optional
        The user's attributes.
    chunk_key_encoding : key-encoding-like, optional
        How chunks are named in the store: ``{"name": "v2", "separator": "."}``, for example.
    dimension_separator : {".", "/"}, optional
        The same for v2.
    dimension_names : sequence of (str or None), optional
        A name for each dimension.
    config : ArrayConfig or Mapping, optional
        How the returned handle reads and writes.
    write_data : bool, default True
        Whether ``data`` are written, or only give shape and data type.

    Returns
    -------
    Array
        The new array, open for reading and writing.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already, or if a parent is an array.
    MetadataError
        If what was said makes no valid array: the text names the part.
    TypeError
        For a keyword that does not exist; the text offers close names.

    Notes
    -----
    Spec: Zarr v3 core, "Array metadata"; Zarr v2, "Metadata".
    """
    check_keywords("create_array", keywords, ARRAY_KEYWORDS)
    where = _Place(store, None, "w" if overwrite else "a", storage_options)
    path = join(where.path, normalize_path(name)) if name else where.path
    return create_array_at(where.store, path, keywords, overwrite=overwrite, caller="create_array")


def array(data: npt.ArrayLike | Any, **keywords: Any) -> Array:
    """Create an array from data, in memory unless ``store``, ``path`` or ``storage`` say otherwise.

    Parameters
    ----------
    data : array_like
        What to write; a stored array's chunks and codecs are kept where no others are given.
    **keywords
        As for `create`.
    """
    source = new_array.as_source(data)
    return create(data=source, **_without_shape(new_array.keywords_like(source, keywords)))


def _without_shape(keywords: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if name != "shape"}


def zeros(shape: int | tuple[int, ...], **keywords: Any) -> Array:
    """Create an array of zeros; keywords as for `create`."""
    return create(shape, fill_value=0, **keywords)


def ones(shape: int | tuple[int, ...], **keywords: Any) -> Array:
    """Create an array of ones; keywords as for `create`."""
    return create(shape, fill_value=1, **keywords)


def full(shape: int | tuple[int, ...], fill_value: Any, **keywords: Any) -> Array:
    """Create an array filled with one value; keywords as for `create`."""
    return create(shape, fill_value=fill_value, **keywords)


def empty(shape: int | tuple[int, ...], **keywords: Any) -> Array:
    """Create an array whose content is not defined (it is the fill value); keywords as for `create`."""
    return create(shape, **keywords)


def zeros_like(a: Any, **keywords: Any) -> Array:
    """Create an array of zeros, otherwise like ``a``; keywords as for `create`."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": 0})


def ones_like(a: Any, **keywords: Any) -> Array:
    """Create an array of ones, otherwise like ``a``; keywords as for `create`."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": 1})


def full_like(a: Any, fill_value: Any = None, **keywords: Any) -> Array:
    """Create an array like ``a``, filled with ``fill_value`` or else with the fill value of ``a``."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": _fill_of(a, fill_value)})


def empty_like(a: Any, **keywords: Any) -> Array:
    """Create an array with the shape, data type, chunks and codecs of ``a``; keywords as for `create`."""
    return create(**new_array.keywords_like(a, keywords))


def _fill_of(a: Any, fill_value: Any) -> Any:
    return getattr(a, "fill_value", 0) if fill_value is None else fill_value


def open_like(a: Any, path: str, **keywords: Any) -> Array:
    """Open an array; if there is none, create one like ``a``.

    Parameters
    ----------
    a : array_like
        Gives shape, data type, chunks, codecs and fill value of a new array.
    path : str
        As for `open_array`.
    **keywords
        As for `open_array`.
    """
    wanted = new_array.keywords_like(a, keywords)
    if hasattr(a, "fill_value"):
        wanted.setdefault("fill_value", a.fill_value)
    return open_array(path=path, **wanted)


def from_array(
    store: Any = None,
    *,
    data: Any,
    name: str | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> Array:
    """Create an array from another one, region by region in bounded memory.

    Parameters
    ----------
    store : store-like, optional
        Where to create it; None for a new `MemoryStore`.
    data : array_like
        The source: a NumPy array, a stored array of this library or another, an HDF5 dataset, a dask array.
    name : str, optional
        Path inside the store.
    overwrite : bool, default False
        Delete what is there first.
    storage_options : Mapping, optional
        For the file system of a URL.
    **keywords
        As for `create_array`. Chunks, codecs, fill value, key encoding and dimension names of a stored array
        are kept where nothing else is said (``"keep"`` says so too); attributes are not.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already.
    ValueError
        If the source itself would be overwritten.
    """
    check_keywords("from_array", keywords, ARRAY_KEYWORDS)
    said = {key: value for key, value in keywords.items() if not (isinstance(value, str) and value == "keep")}
    if "fill_value" not in said and isinstance(data, Array):
        said["fill_value"] = data.fill_value
    where = _Place(store, None, "r+" if overwrite else "a", storage_options)
    path = join(where.path, normalize_path(name)) if name else where.path
    return new_array.array_from_data(where.store, path, data, said, overwrite=overwrite)


# --- create groups


def create_group(
    store: Any = None,
    *,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Create a group.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; by default ``path`` is the place, and without it a new `MemoryStore`.
    path : str, optional
        Path inside the store; groups on the way are created too.
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    overwrite : bool, default False
        Delete what is there first, with everything below it.
    attributes : Mapping, optional
        The user's attributes.
    storage_options : Mapping, optional
        For the file system of a URL.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already, or if a parent is an array.
    AttributesError
        If an attribute cannot be stored as JSON.
    """
    wanted = _default_format(_format(zarr_format, None))
    metadata = build_group(zarr_format=wanted, attributes=attributes)
    where = _Place(store, path, "w" if overwrite else "a", storage_options)
    create_node(where.store, where.path, metadata, overwrite=overwrite)
    return Group(where.store, where.path, metadata)


def group(
    store: Any = None,
    *,
    overwrite: bool = False,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **legacy: Any,
) -> Group:
    """Open a group, or create it if it is not there; arguments as for `create_group`.

    Raises
    ------
    ContainsArrayError
        If there is an array.
    """
    check_keywords("group", _legacy("group", legacy), _GROUP_KEYWORDS)
    return open_group(
        store,
        mode="w" if overwrite else "a",
        path=path,
        zarr_format=zarr_format,
        attributes=attributes,
        storage_options=storage_options,
    )


# --- open


def open(
    store: Any = None,
    *,
    mode: Mode | None = None,
    zarr_format: ZarrFormat | None = None,
    zarr_version: ZarrFormat | None = None,
    path: str | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    strict: bool = False,
    **keywords: Any,
) -> Array | Group:
    """Open the array or group that is there, of either format.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; by default ``path`` is the place.
    mode : {"r", "r+", "a", "w", "w-"}, optional
        "r": read only. "r+": read and write. "a": read and write; create a group, or with ``shape`` or
        ``data`` an array, if nothing is there. "w": delete what is there and create. "w-": create, fail if
        something is there. By default read and write where the store allows it, and create only with
        ``shape`` or ``data``.
    zarr_format, zarr_version : {2, 3}, optional
        Look for this format only; by default v3 first.
    path : str, optional
        Path inside ``store``; without ``store``, where the data are: a directory or URL.
    storage : str, optional
        Name of a registered kind of store, as for `create`.
    storage_options : Mapping, optional
        For the file system of a URL.
    config : ArrayConfig or Mapping, optional
        How an array's handle reads and writes.
    strict : bool, default False
        Refuse metadata that bend the specification.
    **keywords
        For a new array, as for `create_array`.

    Returns
    -------
    Array or Group

    Raises
    ------
    NodeNotFoundError
        If nothing is there; the text names what is near.
    ContainsNodeError
        With "w-", if something is there.
    MetadataError
        If something is there that cannot be read.
    """
    mine, named = _split_storage("open", storage, keywords)
    wanted = _format(zarr_format, zarr_version)
    makes_array = "shape" in mine or "data" in mine
    makes = makes_array or mode == "a"
    _check_named("open", store, path, named, makes)
    where = _Place(store, path, mode, storage_options, named)
    if mode not in ("w", "w-"):
        found = where.find(wanted, strict, config)
        if isinstance(found, Array):
            _warn_of_difference(found, mine)
        if found is not None:
            return found
        if mode in ("r", "r+") or not makes:
            raise where.missing(None, wanted, "mode='a' to create a group, shape= to create an array")
    if makes_array:
        return _create_at(where, mine, wanted, config, caller="open")
    attributes = mine.pop("attributes", None)
    if mine:
        raise TypeError(f"open() takes {', '.join(mine)} together with shape= or data= only")
    return _create_group_at(where, wanted, attributes)


def open_array(
    store: Any = None,
    *,
    mode: Mode | None = None,
    zarr_format: ZarrFormat | None = None,
    zarr_version: ZarrFormat | None = None,
    path: str | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    config: ArrayConfigLike = None,
    strict: bool = False,
    **keywords: Any,
) -> Array:
    """Open an array, or create it; arguments as for `open`.

    Raises
    ------
    ArrayNotFoundError
        If no array is there, and mode and keywords do not ask for a new one.
    ContainsNodeError
        With "w-", if something is there; with "a", if a group is there.
    """
    mine, named = _split_storage("open_array", storage, keywords)
    wanted = _format(zarr_format, zarr_version)
    makes = "shape" in mine or "data" in mine
    _check_named("open_array", store, path, named, makes)
    where = _Place(store, path, mode, storage_options, named)
    if mode not in ("w", "w-"):
        found = where.find(wanted, strict, config)
        if isinstance(found, Group):
            raise where.wrong_kind(found)
        if found is not None:
            _warn_of_difference(found, mine)
            return found
        if mode in ("r", "r+") or not makes:
            raise where.missing("array", wanted, "shape= to create it")
    return _create_at(where, mine, wanted, config, caller="open_array")


def open_group(
    store: Any = None,
    *,
    mode: Mode = "a",
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    storage: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    strict: bool = False,
    **legacy: Any,
) -> Group:
    """Open a group; with mode "a", the default, create it if it is not there.

    Parameters
    ----------
    store, mode, path, zarr_format, storage, storage_options, strict
        As for `open`.
    attributes : Mapping, optional
        The user's attributes, if the group is created.

    Raises
    ------
    GroupNotFoundError
        If no group is there, with "r" or "r+".
    ContainsArrayError
        With "a" or "w-", if an array is there.
    """
    named = None
    kept = _legacy("open_group", legacy)
    if storage is None:
        check_keywords("open_group", kept, _GROUP_KEYWORDS)
    else:
        named = {"storage": storage, **kept}
    wanted = _format(zarr_format, None)
    where = _Place(store, path, mode, storage_options, named)
    if mode not in ("w", "w-"):
        found = where.find(wanted, strict)
        if isinstance(found, Array):
            raise where.wrong_kind(found)
        if found is not None:
            return found
        if mode in ("r", "r+"):
            raise where.missing("group", wanted, "mode='a' to create it")
    return _create_group_at(where, wanted, attributes)


def _check_named(
    caller: str, store: Any, path: str | None, named: Mapping[str, Any] | None, makes: bool
) -> None:
    """Refuse to open nothing: a new memory store, which is what no store means elsewhere, is empty."""
    if store is None and not path and named is None and not makes:
        raise TypeError(f"{caller}() needs to know what to open: a store, path or URL")


def _warn_of_difference(found: Array, keywords: Mapping[str, Any]) -> None:
    """Warn if the array that is there is not what the user described for a new one."""
    try:
        shape = keywords.get("shape")
        new_array.check_same(
            found, found.shape if shape is None else shape, keywords.get("dtype"), exact=True
        )
    except TypeError as difference:
        warnings.warn(f"opened as it is: {difference}", ZarrcWarning, stacklevel=3)


def _create_at(
    where: _Place,
    keywords: dict[str, Any],
    wanted: ZarrFormat | None,
    config: ArrayConfigLike,
    *,
    caller: str,
) -> Array:
    keywords["zarr_format"] = wanted
    keywords["config"] = config
    return create_array_at(where.store, where.path, keywords, overwrite=where.mode == "w", caller=caller)


def _create_group_at(where: _Place, wanted: ZarrFormat | None, attributes: Mapping[str, Any] | None) -> Group:
    metadata = build_group(zarr_format=_default_format(wanted), attributes=attributes)
    create_node(where.store, where.path, metadata, overwrite=where.mode == "w")
    return Group(where.store, where.path, metadata)


# --- save, load


def save_array(
    store: Any,
    arr: npt.ArrayLike,
    *,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> None:
    """Save one array.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    arr : array_like
        The data.
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    path : str, optional
        Path inside the store.
    mode : {"w", "w-", "a"}, optional
        "w" (or ``overwrite=True``) deletes what is there first.
    storage_options : Mapping, optional
        For the file system of a URL.
    **keywords
        As for `create_array`.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already.
    """
    create(
        store=store,
        data=new_array.as_source(arr),
        zarr_format=zarr_format,
        path=path,
        mode=mode,
        storage_options=storage_options,
        **keywords,
    )


def save_group(
    store: Any,
    *args: npt.ArrayLike,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] = "a",
    storage_options: Mapping[str, Any] | None = None,
    **arrays: Any,
) -> None:
    """Save several arrays into a group, which is created if it is not there.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    *args : array_like
        Data, saved under the names ``arr_0``, ``arr_1``, ...
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    path : str, optional
        Path inside the store.
    mode : {"a", "w", "w-"}, default "a"
        "w" deletes the group and everything in it first.
    storage_options : Mapping, optional
        For the file system of a URL.
    **arrays : array_like
        Data, by name.

    Raises
    ------
    ContainsNodeError
        If the group has a member of one of these names already.
    """
    if not args and not arrays:
        raise ValueError("save_group() needs at least one array")
    into = open_group(store, mode=mode, path=path, zarr_format=zarr_format, storage_options=storage_options)
    named = {f"arr_{i}": data for i, data in enumerate(args)}
    if clash := named.keys() & arrays.keys():
        raise ValueError(f"the names {', '.join(sorted(clash))} are those of unnamed arrays")
    for name, data in {**named, **arrays}.items():
        into.create_array(name, data=new_array.as_source(data))


def save(
    store: Any,
    *args: npt.ArrayLike,
    zarr_format: ZarrFormat | None = None,
    path: str | None = None,
    mode: Literal["w", "w-", "a"] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **arrays: Any,
) -> None:
    """Save one array with `save_array`, several or named ones with `save_group`."""
    common: dict[str, Any] = {"zarr_format": zarr_format, "path": path, "storage_options": storage_options}
    if not args and not arrays:
        raise ValueError("save() needs at least one array")
    if len(args) == 1 and not arrays:
        save_array(store, args[0], mode=mode, **common)
    else:
        save_group(store, *args, mode=mode or "a", **common, **arrays)


def load(
    store: Any,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Read everything into memory.

    Parameters
    ----------
    store : store-like
        Store, path or URL.
    path : str, optional
        Path inside the store.
    zarr_format : {2, 3}, optional
        Look for this format only.
    storage_options : Mapping, optional
        For the file system of a URL.

    Returns
    -------
    numpy.ndarray, NumPy scalar or dict
        An array's data; of a group a dict from the names of its arrays to their data, and of its groups to
        dicts.

    Raises
    ------
    NodeNotFoundError
        If nothing is there.
    """
    found = open(store, mode="r", path=path, zarr_format=zarr_format, storage_options=storage_options)
    return found[...] if isinstance(found, Array) else _load_group(found)


def _load_group(group: Group) -> dict[str, Any]:
    return {
        name: member[...] if isinstance(member, Array) else _load_group(member)
        for name, member in group.members()
    }


def tree(
    grp: Group | Any,
    expand: bool | None = None,
    level: int | None = None,
    *,
    max_nodes: int = 500,
    plain: bool = False,
) -> Tree:
    """Return the hierarchy below a group, to be shown as text or HTML; arguments as for `Group.tree`.

    Parameters
    ----------
    grp : Group or store-like
        A group, or where there is one.
    """
    root = grp if isinstance(grp, Group) else open_group(grp, mode="r")
    return root.tree(expand, level, max_nodes=max_nodes, plain=plain)
