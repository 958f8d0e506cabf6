"""Create arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from zarrc import new_array
from zarrc.array import Array
from zarrc.creation.keywords import ZarrFormat, parse_format, split_storage
from zarrc.creation.places import Mode, Place
from zarrc.engine.node_names import join, normalize_path
from zarrc.new_array import ARRAY_KEYWORDS, ArrayKeywords, check_keywords, create_array_at

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["array", "create", "create_array", "empty", "from_array", "full", "ones", "zeros"]


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
        Name of a kind of store in place of ``store``, with the keywords that the store takes
        (`zarrc.storage.info` tells which): ``"filesystem"``, ``"zip"``, ``"sqlite"`` (``path``), ``"memory"``
        or ``"ets"`` (``table_name``: arrays of one name share their data in this process), ``"s3"`` or
        ``"gcs"`` (``bucket``, ``prefix``), ``"azure_blob"`` (``container``, ``prefix``), ``"http"``
        (``url``), or what `zarrc.storage.register` was given.
    mode : {"w", "w-", "a"}, optional
        "w" is ``overwrite=True``.
    overwrite : bool, default False
        Delete what is there first.
    read_only : bool, optional
        Return a handle that refuses writes.
    zarr_version : {2, 3}, optional
        The same as ``zarr_format``.
    storage_options : Mapping, optional
        For the file system of a URL, or of ``storage``.
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
    mine, named = split_storage("create", storage, keywords)
    mine["zarr_format"] = parse_format(mine.get("zarr_format"), zarr_version)
    if shape is not None:
        mine["shape"] = shape
    if mode in ("r", "r+"):
        raise ValueError(f"create() writes: mode must be 'w', 'w-' or 'a', got {mode!r}")
    where = Place(store, path, "w" if overwrite else mode or "a", storage_options, named)
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
    chunks : int, tuple or "auto", default "auto"
        Shape of a chunk; -1 or None for a whole dimension, and in v3 a sequence of the extents of all chunks
        along it, in which ``[extent, count]`` stands for several. With ``shards``, the shape of an inner
        chunk: what is encoded alone. ``"auto"`` makes chunks of 1 to 16 MiB
        (``array.target_chunk_size_bytes`` in ``zarrc.config``).
    chunk_grid : ChunkGrid or Mapping, optional
        In place of ``chunks``: a grid of `zarrc.grids`, or ``{"name": ..., "configuration": ...}`` as in a v3
        document. The name may be "irregular", with ``chunk_sizes`` along each axis or ``chunk_shapes`` by
        place: chunks that line up make a "rectilinear" grid.
    shards : int, tuple, "auto", Mapping or None, optional
        Shape of a shard, a stored object of whole chunks with an index; -1 for a whole dimension, a sequence
        of extents along it as for ``chunks``. ``"auto"``
        aims at 64 MB of decoded bytes (``array.target_shard_size_bytes`` in ``zarrc.config``) without
        reaching much over the array's end. ``{"shape": ..., "index_location": "start"}`` puts the index
        first. None stores each chunk by itself.
    filters, serializer, compressors : codec-like or sequence of these, default "auto"
        The three parts of the codec chain: arrays to arrays, array to bytes, bytes to bytes. None for none.
    codecs : sequence of codec-like, optional
        The whole chain at once, in place of these three: `zarrc.codecs` objects, names, or dicts with "name"
        and "configuration". With ``shards``, the chain of an inner chunk. A ``sharding_indexed`` codec may
        stand in it instead of ``shards``: ``chunks`` is the shape of the shard then if the codec's
        ``chunk_shape`` divides it, and of the inner chunk if it divides the codec's ``chunk_shape``.
    compressor : codec-like, optional
        The ``compressor`` of a v2 array.
    fill_value : scalar, optional
        Value of elements that were never written; 0 by default. None is 0 in v3, which must have one; in v2
        it means that there is none.
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
    where = Place(store, None, "w" if overwrite else "a", storage_options)
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
    like = {**new_array.keywords_like(source, keywords), "shape": keywords.get("shape")}
    return create(data=source, **like)


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
        As for `create_array`. Chunks, shards, codecs, fill value, key encoding and dimension names of a
        stored array are kept where nothing else is said (``"keep"`` says so too); attributes are not.

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
    where = Place(store, None, "r+" if overwrite else "a", storage_options)
    path = join(where.path, normalize_path(name)) if name else where.path
    return new_array.array_from_data(where.store, path, data, said, overwrite=overwrite)


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
