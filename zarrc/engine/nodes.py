"""Nodes of a hierarchy: find, open and list arrays and groups, v2 and v3.

A node is where its metadata document is: ``zarr.json`` (v3), ``.zarray`` or ``.zgroup`` (v2). Which these
are, and how they are read, is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from zarrc.dtypes import DEFAULT_FILL
from zarrc.engine.node_names import join
from zarrc.engine.unsettled import MARKER, finish, get_and_settle, leaves_markers, settle
from zarrc.errors import (
    ArrayNotFoundError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    StoreDeniedError,
    StoreError,
    ZarrcError,
)
from zarrc.metadata import v3
from zarrc.metadata.cache import cache_key, cached_node, keep_node
from zarrc.metadata.model import ArrayMetadata, GroupMetadata

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = [
    "MARKERS",
    "V2_DOCUMENTS",
    "V3_DOCUMENT",
    "Kind",
    "NodeMetadata",
    "find_node",
    "get_documents",
    "node_kind",
    "open_children",
    "open_node",
    "parse_v2",
    "parse_v3",
    "place",
    "wrong_kind",
]

NodeMetadata = ArrayMetadata | GroupMetadata
Kind = Literal["array", "group"]

V3_DOCUMENT = "zarr.json"
V2_DOCUMENTS = (".zarray", ".zgroup", ".zattrs")
MARKERS = (V3_DOCUMENT, ".zarray", ".zgroup")


# --- open


def open_node(
    store: Store,
    path: str,
    *,
    zarr_format: Literal[2, 3] | None = None,
    kind: Kind | None = None,
    strict: bool = False,
    repair_fill: object = DEFAULT_FILL,
    writable: bool = False,
) -> NodeMetadata:
    """Read the metadata of the node at ``path``.

    One request if it is a v3 node, a batch of three more if it is not. To write to it, one more in the first
    batch, where a transaction may be left at the node (`leaves_markers`).

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
    writable : bool, default False
        Whether it is opened for writing: an interrupted transaction is resolved first.

    Raises
    ------
    NodeNotFoundError
        If there is no node (`ArrayNotFoundError`, `GroupNotFoundError` with ``kind``); the text names the
        nearest node above and similar names.
    MetadataError
        If there is a document, but it is not valid.
    """
    found = find_node(store, path, zarr_format, strict, repair_fill, writable=writable)
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
    *,
    writable: bool = False,
) -> NodeMetadata | None:
    """Read the node at ``path`` as `open_node` does; None if there is none."""
    if writable:
        if store.local_root is not None:
            # One system call, of an open that takes about eight.
            if store.stat(join(path, MARKER)) is not None:
                settle(store, path)
        elif leaves_markers(store):
            return _find_far(store, path, zarr_format, strict, repair_fill)
    if zarr_format in (None, 3):
        key = join(path, V3_DOCUMENT)
        document = store.get(key)
        if document is not None:
            if zarr_format is None:
                _warn_of_second_format(store, path)
            return parse_v3(store, path, bytes(document), strict, repair_fill)
    if zarr_format in (None, 2):
        return parse_v2(store, path, _v2_documents(store, path), strict)
    return None


def _find_far(
    store: Store, path: str, zarr_format: Literal[2, 3] | None, strict: bool, repair_fill: object
) -> NodeMetadata | None:
    """Read a node that is to be written to: its marker comes with the first documents."""
    if zarr_format == 2:
        blobs = get_and_settle(store, [path], [join(path, name) for name in V2_DOCUMENTS])
        return parse_v2(store, path, [None if blob is None else bytes(blob) for blob in blobs], strict)
    (document,) = get_and_settle(store, [path], [join(path, V3_DOCUMENT)])
    if document is not None:
        return parse_v3(store, path, bytes(document), strict, repair_fill)
    return None if zarr_format == 3 else parse_v2(store, path, _v2_documents(store, path), strict)


def _v2_documents(store: Store, path: str) -> list[bytes | None]:
    """Read the documents of ``V2_DOCUMENTS``, in one batch; on local disks without those that say nothing."""
    if store.local_root is None:
        return get_documents(store, [join(path, name) for name in V2_DOCUMENTS])
    array, group, attributes = (join(path, name) for name in V2_DOCUMENTS)
    blobs = [store.get(array), None, None]
    if blobs[0] is None:
        blobs[1] = store.get(group)
    if blobs[0] is not None or blobs[1] is not None:
        blobs[2] = store.get(attributes)
    return [None if blob is None else bytes(blob) for blob in blobs]


def parse_v3(
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


def parse_v2(
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


def get_documents(store: Store, keys: Sequence[str]) -> list[bytes | None]:
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


# --- list


def open_children(
    store: Store,
    path: str,
    zarr_format: Literal[2, 3],
    known: Callable[[str], NodeMetadata | None] | None = None,
    *,
    writable: bool = False,
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
    known : callable, optional
        Gives the metadata of a name that need not be read, or None.
    writable : bool, default False
        Whether they are opened for writing, as for `open_node`.

    Yields
    ------
    name : str
    metadata : ArrayMetadata, GroupMetadata or ZarrcError
        The error, if the node cannot be read; it does not hide the others.
    """
    names = store.list_dir(path).prefixes
    first, second = (_read_v3, _read_v2) if zarr_format == 3 else (_read_v2, _read_v3)
    found: dict[str, NodeMetadata | ZarrcError] = {}
    if known is not None:
        found.update((name, one) for name in names if (one := known(name)) is not None)
    if writable and leaves_markers(store):
        _settle_children(store, path, [name for name in names if name not in found], found)
    for read in (first, second):
        found.update(read(store, path, [name for name in names if name not in found]))
    for name in names:
        if name in found:
            yield name, found[name]


