"""Choosing chunk shapes for imported arrays: what the user asked, else the file's own, else zarrc's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from zarrc.interop.hierarchy import SourceArray, SourceFile

__all__ = ["check_chunks", "choose_chunks"]

# A chunk is one read and one file. Below 128 KiB the cost of opening it outweighs its bytes; above 64 MiB
# reading one value means decoding too much. Netcdf files with an unlimited time axis often have one time
# step a chunk.
_LEAST_NBYTES = 128 * 1024
_MOST_NBYTES = 64 * 1024**2
# Axes that the user did not name stay whole up to this size of a chunk.
_WHOLE_AXES_NBYTES = 16 * 1024**2

WHOLE_AXIS = -1


def check_chunks(chunks: Mapping[str, Any], file: SourceFile) -> None:
    """Refuse chunk lengths that mean nothing for this file.

    Raises
    ------
    ValueError
        If a length is neither positive nor -1, or no array has a dimension of that name.
    """
    known = file.dimension_names()
    for name, length in chunks.items():
        if not isinstance(length, int) or isinstance(length, bool) or (length < 1 and length != WHOLE_AXIS):
            raise ValueError(
                f"chunk length of {name!r} must be at least 1, or -1 for the whole axis: got {length!r}"
            )
        if name not in known:
            has = ", ".join(known) if known else "none"
            raise ValueError(f"there is no dimension {name!r} to chunk; the file's dimensions: {has}")


def choose_chunks(array: SourceArray, chunks: Mapping[str, int] | None) -> tuple[int, ...] | Literal["auto"]:
    """Choose the chunk shape of one array.

    Parameters
    ----------
    array : SourceArray
        The array to import.
    chunks : mapping of str to int, or None
        Chunk length per dimension name, as `check_chunks` accepts it.

    Returns
    -------
    tuple of int, or "auto"
        ``"auto"`` leaves the choice to zarrc.
    """
    if chunks and not set(chunks).isdisjoint(array.dimensions):
        return _asked(array, chunks)
    if array.chunks is not None:
        own = tuple(max(1, min(c, n)) for c, n in zip(array.chunks, array.shape, strict=True))
        if own == array.shape or _LEAST_NBYTES <= math.prod(own) * array.dtype.itemsize <= _MOST_NBYTES:
            return own
    return "auto"


def _asked(array: SourceArray, chunks: Mapping[str, int]) -> tuple[int, ...]:
    """The lengths that the user named; the other axes whole, halved while the chunk is large."""
    lengths = [max(1, n) for n in array.shape]
    free = []
    for axis, name in enumerate(array.dimensions):
        asked = chunks.get(name)
        if asked is None:
            free.append(axis)
        elif asked != WHOLE_AXIS:
            # An axis that can grow may get chunks longer than it is now.
            lengths[axis] = asked if array.unlimited[axis] else min(asked, lengths[axis])
    _halve_until(lengths, free, _WHOLE_AXES_NBYTES // array.dtype.itemsize)
    return tuple(lengths)


def _halve_until(lengths: list[int], free: Sequence[int], n_elements: int) -> None:
    """Halve the longest of the `free` axes until a chunk has at most `n_elements`, in place."""
    while math.prod(lengths) > n_elements:
        longest = max(free, key=lambda axis: lengths[axis], default=None)
        if longest is None or lengths[longest] == 1:
            return
        lengths[longest] = (lengths[longest] + 1) // 2
