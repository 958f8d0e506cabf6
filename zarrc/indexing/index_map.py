"""`IndexMap`: what a chain of selections takes of an array."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zarrc.errors import SelectionError
from zarrc.indexing.joining import Axis, Group, Loose, expanded, joined

if TYPE_CHECKING:
    from typing import Self

    from zarrc.indexing.selection import Selection
    from zarrc.indexing.terms import Indices

__all__ = ["IndexMap"]


class IndexMap:
    """Where in an array each element of a view of it is; never changes once it is made.

    Along each axis of the array a view has a range of indices, or a list of them. Lists are arrays of any
    shape; those that run along a common dimension of the view belong to one group. A map takes selections of
    the view it describes, and gives the map of what they select: NumPy's meaning, without NumPy's copies.

    Parameters
    ----------
    array_shape : tuple of int
        Shape of the array.
    shape : tuple of int
        Shape of the view. A dimension that neither a range nor a group is along repeats what the others
        select; but for extents other than 1 only ``view[None][[0, 0]]`` and its like make such ones.
    axes : sequence of (int, int, int, int) or None
        For each axis of the array the start, step and count of its range, and the dimension of the view that
        it is along: -1 for none, with a count of 1. None for an axis of a group.
    groups : tuple of (axes, arrays, dimensions)
        Axes of the array, for each of them int64 indices inside it, and the dimensions of the view that they
        run along, ascending. The arrays have these dimensions, or an extent of 1 in their place.
    is_scalar : bool
        Whether reading gives a NumPy scalar.
    mask : numpy.ndarray of bool, optional
        Instead of axes and groups: the elements where it is true; of the array's shape, in C order.
    """

    __slots__ = ("_axes", "_groups", "array_shape", "is_scalar", "mask", "shape")

    def __init__(
        self,
        array_shape: tuple[int, ...],
        shape: tuple[int, ...],
        axes: Sequence[Axis | None],
        groups: tuple[Group, ...] = (),
        is_scalar: bool = False,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.array_shape = array_shape
        self.shape = shape
        self._axes = axes
        self._groups = groups
        self.is_scalar = is_scalar
        self.mask = mask

    @classmethod
    def identity(cls, shape: tuple[int, ...]) -> Self:
        """Make the map of all of an array, as it is."""
        return cls(shape, shape, [(0, 1, extent, dim) for dim, extent in enumerate(shape)])

    @property
    def axes(self) -> tuple[Axis | None, ...]:
        """For each axis of the array its range; None for those that belong to a group."""
        self._without_mask()
        return tuple(self._axes)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The axes of the array that are selected by lists."""
        self._without_mask()
        return self._groups

    def _without_mask(self) -> None:
        """Turn a mask into lists, for those who cannot do with the mask."""
        if self.mask is not None and not self._groups:
            axes: list[Axis | None] = [None] * len(self.array_shape)
            loose: list[Loose] = [(axis, found, (0,)) for axis, found in enumerate(self.mask.nonzero())]
            groups = joined(axes, loose)
            self._axes, self._groups = axes, groups

    @property
    def ndim(self) -> int:
        """Number of dimensions of the view."""
        return len(self.shape)

    @property
    def is_identity(self) -> bool:
        """Whether this is all of the array, as it is."""
        if self.mask is not None or self.shape != self.array_shape:
            return False
        return all(
            axis == (0, 1, extent, dim)
            for dim, (axis, extent) in enumerate(zip(self._axes, self.shape, strict=True))
        )

    # --- selecting of the view

    def index(self, key: Any) -> IndexMap:
        """Return the map of ``view[key]``, whatever NumPy takes as a key.

        Raises
        ------
        BoundsCheckError
            If an index is out of bounds.
        SelectionError
            If the key does not fit the view.
        ValueError
            For a slice with a step of 0.
        """
        from zarrc.indexing import fancy

        return self._then(fancy.index_map(key, self.shape))

    def oindex(self, key: Any) -> IndexMap:
        """Return the map of an orthogonal selection: each list or mask has dimensions of its own."""
        from zarrc.indexing import orthogonal

        return self._then(orthogonal.index_map(key, self.shape))

    def vindex(self, key: Any) -> IndexMap:
        """Return the map of a selection of points: the dimensions of lists and masks come first."""
        from zarrc.indexing import coordinate

        return self._then(coordinate.index_map(key, self.shape))

    def transpose(self, axes: Sequence[int] | None = None) -> IndexMap:
        """Return the map of the view with its dimensions in another order, by default in reverse.

        Raises
        ------
        ValueError
            If ``axes`` are not each dimension of the view once.
        """
        if axes is None:
            axes = range(self.ndim)[::-1]
        order = [operator.index(axis) for axis in axes]
        order = [axis + self.ndim if axis < 0 else axis for axis in order]
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"axes {tuple(axes)} do not fit a view of {self.ndim} dimensions")
        if self.ndim < 2:
            return self
        place = {old: new for new, old in enumerate(order)}
        place[-1] = -1
        ranges = [axis if axis is None else (*axis[:3], place[axis[3]]) for axis in self.axes]
        groups = []
        for of, arrays, along in self.groups:
            turned = sorted(range(len(along)), key=lambda i: place[along[i]])
            moved = tuple([array.transpose(turned) for array in arrays])
            groups.append((of, moved, tuple([place[along[i]] for i in turned])))
        shape = tuple([self.shape[old] for old in order])
        return IndexMap(self.array_shape, shape, ranges, tuple(groups), self.is_scalar)

    def _then(self, inner: IndexMap) -> IndexMap:
        """Return what ``inner``, a map of this view, selects of the array."""
        if self.is_identity:
            return inner
        # What the inner map does along each dimension of this view, where it is not a range.
        lists = {
            dim: (array, along)
            for of, arrays, along in inner.groups
            for dim, array in zip(of, arrays, strict=True)
        }
        axes: list[Axis | None] = [None] * len(self.array_shape)
        loose: list[Loose] = []
        taken = inner.axes
        for axis, own in enumerate(self.axes):
            if own is None:
                continue
            start, step, _, dim = own
            if dim < 0:
                axes[axis] = own
                continue
            part = taken[dim]
            if part is not None:
                axes[axis] = _steps_of(start, step, part)
            else:
                array, along = lists[dim]
                loose.append((axis, array if (start, step) == (0, 1) else start + step * array, along))
        for of, arrays, along in self.groups:
            for axis, array in zip(of, arrays, strict=True):
                loose.append((axis, *_picked(array, along, taken, lists)))
        groups = joined(axes, loose)
        return IndexMap(self.array_shape, inner.shape, axes, groups, inner.is_scalar)

    # --- what it is for

    def selection(self) -> Selection:
        """Return the selection as the engine takes it."""
        from zarrc.indexing.selection import make_selection, mask_selection

        if self.mask is not None:
            return mask_selection(self.array_shape, self.mask)
        axes, groups, shape = list(self._axes), list(self._groups), self.shape
        n_owned = sum([len(along) for _, _, along in groups])
        for own in axes:
            n_owned += own is not None and own[3] >= 0
        if n_owned < len(shape):
            self._tie_repeats(axes, groups)
        spread = []
        for of, arrays, along in groups:
            wanted = tuple([shape[dim] for dim in along])
            whole = [a if a.shape == wanted else np.broadcast_to(a, wanted) for a in arrays]
            spread.append((of, tuple(whole), along))
        return make_selection(self.array_shape, axes, tuple(spread), shape, self.is_scalar)

    def _tie_repeats(self, axes: list[Axis | None], groups: list[Group]) -> None:
        """Let a group run along each dimension that repeats what the others select."""
        owned = {axis[3] for axis in axes if axis is not None}.union(*[along for _, _, along in groups])
        extra = [dim for dim, extent in enumerate(self.shape) if extent != 1 and dim not in owned]
        if not extra:
            return
        if not self.array_shape and 0 not in self.shape:
            raise SelectionError(
                "the one element of a 0-d array cannot be repeated: read it, and repeat that"
            )
        if not groups:
            groups.append(_as_group(axes))
        i = min(range(len(groups)), key=lambda i: np.broadcast(*groups[i][1]).size if groups[i][1] else 0)
        of, arrays, along = groups[i]
        wider = tuple(sorted([*along, *extra]))
        groups[i] = (of, tuple([expanded(array, along, wider) for array in arrays]), wider)

    def take(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what the map selects of a NumPy array of the shape: the definition of all this."""
        if array.shape != self.array_shape:
            raise SelectionError(f"the map is of shape {self.array_shape}, the array has {array.shape}")
        view = tuple(range(self.ndim))
        index: list[Any] = [None] * array.ndim
        for axis, own in enumerate(self.axes):
            if own is not None:
                start, step, count, dim = own
                indices = start + step * np.arange(count)
                index[axis] = expanded(indices if dim >= 0 else indices[0], (dim,) if dim >= 0 else (), view)
        for of, arrays, along in self.groups:
            for axis, found in zip(of, arrays, strict=True):
                index[axis] = expanded(found, along, view)
        return np.array(np.broadcast_to(array[tuple(index)], self.shape))

    def __repr__(self) -> str:
        return f"<IndexMap {self.shape} of {self.array_shape}>"


def _steps_of(start: int, step: int, part: Axis) -> Axis:
    """A range of a range."""
    first, stride, count, dim = part
    if count > 1:
        return start + step * first, step * stride, count, dim
    return start + step * first if count else 0, 1, count, dim


def _picked(
    array: Indices,
    along: tuple[int, ...],
    taken: Sequence[Axis | None],
    lists: dict[int, tuple[Indices, tuple[int, ...]]],
) -> tuple[Indices, tuple[int, ...]]:
    """What a selection of the view leaves of a list that runs along some of its dimensions."""
    cuts: list[int | slice] = []
    ranges: list[tuple[int, int]] = []  # dimension of the new view, place in what is cut
    points: list[tuple[int, Indices, tuple[int, ...]]] = []
    for place, dim in enumerate(along):
        part = taken[dim]
        at = len(ranges) + len(points)
        if array.shape[place] == 1:
            cuts.append(0)
        elif part is None:
            cuts.append(slice(None))
            points.append((at, *lists[dim]))
        else:
            start, step, count, new = part
            if new < 0:
                cuts.append(start)
            else:
                stop = start + step * count
                cuts.append(slice(start, None if stop < 0 else stop, step) if count else slice(0, 0))
                ranges.append((new, at))
    array = array[tuple(cuts)]
    dims = [new for new, _ in ranges]
    if points:
        array = array.transpose([at for at, _, _ in points] + [at for _, at in ranges])
        common = tuple(sorted(set().union(*[run for _, _, run in points])))
        array = array[tuple([expanded(found, run, common) for _, found, run in points])]
        dims = [*common, *dims]
    order = sorted(range(len(dims)), key=lambda i: dims[i])
    return np.asarray(array).transpose(order), tuple([dims[i] for i in order])


def _as_group(axes: list[Axis | None]) -> Group:
    """Turn the shortest range into a group; a 0-d array has none, and gets a group of no axes."""
    shortest = min(
        [(own[2] if own[3] >= 0 else 1, axis) for axis, own in enumerate(axes) if own is not None],
        default=None,
    )
    if shortest is None:
        return (), (), ()
    axis = shortest[1]
    own = axes[axis]
    assert own is not None
    start, step, count, dim = own
    axes[axis] = None
    indices = start + step * np.arange(count, dtype=np.int64)
    return (axis,), (indices if dim >= 0 else indices.reshape(()),), (dim,) if dim >= 0 else ()
