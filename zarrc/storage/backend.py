"""Storage of your own by ten callbacks, which are called with chunks and metadata instead of keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from zarrc.errors import StoreError
from zarrc.kernels.blob import Blob
from zarrc.storage.backend_session import DOCUMENTS, Session, as_bytes
from zarrc.storage.base import ByteRange, Store
from zarrc.storage.keys import check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Backend", "BackendStore"]

State = TypeVar("State")


class Backend(ABC, Generic[State]):
    """Storage of one array, by callbacks for its chunks and its metadata.

    Subclass it, give it the ten methods, and `zarrc.storage.register` the class; then
    ``zarrc.create(storage="its id", ...)`` makes an array in it. Keywords that ``create`` and ``open`` do not
    know are handed to `init`, `open` and `exists` as a mapping.

    One object of the class serves all arrays: what belongs to one array is in the *state* that `init` or
    `open` returns, and that every other method gets. The state is not looked at here. Several threads call at
    once. In a forked child the same state goes on being used; where an array is opened in another process
    (pickled), `open` is called there.

    An exception is an error of the store, of which nothing is lost: a read that fails never counts as a
    missing chunk. Only None does.

    Attributes
    ----------
    keywords : tuple of str or None
        The keywords that the backend takes; None, the default, takes any. With them, a misspelt keyword of
        the user is found.

    Notes
    -----
    Chunks are told by their indices in the chunk grid, ``(row, column, ...)``, and ``()`` for the only one of
    an array without dimensions. With sharding a chunk here is a shard. Its bytes are as Zarr stores them:
    encoded, by the array's codecs.

    The metadata are one JSON document: in format 3 ``zarr.json``; in format 2 ``.zarray``, with what else is
    in ``.zattrs`` as its member ``attributes``.

    Examples
    --------
    Chunks in a dict, a dict for each ``shelf``:

    >>> import zarrc
    >>> shelves = {}
    >>> class ShelfBackend(Backend):
    ...     keywords = ("shelf",)
    ...     def backend_id(self):
    ...         return "shelf"
    ...     def init(self, config):
    ...         return shelves.setdefault(config["shelf"], {})
    ...     def open(self, config):
    ...         return shelves[config["shelf"]]
    ...     def exists(self, config):
    ...         return config["shelf"] in shelves
    ...     def read_chunk(self, state, index):
    ...         return state.get(index)
    ...     def write_chunk(self, state, index, data):
    ...         state[index] = data
    ...     def delete_chunk(self, state, index):
    ...         state.pop(index, None)
    ...     def list_chunks(self, state):
    ...         return [index for index in state if index != "metadata"]
    ...     def read_metadata(self, state):
    ...         return state.get("metadata")
    ...     def write_metadata(self, state, document):
    ...         state["metadata"] = document
    >>> _ = zarrc.storage.register(ShelfBackend)
    >>> a = zarrc.create(shape=(4, 4), chunks=(2, 2), dtype="i4", storage="shelf", shelf="top")
    >>> a[:2] = 1
    >>> sorted(index for index in shelves["top"] if index != "metadata")
    [(0, 0), (0, 1)]
    >>> zarrc.open(storage="shelf", shelf="top")[1]
    array([1, 1, 1, 1], dtype=int32)
    >>> zarrc.storage.unregister("shelf")
    """

    keywords: ClassVar[tuple[str, ...] | None] = None

    @abstractmethod
    def backend_id(self) -> str:
        """The name for ``storage=``."""

    @abstractmethod
    def init(self, config: Mapping[str, Any]) -> State:
        """Make the storage of a new array; the state.

        Called before the first write, where `exists` is False.

        Parameters
        ----------
        config : mapping
            The keywords that the user gave.
        """

    @abstractmethod
    def open(self, config: Mapping[str, Any]) -> State:
        """Open the storage of an array that is there; the state.

        Parameters
        ----------
        config : mapping
            The keywords that the user gave.
        """

    @abstractmethod
    def exists(self, config: Mapping[str, Any]) -> bool:
        """Whether there is such storage, which `open` opens.

        Parameters
        ----------
        config : mapping
            The keywords that the user gave.
        """

    @abstractmethod
    def read_chunk(self, state: State, index: tuple[int, ...]) -> Buffer | None:
        """The bytes of a chunk, None if it was never written or is deleted.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        index : tuple of int
            Its place in the chunk grid.
        """

    @abstractmethod
    def write_chunk(self, state: State, index: tuple[int, ...], data: bytes) -> None:
        """Make ``data`` the chunk, in place of what was there.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        index : tuple of int
            Its place in the chunk grid.
        data : bytes
            Its bytes, encoded; they never change, and may be kept.
        """

    @abstractmethod
    def delete_chunk(self, state: State, index: tuple[int, ...]) -> None:
        """Delete a chunk; it is fine if there is none.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        index : tuple of int
            Its place in the chunk grid.
        """

    @abstractmethod
    def list_chunks(self, state: State) -> Iterable[tuple[int, ...]]:
        """The indices of the chunks that are stored, in any order.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        """

    @abstractmethod
    def read_metadata(self, state: State) -> Buffer | str | None:
        """The metadata document, None (or an empty one) if there is none.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        """

    @abstractmethod
    def write_metadata(self, state: State, document: bytes) -> None:
        """Make ``document`` the metadata, in place of what was there.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        document : bytes
            JSON; empty when the array is deleted (unless `delete_metadata` is there for that).
        """

    # Not one of the ten; there is no need to override it.

    def delete_metadata(self, state: State) -> None:
        """Delete the metadata; by default by writing an empty document.

        Parameters
        ----------
        state : object
            What `init` or `open` gave.
        """
        self.write_metadata(state, b"")


class BackendStore(Store):
    """A `Backend`, as a store: one array at its root.

    Parameters
    ----------
    backend : Backend or subclass of it
        The callbacks.
    config : mapping
        The keywords for `Backend.init`, `Backend.open` and `Backend.exists`.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.

    Notes
    -----
    The storage is opened, or made, when it is first needed. Keys that are neither metadata nor chunks of the
    array are absent, and cannot be set. A range is cut from the whole chunk.

    ``repr`` and errors do not show ``config``, in which there may be secrets.
    """

    def __init__(
        self,
        backend: Backend[Any] | type[Backend[Any]],
        config: Mapping[str, Any],
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__(read_only=read_only)
        self._session = Session(backend() if isinstance(backend, type) else backend, dict(config))

    @property
    def backend(self) -> Backend[Any]:
        """The callbacks."""
        return self._session.backend

    @property
    def identity(self) -> Hashable:
        """Equal for two stores on one backend with equal keywords, where these are plain values."""
        known = self._session.identity
        return self._own_identity() if known is None else known

    # The four methods.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        found = self._read(key)
        return None if found is None else self._part(key, found, range)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        content = bytes(Blob(data))
        session = self._session
        if key in DOCUMENTS:
            session.write_document(key, content)
            return
        index = session.index_of(key)
        if index is None:
            raise StoreError(
                f"{self} holds one array, and this is no chunk of it and no metadata of an array", key=key
            )
        session.call("write_chunk", key, index, content)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        session = self._session
        if not session.is_open():
            return
        if key in DOCUMENTS:
            session.delete_document(key)
            return
        index = session.index_of(key)
        if index is not None:
            session.call("delete_chunk", key, index)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        yield from keys_below(check_prefix(prefix), self._session.keys())

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`; a chunk of which several ranges are wanted is read once."""
        wanted: dict[str, list[int]] = {}
        for number, (key, _) in enumerate(requests):
            wanted.setdefault(key, []).append(number)
        for key, numbers in wanted.items():
            whole = self.get(key)
            for number in numbers:
                yield number, None if whole is None else self._part(key, whole, requests[number][1])

    def _read(self, key: str) -> bytes | None:
        session = self._session
        if not session.is_open():
            return None
        if key in DOCUMENTS:
            return session.document(key)
        index = session.index_of(key)
        if index is None:
            return None
        return as_bytes(session.call("read_chunk", key, index), key, "read_chunk")

    # What the store is.

    def __copy__(self) -> BackendStore:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._session.backend, self._session.config, self._read_only)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __str__(self) -> str:
        return f"backend:{self._session.name}"


def _rebuild(
    kind: type[BackendStore], backend: Backend[Any], config: dict[str, Any], read_only: bool
) -> BackendStore:
    return kind(backend, config, read_only=read_only)
