"""The lock of an array's metadata among processes, for ``locking="file"``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from zarrc.errors import StoreError
from zarrc.kernels.locks import FileLock

if TYPE_CHECKING:
    from zarrc.node import Node

__all__ = ["file_locked"]


@contextmanager
def file_locked(node: Node, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Hold a node's metadata lock of this process, and the one of all processes: a file beside the document.

    Parameters
    ----------
    node : Node
    lock : context manager
        The lock of this process, which is taken first: a file is not locked twice by one process.
    """
    root = node.store.local_root
    if root is None:
        raise StoreError(
            "locking='file' is for directories of this machine or its network file systems; "
            f"{type(node.store).__name__} is none"
        )
    folder = os.path.join(root, node.path) if node.path else root
    name = "zarr.json" if node._metadata.zarr_format == 3 else ".zarray"
    with lock, FileLock(os.fsencode(os.path.join(folder, name)), len(os.fsencode(folder))):
        yield
