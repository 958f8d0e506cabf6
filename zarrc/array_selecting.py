"""What an array's handle selects by: indices, slices, names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zarrc.array_facts import ArrayFacts

if TYPE_CHECKING:
    from types import EllipsisType
    from typing import SupportsIndex

    import numpy.typing as npt

    from zarrc.engine import ArrayAccess
    from zarrc.engine.write_buffer import WriteBuffer

    BasicIndex = SupportsIndex | slice | EllipsisType | None
    BasicSelection = BasicIndex | tuple[BasicIndex, ...]

__all__ = ["ArraySelecting"]


class ArraySelecting(ArrayFacts):
    """Reading and writing parts of an array."""

    __slots__ = ()

    def _data(self) -> ArrayAccess | WriteBuffer:
        raise NotImplementedError

    def __getitem__(self, selection: BasicSelection) -> Any:
        """Read the elements that integers, slices (of any step), ``...`` and ``None`` select, as NumPy does.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            A new array, owned by the caller; a scalar if each dimension is indexed by an integer.

        Raises
        ------
        BoundsCheckError
            If an integer is out of bounds.
        SelectionError
            If the selection has too many indices, or is of a kind that this is not for.
        CorruptChunkError
            If a stored chunk is not what the metadata says.
        """
        return self._data().read(selection)

    def __setitem__(self, selection: BasicSelection, value: npt.ArrayLike) -> None:
        """Write to the selected elements; ``value`` broadcasts as in NumPy.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        CastingError
            If a value does not fit the data type (see `ArrayConfig.casting`).
        ValueError
            If the shapes do not broadcast.
        """
        self._check_writable("write")
        self._data().write(selection, value)

    def get_basic_selection(
        self, selection: BasicSelection = ..., *, out: npt.NDArray[Any] | None = None
    ) -> Any:
        """Read what ``array[selection]`` does, into ``out`` if it is given.

        Parameters
        ----------
        selection : int, slice, ..., None, or a tuple of these
            What to read; everything by default.
        out : numpy.ndarray, optional
            Where to put it: of the selection's shape and the array's dtype, any strides. After an error it
            may be partly written.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array or scalar.
        """
        return self._data().read(selection, out=out)

    def set_basic_selection(self, selection: BasicSelection, value: npt.ArrayLike) -> None:
        """Write as ``array[selection] = value`` does.

        Parameters
        ----------
        selection : int, slice, ..., None, or a tuple of these
            Where to write.
        value : array_like
            What to write; broadcasts as in NumPy.
        """
        self[selection] = value
