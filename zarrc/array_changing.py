"""Changing an array as a whole: its shape, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from zarrc.array_walking import ArrayWalking

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from zarrc.array_selecting import BasicSelection
    from zarrc.engine import ArrayAccess
    from zarrc.metadata.model import ArrayMetadata

__all__ = ["ArrayChanging"]


class ArrayChanging(ArrayWalking):
    """What changes an array beyond writing to its elements."""

    __slots__ = ()

    def _direct(self) -> ArrayAccess:
        raise NotImplementedError

    def _new_access(self, metadata: ArrayMetadata | None = None) -> ArrayAccess:
        raise NotImplementedError

    # --- shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension; assigning another one is `resize`."""
        return self._metadata.shape

    @shape.setter
    def shape(self, new_shape: int | Iterable[int]) -> None:
        self.resize(new_shape)

    def resize(self, new_shape: int | Iterable[int], *more: int) -> None:
        """Change the shape; elements in both shapes stay, new ones have the fill value.

        Parameters
        ----------
        new_shape : int or iterable of int
            The new shape, of as many dimensions; ``resize(3, 4)`` is ``resize((3, 4))``.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        TypeError, ValueError
            If it is no shape, or one of another number of dimensions.
        MetadataError
            If the array was made again with other chunks or codecs since it was opened.

        Notes
        -----
        What was cut off never comes back, also if another Zarr library cut it off and left it in the store:
        shrinking deletes the objects outside and clears the part outside of those that are cut; growing
        clears what there is where the new elements are, before the new shape is stored. So an array that
        shrinks and grows at once has the fill value in what was outside for a moment.

        If it fails while shrinking, the error says which shape the array has. Where it was killed, the shape
        is the old or the new one, and all elements inside are whole. The shape that counts is the stored one,
        whatever this handle had; other handles keep theirs until `refresh`.

        Costs a request for each object at the edge, and a listing where more than 1000 objects come or go.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.array([1, 2, 3, 4], chunks=3, fill_value=0)
        >>> a.resize(2)
        >>> a.resize(4)
        >>> a[:].tolist()
        [1, 2, 0, 0]
        """
        from zarrc.resizing import parse_new_shape, resize_array

        resize_array(self, parse_new_shape(self, new_shape, more))

    def append(self, data: npt.ArrayLike, axis: int = 0) -> tuple[int, ...]:
        """Add data at the end of an axis.

        Parameters
        ----------
        data : array_like
            Of the array's extents along all other axes; converted as in writing. A stored array (of ours, an
            HDF5 dataset, a dask array) is read block by block.
        axis : int, default 0
            Which axis grows.

        Returns
        -------
        tuple of int
            The new shape.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        CastingError
            If a value does not fit the data type; nothing is appended then.
        ValueError
            If the shapes do not fit; the text names axis and sizes.
        numpy.exceptions.AxisError
            If there is no such axis.
        StoreConflictError
            If another process resized the array meanwhile, where the store can tell.

        Notes
        -----
        The data are stored first and the shape last: readers see all of them or none, and so do those who
        look after a crash. They go to the end of the array as it is stored, also if this handle was opened
        before others appended; the handle has the new shape then. Threads of this process wait for each
        other, and processes do with ``locking="file"``. Nothing is listed: appending to a long array costs
        what it costs with a short one.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.zeros((0, 3), chunks=(2, 3), dtype="i4")
        >>> a.append([[1, 2, 3], [4, 5, 6]])
        (2, 3)
        >>> a.append([[7], [8]], axis=1)
        (2, 4)
        """
        from zarrc.resizing import append_to

        return append_to(self, data, axis)

    # --- contents

    def fill(self, value: Any) -> None:
        """Give all elements one value, as `numpy.ndarray.fill` does.

        Parameters
        ----------
        value : scalar
            Converted as in writing. If it is the array's fill value, nothing stays stored (unless
            ``write_empty_chunks`` says so), as after `erase`.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        CastingError
            If the value does not fit the data type.
        ValueError
            If it is no scalar.
        """
        from zarrc.erasing import fill_array

        fill_array(self, value)

    def erase(self, region: BasicSelection = ...) -> None:
        """Make elements what they were before they were written: the fill value, not stored if possible.

        Parameters
        ----------
        region : int, slice, ..., or a tuple of these
            A box in the array, by default all of it; without steps. It is a box in the array as it is stored,
            whose shape this handle has then.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only.
        SelectionError
            If ``region`` does not fit the array, or has steps.

        Notes
        -----
        Objects (chunks, shards) that are wholly in the region are deleted, without a look at them where they
        are few, else by one listing. In the others, and in shards, elements get the fill value; what holds
        nothing else then is deleted too. If it fails some of it is done. With ``read_missing_chunks=False``
        what was deleted cannot be read.
        """
        from zarrc.erasing import erase_region

        erase_region(self, region)

    # --- metadata

    def refresh(self) -> Self:
        """Read the metadata again, to see that others resized the array or changed its attributes.

        Returns
        -------
        Array
            This handle.

        Raises
        ------
        ArrayNotFoundError
            If the array is gone.
        """
        self._refresh()
        return self

    def _metadata_lock(self) -> AbstractContextManager[object]:
        """Return what keeps others from changing the array's documents: with locking="file" processes too."""
        lock = super()._metadata_lock()
        if self._config.locking == "thread":
            return lock
        from zarrc.metadata_lock import file_locked

        return file_locked(self, lock)
