"""One array in storage by callbacks: its state, its metadata, and which keys its chunks have."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from zarrc.errors import MetadataError, StoreDeniedError, StoreError
from zarrc.grids import ChunkKeyEncoding, DefaultKeyEncoding, V2KeyEncoding, key_encoding_from_v3_json
from zarrc.kernels.blob import Blob
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.storage.backend import Backend

__all__ = ["DOCUMENTS", "Session", "as_bytes"]

# The documents of an array; a backend has one for both of format 2.
_V3: Final = "zarr.json"
_V2: Final = ".zarray"
_V2_ATTRIBUTES: Final = ".zattrs"
DOCUMENTS: Final = (_V3, _V2, _V2_ATTRIBUTES)
_NO_STATE: Final = object()

# Not those of `key_lock`, of which `Store.set_if` holds one while it writes.
_N_LOCKS: Final = 64
_locks = [threading.RLock() for _ in range(_N_LOCKS)]


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    _locks[:] = [threading.RLock() for _ in range(_N_LOCKS)]


os.register_at_fork(after_in_child=_renew)


class _Layout:
    """How an array's chunks are called: its key encoding and its number of dimensions."""

    __slots__ = ("encoding", "n_dimensions")

    def __init__(self, encoding: ChunkKeyEncoding, n_dimensions: int | None) -> None:
        self.encoding = encoding
        self.n_dimensions = n_dimensions  # None: any number

    def index_of(self, key: str) -> tuple[int, ...] | None:
        """The chunk of a key, None if there is none."""
        if self.n_dimensions == 0:  # the encoding of format 2 says "0" for it
            return () if key == self.encoding.encode(()) else None
        found = self.encoding.decode(key)
        return found if found is not None and self.n_dimensions in (len(found), None) else None

    def has(self, index: object) -> bool:
        """Whether it is the index of a chunk."""
        if not isinstance(index, tuple) or self.n_dimensions not in (len(index), None):
            return False
        return all(type(one) is int and one >= 0 for one in index)


