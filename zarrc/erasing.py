"""Giving an array, or a part of it, one value: where that is the fill value, by deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.clearing import Clearing, is_all
from zarrc.engine import ArrayAccess
from zarrc.engine.values import as_values
from zarrc.resizing import clearing_config, read_metadata
from zarrc.walking import box_of

if TYPE_CHECKING:
    from zarrc.array_changing import ArrayChanging

__all__ = ["erase_region", "fill_array"]


def fill_array(array: ArrayChanging, value: Any) -> None:
    """Do what `Array.fill` says; see there."""
    array._check_writable("fill")
    if np.ndim(value) != 0:
        raise ValueError(f"fill takes a scalar, got an array of shape {np.shape(value)}")
    dtype = array._metadata.dtype
    item = np.array(as_values(value, dtype, (), array._config.casting, array._path))
    stored = np.asarray(array._metadata.chunk_spec.fill).astype(dtype)
    if is_all(item, stored) and not array._config.write_empty_chunks:
        erase_region(array, ...)
    else:
        array._direct().write(..., item)


def erase_region(array: ArrayChanging, region: Any) -> None:
    """Do what `Array.erase` says; see there."""
    array._check_writable("erase")
    array._direct()  # what waits is written first, and erased
    # Not resized meanwhile: an object that is wholly in the region is so for the shape that is stored.
    with array._metadata_lock():
        _, metadata = read_metadata(array)
        box = tuple(box_of(region, metadata.shape))
        access = ArrayAccess(array._store, array._path, metadata, clearing_config(array._config))
        clearing = Clearing(access)
        clearing.check_writable()
        try:
            clearing.clear(box)
        finally:
            # Also forgets what was kept of the shards' indexes.
            array._set_metadata(metadata)
