"""Going through an array part by part, and what of it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, cast

from zarrc.array_naming import ArrayNaming

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from concurrent.futures import Executor
    from typing import Literal

    from zarrc.array import Array
    from zarrc.array_selecting import BasicSelection

__all__ = ["ArrayWalking"]


class ArrayWalking(ArrayNaming):
    """Iteration over an array's rows, chunks and shards; what its chunks take in the store."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the first dimension, reading whole chunks at a time.

        A row is a view of what was read with it: keep a copy if the others should be freed.
        """
        if not self.shape:
            raise TypeError("iteration over a 0-d array")
        return self._rows()

    def __contains__(self, value: Any) -> bool:
        """Whether an element equals ``value``, as for NumPy's arrays; reads block by block until one does."""
        import numpy as np

        if np.ndim(value):
            raise TypeError("`in` looks for one element; compare what is read: array[...] == values")
        return any(bool(np.any(block == value)) for _, block in self.iter_blocks())

    def __delitem__(self, selection: object) -> NoReturn:
        """Refuse: arrays have no holes."""
        raise TypeError(
            "elements cannot be deleted: erase(region) gives them the fill value, resize() cuts the end off"
        )

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

    def iter_blocks(
        self,
        region: BasicSelection = ...,
        *,
        by: Literal["chunk", "shard"] | int | Sequence[int | None] = "chunk",
        order: Literal["C", "F", "any"] | Sequence[int] = "C",
        prefetch: int = 2,
    ) -> Generator[tuple[tuple[slice, ...], Any], None, None]:
        """Read the array part by part, with the next parts being read while one is worked on.

        Parameters
        ----------
        region : int, slice, ..., or a tuple of these
            Only this box, by default all; without steps.
        by : {"chunk", "shard"} or shape, default "chunk"
            What a block is: a chunk (in shards, an inner chunk), a shard (a stored object), or a box of this
            shape, counted from the array's origin; None or -1 is a whole axis. Cut to ``region``.
        order : {"C", "F", "any"} or sequence of int, default "C"
            "C": the last axis fastest; "F": the first; axes in the order of any permutation, the slowest
            first; "any": as the reads complete.
        prefetch : int, default 2
            So many blocks are read ahead, on as many threads; 0 reads each when it is asked for.

        Yields
        ------
        (tuple of slice, numpy.ndarray)
            Where the block is, and its elements: a new array. At most ``prefetch`` and one more are in memory
            here.

        Raises
        ------
        SelectionError
            If ``region`` does not fit the array, or has steps; while blocks are read, if it has shrunk.
        TypeError, ValueError
            If ``by``, ``order`` or ``prefetch`` are something else.

        Notes
        -----
        Closing the generator (as leaving a ``for`` loop does, once nothing refers to it) ends the reading. An
        error in a read is raised where its block would have come.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.array([[1, 2, 3], [4, 5, 6]], chunks=(2, 2))
        >>> [int(block.sum()) for _, block in a.iter_blocks()]
        [12, 9]
        """
        from zarrc.block_stream import block_stream

        return block_stream(self, region, by, order, prefetch)

    def map_chunks(
        self,
        fn: Callable[..., Any],
        out: Array | Mapping[str, Any] | None = None,
        *,
        region: BasicSelection = ...,
        workers: int | None = None,
        executor: Literal["thread", "process"] | Executor = "thread",
        progress: bool | Callable[[int, int], object] | None = None,
        pass_region: bool = False,
        **kwargs: Any,
    ) -> Array:
        """Read, compute and write in parallel: ``out[block] = fn(self[block])`` for each block of the array.

        Parameters
        ----------
        fn : callable
            Called with a block (numpy.ndarray); returns an array of its shape.
        out : Array, Mapping or None
            Where the results go: an array of the same shape, which may be this one; the keywords of
            `zarrc.create_array` for a new one, with this one's shape and, if not given, its chunks and shards
            and the data type of the first result (whose block is computed at once, by the caller); None for a
            new one in memory.
        region : int, slice, ..., or a tuple of these
            Only this box, by default all; without steps. The rest of ``out`` stays as it is.
        workers : int, optional
            How many blocks are worked on at a time; by default as many as there are CPUs.
        executor : {"thread", "process"} or concurrent.futures.Executor, default "thread"
            Threads, for what NumPy computes without the GIL; processes for the rest (``fn`` must be
            picklable, and a script needs its ``if __name__ == "__main__"``); or an executor that you have
            made, which is not shut down.
        progress : bool or callable, optional
            True for a bar (needs tqdm: ``pip install 'zarrc[progress]'``); a function is called with how many
            blocks are done and how many there are.
        pass_region : bool, default False
            Call ``fn(block, region=...)``, with the block's place as a tuple of slices.
        **kwargs
            Given to ``fn``.

        Returns
        -------
        Array
            ``out``, or the array that was made.

        Raises
        ------
        ValueError
            If ``out`` or a result has another shape; if a new array would take the place of this one, or of
            what holds it (nothing is deleted then).
        TypeError
            If ``out`` is something else; if what is to be sent to processes cannot be pickled.
        ReadOnlyError
            If ``out`` was opened for reading only.
        MissingExtraError
            If tqdm is not installed.

        Notes
        -----
        A block is one stored object of ``out`` (a shard, or else a chunk), or several where this array's
        chunks are larger: no two workers write to one object, and no locks are needed. The first error stops
        all: what has not begun is cancelled, what runs is waited for, and the error is raised with a note of
        its region. What was written stays.

        Processes read and write by themselves where the stores can be reached from there (directories,
        fsspec's file systems other than its memory); otherwise this process does and sends them the blocks.

        Examples
        --------
        >>> import zarrc, numpy
        >>> a = zarrc.array([[1.0, 4.0], [9.0, 16.0]], chunks=(1, 2))
        >>> a.map_chunks(numpy.sqrt)[...].tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        """
        from zarrc.tools.mapping import map_array

        return map_array(
            cast("Array", self),
            fn,
            out,
            region=region,
            workers=workers,
            executor=executor,
            progress=progress,
            pass_region=pass_region,
            kwargs=kwargs,
        )

    def digest(self, algorithm: str = "sha256") -> bytes:
        """Return a hash of shape, data type and elements, the same for every way to store them.

        Two arrays have the same digest if they have the same shape, the same data type and, bit for bit, the
        same elements (0.0 and -0.0 differ, and so do two NaN of other bits): whatever their chunks, shards,
        codecs, memory order, byte order, Zarr format and store are. Attributes, names and fill value do not
        count.

        Parameters
        ----------
        algorithm : str, default "sha256"
            A hash function of `hashlib`.

        Raises
        ------
        ValueError
            If there is no such function, or if its digests have no length of their own.

        Notes
        -----
        A tree: the hash of a header and of the hashes of boxes of 4 MiB, which `zarrc.tools.digesting`
        defines exactly, so that it takes bounded memory and all CPUs. Boxes of which nothing is stored are
        not read (one listing tells, where the store can be listed).

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.array([[1, 2], [3, 4]], chunks=(1, 2), dtype="i4")
        >>> b = zarrc.array([[1, 2], [3, 4]], chunks=(2, 1), dtype=">i4", zarr_format=2, compressor=None)
        >>> a.digest() == b.digest()
        True
        """
        from zarrc.tools.digesting import digest_array

        return digest_array(cast("Array", self), algorithm)

    def hexdigest(self, algorithm: str = "sha256") -> str:
        """Return `digest` as hexadecimal text."""
        return self.digest(algorithm).hex()

    # --- what is stored

    def stored_chunks(self) -> list[tuple[int, ...]]:
        """Return which objects with data are stored: their places in the grid, in C order; lists the store.

        Returns
        -------
        list of tuple of int
            In the grid of chunks; where there are shards, in the grid of shards.
        """
        from zarrc.engine.chunk_keys import stored_chunks

        return sorted(stored_chunks(self._store, self._path, self._metadata))

    def missing_chunks(self) -> Iterator[tuple[int, ...]]:
        """Yield the places in the grid (of chunks, or else of shards) at which nothing is stored, in C order.

        Lists the store, once. They are yielded one by one: there may be more than memory holds.
        """
        stored = set(self.stored_chunks())
        grid_shape = self._metadata.chunk_grid.grid_shape(self.shape)
        return (chunk for chunk in _places(grid_shape) if chunk not in stored)

    def stored_sizes(self) -> dict[tuple[int, ...], int]:
        """Return the bytes of each object with data that is stored, by its place in the grid.

        One listing tells, where the store's listings have sizes; elsewhere it costs a look at each object.
        """
        from zarrc.engine.chunk_keys import stored_sizes

        return dict(sorted(stored_sizes(self._store, self._path, self._metadata)))

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


def _places(grid_shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the coordinates in a grid, in C order; itertools.product would make tuples of all ranges."""
    if not grid_shape:
        yield ()
        return
    for i in range(grid_shape[0]):
        for rest in _places(grid_shape[1:]):
            yield i, *rest