def _settle_children(
    store: Store, path: str, names: Sequence[str], failed: dict[str, NodeMetadata | ZarrcError]
) -> None:
    """Resolve interrupted transactions at many nodes: one batch of looks for markers."""
    paths = [join(path, name) for name in names]
    keys = [join(one, MARKER) for one in paths]
    try:
        if store.local_root is not None:
            marked = [store.stat(key) is not None for key in keys]
        else:
            marked = [document is not None for document in get_documents(store, keys)]
    except StoreDeniedError:
        return  # as some servers say of what is not there
    for name, one, is_marked in zip(names, paths, marked, strict=True):
        if is_marked:
            try:
                finish(store, one)
            except ZarrcError as error:
                failed[name] = error


def _read_v3(store: Store, path: str, names: Sequence[str]) -> dict[str, NodeMetadata | ZarrcError]:
    found: dict[str, NodeMetadata | ZarrcError] = {}
    for name, (document,) in _read_documents(store, path, names, (V3_DOCUMENT,), found):
        if document is not None:
            _try(
                found,
                name,
                partial(parse_v3, store, join(path, name), document),
            )
    return found


def _read_v2(store: Store, path: str, names: Sequence[str]) -> dict[str, NodeMetadata | ZarrcError]:
    found: dict[str, NodeMetadata | ZarrcError] = {}
    for name, documents in _read_documents(store, path, names, V2_DOCUMENTS, found):
        if documents[0] is not None or documents[1] is not None:
            _try(
                found,
                name,
                partial(parse_v2, store, join(path, name), documents),
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
        contents = get_documents(store, keys)
    except (StoreError, OSError):
        for i, name in enumerate(names):
            try:
                yield name, get_documents(store, keys[i * width : (i + 1) * width])
            except (StoreError, OSError) as error:
                failed[name] = error if isinstance(error, ZarrcError) else StoreError(str(error), key=name)
        return
    for i, name in enumerate(names):
        yield name, contents[i * width : (i + 1) * width]
