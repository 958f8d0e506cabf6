"""The functions of the module: create, open, save and load arrays and groups."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.creation.creating import array, create, create_array, empty, from_array, full, ones, zeros
    from zarrc.creation.groups import (
        consolidate_metadata,
        create_group,
        delete,
        group,
        open_consolidated,
        tree,
    )
    from zarrc.creation.hierarchies import create_hierarchy
    from zarrc.creation.likes import empty_like, full_like, ones_like, open_like, zeros_like
    from zarrc.creation.opening import open, open_array, open_group
    from zarrc.creation.saving import load, save, save_array, save_group

__all__ = [
    "array",
    "consolidate_metadata",
    "create",
    "create_array",
    "create_group",
    "create_hierarchy",
    "delete",
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
    "open_consolidated",
    "open_group",
    "open_like",
    "save",
    "save_array",
    "save_group",
    "tree",
    "zeros",
    "zeros_like",
]

# Loaded on first use: to open an array needs nothing of what creates one.
__getattr__, __dir__ = lazy(
    globals(),
    {
        **dict.fromkeys(
            ("array", "create", "create_array", "empty", "from_array", "full", "ones", "zeros"), "creating"
        ),
        **dict.fromkeys(
            ("consolidate_metadata", "create_group", "delete", "group", "open_consolidated", "tree"), "groups"
        ),
        "create_hierarchy": "hierarchies",
        **dict.fromkeys(("empty_like", "full_like", "ones_like", "open_like", "zeros_like"), "likes"),
        **dict.fromkeys(("open", "open_array", "open_group"), "opening"),
        **dict.fromkeys(("load", "save", "save_array", "save_group"), "saving"),
    },
)
