"""What an array's handle tells without a look at its data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from zarrc.node import Node

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from zarrc.codecs.base import Codec
    from zarrc.config import ArrayConfig
    from zarrc.grids.base import ChunkGrid
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["ArrayFacts", "Shaped"]


class Shaped:
    """What follows from a shape and a data type, as NumPy's arrays have it; arrays, views, mosaics."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of what a read returns."""
        raise NotImplementedError

    def _read_whole(self) -> Any:
        """Return all elements, as an array or, of no dimensions, a scalar."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory, uncompressed."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything, as ``numpy.asarray`` asks.

        Raises
        ------
        ValueError
            With ``copy=False``: reading always makes a new array.
        """
        import numpy as np

        if copy is False:
            raise ValueError("a stored array cannot be viewed without a copy; use numpy.asarray or copy=None")
        data = np.asarray(self._read_whole())
        return data if dtype is None else data.astype(dtype, copy=False)


class ArrayFacts(Shaped, Node):
    """The properties of an array that follow from its metadata and its handle's configuration."""

    __slots__ = ()

    _metadata: ArrayMetadata
    _config: ArrayConfig

    @property
    def metadata(self) -> ArrayMetadata:
        """Shape, data type, chunk grid, codecs and so on, as stored; frozen."""
        return self._metadata

    @property
    def config(self) -> ArrayConfig:
        """How this handle reads and writes; see `with_config`."""
        return self._config

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        return self._metadata.shape

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """Names of the dimensions, None for one that has none; None if the array has no names.

        With Zarr v2 those that xarray gives: the attribute ``_ARRAY_DIMENSIONS``, if it is a name for each.
        """
        metadata = self._metadata
        if metadata.zarr_format != 2:
            return metadata.dimension_names
        names: Any = metadata.attributes.get("_ARRAY_DIMENSIONS")
        fits = isinstance(names, (list, tuple)) and len(names) == len(metadata.shape)
        return tuple(names) if fits and all(isinstance(name, str) for name in names) else None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of what a read returns."""
        return self._metadata.dtype

    @property
    def fill_value(self) -> Any:
        """Value of elements in chunks that are not stored, as a NumPy scalar; None if undefined (v2)."""
        fill = self._metadata.fill_value
        return None if fill is None else fill[()]

    @property
    def order(self) -> Literal["C", "F"]:
        """Memory order of what a read returns; for v2 arrays the one that they were stored with."""
        v2 = self._metadata.v2
        return self._config.order if v2 is None else v2.order

    @property
    def chunks(self) -> tuple[Any, ...]:
        """Shape of a chunk: of what is encoded alone; in shards, of an inner chunk.

        Where the chunks along a dimension have extents of their own, a tuple of all of them in the place of
        an int: what ``chunks=`` takes. (Of more than 2^20 chunks, pairs of extent and number of chunks, which
        it takes too.)
        """
        return self._metadata.chunks

    @property
    def shards(self) -> tuple[Any, ...] | None:
        """Shape of a shard, one stored object, as for `chunks`; None if each chunk is stored by itself."""
        return self._metadata.shards

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """Number of chunks along each dimension; in shards, of the inner chunks inside the array."""
        return self._metadata.inner_grid.grid_shape(self.shape)

    @property
    def nchunks(self) -> int:
        """Number of chunks, stored or not."""
        return math.prod(self.cdata_shape)

    @property
    def nshards(self) -> int:
        """Number of objects that the data take, stored or not: of shards, or else of chunks."""
        return math.prod(self._metadata.chunk_grid.grid_shape(self.shape))

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each dimension the extents of its chunks inside the array, as dask writes them."""
        return _sizes(self.shape, self._metadata.inner_grid)

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The same of what is written as one object: the shard if there is one, otherwise the chunk."""
        return _sizes(self.shape, self._metadata.chunk_grid)

    @property
    def filters(self) -> tuple[Codec, ...]:
        """The codecs from arrays to arrays, in shards those of the inner chunks; for v2 its ``filters``."""
        return self._metadata.filters

    @property
    def serializer(self) -> Codec | None:
        """The codec from arrays to bytes, in shards that of the inner chunks; None for v2."""
        return self._metadata.serializer

    @property
    def compressors(self) -> tuple[Codec, ...]:
        """The codecs from bytes to bytes, in shards those of the inner chunks."""
        return self._metadata.compressors

    @property
    def compressor(self) -> Codec | None:
        """The ``compressor`` of a v2 array, or None.

        Raises
        ------
        TypeError
            For v3 arrays, which may have several: see `compressors`.
        """
        if self._metadata.v2 is None:
            raise TypeError("a Zarr v3 array has no `compressor`; its codecs are in `compressors`")
        return self._metadata.v2.compressor


def _sizes(shape: tuple[int, ...], grid: ChunkGrid) -> tuple[tuple[int, ...], ...]:
    return tuple(axis.sizes(length) for length, axis in zip(shape, grid.axes, strict=True))
