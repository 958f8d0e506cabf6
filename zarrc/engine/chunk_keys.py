"""Which chunks of an array are stored, and how large its objects are: by listing the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata
    from zarrc.storage.base import Store

__all__ = ["listed_chunks", "stored_chunks", "stored_nbytes"]


def stored_chunks(store: Store, path: str, metadata: ArrayMetadata) -> Iterator[tuple[int, ...]]:
    """Yield the grid coordinates of the chunks that are stored; other objects are passed over."""
    encoding = metadata.chunk_key_encoding
    grid_shape = metadata.chunk_grid.grid_shape(metadata.shape)
    base = f"{path}/" if path else ""
    # With "c/0/1" the chunks have a prefix of their own; other encodings put them beside the metadata.
    apart = encoding.prefix and encoding.separator == "/" and grid_shape
    for key in store.list_prefix(f"{base}{encoding.prefix}/" if apart else base):
        coords = encoding.decode(key[len(base) :])
        if coords == (0,) and not grid_shape:
            coords = ()  # the v2 encoding's "0" is also the one chunk of a 0-d array
        if coords is None or len(coords) != len(grid_shape):
            continue
        if all(coord < n for coord, n in zip(coords, grid_shape, strict=True)):
            yield coords


def listed_chunks(store: Store, path: str, metadata: ArrayMetadata) -> set[tuple[int, ...]] | None:
    """Return the grid coordinates of the chunks that are stored; None where a listing does not tell.

    On a web server without an index it is empty, whatever is there: a listing that does not show the array's
    own metadata is not one.
    """
    encoding = metadata.chunk_key_encoding
    grid_shape = metadata.chunk_grid.grid_shape(metadata.shape)
    base = f"{path}/" if path else ""
    document = f"{base}{'zarr.json' if metadata.zarr_format == 3 else '.zarray'}"
    shown = False
    found = set()
    for key in store.list_prefix(base):
        shown = shown or key == document
        chunk = encoding.decode(key[len(base) :])
        if chunk is None or len(chunk) != len(grid_shape):
            continue
        if all(i < n for i, n in zip(chunk, grid_shape, strict=True)):
            found.add(chunk)
    return found if shown else None


def stored_nbytes(store: Store, path: str) -> int:
    """Return the size of all objects below a path, in bytes."""
    total = 0
    for key in store.list_prefix(f"{path}/" if path else ""):
        stat = store.stat(key)
        # None: deleted since it was listed.
        total += 0 if stat is None else stat.nbytes
    return total
