"""What objects are called in a cache: the same by all stores, of any process, that are on one place."""

from __future__ import annotations

import os
import uuid
from collections.abc import Hashable

from zarrc.storage.base import Store
from zarrc.storage.wrappers.base import WrapperStore

__all__ = ["marked", "place_of", "starts_of"]

_EVERYWHERE = "place "
_HERE = "here "
# Of what no other process has, in a cache that other processes see.
_process = uuid.uuid4().hex


def _renew() -> None:
    """The stores in memory of a child are others from now on."""
    global _process
    _process = uuid.uuid4().hex


os.register_at_fork(after_in_child=_renew)


def marked(place: str) -> str:
    """The name of a place in a cache that others see: of what only this process knows, with its mark."""
    return f"{_process} {place}" if place.startswith(_HERE) else place


def place_of(store: Store, start: str, namespace: str | None) -> str:
    """The name of a place, which the names of the objects there start with.

    Parameters
    ----------
    store : Store
        The store.
    start : str
        A prefix in it, with a slash at its end.
    namespace : str or None
        What the user calls the store.
    """
    if namespace is not None:
        return f"namespace {namespace}\n{start}"
    identity = store.identity_of(start)
    head, path = _split(identity)
    mark = _EVERYWHERE if _is_everywhere(store, identity) else _HERE
    return f"{mark}{head}\n{path}/" if path else f"{mark}{head}\n"


def starts_of(store: Store, start: str, namespace: str | None) -> tuple[str, ...]:
    """What the names of all objects below a prefix start with."""
    found = [place_of(store, start, namespace)]
    if namespace is None:
        identity = store.identity_of(start)
        # Of a store whose places are pairs of its own identity and a path.
        found += [f"{mark}{identity!r}\n" for mark in (_EVERYWHERE, _HERE)]
    return tuple(found)


def _split(identity: Hashable) -> tuple[str, str]:
    """What is the same for all places of a store, and the path."""
    if isinstance(identity, tuple) and len(identity) > 1 and isinstance(identity[-1], str):
        head = identity[:-1]
        return repr(head[0] if len(head) == 1 else head), identity[-1].strip("/")
    return repr(identity), ""


def _is_everywhere(store: Store, identity: Hashable) -> bool:
    """Whether an identity is that of the same place in every process of this machine."""
    while isinstance(store, WrapperStore):
        store = store.store
    fs = getattr(store, "fs", None)
    while fs is not None:
        protocol = getattr(fs, "protocol", ())
        if "memory" in ((protocol,) if isinstance(protocol, str) else protocol):
            return False
        fs = getattr(fs, "fs", None)
    return _is_text(identity)


def _is_text(identity: Hashable) -> bool:
    """Whether it is made of texts only, and not of addresses or of numbers that this process counts."""
    if isinstance(identity, tuple):
        return all(map(_is_text, identity))
    return isinstance(identity, str) and not identity.isdecimal()
