"""`Group`: the handle of one group."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from zarrc import new_array
from zarrc.array import Array
from zarrc.engine.node_changes import create_node, delete_node
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.node_search import node_exists
from zarrc.engine.nodes import open_children, open_node, place
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    MemberNotFoundError,
    NodeNotFoundError,
    ZarrcError,
)
from zarrc.metadata.build import build_group
from zarrc.metadata.model import ArrayMetadata, GroupMetadata
from zarrc.node import Node
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.engine.nodes import NodeMetadata
    from zarrc.info import GroupInfo
    from zarrc.new_array import ArrayKeywords
    from zarrc.storage.base import Store
    from zarrc.tree import Tree

__all__ = ["Group"]

_Default = TypeVar("_Default")


class Group(Node):
    """One group: a mapping from names to arrays and groups.

    ``group["a/b/c"]`` reaches into groups below. A member is a new handle each time; nothing is cached, so
    what other handles and processes create is seen at once.

    Parameters
    ----------
    store : Store
        Where the group is.
    path : str
        Path inside the store.
    metadata : GroupMetadata
        What is stored about the group.
    read_only : bool, default False
        Refuse writes, through members too.

    Notes
    -----
    Spec: Zarr v3 core, "Groups" and "Hierarchy"; Zarr v2, "Hierarchies".
    """

    __slots__ = ("_fresh",)

    _kind = "group"
    _later = MappingProxyType({"move": "zarrc.from_array copies an array to another place"})
    _metadata: GroupMetadata

    def __init__(self, store: Store, path: str, metadata: GroupMetadata, *, read_only: bool = False) -> None:
        super().__init__(store, path, metadata, read_only=read_only)
        self._fresh: weakref.ref[_Names] | None = None

    @classmethod
    def open(cls, store: Any, zarr_format: Literal[2, 3] | None = None) -> Group:
        """Open an existing group for reading and writing.

        Parameters
        ----------
        store : store-like
            Store, path or URL.
        zarr_format : {2, 3}, optional
            Look for this format only.

        Raises
        ------
        GroupNotFoundError
            If there is no group.
        """
        from zarrc.storage.resolve import make_store

        found, path = make_store(store, mode="r+")
        metadata = open_node(found, path, zarr_format=zarr_format, kind="group")
        assert isinstance(metadata, GroupMetadata)
        return cls(found, path, metadata)

    @classmethod
    def from_store(
        cls,
        store: Any,
        *,
        attributes: Mapping[str, Any] | None = None,
        zarr_format: Literal[2, 3] = 3,
        overwrite: bool = False,
    ) -> Group:
        """Create a group.

        Parameters
        ----------
        store : store-like
            Store, path or URL.
        attributes : Mapping, optional
            The user's attributes.
        zarr_format : {2, 3}, default 3
            Format of the group, and of what is created in it.
        overwrite : bool, default False
            Delete what is there already.

        Raises
        ------
        ContainsNodeError
            If there is an array or a group already.
        """
        from zarrc.storage.resolve import make_store

        found, path = make_store(store, mode="w" if overwrite else "a")
        metadata = build_group(zarr_format=zarr_format, attributes=attributes)
        create_node(found, path, metadata, overwrite=overwrite)
        return cls(found, path, metadata)

    @property
    def metadata(self) -> GroupMetadata:
        """What is stored about the group; frozen."""
        return self._metadata

    # --- members

    def _member(self, name: str, metadata: NodeMetadata) -> Array | Group:
        path = join(self._path, name)
        if isinstance(metadata, ArrayMetadata):
            return Array(self._store, path, metadata, read_only=self._read_only)
        return Group(self._store, path, metadata, read_only=self._read_only)

    def _open(self, name: str, kind: Literal["array", "group"] | None = None) -> Array | Group:
        """Open a member; of the group's own format first, then of the other."""
        inner = normalize_path(name)
        if not inner:
            raise MemberNotFoundError(f"{name!r} names no member of {place(self._store, self._path)}")
        path = join(self._path, inner)
        try:
            if self._metadata.zarr_format == 3:
                return self._member(inner, open_node(self._store, path, kind=kind))
            return self._member(inner, self._open_in_v2(path, kind))
        except NodeNotFoundError as error:
            raise MemberNotFoundError(error.message, key=error.key) from error

    def _open_in_v2(self, path: str, kind: Literal["array", "group"] | None) -> NodeMetadata:
        try:
            return open_node(self._store, path, zarr_format=2, kind=kind)
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
        assert isinstance(found, Group)
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
        try:
            return self[path]
        except MemberNotFoundError:
            return default

    def __contains__(self, path: object) -> bool:
        """Whether there is a node at that path, readable or not."""
        try:
            inner = normalize_path(path)
        except (TypeError, ValueError):
            return False
        return bool(inner) and node_exists(self._store, join(self._path, inner))

    def __setitem__(self, path: str, value: Any) -> None:
        """Store an array's data under a name; a node that is there already is replaced."""
        new_array.array_from_data(
            self._store, self._new_path(path), value, self._inherited({}), overwrite=True
        )

    def __delitem__(self, path: str) -> None:
        """Delete a member and everything below it; one that cannot be read too.

        Raises
        ------
        MemberNotFoundError
            If there is none (a KeyError too).
        """
        self._check_writable(f"delete {path!r}")
        if path not in self:
            raise MemberNotFoundError(f"{place(self._store, self._path)} has no member {path!r}", key=path)
        delete_node(self._store, join(self._path, normalize_path(path)))

    def __iter__(self) -> Iterator[str]:
        names = _Names(self)
        self._fresh = weakref.ref(names)
        return names

    def __len__(self) -> int:
        # list(group) makes an iterator, asks for the length as a hint, and iterates: it is read once for all.
        # The iterator is taken first, so that what it is given was read after it was made.
        fresh, self._fresh = self._fresh, None
        names = fresh() if fresh is not None else None
        found = tuple(self.keys())
        if names is not None:
            names.offer(found)
        return len(found)

    def __bool__(self) -> bool:
        return True

    def _children(self) -> Iterator[tuple[str, Array | Group]]:
        """Yield the members right below by name, with a warning for each that cannot be read."""
        for name, metadata in open_children(self._store, self._path, self._metadata.zarr_format):
            if isinstance(metadata, ZarrcError):
                warn(f"{place(self._store, join(self._path, name))} is left out: {metadata}")
            else:
                yield name, self._member(name, metadata)

    def _walk(self, max_depth: int | None, prefix: str = "") -> Iterator[tuple[str, Array | Group]]:
        for name, member in self._children():
            yield f"{prefix}{name}", member
            if isinstance(member, Group) and (max_depth is None or max_depth > 0):
                below = None if max_depth is None else max_depth - 1
                yield from member._walk(below, f"{prefix}{name}/")

    def members(self, max_depth: int | None = 0) -> tuple[tuple[str, Array | Group], ...]:
        """Return the nodes below this group with their paths relative to it, parents before children.

        A node that cannot be read is left out with a `ZarrcWarning` that names it.

        Parameters
        ----------
        max_depth : int, optional
            0, the default, for the members right below; None for all.
        """
        if max_depth is not None and max_depth < 0:
            raise ValueError(f"max_depth must be None or at least 0, got {max_depth}")
        return tuple(self._walk(max_depth))

    def nmembers(self, max_depth: int | None = 0) -> int:
        """Return the number of `members`."""
        return len(self.members(max_depth))

    def keys(self) -> Iterator[str]:
        """Iterate over the names of the members right below."""
        return (name for name, _ in self.members())

    def values(self) -> Iterator[Array | Group]:
        """Iterate over the members right below."""
        return (member for _, member in self.members())

    def items(self) -> Iterator[tuple[str, Array | Group]]:
        """Iterate over names and members right below."""
        return iter(self.members())

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
        return ((name, member) for name, member in self.members() if isinstance(member, Group))

    def group_keys(self) -> Iterator[str]:
        """Iterate over the names of the groups right below."""
        return (name for name, _ in self.groups())

    def group_values(self) -> Iterator[Group]:
        """Iterate over the groups right below."""
        return (member for _, member in self.groups())

    # --- create

    def _new_path(self, name: str) -> str:
        self._check_writable(f"create {name!r}")
        inner = normalize_path(name)
        if not inner:
            raise ValueError(f"a new member needs a name, got {name!r}")
        return join(self._path, inner)

    def _inherited(self, keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords for a new member, with this group's Zarr format."""
        wanted = keywords.get("zarr_format")
        if wanted is not None and wanted != self._metadata.zarr_format:
            raise ValueError(
                f"this is a Zarr v{self._metadata.zarr_format} group: what is created in it has zarr_format="
                f"{self._metadata.zarr_format}, not {wanted!r}"
            )
        return {**keywords, "zarr_format": self._metadata.zarr_format}

    def create_array(self, name: str, *, overwrite: bool = False, **keywords: Unpack[ArrayKeywords]) -> Array:
        """Create an array below this group, in the group's Zarr format; groups on the way are created too.

        Parameters
        ----------
        name : str
            Name, or path (``"a/b/c"``).
        overwrite : bool, default False
            Delete a node of that name first.
        **keywords
            ``shape``, ``dtype``, ``data``, ``chunks``, ``shards``, ``codecs`` and so on, as for
            `zarrc.create_array`.

        Raises
        ------
        ContainsNodeError
            If there is a node of that name, or if a parent is an array.
        TypeError
            For a keyword that does not exist; the text offers close names.
        """
        return new_array.create_array_at(
            self._store,
            self._new_path(name),
            self._inherited(keywords),
            overwrite=overwrite,
            caller="Group.create_array",
        )

    def create(self, name: str, *, overwrite: bool = False, **keywords: Unpack[ArrayKeywords]) -> Array:
        """Create an array; the same as `create_array`."""
        return self.create_array(name, overwrite=overwrite, **keywords)

    def create_group(
        self, name: str, *, attributes: Mapping[str, Any] | None = None, overwrite: bool = False
    ) -> Group:
        """Create a group below this one, in its Zarr format; groups on the way are created too.

        Parameters
        ----------
        name : str
            Name, or path (``"a/b/c"``).
        attributes : Mapping, optional
            The user's attributes.
        overwrite : bool, default False
            Delete a node of that name first.

        Raises
        ------
        ContainsNodeError
            If there is a node of that name, or if a parent is an array.
        """
        path = self._new_path(name)
        metadata = build_group(zarr_format=self._metadata.zarr_format, attributes=attributes)
        create_node(self._store, path, metadata, overwrite=overwrite)
        return Group(self._store, path, metadata, read_only=self._read_only)

    def require_group(self, name: str, *, overwrite: bool = False) -> Group:
        """Return the group of that name; create it if it is not there.

        Parameters
        ----------
        name : str
            Name, or path.
        overwrite : bool, default False
            Delete it first.

        Raises
        ------
        ContainsArrayError
            If there is an array of that name.
        """
        if not overwrite:
            found = self.get(name)
            if isinstance(found, Array):
                raise ContainsArrayError(f"{place(self._store, found.path)} is an array, not a group")
            if found is not None:
                return found
        try:
            return self.create_group(name, overwrite=overwrite)
        except ContainsGroupError:
            # Another thread or process has created it since it was looked for.
            return self.get_group(name)

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Return the groups of these names; create those that are not there."""
        return tuple(self.require_group(name) for name in names)

    def require_array(
        self,
        name: str,
        *,
        shape: int | Iterable[int],
        dtype: Any = None,
        exact: bool = False,
        **keywords: Any,
    ) -> Array:
        """Return the array of that name, of this shape and data type; create it if it is not there.

        Parameters
        ----------
        name : str
            Name, or path.
        shape : int or tuple of int
            Shape.
        dtype : dtype-like, optional
            Data type; by default any, and float64 for a new array.
        exact : bool, default False
            Whether the data type must be the same; otherwise it must only hold ``dtype``'s values.
        **keywords
            As for `create_array`.

        Raises
        ------
        TypeError
            If shape or data type do not fit.
        ContainsGroupError
            If there is a group of that name.
        """
        found = self.get(name)
        if found is None:
            try:
                return self.create_array(name, shape=shape, dtype=dtype, **keywords)
            except ContainsNodeError:
                # Another thread or process may have created it since it was looked for.
                found = self.get(name)
                if found is None:
                    raise
        if isinstance(found, Group):
            raise new_array.contains_group(found.store, found.path)
        new_array.check_same(found, shape, dtype, exact=exact)
        return found

    def zeros(self, name: str, *, shape: int | tuple[int, ...], **keywords: Any) -> Array:
        """Create an array of zeros; keywords as for `create_array`."""
        return self.create_array(name, shape=shape, fill_value=0, **keywords)

    def ones(self, name: str, *, shape: int | tuple[int, ...], **keywords: Any) -> Array:
        """Create an array of ones; keywords as for `create_array`."""
        return self.create_array(name, shape=shape, fill_value=1, **keywords)

    def empty(self, name: str, *, shape: int | tuple[int, ...], **keywords: Any) -> Array:
        """Create an array of undefined content (the fill value); keywords as for `create_array`."""
        return self.create_array(name, shape=shape, **keywords)

    def full(self, name: str, *, shape: int | tuple[int, ...], fill_value: Any, **keywords: Any) -> Array:
        """Create an array filled with one value; keywords as for `create_array`."""
        return self.create_array(name, shape=shape, fill_value=fill_value, **keywords)

    def zeros_like(self, name: str, *, data: Any, **keywords: Any) -> Array:
        """Create an array of zeros with the shape, data type and codecs of ``data``."""
        return self.zeros(name, **new_array.keywords_like(data, self._inherited(keywords)))

    def ones_like(self, name: str, *, data: Any, **keywords: Any) -> Array:
        """Create an array of ones with the shape, data type and codecs of ``data``."""
        return self.ones(name, **new_array.keywords_like(data, self._inherited(keywords)))

    def empty_like(self, name: str, *, data: Any, **keywords: Any) -> Array:
        """Create an array with the shape, data type and codecs of ``data``, but not its content."""
        return self.empty(name, **new_array.keywords_like(data, self._inherited(keywords)))

    def full_like(self, name: str, *, data: Any, **keywords: Any) -> Array:
        """Create an array like ``data``, filled with ``fill_value`` or with that of ``data``."""
        wanted = new_array.keywords_like(data, self._inherited(keywords))
        wanted.setdefault("fill_value", getattr(data, "fill_value", 0))
        return self.full(name, **wanted)

    # --- representation

    def tree(
        self,
        expand: bool | None = None,
        level: int | None = None,
        *,
        max_nodes: int = 500,
        plain: bool = False,
    ) -> Tree:
        """Return the hierarchy below this group, to be shown as text or HTML.

        Parameters
        ----------
        expand : bool, optional
            Whether the HTML is unfolded; by default it is.
        level : int, optional
            Depth to show; None for all.
        max_nodes : int, default 500
            Nodes to show; the rest is left out with a note.
        plain : bool, default False
            No bold names.
        """
        from zarrc.tree import group_tree

        return group_tree(self, expand=expand, level=level, max_nodes=max_nodes, plain=plain)

    @property
    def info(self) -> GroupInfo:
        """A summary, as text and as HTML."""
        from zarrc.info import group_info

        return group_info(self)

    def info_complete(self) -> GroupInfo:
        """Return the summary with the number of nodes at all depths; reads all their metadata."""
        from zarrc.info import group_info

        return group_info(self, complete=True)

    def __repr__(self) -> str:
        return f"<Group {self.store_path}>"

    def _repr_html_(self) -> str:
        return self.info._repr_html_()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._store, self._path, self._metadata, self._read_only)

    def __copy__(self) -> Group:
        return type(self)(self._store, self._path, self._metadata, read_only=self._read_only)

    def __deepcopy__(self, memo: dict[int, Any]) -> Group:
        """Return another handle of the same group: nothing stored is copied."""
        return self.__copy__()


class _Names(Iterator[str]):
    """The names of a group's members, read when the first is asked for unless they are offered before."""

    __slots__ = ("__weakref__", "_group", "_names", "_offered")

    def __init__(self, group: Group) -> None:
        self._group = group
        self._offered: tuple[str, ...] | None = None
        self._names: Iterator[str] | None = None

    def offer(self, names: tuple[str, ...]) -> None:
        """Take the names, read since this was made; too late once the first was asked for."""
        self._offered = names

    def __next__(self) -> str:
        if self._names is None:
            self._names = self._group.keys() if self._offered is None else iter(self._offered)
        return next(self._names)


def _rebuild(cls: type[Group], store: Store, path: str, metadata: GroupMetadata, read_only: bool) -> Group:
    return cls(store, path, metadata, read_only=read_only)
