"""Which driver a file system has: told by the names of its classes, so that nothing is imported for it."""

from __future__ import annotations

import importlib
from typing import Any

from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.dirfs import DirFileSystem

from zarrc.storage.remote.driver import Driver
from zarrc.storage.remote.generic import GenericDriver, SynchronousDriver
from zarrc.storage.remote.running import InCaller, InLoop, Runner

__all__ = ["is_async", "runner_of", "takes_urls"]

# Class of a file system (and of those derived from it) -> module and class of the driver.
_DRIVERS = {
    "s3fs.core.S3FileSystem": ("s3", "S3Driver"),
    "gcsfs.core.GCSFileSystem": ("gcs", "GCSDriver"),
    "adlfs.spec.AzureBlobFileSystem": ("azure", "AzureDriver"),
    "fsspec.implementations.http.HTTPFileSystem": ("http", "HTTPDriver"),
    "zarrc.storage.remote.obstore.ObstoreFiles": ("obstore", "ObstoreDriver"),
    "zarrc.storage.remote.zarr_python.ZarrPythonFiles": ("zarr_python", "ZarrPythonDriver"),
}

# What a subclass must not have changed, or it would be left out.
_METHODS = ("_cat_file", "_pipe_file", "_info", "_rm_file")


def is_async(fs: Any) -> bool:
    """Whether ``_cat_file`` and so on can be awaited, here and in a file system that it stands on."""
    inner = getattr(fs, "fs", None)
    return bool(getattr(fs, "async_impl", False)) and (inner is None or is_async(inner))


def takes_urls(fs: Any) -> bool:
    """Whether the paths are those of URLs, in which ``#``, ``?`` and ``%`` are no letters."""
    if isinstance(fs, (DirFileSystem, CachingFileSystem)):
        return takes_urls(fs.fs)
    return "http" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def runner_of(fs: Any) -> Runner:
    """What does the requests of a file system."""
    if not is_async(fs):
        return InCaller(SynchronousDriver(fs))
    return InLoop(_driver_of(fs))


def _driver_of(fs: Any) -> Driver:
    for kind in type(fs).__mro__:
        found = _DRIVERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None and _is_plain(type(fs), kind):
            driver: Driver = getattr(importlib.import_module(f"{__package__}.{found[0]}"), found[1])(fs)
            return driver
    return GenericDriver(fs)


def _is_plain(kind: type, known: type) -> bool:
    """Whether a file system reads and writes as the known one does; gcsfs has its own subclass of its own."""
    packages = {known.__module__.partition(".")[0]}
    return all(
        getattr(getattr(kind, name), "__module__", "").partition(".")[0] in packages
        for name in _METHODS
        if hasattr(known, name)
    )
