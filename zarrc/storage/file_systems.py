"""fsspec file systems as objects: made synchronous, made anew, compared."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

__all__ = ["fingerprint", "remade", "synchronous"]

# Those of the parent, in a forked child: the end of their sessions would wait for an event loop that is not
# there.
_of_parents: list[Any] = []


def synchronous(fs: Any) -> Any:
    """The file system, made anew where it is one for use inside an event loop only."""
    if not getattr(fs, "asynchronous", False):
        return fs
    return type(fs)(*fs.storage_args, **{**fs.storage_options, "asynchronous": False})


def remade(fs: Any) -> Any:
    """The same file system for a forked child."""
    _of_parents.append(fs)
    # Pickling makes it from its arguments, and so those of them that are file systems themselves.
    return pickle.loads(pickle.dumps(fs))


def fingerprint(fs: Any) -> str:
    """A text that is equal for file systems that were made alike; fsspec's own also depends on the thread."""
    if getattr(fs, "global_store", True):  # a memory file system with a store of its own is like no other
        try:
            return hashlib.sha256(fs.to_json().encode()).hexdigest()
        except Exception:  # it may be made with any objects, which need not go into JSON
            pass
    return str(id(fs))
