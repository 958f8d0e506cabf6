"""`Array`: the handle of one stored array."""

from __future__ import annotations

import operator
import os
from _thread import allocate_lock
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from zarrc.array_changing import ArrayChanging
from zarrc.config import ArrayConfig, ArrayConfigLike, parse_array_config
from zarrc.engine.nodes import open_node, place
from zarrc.errors import MetadataError
from zarrc.frozen import changed
from zarrc.metadata.model import ArrayMetadata

if TYPE_CHECKING:
    from zarrc.buffering import Buffered
    from zarrc.caching import ArrayCache
    from zarrc.engine import ArrayAccess
    from zarrc.engine.write_buffer import WriteBuffer
    from zarrc.info import ArrayInfo
    from zarrc.lazy_view import LazyView
    from zarrc.metadata.model import NodeMetadata
    from zarrc.storage.base import Store
    from zarrc.tools.compacting import Compaction

__all__ = ["Array"]

# Held for the moment in which a handle gets another view of its data: at first use, when it is resized, when
# its writes begin to wait or cease to.
_beginning = allocate_lock()


def _begin_anew() -> None:
    """In a forked child, where another thread's lock would stay taken for ever."""
    global _beginning
    _beginning = allocate_lock()


os.register_at_fork(after_in_child=_begin_anew)


