"""Keys of ``vindex``: points, whose dimensions come first, whatever stands between them."""

from __future__ import annotations

from typing import Any

from zarrc.indexing import fancy
from zarrc.indexing.index_map import IndexMap

__all__ = ["index_map"]


def index_map(key: Any, shape: tuple[int, ...]) -> IndexMap:
    """Read a key for a view of ``shape``."""
    return fancy.index_map(key, shape, points_first=True)
