"""Creating what is in a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Unpack

from zarrc import new_array
from zarrc.array import Array
from zarrc.engine.node_changes import create_node
from zarrc.engine.node_names import ancestors, check_new_path, join, normalize_path
from zarrc.engine.nodes import place
from zarrc.errors import (
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    ZarrcError,
)
from zarrc.group_members import GroupMembers
from zarrc.metadata.build import build_group

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from zarrc.group import Group
    from zarrc.new_array import ArrayKeywords

__all__ = ["GroupMaking"]


class GroupMaking(GroupMembers):
    """Creating the nodes below a group."""

    __slots__ = ()

    def _new_path(self, name: str) -> str:
        self._check_writable(f"create {name!r}")
        inner = normalize_path(name)
        if not inner:
            raise ValueError(f"a new member needs a name, got {name!r}")
        check_new_path(inner)
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

    @contextmanager
    def _changing(self, *paths: str, deep: bool = False, consolidate: bool = True) -> Iterator[None]:
        """Bring the consolidated metadata up to date after a change at these paths, whole or not."""
        link = self._consolidated
        if link is None:
            yield
            return
        # Parents that are missing are created too.
        steps = {one: None for path in paths for one in link.parents_of(path)}
        changed = ((*steps,), paths) if deep else ((*steps, *paths), ())
        try:
            yield
        except BaseException:
            with suppress(ZarrcError, OSError):
                link.changed(*changed, write=consolidate)
            raise
        link.changed(*changed, write=consolidate)

    def _once(self) -> AbstractContextManager[None]:
        """Write what is changed in the ``with`` block to the consolidated metadata at its end."""
        return nullcontext() if self._consolidated is None else self._consolidated.once()

    # --- create

    def create_array(
        self,
        name: str,
        *,
        overwrite: bool = False,
        consolidate: bool = True,
        **keywords: Unpack[ArrayKeywords],
    ) -> Array:
        """Create an array below this group, in the group's Zarr format; groups on the way are created too.

        Parameters
        ----------
        name : str
            Name, or path (``"a/b/c"``).
        overwrite : bool, default False
            Delete a node of that name first.
        consolidate : bool, default True
            Where the group was opened with consolidated metadata: write the new array into them. False is for
            loops, after which `zarrc.consolidate_metadata` does it once.
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
        path = self._new_path(name)
        with self._changing(path, deep=overwrite, consolidate=consolidate):
            made = new_array.create_array_at(
                self._store,
                path,
                self._inherited(keywords),
                overwrite=overwrite,
                caller="Group.create_array",
            )
        return self._linked(made)

    def create(self, name: str, **keywords: Any) -> Array:
        """Create an array; the same as `create_array`."""
        return self.create_array(name, **keywords)

    def create_group(
        self,
        name: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        consolidate: bool = True,
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
        consolidate : bool, default True
            As for `create_array`.

        Raises
        ------
        ContainsNodeError
            If there is a node of that name, or if a parent is an array.
        """
        path = self._new_path(name)
        metadata = build_group(zarr_format=self._metadata.zarr_format, attributes=attributes)
        with self._changing(path, deep=overwrite, consolidate=consolidate):
            create_node(self._store, path, metadata, overwrite=overwrite)
        made = self._member(path[len(self._path) :].lstrip("/"), metadata)
        assert not isinstance(made, Array)
        return made

    def create_hierarchy(
        self, nodes: Mapping[str, Any], *, overwrite: bool = False, consolidate: bool = True
    ) -> Iterator[tuple[str, Array | Group]]:
        """Create many arrays and groups at once; see `zarrc.create_hierarchy`.

        Parameters
        ----------
        nodes : Mapping
            Path below this group -> metadata.
        overwrite : bool, default False
            Delete first what is at these paths, with everything below it.
        consolidate : bool, default True
            As for `create_array`.

        Yields
        ------
        (str, Array or Group)
            Path below this group, and the new node.
        """
        from zarrc.new_nodes import create_nodes

        self._check_writable("create nodes")
        paths = {normalize_path(path): metadata for path, metadata in nodes.items()}
        if "" in paths:
            raise ValueError("create_hierarchy() of a group creates what is below it: '' names no member")
        inside = {join(self._path, path): metadata for path, metadata in paths.items()}
        with self._changing(*inside, deep=overwrite, consolidate=consolidate):
            made = create_nodes(self._store, inside, self._metadata.zarr_format, overwrite=overwrite)
        start = len(self._path) + 1 if self._path else 0
        return iter([(path[start:], self._member(path[start:], metadata)) for path, metadata in made])

    # --- create where it is not

    def require_group(self, name: str, *, overwrite: bool = False, consolidate: bool = True) -> Group:
        """Return the group of that name; create it if it is not there.

        Parameters
        ----------
        name : str
            Name, or path.
        overwrite : bool, default False
            Delete it first.
        consolidate : bool, default True
            As for `create_array`.

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
            return self.create_group(name, overwrite=overwrite, consolidate=consolidate)
        except ContainsGroupError:
            # Another thread or process has created it since it was looked for.
            return self._made_by_others().get_group(name)

    def require_groups(self, *names: str) -> tuple[Group, ...]:
        """Return the groups of these names; create those that are not there, if all can be.

        Raises
        ------
        ContainsArrayError
            If there is an array of one of the names, or on the way to one; then no group is created.
        """
        found = [self._required_group(name) for name in names]
        with self._once():
            return tuple(
                self.require_group(name) if one is None else one
                for name, one in zip(names, found, strict=True)
            )

    def _required_group(self, name: str) -> Group | None:
        """Return a group; None if it can be created."""
        found = self.get(name)
        if isinstance(found, Array):
            raise ContainsArrayError(f"{place(self._store, found.path)} is an array, not a group")
        if found is None:
            self._new_path(name)
            for above in ancestors(normalize_path(name))[1:]:
                if isinstance(self.get(above), Array):
                    where = place(self._store, join(self._path, above))
                    raise ContainsArrayError(f"{where} is an array; only groups may have nodes below them")
        return found

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
                found = self._made_by_others().get(name)
                if found is None:
                    raise
        if not isinstance(found, Array):
            raise new_array.contains_group(found.store, found.path)
        new_array.check_same(found, shape, dtype, exact=exact)
        return found

    def _made_by_others(self) -> GroupMembers:
        """Return this group as the store has it, whatever consolidated metadata say."""
        return self if self._consolidated is None else self._unlinked()

    # --- create by content

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
