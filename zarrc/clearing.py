"""Making parts of an array what was never written: whole objects go, the others get the fill value."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.boxes import Box, blocks, shells, size_of
from zarrc.engine.chunk_keys import listed_coords

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.engine import ArrayAccess

__all__ = ["check_writable", "clear_box", "delete_objects", "reset"]

FEW_OBJECTS: Final = 1000
"""So many objects are deleted without a look at which there are: one request, where stores take many keys."""

_BLOCK_NBYTES: Final = 32 * 2**20


def check_writable(access: ArrayAccess) -> None:
    """Refuse, before anything is changed, data that cannot be written, and locks that cannot be had."""
    ndim = access.metadata.ndim
    access.locked((0,) * ndim)
    if ndim:
        access.write((slice(0, 0),) * ndim, np.empty((0,) * ndim, access.metadata.dtype))


def clear_box(access: ArrayAccess, box: Box) -> None:
    """Make a box of elements the fill value; objects that are wholly in it are deleted.

    Parameters
    ----------
    access : ArrayAccess
        Must read missing chunks as the fill value, and store no empty ones.
    box : Box
        Inside the array.
    """
    metadata = access.metadata
    grid, shape = metadata.chunk_grid, metadata.shape
    if size_of(box) == 0:
        return
    objects, whole = [], []
    for d, (start, stop) in enumerate(box):
        first, last = grid.chunk_of(d, start), grid.chunk_of(d, stop - 1)
        first += grid.chunk_bounds(d, first)[0] < start
        # What is beyond the array's end need not be covered.
        last -= grid.chunk_bounds(d, last)[1] > stop and stop < shape[d]
        objects.append((first, max(first, last + 1)))
        if first > last:
            whole.append((start, start))
        else:
            whole.append((grid.chunk_bounds(d, first)[0], min(grid.chunk_bounds(d, last)[1], stop)))
    for shell in shells(tuple(whole), box):
        reset(access, shell)
    delete_objects(access, tuple(objects), ((0, 0),) * len(box))


def reset(access: ArrayAccess, box: Box) -> None:
    """Make a box of elements the fill value, by reading it: what is that already is not written again.

    Parameters
    ----------
    access : ArrayAccess
        As for `clear_box`.
    box : Box
        Inside the array.
    """
    metadata = access.metadata
    fill = np.asarray(metadata.chunk_spec.fill).astype(metadata.dtype)
    limit = max(1, _BLOCK_NBYTES // metadata.dtype.itemsize)
    for block in blocks(metadata.chunk_grid, box, limit):
        if not is_all(np.asarray(access.read(block)), fill):
            access.write(block, fill)


def is_all(data: npt.NDArray[Any], value: npt.NDArray[Any]) -> bool:
    """Whether all elements are a value, bit for bit.

    Parameters
    ----------
    data : numpy.ndarray
        In C order.
    value : numpy.ndarray
        0-d, of the same data type.
    """
    flat = data.reshape(-1)
    if data.dtype.itemsize in (1, 2, 4, 8):
        bits = np.dtype(f"u{data.dtype.itemsize}")
        return bool((flat.view(bits) == value.view(bits)).all())
    rows = flat.view(np.uint8).reshape(-1, data.dtype.itemsize)
    return bool((rows == np.frombuffer(value.tobytes(), np.uint8)).all())


def delete_objects(access: ArrayAccess, outer: Box, inner: Box, *, beyond: Box | None = None) -> None:
    """Delete the objects with grid coordinates in ``outer`` and not in ``inner``.

    If they are few without a look at which are stored, otherwise by one listing.

    Parameters
    ----------
    access : ArrayAccess
        Of the array.
    outer, inner : Box
        Of coordinates in the grid of stored objects; ``inner`` is in ``outer``.
    beyond : Box, optional
        If the store is listed, those that are not in this one are deleted too.
    """
    found: Iterable[tuple[int, ...]]
    if size_of(outer) - size_of(inner) <= FEW_OBJECTS:
        found = itertools.chain.from_iterable(
            itertools.product(*itertools.starmap(range, box)) for box in shells(inner, outer)
        )
    else:
        stored = listed_coords(access.store, access.path, access.metadata)
        found = [
            chunk
            for chunk in stored
            if (_is_in(chunk, outer) and not _is_in(chunk, inner))
            or (beyond is not None and not _is_in(chunk, beyond))
        ]
    encode = access.metadata.chunk_key_encoding.encode
    base = f"{access.path}/" if access.path else ""
    for batch in _batches(found):
        keys = {f"{base}{encode(chunk)}": chunk for chunk in batch}
        with ExitStack() as locks:
            # In key order, as every write takes them.
            for key in sorted(keys):
                locks.enter_context(access.locked(keys[key]))
            access.store.delete_many(sorted(keys))


def _is_in(place: tuple[int, ...], box: Box) -> bool:
    return all(start <= i < stop for i, (start, stop) in zip(place, box, strict=True))


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(itertools.islice(left, FEW_OBJECTS)):
        yield batch
