"""The read path and the write path of an array's data."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.engine.access import ArrayAccess

__all__ = ["ArrayAccess"]

# Loaded with the kernels when data are first touched: opening needs `zarrc.engine.nodes` only.
__getattr__, __dir__ = lazy(globals(), {"ArrayAccess": "access"})
