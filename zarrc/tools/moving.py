"""Move and rename arrays and groups."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from zarrc.array import Array
from zarrc.creation.places import Place
from zarrc.engine.node_changes import check_parents, contains_error, delete_node, present_kinds, put_new
from zarrc.engine.node_names import ancestors, check_new_path, join, normalize_path
from zarrc.engine.node_search import node_exists
from zarrc.engine.nodes import open_node, place
from zarrc.errors import MemberNotFoundError, ReadOnlyError, StoreError, ZarrcError
from zarrc.group import Group
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.tools.raw_objects import copy_below
from zarrc.tools.renaming import directory_of, flush_names, is_renamable, rename_directory

if TYPE_CHECKING:
    from zarrc.consolidated import Consolidated
    from zarrc.engine.nodes import NodeMetadata
    from zarrc.group_members import GroupMembers
    from zarrc.storage.base import Store

__all__ = ["move", "move_member", "rename"]

IfExists = Literal["raise", "replace", "skip"]
_CHOICES: Final = ("raise", "replace", "skip")


class _Spot(NamedTuple):
    """A path in a store, and the consolidated metadata that tell of it."""

    store: Store
    path: str
    link: Consolidated | None

    def __str__(self) -> str:
        return place(self.store, self.path)


def move(source: Any, dest: Any, name: str | None = None, *, if_exists: IfExists = "raise") -> Array | Group:
    """Move an array or a group, with everything in it, to another place.

    Parameters
    ----------
    source : Array, Group or store-like
        What to move.
    dest : Group or store-like
        The group, or the place, to move it to. Groups on the way are created.
    name : str, optional
        Name, or path, inside ``dest``; in a `Group` by default the source's name.
    if_exists : {"raise", "replace", "skip"}, default "raise"
        What to do if there is a node already: an error; delete it; nothing.

    Returns
    -------
    Array or Group
        The node at its new place; with "skip", what is there. The old handles are of nothing now.

    Raises
    ------
    ContainsNodeError
        If there is a node at the new place.
    MetadataError
        If the groups there are of another Zarr format: a copy can change it.
    ValueError
        If it would be moved into itself.
    StoreError
        If a store fails; the text says whether the node is whole at its old place or at its new one.

    Notes
    -----
    Within a local file system it is one rename. Elsewhere all objects are copied, the node's own metadata
    last, and then the old ones are deleted, the node's own metadata first: at each moment it is whole at one
    of the two places.
    """
    spot = _spot_of(source)
    if isinstance(dest, Group):
        dest._check_writable("move something there")
        inner = normalize_path(spot.path.rpartition("/")[2] if name is None else name)
        if not inner:
            raise ValueError("move() needs name= for a source that has none")
        target = _Spot(dest.store, join(dest.path, inner), dest._consolidated)
        read_only = dest._read_only
    else:
        where = Place(dest, name, "a")
        target, read_only = _Spot(where.store, where.path, None), False
    return _opened(target, _move(spot, target, if_exists), read_only)


def rename(node: Array | Group, new_name: str, *, if_exists: IfExists = "raise") -> Array | Group:
    """Give an array or a group another name, in the group that it is in.

    Parameters
    ----------
    node : Array or Group
        What to rename; not the root of a store.
    new_name : str
        The name, without slashes.
    if_exists : {"raise", "replace", "skip"}, default "raise"
        As for `move`.

    Returns
    -------
    Array or Group
        The node under its new name.
    """
    inner = normalize_path(new_name)
    if not inner or "/" in inner:
        raise ValueError(f"a name holds no slash and is not empty, got {new_name!r}; `move` takes paths")
    if not node.path:
        raise ValueError("the root of a store has no name to be changed")
    spot = _spot_of(node)
    target = spot._replace(path=join(node.path.rpartition("/")[0], inner))
    return _opened(target, _move(spot, target, if_exists), node._read_only)


def move_member(
    source: GroupMembers, path: str, into: GroupMembers, dest: str, *, if_exists: str = "raise"
) -> None:
    """Move a member of a group; see `Group.move`."""
    source._check_writable(f"move {path!r}")
    into._check_writable(f"move something to {dest!r}")
    inner, target = normalize_path(path), normalize_path(dest)
    if not inner or path not in source:
        raise MemberNotFoundError(f"{place(source.store, source.path)} has no member {path!r}", key=path)
    if not target:
        raise ValueError(f"a member needs a name, got {dest!r}")
    _move(
        _Spot(source.store, join(source.path, inner), source._consolidated),
        _Spot(into.store, join(into.path, target), into._consolidated),
        if_exists,
    )


def _spot_of(source: Any) -> _Spot:
    if isinstance(source, (Array, Group)):
        source._check_writable("move")
        link = source._consolidated
        # A group's own say nothing of where it is.
        owned = link is not None and link.path == source.path
        return _Spot(source.store, source.path, None if owned else link)
    where = Place(source, None, "r+")
    if not node_exists(where.store, where.path):
        raise where.missing(None, None)
    return _Spot(where.store, where.path, None)


def _opened(spot: _Spot, metadata: NodeMetadata, read_only: bool) -> Array | Group:
    kind: Any = Array if isinstance(metadata, ArrayMetadata) else Group
    found: Array | Group = kind(spot.store, spot.path, metadata, read_only=read_only)
    found._consolidated = spot.link
    return found


def _move(source: _Spot, target: _Spot, if_exists: str) -> NodeMetadata:
    """Move; the metadata of what is at the target then."""
    if if_exists not in _CHOICES:
        raise ValueError(f"if_exists must be one of {', '.join(map(repr, _CHOICES))}, got {if_exists!r}")
    for spot in (source, target):
        if spot.store.read_only:
            raise ReadOnlyError(f"cannot move {source}: {spot.store} is open for reading only")
    if target.path:
        check_new_path(target.path)
    if not _is_elsewhere(source, target):
        return open_node(source.store, source.path)
    parents = ancestors(target.path)
    present = present_kinds(target.store, [*parents, target.path])
    kinds = present[target.path]
    if kinds and if_exists == "skip":
        return open_node(target.store, target.path)
    if kinds and if_exists == "raise":
        kind = next(iter(kinds.values()))
        raise contains_error(target.store, target.path, kind, "if_exists='replace' replaces it")
    metadata = open_node(source.store, source.path)
    missing = check_parents(target.store, parents, present, metadata.zarr_format)
    try:
        for parent in missing:
            made = GroupMetadata(zarr_format=metadata.zarr_format, attributes={})
            put_new(target.store, parent, made, may_exist=True)
        _carry(source, target, replaces=bool(kinds))
    except BaseException:
        with suppress(ZarrcError, OSError):
            _tell(source, target)
        raise
    _tell(source, target)
    return metadata


def _is_elsewhere(source: _Spot, target: _Spot) -> bool:
    """False if both are one place; ValueError if one lies in the other."""
    old, new = source.store.identity_of(source.path), target.store.identity_of(target.path)
    if old == new:
        return False
    if any(target.store.identity_of(one) == old for one in ancestors(target.path)):
        raise ValueError(f"{target} lies in {source}, which is to be moved there")
    if any(source.store.identity_of(one) == new for one in ancestors(source.path)):
        raise ValueError(f"{target} holds {source}, which is to be moved there")
    return True


def _tell(source: _Spot, target: _Spot) -> None:
    """Bring the consolidated metadata up to date, in one rewrite if they are the same."""
    if source.link is not None and source.link is target.link:
        source.link.changed(source.link.parents_of(target.path), (source.path, target.path))
        return
    for spot in (source, target):
        if spot.link is not None:
            spot.link.changed(spot.link.parents_of(spot.path), (spot.path,))


def _carry(source: _Spot, target: _Spot, *, replaces: bool) -> None:
    if _rename(source, target, replaces=replaces):
        return
    old_way = f"nothing was moved: the node is whole at its old place, {source}"
    if replaces:
        try:
            delete_node(target.store, target.path)
        except BaseException as error:
            raise _said(error, old_way) from error
    try:
        copy_below(source.store, source.path, target.store, target.path)
        if source.store.identity != target.store.identity:
            target.store.flush()  # an archive; before the source goes
    except BaseException as error:
        left = ""
        try:
            delete_node(target.store, target.path)
        except (ZarrcError, OSError):
            left = f"; of the objects below {target} some may be left"
        gone = "; what was there already is deleted" if replaces else ""
        raise _said(error, f"{old_way}{gone}{left}") from error
    try:
        delete_node(source.store, source.path)
    except BaseException as error:
        raise _said(error, _state_after_copy(source, target)) from error


def _state_after_copy(source: _Spot, target: _Spot) -> str:
    try:
        both = node_exists(source.store, source.path)
    except (ZarrcError, OSError):
        return f"the node is whole at its new place, {target}; the old one could not be deleted"
    if both:
        return f"the node is whole at its new place, {target}, and still at its old one, {source}"
    return f"the node is moved: it is whole at its new place, {target}; below {source} objects are left"


def _said(error: BaseException, text: str) -> BaseException:
    """The error, with what is where."""
    if isinstance(error, ZarrcError):
        error.message = f"{text}: {error.message}"
        return error
    if isinstance(error, OSError):
        made = StoreError(f"{text}: {error}")
        made.errno = error.errno
        return made
    error.add_note(text)
    return error


def _rename(source: _Spot, target: _Spot, *, replaces: bool) -> bool:
    """Rename the directory; False where that is not possible."""
    if not (is_renamable(source.store) and is_renamable(target.store)):
        return False
    # The root of a store may be any directory, with files that are not ours; a link is not what it leads to.
    if not source.path or not target.path:
        return False
    old, new = directory_of(source.store, source.path), directory_of(target.store, target.path)
    if os.path.islink(old) or os.path.islink(new):
        return False
    try:
        rename_directory(old, new, replaces=replaces)
    except StoreError as error:
        if error.errno == errno.EXDEV:
            return False
        raise _said(error, f"nothing was moved: the node is whole at its old place, {source}") from error
    if target.store.durable:
        flush_names(new, old)
    return True
