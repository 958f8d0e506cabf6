"""The documents of stored nodes, as consolidated metadata hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from zarrc.engine.node_names import join
from zarrc.engine.nodes import place
from zarrc.errors import MetadataError
from zarrc.metadata.consolidated import Members, documents_of
from zarrc.metadata.json import load_document
from zarrc.node import without_nan
from zarrc.reading import Reading
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.storage.base import Blob, Store

__all__ = ["below", "collect", "is_group", "same_documents", "stored_documents"]


def collect(
    store: Store,
    path: str,
    zarr_format: Literal[2, 3],
    *,
    prefix: str = "",
    known: Mapping[str, Sequence[str]] = MappingProxyType({}),
    strangers: list[str] | None = None,
) -> Members:
    """The documents of all nodes of one format below a group, from the store.

    One listing and one batch of reads for each group.

    Parameters
    ----------
    store : Store
        Where the group is.
    path : str
        The group.
    zarr_format : {2, 3}
        Format of the nodes.
    prefix : str, default ""
        What their paths are to start with in the result.
    known : Mapping, optional
        Names to look for in a group, by its path in the result: stores that cannot list do not show them.
    strangers : list of str, optional
        Takes the paths of what is no node of this format.
    """
    members = Members({}, {})
    pending = [(path, prefix)]
    names = documents_of(zarr_format)
    while pending:
        above, inner = pending.pop()
        children = sorted({*store.list_dir(above).prefixes, *known.get(inner, ())})
        keys = [join(join(above, child), name) for child in children for name in names]
        blobs: list[Blob | None] = [None] * len(keys)
        for index, blob in store.get_many([(key, None) for key in keys]):
            blobs[index] = blob
        for i, child in enumerate(children):
            mine = dict(zip(names, blobs[i * len(names) : (i + 1) * len(names)], strict=True))
            path, name = join(above, child), join(inner, child)
            documents, stamps = _taken(store, name, path, mine)
            if documents:
                members.documents[name] = documents
                members.stamps.update(stamps)
                if is_group(documents):
                    pending.append((path, name))
            elif strangers is not None:
                strangers.append(path)
    return members


def stored_documents(
    store: Store, path: str, inner: str, zarr_format: Literal[2, 3]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents of one node as they are stored now, with their stamps.

    Parameters
    ----------
    store : Store
        Where the node is.
    path, inner : str
        Its path in the store, and relative to the group.
    zarr_format : {2, 3}
        Its format.
    """
    names = documents_of(zarr_format)
    blobs: list[Blob | None] = [None] * len(names)
    for index, blob in store.get_many([(join(path, name), None) for name in names]):
        blobs[index] = blob
    return _taken(store, inner, path, dict(zip(names, blobs, strict=True)))


def _taken(
    store: Store, inner: str, path: str, blobs: Mapping[str, Blob | None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Parse a node's documents; empty if it is no node, or cannot be read."""
    if not any(blobs.get(name) is not None for name in ("zarr.json", ".zarray", ".zgroup")):
        return {}, {}
    documents: dict[str, Any] = {}
    stamps: dict[str, str] = {}
    for name, blob in blobs.items():
        if blob is None or (name == ".zgroup" and ".zarray" in documents):
            continue
        key = join(path, name)
        try:
            documents[name] = _plain(load_document(bytes(blob), Reading(key=key)), name, place(store, path))
        except MetadataError as error:
            warn(f"{place(store, path)} is left out of the consolidated metadata: {error}")
            return {}, {}
        if blob.version is not None and store.below.local_root is not None:
            stamps[join(inner, name)] = blob.version
    return documents, stamps


def _plain(fields: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """A document without the members of its own, and with nothing that JSON cannot say."""
    if name == ".zattrs":
        return without_nan(fields, where)
    fields.pop("consolidated_metadata", None)
    if isinstance(fields.get("attributes"), dict):
        fields["attributes"] = without_nan(fields["attributes"], where)
    return fields


def is_group(documents: Mapping[str, Any]) -> bool:
    """Whether documents are those of a group."""
    if ".zarray" in documents:
        return False
    return ".zgroup" in documents or documents.get("zarr.json", {}).get("node_type") == "group"


def same_documents(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two nodes' documents say the same; None for a node that is not there."""
    return (None if one is None else _bare(one)) == (None if other is None else _bare(other))


def _bare(documents: Mapping[str, Any]) -> dict[str, Any]:
    """Documents without what consolidating adds, and without the empty attributes that need not be said."""
    bare = {}
    for name, fields in documents.items():
        bare[name] = {key: value for key, value in fields.items() if key != "consolidated_metadata"}
        if name == ".zattrs" and not fields:
            del bare[name]
    return bare


def below(path: str, inner: str) -> str:
    """Return the path of what is at ``inner`` below a node, or of the node itself."""
    return join(path, inner) if inner else path