class Array(ArrayChanging):
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

    __slots__ = ("_access", "_cache", "_config", "_needs_no_document")

    _kind = "array"

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
        if self._config.locking == "file" and store.below is not store:
            # A transaction takes the locks when it is committed.
            self._config = changed(self._config, locking="thread")
        self._access: ArrayAccess | WriteBuffer | None = None
        self._cache: ArrayCache | None = None
        # Made from a document that may not be stored: its absence does not mean that the array was deleted.
        self._needs_no_document = False
        if self._config.cache_nbytes:
            from zarrc.caching import ArrayCache

            self._cache = ArrayCache(self._config.cache_nbytes)

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
        metadata = open_node(found, path, kind="array", writable=True)
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
        array = cls(store, path, metadata)
        array._needs_no_document = True
        return array

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
        return self._alike(
            type(self)(self._store, self._path, self._metadata, new, read_only=self._read_only)
        )

    def _alike(self, other: Self) -> Self:
        """Return another handle of this array, which knows of it what this one does."""
        other._needs_no_document = self._needs_no_document
        return self._linked(other)

    def with_cache(self, nbytes: int = 256 * 2**20) -> Self:
        """Return a handle of the same array that keeps decoded chunks, for reads that come back to them.

        Parameters
        ----------
        nbytes : int, default 256 MiB
            The most bytes of memory that they may take; the least recently used go first. 0 keeps none.

        Returns
        -------
        Array
            A handle with a cache of its own: `cache`.

        Raises
        ------
        ValueError
            If ``nbytes`` is no integer, or negative.

        Notes
        -----
        A read that begins after a write has ended, through any handle in this process, sees what was written.
        What other processes write is noticed in directories, and not on other stores: see `ArrayCache.clear`.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.ones((100, 100), chunks=(10, 100)).with_cache(2**20)
        >>> rows = [a[i] for i in range(20)]
        >>> a.cache.stats().hits, a.cache.stats().misses
        (18, 2)
        """
        return self.with_config({"cache_nbytes": nbytes})

    @property
    def cache(self) -> ArrayCache | None:
        """The decoded chunks that this handle keeps; None if it keeps none (see `with_cache`)."""
        return self._cache

    # --- data

    @property
    def lazy(self) -> LazyView:
        """All of the array as a `LazyView`: ``array.lazy[2:].T[5]`` is one more, and reads nothing."""
        from zarrc.indexing.index_map import IndexMap
        from zarrc.lazy_view import LazyView

        return LazyView(self, IndexMap.identity(self.shape))

    def _data(self) -> ArrayAccess | WriteBuffer:
        """Return the engine's view of this array, made on first use."""
        access = self._access
        while access is None:
            made = self._new_access()
            with _beginning:
                # Another thread may have been faster, and be in a buffered block by now; or have resized the
                # array.
                if self._access is None and made.metadata is self._metadata:
                    self._access = made
                access = self._access
        return access

    def _new_access(self, metadata: ArrayMetadata | None = None) -> ArrayAccess:
        """Make a view of the data, with this handle's metadata or with others."""
        from zarrc.engine import ArrayAccess

        config = self._config
        if config.order != self.order:
            config = changed(config, order=self.order)
        # Decoded chunks that are kept stay what they are, whatever becomes of the array's shape.
        cache = None if self._cache is None else self._cache._kernel
        access = ArrayAccess(self._store, self._path, metadata or self._metadata, config, cache)
        access.needs_no_document = self._needs_no_document
        return access

    def _repair_fill(self) -> object:
        return self._metadata.fill_value

    def _set_metadata(self, metadata: NodeMetadata) -> None:
        with _beginning:
            old = self._metadata
            super()._set_metadata(metadata)
            new = self._metadata
            if self._cache is not None and (old.codecs, old.data_type) != (new.codecs, new.data_type):
                from zarrc.caching import ArrayCache

                self._cache = ArrayCache(self._config.cache_nbytes)
            access = self._access
            if access is None or access.is_direct:
                self._access = None
                return
        # Inside a buffered block; what waits goes on waiting.
        access.go_on_with(self._new_access())

    def buffered(self, nbytes: int = 256 * 2**20) -> Buffered:
        """Collect small writes: in a ``with`` block, each shard (or chunk) is written once, at its end.

        Writes through this handle wait in memory; reads through it see them. Other handles, and other
        processes, see them when they are written. What is written over is only what was assigned: elements
        beside it stay as they are stored at the end, whoever wrote them meanwhile.

        Parameters
        ----------
        nbytes : int, default 256 MiB
            What may wait. Past it, the shards that were not written to for longest are written at once.

        Returns
        -------
        Buffered
            A context manager, with ``flush()`` to write at once and ``nbytes`` for what waits.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        TypeError, ValueError
            If ``nbytes`` is no integer, or negative.

        Notes
        -----
        A write of more than half of ``nbytes``, or to chunks of more than all of it, does not wait; what
        waits goes before it. If the block ends by an exception, what was assigned before it is written all
        the same. If some shards cannot be written at the end of the block, the others are, and the first
        failure is raised there; what was not written then is lost with the block. Blocks may be inside one
        another, and in several threads: what waits is then written at the end of each. In a forked child
        writes do not wait.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.zeros((100, 100), chunks=(10, 10), shards=(100, 100), dtype="i4")
        >>> with a.buffered():
        ...     for i in range(100):
        ...         a[i, i] = i
        >>> int(a[...].trace())
        4950
        """
        from zarrc.buffering import Buffered

        self._check_writable("write")
        try:
            nbytes = operator.index(nbytes)
        except TypeError:
            raise TypeError(f"nbytes must be an integer, got {type(nbytes).__name__}") from None
        if nbytes < 0:
            raise ValueError(f"nbytes must not be negative, got {nbytes}")
        return Buffered(self, nbytes)

    def _begin_buffer(self, nbytes: int) -> WriteBuffer:
        """Make writes wait; blocks inside one another, and those of several threads, share one buffer."""
        from zarrc.engine.write_buffer import WriteBuffer

        while True:
            access = self._data()
            if isinstance(access, WriteBuffer):
                if access.enter():
                    return access
                self._end_buffer(access)
                continue
            buffer = WriteBuffer(access, nbytes)
            if self._store.below is not self._store:
                self._store.note_buffer(buffer)  # type: ignore[attr-defined]
            with _beginning:
                if self._access is access:
                    self._access = buffer
                    return buffer

    def _end_buffer(self, buffer: WriteBuffer) -> None:
        """Go back to writing at once, if the buffer's last block has ended."""
        with _beginning:
            if self._access is buffer and buffer.is_closed:
                self._access = buffer.access

    def _direct(self) -> ArrayAccess:
        """Return the engine's view of what is stored, after what waits was written."""
        access = self._data()
        if access.is_direct:
            return access
        access.flush()
        return access.access

    def compact(self, ratio: float = 0.25) -> Compaction:
        """Write shards anew that hold bytes nobody needs, as appending leaves them behind.

        What a writer began to append and did not finish, because it was killed, is taken back too.

        Parameters
        ----------
        ratio : float, default 0.25
            Shards of which more than this share is garbage are written anew; 0 takes all that have any.

        Returns
        -------
        Compaction
            How many shards were looked at and written, and the bytes before and after.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        ValueError
            If ``ratio`` is not in [0, 1].

        Notes
        -----
        Costs a listing and a look at each shard's index. Inner chunks are not decoded. Readers see the old
        shard or the new one; writers wait (those of other processes with ``locking="file"`` only).
        """
        from zarrc.tools.compacting import compact_array

        return compact_array(self, ratio)

    def _read_whole(self) -> Any:
        return self._data().read(...)

    def _scalar(self) -> Any:
        """Return the one element of an array of size 1."""
        return np.asarray(self._read_whole()).reshape(-1)[0]

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
        state = {"_consolidated": self._consolidated, "_needs_no_document": self._needs_no_document}
        return _rebuild, (type(self), *arguments), (None, state)

    def __copy__(self) -> Self:
        return self._alike(
            type(self)(self._store, self._path, self._metadata, self._config, read_only=self._read_only)
        )

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
