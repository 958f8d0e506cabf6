"""Nodes of a hierarchy: find, open, create, change and delete arrays and groups, v2 and v3.

A node is where its metadata document is: ``zarr.json`` (v3), ``.zarray`` or ``.zgroup`` (v2). Whether there
is one, and of which format, is decided here and nowhere else.
"""

from __future__ import annotations

import os
import time
import weakref
from _thread import RLock, allocate_lock
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

from zarrc.config import config
from zarrc.dtypes import DEFAULT_FILL
from zarrc.engine.node_names import ancestors, check_new_path, join
from zarrc.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreConflictError,
    StoreError,
    ZarrcError,
)
from zarrc.metadata import v3
from zarrc.metadata.cache import cache_key, cached_node, keep_node
from zarrc.metadata.model import ArrayMetadata, GroupMetadata

if TYPE_CHECKING:
    from zarrc.storage.base import Blob, Store

__all__ = [
    "NodeMetadata",
    "create_node",
    "delete_node",
    "find_node",
    "node_kind",
    "node_lock",
    "open_children",
    "open_node",
    "place",
    "update_node",
    "wrong_kind",
]

NodeMetadata = ArrayMetadata | GroupMetadata
Kind = Literal["array", "group"]

V3_DOCUMENT = "zarr.json"
V2_DOCUMENTS = (".zarray", ".zgroup", ".zattrs")
_MARKERS = (V3_DOCUMENT, ".zarray", ".zgroup")


# --- open


def open_node(
    store: Store,
    path: str,
    *,
    zarr_format: Literal[2, 3] | None = None,
    kind: Kind | None = None,
    strict: bool = False,
    repair_fill: object = DEFAULT_FILL,
) -> NodeMetadata:
    """Read the metadata of the node at ``path``.

    One request if it is a v3 node, a batch of three more if it is not.

    Parameters
    ----------
    store : Store
        Where to look.
    path : str
        Normalised path of the node; ``""`` is the root.
    zarr_format : {2, 3}, optional
        Look for this format only.
    kind : {"array", "group"}, optional
        What the node must be.
    strict : bool, default False
        Refuse documents that bend the specification.
    repair_fill : optional
        Fill value of a v3 array whose document has none, which is an error otherwise.

    Raises
    ------
    NodeNotFoundError
        If there is no node (`ArrayNotFoundError`, `GroupNotFoundError` with ``kind``); the text names the
        nearest node above and similar names.
    MetadataError
        If there is a document, but it is not valid.
    """
    found = find_node(store, path, zarr_format, strict, repair_fill)
    if found is None:
        raise _missing(store, path, kind, zarr_format)
    if kind is not None and kind != node_kind(found):
        error = ArrayNotFoundError if kind == "array" else GroupNotFoundError
        raise error(wrong_kind(store, path, found))
    return found


def _missing(
    store: Store, path: str, kind: Kind | None, zarr_format: Literal[2, 3] | None
) -> NodeNotFoundError:
    from zarrc.engine.node_search import missing_node_error

    return missing_node_error(store, path, kind, zarr_format)


def node_kind(metadata: NodeMetadata) -> Kind:
    """Return what a node is."""
    return "array" if isinstance(metadata, ArrayMetadata) else "group"


def wrong_kind(store: Store, path: str, found: NodeMetadata) -> str:
    """Return what to tell a user who wanted a node of the other kind."""
    if isinstance(found, ArrayMetadata):
        return f"an array, not a group, is stored at {place(store, path)}; open it with open_array"
    return f"a group, not an array, is stored at {place(store, path)}; open it with open_group"


def find_node(
    store: Store,
    path: str,
    zarr_format: Literal[2, 3] | None = None,
    strict: bool = False,
    repair_fill: object = DEFAULT_FILL,
) -> NodeMetadata | None:
    """Read the node at ``path`` as `open_node` does; None if there is none."""
    if zarr_format in (None, 3):
        key = join(path, V3_DOCUMENT)
        document = store.get(key)
        if document is not None:
            if zarr_format is None:
                _warn_of_second_format(store, path)
            return _parse_v3(store, path, bytes(document), strict, repair_fill)
    if zarr_format in (None, 2):
        return _parse_v2(store, path, _v2_documents(store, path), strict)
    return None


