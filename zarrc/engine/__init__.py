"""The read path and the write path of an array's data."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from zarrc.engine.access import ArrayAccess

__all__ = ["ArrayAccess"]


def __getattr__(name: str) -> Any:
    # Loaded with the kernels when data are first touched: opening needs `zarrc.engine.nodes` only.
    if name == "ArrayAccess":
        from zarrc.engine.access import ArrayAccess

        return ArrayAccess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
