from typing import final

from zarrc.indexing.selection import Selection

_Indices = tuple[int, ...]

@final
class Plan:
    """The parts of a selection on a regular chunk grid, as the engine runs them."""

    def __init__(
        self, selection: Selection, shape: _Indices, chunk_shape: _Indices, result_strides: _Indices
    ) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[_Indices, _Indices, _Indices, int, bool]: ...
