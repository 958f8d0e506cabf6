"""Nodes of a hierarchy: create, change and delete arrays and groups, v2 and v3.

What makes a place a node is its metadata document: it is written last, and goes first.
"""

from __future__ import annotations

import marshal
import os
import time
import weakref
from _thread import RLock, allocate_lock
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from zarrc.config import config
from zarrc.dtypes import DEFAULT_FILL
from zarrc.engine.node_names import ancestors, check_new_path, join
from zarrc.engine.nodes import (
    MARKERS,
    V2_DOCUMENTS,
    V3_DOCUMENT,
    NodeMetadata,
    get_documents,
    parse_v2,
    parse_v3,
    place,
)
from zarrc.engine.unsettled import finish, get_with_marked, leaves_markers, settle
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    MetadataError,
    ReadOnlyError,
    StoreConflictError,
    StoreError,
    ZarrcError,
)
from zarrc.metadata import v3
from zarrc.metadata.model import ArrayMetadata, GroupMetadata

if TYPE_CHECKING:
    from zarrc.storage.base import Blob, Store

__all__ = [
    "StoredNode",
    "check_parents",
    "contains_error",
    "costs_no_request",
    "create_node",
    "delete_node",
    "node_lock",
    "present_kinds",
    "put_new",
    "read_stored",
    "refuse_left_chunks",
    "replace_document",
    "replace_stored",
    "update_node",
]


_DOCUMENTS = frozenset((*MARKERS, ".zattrs", ".zmetadata"))


# --- create


def create_node(
    store: Store,
    path: str,
    metadata: NodeMetadata,
    *,
    overwrite: bool = False,
    takes_left_chunks: bool = False,
) -> None:
    """Store a new node, and the groups above it that are missing.

    The node's own document is written last, and only if nobody stored one meanwhile. With ``overwrite`` the
    old node's document goes first: a crash in between leaves no node, never a node with some of its chunks
    gone.

    Parameters
    ----------
    store : Store
        Where to create it.
    path : str
        Normalised path of the node.
    metadata : ArrayMetadata or GroupMetadata
        What to store.
    overwrite : bool, default False
        Delete a node that is there already, with everything below it.
    takes_left_chunks : bool, default False
        Whether the caller replaces or deletes each chunk that is there without an array.

    Raises
    ------
    ContainsArrayError, ContainsGroupError
        If there is a node already, or if a parent is an array.
    MetadataError
        If a part of the path cannot be a node's name, or if a parent is of another Zarr format.
    ContainsNodeError
        If chunks are there that the new array would take for its own: an interrupted delete leaves them.
        Looked for where that costs no request: on local stores and in memory.
    StoreError
        With ``overwrite``, if there is no node, but files that are part of none; looked for on these stores.
    ReadOnlyError
        If the store is for reading only.
    """
    check_new_path(path)
    if store.read_only:
        raise ReadOnlyError(
            f"cannot create a node at {place(store, path)}: the store is open for reading only"
        )
    while marked := _create_unless_marked(store, path, metadata, overwrite, takes_left_chunks):
        for one in marked:
            finish(store, one)


def _create_unless_marked(
    store: Store, path: str, metadata: NodeMetadata, overwrite: bool, takes_left_chunks: bool
) -> list[str]:
    """Create a node, if none of the nodes above it, and not itself, has a transaction's marker; else these.

    They are resolved without the lock, for which whoever is committing may wait.
    """
    with node_lock(store, path), _creating(store, path):
        present, marked = _present_or_marked(store, [*ancestors(path), path])
        if marked:
            return marked
        missing = check_parents(store, ancestors(path), present, metadata.zarr_format)
        if overwrite:
            if not present[path]:
                _refuse_strangers(store, path)
            delete_node(store, path, settled=True)
        elif present[path]:
            raise contains_error(store, path, next(iter(present[path].values())))
        elif not takes_left_chunks:
            refuse_left_chunks(store, path, metadata)
        for parent in missing:
            put_new(
                store, parent, GroupMetadata(zarr_format=metadata.zarr_format, attributes={}), may_exist=True
            )
        put_new(store, path, metadata, may_exist=False)
    return []


@contextmanager
def _creating(store: Store, path: str) -> Iterator[None]:
    """Say in a store's error what it was asked for: its key is the key inside the store only."""
    try:
        yield
    except StoreError as error:
        now = {True: "it is there now", False: "it is not there", None: "whether it is there is not known"}
        state = now[_is_there(store, path)]
        error.message = f"cannot create a node at {place(store, path)}: {error.message}; {state}"
        raise


