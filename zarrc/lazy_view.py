"""`LazyView`: a selection of an array that is read when it is asked for."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.array_facts import Shaped
from zarrc.errors import ReadOnlyError, SelectionError
from zarrc.indexing.index_map import IndexMap

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.array import Array
    from zarrc.engine import ArrayAccess
    from zarrc.engine.write_buffer import WriteBuffer

__all__ = ["LazyView"]


class LazyView(Shaped):
    """Part of a stored array, not read yet: what ``array.lazy[...]`` gives.

    Indexing a view gives another view, with NumPy's meaning of integers, slices of any step, ``...``,
    ``None``, lists and masks; so do ``oindex``, ``vindex``, `transpose` and `astype`. Nothing is read until
    `read`, ``numpy.asarray`` or the like, and then only what is left of the selection, in one go. Assigning
    to a view writes to the array. A view may be shared between threads, and pickled.

    Parameters
    ----------
    array : Array
        The handle that reads and writes.
    index_map : IndexMap
        Which elements, and where in the view.
    casts : tuple of numpy.dtype, optional
        What is read is cast to these, one after the other.
    """

    __slots__ = ("_array", "_casts", "_map")

    def __init__(self, array: Array, index_map: IndexMap, casts: tuple[np.dtype[Any], ...] = ()) -> None:
        self._array = array
        self._map = index_map
        self._casts = casts

    # --- what it is

    @property
    def array(self) -> Array:
        """The array that the view is of."""
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        return self._map.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of what a read gives."""
        return self._casts[-1] if self._casts else self._array.dtype

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """Names of the array's dimensions that those of the view are parts of; None if the array has none."""
        names = self._array.dimension_names
        if names is None:
            return None
        found: list[str | None] = [None] * self.ndim
        for axis, own in enumerate(self._map.axes):
            if own is not None and own[3] >= 0:
                found[own[3]] = names[axis]
        for of, _, along in self._map.groups:
            if len(of) == len(along) == 1:
                found[along[0]] = names[of[0]]
        return tuple(found)

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...] | None:
        """For each dimension how many elements are in one chunk, in the next and so on, as dask writes it.

        None where a dimension is one of lists or masks, which have no chunks to go by.
        """
        if self._map.mask is not None or any(along for _, _, along in self._map.groups):
            return None
        found: list[tuple[int, ...]] = [(extent,) for extent in self.shape]
        sizes = self._array.read_chunk_sizes
        for axis, own in enumerate(self._map.axes):
            if own is not None and own[3] >= 0:
                found[own[3]] = _cut(sizes[axis], *own[:3])
        return tuple(found)

    # --- views of the view

    def _of(self, index_map: IndexMap) -> LazyView:
        return LazyView(self._array, index_map, self._casts)

    def __getitem__(self, key: Any) -> LazyView:
        """Return a view of the elements that ``key`` selects, as NumPy does; nothing is read.

        In a dict dimensions are selected by their names, as `isel` does.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        SelectionError
            If the selection has too many indices, or one of a kind that does not select.
        """
        if isinstance(key, dict):
            return self.isel(key)
        return self._of(self._map.index(key))

    def isel(self, indexers: Mapping[str, Any] | None = None, /, **named: Any) -> LazyView:
        """Return a view of what is selected by the names of dimensions, as `Array.isel` does.

        Parameters
        ----------
        indexers : Mapping, optional
            Name of a dimension of the view -> integer, slice, range, list, or mask of one dimension.
        **named
            The same as keywords.

        Raises
        ------
        SelectionError
            If no dimension of the view, or more than one, has the name.
        """
        from zarrc.indexing.named import indexers_of, named_key

        wanted = indexers_of("isel", indexers, named)
        zarr_format = self._array.metadata.zarr_format
        return self._of(self._map.oindex(named_key(wanted, self.dimension_names, self.ndim, zarr_format)))

    @property
    def oindex(self) -> Indexer:
        """Views of products of lists, slices and masks: ``view.oindex[[1, 3], [0, 2]]`` is 2 x 2 elements."""
        return Indexer(self, "oindex")

    @property
    def vindex(self) -> Indexer:
        """Views of single points: ``view.vindex[[1, 3], [0, 2]]`` has 2 elements."""
        return Indexer(self, "vindex")

    def transpose(self, *axes: Any) -> LazyView:
        """Return a view with the dimensions in another order, as `numpy.ndarray.transpose` does.

        Parameters
        ----------
        *axes : int, or one tuple of int
            The view's dimensions in their new order; reversed by default.
        """
        given = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], Sequence)) else axes
        if given is None or (axes == () and given == ()):
            given = range(self.ndim)[::-1]
        return self._of(self._map.transpose(tuple(given)))

    @property
    def T(self) -> LazyView:  # noqa: N802
        """The view with its dimensions reversed."""
        return self.transpose()

    def astype(self, dtype: npt.DTypeLike, *, casting: Any = "unsafe") -> LazyView:
        """Return a view whose reads are cast, as `numpy.ndarray.astype` casts; it is for reading only.

        Parameters
        ----------
        dtype : dtype-like
            What a read gives.
        casting : {"no", "equiv", "safe", "same_kind", "unsafe"}, default "unsafe"
            What is allowed, by NumPy's rules.

        Raises
        ------
        TypeError
            If the rule forbids it.
        """
        new = np.dtype(dtype)
        if not np.can_cast(self.dtype, new, casting):
            raise TypeError(
                f"Cannot cast array data from {self.dtype!r} to {new!r} according to the rule {casting!r}"
            )
        return self if new == self.dtype else LazyView(self._array, self._map, (*self._casts, new))

    def __iter__(self) -> Iterator[LazyView]:
        """Views of the view's rows; nothing is read."""
        if not self.shape:
            raise TypeError("iteration over a 0-d view")
        return (self[i] for i in range(self.shape[0]))

    # --- data

    def read(self, out: npt.NDArray[Any] | None = None) -> Any:
        """Read the view's elements.

        Parameters
        ----------
        out : numpy.ndarray, optional
            Where to put them: of the view's shape and dtype, any strides. After an error it may be partly
            written.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            ``out``, or a new array, owned by the caller; a scalar if all dimensions were indexed by integers.
            That of a transposed view is in the array's order of dimensions in memory, as NumPy's is.

        Raises
        ------
        SelectionError
            If the array has become smaller since, and has not all of the view any more.
        """
        access = self._array._data()
        index_map = self._index_map(access)
        if not self._casts and (out is None or not _repeats_one(index_map)):
            return (
                _read(access, index_map) if out is None else access.read_selection(index_map.selection(), out)
            )
        if out is not None:
            self._check_out(out)
        data = _read(access, index_map)
        *before, last = self._casts or (self.dtype,)
        for dtype in before:
            data = data.astype(dtype)
        if out is None:
            return data.astype(last)
        np.copyto(out, data, casting="unsafe")
        return out

    def _check_out(self, out: object) -> None:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}")
        if out.dtype != self.dtype:
            raise TypeError(f"out has dtype {out.dtype}, the view has {self.dtype}")
        if out.shape != self.shape:
            raise ValueError(f"out has shape {out.shape}, the selection has {self.shape}")
        if not out.flags.writeable:
            raise ValueError("out is read-only")

    def _index_map(self, access: ArrayAccess | WriteBuffer) -> IndexMap:
        """The view's map of the array, which may have been resized since the view was made."""
        index_map = self._map
        shape = (access if access.is_direct else access.access).metadata.shape
        if index_map.array_shape != shape:
            _check_inside(index_map, shape)
            index_map = IndexMap(
                shape, index_map.shape, index_map.axes, index_map.groups, index_map.is_scalar
            )
        return index_map

    def write(self, value: npt.ArrayLike) -> None:
        """Write to the view's elements; ``value`` broadcasts as in NumPy.

        Parameters
        ----------
        value : array_like
            What to write. Of several values for one element of the array the last one stays.

        Raises
        ------
        ReadOnlyError
            If the array was opened for reading only, or the view is one of `astype`.
        CastingError
            If a value does not fit the array's data type (see `ArrayConfig.casting`).
        ValueError
            If the shapes do not broadcast.
        """
        self._array._check_writable("write")
        if self._casts:
            raise ReadOnlyError("a view with another dtype only reads: write to the view that it was made of")
        access = self._array._data()
        index_map = self._index_map(access)
        if _repeats_one(index_map):
            from zarrc.engine.values import as_values

            array = self._array
            values = as_values(value, array.dtype, self.shape, array.config.casting, array.path)
            access.write(..., values[(-1,) * self.ndim])
        else:
            access.write_selection(index_map.selection(), value)

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        """Write to the elements that ``key`` selects of the view; see `write`."""
        self[key].write(value)

    def _read_whole(self) -> Any:
        return self.read()

    # --- representation

    def __repr__(self) -> str:
        return f"<LazyView of {self._array.store_path} shape={self.shape} dtype={self.dtype}>"

    def _repr_html_(self) -> str:
        rows = {
            "Type": "LazyView",
            "Of": self._array.store_path,
            "Shape": self.shape,
            "Data type": self.dtype,
            "Dimensions": self.dimension_names,
            "Bytes": self.nbytes,
        }
        cells = "".join(
            f'<tr><th style="text-align: left">{name}</th>'
            f'<td style="text-align: left">{html.escape(str(value))}</td></tr>'
            for name, value in rows.items()
            if value is not None
        )
        return f"<table>{cells}</table>"

    def __reduce__(self) -> tuple[Any, ...]:
        return LazyView, (self._array, self._map, self._casts)