def _v2_documents(store: Store, path: str) -> list[bytes | None]:
    """Read the documents of ``V2_DOCUMENTS``, in one batch; on local disks without those that say nothing."""
    if store.local_root is None:
        return _get_all(store, [join(path, name) for name in V2_DOCUMENTS])
    array, group, attributes = (join(path, name) for name in V2_DOCUMENTS)
    blobs = [store.get(array), None, None]
    if blobs[0] is None:
        blobs[1] = store.get(group)
    if blobs[0] is not None or blobs[1] is not None:
        blobs[2] = store.get(attributes)
    return [None if blob is None else bytes(blob) for blob in blobs]


def _parse_v3(
    store: Store,
    path: str,
    document: bytes | None,
    strict: bool = False,
    repair_fill: object = DEFAULT_FILL,
) -> NodeMetadata | None:
    """Read a v3 node from its document."""
    if document is None:
        return None
    key = cache_key(3, strict, document)
    # What is kept has a fill value of its own, and needs no other.
    found = cached_node(key)
    if found is not None:
        return found
    where = join(path, V3_DOCUMENT)
    try:
        found = v3.parse_node(document, strict=strict, where=where, repair_fill=repair_fill)
    except MetadataError as error:
        _locate(error, store, path)
        raise
    if repair_fill is DEFAULT_FILL:
        keep_node(key, found)
    return found


def _parse_v2(
    store: Store, path: str, documents: Sequence[bytes | None], strict: bool = False
) -> NodeMetadata | None:
    """Read a v2 node from its three documents, as listed in ``V2_DOCUMENTS``."""
    array, group, attributes = documents
    if array is None and group is None:
        return None
    key = cache_key(2, strict, array, group if array is None else None, attributes)
    found = cached_node(key)
    if found is not None:
        return found
    from zarrc.metadata import v2

    try:
        if array is not None:
            found = v2.parse_array(array, attributes, strict=strict, where=join(path, ".zarray"))
        elif group is not None:
            found = v2.parse_group(group, attributes, strict=strict, where=join(path, ".zgroup"))
    except MetadataError as error:
        _locate(error, store, path)
        raise
    if found is not None:
        keep_node(key, found)
    return found


def _locate(error: MetadataError, store: Store, path: str) -> None:
    """Add to an error in a document where it is; its key is the key inside the store only."""
    error.add_note(f"at {place(store, path)}")