def _is_there(store: Store, path: str) -> bool | None:
    """Whether a node is there after something failed; None if the store does not tell."""
    try:
        return any(store.stat(join(path, name)) is not None for name in MARKERS)
    except (ZarrcError, OSError):
        return None


def present_kinds(store: Store, paths: Sequence[str]) -> dict[str, dict[int, str]]:
    """Return for each path what is there: Zarr format -> "array", "group" or "node" (unreadable).

    It is asked in order to write there: interrupted transactions are resolved first.
    """
    while True:
        present, marked = _present_or_marked(store, paths)
        if not marked:
            return present
        for one in marked:
            finish(store, one)


def _present_or_marked(store: Store, paths: Sequence[str]) -> tuple[dict[str, dict[int, str]], list[str]]:
    """Return for each path what is there, and which of them have a transaction's marker."""
    keys = [join(path, name) for path in paths for name in MARKERS]
    marked: list[str] = []
    if not leaves_markers(store):
        documents = iter(get_documents(store, keys))
    else:
        blobs, marked = get_with_marked(store, paths, keys)
        documents = iter([None if blob is None else bytes(blob) for blob in blobs])
    present: dict[str, dict[int, str]] = {}
    for path in paths:
        v3_document, v2_array, v2_group = next(documents), next(documents), next(documents)
        kinds = {} if v3_document is None else {3: _v3_kind(v3_document)}
        if v2_array is not None or v2_group is not None:
            kinds[2] = "group" if v2_array is None else "array"
        present[path] = kinds
    return present, marked


def _v3_kind(document: bytes) -> str:
    try:
        return "array" if isinstance(v3.parse_node(document, where=V3_DOCUMENT), ArrayMetadata) else "group"
    except MetadataError:
        return "node"


def check_parents(
    store: Store, parents: Sequence[str], present: dict[str, dict[int, str]], zarr_format: int
) -> list[str]:
    """Refuse parents that cannot have this child; return those that are missing, from the root down."""
    for parent in parents:
        kinds = present[parent]
        if "array" in kinds.values():
            raise ContainsArrayError(
                f"{place(store, parent)} is an array; only groups may have nodes below them"
            )
        if kinds and zarr_format not in kinds:
            other = next(iter(kinds))
            raise MetadataError(
                f"{place(store, parent)} is a Zarr v{other} group, so no v{zarr_format} node can be created "
                f"below it; pass zarr_format={other}"
            )
    return [parent for parent in parents if not present[parent]]


def contains_error(
    store: Store, path: str, kind: str, advice: str = "overwrite=True or mode='w' replaces it"
) -> ContainsNodeError:
    """Return the error for a node where a new one is to be; ``kind`` is "array", "group" or "node"."""
    error = {"array": ContainsArrayError, "group": ContainsGroupError}.get(kind, ContainsNodeError)
    article = "an array" if kind == "array" else f"a {kind}"
    return error(f"{article} is stored at {place(store, path)} already; {advice}")


def costs_no_request(store: Store) -> bool:
    """Whether a store is near: one of this machine's directories, or in memory."""
    from zarrc.storage.memory import MemoryStore

    return store.below.local_root is not None or isinstance(store.below, MemoryStore)


def refuse_left_chunks(store: Store, path: str, metadata: NodeMetadata) -> None:
    """Refuse a new array where chunks are stored already: it would have them as its own.

    Raises
    ------
    ContainsNodeError
        Naming the first.
    """
    if not isinstance(metadata, ArrayMetadata) or not costs_no_request(store):
        return
    from zarrc.engine.chunk_keys import left_chunk

    key = left_chunk(store, path, metadata)
    if key is not None:
        raise ContainsNodeError(
            f"there is no node at {place(store, path)}, but {key!r} would be a chunk of the new array: an "
            "interrupted delete left it; overwrite=True or mode='w' deletes it",
            key=key,
        )


def _refuse_strangers(store: Store, path: str) -> None:
    """Refuse to delete what is no part of a node, where there is none: a directory of the user's."""
    if not path or not costs_no_request(store):
        return  # at the root such files stay
    for key in store.list_prefix(f"{path}/"):
        name = key.rpartition("/")[2]
        if name not in _DOCUMENTS and not _is_chunk_key(name):
            raise StoreError(f"{key!r} is there and no part of a node", key=key)


