"""The lock of an array's metadata among processes, for ``locking="file"``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from zarrc.config import config
from zarrc.errors import StoreError
from zarrc.kernels.locks import FileLock

if TYPE_CHECKING:
    from zarrc.node import Node

__all__ = ["file_locked", "lock_of_file"]


@contextmanager
def file_locked(node: Node, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Hold a node's metadata lock of this process, and the one of all processes: a file beside the document.

    Parameters
    ----------
    node : Node
    lock : context manager
        The lock of this process, which is taken first: a file is not locked twice by one process.
    """
    name = "zarr.json" if node._metadata.zarr_format == 3 else ".zarray"
    path = node.store.lock_path(f"{node.path}/{name}" if node.path else name)
    if path is None:
        raise StoreError(
            "locking='file' is for directories of this machine or its network file systems, and SQLite "
            f"files; {type(node.store).__name__} is none"
        )
    with lock, lock_of_file(path, len(os.fsencode(os.path.dirname(path)))):
        yield


def lock_of_file(path: str, root_nbytes: int = 0) -> FileLock:
    """The lock of a file as the settings say; directories are made, but for the first bytes of the path."""
    return FileLock(
        os.fsencode(path),
        root_nbytes,
        config.get("storage.lock_timeout"),
        config.get("storage.lock"),
    )
