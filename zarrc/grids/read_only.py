"""Grids that are read as ``rectilinear`` ones, and never written under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarrc.grids.axis import MAX_EXTENT, AxisRuns, merged
from zarrc.grids.base import ChunkGrid
from zarrc.grids.rectilinear import RectilinearChunkGrid, axis_runs
from zarrc.reading import Reading

__all__ = ["rectangular", "regular_bounded"]


def rectangular(configuration: Mapping[str, Any], shape: tuple[int, ...], reading: Reading) -> ChunkGrid:
    """The grid that a ``rectangular`` one amounts to.

    Notes
    -----
    ZEP 3 draft: ``{"chunk_shape": [[5, 5, 15], 10]}``. The registered ``rectilinear`` came of it.
    """
    at = reading.at("configuration")
    at.only_keys(configuration, ("chunk_shape",))
    axes = at.at("chunk_shape").sequence(at.required(configuration, "chunk_shape"))
    grid = RectilinearChunkGrid(
        tuple(axis_runs(axis, at.at("chunk_shape").at(d)) for d, axis in enumerate(axes))
    )
    reading.assume("'rectangular' is the name in a draft", "read as 'rectilinear'")
    return grid


def regular_bounded(configuration: Mapping[str, Any], shape: tuple[int, ...], reading: Reading) -> ChunkGrid:
    """The grid that a ``zarrs.regular_bounded`` one amounts to: the last chunks end where the array does."""
    at = reading.at("configuration")
    at.only_keys(configuration, ("chunk_shape",))
    steps = at.at("chunk_shape").integers(at.required(configuration, "chunk_shape"), 1, MAX_EXTENT)
    axes = [_bounded(step, extent) for step, extent in zip(steps, shape, strict=False)]
    grid = RectilinearChunkGrid((*axes, *steps[len(shape) :]))
    reading.assume("'zarrs.regular_bounded' is not in the registry", "read as 'rectilinear'")
    return grid


def _bounded(step: int, extent: int) -> AxisRuns:
    count, rest = divmod(extent, step)
    return merged(((step, count), (rest, 1))[count == 0 :]) if rest else step
