"""What an array's handle selects by: indices, slices, lists, masks, blocks, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from zarrc.array_facts import ArrayFacts
from zarrc.errors import SelectionError

if TYPE_CHECKING:
    from types import EllipsisType
    from typing import SupportsIndex

    import numpy.typing as npt

    from zarrc.array_indexers import BlockIndex, OIndex, VIndex
    from zarrc.engine import ArrayAccess
    from zarrc.engine.write_buffer import WriteBuffer
    from zarrc.indexing.selection import Selection as Parsed

    BasicIndex = SupportsIndex | slice | EllipsisType | None
    BasicSelection = BasicIndex | tuple[BasicIndex, ...]
    Lists = range | list[Any] | npt.NDArray[Any]
    Selection = BasicIndex | Lists | tuple[BasicIndex | Lists, ...]
    Named = Mapping[str, SupportsIndex | slice | Lists]

__all__ = ["ArraySelecting", "points"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ArraySelecting(ArrayFacts):
    """Reading and writing parts of an array."""

    __slots__ = ()

    def _data(self) -> ArrayAccess | WriteBuffer:
        raise NotImplementedError

    def __getitem__(self, selection: Selection | Named) -> Any:
        """Read the elements that ``selection`` selects, as NumPy does.

        Parameters
        ----------
        selection : int, slice, ..., None, list, range, array of integers or bools, a tuple of these, or dict
            What to read. In a dict, dimensions are selected by their names, as `ArrayNaming.isel` does.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            A new array, owned by the caller; a scalar if each dimension is indexed by an integer.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        SelectionError
            If the selection has too many indices, or one of a kind that does not select.
        CorruptChunkError
            If a stored chunk is not what the metadata says.
        """
        if type(selection) is dict:
            return self._read_orthogonal(self._named_key(selection))
        return self._data().read(selection)

    def __setitem__(self, selection: Selection | Named, value: npt.ArrayLike) -> None:
        """Write to the selected elements; ``value`` broadcasts as in NumPy.

        Where a selection has an element several times, the last of the values for it stays.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        ReadOnlyError
            If the array was opened for reading only.
        CastingError
            If a value does not fit the data type (see `ArrayConfig.casting`).
        ValueError
            If the shapes do not broadcast.
        """
        self._check_writable("write")
        if type(selection) is dict:
            self._write_orthogonal(self._named_key(selection), value)
        else:
            self._data().write(selection, value)

    # --- one kind of selection

    @property
    def oindex(self) -> OIndex:
        """Orthogonal selections: ``a.oindex[[1, 5], [0, 2, 3]]`` has 2 x 3 elements."""
        from zarrc.array_indexers import OIndex

        return OIndex(self)

    @property
    def vindex(self) -> VIndex:
        """Selections of points: ``a.vindex[[1, 5], [0, 2]]`` has 2 elements.

        Lists, arrays of integers and masks are broadcast together, as in NumPy. Their dimensions come first,
        those of slices after them, wherever these stand.
        """
        from zarrc.array_indexers import VIndex

        return VIndex(self)

    @property
    def blocks(self) -> BlockIndex:
        """Selections of whole blocks: ``a.blocks[0, 2:4]``; see `get_block_selection`."""
        from zarrc.array_indexers import BlockIndex

        return BlockIndex(self)

    def get_basic_selection(
        self, selection: Selection = ..., *, out: npt.NDArray[Any] | None = None, fields: None = None
    ) -> Any:
        """Read what ``array[selection]`` does, into ``out`` if it is given.

        Parameters
        ----------
        selection : int, slice, ..., None, list, array, or a tuple of these
            What to read; everything by default.
        out : numpy.ndarray, optional
            Where to put it: of the selection's shape and the array's dtype, any strides. After an error it
            may be partly written.
        fields : None
            For structured data types, which come later.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array or scalar.
        """
        _no_fields(fields)
        return self._data().read(selection, out=out)

    def set_basic_selection(self, selection: Selection, value: npt.ArrayLike, *, fields: None = None) -> None:
        """Write as ``array[selection] = value`` does.

        Parameters
        ----------
        selection : int, slice, ..., None, list, array, or a tuple of these
            Where to write.
        value : array_like
            What to write; broadcasts as in NumPy.
        fields : None
            For structured data types, which come later.
        """
        _no_fields(fields)
        self._check_writable("write")
        self._data().write(selection, value)

    def get_orthogonal_selection(
        self, selection: Selection, *, out: npt.NDArray[Any] | None = None, fields: None = None
    ) -> Any:
        """Read what each list or mask selects along its own dimension, as slices do.

        Parameters
        ----------
        selection : int, slice, ..., None, list, range, array of integers or bools, or a tuple of these
            One item for each dimension, or fewer. A mask is as long as the dimension; lists may have indices
            in any order, and several times.
        out : numpy.ndarray, optional
            Where to put it, as for `get_basic_selection`.
        fields : None
            For structured data types, which come later.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array; dimensions are in the array's order, without those indexed by integers.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        SelectionError
            If there are too many items, or one does not select.

        Examples
        --------
        >>> import numpy as np, zarrc
        >>> a = zarrc.array(np.arange(12).reshape(3, 4))
        >>> a.get_orthogonal_selection(([2, 0], slice(None, None, 2)))
        array([[ 8, 10],
               [ 0,  2]])
        """
        _no_fields(fields)
        return self._data().read_selection(self._located(_orthogonal, selection, self.shape), out=out)

    def set_orthogonal_selection(
        self, selection: Selection, value: npt.ArrayLike, *, fields: None = None
    ) -> None:
        """Write to what `get_orthogonal_selection` reads.

        Parameters
        ----------
        selection : int, slice, ..., None, list, range, array of integers or bools, or a tuple of these
            Where to write.
        value : array_like
            What to write; broadcasts as in NumPy.
        fields : None
            For structured data types, which come later.
        """
        _no_fields(fields)
        self._check_writable("write")
        self._write_orthogonal(selection, value)

    def _write_orthogonal(self, selection: Any, value: npt.ArrayLike) -> None:
        self._data().write_selection(self._located(_orthogonal, selection, self.shape), value)

    def get_coordinate_selection(
        self, selection: Any, *, out: npt.NDArray[Any] | None = None, fields: None = None
    ) -> Any:
        """Read single elements by their coordinates.

        Parameters
        ----------
        selection : tuple of (int, list or array of integers)
            For each dimension the indices along it; they broadcast together. In any order, and several times.
        out : numpy.ndarray, optional
            Where to put it, as for `get_basic_selection`.
        fields : None
            For structured data types, which come later.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array of the shape to which the indices broadcast.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        SelectionError
            If there is not one item for each dimension, or the shapes do not broadcast.
        """
        _no_fields(fields)
        self._check_coordinates(selection)
        return self._data().read_selection(self._located(points, selection, self.shape), out=out)

    def set_coordinate_selection(self, selection: Any, value: npt.ArrayLike, *, fields: None = None) -> None:
        """Write single elements by their coordinates; of several values for one element the last stays.

        Parameters
        ----------
        selection : tuple of (int, list or array of integers)
            For each dimension the indices along it; they broadcast together.
        value : array_like
            What to write; broadcasts as in NumPy.
        fields : None
            For structured data types, which come later.
        """
        _no_fields(fields)
        self._check_writable("write")
        self._check_coordinates(selection)
        self._data().write_selection(self._located(points, selection, self.shape), value)

    def _check_coordinates(self, selection: Any) -> None:
        items = selection if isinstance(selection, tuple) else (selection,)
        wrong = len(items) != self.ndim
        if wrong or any(
            item is None or isinstance(item, slice | type(...)) or _is_mask(item) for item in items
        ):
            found = f"{len(items)} items" if wrong else f"{selection!r:.80}"
            raise SelectionError(
                f"coordinates are an integer or an array of integers for each of {self.ndim} dimensions, got "
                f"{found}; vindex takes slices and masks too",
                array=self._path,
            )

    def get_mask_selection(
        self, mask: npt.ArrayLike, *, out: npt.NDArray[Any] | None = None, fields: None = None
    ) -> Any:
        """Read the elements where a mask of the whole array is true.

        Parameters
        ----------
        mask : array_like of bool
            Of the array's shape.
        out : numpy.ndarray, optional
            Where to put them, as for `get_basic_selection`.
        fields : None
            For structured data types, which come later.

        Returns
        -------
        numpy.ndarray
            ``out``, or a new array of one dimension: the elements in C order.

        Raises
        ------
        SelectionError
            If the mask is not of bools, or not of the array's shape.
        """
        _no_fields(fields)
        return self._data().read(self._checked_mask(mask), out=out)

    def set_mask_selection(self, mask: npt.ArrayLike, value: npt.ArrayLike, *, fields: None = None) -> None:
        """Write the elements where a mask of the whole array is true.

        Parameters
        ----------
        mask : array_like of bool
            Of the array's shape.
        value : array_like
            One value, or one for each element that is true, in C order.
        fields : None
            For structured data types, which come later.
        """
        _no_fields(fields)
        self._check_writable("write")
        self._data().write(self._checked_mask(mask), value)

    def _checked_mask(self, mask: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        found = np.asarray(mask)
        if found.dtype.kind != "b" or found.shape != self.shape:
            raise SelectionError(
                f"a mask is an array of bools of the array's shape {self.shape}, got one of {found.dtype} "
                f"with shape {found.shape}",
                array=self._path,
            )
        return found

    def get_block_selection(
        self, selection: BasicSelection, *, out: npt.NDArray[Any] | None = None, fields: None = None
    ) -> Any:
        """Read whole blocks: stored objects, which are shards if the array has any, otherwise chunks.

        Parameters
        ----------
        selection : int, slice, ..., or a tuple of these
            Places in the grid of blocks, without steps. An integer keeps its dimension: a block has as many
            as the array.
        out : numpy.ndarray, optional
            Where to put them, as for `get_basic_selection`.
        fields : None
            For structured data types, which come later.

        Returns
        -------
        numpy.ndarray
            ``out``, or a new array of the blocks' elements; those at the end are cut to the array.

        Raises
        ------
        BoundsCheckError
            If there is no such block.
        SelectionError
            If there are too many items, or one is no integer and no slice.

        Examples
        --------
        >>> import numpy as np, zarrc
        >>> a = zarrc.array(np.arange(12).reshape(3, 4), chunks=(2, 2))
        >>> a.get_block_selection((-1, slice(0, 2)))
        array([[ 8,  9, 10, 11]])
        """
        _no_fields(fields)
        return self._data().read(self._block_region(selection) or ..., out=out)

    def set_block_selection(
        self, selection: BasicSelection, value: npt.ArrayLike, *, fields: None = None
    ) -> None:
        """Write whole blocks.

        Parameters
        ----------
        selection : int, slice, ..., or a tuple of these
            Places in the grid of blocks, as for `get_block_selection`.
        value : array_like
            What to write; broadcasts as in NumPy.
        fields : None
            For structured data types, which come later.
        """
        _no_fields(fields)
        self._check_writable("write")
        self._data().write(self._block_region(selection), value)

    def _block_region(self, selection: Any) -> tuple[slice, ...]:
        from zarrc.indexing.blocks import region_of

        return self._located(region_of, selection, self._metadata.chunk_grid, self.shape)

    # --- by name; more in `ArrayNaming`

    def _indexers(self, caller: str, indexers: Any, named: Mapping[str, Any]) -> dict[str, Any]:
        from zarrc.indexing.named import indexers_of

        return self._located(indexers_of, caller, indexers, named)

    def _named_key(self, indexers: Mapping[str, Any]) -> tuple[Any, ...]:
        from zarrc.indexing.named import named_key

        return self._located(named_key, indexers, self.dimension_names, self.ndim, self._metadata.zarr_format)

    def _read_orthogonal(self, key: tuple[Any, ...], out: npt.NDArray[Any] | None = None) -> Any:
        return self._data().read_selection(self._located(_orthogonal, key, self.shape), out=out)

    def _located(self, parse: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """Call a function of `zarrc.indexing`; what it refuses names this array."""
        try:
            return parse(*args, **named)
        except SelectionError as error:
            error.array = self._path
            raise


def _orthogonal(key: Any, shape: tuple[int, ...]) -> Parsed:
    # Not loaded for a handle that never needs it; so below.
    from zarrc.indexing.orthogonal import index_map

    return index_map(key, shape).selection()


def points(key: Any, shape: tuple[int, ...]) -> Parsed:
    """Parse a key whose lists are points, as the engine takes it."""
    from zarrc.indexing.coordinate import index_map

    return index_map(key, shape).selection()


def _is_mask(item: Any) -> bool:
    return np.asarray(item).dtype.kind == "b"


def _no_fields(fields: object) -> None:
    if fields is not None:
        raise NotImplementedError(
            f"fields={fields!r:.60} selects in structured data types, which are not in this version of zarrc"
        )
