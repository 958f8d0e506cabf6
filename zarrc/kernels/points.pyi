from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

_Int64s = npt.NDArray[np.int64]

def normalize_indices(
    indices: npt.NDArray[np.integer[Any]], extent: int
) -> tuple[_Int64s, None] | tuple[None, int]:
    """Integers as they index an axis of ``extent`` elements: a new array, or the first that is outside."""

@final
class Points:
    def __init__(
        self,
        indices: Sequence[_Int64s],
        chunk_extents: Sequence[Sequence[int]],
        user_strides: Sequence[int],
        edges: Sequence[npt.ArrayLike | None] | None = None,
    ) -> None: ...
    def count_distinct(self) -> None: ...
    @property
    def n_points(self) -> int: ...
    @property
    def coords(self) -> list[_Int64s]: ...
    @property
    def user(self) -> _Int64s: ...
    def buckets(self, level: int) -> _Int64s: ...
    def chunks(self, level: int) -> _Int64s: ...
    def n_distinct(self, level: int) -> npt.NDArray[np.uintp] | None: ...
    @property
    def boxes(self) -> tuple[_Int64s, _Int64s]: ...

@final
class Levels:
    def __init__(self, levels: Sequence[tuple[Any, ...]]) -> None: ...

def pick(
    way: Literal["read", "write", "fill"],
    user: Buffer,
    user_start: int,
    chunk: Buffer,
    chunk_start: int,
    levels: Levels,
    itemsize: int,
    swap_unit: int = 0,
) -> None:
    """Copy the product of ``levels``; "fill" with the item that ``chunk`` begins with."""

@final
class Mask:
    def __init__(self, mask: npt.NDArray[Any]) -> None: ...
    @property
    def n_true(self) -> int: ...
    def count(self, low: Sequence[int], count: Sequence[int]) -> int: ...
    def move(
        self,
        way: Literal["read", "write", "fill"],
        low: Sequence[int],
        user: npt.NDArray[Any],
        chunk: npt.NDArray[Any],
        *,
        swap_unit: int = 0,
    ) -> None: ...
