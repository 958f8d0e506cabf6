"""Many small writes to one array, collected so that each stored object is written once."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from zarrc.engine.values import as_values
from zarrc.indexing.selection import Selection

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.engine.access import ArrayAccess

__all__ = ["WriteBuffer"]

Place: TypeAlias = "tuple[int, ...]"


class _Staged:
    """What is to be written of one chunk: its elements, and which of them."""

    __slots__ = ("data", "mask")

    def __init__(self, shape: Place, dtype: np.dtype[Any]) -> None:
        self.data = np.zeros(shape, dtype)
        self.mask: npt.NDArray[np.bool_] | None = np.zeros(shape, np.bool_)

    @property
    def nbytes(self) -> int:
        """Of the elements, and of the mask that there is at first."""
        return self.data.nbytes + self.data.size

    def get(self, box: tuple[slice, ...], target: npt.NDArray[Any]) -> None:
        """Put the elements that wait where those that are stored were read to."""
        mask = True if self.mask is None else self.mask[box]
        np.copyto(target, self.data[box], where=mask)

    def set(self, box: tuple[slice, ...], values: npt.NDArray[Any]) -> None:
        self.data[box] = values
        if self.mask is not None:
            self.mask[box] = True
            if values.size == self.data.size or self.mask.all():
                self.mask = None  # all of it


class WriteBuffer:
    """The data of an array with writes that wait; it reads and writes as `ArrayAccess` does.

    Parameters
    ----------
    access : ArrayAccess
        The array's data.
    nbytes : int
        What may wait, in bytes of elements. Past it the objects that were not written to for longest are
        written.

    Notes
    -----
    What waits is kept by chunk (inner chunk), whatever order it came in, and goes to its object under the
    object's lock: elements that were not written here stay as they are stored then, also where others wrote
    them meanwhile. Several threads may use it. A forked child begins with nothing: what waits is the parent's
    to write.
    """

    is_direct: Literal[False] = False

    def __init__(self, access: ArrayAccess, nbytes: int) -> None:
        self.access = access
        self._limit = nbytes
        self._metadata = access.metadata
        self._objects: tuple[int, ...] = self._metadata.chunk_grid.chunk_shape
        self._chunks: tuple[int, ...] = self._metadata.chunks if access.has_shards else self._objects
        self._per_object = tuple(
            extent // chunk for extent, chunk in zip(self._objects, self._chunks, strict=True)
        )
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        # Object -> chunk inside it -> what waits; the object that was written to last comes last.
        self._waiting: dict[Place, dict[Place, _Staged]] = {}
        self._nbytes = 0

    def _own(self) -> Any:
        if os.getpid() != self._pid:
            self._begin()
        return self._lock

    @property
    def nbytes(self) -> int:
        """Bytes of what waits: elements, and which of them."""
        with self._own():
            return self._nbytes

    def write(self, key: Any, value: Any) -> None:
        """Take in what `ArrayAccess.write` would write."""
        shape, dtype = self._metadata.shape, self._metadata.dtype
        selection = Selection(key, shape)
        values = as_values(value, dtype, selection.result_shape, self.access.config.casting, self.access.path)
        counts = tuple(count for _, _, count in selection.axes)
        values = np.broadcast_to(values, selection.result_shape).reshape(counts)
        with self._own():
            if values.nbytes * 2 > self._limit:
                self.flush()
                self.access.write(key, value)
                return
            for place, box, part in self._parts(selection.axes):
                self._staged(place).set(box, values[part])
            while self._nbytes > self._limit:
                self._flush_object(next(iter(self._waiting)))

    def read(self, key: Any, out: npt.NDArray[Any] | None = None) -> Any:
        """Read as `ArrayAccess.read` does, with what waits in the place of what is stored."""
        with self._own():
            result = self.access.read(key, out)
            if not self._waiting:
                return result
            selection = Selection(key, self._metadata.shape)
            whole = result if isinstance(result, np.ndarray) else np.array(result)
            # Axes of one element added and left out: always a view.
            view = whole.reshape(tuple(count for _, _, count in selection.axes))
            for place, box, part in self._parts(selection.axes):
                staged = self._waiting_at(place)
                if staged is not None:
                    index: tuple[Any, ...] = (*part, ...)
                    staged.get(box, view[index])
        return result if isinstance(result, np.ndarray) else whole[()]

    def _waiting_at(self, place: Place) -> _Staged | None:
        chunks = self._waiting.get(self._object_of(place))
        return None if chunks is None else chunks.get(self._inner_of(place))

    def _inner_of(self, place: Place) -> Place:
        return tuple(i % n for i, n in zip(place, self._per_object, strict=True))

    def flush(self) -> None:
        """Write everything that waits."""
        with self._own():
            while self._waiting:
                self._flush_object(next(iter(self._waiting)))

    def _staged(self, place: Place) -> _Staged:
        owner = self._object_of(place)
        chunks = self._waiting.pop(owner, None) or {}
        self._waiting[owner] = chunks
        inner = self._inner_of(place)
        staged = chunks.get(inner)
        if staged is None:
            staged = chunks[inner] = _Staged(self._inside(place), self._metadata.dtype)
            self._nbytes += staged.nbytes
        return staged

    def _object_of(self, place: Place) -> Place:
        return tuple(i // n for i, n in zip(place, self._per_object, strict=True))

    def _inside(self, place: Place) -> tuple[int, ...]:
        """Shape of the chunk's part inside the array."""
        return tuple(
            min(chunk, length - i * chunk)
            for i, chunk, length in zip(place, self._chunks, self._metadata.shape, strict=True)
        )

    def _parts(
        self, axes: tuple[tuple[int, int, int], ...]
    ) -> Iterator[tuple[Place, tuple[slice, ...], tuple[slice, ...]]]:
        """(chunk, box in it, part of the values) of a selection's start, step and count along each axis."""
        along = [_cuts(*axis, chunk) for axis, chunk in zip(axes, self._chunks, strict=True)]
        for cuts in itertools.product(*along):
            yield (
                tuple(cut[0] for cut in cuts),
                tuple(cut[1] for cut in cuts),
                tuple(cut[2] for cut in cuts),
            )

    def _flush_object(self, owner: Place) -> None:
        """Write what waits for one object; if that fails, it goes on waiting."""
        chunks = self._waiting[owner]
        with self.access.locked(owner):
            if self.access.has_shards:
                self._write_inner(owner, chunks)
            else:
                region = self._region(owner, (0,) * len(owner))
                self.access.write_locked(region, self._merged(chunks[(0,) * len(owner)], region))
        del self._waiting[owner]
        self._nbytes -= sum(staged.nbytes for staged in chunks.values())

    def _write_inner(self, owner: Place, chunks: dict[Place, _Staged]) -> None:
        numbers = {self.access.inner_number(inner): inner for inner in chunks}
        values = np.zeros((len(chunks), *self._chunks), self._metadata.dtype)
        for row, number in enumerate(sorted(numbers)):
            inner = numbers[number]
            region = self._region(owner, inner)
            merged = self._merged(chunks[inner], region)
            values[row][tuple(slice(extent) for extent in merged.shape)] = merged
        self.access.write_inner(owner, sorted(numbers), values)

    def _region(self, owner: Place, inner: Place) -> tuple[slice, ...]:
        place = tuple(i * n + j for i, n, j in zip(owner, self._per_object, inner, strict=True))
        return tuple(
            slice(i * chunk, min((i + 1) * chunk, length))
            for i, chunk, length in zip(place, self._chunks, self._metadata.shape, strict=True)
        )

    def _merged(self, staged: _Staged, region: tuple[slice, ...]) -> npt.NDArray[Any]:
        """What was written, and where nothing was, what is stored: under the object's lock."""
        if staged.mask is None:
            return staged.data
        return np.where(staged.mask, staged.data, np.asarray(self.access.read(region)))


def _cuts(start: int, step: int, count: int, chunk: int) -> list[tuple[int, slice, slice]]:
    """Along one axis: (chunk, elements of it, numbers of the selected indices) for each chunk that is met."""
    found = []
    done = 0
    while done < count:
        first = start + done * step
        place = first // chunk
        # The last index of this chunk in the direction of the step.
        room = (place + 1) * chunk - 1 - first if step > 0 else first - place * chunk
        n = min(room // abs(step) + 1, count - done)
        last = first + (n - 1) * step
        low, high = (first, last) if step > 0 else (last, first)
        box = slice(low - place * chunk, high - place * chunk + 1, abs(step))
        part = slice(done, done + n)
        if step < 0:
            part = slice(done + n - 1, done - 1 if done > 0 else None, -1)
        found.append((place, box, part))
        done += n
    return found
