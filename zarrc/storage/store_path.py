"""A place in a store."""

from __future__ import annotations

from zarrc.frozen import frozen
from zarrc.storage.base import Store
from zarrc.storage.keys import check_prefix

__all__ = ["StorePath"]


@frozen()
class StorePath:
    """A store and a path in it: where a node is.

    Parameters
    ----------
    store : Store
        The store.
    path : str, default ""
        Names joined by ``/``, with or without a slash at the end; ``""`` is the root.

    Raises
    ------
    StoreError
        If the path is not legal.
    """

    store: Store
    path: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", check_prefix(self.path).removesuffix("/"))

    def __truediv__(self, name: str) -> StorePath:
        return StorePath(self.store, f"{self.path}/{name}" if self.path and name else self.path or name)

    def __str__(self) -> str:
        return f"{self.store}/{self.path}" if self.path else str(self.store)
