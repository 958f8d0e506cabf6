"""Stores of obstore (``obstore.store.S3Store`` and so on) as stores."""

from __future__ import annotations

import os
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Store
from zarrc.storage.fsspec_store import FsspecStore
from zarrc.storage.local import LocalStore
from zarrc.storage.remote.obstore import ObstoreFiles
from zarrc.storage.remote.running import Runner

__all__ = ["ObstoreStore", "from_obstore"]


def from_obstore(store: Any, *, read_only: bool = False) -> Store:
    """The store for one of obstore; a `LocalStore` for one of files below a directory.

    Parameters
    ----------
    store : obstore.store.ObjectStore
        obstore's store.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.
    """
    prefix = getattr(store, "prefix", None)
    if type(store).__name__ == "LocalStore" and prefix is not None:
        return LocalStore(prefix, read_only=read_only)
    return ObstoreStore(store, read_only=read_only)


class ObstoreStore(FsspecStore):
    """A store of obstore: S3, Google Cloud Storage, Azure, web servers, memory.

    Parameters
    ----------
    store : obstore.store.ObjectStore
        obstore's store, with its credentials, retries and timeouts.
    path : str, default ""
        A prefix in it.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.

    Notes
    -----
    Requests run together as in `FsspecStore`, and carry ETags: `set_if` decides at the service (except for
    web servers). Names with control characters are refused by obstore. obstore does not work in a forked
    child; start processes by "spawn".
    """

    def __init__(self, store: Any, path: str = "", *, read_only: bool = False) -> None:
        files = store if isinstance(store, ObstoreFiles) else ObstoreFiles(store)
        super().__init__(files, path, read_only=read_only)

    @property
    def store(self) -> Any:
        """The store of obstore."""
        return self._fs.store

    @property
    def _runner(self) -> Runner:
        if self._pid != os.getpid():
            raise StoreError("obstore does not work in a forked child: start processes by 'spawn'")
        return self._own_runner

    def __repr__(self) -> str:
        return f"<ObstoreStore {self}>"
