"""Stores of zarr-python, and of what follows its interface (icechunk), as stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Store
from zarrc.storage.fsspec_store import FsspecStore
from zarrc.storage.keys import check_prefix
from zarrc.storage.local import LocalStore
from zarrc.storage.remote.choice import runner_of
from zarrc.storage.remote.running import Request, Runner
from zarrc.storage.remote.zarr_python import ZarrPythonFiles

__all__ = ["ZarrPythonStore", "from_zarr_python"]


def from_zarr_python(store: Any) -> Store:
    """The store for one of zarr-python: what it stands on, where we know that, else a `ZarrPythonStore`.

    Parameters
    ----------
    store : zarr.abc.store.Store
        zarr-python's store; a read-only one stays so.
    """
    read_only = bool(store.read_only)
    kind = f"{type(store).__module__}.{type(store).__name__}"
    if kind == "zarr.storage._local.LocalStore":
        return LocalStore(store.root, read_only=read_only)
    if kind == "zarr.storage._fsspec.FsspecStore":
        # A synchronous file system is wrapped, for zarr-python, so that it looks like an asynchronous one.
        fs = getattr(store.fs, "sync_fs", store.fs)
        return FsspecStore.from_file_system(fs, store.path, read_only=read_only)
    if kind == "zarr.storage._obstore.ObjectStore":
        from zarrc.storage.obstore_store import from_obstore

        return from_obstore(store.store, read_only=read_only)
    return ZarrPythonStore(store, read_only=read_only)


class ZarrPythonStore(FsspecStore):
    """A store of zarr-python, used by its methods: `IcechunkStore`, `MemoryStore`, `LoggingStore`, ...

    Parameters
    ----------
    store : zarr.abc.store.Store
        zarr-python's store.
    path : str, default ""
        A prefix in it.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`; so they do where zarr-python's store is read-only.

    Notes
    -----
    Its coroutines run in zarr-python's own event loop, many at once. It does not tell versions: they are made
    from the content, which `stat` therefore reads, and `set_if` decides among the threads of this process.
    An object that must not be there is written by ``set_if_not_exists``.

    It pickles if zarr-python's store does. One of icechunk does not work in a forked child.
    """

    def __init__(self, store: Any, path: str = "", *, read_only: bool = False) -> None:
        files = store if isinstance(store, ZarrPythonFiles) else ZarrPythonFiles(store)
        super().__init__(files, path, read_only=read_only or bool(files.store.read_only))

    @property
    def store(self) -> Any:
        """The store of zarr-python."""
        return self._fs.store

    @property
    def _runner(self) -> Runner:
        if self._pid != os.getpid():
            if not type(self.store).__module__.startswith("zarr."):
                name = type(self.store).__name__
                raise StoreError(
                    f"a {name} is not known to work in a forked child: start processes by 'spawn'"
                )
            # Its event loop is another one there.
            self._own_runner, self._pid = runner_of(self._fs), os.getpid()
        return self._own_runner

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        check_prefix(prefix)
        driver: Any = self._runner.driver
        keys = list(self.list_prefix(prefix))
        asked = [Request(number, key, driver.nbytes, (self._path(key),)) for number, key in enumerate(keys)]
        for number, nbytes in self._runner.stream(asked):
            if nbytes is not None:
                yield keys[number], nbytes

    def __repr__(self) -> str:
        return f"<ZarrPythonStore {self}>"
