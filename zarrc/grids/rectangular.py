"""The ``rectangular`` grid of a draft: read as ``rectilinear``, never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarrc.grids.base import ChunkGrid
from zarrc.grids.rectilinear import RectilinearChunkGrid, axis_runs
from zarrc.reading import Reading

__all__ = ["from_v3_json"]


def from_v3_json(configuration: Mapping[str, Any], reading: Reading) -> ChunkGrid:
    """The grid that a ``rectangular`` one amounts to.

    Notes
    -----
    ZEP 3 draft: ``{"chunk_shape": [[5, 5, 15], 10]}``. The registered ``rectilinear`` came of it.
    """
    at = reading.at("configuration")
    at.only_keys(configuration, ("chunk_shape",))
    at = at.at("chunk_shape")
    axes = at.sequence(reading.at("configuration").required(configuration, "chunk_shape"))
    grid = RectilinearChunkGrid(tuple(axis_runs(axis, at.at(d)) for d, axis in enumerate(axes)))
    reading.assume("'rectangular' is the name in a draft", "read as 'rectilinear'")
    return grid
