"""Many small writes to one array, collected so that each stored object is written once."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zarrc.engine.places import Place, places_of
from zarrc.engine.values import as_values
from zarrc.errors import ChunkNotFoundError, CorruptChunkError, ZarrcError
from zarrc.indexing.selection import Selection
from zarrc.storage.memory import MemoryStore

if TYPE_CHECKING:
    from types import EllipsisType

    import numpy.typing as npt

    from zarrc.engine.access import ArrayAccess
    from zarrc.storage import Store

__all__ = ["WriteBuffer"]


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

    def get(self, box: tuple[slice, ...] | EllipsisType, target: npt.NDArray[Any]) -> None:
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
        What may wait, in bytes of chunks. Past it the objects that were not written to for longest are
        written.

    Notes
    -----
    What waits is kept by chunk (inner chunk), whatever order it came in, and goes to its object under the
    object's lock: elements that were not written here stay as they are stored then, also where others wrote
    them meanwhile. Several threads may use it. Once it is closed nothing waits any more. So it is in a forked
    child: what waits is the parent's to write, and a child may end without leaving the block.
    """

    is_direct: Literal[False] = False

    def __init__(self, access: ArrayAccess, nbytes: int) -> None:
        self._limit = nbytes
        self._n_blocks = 1
        self._is_closed = False
        self._take(access)
        self._begin()
        self._check()

    def _check(self) -> None:
        """Refuse what can never be written where the block begins, not where it ends."""
        ndim = self._metadata.ndim
        self.access.locked((0,) * ndim)
        if ndim:
            nothing = np.empty((0,) * ndim, self._metadata.dtype)
            self.access.write((slice(0, 0),) * ndim, nothing)

    def _take(self, access: ArrayAccess) -> None:
        self.access = access
        self._metadata = access.metadata
        self._places = places_of(self._metadata, access.has_shards)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        # Object -> chunk inside it -> what waits; the object that was written to last comes last.
        self._waiting: dict[Place, dict[Place, _Staged]] = {}
        self._nbytes = 0
        self._pid = os.getpid()

    def _own(self) -> Any:
        if os.getpid() != self._pid:
            self._is_closed = True
            self._begin()
        return self._lock

    @property
    def nbytes(self) -> int:
        """Bytes of what waits: elements, and which of them."""
        with self._own():
            return self._nbytes

    # --- blocks

    def enter(self) -> bool:
        """Begin one more block of the same buffer; False if it is closed."""
        with self._own():
            self._n_blocks += not self._is_closed
            return not self._is_closed

    def leave(self) -> bool:
        """End a block: write everything that waits; whether it was the last one, and the buffer is closed.

        What cannot be written goes on waiting for the next block's end; at the last one it is given up.
        """
        with self._own():
            try:
                self.flush()
            finally:
                self._n_blocks -= 1
                if self._n_blocks == 0:
                    # A thread that is about to write here writes at once.
                    self._is_closed = True
                    self._waiting.clear()
                    self._nbytes = 0
            return self._is_closed

    @property
    def is_closed(self) -> bool:
        """Whether nothing waits here any more."""
        with self._own():
            return self._is_closed

    def go_on_with(self, access: ArrayAccess) -> None:
        """Take another view of the array, whose attributes were changed, or which was made again."""
        with self._own():
            if _layout(access) != _layout(self.access):
                self.flush()
            self._take(access)

    # --- data

    def write(self, key: Any, value: Any) -> None:
        """Take in what `ArrayAccess.write` would write."""
        selection = self.access.select(key)
        if not selection.is_box:
            self.write_selection(selection, value)
            return
        values = as_values(
            value,
            self._metadata.dtype,
            selection.result_shape,
            self.access.config.casting,
            self.access.path,
        )
        along = self._places.along(selection.box)
        met_nbytes = math.prod(map(len, along)) * _nbytes_of(self._places.chunks, self._metadata.dtype)
        with self._own():
            # What would make room for itself by being written in parts had better be written at once.
            if self._is_closed or values.nbytes * 2 > self._limit or met_nbytes > self._limit:
                self.flush()
                self.access.write_selection(selection, values)
                return
            counts = tuple(count for _, _, count in selection.box)
            values = np.broadcast_to(values, selection.result_shape).reshape(counts)
            for cuts in itertools.product(*along):
                place, box, part = _turned(cuts)
                self._staged(place).set(box, values[part])
                while self._nbytes > self._limit:
                    self._flush_object(next(iter(self._waiting)))

    def write_selection(self, selection: Selection, value: Any) -> None:
        """Write at once what `ArrayAccess.write_selection` does; what waits goes before it."""
        with self._own():
            self.flush()
            self.access.write_selection(selection, value)

    def select(self, key: Any) -> Selection:
        """Return what a key selects."""
        return self.access.select(key)

    def read(self, key: Any, out: npt.NDArray[Any] | None = None) -> Any:
        """Read as `ArrayAccess.read` does, with what waits in the place of what is stored."""
        with self._own():
            if self._waiting:
                selection = self.access.select(key)
                return self._read(selection, out) if selection.is_box else self.read_selection(selection, out)
        return self.access.read(key, out)

    def read_selection(self, selection: Selection, out: npt.NDArray[Any] | None = None) -> Any:
        """Read as `ArrayAccess.read_selection` does, after what waits was written."""
        with self._own():
            self.flush()
        return self.access.read_selection(selection, out)

    def _read(self, selection: Selection, out: npt.NDArray[Any] | None) -> Any:
        try:
            result = self.access.read_selection(selection, out)
        except (ChunkNotFoundError, CorruptChunkError):
            # What is missing there may wait here.
            met = {owner for owner, _, _, _ in self._waiting_in(selection)}
            for owner in met:
                self._flush_object(owner)
            if not met:
                raise
            result = self.access.read_selection(selection, out)
        whole = np.asarray(result) if isinstance(result, np.ndarray) else np.array(result)
        # Axes of one element added and left out: always a view.
        view = whole.reshape(tuple(count for _, _, count in selection.box))
        for _, staged, box, part in self._waiting_in(selection):
            index: tuple[Any, ...] = (*part, ...)
            staged.get(box, view[index])
        return result if isinstance(result, np.ndarray) else whole[()]

    def _waiting_in(
        self, selection: Selection
    ) -> Iterator[tuple[Place, _Staged, tuple[slice, ...], tuple[slice, ...]]]:
        """(object, chunk that waits, box in it, part of the values) of a selection."""
        along = [{cut[0]: cut for cut in cuts} for cuts in self._places.along(selection.box)]
        places: Iterable[Place] = itertools.product(*along)
        if math.prod(map(len, along)) > sum(map(len, self._waiting.values())):
            places = [
                self._places.place_of(owner, inner)
                for owner in self._waiting
                for inner in self._waiting[owner]
            ]
        for place in places:
            owner = self._places.object_of(place)
            staged = self._waiting.get(owner, {}).get(self._places.inner_of(place))
            cuts = [known.get(i) for known, i in zip(along, place, strict=True)]
            if staged is not None and None not in cuts:
                _, box, part = _turned(cuts)
                yield owner, staged, box, part

    def flush(self) -> None:
        """Write everything that waits, whatever of it can be written; the first failure is raised then."""
        with self._own():
            failures = []
            for owner in list(self._waiting):
                try:
                    self._flush_object(owner)
                except Exception as error:
                    failures.append(error)
            if failures:
                if len(failures) > 1:
                    failures[0].add_note(f"{len(failures) - 1} more objects of the array were not written")
                raise failures[0]

    def _staged(self, place: Place) -> _Staged:
        owner = self._places.object_of(place)
        chunks = self._waiting.pop(owner, None) or {}
        self._waiting[owner] = chunks
        inner = self._places.inner_of(place)
        staged = chunks.get(inner)
        if staged is None:
            staged = chunks[inner] = _Staged(self._places.inside(place), self._metadata.dtype)
            self._nbytes += staged.nbytes
        return staged

    # --- writing

    def _flush_object(self, owner: Place) -> None:
        """Write what waits for one object; if that fails, it goes on waiting."""
        chunks = self._waiting[owner]
        try:
            with self.access.locked(owner):
                if self.access.has_shards:
                    self._write_inner(owner, chunks)
                else:
                    self._write_chunk(owner, chunks)
        except ZarrcError as error:
            if error.key is None:
                name = self._metadata.chunk_key_encoding.encode(owner)
                error.key = f"{self.access.path}/{name}" if self.access.path else name
            raise self._named(error) from None
        del self._waiting[owner]
        self._nbytes -= sum(staged.nbytes for staged in chunks.values())

    def _named(self, error: ZarrcError) -> ZarrcError:
        if error.array is None:
            error.array = self.access.path
        return error

    def _write_chunk(self, owner: Place, chunks: dict[Place, _Staged]) -> None:
        region = self._places.region(owner)
        (staged,) = chunks.values()
        data = staged.data
        if staged.mask is not None:
            data = np.array(self.access.read(region), self._metadata.dtype)
            staged.get(..., data)
        self.access.write_locked(region, data)

    def _write_inner(self, owner: Place, chunks: dict[Place, _Staged]) -> None:
        numbers = {self.access.inner_number(inner, owner): inner for inner in chunks}
        values = np.zeros((len(chunks), *self._places.chunks), self._metadata.dtype)
        stored = self._stored_parts(owner, [inner for inner in chunks if chunks[inner].mask is not None])
        for row, number in enumerate(sorted(numbers)):
            inner = numbers[number]
            staged = chunks[inner]
            box: Any = (row, *map(slice, staged.data.shape), ...)
            target = values[box]
            if inner in stored:
                target[...] = stored[inner]()
            staged.get(..., target)
        self.access.write_inner(owner, sorted(numbers), values)

    def _stored_parts(self, owner: Place, inners: list[Place]) -> dict[Place, Callable[[], Any]]:
        """What is stored of inner chunks that were written to in part, to be read one by one.

        Or all at once, the box around them, where each read is a request.
        """
        places = {inner: self._places.region(self._places.place_of(owner, inner)) for inner in inners}
        apart: dict[Place, Callable[[], Any]] = {
            inner: partial(self.access.read, region) for inner, region in places.items()
        }
        if len(places) < 2 or _is_near(self.access.store):
            return apart
        corner = [min(part.start for part in parts) for parts in zip(*places.values(), strict=True)]
        ends = [max(part.stop for part in parts) for parts in zip(*places.values(), strict=True)]
        try:
            box: Any = self.access.read(tuple(map(slice, corner, ends)))
        except (ChunkNotFoundError, CorruptChunkError):
            return apart  # it may be one of those between them
        return {
            inner: partial(
                box.__getitem__,
                tuple(slice(p.start - at, p.stop - at) for p, at in zip(region, corner, strict=True)),
            )
            for inner, region in places.items()
        }


def _turned(cuts: Sequence[Any]) -> tuple[Place, tuple[slice, ...], tuple[slice, ...]]:
    """(chunk, box in it, part of the values) of the cuts along all axes."""
    return tuple(c[0] for c in cuts), tuple(c[1] for c in cuts), tuple(c[2] for c in cuts)


def _is_near(store: Store) -> bool:
    return store.local_root is not None or isinstance(store, MemoryStore)


def _nbytes_of(shape: Place, dtype: np.dtype[Any]) -> int:
    """What a chunk that waits takes: its elements, and which of them."""
    return math.prod(shape) * (dtype.itemsize + 1)


def _layout(access: ArrayAccess) -> tuple[Any, ...]:
    """What writes depend on; not the attributes."""
    metadata = access.metadata
    fill = metadata.fill_value
    return (
        (metadata.shape, metadata.dtype, metadata.chunk_grid, metadata.codecs),
        (metadata.chunk_key_encoding, None if fill is None else fill.tobytes()),
    )
