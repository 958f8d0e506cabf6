"""The libraries that are compared, by name: a module each, imported in the child process that measures it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from bench.libraries.base import Cannot, Library

__all__ = ["LIBRARIES", "LIMIT", "ZARR_PEERS", "Cannot", "Library", "available", "library_class"]

# The row that is not a library: bare system calls, copies and compressors (each workload says which).
LIMIT = "limit"

# name -> (class, packages that must be installed)
LIBRARIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "zarrc": ("bench.libraries.zarrc:Zarrc", ("zarrc",)),
    "zarr": ("bench.libraries.zarr_python:ZarrPython", ("zarr",)),
    "zarr-fused": ("bench.libraries.zarr_python:ZarrFused", ("zarr",)),
    "zarrs": ("bench.libraries.zarr_python:Zarrs", ("zarr", "zarrs")),
    "tensorstore": ("bench.libraries.tensorstore:Tensorstore", ("tensorstore",)),
    "h5py": ("bench.libraries.h5py_:H5py", ("h5py",)),
    LIMIT: ("", ()),
}

# Those that zarrc's times are divided by.
ZARR_PEERS = ("zarr", "zarr-fused", "zarrs", "tensorstore")


def available(name: str) -> bool:
    """Whether the packages of ``name`` are installed; nothing is imported."""
    return all(find_spec(package) is not None for package in LIBRARIES[name][1])


def library_class(name: str) -> type[Library]:
    module, _, attribute = LIBRARIES[name][0].partition(":")
    found: type[Library] = getattr(import_module(module), attribute)
    return found
