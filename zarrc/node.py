"""What arrays and groups have in common: a place in a store, a name, attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from zarrc.dtypes import DEFAULT_FILL
from zarrc.engine.node_names import normalize_path
from zarrc.engine.nodes import NodeMetadata, open_node, place
from zarrc.errors import AttributesError, ReadOnlyError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from zarrc.attributes import Attributes, Change
    from zarrc.consolidated import Consolidated
    from zarrc.storage import StorePath
    from zarrc.storage.base import Store

__all__ = ["Node", "without_nan"]

_Linked = TypeVar("_Linked", bound="Node")


class Node:
    """An array's or group's handle: where it is, and its metadata as they were when last read or written."""

    __slots__ = (
        "__weakref__", "_consolidated", "_is_looked_at", "_metadata", "_path", "_read_only", "_store"
    )  # fmt: skip

    _kind: Literal["array", "group"]
    _later: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Names that users know from elsewhere and that do not exist here yet, with what to do instead."""
    _metadata: NodeMetadata

    def __init__(self, store: Store, path: str, metadata: NodeMetadata, *, read_only: bool = False) -> None:
        self._store = store
        self._path = normalize_path(path)
        self._metadata = metadata
        self._read_only = bool(read_only)
        self._consolidated: Consolidated | None = None
        self._is_looked_at = True

    if not TYPE_CHECKING:  # type checkers would take it that every name exists

        def __getattr__(self, name: str) -> Any:
            instead = type(self)._later.get(name)
            if instead is not None:
                text = f"{type(self).__name__}.{name} is not in this version of zarrc: {instead}"
                raise AttributeError(text, name=name, obj=self)
            # Python's own error; or that of a property in which an attribute is missing.
            return object.__getattribute__(self, name)

    # --- where it is

    @property
    def store(self) -> Store:
        """The store that holds the node."""
        return self._store

    @property
    def path(self) -> str:
        """Path inside the store, without a leading slash; ``""`` is the root."""
        return self._path

    @property
    def store_path(self) -> StorePath:
        """Store and path in one."""
        from zarrc.storage import StorePath

        return StorePath(self._store, self._path)

    @property
    def name(self) -> str:
        """The path with a leading slash, as in HDF5."""
        return f"/{self._path}"

    @property
    def basename(self) -> str:
        """The last part of the path; ``""`` for the root."""
        return self._path.rpartition("/")[2]

    @property
    def read_only(self) -> bool:
        """Whether writing is refused: by this handle (mode "r") or by its store."""
        return self._read_only or self._store.read_only

    def _check_writable(self, doing: str) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"cannot {doing}: the {self._kind} was opened for reading only; open it with mode='r+'",
                array=(self._path or "/") if self._kind == "array" else None,
                key=(self._path or "/") if self._kind == "group" else None,
            )
        if not self._is_looked_at:
            self._look()

    def _look(self) -> None:
        """Resolve an interrupted transaction, before the first write to a node that was not opened itself."""
        from zarrc.engine.unsettled import settle

        self._is_looked_at = True
        if settle(self._store, self._path):
            if self._consolidated is not None:
                self._consolidated.forget()
            self._refresh()

    # --- metadata

    @property
    def attrs(self) -> Attributes:
        """The user's attributes; writes to them are stored at once."""
        from zarrc.attributes import Attributes

        return Attributes(self)

    def update_attributes(self, new_attributes: Mapping[str, Any]) -> Self:
        """Set these attributes, in one write; others stay.

        Parameters
        ----------
        new_attributes : Mapping
            Names and values; NumPy scalars and arrays become numbers and lists.

        Returns
        -------
        Array or Group
            This handle.

        Raises
        ------
        AttributesError
            If a value cannot be stored as JSON; then nothing is changed.
        ReadOnlyError
            If the array or group was opened for reading only.
        """
        self._check_writable("update attributes")
        self.attrs.update(new_attributes)
        return self

    def _read_attributes(self) -> Mapping[str, Any]:
        return self._metadata.attributes

    def _change_attributes(self, change: Change) -> None:
        """Apply a change to the attributes as they are stored now, and store them."""
        self._check_writable("change attributes")

        def changed(stored: NodeMetadata) -> NodeMetadata:
            attributes = dict(stored.attributes)
            change(attributes)
            return stored.evolve(attributes=without_nan(attributes, place(self._store, self._path)))

        try:
            self._update(changed)
        except RecursionError:
            # Read from a document with some room to spare, they are walked in deeper steps here.
            where = place(self._store, self._path)
            raise AttributesError(f"the attributes of {where} are nested too deeply to be changed") from None

    def _update(self, change: Callable[[NodeMetadata], NodeMetadata]) -> None:
        """Change the stored metadata, under their lock, and take what is stored then."""
        # To open a node needs nothing of what changes one.
        from zarrc.engine.node_changes import update_node

        metadata = self._metadata
        with self._metadata_lock():
            new = update_node(self._store, self._path, metadata.zarr_format, change, self._repair_fill())
            self._take_stored(new)

    def _metadata_lock(self) -> AbstractContextManager[object]:
        """Return what keeps others from changing the node's documents."""
        from zarrc.engine.node_changes import node_lock

        return node_lock(self._store, self._path)

    def _take_stored(self, metadata: NodeMetadata) -> None:
        """Go on with metadata that this handle has just stored, under their lock.

        Everything that replaces an open node's documents comes here: attributes, resizing, appending.
        """
        self._set_metadata(metadata)
        link = self._consolidated
        # In format 3 a group's own document is the one that holds its members.
        if link is not None and (link.zarr_format == 2 or link.path != self._path):
            link.changed((self._path,))

    def _linked(self, node: _Linked) -> _Linked:
        """Return another handle, which from now on keeps the same consolidated metadata up to date."""
        node._consolidated = self._consolidated
        return node

    def _refresh(self) -> None:
        """Read the metadata again."""
        from zarrc.engine.node_changes import node_lock

        # Under the lock of this process: not older, when they are taken, than what another thread has stored.
        with node_lock(self._store, self._path):
            found = open_node(
                self._store,
                self._path,
                zarr_format=self._metadata.zarr_format,
                kind=self._kind,
                repair_fill=self._repair_fill(),
            )
            self._set_metadata(found)

    def _repair_fill(self) -> object:
        """Return what a stored document without a fill value is read with: what this handle has."""
        return DEFAULT_FILL

    def _set_metadata(self, metadata: NodeMetadata) -> None:
        self._metadata = metadata

    # --- identity

    def __eq__(self, other: object) -> bool:
        """Two handles are equal if they are of one node."""
        if not isinstance(other, Node):
            return NotImplemented
        return self is other or (type(self) is type(other) and self._identity() == other._identity())

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> object:
        return self._metadata.zarr_format, self._store.identity_of(self._path)


def without_nan(attributes: dict[str, Any], where: str) -> dict[str, Any]:
    """Spell NaN and the infinities as strings: other writers store them bare, which is not JSON (RFC 8259).

    Ours are refused on assignment; one that was read must not stop the user from changing another attribute.
    """
    found: list[str] = []
    clean = {key: _spell(value, key, found) for key, value in attributes.items()}
    if found:
        from zarrc.warning import warn

        warn(
            f"{where}: the attributes {', '.join(map(repr, dict.fromkeys(found)))} held NaN or infinities, "
            "which JSON cannot hold; they are stored as strings now"
        )
    return clean


def _spell(value: Any, key: str, found: list[str]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        found.append(key)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _spell(one, key, found) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spell(one, key, found) for one in value]
    return value