class Indexer:
    """`LazyView.oindex` and `LazyView.vindex`."""

    __slots__ = ("_how", "_view")

    def __init__(self, view: LazyView, how: str) -> None:
        self._view = view
        self._how = how

    def __getitem__(self, key: Any) -> LazyView:
        view = self._view
        return view._of(getattr(view._map, self._how)(key))

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        self[key].write(value)


def _read(access: ArrayAccess | WriteBuffer, index_map: IndexMap) -> Any:
    """Read what the map takes, with the memory order that NumPy's view of an array read whole would have.

    A transposed view is read as the array lies and transposed then: 5 to 8 % less time than the copy that
    transposes.
    """
    if _repeats_one(index_map):
        return np.full(index_map.shape, access.read(...))
    if index_map.mask is not None:  # which is not turned into lists for this
        return access.read_selection(index_map.selection())
    dims = [own[3] for own in index_map.axes if own is not None and own[3] >= 0]
    if index_map.groups or dims == sorted(dims):
        return access.read_selection(index_map.selection())
    order = [*dims, *(dim for dim in range(index_map.ndim) if dim not in dims)]
    data = access.read_selection(index_map.transpose(order).selection())
    return np.asarray(data).transpose(np.argsort(order))


def _repeats_one(index_map: IndexMap) -> bool:
    """Whether the map repeats the element of a 0-d array, which has no axis for the engine to repeat."""
    return not index_map.array_shape and math.prod(index_map.shape) > 1


