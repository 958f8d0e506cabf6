"""Making parts of an array what was never written: whole objects go, the others get the fill value."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.boxes import Box, blocks, shells, size_of
from zarrc.engine.chunk_keys import listed_coords

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.engine import ArrayAccess

__all__ = ["Clearing", "is_all"]

FEW_OBJECTS: Final = 1000
"""So many objects are dealt with without a look at which there are: a store that takes many keys deletes them
in one request."""

_BLOCK_NBYTES: Final = 32 * 2**20


class Clearing:
    """Makes parts of one array what was never written.

    Parameters
    ----------
    access : ArrayAccess
        Must read missing chunks as the fill value, and store no empty ones.
    """

    def __init__(self, access: ArrayAccess) -> None:
        self._access = access
        self._metadata = access.metadata
        self._grid = access.metadata.chunk_grid
        self._fill = np.asarray(access.metadata.chunk_spec.fill).astype(access.metadata.dtype)
        self._listed: list[tuple[int, ...]] | None = None

    def check_writable(self) -> None:
        """Refuse, before anything is changed, data that cannot be written, and locks that cannot be had."""
        ndim = self._metadata.ndim
        self._access.locked((0,) * ndim)
        if ndim:
            self._access.write((slice(0, 0),) * ndim, np.empty((0,) * ndim, self._metadata.dtype))

    def clear(self, box: Box) -> None:
        """Make a box of elements the fill value; objects that are wholly in it are deleted."""
        if size_of(box) == 0:
            return
        objects, whole = [], []
        for d, (start, stop) in enumerate(box):
            first, last = self._grid.chunk_of(d, start), self._grid.chunk_of(d, stop - 1)
            first += self._grid.chunk_bounds(d, first)[0] < start
            # What is beyond the array's end need not be covered.
            last -= self._grid.chunk_bounds(d, last)[1] > stop and stop < self._metadata.shape[d]
            objects.append((first, max(first, last + 1)))
            if first > last:
                whole.append((start, start))
            else:
                bounds = self._grid.chunk_bounds(d, first)[0], self._grid.chunk_bounds(d, last)[1]
                whole.append((bounds[0], min(bounds[1], stop)))
        for shell in shells(tuple(whole), box):
            self.reset(shell)
        self.delete(tuple(objects), ((0, 0),) * len(box))

    def reset(self, box: Box) -> None:
        """Make a box of elements the fill value, by reading it: what is that already is not written again."""
        for block in self._blocks(box):
            if not is_all(np.asarray(self._access.read(block)), self._fill):
                self._access.write(block, self._fill)

    def _blocks(self, box: Box) -> Iterator[tuple[slice, ...]]:
        """Yield what to look at: all of a box in large parts, of very many objects only the stored ones."""
        objects = tuple(
            (self._grid.chunk_of(d, start), self._grid.chunk_of(d, stop - 1) + 1)
            for d, (start, stop) in enumerate(box)
        )
        n_objects = size_of(objects)
        if n_objects > FEW_OBJECTS:
            stored = [chunk for chunk in self._stored() if _is_in(chunk, objects)]
            if len(stored) < n_objects // 4:
                return (self._cut(chunk, box) for chunk in stored)
        return blocks(self._grid, box, max(1, _BLOCK_NBYTES // self._metadata.dtype.itemsize))

    def _cut(self, chunk: tuple[int, ...], box: Box) -> tuple[slice, ...]:
        bounds = (self._grid.chunk_bounds(d, i) for d, i in enumerate(chunk))
        return tuple(
            slice(max(low, start), min(high, stop))
            for (low, high), (start, stop) in zip(bounds, box, strict=True)
        )

    def delete(self, outer: Box, inner: Box, *, beyond: Box | None = None) -> None:
        """Delete the objects with grid coordinates in ``outer`` and not in ``inner``.

        If they are few without a look at which are stored, otherwise by one listing.

        Parameters
        ----------
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
            found = [
                chunk
                for chunk in self._stored()
                if (_is_in(chunk, outer) and not _is_in(chunk, inner))
                or (beyond is not None and not _is_in(chunk, beyond))
            ]
        access = self._access
        encode = self._metadata.chunk_key_encoding.encode
        base = f"{access.path}/" if access.path else ""
        for batch in _batches(found):
            keys = {f"{base}{encode(chunk)}": chunk for chunk in batch}
            with access.all_locked(keys.values()):
                access.store.delete_many(sorted(keys))

    def _stored(self) -> list[tuple[int, ...]]:
        """Return the coordinates of all objects that are stored, also beyond the array; listed once."""
        if self._listed is None:
            access = self._access
            self._listed = list(listed_coords(access.store, access.path, self._metadata))
        return self._listed


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


def _is_in(place: tuple[int, ...], box: Box) -> bool:
    return all(start <= i < stop for i, (start, stop) in zip(place, box, strict=True))


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(itertools.islice(left, FEW_OBJECTS)):
        yield batch
