"""Changing an array's shape, so that elements which were cut off never come back.

What is stored beyond an array's shape may be anything: a peer that shrinks leaves what was in the edge chunks
or even whole chunks, and a killed process leaves what it was about to do. Nothing there is trusted: growing
clears what becomes visible before it does, and appending overwrites all of it. The shape is stored after the
data when it grows, and before them when it shrinks: at each moment every element inside the shape that is
stored then is an element of the array.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.boxes import Box, blocks, shells
from zarrc.clearing import Clearing
from zarrc.config import config
from zarrc.engine import ArrayAccess
from zarrc.engine.node_changes import StoredNode, read_stored, replace_document
from zarrc.engine.node_names import join
from zarrc.engine.nodes import V2_DOCUMENTS, V3_DOCUMENT, place
from zarrc.engine.replaced import has_layout, note_shape
from zarrc.errors import MetadataError, StoreConflictError
from zarrc.frozen import changed
from zarrc.metadata.cache import cache_key, keep_node
from zarrc.metadata.model import ArrayMetadata
from zarrc.node import without_nan
from zarrc.storage.memory import MemoryStore

if TYPE_CHECKING:
    from zarrc.array_changing import ArrayChanging
    from zarrc.config import ArrayConfig
    from zarrc.grids.base import ChunkGrid
    from zarrc.storage.base import Blob

__all__ = ["append_to", "clearing_config", "parse_new_shape", "read_metadata", "resize_array", "resized"]

_ATTEMPTS: Final = 10
_BLOCK_NBYTES: Final = 64 * 2**20


def parse_new_shape(
    array: ArrayChanging, new_shape: int | Iterable[int], more: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the shape that a user asked for, as one int, a sequence, or several ints."""
    given: tuple[Any, ...] = (new_shape, *more)
    if not more and isinstance(new_shape, Iterable):
        given = tuple(new_shape)
    try:
        if any(isinstance(extent, (bool, np.bool_)) for extent in given):
            raise TypeError
        shape = tuple(map(operator.index, given))
    except TypeError:
        raise TypeError(f"a shape is made of integers, got {given!r:.80}") from None
    if len(shape) != array.ndim:
        raise ValueError(
            f"the new shape {shape} has {len(shape)} dimensions, the array has {array.ndim}: resizing does "
            "not change their number"
        )
    if any(extent < 0 for extent in shape):
        raise ValueError(f"the new shape {shape} has a negative extent")
    return shape


def resize_array(array: ArrayChanging, shape: tuple[int, ...]) -> None:
    """Do what `Array.resize` says; see there."""
    array._check_writable("resize")
    array._direct()  # what waits is written inside the old shape
    with array._metadata_lock():
        for attempt in range(_ATTEMPTS):
            try:
                _try_resize(array, shape)
                return
            except StoreConflictError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(0.001 * 2**attempt)


def _try_resize(array: ArrayChanging, shape: tuple[int, ...]) -> None:
    stored, old = read_metadata(array)
    if shape == old.shape:
        array._set_metadata(old)
        return
    new = resized(old, shape)
    # Sees all that either shape does: an object is empty if it is so for both.
    widest = resized(old, tuple(map(max, old.shape, shape)))
    access = ArrayAccess(array._store, array._path, widest, clearing_config(array._config))
    try:
        clearing = Clearing(access)
        clearing.check_writable()
        _clear_new(clearing, access.metadata.chunk_grid, old.shape, shape)
    except Exception as error:
        error.add_note(f"the array has its old shape {old.shape}")
        raise
    array._take_stored(_publish(array, stored, new))
    try:
        _clear_cut(Clearing(access), access.metadata.chunk_grid, old.shape, shape)
    except Exception as error:
        error.add_note(
            f"the array has its new shape {shape}; of what was cut off some is still stored, but does not "
            "come back when it grows"
        )
        raise