def put_new(store: Store, path: str, metadata: NodeMetadata, *, may_exist: bool) -> None:
    """Store a node's documents; the one that makes it a node only if it is not there."""
    documents = _dump(metadata)
    marker = next(name for name in documents if name in MARKERS)
    try:
        store.set_if(join(path, marker), documents[marker], None)
    except StoreConflictError:
        if may_exist:
            return
        kind = "array" if isinstance(metadata, ArrayMetadata) else "group"
        raise contains_error(store, path, kind) from None
    try:
        for name in documents.keys() - {marker}:
            store.set(join(path, name), documents[name])
    except BaseException:
        # Not without its attributes.
        with suppress(ZarrcError, OSError):
            store.delete(join(path, marker))
        raise


# --- delete


def delete_node(store: Store, path: str, *, settled: bool = False) -> None:
    """Delete a node and everything below it, its document first.

    Below a path everything goes. The root of a store may be any directory that the user named, so there only
    metadata documents, chunks and nodes go, other files stay; where the root was no node before, a directory
    whose name could be a chunk's (``c``, ``2024``) loses chunks only.

    Parameters
    ----------
    store : Store
        Where the node is.
    path : str
        Normalised path of the node; that there is none is no error.
    settled : bool, default False
        Whether there is known to be no interrupted transaction at the node; otherwise it is resolved first.

    Raises
    ------
    ReadOnlyError
        If the store is for reading only.
    """
    if store.read_only:
        raise ReadOnlyError(f"cannot delete {place(store, path)}: the store is open for reading only")
    if not settled:
        settle(store, path)
    was_node = path == "" and any(store.stat(name) is not None for name in MARKERS)
    try:
        store.delete_many([join(path, name) for name in _DOCUMENTS])
        if path:
            store.delete_prefix(f"{path}/")
        else:
            _delete_at_root(store, was_node)
    except StoreError as error:
        error.message = f"{_deleted_text(store, path)}: {error.message}"
        raise
    finally:
        from zarrc.kernels.locks import all_changed

        # Handles with caches may have chunks of what was below.
        all_changed()


def _deleted_text(store: Store, path: str) -> str:
    """Say what a delete that failed has done: the document that makes it a node goes first."""
    there = _is_there(store, path)
    if there:
        return f"the node at {place(store, path)} is still there"
    if there is None:
        return f"whether the node at {place(store, path)} is still there is not known"
    return f"the node at {place(store, path)} is deleted, some of its objects are left"


def _delete_at_root(store: Store, was_node: bool) -> None:
    """Delete chunks and nodes from the root of a store."""
    listing = store.list_dir("")
    store.delete_many([name for name in listing.keys if _is_chunk_key(name)])
    documents = iter(
        get_documents(store, [join(name, marker) for name in listing.prefixes for marker in MARKERS])
    )
    for name in listing.prefixes:
        is_node = [next(documents) is not None for _ in MARKERS]
        if any(is_node) or (was_node and _is_chunk_key(name)):
            store.delete_prefix(f"{name}/")
        elif _is_chunk_key(name):
            store.delete_many([key for key in store.list_prefix(f"{name}/") if _is_chunk_key(key)])


def _is_chunk_key(key: str) -> bool:
    """Whether a key, or the start of one, could be a chunk's: ``c``, ``c/0/1``, ``0``, ``0.1``."""
    numbers = key.replace("/", ".").split(".")
    return all(number.isascii() and number.isdigit() for number in numbers[numbers[0] == "c" :])


# --- change


_ATTEMPTS = 10


def update_node(
    store: Store,
    path: str,
    zarr_format: Literal[2, 3],
    change: Callable[[NodeMetadata], NodeMetadata],
    repair_fill: object = DEFAULT_FILL,
) -> NodeMetadata:
    """Read a node's metadata again, change it and store it.

    Under the lock of the node's metadata, and only if nobody else changed the documents meanwhile (otherwise
    again from the start): what other handles wrote is not lost, nor, where the store can tell, what other
    processes wrote.

    Parameters
    ----------
    store : Store
        Where the node is.
    path : str
        Normalised path of the node.
    zarr_format : {2, 3}
        Format of the node.
    change : callable
        From the stored metadata to the new; may be called more than once.
    repair_fill : optional
        As for `open_node`.

    Returns
    -------
    ArrayMetadata or GroupMetadata
        What is stored now.

    Raises
    ------
    NodeNotFoundError
        If the node is gone.
    ReadOnlyError
        If the store is for reading only.
    StoreConflictError
        If others changed the node each time that it was tried.
    """
    if store.read_only:
        raise ReadOnlyError(f"cannot change {place(store, path)}: the store is open for reading only")
    with node_lock(store, path):
        for attempt in range(_ATTEMPTS):
            try:
                return _try_update(store, path, zarr_format, change, repair_fill)
            except StoreConflictError:
                if attempt + 1 == _ATTEMPTS:
                    raise
                time.sleep(0.001 * 2**attempt)
    raise AssertionError("unreachable")


