"""Notice that the array under an open handle is another one now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarrc.engine.nodes import open_node
from zarrc.metadata.model import ArrayMetadata

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zarrc.grids.axis import AxisRuns
    from zarrc.grids.base import ChunkGrid
    from zarrc.storage import Store

# What decides, with the grid, which bytes a chunk has and where they are. The shape is not among them: an
# array that was resized through another handle keeps its chunks where they are.
_LAYOUT_FIELDS = ("zarr_format", "data_type", "endian", "chunk_key_encoding", "codecs")


def same_layout(store: Store, path: str, metadata: ArrayMetadata) -> bool:
    """Whether what is stored at ``path`` now has the chunks that ``metadata`` describes.

    Raises
    ------
    NodeNotFoundError
        If nothing is stored there any more.
    """
    return stored_shape(store, path, metadata) is not None


def stored_shape(store: Store, path: str, metadata: ArrayMetadata) -> tuple[int, ...] | None:
    """Return the shape that is stored at ``path`` now; None if its chunks are not those of ``metadata``."""
    now = open_node(store, path, zarr_format=metadata.zarr_format, repair_fill=metadata.fill_value)
    return now.shape if isinstance(now, ArrayMetadata) and has_layout(now, metadata) else None


_MAX_SHAPES = 10_000
_grown: dict[Hashable, tuple[int, ...]] = {}
"""Where this process resized an array in a store that is asked by requests -> the largest shape it had."""


def note_shape(store: Store, path: str, shape: tuple[int, ...]) -> None:
    """Let other handles of this process know that an array has a shape now, before it has."""
    key = store.identity_of(path)
    known = _grown.pop(key, shape)
    _grown[key] = tuple(map(max, known, shape)) if len(known) == len(shape) else shape
    while len(_grown) > _MAX_SHAPES:
        _grown.pop(next(iter(_grown)), None)


def noted_shape(store: Store, path: str) -> tuple[int, ...] | None:
    """Return a shape that an array had, if this process resized it: no chunk is smaller than that says."""
    return _grown.get(store.identity_of(path)) if _grown else None


def has_layout(now: ArrayMetadata, metadata: ArrayMetadata) -> bool:
    """Whether an array has the chunks that other metadata describe, with another shape perhaps."""
    # From the cache of what was parsed before: of equal documents; or resized by this process.
    if now.derived is metadata.derived:
        return True
    return (
        len(now.shape) == len(metadata.shape)
        and all(getattr(now, field) == getattr(metadata, field) for field in _LAYOUT_FIELDS)
        and _fill_bytes(now) == _fill_bytes(metadata)
        and _agree(now.chunk_grid, metadata.chunk_grid)
    )


def _agree(now: ChunkGrid, then: ChunkGrid) -> bool:
    """Whether two grids have the same chunks as far as both reach: an array that grows gets more of them."""
    if now == then:
        return True
    return now.name == then.name and all(_agree_along(now.axis(d), then.axis(d)) for d in range(now.ndim))


def _agree_along(now: AxisRuns, then: AxisRuns) -> bool:
    if isinstance(now, int) or isinstance(then, int):
        return now == then
    ours, theirs = iter(now), iter(then)
    extent, n = next(ours)
    other, m = next(theirs)
    while extent == other:
        n, m = n - m, m - n
        try:
            if n <= 0:
                extent, n = next(ours)
            if m <= 0:
                other, m = next(theirs)
        except StopIteration:
            return True
    return False


def _fill_bytes(metadata: ArrayMetadata) -> bytes | None:
    return None if metadata.fill_value is None else metadata.fill_value.tobytes()