def read_metadata(array: ArrayChanging) -> tuple[StoredNode, ArrayMetadata]:
    """Read the metadata that are to be replaced: the shape is the stored one, whatever the handle has."""
    stored = read_stored(array._store, array._path, array._metadata.zarr_format, array._repair_fill())
    old = stored.metadata
    if not isinstance(old, ArrayMetadata) or not has_layout(old, array._metadata):
        raise MetadataError("the array was made again with another layout: open it again", array=array._path)
    return stored, old


def resized(metadata: ArrayMetadata, shape: tuple[int, ...]) -> ArrayMetadata:
    """Return the metadata with another shape."""
    grid = metadata.chunk_grid.resized(shape)
    new = metadata.evolve(shape=shape, chunk_grid=grid)
    if grid is metadata.chunk_grid:
        # How chunks are laid out does not depend on the shape; to work it out takes longer than all else.
        object.__setattr__(new, "derived", metadata.derived)
    return new


def _publish(array: ArrayChanging, stored: StoredNode, new: ArrayMetadata) -> ArrayMetadata:
    """Store metadata that differ from the stored ones in shape and grid; return them.

    They are kept as those of the new document: it is looked at in the next append, and by each handle.
    """
    plain = new
    if new.zarr_format == 2:
        # Which are in a document of their own, that stays as it is.
        plain = new.evolve(attributes={}, v2=new.v2)
    elif new.attributes:
        plain = new = new.evolve(
            attributes=without_nan(dict(new.attributes), place(array._store, array._path))
        )
    name = V3_DOCUMENT if new.zarr_format == 3 else V2_DOCUMENTS[0]
    document = plain.to_documents(indent=config.get("json_indent"))[name]
    if array._store.local_root is None and not isinstance(array._store, MemoryStore):
        note_shape(array._store, array._path, new.shape)
    _replace_surely(array, join(array._path, name), document, stored.blobs[name])
    if not new.assumed:
        keep_node(_key_of(new, document, stored), new)
    return new


def _replace_surely(array: ArrayChanging, key: str, document: bytes, old: Blob | None) -> None:
    """Store a document; if that fails, see whether it is stored all the same: only the answer may be lost."""
    try:
        replace_document(array._store, key, document, old)
    except StoreConflictError:
        raise
    except Exception as error:
        try:
            now = array._store.get(key)
        except Exception:
            error.add_note("whether the new shape is stored is not known: refresh() tells")
            raise error from None
        if now is None or bytes(now) != document:
            raise


def _key_of(metadata: ArrayMetadata, document: bytes, stored: StoredNode) -> tuple[Any, ...]:
    if metadata.zarr_format == 3:
        return cache_key(3, False, document)
    attributes = stored.blobs[V2_DOCUMENTS[2]]
    return cache_key(2, False, document, None, None if attributes is None else bytes(attributes))


def clearing_config(given: ArrayConfig) -> ArrayConfig:
    """Return the configuration to clear with."""
    return changed(given, order="C", write_empty_chunks=False, read_missing_chunks=True, casting="no")


def _from_zero(extents: Iterable[int]) -> Box:
    return tuple((0, extent) for extent in extents)


