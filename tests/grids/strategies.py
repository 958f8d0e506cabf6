"""Hypothesis strategies for chunk grids."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from zarrc.grids import RectilinearChunkGrid


@st.composite
def axes(draw: st.DrawFn, extent: int, unit: int = 1) -> Any:
    """The chunks along an axis, as a user may say them: to its end, or beyond."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.integers(1, max(1, extent) // unit + 2)) * unit
    said: list[Any] = []
    total = 0
    while total < extent or not said:
        size = draw(st.integers(1, max(1, extent // unit // 2 + 1))) * unit
        count = draw(st.sampled_from((1, 1, 1, 2, 3)))
        total += size * count
        said.append(size if count == 1 else [size, count])
    said += draw(st.sampled_from(([], [], [], [unit], [[2 * unit, 3]])))
    return said


@st.composite
def grids(draw: st.DrawFn, shape: tuple[int, ...]) -> RectilinearChunkGrid:
    """A rectilinear grid for an array."""
    return RectilinearChunkGrid([draw(axes(extent)) for extent in shape])
