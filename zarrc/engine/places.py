"""Where an element is: in which object of an array, and in which chunk of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["Cut", "Place", "Places", "places_of"]

Place: TypeAlias = "tuple[int, ...]"
"""The number of a chunk along each axis of the array; of an object; or of an inner chunk in its object."""

Cut: TypeAlias = "tuple[int, slice, slice]"
"""Along an axis: a chunk, elements of it, numbers of the selected indices."""

Axes: TypeAlias = "tuple[tuple[int, int, int], ...]"
"""Start, step and count along each axis."""


class Places:
    """The chunks of an array, and its objects, where all have one shape.

    Parameters
    ----------
    metadata : ArrayMetadata
    chunks : tuple of int
        Shape of a chunk, of an inner one in shards; where they have several, the largest.
    """

    def __init__(self, metadata: ArrayMetadata, chunks: Place) -> None:
        self.shape = metadata.shape
        self.grid = metadata.chunk_grid
        self.chunks = chunks
        self._per_object = tuple(
            extent // chunk for extent, chunk in zip(self.grid.largest_shape, chunks, strict=True)
        )

    def object_of(self, place: Place) -> Place:
        """The object that a chunk is in."""
        return tuple(i // n for i, n in zip(place, self._per_object, strict=True))

    def inner_of(self, place: Place) -> Place:
        """Where it is there."""
        return tuple(i % n for i, n in zip(place, self._per_object, strict=True))

    def place_of(self, owner: Place, inner: Place) -> Place:
        """The chunk that is there in an object."""
        return tuple(i * n + j for i, n, j in zip(owner, self._per_object, inner, strict=True))

    def region(self, place: Place) -> tuple[slice, ...]:
        """The part of a chunk inside the array."""
        return tuple(
            slice(i * chunk, min((i + 1) * chunk, length))
            for i, chunk, length in zip(place, self.chunks, self.shape, strict=True)
        )

    def inside(self, place: Place) -> tuple[int, ...]:
        """Its shape."""
        return tuple(part.stop - part.start for part in self.region(place))

    def along(self, axes: Axes) -> list[list[Cut]]:
        """The chunks that a selection meets along each axis."""
        return [_cuts(*axis, chunk) for axis, chunk in zip(axes, self.chunks, strict=True)]


class _UnevenShards(Places):
    """Inner chunks of one shape in shards of several."""

    def object_of(self, place: Place) -> Place:
        return tuple(
            self.grid.chunk_of(d, i * chunk)
            for d, (i, chunk) in enumerate(zip(place, self.chunks, strict=True))
        )

    def inner_of(self, place: Place) -> Place:
        firsts = self.place_of(self.object_of(place), (0,) * len(place))
        return tuple(i - first for i, first in zip(place, firsts, strict=True))

    def place_of(self, owner: Place, inner: Place) -> Place:
        starts = (self.grid.chunk_bounds(d, i)[0] for d, i in enumerate(owner))
        return tuple(start // chunk + j for start, chunk, j in zip(starts, self.chunks, inner, strict=True))


class _UnevenChunks(Places):
    """Chunks of several shapes, each an object."""

    def object_of(self, place: Place) -> Place:
        return place

    def inner_of(self, place: Place) -> Place:
        return (0,) * len(place)

    def place_of(self, owner: Place, inner: Place) -> Place:
        return owner

    def region(self, place: Place) -> tuple[slice, ...]:
        bounds = (self.grid.chunk_bounds(d, i) for d, i in enumerate(place))
        return tuple(
            slice(start, min(stop, length)) for (start, stop), length in zip(bounds, self.shape, strict=True)
        )

    def along(self, axes: Axes) -> list[list[Cut]]:
        return [self._cuts(d, *axis) for d, axis in enumerate(axes)]

    def _cuts(self, d: int, start: int, step: int, count: int) -> list[Cut]:
        found = []
        done = 0
        while done < count:
            first = start + done * step
            place = self.grid.chunk_of(d, first)
            cut = _cut(place, self.grid.chunk_bounds(d, place), first, step, done, count)
            found.append(cut[0])
            done += cut[1]
        return found


def places_of(metadata: ArrayMetadata, has_shards: bool) -> Places:
    """The places of an array, whose objects are shards that are written in parts, or not."""
    grid = metadata.chunk_grid
    kind = Places if grid.is_regular else _UnevenShards if has_shards else _UnevenChunks
    return kind(metadata, metadata.chunks if has_shards else grid.largest_shape)


def _cuts(start: int, step: int, count: int, chunk: int) -> list[Cut]:
    """The chunks of one extent that indices along an axis meet."""
    found = []
    done = 0
    while done < count:
        first = start + done * step
        place = first // chunk
        cut, n = _cut(place, (place * chunk, (place + 1) * chunk), first, step, done, count)
        found.append(cut)
        done += n
    return found


def _cut(
    place: int, bounds: tuple[int, int], first: int, step: int, done: int, count: int
) -> tuple[Cut, int]:
    """What indices from ``first`` on meet of a chunk, and how many of them do; ``done`` came before."""
    begin, end = bounds
    # The last index of this chunk in the direction of the step.
    room = end - 1 - first if step > 0 else first - begin
    n = min(room // abs(step) + 1, count - done)
    last = first + (n - 1) * step
    low, high = (first, last) if step > 0 else (last, first)
    box = slice(low - begin, high - begin + 1, abs(step))
    part = slice(done, done + n)
    if step < 0:
        part = slice(done + n - 1, done - 1 if done > 0 else None, -1)
    return (place, box, part), n
