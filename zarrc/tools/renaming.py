"""On local stores a node is put in its place, or goes, by one rename of its directory."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from zarrc.errors import StoreError
from zarrc.kernels.locks import all_changed
from zarrc.storage.directories import flush_directory, make_durably, remove_contents

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["directory_of", "flush_names", "is_renamable", "put_in_place", "rename_directory", "staging_path"]


def is_renamable(store: Store) -> bool:
    """Whether the nodes of a store are directories, which can be renamed."""
    return store.local_root is not None


def staging_path(path: str) -> str:
    """A path beside a node's that listings do not show, and that nobody else has."""
    above, slash, name = path.rpartition("/")
    return f"{above}{slash}.zc-new-{name[:100]}-{uuid.uuid4().hex[:12]}"


def directory_of(store: Store, path: str) -> str:
    """The directory of a node."""
    assert store.local_root is not None
    return os.path.join(store.local_root, path)


def put_in_place(store: Store, staged: str, path: str, *, replaces: bool) -> None:
    """Rename what was made at ``staged``; what was at ``path`` steps aside, and back if that fails."""
    source, target = directory_of(store, staged), directory_of(store, path)
    rename_directory(source, target, replaces=replaces, durable=store.durable)


def rename_directory(source: str, target: str, *, replaces: bool, durable: bool = False) -> None:
    """Make a directory's name another one.

    Parameters
    ----------
    source, target : str
        Its paths, before and after.
    replaces : bool
        Whether what is at ``target`` is deleted; otherwise nothing but an empty directory may be there.
    durable : bool, default False
        Whether the new name is on the disk at the end.

    Raises
    ------
    StoreError
        If it cannot be: then both are as they were.
    """
    aside = None
    try:
        if durable:
            make_durably(os.path.dirname(target))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if replaces and os.path.lexists(target):
            above, name = os.path.split(target)
            aside = os.path.join(above, f".zc-old-{name[:100]}-{uuid.uuid4().hex[:12]}")
            os.rename(target, aside)
        os.rename(source, target)
    except BaseException as error:
        left = _put_back(aside, target)
        if isinstance(error, OSError):
            raise _translated(error, target, left) from error
        raise
    # Files are elsewhere, and others in their places: what is kept of any is looked at again.
    all_changed()
    if durable:
        flush_names(target, source)
    if aside is not None:
        # Nobody sees it any more; what cannot be deleted is no reason to fail.
        with suppress(OSError):
            if os.path.islink(aside):
                os.unlink(aside)
            else:
                remove_contents(aside, itself=True)


def flush_names(*paths: str) -> None:
    """Have it on the disk which names the directories above have."""
    try:
        for above in dict.fromkeys(map(os.path.dirname, paths)):
            flush_directory(above)
    except OSError as error:
        raise _translated(error, paths[0], "") from error


def _put_back(aside: str | None, target: str) -> str:
    """Give a directory that stepped aside its name again; what to tell if that fails too."""
    if aside is None or not os.path.lexists(aside):
        return ""
    try:
        os.rename(aside, target)
    except OSError:
        return f"; what was there is now called {aside}"
    return ""


def _translated(error: OSError, target: str, left: str) -> StoreError:
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
        made = StoreError(f"{target} is there and holds what is no node{left}")
    else:
        made = StoreError(f"{error.strerror or error} [errno {error.errno}]{left}")
    made.errno = error.errno
    return made
