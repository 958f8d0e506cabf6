"""Free memory that is really there, before a round that needs much of it.

A virtual machine may give free memory back to its host after a second or two (free page reporting).
Touching it again then costs a second of processor time a GiB, five times what reading an array into
it costs, and which library has to pay is chance. So each round that needs much memory begins with
free pages that the machine really has: they are touched, and freed again.
"""

from __future__ import annotations

import contextlib
import mmap

import numpy as np

LEAST_NBYTES = 16 << 20
_PAGE_NBYTES = 4096


def make_ready(nbytes: int) -> None:
    """Touch and free ``nbytes`` of memory, in huge pages where there are some."""
    if nbytes < LEAST_NBYTES:
        return
    with contextlib.closing(mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)) as mapped:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a system without huge pages
                mapped.madvise(mmap.MADV_HUGEPAGE)
        touched = np.frombuffer(mapped, np.uint8)
        touched[::_PAGE_NBYTES] = 1
        del touched
