"""What an import needs to know of a file, whatever library reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Box", "LeftOut", "SourceArray", "SourceFile", "SourceGroup"]

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArray:
    """One numeric variable of a file.

    Parameters
    ----------
    path : str
        Path inside the file, ``group/name``, without a leading slash.
    dtype : numpy.dtype
        Data type in native byte order.
    shape : tuple of int
        Number of elements per axis.
    dimensions : tuple of str
        Name per axis.
    unlimited : tuple of bool
        Per axis, whether it can still grow in the file.
    chunks : tuple of int or None
        The file's own chunk shape; None where the data are contiguous.
    attributes : mapping
        As the library returns them, the library's bookkeeping left out.
    read : callable
        From a box (one slice with start and stop per axis) to an array of ``dtype`` that the caller owns.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    unlimited: tuple[bool, ...]
    chunks: tuple[int, ...] | None
    attributes: Mapping[str, Any]
    read: Callable[[Box], np.ndarray[Any, Any]]

    @property
    def nbytes(self) -> int:
        """Size in memory, in bytes."""
        n_elements = 1
        for length in self.shape:
            n_elements *= length
        return n_elements * self.dtype.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGroup:
    """One group of a file: its path (empty for the root) and its attributes."""

    path: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is in the file and is not imported: its path and the reason, one or two words."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file's groups and arrays, parents before children; the root group is first.

    ``close`` frees the file; after it no array can be read.
    """

    groups: list[SourceGroup]
    arrays: list[SourceArray]
    left_out: list[LeftOut]
    close: Callable[[], None] = field(repr=False)

    def dimension_names(self) -> list[str]:
        """Every dimension name of the file's arrays, each once, in order of appearance."""
        return list(dict.fromkeys(name for array in self.arrays for name in array.dimensions))
