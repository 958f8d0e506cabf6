"""Stores by name, for ``storage="filesystem"`` and its like."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Store
from zarrc.storage.local import LocalStore
from zarrc.storage.memory import MemoryStore

__all__ = ["open_named", "register_store", "store_names"]

_factories: dict[str, Callable[..., Store]] = {}


def register_store(name: str, factory: Callable[..., Store], *, replace: bool = False) -> None:
    """Make ``storage=name`` mean a store.

    Parameters
    ----------
    name : str
        The name.
    factory : callable
        Called with the keyword arguments that the user gave (``path=``, ``table_name=``, ...); returns a
        `Store`. A ``TypeError`` that it raises for an argument is the user's.
    replace : bool, default False
        Whether the name may be taken already.

    Raises
    ------
    ValueError
        If the name is taken and ``replace`` is False.
    """
    if not replace and _factories.get(name, factory) is not factory:
        raise ValueError(f"there is a store named {name!r} already; pass replace=True to replace it")
    _factories[name] = factory


def open_named(storage: str, **options: Any) -> Store:
    """The store that ``storage=`` names.

    Parameters
    ----------
    storage : str
        ``"filesystem"`` (with ``path=``), ``"memory"`` or ``"ets"`` (with ``table_name=``, or a new one
        without), or a name that was given to `register_store`.
    **options
        What the store is made with.

    Returns
    -------
    Store

    Raises
    ------
    StoreError
        If there is no store of that name.
    TypeError
        If an option is missing or unknown.
    """
    factory = _factories.get(storage)
    if factory is None:
        raise StoreError(f"no storage named {storage!r}; known are {', '.join(store_names())}")
    return factory(**options)


def store_names() -> list[str]:
    """The names that `open_named` knows, sorted."""
    return sorted(_factories)


def _filesystem(*, path: str | os.PathLike[str]) -> Store:
    return LocalStore(path)


def _memory(*, table_name: str | None = None) -> Store:
    return MemoryStore(name=table_name)


register_store("filesystem", _filesystem)
register_store("memory", _memory)
register_store("ets", _memory)
