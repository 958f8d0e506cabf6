"""A store for what is not part of another store yet: a directory of temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref

from zarrc.storage.local import LocalStore

__all__ = ["TemporaryStore"]


class TemporaryStore(LocalStore):
    """A new directory for temporary files (see `tempfile`), removed when the store is closed or goes away.

    Its process removes it, also when that ends; a killed one leaves it to whatever clears such directories.
    """

    def __init__(self) -> None:
        super().__init__(tempfile.mkdtemp(prefix="zarrc-staged-"))
        self._remove = weakref.finalize(self, _remove, self.root, os.getpid())

    def close(self) -> None:
        """Remove the directory and what is in it."""
        self._remove()


def _remove(root: str, pid: int) -> None:
    # Not in a forked child, which has the finalizer too.
    if os.getpid() == pid:
        shutil.rmtree(root, ignore_errors=True)
