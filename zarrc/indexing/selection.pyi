from types import EllipsisType
from typing import SupportsIndex, final

BasicIndex = SupportsIndex | slice | EllipsisType | None

@final
class Selection:
    """A basic selection: a start, a step and a count for each axis, and the shape of the result."""

    def __init__(self, key: BasicIndex | tuple[BasicIndex, ...], shape: tuple[int, ...]) -> None: ...
    @property
    def axes(self) -> tuple[tuple[int, int, int], ...]: ...
    @property
    def result_shape(self) -> tuple[int, ...]: ...
