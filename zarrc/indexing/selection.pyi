from collections.abc import Sequence
from types import EllipsisType
from typing import Any, SupportsIndex, final

import numpy as np
import numpy.typing as npt

BasicIndex = SupportsIndex | slice | EllipsisType | None

@final
class Selection:
    """A selection: a range or a list of indices for each axis, and the shape of the result."""

    def __init__(self, key: BasicIndex | tuple[BasicIndex, ...], shape: tuple[int, ...]) -> None: ...
    @property
    def axes(self) -> tuple[tuple[int, int, int] | None, ...]: ...
    @property
    def is_box(self) -> bool: ...
    @property
    def box(self) -> tuple[tuple[int, int, int], ...]: ...
    @property
    def result_shape(self) -> tuple[int, ...]: ...
    @property
    def is_scalar(self) -> bool: ...
    @property
    def groups(
        self,
    ) -> tuple[tuple[tuple[int, ...], tuple[npt.NDArray[np.int64], ...], tuple[int, ...]], ...] | None: ...
    @property
    def mask(self) -> npt.NDArray[np.bool_] | None: ...

def make_selection(
    array_shape: tuple[int, ...],
    axes: Sequence[tuple[int, int, int, int] | None],
    groups: Sequence[tuple[Sequence[int], Sequence[npt.NDArray[Any]], Sequence[int]]],
    result_shape: Sequence[int],
    is_scalar: bool = False,
) -> Selection: ...
def mask_selection(array_shape: tuple[int, ...], mask: npt.NDArray[np.bool_]) -> Selection: ...