def _clear_new(clearing: Clearing, grid: ChunkGrid, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """Clear what is in ``new`` and not in ``old``."""
    if 0 in new or all(map(operator.le, new, old)):
        return
    n_new = grid.grid_shape(new)
    # The objects that have elements already.
    n_old = [0] * len(old) if 0 in old else list(map(min, grid.grid_shape(old), n_new))
    if 0 not in old:
        ends = [grid.chunk_bounds(d, n - 1)[1] for d, n in enumerate(n_old)]
        inner = _from_zero(map(min, old, new))
        for box in shells(inner, _from_zero(map(min, ends, new))):
            clearing.reset(box)
    clearing.delete(_from_zero(n_new), _from_zero(n_old))


def _clear_cut(clearing: Clearing, grid: ChunkGrid, old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """Clear what is in ``old`` and not in ``new``."""
    if 0 in old or all(map(operator.le, old, new)):
        return
    n_old = grid.grid_shape(old)
    n_all = [0] * len(new) if 0 in new else list(grid.grid_shape(new))
    n_new = list(map(min, n_all, n_old))
    clearing.delete(_from_zero(n_old), _from_zero(n_new), beyond=_from_zero(n_all))
    if 0 in new:
        return
    ends = [grid.chunk_bounds(d, n - 1)[1] for d, n in enumerate(n_new)]
    for box in shells(_from_zero(map(min, old, new)), _from_zero(map(min, ends, old))):
        clearing.reset(box)


# --- append


def append_to(array: ArrayChanging, data: Any, axis: int) -> tuple[int, ...]:
    """Do what `Array.append` says; see there."""
    array._check_writable("append")
    if array.ndim == 0:
        raise ValueError("cannot append to an array without dimensions")
    along = _parse_axis(axis, array.ndim)
    array._direct()  # what waits goes before it
    with array._metadata_lock():
        return _append(array, data, along)


def _parse_axis(axis: int, ndim: int) -> int:
    try:
        along = operator.index(axis)
    except TypeError:
        raise TypeError(f"axis must be an integer, got {axis!r:.80}") from None
    if not -ndim <= along < ndim:
        raise np.exceptions.AxisError(along, ndim)
    return along % ndim


def _append(array: ArrayChanging, data: Any, axis: int) -> tuple[int, ...]:
    stored, old = read_metadata(array)
    n_new = _check_data(data, old.shape, axis)
    if n_new == 0:
        array._set_metadata(old)
        return old.shape
    start = old.shape[axis]
    new = resized(old, (*old.shape[:axis], start + n_new, *old.shape[axis + 1 :]))
    access = array._new_access(new)
    try:
        _write(access, data, axis, start)
    except Exception as error:
        error.add_note(f"nothing was appended: the array has its old shape {old.shape}")
        raise
    try:
        new = _publish(array, stored, new)
    except StoreConflictError:
        new = _append_after_all(array, old, new)
    array._take_stored(new)
    return new.shape


def _append_after_all(array: ArrayChanging, old: ArrayMetadata, new: ArrayMetadata) -> ArrayMetadata:
    """Store the new shape although somebody changed the metadata, if that was not the shape."""
    for attempt in range(_ATTEMPTS):
        time.sleep(0.001 * 2**attempt)
        stored, now = read_metadata(array)
        if now.shape != old.shape:
            break
        try:
            return _publish(array, stored, resized(now, new.shape))
        except StoreConflictError:
            continue
    raise StoreConflictError(
        f"another writer resized the array from {old.shape} while it was appended to; what was written there "
        "may be either's. With locking='file' (local stores) such writers wait for each other",
        array=array._path,
    )


def _check_data(data: Any, shape: tuple[int, ...], axis: int) -> int:
    """Return how many elements ``axis`` grows by."""
    found = tuple(np.shape(data))
    what = f"cannot append data of shape {found} along axis {axis} of an array of shape {shape}"
    if len(found) != len(shape):
        raise ValueError(f"{what}: the data have {len(found)} dimensions, the array {len(shape)}")
    for d, (extent, given) in enumerate(zip(shape, found, strict=True)):
        if d != axis and extent != given:
            raise ValueError(f"{what}: along axis {d} the data have {given} elements, the array {extent}")
    return int(found[axis])


def _write(access: ArrayAccess, data: Any, axis: int, start: int) -> None:
    """Write data from ``start`` on; those that are stored somewhere block by block."""
    metadata = access.metadata
    box = tuple((start if d == axis else 0, extent) for d, extent in enumerate(metadata.shape))
    if isinstance(data, (np.ndarray, np.generic, list, tuple)) or not hasattr(data, "__getitem__"):
        access.write(tuple(slice(*part) for part in box), data)
        return
    for block in blocks(metadata.chunk_grid, box, max(1, _BLOCK_NBYTES // metadata.dtype.itemsize)):
        part = slice(block[axis].start - start, block[axis].stop - start)
        access.write(block, np.asarray(data[(*block[:axis], part, *block[axis + 1 :])]))
