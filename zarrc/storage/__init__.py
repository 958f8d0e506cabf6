"""Stores: where the objects of arrays and groups are kept."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat, Store
    from zarrc.storage.fsspec_store import FsspecStore
    from zarrc.storage.keys import check_key, check_prefix, keys_below
    from zarrc.storage.local import LocalStore
    from zarrc.storage.mapping import MappingStore
    from zarrc.storage.memory import MemoryStore
    from zarrc.storage.registry import (
        StoreInfo,
        info,
        names,
        open_named,
        register,
        register_scheme,
        register_store,
        store_names,
        unregister,
        unregister_scheme,
    )
    from zarrc.storage.resolve import AccessMode, StoreLike, make_store, open_store
    from zarrc.storage.sqlite import SQLiteStore
    from zarrc.storage.store_path import StorePath

__all__ = [
    "AccessMode",
    "Blob",
    "ByteRange",
    "Changes",
    "DirListing",
    "FsspecStore",
    "LocalStore",
    "MappingStore",
    "MemoryStore",
    "SQLiteStore",
    "Stat",
    "Store",
    "StoreInfo",
    "StoreLike",
    "StorePath",
    "check_key",
    "check_prefix",
    "info",
    "keys_below",
    "make_store",
    "names",
    "open_named",
    "open_store",
    "register",
    "register_scheme",
    "register_store",
    "store_names",
    "unregister",
    "unregister_scheme",
]

# Name -> module; loaded on first use, since fsspec takes longer to import than everything else.
__getattr__, __dir__ = lazy(
    globals(),
    {
        "AccessMode": "resolve",
        "Blob": "base",
        "ByteRange": "base",
        "Changes": "base",
        "DirListing": "base",
        "FsspecStore": "fsspec_store",
        "LocalStore": "local",
        "MappingStore": "mapping",
        "MemoryStore": "memory",
        "SQLiteStore": "sqlite",
        "Stat": "base",
        "Store": "base",
        "StoreInfo": "registry",
        "StoreLike": "resolve",
        "StorePath": "store_path",
        "check_key": "keys",
        "check_prefix": "keys",
        "info": "registry",
        "keys_below": "keys",
        "make_store": "resolve",
        "names": "registry",
        "open_named": "registry",
        "open_store": "resolve",
        "register": "registry",
        "register_scheme": "registry",
        "register_store": "registry",
        "store_names": "registry",
        "unregister": "registry",
        "unregister_scheme": "registry",
    },
)
