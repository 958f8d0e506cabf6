"""Which chunks of an array are stored, and how large its objects are: by listing the store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata
    from zarrc.storage.base import Store

__all__ = ["left_chunk", "listed_chunks", "listed_coords", "stored_chunks", "stored_nbytes", "stored_sizes"]


def stored_chunks(store: Store, path: str, metadata: ArrayMetadata) -> Iterator[tuple[int, ...]]:
    """Yield the grid coordinates of the chunks that are stored; other objects are passed over."""
    grid_shape = metadata.chunk_grid.grid_shape(metadata.shape)
    for coords in listed_coords(store, path, metadata):
        if all(coord < n for coord, n in zip(coords, grid_shape, strict=True)):
            yield coords


def stored_sizes(store: Store, path: str, metadata: ArrayMetadata) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the same with the size of each object in bytes."""
    grid_shape = metadata.chunk_grid.grid_shape(metadata.shape)
    base, prefix = _places(path, metadata)
    for key, nbytes in store.list_sizes(prefix):
        coords = _coords(key[len(base) :], metadata)
        if coords is not None and all(coord < n for coord, n in zip(coords, grid_shape, strict=True)):
            yield coords, nbytes


def listed_coords(store: Store, path: str, metadata: ArrayMetadata) -> Iterator[tuple[int, ...]]:
    """Yield the coordinates of all objects that are named as chunks are, also of those beyond the array."""
    base, prefix = _places(path, metadata)
    for key in store.list_prefix(prefix):
        coords = _coords(key[len(base) :], metadata)
        if coords is not None:
            yield coords


def left_chunk(store: Store, path: str, metadata: ArrayMetadata) -> str | None:
    """The key of an object that an array would take for a chunk, now or when it is resized; None for none.

    What is beside the chunks is not gone through.
    """
    base, prefix = _places(path, metadata)
    if prefix != base:
        keys = store.list_prefix(prefix)
    else:
        listing = store.list_dir(base)
        below = (store.list_prefix(f"{base}{name}/") for name in listing.prefixes if name.isdigit())
        keys = chain((base + name for name in listing.keys), chain.from_iterable(below))
    return next((key for key in keys if _coords(key[len(base) :], metadata) is not None), None)


def _places(path: str, metadata: ArrayMetadata) -> tuple[str, str]:
    """Return what all keys of the array start with, and those of its chunks."""
    encoding = metadata.chunk_key_encoding
    base = f"{path}/" if path else ""
    # With "c/0/1" the chunks have a prefix of their own; other encodings put them beside the metadata.
    apart = encoding.prefix and encoding.separator == "/" and metadata.shape
    return base, f"{base}{encoding.prefix}/" if apart else base


def _coords(key: str, metadata: ArrayMetadata) -> tuple[int, ...] | None:
    coords = metadata.chunk_key_encoding.decode(key)
    if coords == (0,) and not metadata.shape:
        coords = ()  # the v2 encoding's "0" is also the one chunk of a 0-d array
    return coords if coords is not None and len(coords) == len(metadata.shape) else None


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
    return sum(nbytes for _, nbytes in store.list_sizes(f"{path}/" if path else ""))