def _cut(sizes: tuple[int, ...], start: int, step: int, count: int) -> tuple[int, ...]:
    """How many of the indices start, start + step, ... are in each chunk, for those that have any."""
    if count == 0:
        return (0,)
    if step < 0:
        return _cut(sizes, start + step * (count - 1), -step, count)[::-1]
    ends = np.cumsum(sizes, dtype=np.int64)
    # How many indices come before the end of each chunk.
    before = np.clip(-((start - ends) // step), 0, count)
    found = np.diff(before, prepend=0)
    return tuple(found[found > 0].tolist())


def _check_inside(index_map: IndexMap, shape: tuple[int, ...]) -> None:
    """Raise if the map takes what an array of the shape does not have."""
    largest: dict[int, int] = {}
    for axis, own in enumerate(index_map.axes):
        if own is not None and own[2] > 0:
            start, step, count, _ = own
            largest[axis] = max(start, start + step * (count - 1))
    for of, arrays, _ in index_map.groups:
        largest |= {axis: int(found.max()) for axis, found in zip(of, arrays, strict=True) if found.size}
    # A view of no elements takes nothing.
    if 0 not in index_map.shape and any(shape[axis] <= index for axis, index in largest.items()):
        raise SelectionError(
            f"the array has been resized from {index_map.array_shape} to {shape}, and has not all of the "
            "view any more"
        )
