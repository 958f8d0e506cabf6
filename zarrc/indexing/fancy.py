"""Keys as NumPy reads them: integers, slices, lists, arrays of indices, masks, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.errors import SelectionError
from zarrc.indexing.index_map import IndexMap
from zarrc.indexing.joining import Axis, Loose, joined
from zarrc.indexing.terms import Indices, checked, cut, mask_indices, normalized, terms_of

if TYPE_CHECKING:
    from zarrc.indexing.selection import Selection

__all__ = ["Places", "index_map", "masked", "parse", "without_repeats"]

# By itself: a union that is made anew for each term takes ten times as long to ask for.
_LISTS = (int, np.ndarray, range)


def parse(key: Any, shape: tuple[int, ...]) -> Selection:
    """Read a key for an array of ``shape``, as the engine takes it."""
    return index_map(key, shape).selection()


def index_map(key: Any, shape: tuple[int, ...], *, points_first: bool = False) -> IndexMap:
    """Read a key for a view of ``shape``.

    The dimensions of lists and masks, which are broadcast together, come where they stand, if they stand
    side by side; otherwise, or with ``points_first``, first of all. Beside a list or a mask an integer is a
    list too.
    """
    terms, omitted, has_ellipsis = terms_of(key, len(shape))
    whole = masked(terms, shape)
    if whole is not None:
        return whole
    has_points = any(type(term) is np.ndarray or type(term) is range for term in terms)
    if not has_ellipsis:
        terms.append(...)
    places = Places(shape)
    run = 0  # of terms that are lists: none yet, inside, past it, one more was met
    first = 0
    for i, term in enumerate(terms):
        if isinstance(term, _LISTS):
            if has_points and run != 1:
                if run == 0:
                    first = len(places.extents)
                run = 1 if run == 0 else 3
            places.add_points(term)
        else:
            # The end of a key is no separator.
            if run == 1 and (has_ellipsis or i + 1 < len(terms)):
                run = 2
            places.add_plain(term, omitted)
    return _placed(places, 0 if run == 3 or points_first else first, is_open=has_ellipsis)


def masked(terms: Sequence[Any], shape: tuple[int, ...]) -> IndexMap | None:
    """Return the map of a single mask of the whole view, which stays a mask."""
    if len(terms) != 1 or type(terms[0]) is not np.ndarray:
        return None
    mask = terms[0]
    if mask.dtype.kind != "b" or mask.shape != shape or not shape:
        return None
    # A copy: what is counted now is what will be read.
    mask = np.array(mask, order="C")
    return IndexMap(shape, (int(np.count_nonzero(mask)),), [None] * len(shape), mask=mask)


class Places:
    """What the terms of a key have selected so far, dimension by dimension of the view."""

    __slots__ = ("axes", "dim", "extents", "lists", "shape", "shapes")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.dim = 0
        self.axes: list[Axis | None] = [None] * len(shape)
        self.extents: list[int] = []  # of the result's dimensions but those of lists
        self.lists: list[tuple[int, Indices | range, bool]] = []  # dimension, indices, whether to check them
        self.shapes: list[tuple[int, ...]] = []

    def add_plain(self, term: Any, omitted: int) -> None:
        """Take a slice, Ellipsis or None."""
        extents = self.extents
        if term is None:
            extents.append(1)
        elif term is ...:
            for dim in range(self.dim, self.dim + omitted):
                self.axes[dim] = (0, 1, self.shape[dim], len(extents))
                extents.append(self.shape[dim])
            self.dim += omitted
        else:
            start, step, count = cut(term, self.shape[self.dim], self.dim)
            self.axes[self.dim] = (start, step, count, len(extents))
            extents.append(count)
            self.dim += 1

    def add_points(self, term: int | Indices | range) -> None:
        """Take an integer, a list or a mask."""
        dim = self.dim
        if isinstance(term, int):
            self.axes[dim] = (checked(term, self.shape[dim], dim), 1, 1, -1)
            self.dim += 1
        elif isinstance(term, range):
            self.lists.append((dim, term, True))
            self.shapes.append((len(term),))
            self.dim += 1
        elif term.dtype.kind == "b":
            found = mask_indices(term, self.shape, dim) if term.ndim else ()
            self.lists += [(dim + i, indices, False) for i, indices in enumerate(found)]
            self.shapes.append((found[0].size if found else int(term),))
            self.dim += term.ndim
        else:
            self.lists.append((dim, term, True))
            self.shapes.append(term.shape)
            self.dim += 1


def _placed(places: Places, at: int, *, is_open: bool) -> IndexMap:
    """Return the map of what was selected, with the dimensions of all lists together from ``at`` on.

    ``is_open`` says that a result without dimensions is an array still, as ``view[...]`` is.
    """
    axes, extents = places.axes, places.extents
    if not places.shapes:
        return IndexMap(places.shape, tuple(extents), axes, (), not extents and not is_open)
    points = _broadcast(places.shapes)
    if at < len(extents):
        axes = [own if own is None or own[3] < at else (*own[:3], own[3] + len(points)) for own in axes]
    shape = (*extents[:at], *points, *extents[at:])
    loose: list[Loose] = []
    end = at + len(points)
    for dim, indices, is_new in places.lists:
        if 0 in points:
            # NumPy does not look at indices that nothing is left of.
            loose.append((dim, np.zeros(points, np.int64), tuple(range(at, end))))
            continue
        if is_new:
            indices = normalized(without_repeats(indices), places.shape[dim], dim)
        n_dims = 1 if type(indices) is range else indices.ndim
        loose.append((dim, indices, tuple(range(end - n_dims, end))))
    groups = joined(axes, loose)
    return IndexMap(places.shape, shape, axes, groups, not shape and not is_open)


def without_repeats(indices: Indices | range) -> Indices | range:
    """Indices that a view repeats (as `numpy.broadcast_to` makes them), each once."""
    if type(indices) is range or 0 not in indices.strides:
        return indices
    assert type(indices) is np.ndarray
    return indices[tuple([slice(0, 1) if stride == 0 else slice(None) for stride in indices.strides])]


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that all of them broadcast to; `numpy.broadcast_shapes` takes ten times as long."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    extents = [1] * max(map(len, shapes))
    for shape in shapes:
        for i, extent in enumerate(shape, len(extents) - len(shape)):
            if extent != 1 and extents[i] not in (1, extent):
                listed = " ".join(map(str, shapes))
                raise SelectionError(
                    f"shape mismatch: indexing arrays could not be broadcast together with shapes {listed}"
                )
            if extent != 1:
                extents[i] = extent
    return tuple(extents)
