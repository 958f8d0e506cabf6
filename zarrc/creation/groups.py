"""Create groups, and show what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc.creation.keywords import ZarrFormat, default_format, parse_format, without_legacy
from zarrc.creation.opening import GROUP_KEYWORDS, open_group
from zarrc.creation.places import Place, flush_named
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.node_search import node_exists
from zarrc.errors import ReadOnlyError
from zarrc.group import Group
from zarrc.metadata.build import build_group
from zarrc.metadata.consolidated import check_v2_key
from zarrc.new_array import check_keywords
from zarrc.node import Node

if TYPE_CHECKING:
    from zarrc.consolidating import UseConsolidated
    from zarrc.tree import Tree

__all__ = ["consolidate_metadata", "create_group", "delete", "group", "open_consolidated", "tree"]


def create_group(
    store: Any = None,
    *,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Create a group.

    Parameters
    ----------
    store : store-like, optional
        Store, path, URL or mapping; by default ``path`` is the place, and without it a new `MemoryStore`.
    path : str, optional
        Path inside the store; groups on the way are created too.
    zarr_format : {2, 3}, optional
        By default ``zarrc.config``'s ``default_zarr_format``, which is 3.
    overwrite : bool, default False
        Delete what is there first, with everything below it.
    attributes : Mapping, optional
        The user's attributes.
    storage_options : Mapping, optional
        For the file system of a URL.

    Raises
    ------
    ContainsNodeError
        If there is an array or a group already, or if a parent is an array.
    AttributesError
        If an attribute cannot be stored as JSON.
    """
    wanted = default_format(parse_format(zarr_format, None))
    metadata = build_group(zarr_format=wanted, attributes=attributes)
    where = Place(store, path, "w" if overwrite else "a", storage_options)
    create_node(where.store, where.path, metadata, overwrite=overwrite)
    return Group(where.store, where.path, metadata)


def group(
    store: Any = None,
    *,
    overwrite: bool = False,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    attributes: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    use_consolidated: UseConsolidated = None,
    consolidate: bool = True,
    **legacy: Any,
) -> Group:
    """Open a group, or create it if it is not there; arguments as for `create_group` and `open_group`.

    Raises
    ------
    ContainsArrayError
        If there is an array.
    """
    check_keywords("group", without_legacy("group", legacy), GROUP_KEYWORDS)
    return open_group(
        store,
        mode="w" if overwrite else "a",
        path=path,
        zarr_format=zarr_format,
        attributes=attributes,
        storage_options=storage_options,
        use_consolidated=use_consolidated,
        consolidate=consolidate,
    )


def tree(
    grp: Group | Any,
    expand: bool | None = None,
    level: int | None = None,
    *,
    max_nodes: int = 500,
    plain: bool = False,
) -> Tree:
    """Return the hierarchy below a group, to be shown as text or HTML; arguments as for `Group.tree`.

    Parameters
    ----------
    grp : Group or store-like
        A group, or where there is one.
    """
    root = grp if isinstance(grp, Group) else open_group(grp, mode="r")
    return root.tree(expand, level, max_nodes=max_nodes, plain=plain)


