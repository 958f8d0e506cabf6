"""What an array's handle selects by the names of dimensions, by labels, and from start to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from zarrc.array_selecting import ArraySelecting

if TYPE_CHECKING:
    from typing import SupportsIndex

    import numpy.typing as npt

    from zarrc.array import Array
    from zarrc.array_selecting import Lists, Named

__all__ = ["ArrayNaming"]


class ArrayNaming(ArraySelecting):
    """Reading and writing boxes and named dimensions of an array."""

    __slots__ = ()

    def isel(self, indexers: Named | None = None, /, **named: SupportsIndex | slice | Lists) -> Any:
        """Read by the names of dimensions: what is named is selected, all of the other dimensions is read.

        Parameters
        ----------
        indexers : Mapping, optional
            Name of a dimension -> integer, slice, range, list, or mask of one dimension. Slices are
            half-open, as everywhere in Python. Lists are orthogonal, as in `oindex`.
        **named
            The same as keywords.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            Dimensions are in the array's order, without those indexed by integers.

        Raises
        ------
        SelectionError
            If no dimension, or more than one, has the name; if a name is in the mapping and a keyword too.
        BoundsCheckError
            If an index is out of bounds; slices are cut to the array, as in NumPy.

        Examples
        --------
        >>> import numpy as np, zarrc
        >>> a = zarrc.array(np.arange(12).reshape(3, 4), dimension_names=["time", "x"])
        >>> a.isel(time=slice(0, 2), x=3)
        array([3, 7])
        >>> a[{"x": [3, 0]}]
        array([[ 3,  0],
               [ 7,  4],
               [11,  8]])
        """
        return self._read_orthogonal(self._named_key(self._indexers("isel", indexers, named)))

    def sel(
        self,
        labels: Mapping[str, Any] | None = None,
        /,
        *,
        method: str | None = None,
        tolerance: Any = None,
        lazy: bool = False,
        **by_name: Any,
    ) -> Any:
        """Read by labels: through the 1-D arrays beside this one that are named as its dimensions.

        Parameters
        ----------
        labels : Mapping, optional
            Name of a dimension -> a label, a slice of labels (both ends are included), or a list of them.
        method, tolerance, lazy
            What to take for a label that is not there, and how far away; see `zarrc.labels.sel`.
        **by_name
            The same as ``labels``, as keywords.

        Returns
        -------
        numpy.ndarray, NumPy scalar or LazyView

        Raises
        ------
        LabelError
            If a label is not there; the text says what is near. (A KeyError too.)
        SelectionError
            If a dimension or its coordinate is not there, or a label is of a wrong kind.
        """
        from zarrc.labels import sel

        chosen = {} if labels is None else labels
        array = cast("Array", self)
        return sel(array, chosen, method=method, tolerance=tolerance, lazy=lazy, **by_name)

    def get_slice(
        self,
        indexers: Mapping[str, Any] | None = None,
        /,
        *,
        start: Any = None,
        stop: Any = None,
        out: npt.NDArray[Any] | None = None,
        **named: Any,
    ) -> Any:
        """Read a box: from ``start`` to ``stop``, or by the names of dimensions, or both.

        Parameters
        ----------
        indexers : Mapping, optional
            Name of a dimension -> slice, range, integer, list, or a pair of start and stop. For names that
            this method uses itself, such as ``start``.
        start, stop : int or tuple of int, optional
            One for each dimension, the stop not included; by default all. As in slices, they are cut to the
            array, and negative ones count from its end.
        out : numpy.ndarray, optional
            Where to put it, as for `get_basic_selection`.
        **named
            The same as ``indexers``. For a dimension that is named, its ``start`` and ``stop`` do not count.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            As for `isel`.

        Raises
        ------
        SelectionError
            If ``start`` or ``stop`` does not have one item for each dimension; otherwise as for `isel`.

        Notes
        -----
        A Python range or slice does not include its end: ExZarr's ``time: 0..30`` is ``time=range(0, 31)``.

        Examples
        --------
        >>> import numpy as np, zarrc
        >>> a = zarrc.array(np.arange(12).reshape(3, 4), dimension_names=["time", "x"])
        >>> a.get_slice(start=(1, 0), stop=(3, 2))
        array([[4, 5],
               [8, 9]])
        >>> a.get_slice(start=(1, 0), stop=(3, 2), x=range(1, 4))
        array([[ 5,  6,  7],
               [ 9, 10, 11]])
        """
        wanted = self._indexers("get_slice", indexers, named)
        return self._read_orthogonal(self._sliced_key(wanted, start, stop), out)

    def set_slice(
        self,
        value: npt.ArrayLike,
        indexers: Mapping[str, Any] | None = None,
        /,
        *,
        start: Any = None,
        stop: Any = None,
        **named: Any,
    ) -> None:
        """Write to a box; the same selections as for `get_slice`.

        Parameters
        ----------
        value : array_like
            What to write; broadcasts as in NumPy.
        indexers : Mapping, optional
            Name of a dimension -> slice, range, integer, list, or a pair of start and stop.
        start, stop : int or tuple of int, optional
            One for each dimension, the stop not included.
        **named
            The same as ``indexers``.

        Examples
        --------
        >>> import zarrc
        >>> a = zarrc.zeros((3, 4), dtype="i4", dimension_names=["time", "x"])
        >>> a.set_slice([7, 8], time=1, x=slice(2, 4))
        >>> a[1]
        array([0, 0, 7, 8], dtype=int32)
        """
        self._check_writable("write")
        wanted = self._indexers("set_slice", indexers, named)
        self._write_orthogonal(self._sliced_key(wanted, start, stop), value)

    def _sliced_key(self, indexers: Mapping[str, Any], start: Any, stop: Any) -> tuple[Any, ...]:
        from zarrc.indexing.named import sliced_key

        names, zarr_format = self.dimension_names, self._metadata.zarr_format
        return self._located(sliced_key, indexers, start, stop, names, self.ndim, zarr_format)
