"""Zarr v2 and v3 for Python: chunked, compressed, N-dimensional arrays; NumPy in, NumPy out.

Everything loads on first use: ``import zarrc`` costs next to nothing.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock
from types import ModuleType

TYPE_CHECKING = False  # as type checkers understand it; importing typing would cost more than all else here
if TYPE_CHECKING:
    from typing import Any

    from zarrc import codecs, dtypes, errors, grids, mosaic, storage, transactions
    from zarrc.array import Array
    from zarrc.attributes import Attributes
    from zarrc.config import ArrayConfig, config
    from zarrc.creation import (
        array,
        consolidate_metadata,
        create,
        create_array,
        create_group,
        create_hierarchy,
        delete,
        empty,
        empty_like,
        from_array,
        full,
        full_like,
        group,
        load,
        ones,
        ones_like,
        open,
        open_array,
        open_consolidated,
        open_group,
        open_like,
        save,
        save_array,
        save_group,
        tree,
        zeros,
        zeros_like,
    )
    from zarrc.group import Group
    from zarrc.labels import sel
    from zarrc.suggesting import suggest_chunks
    from zarrc.tools import compare, copy, copy_all, copy_array, copy_store, move, rename
    from zarrc.transactions import transaction

__version__ = "0.1.0"

__all__ = [
    "Array",
    "ArrayConfig",
    "Attributes",
    "Group",
    "array",
    "codecs",
    "compare",
    "config",
    "consolidate_metadata",
    "copy",
    "copy_all",
    "copy_array",
    "copy_store",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "delete",
    "dtypes",
    "empty",
    "empty_like",
    "errors",
    "from_array",
    "full",
    "full_like",
    "grids",
    "group",
    "labels",
    "load",
    "mosaic",
    "move",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_consolidated",
    "open_group",
    "open_like",
    "rename",
    "save",
    "save_array",
    "save_group",
    "sel",
    "storage",
    "suggest_chunks",
    "transaction",
    "transactions",
    "tree",
    "zeros",
    "zeros_like",
]

# Name -> the module that has it. None: the name is the module.
_HOMES = dict.fromkeys(__all__, "creation") | {
    "Array": "array",
    "ArrayConfig": "config",
    "Attributes": "attributes",
    "Group": "group",
    "codecs": None,
    "config": "config",
    "copy": "tools",
    "copy_all": "tools",
    "compare": "tools",
    "copy_array": "tools",
    "copy_store": "tools",
    "dtypes": None,
    "errors": None,
    "grids": None,
    "labels": None,
    "mosaic": None,
    "move": "tools",
    "rename": "tools",
    "sel": "labels",
    "storage": None,
    "suggest_chunks": "suggesting",
    "transaction": "transactions",
    "transactions": None,
}


_numpy_lock = allocate_lock()


def __getattr__(name: str) -> Any:
    # Here, so that the import of zarrc is the import of one file.
    from zarrc.lazy import load

    if name in _HOMES and name not in ("ArrayConfig", "config", "errors"):
        # NumPy imports itself in circles: threads that use zarrc first, all at once, would meet half of it.
        with _numpy_lock:
            import numpy  # noqa: F401
    try:
        return load(globals(), _HOMES, name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(f"{__name__}."):
            error.add_note(
                f"{__path__[0]} holds the sources of zarrc, not built: "
                "run 'make dev' there, or start Python elsewhere"
            )
        raise


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """The package, in which `array`, `group`, `config` and `tree` are what users call, not modules."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds each submodule it has loaded to the package: over the function of the same
        # name.
        if isinstance(value, ModuleType) and _HOMES.get(name) is not None:
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
