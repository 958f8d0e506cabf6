"""Work on whole arrays and hierarchies."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.tools.comparing import Comparison, compare
    from zarrc.tools.copying import copy_array
    from zarrc.tools.copying_stores import copy_store
    from zarrc.tools.hierarchies import Copied, copy, copy_all
    from zarrc.tools.moving import move, rename
    from zarrc.tools.packing import pack, unpack

__all__ = [
    "Comparison",
    "Copied",
    "compare",
    "copy",
    "copy_all",
    "copy_array",
    "copy_store",
    "move",
    "pack",
    "rename",
    "unpack",
]

__getattr__, __dir__ = lazy(
    globals(),
    {
        **dict.fromkeys(("Comparison", "compare"), "comparing"),
        "copy_array": "copying",
        "copy_store": "copying_stores",
        **dict.fromkeys(("Copied", "copy", "copy_all"), "hierarchies"),
        **dict.fromkeys(("move", "rename"), "moving"),
        **dict.fromkeys(("pack", "unpack"), "packing"),
    },
)
