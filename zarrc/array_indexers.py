"""What an array gives for selections of one kind, to be used with brackets: oindex, vindex, blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zarrc.array_selecting import points

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.array_selecting import ArraySelecting

__all__ = ["BlockIndex", "OIndex", "VIndex"]


class OIndex:
    """`ArraySelecting.oindex`: orthogonal selections, in brackets."""

    __slots__ = ("_array",)

    def __init__(self, array: ArraySelecting) -> None:
        self._array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read; see `ArraySelecting.get_orthogonal_selection`."""
        return self._array.get_orthogonal_selection(selection)

    def __setitem__(self, selection: Any, value: npt.ArrayLike) -> None:
        """Write; see `ArraySelecting.set_orthogonal_selection`."""
        self._array.set_orthogonal_selection(selection, value)


class VIndex:
    """`ArraySelecting.vindex`: selections of points, in brackets."""

    __slots__ = ("_array",)

    def __init__(self, array: ArraySelecting) -> None:
        self._array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read what lists select point by point."""
        array = self._array
        return array._data().read_selection(array._located(points, selection, array.shape))

    def __setitem__(self, selection: Any, value: npt.ArrayLike) -> None:
        """Write to what lists select point by point."""
        array = self._array
        array._check_writable("write")
        array._data().write_selection(array._located(points, selection, array.shape), value)


class BlockIndex:
    """`ArraySelecting.blocks`: selections of whole blocks, in brackets."""

    __slots__ = ("_array",)

    def __init__(self, array: ArraySelecting) -> None:
        self._array = array

    def __getitem__(self, selection: Any) -> Any:
        """Read; see `ArraySelecting.get_block_selection`."""
        return self._array.get_block_selection(selection)

    def __setitem__(self, selection: Any, value: npt.ArrayLike) -> None:
        """Write; see `ArraySelecting.set_block_selection`."""
        self._array.set_block_selection(selection, value)
