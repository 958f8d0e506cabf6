"""fsspec file systems as objects: made synchronous, made anew, compared."""

from __future__ import annotations

import hashlib
import os
import pickle
import weakref
from typing import Any

from fsspec.asyn import AsyncFileSystem

__all__ = ["fingerprint", "remade", "synchronous"]

# Those that stores have; in a forked child, those of the parent are kept there besides.
_in_use: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_of_parents: list[Any] = []


def _disarm() -> None:
    """Keep a forked child from closing the connections of its parent.

    When a file system goes, or the interpreter ends, it closes its sessions in an event loop whose thread the
    child does not have: the child would wait for it, for some of them forever.
    """
    ours = dict(_in_use)
    _of_parents.extend(ours.values())
    # There is no other way to the finalizers of somebody else.
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        alive = finalizer.peek()
        if alive is not None and id(alive[0]) in ours:
            finalizer.detach()


os.register_at_fork(after_in_child=_disarm)


def synchronous(fs: Any) -> Any:
    """The file system, made anew where it is one for use inside an event loop only."""
    if getattr(fs, "asynchronous", False):
        fs = type(fs)(*fs.storage_args, **{**fs.storage_options, "asynchronous": False})
    if isinstance(fs, AsyncFileSystem):
        _in_use[id(fs)] = fs
    return fs


def remade(fs: Any) -> Any:
    """The same file system for a forked child."""
    # Pickling makes it from its arguments, and so those of them that are file systems themselves.
    return synchronous(pickle.loads(pickle.dumps(fs)))


def fingerprint(fs: Any) -> str:
    """A text that is equal for file systems that were made alike; fsspec's own also depends on the thread."""
    if getattr(fs, "global_store", True):  # a memory file system with a store of its own is like no other
        try:
            return hashlib.sha256(fs.to_json().encode()).hexdigest()
        except Exception:  # it may be made with any objects, which need not go into JSON
            pass
    return str(id(fs))
