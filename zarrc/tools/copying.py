"""Copy an array to another place, or into another array."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from zarrc.array import Array
from zarrc.codecs import BytesCodec, TransposeCodec
from zarrc.creation.places import Place, flush_named
from zarrc.engine.chunk_keys import listed_chunks
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.nodes import place
from zarrc.errors import ReadOnlyError
from zarrc.group import Group
from zarrc.kept_layout import keep_layout, leaf_codecs
from zarrc.new_array import build_metadata, refuse_self
from zarrc.node import without_nan
from zarrc.streaming import copy_into, regions

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata

    Progress = Callable[[int, int], object]

__all__ = ["copy_array", "copy_data", "metadata_of_copy", "same_objects"]

# Fewer chunks than that are copied without a look at which of them are stored.
_FEW_CHUNKS: Final = 64


def copy_array(
    source: Any,
    destination: Any = None,
    *,
    name: str | None = None,
    overwrite: bool = False,
    zarr_format: Literal[2, 3] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    verify: bool = False,
    progress: Progress | None = None,
) -> Array:
    """Copy an array: to a new place, or into another array.

    The stored bytes of each chunk pass through as they are where both arrays store their chunks alike: same
    chunk shape, data type, codecs and fill value. Otherwise the data are read and written region by region,
    in bounded memory.

    Parameters
    ----------
    source : Array or store-like
        What to copy.
    destination : Array, Group or store-like, optional
        An array of the same shape: its data become the source's. A group or a place: an array with the
        source's metadata and attributes is created there. None for a new `MemoryStore`.
    name : str, optional
        Path of the new array inside the place; needed for a group.
    overwrite : bool, default False
        Delete what is at the place first.
    zarr_format : {2, 3}, optional
        Format of the new array; by default the group's, or the source's.
    storage_options : Mapping, optional
        For the file system of the destination's URL.
    verify : bool, default False
        Decode each chunk before its bytes pass through, so that a damaged one is found. Without it only the
        size is looked at.
    progress : callable, optional
        Called now and then with the number of chunks that are done and of those that there are to do.

    Returns
    -------
    Array
        The copy: ``destination`` itself if that is an array.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group at the place already.
    ReadOnlyError
        If the destination was opened for reading only; nothing was changed.
    ValueError
        If the shapes differ, or if the destination is the source or holds it.
    CorruptChunkError
        If a stored chunk cannot be what it should be.

    Notes
    -----
    Chunks that are not stored in the source are not stored in the copy. While somebody writes to the source,
    each chunk of the copy is the old one or the new one. After an error, or Ctrl-C, a new array is deleted
    again; in an array that was there each chunk is the old one or the copied one.

    Examples
    --------
    >>> import zarrc
    >>> a = zarrc.array([[1, 2], [3, 4]], chunks=(1, 2), attributes={"unit": "m"})
    >>> b = zarrc.copy_array(a)
    >>> b[:].tolist(), dict(b.attrs)
    ([[1, 2], [3, 4]], {'unit': 'm'})
    """
    origin = _opened(source)
    if isinstance(destination, Array):
        _refuse_keywords(
            name=name, overwrite=overwrite, zarr_format=zarr_format, storage_options=storage_options
        )
        _check_destination(origin, destination)
        copy_data(origin, destination, is_new=False, verify=verify, progress=progress)
        return destination
    where = _place_in(destination, name, overwrite, storage_options)
    if not isinstance(destination, Group):
        made = _copy_to(origin, where, zarr_format, overwrite=overwrite, verify=verify, progress=progress)
        flush_named(destination, where.store)
        return made
    zarr_format = zarr_format or destination.metadata.zarr_format
    with destination._changing(where.path, deep=overwrite):
        made = _copy_to(origin, where, zarr_format, overwrite=overwrite, verify=verify, progress=progress)
    return destination._linked(made)


def _opened(source: Any) -> Array:
    if isinstance(source, Array):
        return source
    if hasattr(source, "shape") and hasattr(source, "dtype"):
        raise TypeError(
            f"copy_array() copies what zarrc stores, not a {type(source).__module__}."
            f"{type(source).__qualname__}; zarrc.from_array makes a stored array of it"
        )
    if isinstance(source, Group):
        raise TypeError("copy_array() copies one array; call it for each array of the group, with name=")
    if source is None:
        raise TypeError("copy_array() needs to know what to copy: an array, a store, a path or a URL")
    # Not open_array, whose errors tell how to create what is not there.
    where = Place(source, None, "r")
    found = where.find(None)
    if found is None:
        raise where.missing("array", None)
    if not isinstance(found, Array):
        raise where.wrong_kind(found)
    return found


def _refuse_keywords(**given: Any) -> None:
    for keyword, value in given.items():
        if value:
            raise TypeError(f"copy_array() takes {keyword}= for a new array; the destination is an array")


def _place_in(
    destination: Any, name: str | None, overwrite: bool, storage_options: Mapping[str, Any] | None
) -> Place:
    inner = normalize_path(name) if name else ""
    if not isinstance(destination, Group):
        # "r+", so that nothing but the node itself is looked at before it is deleted.
        where = Place(destination, None, "r+" if overwrite else "a", storage_options)
        where.path = join(where.path, inner) if inner else where.path
        return where
    if not inner:
        raise TypeError("copy_array() needs name= for the array in the group")
    if destination.read_only:
        raise ReadOnlyError(
            "cannot copy into the group: it was opened for reading only", key=destination.path
        )
    return Place(destination.store, join(destination.path, inner), "r+")


def _check_destination(source: Array, destination: Array) -> None:
    if destination.read_only:
        raise ReadOnlyError(
            "cannot copy into the array: it was opened for reading only; open it with mode='r+'",
            array=destination.path,
        )
    if source.store.identity_of(source.path) == destination.store.identity_of(destination.path):
        raise ValueError(f"{place(destination.store, destination.path)} is the source itself")
    if source.shape != destination.shape:
        raise ValueError(
            f"the shapes differ: the source has {source.shape}, the destination {destination.shape}"
        )


def _copy_to(
    source: Array,
    where: Place,
    zarr_format: Literal[2, 3] | None,
    *,
    overwrite: bool,
    verify: bool,
    progress: Progress | None,
) -> Array:
    """Create the destination and copy the data; an array that they do not get into is not left behind."""
    # Where the source lies below: what fails is deleted again, with all that it holds.
    refuse_self(where.store, where.path, source)
    metadata = metadata_of_copy(source, zarr_format or source.metadata.zarr_format)
    create_node(where.store, where.path, metadata, overwrite=overwrite, takes_left_chunks=True)
    made = Array(where.store, where.path, metadata)
    try:
        copy_data(source, made, is_new=True, verify=verify, progress=progress)
    except BaseException:
        delete_node(where.store, where.path)
        raise
    return made


def metadata_of_copy(source: Array, zarr_format: Literal[2, 3]) -> ArrayMetadata:
    """Return the metadata of a copy of this format, with values of its own."""
    # Values that can be changed in place are each array's own.
    values = copy.deepcopy({name: getattr(source.metadata, name) for name in source.metadata.VALUES})
    values["attributes"] = without_nan(dict(values["attributes"]), place(source.store, source.path))
    metadata = source.metadata.with_values(values)
    if zarr_format == metadata.zarr_format:
        return metadata
    said = {
        "zarr_format": zarr_format,
        "shape": source.shape,
        "dtype": metadata.data_type.numpy,
        "fill_value": source.fill_value,
        "attributes": metadata.attributes,
    }
    if zarr_format == 2:
        said |= _said_in_v2(metadata)
    return build_metadata({**keep_layout(source, said), **said}, "copy_array")


def _said_in_v2(metadata: ArrayMetadata) -> dict[str, Any]:
    """Return what version 2 says otherwise: in the data type and in ``order``, where version 3 has codecs."""
    said: dict[str, Any] = {}
    codecs = leaf_codecs(metadata.codecs)
    if any(isinstance(codec, BytesCodec) and codec.endian == "big" for codec in codecs):
        said["dtype"] = metadata.data_type.numpy.newbyteorder(">")
    filters = tuple(codec for codec in codecs if codec.kind == "array_to_array")
    first = next(iter(filters), None)
    if isinstance(first, TransposeCodec) and first.order == tuple(range(metadata.ndim))[::-1]:
        said |= {"order": "F", "filters": filters[1:] or None}
    return said


# --- data


def copy_data(source: Array, target: Array, *, is_new: bool, verify: bool, progress: Progress | None) -> None:
    """Make the target's data the source's: objects as they are where both have the same, else by reading."""
    # What waits in a buffered block was written before.
    for array in (source, target):
        array._direct()
    if not same_objects(source.metadata, target.metadata):
        _stream(source, target, progress)
        return
    from zarrc.engine.copy import copy_objects

    copy_objects(
        (source.store, source.path, source.metadata),
        (target.store, target.path, target.metadata),
        is_new=is_new,
        verify=verify,
        progress=progress,
    )


def same_objects(source: ArrayMetadata, target: ArrayMetadata) -> bool:
    """Whether each stored object of one array is, byte for byte, one that the other could have.

    Parameters
    ----------
    source, target : ArrayMetadata
        The two arrays. Their format, keys, attributes and dimension names are not looked at.
    """
    return (
        source.shape == target.shape
        and source.chunk_grid == target.chunk_grid
        and source.data_type == target.data_type
        and source.codecs == target.codecs
        and _fill_bits(source) == _fill_bits(target)
    )


def _fill_bits(metadata: ArrayMetadata) -> bytes:
    """What a missing chunk reads as; without a fill value (v2) that is zeros."""
    fill = metadata.fill_value
    return (metadata.data_type.default_fill() if fill is None else fill).tobytes()


def _stream(source: Array, target: Array, progress: Progress | None) -> None:
    """Read and write region by region."""
    source = source.with_config({"read_missing_chunks": True})
    counter = _Counter(target, progress)
    stored = _stored_regions(source, target)
    if stored is None:
        copy_into(target, source, counter)
        return
    counter.n_chunks = len(stored)
    for region in stored:
        for part in _parts(region, target):
            target[part] = np.asarray(source[part])
        counter(region)


def _parts(region: tuple[slice, ...], target: Array) -> Iterator[tuple[slice, ...]]:
    """Yield a region, which starts where one of the target's objects does, in parts that fit in memory."""
    box = tuple((part.start, part.stop) for part in region)
    return regions(target.metadata.chunk_grid, target.shape, target.dtype.itemsize, box)


