"""Going through an array part by part, and what of it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zarrc.array_selecting import ArraySelecting

if TYPE_CHECKING:
    from zarrc.array_selecting import BasicSelection

__all__ = ["ArrayWalking"]


class ArrayWalking(ArraySelecting):
    """Iteration over an array's rows, chunks and shards; what its chunks take in the store."""

    __slots__ = ()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first dimension, reading whole chunks at a time.

        A row is a view of what was read with it: keep a copy if the others should be freed.
        """
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return self._rows()

    def _rows(self) -> Iterator[Any]:
        from zarrc.walking import row_slices

        for rows in row_slices(self):
            yield from self[rows]

    def iter_chunks(self, region: BasicSelection = ...) -> Iterator[tuple[slice, ...]]:
        """Yield the region of each chunk, in C order: what to go through the array by when reading.

        Parameters
        ----------
        region : int, slice, ..., or a tuple of these
            Only the chunks that meet this box, cut to it; without steps.

        Yields
        ------
        tuple of slice
            One for each dimension; never beyond the array's end.

        Raises
        ------
        SelectionError
            If ``region`` does not fit the array, or has steps.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.zeros((3, 4), chunks=(2, 2), shards=(2, 4))
        >>> [tuple((part.start, part.stop) for part in region) for region in a.iter_chunks()]
        [((0, 2), (0, 2)), ((0, 2), (2, 4)), ((2, 3), (0, 2)), ((2, 3), (2, 4))]
        """
        from zarrc.walking import grid_regions

        return grid_regions(self.shape, self._metadata.inner_grid, region)

    def iter_shards(self, region: BasicSelection = ...) -> Iterator[tuple[slice, ...]]:
        """Yield the region of each stored object (shard, or else chunk), as `iter_chunks` does.

        What to go through the array by when writing: each region is one object.
        """
        from zarrc.walking import grid_regions

        return grid_regions(self.shape, self._metadata.chunk_grid, region)

    # --- what is stored

    @property
    def nchunks_initialized(self) -> int:
        """Number of chunks that are stored; lists the store, a cost that grows with them.

        In shards it is the inner chunks that are counted, by the index of each shard.
        """
        if self.shards is None:
            return self.nshards_initialized
        from zarrc.stored_inner import stored_inner_chunks

        access = self._data()
        return stored_inner_chunks(access if access.is_direct else access.access)

    @property
    def nshards_initialized(self) -> int:
        """Number of objects with data that are stored: of shards, or else of chunks; lists the store."""
        from zarrc.engine.chunk_keys import stored_chunks

        return sum(1 for _ in stored_chunks(self._store, self._path, self._metadata))

    def nbytes_stored(self) -> int:
        """Return the bytes of all objects below the array's path, metadata included; lists the store."""
        from zarrc.engine.chunk_keys import stored_nbytes

        return stored_nbytes(self._store, self._path)
