"""From what a user says about several new nodes to the stored nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from zarrc import new_array
from zarrc.engine.node_changes import (
    check_parents,
    contains_error,
    delete_node,
    present_kinds,
    put_new,
    refuse_left_chunks,
)
from zarrc.engine.node_names import ancestors, check_new_path, join, normalize_path
from zarrc.errors import MetadataError, ReadOnlyError
from zarrc.group_members import GroupMembers
from zarrc.metadata.consolidated import member_metadata
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.origins import refuse_inside, refuse_self
from zarrc.reading import show

if TYPE_CHECKING:
    from zarrc.engine.nodes import NodeMetadata
    from zarrc.group import Group
    from zarrc.storage.base import Store

__all__ = ["check_in_turn", "check_replaced", "create_nodes", "sources_of"]


def create_nodes(
    store: Store,
    nodes: Mapping[str, Any],
    zarr_format: Literal[2, 3] | None,
    *,
    overwrite: bool,
    root: str | None = None,
) -> list[tuple[str, NodeMetadata]]:
    """Create nodes by their paths in the store; those that were created, parents first.

    Everything is looked at before anything is stored. Deeper nodes are stored after those above them, so that
    what is there after an interruption is a hierarchy.
    """
    wanted = {path: _metadata(path, one) for path, one in nodes.items()}
    formats = {one.zarr_format for one in wanted.values()} | ({zarr_format} if zarr_format else set())
    if len(formats) > 1:
        raise MetadataError("create_hierarchy() creates nodes of one Zarr format; these are of both")
    if not wanted:
        return []
    for path in wanted:
        check_new_path(path)
        for one in ancestors(path):
            if isinstance(wanted.get(one), ArrayMetadata):
                raise MetadataError(f"{path!r} cannot be created below {one!r}, which is to be an array")
    least = _depth(root or "")
    above = {one for path in wanted for one in ancestors(path)}
    parents = {one for one in above if one not in wanted and _depth(one) >= least}
    (only,) = formats
    order = sorted({*wanted, *parents}, key=lambda path: (_depth(path), path))
    return _create(store, order, wanted, only, overwrite=overwrite)


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _create(
    store: Store,
    order: list[str],
    wanted: Mapping[str, NodeMetadata],
    zarr_format: Literal[2, 3],
    *,
    overwrite: bool,
) -> list[tuple[str, NodeMetadata]]:
    if store.read_only:
        raise ReadOnlyError(f"cannot create nodes in {store}: the store is open for reading only")
    outside = [one for one in ancestors(order[0]) if one not in order]
    present = present_kinds(store, [*outside, *order])
    check_parents(store, [*outside, *(one for one in order if one not in wanted)], present, zarr_format)
    for path in wanted:
        if present[path] and not overwrite:
            raise contains_error(store, path, next(iter(present[path].values())))
    for path, one in wanted.items():
        if not present[path]:
            refuse_left_chunks(store, path, one)
    replaced = [path for path in wanted if present[path]]
    for path in replaced:
        delete_node(store, path)
    made: list[tuple[str, NodeMetadata]] = []
    for path in [*outside, *order]:
        metadata = wanted.get(path)
        if metadata is None:
            if present[path] and not any(one in replaced for one in ancestors(path)):
                continue
            metadata = GroupMetadata(zarr_format=zarr_format, attributes={})
        put_new(store, path, metadata, may_exist=path not in wanted)
        if path in order:
            made.append((path, metadata))
    return made


def _metadata(path: str, given: Any) -> NodeMetadata:
    if isinstance(given, (ArrayMetadata, GroupMetadata)):
        return given
    if isinstance(given, Mapping):
        return member_metadata({"zarr.json": given}, path or "/")
    raise TypeError(f"the metadata of {path!r} must be metadata or a zarr.json document, got {show(given)}")


# --- data


def sources_of(
    members: Mapping[str, Any], caller: str, zarr_format: Literal[2, 3] | None = None
) -> dict[str, Any]:
    """The data of a tree: what has a shape and a data type, by name, stored groups, and dicts of these.

    All are looked at, so that nothing is stored, and nothing deleted, if one cannot be an array or has no
    place beside the others.
    """
    found: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for name, data in members.items():
        path = normalize_path(name)
        if not path:
            raise ValueError(f"{caller}() needs a name for each member, got {name!r}")
        check_new_path(path)
        _check_beside(paths, path, caller)
        if isinstance(data, GroupMembers):
            found[name], paths[path] = data, "group"
            continue
        if isinstance(data, Mapping):
            found[name], paths[path] = sources_of(data, caller, zarr_format), "group"
            continue
        source = new_array.as_source(data)
        new_array.check_source(source, caller, zarr_format)
        found[name], paths[path] = source, "array"
    return found


def _check_beside(paths: Mapping[str, str], path: str, caller: str) -> None:
    """Refuse a member that takes the place of one before it, or that is below an array."""
    if path in paths or any(one.startswith(f"{path}/") for one in paths):
        raise ValueError(f"{caller}() got {path!r} twice, or after what is below it")
    for one in ancestors(path):
        if paths.get(one) == "array":
            raise ValueError(f"{caller}() cannot store {path!r} below {one!r}, which is to be an array")


def check_replaced(store: Store, path: str, sources: Mapping[str, Any]) -> None:
    """Look at everything that is to be stored in place of a node, before that is deleted.

    Raises
    ------
    ValueError
        If it is, holds or lies in one of the sources.
    ZarrcError
        If a group among them has members that cannot be copied.
    """
    for source in sources.values():
        if isinstance(source, Mapping) and not isinstance(source, GroupMembers):
            check_replaced(store, path, source)
            continue
        refuse_self(store, path, source)
        if isinstance(source, GroupMembers):
            from zarrc.tools.hierarchies import check_copy

            refuse_inside(store, path, source)
            check_copy(cast("Group", source))


def check_in_turn(store: Store, path: str, sources: Mapping[str, Any]) -> None:
    """Refuse members that are stored one after the other where one replaces what a later one is made of."""
    targets: list[str] = []
    for name, source in sources.items():
        targets.append(join(path, normalize_path(name)))
        for one in _leaves(source):
            for target in targets:
                refuse_self(store, target, one)
            if isinstance(one, GroupMembers):
                refuse_inside(store, targets[-1], one)


def _leaves(source: Any) -> Iterator[Any]:
    # A group is a mapping too.
    if isinstance(source, Mapping) and not isinstance(source, GroupMembers):
        for one in source.values():
            yield from _leaves(one)
    elif not isinstance(source, np.ndarray):
        yield source
