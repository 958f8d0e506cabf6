"""The functions of the module: create, open, save and load arrays and groups."""

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