def consolidate_metadata(
    store: Any,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    *,
    metadata_key: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Group:
    """Write the metadata of all nodes below a group into one document, that opens them in one request.

    In format 3 it is the group's own ``zarr.json``, in format 2 a ``.zmetadata`` beside its ``.zgroup``. What
    cannot be read is left out with a `ZarrcWarning`.

    Parameters
    ----------
    store : Group or store-like
        The group, or where it is.
    path : str, optional
        Path inside the store; of a `Group`, below it.
    zarr_format : {2, 3}, optional
        Take the group of this format only.
    metadata_key : str, optional
        Format 2: another name than ``.zmetadata``.
    storage_options : Mapping, optional
        For the file system of a URL.

    Returns
    -------
    Group
        The group, with its consolidated metadata: what is changed through it and its members is written there
        too.

    Raises
    ------
    GroupNotFoundError
        If no group is there.
    ReadOnlyError
        If the store is for reading only.

    Notes
    -----
    Costs one listing and one batch of reads for each group.
    """
    from zarrc.consolidating import consolidate

    found = _group_at(store, path, zarr_format, storage_options)
    found._check_writable("consolidate metadata")
    if metadata_key is not None and found.metadata.zarr_format == 3:
        raise TypeError("metadata_key= names a document of format 2; this group is of format 3")
    key = "zarr.json"
    if found.metadata.zarr_format == 2:
        key = ".zmetadata" if metadata_key is None else check_v2_key(metadata_key)
    made = consolidate(found.store, found.path, found.metadata.zarr_format, key)
    again = open_group(found.store, mode="r+", path=found.path, use_consolidated=False)
    again._consolidated = made
    return again


def open_consolidated(
    store: Any,
    *,
    mode: Any = None,
    path: str | None = None,
    zarr_format: ZarrFormat | None = None,
    metadata_key: str | None = None,
    use_consolidated: Any = True,
    consolidate: bool = True,
    storage_options: Mapping[str, Any] | None = None,
    **legacy: Any,
) -> Group:
    """Open a group that has consolidated metadata; they must be there.

    Parameters
    ----------
    store, path, zarr_format, consolidate, storage_options
        As for `open_group`.
    mode : {"r", "r+", "a"}, optional
        By default "r+" where the store can be written to, else "r"; nothing is created.
    metadata_key : str, optional
        Format 2: another name than ``.zmetadata``.
    use_consolidated : True or "check"
        As for `open_group`.

    Raises
    ------
    GroupNotFoundError
        If no group is there.
    MetadataError
        If it has no consolidated metadata (a ValueError too).
    """
    if use_consolidated is not True and use_consolidated != "check":
        raise TypeError(
            f"open_consolidated() takes use_consolidated=True or 'check', got {use_consolidated!r}"
        )
    if mode in ("w", "w-"):
        raise ValueError(f"open_consolidated() opens what is there, mode={mode!r} creates")
    wanted: dict[str, Any] = {
        "path": path,
        "zarr_format": zarr_format,
        "use_consolidated": metadata_key or True,
        "consolidate": consolidate,
        "storage_options": storage_options,
        **legacy,
    }
    try:
        found = open_group(store, mode="r" if mode == "r" else "r+", **wanted)
    except ReadOnlyError:
        if mode is not None:
            raise
        found = open_group(store, mode="r", **wanted)
    if use_consolidated == "check" and found._consolidated is not None:
        found._consolidated.compare()
    return found


def delete(
    store: Any,
    path: str | None = None,
    *,
    missing_ok: bool = False,
    storage_options: Mapping[str, Any] | None = None,
) -> None:
    """Delete an array or a group, with everything below it.

    Parameters
    ----------
    store : Array, Group or store-like
        The node, or where it is.
    path : str, optional
        Path inside the store; of a `Group`, of a node below it.
    missing_ok : bool, default False
        Whether it is fine if there is none; then what is there is left as it is.
    storage_options : Mapping, optional
        For the file system of a URL.

    Raises
    ------
    NodeNotFoundError
        If nothing is there.
    ReadOnlyError
        If it was opened for reading only.
    StoreError
        If the store fails; the text says whether the node is still there.

    Notes
    -----
    Its metadata go first: after an interruption there is no node, never one with some of its chunks gone.
    The root of a store may be any directory: there only metadata, chunks and nodes are deleted.
    """
    if isinstance(store, Node):
        if isinstance(store, Group) and path:
            store.delete(path, missing_ok=missing_ok)
            return
        node = store
        node._check_writable("delete")
        where, at, link = node.store, node.path, node._consolidated
        if link is not None and link.path == at:
            link = None
    else:
        place = Place(store, path, "r+", storage_options)
        where, at, link = place.store, place.path, None
        if not node_exists(where, at):
            if missing_ok:
                return
            raise place.missing(None, None)
    delete_node(where, at)
    if link is not None:
        link.changed((), (at,))
    if not isinstance(store, Node):
        flush_named(store, where)


def _group_at(
    store: Any, path: str | None, zarr_format: ZarrFormat | None, storage_options: Mapping[str, Any] | None
) -> Group:
    if isinstance(store, Group):
        return store.get_group(path) if path else store
    return open_group(
        store,
        mode="r+",
        path=path,
        zarr_format=zarr_format,
        use_consolidated=False,
        storage_options=storage_options,
    )
