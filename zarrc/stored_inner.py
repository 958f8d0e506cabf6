"""How many inner chunks of an array are stored: by the indexes of its shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.codecs.pipeline import stored_axes
from zarrc.codecs.shard_bytes import decode_bytes, decode_index
from zarrc.codecs.sharding import ABSENT
from zarrc.engine.chunk_keys import stored_chunks
from zarrc.errors import StoreError, ZarrcError

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.engine import ArrayAccess
    from zarrc.metadata.model import ArrayMetadata
    from zarrc.storage.base import Store

__all__ = ["stored_inner_chunks"]


def stored_inner_chunks(access: ArrayAccess) -> int:
    """Count the inner chunks that are stored, of those that meet the array.

    Costs a listing and one read a shard: of the index alone, unless codecs follow the sharding one.

    Parameters
    ----------
    access : ArrayAccess
        Of an array with shards.

    Raises
    ------
    CorruptChunkError
        If a shard's index is damaged; the error names the shard.
    """
    shards = stored_chunks(access.store, access.path, access.metadata)
    if not access.has_shards:
        return sum(_present_in(access, shard) for shard in shards)
    usages = (access.shard_usage(shard) for shard in shards)
    return sum(usage[2] for usage in usages if usage is not None)


def _present_in(access: ArrayAccess, shard: tuple[int, ...]) -> int:
    """Count those of one shard that goes through a codec in Python as a whole."""
    path, metadata = access.path, access.metadata
    name = metadata.chunk_key_encoding.encode(shard)
    key = f"{path}/{name}" if path else name
    try:
        present = _present(access.store, key, metadata, shard)
    except ZarrcError as error:
        error.array, error.key = error.array or path, error.key or key
        raise
    return 0 if present is None else int(np.count_nonzero(present[_inside(metadata, shard)]))


def _present(
    store: Store, key: str, metadata: ArrayMetadata, shard: tuple[int, ...]
) -> npt.NDArray[np.bool_] | None:
    """Which inner chunks of a shard are stored, in the array's order of axes; None if it is gone by now."""
    codec = metadata.sharding
    assert codec is not None
    place = metadata.codecs.index(codec)
    before, behind = metadata.codecs[:place], metadata.codecs[place + 1 :]
    axes = stored_axes(before, metadata.ndim)
    assert axes is not None
    extents = metadata.chunk_grid.shape_of(shard)
    shape = tuple(extents[axis] for axis in axes)
    nbytes = codec.index_nbytes(shape)
    wanted: tuple[int, int | None] = (0, nbytes) if codec.index_location == "start" else (-nbytes, None)
    try:
        blob = store.get(key, None if behind else wanted)
    except StoreError:
        # An object that is shorter than its index is no fault of the store.
        blob = store.get(key)
    if blob is None:
        return None
    data: Any = memoryview(blob)
    if behind:
        spec = metadata.spec_of(shard)
        for one in before:
            spec = one.resolve(spec)
        data = memoryview(decode_bytes(behind, data, spec))
    index = decode_index(codec, data, shape)
    present: npt.NDArray[np.bool_] = np.any(index != ABSENT, axis=-1)
    return present.transpose(_inverse(axes))


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _inside(metadata: ArrayMetadata, shard: tuple[int, ...]) -> tuple[slice, ...]:
    """The inner chunks of a shard that are not wholly beyond the array's end."""
    bounds = (metadata.chunk_grid.chunk_bounds(d, i) for d, i in enumerate(shard))
    return tuple(
        slice(-(-(min(length, stop) - start) // chunk))
        for length, (start, stop), chunk in zip(metadata.shape, bounds, metadata.chunks, strict=True)
    )
