r"""A digest of an array's elements, whatever their chunks, codecs, order, byte order, format and store.

Format 1 of the digest, for a hash function H of `hashlib`:

- ``digest = H(header + L[0] + L[1] + ...)``;
- the header is the ASCII text ``zarrc-digest-1\n``, then the shape as decimal numbers joined by ``,`` and a
  newline, then NumPy's text of the data type in little-endian byte order (``<f8``, ``|u1``, ``<M8[ns]``) and
  a newline;
- ``L[i] = H(bytes)`` of tile i: its elements in C order, little-endian. Tiles are boxes of one shape, counted
  from the array's origin and cut at its end, in C order of their places. Their shape is the array's, the
  longest axis (the first of equal ones) halved and rounded up until a tile has no more than 2**22 bytes, or
  one element. An array without elements has no tiles.

Tiles are boxes because an array must be read a bounded part at a time, whatever its chunks are: rows of an
array with tall chunks would decode each chunk once a row.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.boxes import Box
from zarrc.engine.chunk_keys import listed_chunks
from zarrc.engine.threads import usable_cpus
from zarrc.errors import ZarrcError

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["digest_array", "tile_shape"]

TILE_NBYTES: Final = 2**22
_BLOCK_NBYTES: Final = 32 * 2**20


def tile_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of the tiles; see the module."""
    tile = [max(1, extent) for extent in shape]
    while math.prod(tile) * itemsize > TILE_NBYTES and max(tile, default=1) > 1:
        longest = tile.index(max(tile))
        tile[longest] = -(-tile[longest] // 2)
    return tuple(tile)


def digest_array(array: Array, algorithm: str = "sha256") -> bytes:
    """Do what `Array.digest` says; see there."""
    whole = _new_hash(algorithm)
    dtype = array.dtype.newbyteorder("<")
    shape = array.shape
    whole.update(f"zarrc-digest-1\n{','.join(map(str, shape))}\n{dtype.str}\n".encode())
    if 0 not in shape:
        for leaf in _leaves(array, dtype, algorithm):
            whole.update(leaf)
    digest: bytes = whole.digest()
    return digest


def _new_hash(algorithm: str) -> Any:
    try:
        made = hashlib.new(algorithm, usedforsecurity=False)
    except (ValueError, TypeError):
        raise ValueError(
            f"unknown hash function {algorithm!r:.80}; known: "
            f"{', '.join(sorted(hashlib.algorithms_guaranteed))}"
        ) from None
    if made.digest_size == 0:
        raise ValueError(f"{algorithm} has no digest of a length of its own; use another hash function")
    return made


def _leaves(array: Array, dtype: np.dtype[Any], algorithm: str) -> Iterator[bytes]:
    """Yield the digests of all tiles, in C order of their places."""
    tile = tile_shape(array.shape, dtype.itemsize)
    counts = tuple(-(-extent // one) for extent, one in zip(array.shape, tile, strict=True))
    together = _tiles_together(array, tile, counts)
    tiles = _Tiles(array, tile, dtype, algorithm)
    # A row of blocks along the first axis at a time: its leaves come in C order when all of it is there.
    for first in range(0, counts[0] if counts else 1, together[0] if together else 1):
        rows: Box = tuple(
            (first, min(first + together[0], counts[0])) if d == 0 else (0, n) for d, n in enumerate(counts)
        )
        found = tiles.digests(rows, together)
        for place in _places(rows):
            yield found[place]


def _places(box: Box) -> Iterator[tuple[int, ...]]:
    return itertools.product(*itertools.starmap(range, box))


def _tiles_together(array: Array, tile: tuple[int, ...], counts: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many tiles along each axis are read at once: as much of the chunks as memory allows."""
    chunk = array.metadata.chunk_grid.largest_shape
    together = [1] * len(tile)
    for d in reversed(range(len(tile))):
        nbytes = math.prod(map(lambda n, one: n * one, together, tile)) * array.dtype.itemsize
        wanted = min(-(-chunk[d] // tile[d]), counts[d])
        together[d] = max(1, min(wanted, _BLOCK_NBYTES // max(1, nbytes)))
    return tuple(together)


class _Tiles:
    """The tiles of an array, and how they are read and hashed."""

    def __init__(self, array: Array, tile: tuple[int, ...], dtype: np.dtype[Any], algorithm: str) -> None:
        self._array = array
        self._tile = tile
        self._dtype = dtype
        self._algorithm = algorithm
        self._stored = _stored_chunks(array)
        # Tile shape -> digest of one that is all fill.
        self._empty: dict[tuple[int, ...], bytes] = {}

    def digests(self, rows: Box, together: tuple[int, ...]) -> Mapping[tuple[int, ...], bytes]:
        """Return the digests of the tiles in a box of places."""
        found: dict[tuple[int, ...], bytes] = {}
        starts = [range(start, stop, n) for (start, stop), n in zip(rows, together, strict=True)]
        full: list[Box] = []
        for corner in itertools.product(*starts):
            block = tuple(
                (first, min(first + n, stop))
                for first, n, (_, stop) in zip(corner, together, rows, strict=True)
            )
            if self._is_missing(block):
                for place in _places(block):
                    found[place] = self._empty_digest(self._region(tuple((i, i + 1) for i in place)))
            else:
                full.append(block)
        for result in _in_threads(self._read, full):
            found.update(result)
        return found

    def _region(self, block: Box) -> tuple[slice, ...]:
        return tuple(
            slice(first * one, min(stop * one, extent))
            for (first, stop), one, extent in zip(block, self._tile, self._array.shape, strict=True)
        )

    def _read(self, block: Box) -> dict[tuple[int, ...], bytes]:
        region = self._region(block)
        data = np.asarray(self._array[region]).astype(self._dtype, copy=False)
        return {
            place: self._hash(
                data[
                    tuple(
                        slice(part.start - whole.start, part.stop - whole.start)
                        for part, whole in zip(
                            self._region(tuple((i, i + 1) for i in place)), region, strict=True
                        )
                    )
                ]
            )
            for place in _places(block)
        }

    def _hash(self, data: Any) -> bytes:
        made = _new_hash(self._algorithm)
        # As bytes: hashlib takes no dates.
        made.update(np.ascontiguousarray(data).reshape(-1).view(np.uint8))
        digest: bytes = made.digest()
        return digest

    def _empty_digest(self, region: tuple[slice, ...]) -> bytes:
        shape = tuple(part.stop - part.start for part in region)
        if shape not in self._empty:
            fill = self._array.metadata.chunk_spec.fill
            self._empty[shape] = self._hash(np.full(shape, fill, self._dtype))
        return self._empty[shape]

    def _is_missing(self, block: Box) -> bool:
        """Whether nothing is stored of these tiles."""
        if self._stored is None:
            return False
        grid = self._array.metadata.chunk_grid
        met = [
            range(grid.chunk_of(d, part.start), grid.chunk_of(d, part.stop - 1) + 1)
            for d, part in enumerate(self._region(block))
        ]
        if math.prod(map(len, met)) <= len(self._stored):
            return self._stored.isdisjoint(itertools.product(*met))
        return not any(all(i in span for i, span in zip(chunk, met, strict=True)) for chunk in self._stored)


def _stored_chunks(array: Array) -> set[tuple[int, ...]] | None:
    """Return which chunks are stored, if a listing tells, and if missing ones are the fill value."""
    if not array.config.read_missing_chunks or not array._data().is_direct:
        return None
    metadata: ArrayMetadata = array.metadata
    try:
        return listed_chunks(array.store, array.path, metadata)
    except (ZarrcError, OSError):
        return None  # all are read


def _in_threads(do: Any, items: list[Any]) -> Iterator[Any]:
    n = min(usable_cpus(), len(items))
    if n <= 1:
        yield from map(do, items)
        return
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(n, thread_name_prefix="zarrc-digest") as pool:
        running: deque[Any] = deque()
        try:
            for item in items:
                if len(running) == n + 1:
                    yield running.popleft().result()
                running.append(pool.submit(copy_context().run, do, item))
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
