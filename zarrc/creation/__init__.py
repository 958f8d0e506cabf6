"""The functions of the module: create, open, save and load arrays and groups."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.creation.creating import array, create, create_array, empty, from_array, full, ones, zeros
    from zarrc.creation.groups import create_group, group, tree
    from zarrc.creation.likes import empty_like, full_like, ones_like, open_like, zeros_like
    from zarrc.creation.opening import open, open_array, open_group
    from zarrc.creation.saving import load, save, save_array, save_group

__all__ = [
    "array",
    "create",
    "create_array",
    "create_group",
    "empty",
    "empty_like",
    "from_array",
    "full",
    "full_like",
    "group",
    "load",
    "ones",
    "ones_like",
    "open",
    "open_array",
    "open_group",
    "open_like",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]

# Module -> its functions; loaded on first use: to open an array needs nothing of what creates one.
_HOMES = {
    "creating": ("array", "create", "create_array", "empty", "from_array", "full", "ones", "zeros"),
    "groups": ("create_group", "group", "tree"),
    "likes": ("empty_like", "full_like", "ones_like", "open_like", "zeros_like"),
    "opening": ("open", "open_array", "open_group"),
    "saving": ("load", "save", "save_array", "save_group"),
}


def __getattr__(name: str) -> object:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(__all__) | set(globals()))
