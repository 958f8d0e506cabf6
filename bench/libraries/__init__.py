"""The libraries that are compared, by name: a module each, imported in the child process that measures it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from bench.libraries.base import Cannot, Library

__all__ = [
    "LIBRARIES",
    "LIMIT",
    "ONLY_REMOTE",
    "PEERS_AT_64",
    "ZARR_PEERS",
    "Cannot",
    "Library",
    "available",
    "library_class",
]

# The row that is not a library: bare system calls, copies and compressors (each workload says which).
LIMIT = "limit"

# name -> (class, packages that must be installed)
LIBRARIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "zarrc": ("bench.libraries.remote:ZarrcRemote", ("zarrc",)),
    "zarr": ("bench.libraries.zarr_python:ZarrPython", ("zarr",)),
    "zarr-fused": ("bench.libraries.zarr_python:ZarrFused", ("zarr",)),
    "zarrs": ("bench.libraries.zarr_python:Zarrs", ("zarr", "zarrs")),
    "tensorstore": ("bench.libraries.remote:TensorstoreRemote", ("tensorstore",)),
    # Only at servers: each with as many requests at once as it chooses, and with 64.
    "zarr-fsspec": ("bench.libraries.remote:ZarrFsspec", ("zarr", "gcsfs")),
    "zarr-fsspec-64": ("bench.libraries.remote:ZarrFsspec64", ("zarr", "gcsfs")),
    "zarr-obstore": ("bench.libraries.remote:ZarrObstore", ("zarr", "obstore")),
    "zarr-obstore-64": ("bench.libraries.remote:ZarrObstore64", ("zarr", "obstore")),
    "tensorstore-64": ("bench.libraries.remote:Tensorstore64", ("tensorstore",)),
    "h5py": ("bench.libraries.h5py_:H5py", ("h5py",)),
    LIMIT: ("", ()),
}

# Those that zarrc's times are divided by.
ZARR_PEERS = ("zarr", "zarr-fused", "zarrs", "tensorstore", "zarr-fsspec", "zarr-obstore")
# As those of them that are measured at servers, with 64 requests at once.
PEERS_AT_64 = ("zarr-fsspec-64", "zarr-obstore-64", "tensorstore-64")
# What no other workload is for.
ONLY_REMOTE = ("zarr-fsspec", "zarr-obstore", *PEERS_AT_64)


def available(name: str) -> bool:
    """Whether the packages of ``name`` are installed; nothing is imported."""
    return all(find_spec(package) is not None for package in LIBRARIES[name][1])


def library_class(name: str) -> type[Library]:
    module, _, attribute = LIBRARIES[name][0].partition(":")
    found: type[Library] = getattr(import_module(module), attribute)
    return found
