"""Stores: where the objects of arrays and groups are kept."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.storage.backend import Backend, BackendStore
    from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat, Store
    from zarrc.storage.fsspec_store import FsspecStore
    from zarrc.storage.keys import check_key, check_prefix, keys_below
    from zarrc.storage.local import LocalStore
    from zarrc.storage.mapping import MappingStore
    from zarrc.storage.memory import MemoryStore
    from zarrc.storage.obstore_store import ObstoreStore
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
    from zarrc.storage.wrappers.base import WrapperStore
    from zarrc.storage.wrappers.cache import CacheInfo, CacheStore
    from zarrc.storage.wrappers.costs import (
        AZURE_HOT,
        GCS_STANDARD,
        S3_STANDARD,
        Cost,
        PriceTable,
        estimate_cost,
    )
    from zarrc.storage.wrappers.faulty import Fault, FaultyStore
    from zarrc.storage.wrappers.logging import LoggingStore
    from zarrc.storage.wrappers.metered import MeteredStore
    from zarrc.storage.wrappers.prefix import PrefixStore
    from zarrc.storage.wrappers.read_only import ReadOnlyStore
    from zarrc.storage.wrappers.statistics import OperationStats, StoreStats
    from zarrc.storage.zarr_python_store import ZarrPythonStore
    from zarrc.storage.zip import ZipStore

__all__ = [
    "AZURE_HOT",
    "GCS_STANDARD",
    "S3_STANDARD",
    "AccessMode",
    "Backend",
    "BackendStore",
    "Blob",
    "ByteRange",
    "CacheInfo",
    "CacheStore",
    "Changes",
    "Cost",
    "DirListing",
    "Fault",
    "FaultyStore",
    "FsspecStore",
    "LocalStore",
    "LoggingStore",
    "MappingStore",
    "MemoryStore",
    "MeteredStore",
    "ObstoreStore",
    "OperationStats",
    "PrefixStore",
    "PriceTable",
    "ReadOnlyStore",
    "SQLiteStore",
    "Stat",
    "Store",
    "StoreInfo",
    "StoreLike",
    "StorePath",
    "StoreStats",
    "WrapperStore",
    "ZarrPythonStore",
    "ZipStore",
    "check_key",
    "check_prefix",
    "estimate_cost",
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
        "AZURE_HOT": "wrappers.costs",
        "GCS_STANDARD": "wrappers.costs",
        "S3_STANDARD": "wrappers.costs",
        "AccessMode": "resolve",
        "Backend": "backend",
        "BackendStore": "backend",
        "Blob": "base",
        "ByteRange": "base",
        "CacheInfo": "wrappers.cache",
        "CacheStore": "wrappers.cache",
        "Changes": "base",
        "Cost": "wrappers.costs",
        "DirListing": "base",
        "Fault": "wrappers.faulty",
        "FaultyStore": "wrappers.faulty",
        "FsspecStore": "fsspec_store",
        "LocalStore": "local",
        "LoggingStore": "wrappers.logging",
        "MappingStore": "mapping",
        "MemoryStore": "memory",
        "MeteredStore": "wrappers.metered",
        "ObstoreStore": "obstore_store",
        "OperationStats": "wrappers.statistics",
        "PrefixStore": "wrappers.prefix",
        "PriceTable": "wrappers.costs",
        "ReadOnlyStore": "wrappers.read_only",
        "SQLiteStore": "sqlite",
        "Stat": "base",
        "Store": "base",
        "StoreInfo": "registry",
        "StoreLike": "resolve",
        "StorePath": "store_path",
        "StoreStats": "wrappers.statistics",
        "WrapperStore": "wrappers.base",
        "ZarrPythonStore": "zarr_python_store",
        "ZipStore": "zip",
        "check_key": "keys",
        "check_prefix": "keys",
        "estimate_cost": "wrappers.costs",
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
