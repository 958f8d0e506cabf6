"""Arrays that end (or begin) at a page that must not be touched: an overrun is a crash, not a wrong byte."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


class Guarded:
    """``nbytes`` bytes between two pages without access; keep it alive while the array is in use."""

    def __init__(self, nbytes: int, *, at_end: bool = True) -> None:
        inside = -(-max(nbytes, 1) // PAGE) * PAGE
        self._map = mmap.mmap(-1, inside + 2 * PAGE)
        self._view = np.frombuffer(self._map, np.uint8)
        first = self._view.ctypes.data
        for address in (first, first + PAGE + inside):
            if _libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
        start = PAGE + (inside - nbytes if at_end else 0)
        self.bytes: np.ndarray[Any, np.dtype[np.uint8]] = self._view[start : start + nbytes]


def guarded_like(values: np.ndarray[Any, Any], *, at_end: bool = True) -> np.ndarray[Any, Any]:
    """A C-contiguous copy of ``values`` against a guard page."""
    guard = Guarded(values.nbytes, at_end=at_end)
    guard.bytes[:] = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    # The array's base is the view over the map, which stays mapped as long as the array lives.
    return guard.bytes.view(values.dtype).reshape(values.shape) if values.itemsize else values
