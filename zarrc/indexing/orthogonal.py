"""Keys of ``oindex``: each list or mask selects along dimensions of its own, as a slice does."""

from __future__ import annotations

from typing import Any

import numpy as np

from zarrc.errors import SelectionError
from zarrc.indexing.fancy import Places, masked, without_repeats
from zarrc.indexing.index_map import IndexMap
from zarrc.indexing.joining import Loose, joined
from zarrc.indexing.terms import Indices, mask_indices, normalized, terms_of

__all__ = ["index_map"]


def index_map(key: Any, shape: tuple[int, ...]) -> IndexMap:
    """Read a key for a view of ``shape``.

    An array of several dimensions puts these where it stands; a mask of several is for as many dimensions of
    the view, and puts one.
    """
    terms, omitted, has_ellipsis = terms_of(key, len(shape))
    whole = masked(terms, shape)
    if whole is not None:
        return whole
    if not has_ellipsis:
        terms.append(...)
    places = Places(shape)
    loose: list[Loose] = []
    for term in terms:
        kind = type(term)
        if kind is np.ndarray or kind is range:
            loose += _alone(places, term)  # type: ignore[arg-type]
        elif kind is int:
            places.add_points(term)  # type: ignore[arg-type]
        else:
            places.add_plain(term, omitted)
    extents = tuple(places.extents)
    groups = joined(places.axes, loose)
    return IndexMap(shape, extents, places.axes, groups, not extents and not has_ellipsis)


def _alone(places: Places, term: Indices | range) -> list[Loose]:
    """Give a list or a mask its dimensions of the result."""
    at, dim = len(places.extents), places.dim
    if type(term) is range:
        places.extents.append(len(term))
        places.dim += 1
        return [(dim, normalized(term, places.shape[dim], dim), (at,))]
    assert type(term) is np.ndarray
    if term.dtype.kind == "b":
        if term.ndim == 0:
            raise SelectionError(f"a single {bool(term)} selects along no dimension of its own")
        found = mask_indices(term, places.shape, dim)
        places.extents.append(found[0].size)
        places.dim += term.ndim
        return [(dim + i, indices, (at,)) for i, indices in enumerate(found)]
    places.extents += term.shape
    places.dim += 1
    dims = tuple(range(at, at + term.ndim))
    return [(dim, normalized(without_repeats(term), places.shape[dim], dim), dims)]
