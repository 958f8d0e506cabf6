"""The place in a store that a user named, and what may be done there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal

from zarrc.array import Array
from zarrc.dtypes import DEFAULT_FILL
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.nodes import find_node, place, wrong_kind
from zarrc.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreError,
    ZarrcError,
)
from zarrc.metadata.model import ArrayMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zarrc.config import ArrayConfigLike
    from zarrc.creation.keywords import ZarrFormat
    from zarrc.engine.nodes import Kind
    from zarrc.group import Group
    from zarrc.storage.base import Store

__all__ = ["Mode", "Place", "flush_named"]

Mode = Literal["r", "r+", "a", "w", "w-"]

_MODES: Final = ("r", "r+", "a", "w", "w-")


class Place:
    """A place in a store that the user named, and what may be done there."""

    def __init__(
        self,
        store: Any,
        path: str | None,
        mode: Mode | None,
        storage_options: Mapping[str, Any] | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, got {mode!r}")
        self.mode = mode
        self.store: Store
        if named is not None:
            from zarrc.creation.named_stores import open_by_name

            self.store, self.path = open_by_name(store, path, mode, storage_options, named), ""
        else:
            self.store, self.path = find_store(store, path, mode, storage_options)
        self.read_only = mode == "r"

    def __str__(self) -> str:
        return place(self.store, self.path)

    def find(
        self,
        zarr_format: ZarrFormat | None,
        strict: bool = False,
        config: ArrayConfigLike = None,
        repair_fill: object = DEFAULT_FILL,
    ) -> Array | Group | None:
        """Open the node that is there, if there is one."""
        try:
            metadata = find_node(
                self.store, self.path, zarr_format, strict, repair_fill, writable=not self.read_only
            )
        except StoreError as error:
            error.message = f"cannot open {self}: {error.message}"
            raise
        if metadata is None:
            return None
        if isinstance(metadata, ArrayMetadata):
            return Array(self.store, self.path, metadata, config, read_only=self.read_only)
        from zarrc.group import Group

        return Group(self.store, self.path, metadata, read_only=self.read_only)

    def missing(
        self, kind: Kind | None, zarr_format: ZarrFormat | None, advice: str = ""
    ) -> NodeNotFoundError:
        """Return the error for a node that is not there, with what to do about it."""
        from zarrc.engine.node_search import missing_node_error

        error = missing_node_error(self.store, self.path, kind, zarr_format)
        if not advice or not self._is_writable:
            return error
        but = f" (mode={self.mode!r} never creates)" if self.mode in ("r", "r+") else ""
        pass_it = " Or pass" if error.message.endswith("?") else "; pass"
        return type(error)(f"{error.message}{pass_it} {advice}{but}", key=error.key)

    @property
    def _is_writable(self) -> bool:
        """Whether another mode could create something here: not over HTTP, and not in a read-only store."""
        # With mode "r" the store was made read-only for this handle, which says nothing about the place.
        try:
            store = self.store.with_read_only(False) if self.mode == "r" else self.store
            store._check_writable()
        except ReadOnlyError:
            return False
        return True

    def wrong_kind(self, found: Array | Group) -> ZarrcError:
        """Return the error for a node of the other kind than is wanted."""
        message = wrong_kind(self.store, self.path, found.metadata)
        if self.mode in ("r", "r+", None):
            return (GroupNotFoundError if isinstance(found, Array) else ArrayNotFoundError)(message)
        return (ContainsArrayError if isinstance(found, Array) else ContainsGroupError)(message)


def flush_named(store: Any, made: Store) -> None:
    """Put what was written in its place, if the user named the place by a path or URL and gets no store.

    A zip archive does it by itself when it is given up: but a failure can be told to nobody then.
    """
    if store is None or isinstance(store, (str, os.PathLike)):
        made.flush()


def find_store(
    store: Any, path: str | None, mode: Mode | None, storage_options: Mapping[str, Any] | None
) -> tuple[Store, str]:
    from zarrc.storage.resolve import checked_options, make_store

    if store is None and path:
        # The path is all that was said: it is where the data are, not a path inside a new memory store.
        store, path = path, None
    options = None if storage_options is None else checked_options(storage_options)
    found, prefix = make_store(store, mode=mode, storage_options=options)
    if not path:
        return found, prefix
    inner = normalize_path(path)
    return found, join(prefix, inner) if inner else prefix
