from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import Buffer

def copy(
    dst: np.ndarray[Any, Any],
    src: np.ndarray[Any, Any],
    *,
    swap: bool = False,
    level: int = -1,
    streamed: bool = False,
) -> None:
    """Copy ``src`` to ``dst``, which has the same shape and item size and does not overlap it."""

def fill(dst: np.ndarray[Any, Any], pattern: Buffer) -> None:
    """Set the bytes of each item of ``dst`` to ``pattern``."""

def equals(src: np.ndarray[Any, Any], pattern: Buffer, *, level: int = -1) -> bool:
    """Whether each item of ``src`` has the bits of ``pattern``; True for an empty array."""

def transpose(src: np.ndarray[Any, Any], order: Sequence[int]) -> np.ndarray[Any, Any]:
    """A new C-contiguous array with the dimensions of ``src`` in another order."""

def swap(data: Buffer, unit: int) -> None:
    """Reverse the bytes of each ``unit`` (1, 2, 4 or 8) bytes of ``data`` in place."""
