"""Groups as mappings that are written to, and what else changes their members: moving, renaming, copying."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc import new_array
from zarrc.engine.node_changes import delete_node
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.nodes import place
from zarrc.errors import MemberNotFoundError
from zarrc.group_making import GroupMaking
from zarrc.group_members import GroupMembers

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.group import Group

__all__ = ["GroupChanging"]

_REQUIRED: Any = object()


class GroupChanging(GroupMaking):
    """Assigning, deleting, taking out, moving and copying the nodes below a group."""

    __slots__ = ()

    # --- as a mapping

    def __setitem__(self, path: str, value: Any) -> None:
        """Store data under a name; a node that is there already is replaced.

        Parameters
        ----------
        path : str
            Name, or path.
        value : array_like, Group or Mapping
            An array's data. A group is copied with all that is in it. Of a mapping (such as `zarrc.load`
            gives) a group is made, with an array or group for each item.

        Raises
        ------
        ValueError
            If what is there is, or holds, what the value is made of (of a lazy view, a mosaic or a dask array
            too): it is deleted first. Nothing is changed then.
        """
        target = self._new_path(path)
        if isinstance(value, GroupMembers):
            from zarrc.tools.hierarchies import copy

            copy(value, self, name=path, if_exists="replace")
            return
        if isinstance(value, Mapping):
            self._store_mapping(path, value)
            return
        with self._changing(target, deep=True):
            new_array.array_from_data(self._store, target, value, self._inherited({}), overwrite=True)

    def _store_mapping(self, path: str, value: Mapping[str, Any]) -> None:
        from zarrc.new_nodes import check_replaced, sources_of

        sources = sources_of(value, "Group.__setitem__", self._metadata.zarr_format)
        check_replaced(self._store, self._new_path(path), sources)
        with self._once():
            made = self.create_group(path, overwrite=True)
            made._store_all(sources)

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
        self._delete(join(self._path, normalize_path(path)))

    def _delete(self, path: str) -> None:
        with self._changing(path, deep=True):
            delete_node(self._store, path)

    def delete(self, path: str, *, missing_ok: bool = False) -> None:
        """Delete a member and everything below it, as ``del`` does.

        Parameters
        ----------
        path : str
            Name, or path.
        missing_ok : bool, default False
            Whether it is fine if there is none.

        Raises
        ------
        MemberNotFoundError
            If there is none.
        """
        if not missing_ok or path in self:
            del self[path]

    def pop(self, path: str, default: Any = _REQUIRED) -> Any:
        """Take a member out: delete it, and return a copy of it in memory.

        Parameters
        ----------
        path : str
            Name, or path.
        default : object, optional
            What to return if there is none.

        Returns
        -------
        Array or Group
            In a `MemoryStore` of its own, with everything in it. To delete only, use ``del``.

        Raises
        ------
        MemberNotFoundError
            If there is none, and no default.
        """
        self._check_writable(f"delete {path!r}")
        try:
            found = self[path]
        except MemberNotFoundError:
            if default is _REQUIRED:
                raise
            return default
        from zarrc.tools.hierarchies import copied_to_memory

        taken = copied_to_memory(found)
        del self[path]
        return taken

    def popitem(self) -> tuple[str, Array | Group]:
        """Take out the first member by name: its name, and a copy of it in memory (see `pop`).

        Raises
        ------
        KeyError
            If the group is empty.
        """
        for name in self:
            return name, self.pop(name)
        raise MemberNotFoundError(f"{place(self._store, self._path)} is empty")

    def setdefault(self, path: str, default: Any = None) -> Array | Group:
        """Return a member; store data under its name first if there is none.

        Parameters
        ----------
        path : str
            Name, or path.
        default : array_like, Group or Mapping
            What to store, as for assignment.
        """
        found = self.get(path)
        if found is not None:
            return found
        if default is None:
            raise TypeError(f"there is no {path!r}, and None is no data to store")
        self[path] = default
        return self[path]

    def update(self, members: Any = (), /, **more: Any) -> None:
        """Store several members, as assignment does, one after the other; all are looked at before.

        Parameters
        ----------
        members : Mapping or iterable of (str, object)
            Names and data.
        **more
            The same as keywords.

        Raises
        ------
        ValueError
            If one would replace what it, or one after it, is made of; then nothing is changed.
        """
        pairs = members.items() if hasattr(members, "items") else members
        from zarrc.new_nodes import check_in_turn, sources_of

        self._check_writable("store members")
        sources = sources_of({**dict(pairs), **more}, "Group.update", self._metadata.zarr_format)
        check_in_turn(self._store, self._path, sources)
        self._store_all(sources)

    def _store_all(self, members: Mapping[str, Any]) -> None:
        with self._once():
            for name, value in members.items():
                self[name] = value

    def clear(self) -> None:
        """Delete all members, readable or not; the group and its attributes stay."""
        self._check_writable("delete the members")
        names = self._store.list_dir(self._path).prefixes
        with self._changing(*(join(self._path, name) for name in names), deep=True):
            for name in names:
                if name in self._made_by_others():
                    delete_node(self._store, join(self._path, name))

    # --- move, copy

    def move(self, source: str, dest: str, *, if_exists: str = "raise") -> None:
        """Move a member to another name or path in this group, with everything in it.

        Parameters
        ----------
        source, dest : str
            Names, or paths below this group. Groups on the way to ``dest`` are created.
        if_exists : {"raise", "replace", "skip"}, default "raise"
            What to do if there is a node at ``dest``.

        Raises
        ------
        MemberNotFoundError
            If there is no such member.
        ContainsNodeError
            If there is a node at ``dest`` already.
        StoreError
            If the store fails; the text says whether the node is whole at its old or at its new place.

        Notes
        -----
        On local stores this is one rename; elsewhere a copy, then a delete.
        """
        from zarrc.tools.moving import move_member

        move_member(self, source, self, dest, if_exists=if_exists)

    def rename(self, name: str, new_name: str, *, if_exists: str = "raise") -> None:
        """Give a member another name, in the group that it is in; see `move`.

        Parameters
        ----------
        name : str
            Name, or path below this group.
        new_name : str
            The name, without slashes.
        if_exists : {"raise", "replace", "skip"}, default "raise"
            What to do if there is a node of that name.
        """
        inner = normalize_path(new_name)
        if "/" in inner or not inner:
            raise ValueError(f"a name holds no slash and is not empty, got {new_name!r}; `move` takes paths")
        above = normalize_path(name).rpartition("/")[0]
        self.move(name, join(above, inner), if_exists=if_exists)

    def copy(self, source: Any, dest: Any, name: str | None = None, **keywords: Any) -> Array | Group:
        """Copy an array or group, as h5py's groups do.

        Parameters
        ----------
        source : str, Array or Group
            A member, or a node of any group.
        dest : str or Group
            Path below this group for the copy, or the group to copy into.
        name : str, optional
            With a group: the copy's name there; by default the source's.
        **keywords
            As for `zarrc.copy`.

        Returns
        -------
        Array or Group
            The copy.
        """
        from zarrc.tools.hierarchies import copy

        node = self[source] if isinstance(source, str) else source
        into, target = (self, dest) if isinstance(dest, str) else (dest, name or node.basename)
        copy(node, into, name=target, **keywords)
        found: Array | Group = into[target]
        return found