def _try_update(
    store: Store,
    path: str,
    zarr_format: Literal[2, 3],
    change: Callable[[NodeMetadata], NodeMetadata],
    repair_fill: object,
) -> NodeMetadata:
    stored = read_stored(store, path, zarr_format, repair_fill)
    new = change(stored.metadata)
    replace_stored(store, path, stored, new)
    return new


class StoredNode(NamedTuple):
    """A node's metadata as they are stored, and the documents that they were read from, by name."""

    metadata: NodeMetadata
    blobs: dict[str, Blob | None]


def read_stored(
    store: Store, path: str, zarr_format: Literal[2, 3], repair_fill: object = DEFAULT_FILL
) -> StoredNode:
    """Read a node's documents in order to replace them: under the node's lock, which the caller holds.

    Raises
    ------
    NodeNotFoundError
        If the node is gone.
    """
    names = (V3_DOCUMENT,) if zarr_format == 3 else V2_DOCUMENTS
    blobs: dict[str, Blob | None] = dict.fromkeys(names)
    for index, blob in store.get_many([(join(path, name), None) for name in names]):
        blobs[names[index]] = blob
    stored = [None if blob is None else bytes(blob) for blob in blobs.values()]
    if zarr_format == 3:
        found = parse_v3(store, path, stored[0], repair_fill=repair_fill)
    else:
        found = parse_v2(store, path, stored)
    if found is None:
        from zarrc.engine.node_search import missing_node_error

        raise missing_node_error(store, path, None, zarr_format)
    return StoredNode(found, blobs)


def replace_stored(store: Store, path: str, stored: StoredNode, new: NodeMetadata) -> None:
    """Store ``new`` in place of what `read_stored` gave: the documents that differ.

    Raises
    ------
    StoreConflictError
        If somebody else replaced a document meanwhile, as far as the store can tell; nothing is changed then.
    """
    old = stored.metadata
    # Written with the new attributes, the old document shows what else changed. The old attributes may be
    # such that they cannot be written: other libraries store bare NaN.
    before = _dump(old.evolve(attributes=new.attributes))
    for name, document in _dump(new).items():
        holds_attributes = name in (V3_DOCUMENT, ".zattrs")
        if before.get(name) != document or (holds_attributes and not _same_json(old, new)):
            replace_document(store, join(path, name), document, stored.blobs[name])


def _same_json(old: NodeMetadata, new: NodeMetadata) -> bool:
    """Whether the attributes are written alike: to Python 1, 1.0 and True are equal."""
    if old.attributes != new.attributes:
        return False
    try:
        return marshal.dumps(dict(old.attributes), 2) == marshal.dumps(dict(new.attributes), 2)
    except ValueError:
        return False


def _dump(metadata: NodeMetadata) -> dict[str, bytes]:
    """Return a node's documents, indented as `zarrc.config` says."""
    return metadata.to_documents(indent=config.get("json_indent"))


def replace_document(store: Store, key: str, document: bytes, old: Blob | None) -> None:
    """Store a document in place of the one that was read."""
    if old is not None and old.version is None:
        store.set(key, document)  # a store without versions
    else:
        store.set_if(key, document, None if old is None else old.version)


# From _thread, as threading has them: to import that takes as long as all that an open needs of the engine.
_locks: weakref.WeakValueDictionary[Hashable, RLock] = weakref.WeakValueDictionary()
_locks_guard = allocate_lock()


def node_lock(store: Store, path: str) -> RLock:
    """Return the lock of a node's metadata in this process, one for all stores on one place."""
    identity = store.identity_of(path)
    with _locks_guard:
        lock = _locks.get(identity)
        if lock is None:
            lock = _locks[identity] = RLock()
        return lock


def _forget_locks() -> None:
    """Start anew in a forked child, where other threads' locks would stay taken for ever."""
    global _locks, _locks_guard
    _locks = weakref.WeakValueDictionary()
    _locks_guard = allocate_lock()


os.register_at_fork(after_in_child=_forget_locks)