class Session:
    """A backend and the state of one array in it; shared by the copies of a store."""

    def __init__(self, backend: Backend[Any], config: dict[str, Any]) -> None:
        self.backend = backend
        self.config = config
        named: Any = backend.backend_id
        self.name: str = named() if callable(named) else named
        self.identity = _identity(self.name, config)
        self._opening = threading.Lock()
        self._pid = os.getpid()
        self._state: Any = _NO_STATE
        self._layout: _Layout | None = None

    def call(self, name: str, key: str | None, *arguments: Any) -> Any:
        """A callback with the state, which is made if there is none yet; its errors name the key."""
        if self._state is _NO_STATE:
            self._attach(creating=True)
        return self._tried(name, key, getattr(self.backend, name), self._state, *arguments)

    def is_open(self) -> bool:
        """Open the storage, if it is there and was not opened yet; whether there is one."""
        if self._state is _NO_STATE:
            self._attach(creating=False)
        return self._state is not _NO_STATE

    def _attach(self, *, creating: bool) -> None:
        with self._state_lock():
            if self._state is not _NO_STATE:
                return
            # A copy for each call: what a callback does to it is not seen by the next one.
            if self._tried("exists", None, self.backend.exists, {**self.config}):
                self._state = self._tried("open", None, self.backend.open, {**self.config})
            elif creating:
                self._state = self._tried("init", None, self.backend.init, {**self.config})

    def _state_lock(self) -> threading.Lock:
        if self._pid != os.getpid():  # another thread may have held it at the fork
            self._opening, self._pid = threading.Lock(), os.getpid()
        return self._opening

    def _metadata_lock(self) -> threading.RLock:
        """The lock for reading, changing and writing the document, the same for all stores on one place."""
        return _locks[hash(id(self) if self.identity is None else self.identity) % _N_LOCKS]

    def _tried(self, name: str, key: str | None, method: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except StoreError as error:
            error.key = key if error.key is None else error.key
            raise
        except Exception as error:
            kind = StoreDeniedError if isinstance(error, PermissionError) else StoreError
            text = f"{name} of the backend {self.name!r} failed: {type(error).__name__}: {error}"
            raise kind(text, key=key) from error

    # Metadata.

    def _stored(self, key: str) -> bytes | None:
        """The document of the backend; an empty one is none."""
        found = self.call("read_metadata", key)
        if isinstance(found, str):
            found = found.encode()
        return as_bytes(found, key, "read_metadata") or None

    def document(self, key: str) -> bytes | None:
        """One of the documents of an array."""
        stored = self._stored(key)
        if stored is None:
            return None
        if key == _V3:
            return stored if _format_of(stored, key) == 3 else None
        if _format_of(stored, key) == 3:
            return None
        fields = _fields(stored, key)
        attributes = fields.pop("attributes", None)
        if key == _V2_ATTRIBUTES:
            return None if attributes is None else _json(attributes)
        if "zarr_format" not in fields:  # attributes that came first
            return None
        return stored if attributes is None else _json(fields)

    def write_document(self, key: str, content: bytes) -> None:
        """Change one of the documents of an array."""
        if key == _V3 and _fields(content, key).get("node_type") == "group":
            raise StoreError(
                f"the backend {self.name!r} holds one array: there is no place for groups", key=key
            )
        if not self.is_open():
            self._attach(creating=True)
        with self._metadata_lock():
            self.call("write_metadata", key, self._merged(key, content))
            self._layout = None

    def _merged(self, key: str, content: bytes) -> bytes:
        """The one document of an array, with a new version of one of the two of format 2."""
        if key == _V3:
            return content
        stored = self._stored(key)
        old = {} if stored is None else _fields(stored, key)
        if old.get("zarr_format") == 3:
            raise StoreError(f"the backend {self.name!r} holds an array of format 3", key=key)
        new = _fields(content, key)
        if key == _V2_ATTRIBUTES:
            kept = {name: value for name, value in old.items() if name != "attributes"}
            return _json({**kept, "attributes": new})
        return _json({**new, "attributes": old["attributes"]}) if "attributes" in old else content

    def delete_document(self, key: str) -> None:
        """Delete one of the documents of an array; the attributes of format 2 go with its ``.zarray``."""
        with self._metadata_lock():
            stored = self._stored(key)
            if stored is None or self.document(key) is None:
                return
            self._known_layout(key)  # the chunks are deleted after the metadata, by their names
            if key == _V2_ATTRIBUTES:
                fields = _fields(stored, key)
                del fields["attributes"]
                if fields:
                    self.call("write_metadata", key, _json(fields))
                    return
            self.call("delete_metadata", key)

    # Chunks.

    def index_of(self, key: str) -> tuple[int, ...] | None:
        """The chunk of a key; None if it has none."""
        return self._known_layout(key).index_of(key)

    def _known_layout(self, key: str) -> _Layout:
        if self._layout is not None:
            return self._layout
        stored = self._stored(key)
        found = None if stored is None else _layout_of(stored, key)
        if found is not None:
            self._layout = found
        # Without metadata, chunks may be left of an array that was deleted in part.
        return found or _Layout(DefaultKeyEncoding(), None)

    def keys(self) -> Iterator[str]:
        """The keys of all that is there."""
        if not self.is_open():
            return
        yield from (key for key in DOCUMENTS if self.document(key) is not None)
        layout = self._known_layout(_V3)
        for index in self.call("list_chunks", None):
            if not layout.has(index):
                raise StoreError(
                    f"list_chunks of the backend {self.name!r} gave {index!r}: no index of a chunk"
                    + ("" if layout.n_dimensions is None else f" of {layout.n_dimensions} dimensions")
                )
            yield layout.encoding.encode(index)


def as_bytes(found: Any, key: str | None, callback: str) -> bytes | None:
    """What a callback gave, as bytes."""
    if found is None or type(found) is bytes:
        return found
    try:
        return bytes(Blob(found))
    except (TypeError, BufferError, ValueError) as error:
        raise StoreError(f"{callback} gave no bytes but a {type(found).__name__}", key=key) from error


def _fields(document: bytes, key: str) -> dict[str, Any]:
    try:
        fields = json.loads(document)
    except ValueError as error:
        raise StoreError(f"the metadata are no JSON: {error}", key=key) from error
    if not isinstance(fields, dict):
        raise StoreError(f"the metadata are no JSON object but a {type(fields).__name__}", key=key)
    return fields


def _format_of(document: bytes, key: str) -> int:
    return 3 if _fields(document, key).get("zarr_format") == 3 else 2


def _json(fields: object) -> bytes:
    return json.dumps(fields, indent=2).encode()


def _layout_of(document: bytes, key: str) -> _Layout | None:
    """How the chunks of an array are called, from its metadata; None without an array."""
    fields = _fields(document, key)
    shape = fields.get("shape")
    if not isinstance(shape, list):
        return None
    if fields.get("zarr_format") != 3:
        separator = fields.get("dimension_separator", ".")
        encoding: ChunkKeyEncoding = V2KeyEncoding("/" if separator == "/" else ".")
        return _Layout(encoding, len(shape))
    try:
        reading = Reading(path="chunk_key_encoding")
        encoding = key_encoding_from_v3_json(fields.get("chunk_key_encoding"), reading)
    except MetadataError as error:
        raise StoreError(f"chunks have no indices: {error}", key=key) from error
    return _Layout(encoding, len(shape))


def _identity(name: str, config: Mapping[str, Any]) -> Hashable:
    """Equal for equal configurations of plain values, in which secrets are not to be seen; else None."""
    import hashlib

    plain = {
        key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in config.items()
    }
    if not all(value is None or type(value) in (str, bytes, int, float, bool) for value in plain.values()):
        return None
    text = repr(sorted(plain.items()))
    return "backend", name, hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