class _Counter:
    """Tells how many of the target's chunks (or shards) the regions that were written have."""

    def __init__(self, target: Array, progress: Progress | None) -> None:
        self.grid = target.metadata.chunk_grid
        self.n_chunks = target.nshards
        self.n_done = 0
        self.progress = progress

    def __call__(self, region: tuple[slice, ...]) -> None:
        if self.progress is None:
            return
        grid = self.grid
        self.n_done += math.prod(
            grid.chunk_of(d, part.stop - 1) - grid.chunk_of(d, part.start) + 1
            for d, part in enumerate(region)
        )
        self.progress(min(self.n_done, self.n_chunks), self.n_chunks)


def _stored_regions(source: Array, target: Array) -> list[tuple[slice, ...]] | None:
    """Return the regions of all stored chunks; None where those are most, or do not tell what differs.

    Where neither array has a chunk both read as their fill values: nothing is to do if these agree.
    """
    if source.nshards <= _FEW_CHUNKS or source.dtype.newbyteorder("=") != target.dtype.newbyteorder("="):
        return None
    if _fill_bits(source.metadata) != _fill_bits(target.metadata):
        return None
    boxes: set[_Box] = set()
    for array in (source, target):
        chunks = listed_chunks(array.store, array.path, array.metadata)
        if chunks is None:
            return None
        boxes.update(_regions_of(array, chunks, target))
    return None if 4 * len(boxes) > source.nshards else [_slices(region) for region in sorted(boxes)]


_Box = tuple[tuple[int, int], ...]


def _regions_of(array: Array, chunks: set[tuple[int, ...]], target: Array) -> Iterator[_Box]:
    """Yield the region of each of these chunks, grown to whole chunks of the target."""
    grid, theirs = target.metadata.chunk_grid, array.metadata.chunk_grid
    for chunk in chunks:
        box = []
        for d, (index, length) in enumerate(zip(chunk, array.shape, strict=True)):
            start, stop = theirs.chunk_bounds(d, index)
            start = grid.chunk_bounds(d, grid.chunk_of(d, start))[0]
            stop = grid.chunk_bounds(d, grid.chunk_of(d, min(stop, length) - 1))[1]
            box.append((start, min(stop, length)))
        yield tuple(box)


def _slices(box: _Box) -> tuple[slice, ...]:
    return tuple(slice(start, stop) for start, stop in box)