def _get_all(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    """Read several documents in one batch."""
    documents: list[bytes | None] = [None] * len(keys)
    for index, blob in store.get_many([(key, None) for key in keys]):
        documents[index] = None if blob is None else bytes(blob)
    return documents


def _warn_of_second_format(store: Store, path: str) -> None:
    """Warn if a v3 node has v2 documents too; on local disks only, elsewhere it costs a request."""
    if store.local_root is None:
        return
    for name in (".zarray", ".zgroup"):
        if store.stat(join(path, name)) is not None:
            from zarrc.warning import warn

            warn(
                f"{place(store, path)} has both {V3_DOCUMENT} and {name}: opened as Zarr v3; pass "
                "zarr_format=2 for the other"
            )
            return


def place(store: Store, path: str) -> str:
    """Return where something is, as one line for a message."""
    return f"{store}/{path}" if path else str(store)


# --- create


def create_node(store: Store, path: str, metadata: NodeMetadata, *, overwrite: bool = False) -> None:
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

    Raises
    ------
    ContainsArrayError, ContainsGroupError
        If there is a node already, or if a parent is an array.
    MetadataError
        If a part of the path cannot be a node's name, or if a parent is of another Zarr format.
    ReadOnlyError
        If the store is for reading only.
    """
    check_new_path(path)
    if store.read_only:
        raise ReadOnlyError(
            f"cannot create a node at {place(store, path)}: the store is open for reading only"
        )
    with node_lock(store, path), _creating(store, path):
        present = _present_kinds(store, [*ancestors(path), path])
        missing = _check_parents(store, ancestors(path), present, metadata.zarr_format)
        if overwrite:
            delete_node(store, path)
        elif present[path]:
            raise _contains(store, path, next(iter(present[path].values())))
        for parent in missing:
            _put_new(
                store, parent, GroupMetadata(zarr_format=metadata.zarr_format, attributes={}), may_exist=True
            )
        _put_new(store, path, metadata, may_exist=False)


@contextmanager
def _creating(store: Store, path: str) -> Iterator[None]:
    """Say in a store's error what it was asked for: its key is the key inside the store only."""
    try:
        yield
    except StoreError as error:
        error.message = f"cannot create a node at {place(store, path)}: {error.message}"
        raise


def _present_kinds(store: Store, paths: Sequence[str]) -> dict[str, dict[int, str]]:
    """Return for each path what is there: Zarr format -> "array", "group" or "node" (unreadable)."""
    keys = [join(path, name) for path in paths for name in _MARKERS]
    documents = iter(_get_all(store, keys))
    present: dict[str, dict[int, str]] = {}
    for path in paths:
        v3_document, v2_array, v2_group = next(documents), next(documents), next(documents)
        kinds = {} if v3_document is None else {3: _v3_kind(v3_document)}
        if v2_array is not None or v2_group is not None:
            kinds[2] = "group" if v2_array is None else "array"
        present[path] = kinds
    return present


def _v3_kind(document: bytes) -> str:
    try:
        return "array" if isinstance(v3.parse_node(document, where=V3_DOCUMENT), ArrayMetadata) else "group"
    except MetadataError:
        return "node"


def _check_parents(
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


def _contains(store: Store, path: str, kind: str) -> ContainsNodeError:
    error = {"array": ContainsArrayError, "group": ContainsGroupError}.get(kind, ContainsNodeError)
    article = "an array" if kind == "array" else f"a {kind}"
    return error(
        f"{article} is stored at {place(store, path)} already; overwrite=True or mode='w' replaces it"
    )


def _put_new(store: Store, path: str, metadata: NodeMetadata, *, may_exist: bool) -> None:
    """Store a node's documents; the one that makes it a node only if it is not there."""
    documents = dump(metadata)
    marker = next(name for name in documents if name in _MARKERS)
    try:
        store.set_if(join(path, marker), documents[marker], None)
    except StoreConflictError:
        if may_exist:
            return
        raise _contains(store, path, "array" if isinstance(metadata, ArrayMetadata) else "group") from None
    for name in documents.keys() - {marker}:
        store.set(join(path, name), documents[name])


# --- delete


def delete_node(store: Store, path: str) -> None:
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

    Raises
    ------
    ReadOnlyError
        If the store is for reading only.
    """
    if store.read_only:
        raise ReadOnlyError(f"cannot delete {place(store, path)}: the store is open for reading only")
    was_node = path == "" and any(store.stat(name) is not None for name in _MARKERS)
    store.delete_many([join(path, name) for name in (*_MARKERS, ".zattrs", ".zmetadata")])
    if path:
        store.delete_prefix(f"{path}/")
    else:
        _delete_at_root(store, was_node)


def _delete_at_root(store: Store, was_node: bool) -> None:
    """Delete chunks and nodes from the root of a store."""
    listing = store.list_dir("")
    store.delete_many([name for name in listing.keys if _is_chunk_key(name)])
    documents = iter(
        _get_all(store, [join(name, marker) for name in listing.prefixes for marker in _MARKERS])
    )
    for name in listing.prefixes:
        is_node = [next(documents) is not None for _ in _MARKERS]
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
    names = (V3_DOCUMENT,) if zarr_format == 3 else V2_DOCUMENTS
    blobs: dict[str, Blob | None] = dict.fromkeys(names)
    for index, blob in store.get_many([(join(path, name), None) for name in names]):
        blobs[names[index]] = blob
    stored = [None if blob is None else bytes(blob) for blob in blobs.values()]
    if zarr_format == 3:
        old = _parse_v3(store, path, stored[0], repair_fill=repair_fill)
    else:
        old = _parse_v2(store, path, stored)
    if old is None:
        raise _missing(store, path, None, zarr_format)
    new = change(old)
    # Written with the new attributes, the old document shows what else changed. The old attributes may be
    # such that they cannot be written: other libraries store bare NaN.
    before = dump(old.evolve(attributes=new.attributes))
    for name, document in dump(new).items():
        holds_attributes = name in (V3_DOCUMENT, ".zattrs")
        if before.get(name) != document or (holds_attributes and old.attributes != new.attributes):
            _replace(store, join(path, name), document, blobs[name])
    return new


def dump(metadata: NodeMetadata) -> dict[str, bytes]:
    """Return a node's documents, indented as `zarrc.config` says."""
    return metadata.to_documents(indent=config.get("json_indent"))


def _replace(store: Store, key: str, document: bytes, old: Blob | None) -> None:
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


# --- list


def open_children(
    store: Store, path: str, zarr_format: Literal[2, 3]
) -> Iterator[tuple[str, NodeMetadata | ZarrcError]]:
    """Read the metadata of the nodes right below a group, in order of their names.

    One listing and one batch of reads; a second batch for names at which there is no node of the group's own
    format.

    Parameters
    ----------
    store : Store
        Where the group is.
    path : str
        Normalised path of the group.
    zarr_format : {2, 3}
        Format of the group, which is looked for first.

    Yields
    ------
    name : str
    metadata : ArrayMetadata, GroupMetadata or ZarrcError
        The error, if the node cannot be read; it does not hide the others.
    """
    names = store.list_dir(path).prefixes
    first, second = (_read_v3, _read_v2) if zarr_format == 3 else (_read_v2, _read_v3)
    found = first(store, path, names)
    found.update(second(store, path, [name for name in names if name not in found]))
    for name in names:
        if name in found:
            yield name, found[name]


def _read_v3(store: Store, path: str, names: Sequence[str]) -> dict[str, NodeMetadata | ZarrcError]:
    found: dict[str, NodeMetadata | ZarrcError] = {}
    for name, (document,) in _read_documents(store, path, names, (V3_DOCUMENT,), found):
        if document is not None:
            _try(
                found,
                name,
                partial(_parse_v3, store, join(path, name), document),
            )
    return found


def _read_v2(store: Store, path: str, names: Sequence[str]) -> dict[str, NodeMetadata | ZarrcError]:
    found: dict[str, NodeMetadata | ZarrcError] = {}
    for name, documents in _read_documents(store, path, names, V2_DOCUMENTS, found):
        if documents[0] is not None or documents[1] is not None:
            _try(
                found,
                name,
                partial(_parse_v2, store, join(path, name), documents),
            )
    return found


def _try(
    found: dict[str, NodeMetadata | ZarrcError], name: str, parse: Callable[[], NodeMetadata | None]
) -> None:
    """Put a node, or the reason why it cannot be read, in its place."""
    try:
        node = parse()
    except ZarrcError as error:
        found[name] = error
    else:
        if node is not None:
            found[name] = node


def _read_documents(
    store: Store,
    path: str,
    names: Sequence[str],
    documents: Sequence[str],
    failed: dict[str, NodeMetadata | ZarrcError],
) -> Iterator[tuple[str, Sequence[bytes | None]]]:
    """Read the same documents of many nodes in one batch; one by one if a request of the batch fails."""
    keys = [join(join(path, name), document) for name in names for document in documents]
    width = len(documents)
    try:
        contents = _get_all(store, keys)
    except (StoreError, OSError):
        for i, name in enumerate(names):
            try:
                yield name, _get_all(store, keys[i * width : (i + 1) * width])
            except (StoreError, OSError) as error:
                failed[name] = error if isinstance(error, ZarrcError) else StoreError(str(error), key=name)
        return
    for i, name in enumerate(names):
        yield name, contents[i * width : (i + 1) * width]
