"""Create groups, and show what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc.creation.keywords import ZarrFormat, default_format, parse_format, without_legacy
from zarrc.creation.opening import GROUP_KEYWORDS, open_group
from zarrc.creation.places import Place
from zarrc.engine.node_changes import create_node
from zarrc.group import Group
from zarrc.metadata.build import build_group
from zarrc.new_array import check_keywords

if TYPE_CHECKING:
    from zarrc.tree import Tree

__all__ = ["create_group", "group", "tree"]


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
    **legacy: Any,
) -> Group:
    """Open a group, or create it if it is not there; arguments as for `create_group`.

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
