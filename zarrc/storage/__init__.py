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
    from zarrc.storage.registry import open_named, register_store, store_names
    from zarrc.storage.resolve import AccessMode, StoreLike, make_store, open_store
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
    "Stat",
    "Store",
    "StoreLike",
    "StorePath",
    "check_key",
    "check_prefix",
    "keys_below",
    "make_store",
    "open_named",
    "open_store",
    "register_store",
    "store_names",
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
        "Stat": "base",
        "Store": "base",
        "StoreLike": "resolve",
        "StorePath": "store_path",
        "check_key": "keys",
        "check_prefix": "keys",
        "keys_below": "keys",
        "make_store": "resolve",
        "open_named": "registry",
        "open_store": "resolve",
        "register_store": "registry",
        "store_names": "registry",
    },
)
