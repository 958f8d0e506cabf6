"""`Array`: the handle of one stored array."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from zarrc.config import ArrayConfig, ArrayConfigLike, parse_array_config
from zarrc.engine.nodes import open_node, place
from zarrc.errors import MetadataError
from zarrc.frozen import changed
from zarrc.metadata.model import ArrayMetadata
from zarrc.node import Node

if TYPE_CHECKING:
    from types import EllipsisType
    from typing import SupportsIndex

    import numpy.typing as npt

    from zarrc.codecs.base import Codec
    from zarrc.engine import ArrayAccess
    from zarrc.info import ArrayInfo
    from zarrc.metadata.model import NodeMetadata
    from zarrc.storage.base import Store

    BasicIndex = SupportsIndex | slice | EllipsisType | None
    BasicSelection = BasicIndex | tuple[BasicIndex, ...]

__all__ = ["Array"]

# Iteration reads whole rows of chunks up to this size at once, and fewer rows where they are larger.
_ITERATION_NBYTES = 128 * 2**20

_INSTEAD_OF_FANCY = "read the box around the elements, and index the result"
_INSTEAD_OF_RESIZE = "zarrc.from_array copies it into another array"
_LATER = MappingProxyType(
    dict.fromkeys(("append", "resize"), _INSTEAD_OF_RESIZE)
    | dict.fromkeys(("blocks", "oindex", "vindex"), _INSTEAD_OF_FANCY)
    | {
        f"{do}_{kind}_selection": _INSTEAD_OF_FANCY
        for do in ("get", "set")
        for kind in ("block", "coordinate", "mask", "orthogonal")
    }
)


class Array(Node):
    """One stored array; reading and writing is indexing, as with NumPy.

    Handles come from `zarrc.open`, `zarrc.create_array` and their like, or from a `Group`. A handle holds no
    data and no open file; it may be shared between threads, pickled, and used after a fork.

    Parameters
    ----------
    store : Store
        Where the array is.
    path : str
        Path inside the store.
    metadata : ArrayMetadata
        What is stored about the array.
    config : ArrayConfig, optional
        How to read and write; by default from `zarrc.config`.
    read_only : bool, default False
        Refuse writes.

    Notes
    -----
    Spec: Zarr v3 core, "Arrays"; Zarr v2, "Arrays".
    """

    __slots__ = ("_access", "_config")

    _kind = "array"
    _later = _LATER
    _metadata: ArrayMetadata

    def __init__(
        self,
        store: Store,
        path: str,
        metadata: ArrayMetadata,
        config: ArrayConfigLike = None,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(store, path, metadata, read_only=read_only)
        self._config = parse_array_config(config)
        self._access: ArrayAccess | None = None

    @classmethod
    def open(cls, store: Any, *, config: ArrayConfigLike = None) -> Self:
        """Open an existing array for reading and writing.

        Parameters
        ----------
        store : store-like
            Store, path or URL.
        config : ArrayConfig or Mapping, optional
            How to read and write.

        Raises
        ------
        ArrayNotFoundError
            If there is no array.
        """
        from zarrc.storage.resolve import make_store

        found, path = make_store(store, mode="r+")
        metadata = open_node(found, path, kind="array")
        assert isinstance(metadata, ArrayMetadata)
        return cls(found, path, metadata, config)

    @classmethod
    def from_dict(cls, store_path: Any, data: Mapping[str, Any]) -> Self:
        """Make a handle from a metadata document, without looking at the store.

        Parameters
        ----------
        store_path : store-like
            Where the array's chunks are.
        data : Mapping
            A v3 ``zarr.json``, or a v2 ``.zarray`` with ``attributes`` added.

        Raises
        ------
        MetadataError
            If the document is not a valid array's.
        """
        from zarrc.metadata import v2, v3
        from zarrc.storage.resolve import make_store

        store, path = make_store(store_path, mode="r+")
        where = place(store, path)
        if not isinstance(data, Mapping):
            raise TypeError(f"a metadata document is a mapping, got {type(data).__name__}")
        metadata: NodeMetadata
        if data.get("zarr_format") == 2:
            document = {key: value for key, value in data.items() if key != "attributes"}
            attributes = _document(data.get("attributes") or {}, where)
            metadata = v2.parse_array(_document(document, where), attributes, where=where)
        else:
            metadata = v3.parse_node(_document(data, where), where=where)
        if not isinstance(metadata, ArrayMetadata):
            raise MetadataError("the document is a group's, not an array's", key=where)
        return cls(store, path, metadata)

    # --- what it is

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
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._metadata.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._metadata.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of what a read returns."""
        return self._metadata.dtype

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements in memory, uncompressed."""
        return self.size * self.dtype.itemsize

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
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk."""
        return self._metadata.chunks

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Shape of a shard; None if each chunk is stored by itself."""
        return self._metadata.shards

    @property
    def cdata_shape(self) -> tuple[int, ...]:
        """Number of chunks along each dimension."""
        return self._metadata.chunk_grid.grid_shape(self.shape)

    @property
    def nchunks(self) -> int:
        """Number of chunks, stored or not."""
        return math.prod(self.cdata_shape)

    @property
    def read_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """For each dimension the extents of its chunks inside the array, as dask writes them."""
        return tuple(
            tuple(min(chunk, length - start) for start in range(0, length, chunk))
            for length, chunk in zip(self.shape, self.chunks, strict=True)
        )

    @property
    def write_chunk_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The same of what is written as one object: the shard if there is one, otherwise the chunk."""
        return self.read_chunk_sizes

    @property
    def filters(self) -> tuple[Codec, ...]:
        """The codecs from arrays to arrays; for v2 its ``filters``."""
        return self._metadata.filters

    @property
    def serializer(self) -> Codec | None:
        """The codec from arrays to bytes; None for v2."""
        return self._metadata.serializer

    @property
    def compressors(self) -> tuple[Codec, ...]:
        """The codecs from bytes to bytes."""
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

    # --- what is stored

    @property
    def nchunks_initialized(self) -> int:
        """Number of chunks that are stored; lists the store, a cost that grows with them."""
        from zarrc.engine.chunk_keys import stored_chunks

        return sum(1 for _ in stored_chunks(self._store, self._path, self._metadata))

    def nbytes_stored(self) -> int:
        """Return the bytes of all objects below the array's path, metadata included; lists the store."""
        from zarrc.engine.chunk_keys import stored_nbytes

        return stored_nbytes(self._store, self._path)

    @property
    def info(self) -> ArrayInfo:
        """A summary, as text and as HTML, from the metadata alone."""
        from zarrc.info import array_info

        return array_info(self)

    def info_complete(self) -> ArrayInfo:
        """Return the summary with stored bytes, compression ratio and stored chunks; lists the store."""
        from zarrc.info import array_info

        return array_info(self, complete=True)

    # --- settings

    def with_config(self, config: ArrayConfigLike) -> Self:
        """Return a handle of the same array that reads and writes otherwise.

        Parameters
        ----------
        config : ArrayConfig or Mapping
            The options to change; those left out stay as they are.
        """
        new = parse_array_config(config, self._config)
        return type(self)(self._store, self._path, self._metadata, new, read_only=self._read_only)

    # --- data

    def _data(self) -> ArrayAccess:
        """Return the engine's view of this array, made on first use."""
        access = self._access
        if access is None:
            from zarrc.engine import ArrayAccess

            config = self._config
            if config.order != self.order:
                config = changed(config, order=self.order)
            access = self._access = ArrayAccess(self._store, self._path, self._metadata, config)
        return access

    def _repair_fill(self) -> object:
        return self._metadata.fill_value

    def _set_metadata(self, metadata: NodeMetadata) -> None:
        super()._set_metadata(metadata)
        self._access = None

    def __getitem__(self, selection: BasicSelection) -> Any:
        """Read the elements that integers, slices (of any step), ``...`` and ``None`` select, as NumPy does.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            A new array, owned by the caller; a scalar if each dimension is indexed by an integer.

        Raises
        ------
        BoundsCheckError
            If an integer is out of bounds.
        SelectionError
            If the selection has too many indices, or is of a kind that this is not for.
        CorruptChunkError
            If a stored chunk is not what the metadata says.
        """
        return self._data().read(selection)

    def __setitem__(self, selection: BasicSelection, value: npt.ArrayLike) -> None:
        """Write to the selected elements; ``value`` broadcasts as in NumPy.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        CastingError
            If a value does not fit the data type (see `ArrayConfig.casting`).
        ValueError
            If the shapes do not broadcast.
        """
        self._check_writable("write")
        self._data().write(selection, value)

    def get_basic_selection(
        self, selection: BasicSelection = ..., *, out: npt.NDArray[Any] | None = None
    ) -> Any:
        """Read what ``array[selection]`` does, into ``out`` if it is given.

        Parameters
        ----------
        selection : int, slice, ..., None, or a tuple of these
            What to read; everything by default.
        out : numpy.ndarray, optional
            Where to put it: of the selection's shape and the array's dtype, any strides. After an error it
            may be partly written.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array or scalar.
        """
        return self._data().read(selection, out=out)

    def set_basic_selection(self, selection: BasicSelection, value: npt.ArrayLike) -> None:
        """Write as ``array[selection] = value`` does.

        Parameters
        ----------
        selection : int, slice, ..., None, or a tuple of these
            Where to write.
        value : array_like
            What to write; broadcasts as in NumPy.
        """
        self[selection] = value

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything, as ``numpy.asarray`` asks.

        Raises
        ------
        ValueError
            With ``copy=False``: reading always makes a new array.
        """
        if copy is False:
            raise ValueError("a stored array cannot be viewed without a copy; use numpy.asarray or copy=None")
        data = np.asarray(self._data().read(...))
        return data if dtype is None else data.astype(dtype, copy=False)

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
        n_rows, chunk = self.shape[0], self.chunks[0]
        row_nbytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        step = min(chunk, max(1, _ITERATION_NBYTES // max(1, row_nbytes)))
        start = 0
        while start < n_rows:
            # A read never crosses into the next row of chunks, which would then be decoded twice.
            stop = min(start + step, (start // chunk + 1) * chunk, n_rows)
            yield from self[start:stop]
            start = stop

    def _scalar(self) -> Any:
        """Return the one element of an array of size 1."""
        return np.asarray(self._data().read(...)).reshape(-1)[0]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                "the truth value of an array with other than one element is ambiguous; use `is not None`, or "
                "read it and use numpy.any or numpy.all"
            )
        return bool(self._scalar())

    def __int__(self) -> int:
        return int(self._only("int"))

    def __float__(self) -> float:
        return float(self._only("float"))

    def __complex__(self) -> complex:
        return complex(self._only("complex"))

    def __index__(self) -> int:
        if self.ndim != 0:
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        import operator

        return operator.index(self._scalar())

    def _only(self, to: str) -> Any:
        if self.size != 1:
            raise TypeError(f"only an array of one element can become {to}; this one has shape {self.shape}")
        return self._scalar()

    # --- representation

    def __repr__(self) -> str:
        return f"<Array {self.store_path} shape={self.shape} dtype={self.dtype}>"

    def _repr_html_(self) -> str:
        return self.info._repr_html_()

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self._store, self._path, self._metadata, self._config, self._read_only)
        return _rebuild, (type(self), *arguments)

    def __copy__(self) -> Self:
        return type(self)(self._store, self._path, self._metadata, self._config, read_only=self._read_only)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return another handle of the same array: the stored data are not copied."""
        return self.__copy__()


def _document(fields: Mapping[str, Any], where: str) -> bytes:
    """Return a document's text, to be read as one from a store is."""
    import json

    try:
        return json.dumps(dict(fields)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MetadataError(f"the document holds what JSON cannot: {error}", key=where) from None


def _rebuild(
    cls: type[Array], store: Store, path: str, metadata: ArrayMetadata, config: ArrayConfig, read_only: bool
) -> Array:
    return cls(store, path, metadata, config, read_only=read_only)
