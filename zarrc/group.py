"""`Group`: the handle of one group."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal

from zarrc.engine.node_changes import create_node
from zarrc.engine.nodes import open_node
from zarrc.group_changing import GroupChanging
from zarrc.metadata.build import build_group
from zarrc.metadata.model import GroupMetadata

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from zarrc.consolidated import Consolidated
    from zarrc.consolidating import UseConsolidated
    from zarrc.info import GroupInfo
    from zarrc.storage.base import Store
    from zarrc.tree import Tree

__all__ = ["Group"]


class Group(GroupChanging):
    """One group: a mapping from names to arrays and groups.

    ``group["a/b/c"]`` reaches into groups below. A member is a new handle each time; nothing is cached, so
    what other handles and processes create is seen at once. Where a group was opened with consolidated
    metadata, these are what its members are known from: see `zarrc.open_group`.

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

    __slots__ = ()

    _kind = "group"

    @classmethod
    def open(
        cls,
        store: Any,
        zarr_format: Literal[2, 3] | None = None,
        use_consolidated: UseConsolidated = None,
    ) -> Group:
        """Open an existing group for reading and writing.

        Parameters
        ----------
        store : store-like
            Store, path or URL.
        zarr_format : {2, 3}, optional
            Look for this format only.
        use_consolidated : bool or str, optional
            As for `zarrc.open_group`.

        Raises
        ------
        GroupNotFoundError
            If there is no group.
        """
        from zarrc.storage.resolve import make_store

        found, path = make_store(store, mode="r+")
        metadata = open_node(found, path, zarr_format=zarr_format, kind="group", writable=True)
        assert isinstance(metadata, GroupMetadata)
        return cls(found, path, metadata)._attach(use_consolidated)

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

    # --- consolidated metadata

    def _attach(self, use: UseConsolidated, *, writes: bool = True) -> Group:
        """Use the group's consolidated metadata, as `zarrc.open_group` describes; return this handle."""
        if use is not False and (
            self._metadata.consolidated is not None or self._metadata.zarr_format == 2 or use is not None
        ):
            from zarrc.consolidating import attached

            self._consolidated = attached(self._store, self._path, self._metadata, use, writes=writes)
        return self

    def _owned(self) -> Consolidated | None:
        """Return the consolidated metadata that are this group's own."""
        link = self._consolidated
        return link if link is not None and link.path == self._path else None

    def _metadata_lock(self) -> AbstractContextManager[object]:
        link = self._owned()
        # Whoever rewrites the members' part of the document is kept out.
        return super()._metadata_lock() if link is None else link.lock()

    def _refresh(self) -> None:
        super()._refresh()
        link = self._owned()
        if link is not None:
            link.forget()

    # --- by label

    def sel(
        self,
        name: str,
        labels: Mapping[str, Any] | None = None,
        /,
        *,
        method: str | None = None,
        tolerance: Any = None,
        lazy: bool = False,
        **by_name: Any,
    ) -> Any:
        """Read an array by labels: through the 1-D arrays beside it that are named as its dimensions.

        Parameters
        ----------
        name : str
            Name, or path, of the array.
        labels : Mapping, optional
            Name of a dimension -> a label, a slice of labels (both ends are included), or a list of them.
        method, tolerance, lazy
            What to take for a label that is not there, and how far away; see `zarrc.labels.sel`.
        **by_name
            The same as ``labels``, as keywords.

        Returns
        -------
        numpy.ndarray, NumPy scalar or LazyView

        Raises
        ------
        LabelError
            If a label is not there; the text says what is near. (A KeyError too.)
        SelectionError
            If a dimension or its coordinate is not there, or a label is of a wrong kind.

        Examples
        --------
        >>> import zarrc
        >>> g = zarrc.create_group()
        >>> _ = g.create_array("t", data=[11, 12, 13], dimension_names=["x"])
        >>> _ = g.create_array("x", data=[0.5, 1.0, 1.5], dimension_names=["x"])
        >>> g.sel("t", x=slice(0.5, 1.0))
        array([11, 12])
        >>> int(g.sel("t", x=1.4, method="nearest"))
        13
        """
        from zarrc.labels import sel

        chosen = {} if labels is None else labels
        return sel(self, name, chosen, method=method, tolerance=tolerance, lazy=lazy, **by_name)

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
        arguments = (self._store, self._path, self._metadata, self._read_only)
        return _rebuild, (type(self), *arguments), (None, {"_consolidated": self._consolidated})

    def __copy__(self) -> Group:
        return self._linked(type(self)(self._store, self._path, self._metadata, read_only=self._read_only))

    def __deepcopy__(self, memo: dict[int, Any]) -> Group:
        """Return another handle of the same group: nothing stored is copied."""
        return self.__copy__()


def _rebuild(cls: type[Group], store: Store, path: str, metadata: GroupMetadata, read_only: bool) -> Group:
    return cls(store, path, metadata, read_only=read_only)


# A mapping in all that it does; not by inheritance, whose methods would read the members one by one.
MutableMapping.register(Group)
