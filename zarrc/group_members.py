"""What is in a group: a mapping from names to arrays and groups."""

from __future__ import annotations

import weakref
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from zarrc.array import Array
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.node_search import node_exists
from zarrc.engine.nodes import find_node, node_kind, open_children, open_node, place, wrong_kind
from zarrc.errors import MemberNotFoundError, NodeNotFoundError, ZarrcError
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.node import Node
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.engine.nodes import NodeMetadata
    from zarrc.group import Group
    from zarrc.storage.base import Store

__all__ = ["GroupMembers", "check_depth"]

_Default = TypeVar("_Default")


class GroupMembers(Node):
    """Finding, opening and listing the nodes below a group."""

    __slots__ = ("_fresh",)

    _metadata: GroupMetadata

    def __init__(self, store: Store, path: str, metadata: GroupMetadata, *, read_only: bool = False) -> None:
        super().__init__(store, path, metadata, read_only=read_only)
        self._fresh: weakref.ref[_Fresh] | None = None

    # --- one member

    def _member(self, name: str, metadata: NodeMetadata) -> Array | Group:
        from zarrc.group import Group

        path = join(self._path, name)
        kind: Any = Array if isinstance(metadata, ArrayMetadata) else Group
        made: Array | Group = self._linked(kind(self._store, path, metadata, read_only=self._read_only))
        # Nobody looked for a transaction that was interrupted there: consolidated metadata cost no request.
        made._is_looked_at = self._consolidated is None
        return made

    def _open(self, name: str, kind: Literal["array", "group"] | None = None) -> Array | Group:
        inner = normalize_path(name)
        if not inner:
            raise MemberNotFoundError(f"{name!r} names no member of {place(self._store, self._path)}")
        path = join(self._path, inner)
        link = self._consolidated
        if link is not None:
            is_known, metadata = link.find(path)
            if is_known and metadata is None:
                raise link.missing(path)
            if metadata is not None:
                if kind is not None and node_kind(metadata) != kind:
                    raise MemberNotFoundError(wrong_kind(self._store, path, metadata))
                return self._member(inner, metadata)
        try:
            return self._member(inner, self._open_stored(path, kind))
        except NodeNotFoundError as error:
            raise MemberNotFoundError(error.message, key=error.key) from error

    def _open_stored(self, path: str, kind: Literal["array", "group"] | None) -> NodeMetadata:
        """Read a member; of the group's own format first, then of the other."""
        if self._metadata.zarr_format == 3:
            return open_node(self._store, path, kind=kind, writable=not self._read_only)
        try:
            return open_node(self._store, path, zarr_format=2, kind=kind, writable=not self._read_only)
        except NodeNotFoundError:
            return open_node(self._store, path, kind=kind)

    def __getitem__(self, path: str) -> Array | Group:
        """Open a member, or a member of a member (``"a/b/c"``).

        Raises
        ------
        MemberNotFoundError
            If there is none (a KeyError too).
        MetadataError
            If there is one that cannot be read.
        """
        return self._open(path)

    def get_array(self, path: str) -> Array:
        """Open an array below this group.

        Raises
        ------
        MemberNotFoundError
            If there is none, or if it is a group.
        """
        found = self._open(path, "array")
        assert isinstance(found, Array)
        return found

    def get_group(self, path: str) -> Group:
        """Open a group below this group.

        Raises
        ------
        MemberNotFoundError
            If there is none, or if it is an array.
        """
        found = self._open(path, "group")
        assert not isinstance(found, Array)
        return found

    @overload
    def get(self, path: str, default: None = None) -> Array | Group | None: ...
    @overload
    def get(self, path: str, default: _Default) -> Array | Group | _Default: ...
    def get(self, path: str, default: _Default | None = None) -> Array | Group | _Default | None:
        """Open a member; ``default`` if there is none.

        Raises
        ------
        MetadataError
            If there is one that cannot be read.
        """
        inner = normalize_path(path)
        found = self._find(inner) if inner else None
        return default if found is None else self._member(inner, found)

    def _find(self, inner: str) -> NodeMetadata | None:
        """Read a member's metadata; None if there is none, without a look for what else may be meant."""
        path = join(self._path, inner)
        link = self._consolidated
        if link is not None:
            is_known, metadata = link.find(path)
            if is_known:
                return metadata
        if self._metadata.zarr_format == 3:
            return find_node(self._store, path, writable=not self._read_only)
        found = find_node(self._store, path, 2, writable=not self._read_only)
        return find_node(self._store, path, 3) if found is None else found

    def __contains__(self, path: object) -> bool:
        """Whether there is a node at that path, readable or not."""
        try:
            inner = normalize_path(path)
        except (TypeError, ValueError):
            return False
        if not inner:
            return False
        link = self._consolidated
        if link is not None:
            is_known, exists = link.has(join(self._path, inner))
            if is_known:
                return exists
        return node_exists(self._store, join(self._path, inner))

    # --- all members

    def __iter__(self) -> Iterator[str]:
        return self._fresh_iterator(itemgetter(0))

    def _fresh_iterator(self, pick: Callable[[_Pair], Any]) -> Iterator[Any]:
        made = _Fresh(self, pick)
        self._fresh = weakref.ref(made)
        return made

    def __len__(self) -> int:
        # list(group) makes an iterator, asks for the length as a hint, and iterates: it is read once for all.
        # The iterator is taken first, so that what it is given was read after it was made.
        fresh, self._fresh = self._fresh, None
        waiting = fresh() if fresh is not None else None
        found = tuple(self._children())
        if waiting is not None:
            waiting.offer(found)
        return len(found)

    def __bool__(self) -> bool:
        return True

    def _entries(self) -> Iterator[tuple[str, NodeMetadata | ZarrcError]]:
        """Yield the metadata of the members right below by name; the error of one that cannot be read."""
        link = self._consolidated
        if link is not None:
            return link.children(self._path)
        return open_children(
            self._store, self._path, self._metadata.zarr_format, writable=not self._read_only
        )

    def _children(self) -> Iterator[tuple[str, Array | Group]]:
        """Yield the members right below by name, with a warning for each that cannot be read."""
        for name, metadata in self._entries():
            if isinstance(metadata, ZarrcError):
                warn(f"{place(self._store, join(self._path, name))} is left out: {metadata}")
            else:
                yield name, self._member(name, metadata)

    def _walk(self, max_depth: int | None, prefix: str = "") -> Iterator[tuple[str, Array | Group]]:
        for name, member in self._children():
            yield f"{prefix}{name}", member
            if not isinstance(member, Array) and (max_depth is None or max_depth > 0):
                below = None if max_depth is None else max_depth - 1
                yield from member._walk(below, f"{prefix}{name}/")

    def members(
        self, max_depth: int | None = 0, *, use_consolidated_for_children: bool = True
    ) -> tuple[tuple[str, Array | Group], ...]:
        """Return the nodes below this group with their paths relative to it, parents before children.

        A node that cannot be read is left out with a `ZarrcWarning` that names it.

        Parameters
        ----------
        max_depth : int, optional
            0, the default, for the members right below; None for all.
        use_consolidated_for_children : bool, default True
            False looks in the store, whatever consolidated metadata say.
        """
        check_depth("max_depth", max_depth)
        group = self if use_consolidated_for_children else self._unlinked()
        return tuple(group._walk(max_depth))

    def _unlinked(self) -> GroupMembers:
        return type(self)(self._store, self._path, self._metadata, read_only=self._read_only)

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of `members`."""
        return len(self.members(max_depth))

    def keys(self) -> KeysView[str]:
        """Return the names of the members right below: a view, as of a dict."""
        return _Keys(self)

    def values(self) -> ValuesView[Array | Group]:
        """Return the members right below: a view, which reads them all at once."""
        return _Values(self)

    def items(self) -> ItemsView[str, Array | Group]:
        """Return names and members right below: a view, which reads them all at once."""
        return _Items(self)

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Iterate over names and arrays right below."""
        return ((name, member) for name, member in self.members() if isinstance(member, Array))

    def array_keys(self) -> Iterator[str]:
        """Iterate over the names of the arrays right below."""
        return (name for name, _ in self.arrays())

    def array_values(self) -> Iterator[Array]:
        """Iterate over the arrays right below."""
        return (member for _, member in self.arrays())

    def groups(self) -> Iterator[tuple[str, Group]]:
        """Iterate over names and groups right below."""
        return ((name, member) for name, member in self.members() if not isinstance(member, Array))

    def group_keys(self) -> Iterator[str]:
        """Iterate over the names of the groups right below."""
        return (name for name, _ in self.groups())

    def group_values(self) -> Iterator[Group]:
        """Iterate over the groups right below."""
        return (member for _, member in self.groups())

    def visit(self, func: Callable[[str], Any]) -> Any:
        """Call a function with the path of each node below this group, parents first.

        Parameters
        ----------
        func : callable
            Takes the path relative to this group. What it returns, if it is not None, ends the walk.

        Returns
        -------
        object
            What ``func`` returned last: None if it went through all.
        """
        return self.visititems(lambda path, _: func(path))

    def visititems(self, func: Callable[[str, Array | Group], Any]) -> Any:
        """Call a function with the path and the handle of each node below this group; see `visit`."""
        for path, member in self._walk(None):
            if (found := func(path, member)) is not None:
                return found
        return None

    def visitkeys(self, func: Callable[[str], Any]) -> Any:
        """Call a function with the path of each node; the same as `visit`."""
        return self.visit(func)

    def visitvalues(self, func: Callable[[Array | Group], Any]) -> Any:
        """Call a function with the handle of each node below this group; see `visit`."""
        return self.visititems(lambda _, member: func(member))


