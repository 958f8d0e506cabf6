"""Write shards anew that hold bytes nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from zarrc.engine.chunk_keys import stored_chunks
from zarrc.frozen import frozen

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.engine import ArrayAccess

__all__ = ["Compaction", "compact_array"]


@frozen()
class Compaction:
    """What compacting an array did.

    Parameters
    ----------
    n_shards : int
        Shards that are stored.
    n_written : int
        Those of them that were written anew.
    nbytes_before, nbytes_after : int
        Bytes of all shards.
    """

    n_shards: int
    n_written: int
    nbytes_before: int
    nbytes_after: int


def compact_array(
    array: Array, ratio: float = 0.25, progress: Callable[[int, int], object] | None = None
) -> Compaction:
    """Do what `Array.compact` says; see there.

    Parameters
    ----------
    array : Array
    ratio : float
        Share of garbage past which a shard is written anew.
    progress : callable, optional
        Called after each shard with the number of those done and of all.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio must be in [0, 1], got {ratio}")
    array._check_writable("compact")
    access = array._direct()
    shards = sorted(stored_chunks(array.store, array.path, array.metadata)) if access.has_shards else []
    n_shards = n_written = before = after = 0
    for number, shard in enumerate(shards, 1):
        access.repair(shard)
        usage = access.shard_usage(shard)
        if usage is not None:
            n_shards += 1
            before += usage[0]
            if usage[0] - usage[1] > ratio * usage[0]:
                usage = _written_anew(access, shard)
                n_written += 1
            after += 0 if usage is None else usage[0]
        if progress is not None:
            progress(number, len(shards))
    return Compaction(n_shards, n_written, before, after)


def _written_anew(access: ArrayAccess, shard: tuple[int, ...]) -> tuple[int, int, int] | None:
    with access.locked(shard):
        access.write_inner(shard, [], np.empty((0, *access.metadata.chunks), access.metadata.dtype))
    return access.shard_usage(shard)
