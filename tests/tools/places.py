"""Where tests copy from and to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarrc
from tests.storage.four_methods import FourMethods

PLACES = ("local", "memory", "python", "mapping")


def new_store(kind: str, folder: Path) -> Any:
    stores: dict[str, Callable[[], Any]] = {
        "local": lambda: zarrc.storage.LocalStore(str(folder)),
        "memory": zarrc.storage.MemoryStore,
        "python": lambda: FourMethods({}),
        "mapping": dict,
    }
    return stores[kind]()


def stored_chunks(array: Any) -> dict[str, bytes]:
    """The stored chunks of an array, by their coordinates."""
    encoding = array.metadata.chunk_key_encoding
    skipped = len(array.path) + 1 if array.path else 0
    found = {}
    for key in array.store.list_prefix(array.path):
        coordinates = encoding.decode(key[skipped:])
        if coordinates is not None:
            found[str(coordinates)] = bytes(array.store.get(key))
    return found