def check_depth(name: str, depth: Any) -> None:
    """Refuse what is no number of levels."""
    if depth is None:
        return
    if isinstance(depth, bool) or not hasattr(depth, "__index__"):
        raise TypeError(f"{name} must be None or an integer, got {depth!r}")
    if depth < 0:
        raise ValueError(f"{name} must be None or at least 0, got {depth}")


_Pair = tuple[str, "Array | Group"]


class _Fresh(Iterator[Any]):
    """What a group holds, read when the first is asked for unless it is offered before."""

    __slots__ = ("__weakref__", "_group", "_items", "_offered", "_pick")

    def __init__(self, group: GroupMembers, pick: Callable[[_Pair], Any]) -> None:
        self._group = group
        self._pick = pick
        self._offered: tuple[_Pair, ...] | None = None
        self._items: Iterator[_Pair] | None = None

    def offer(self, found: tuple[_Pair, ...]) -> None:
        """Take the members, read since this was made; too late once the first was asked for."""
        self._offered = found

    def __next__(self) -> Any:
        if self._items is None:
            offered = self._offered
            self._items = iter(tuple(self._group._children()) if offered is None else offered)
        return self._pick(next(self._items))


# The views of `collections.abc` open the members one by one; these read all of them in one batch.


class _Keys(KeysView[str]):
    __slots__ = ()
    _mapping: Any

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping)


class _Values(ValuesView["Array | Group"]):
    __slots__ = ()
    _mapping: Any

    def __iter__(self) -> Iterator[Array | Group]:
        return self._mapping._fresh_iterator(itemgetter(1))  # type: ignore[no-any-return]

    def __contains__(self, value: object) -> bool:
        return any(member == value for member in self)


class _Items(ItemsView[str, "Array | Group"]):
    __slots__ = ()
    _mapping: Any

    def __iter__(self) -> Iterator[_Pair]:
        return self._mapping._fresh_iterator(lambda pair: pair)  # type: ignore[no-any-return]
