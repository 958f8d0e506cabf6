"""Keys by the names of dimensions."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zarrc.errors import SelectionError
from zarrc.indexing.terms import term_of
from zarrc.reading import choices, show

__all__ = ["indexers_of", "named_key", "sliced_key"]

Names = tuple[str | None, ...]


def indexers_of(caller: str, indexers: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a method selects by name: its mapping, or None, and its keywords.

    Raises
    ------
    SelectionError
        If there is something else than a mapping, or one name in both.
    """
    if indexers is None:
        return dict(named)
    if not isinstance(indexers, Mapping):
        raise SelectionError(f"{caller} takes a mapping or names, got {show(indexers)}")
    for name in named:
        if name in indexers:
            raise SelectionError(f"{caller} was given {show(name)} twice: in the mapping and as a keyword")
    return {**indexers, **named}


def named_key(
    indexers: Mapping[str, Any], names: Names | None, ndim: int, zarr_format: int = 3
) -> tuple[Any, ...]:
    """Return the orthogonal key, one item a dimension, of what is selected by name; all of the others.

    Parameters
    ----------
    indexers : Mapping
        Name -> integer, slice, range, list, array or mask of one dimension.
    names : tuple of (str or None), optional
        Of the array's dimensions.
    ndim : int
        Number of dimensions.
    zarr_format : int
        For the error message where there are no names.

    Raises
    ------
    SelectionError
        If there is no such name, or two dimensions have it; if an item cannot select along one dimension.
    """
    key: list[Any] = [slice(None)] * ndim
    for name, item in indexers.items():
        axis = _axis_of(name, names, zarr_format)
        key[axis] = _one_dimension(name, item)
    return tuple(key)


def sliced_key(
    indexers: Mapping[str, Any], start: Any, stop: Any, names: Names | None, ndim: int, zarr_format: int = 3
) -> tuple[Any, ...]:
    """Return the key of a box from ``start`` to ``stop``, in which what is selected by name goes before.

    Under a name a pair is a start and a stop.
    """
    starts, stops = _bounds("start", start, ndim), _bounds("stop", stop, ndim)
    for name, item in indexers.items():
        axis = _axis_of(name, names, zarr_format)
        starts[axis] = _one_dimension(name, slice(*item) if type(item) is tuple and len(item) == 2 else item)
        stops[axis] = ...
    return tuple([low if high is ... else slice(low, high) for low, high in zip(starts, stops, strict=True)])


def _bounds(what: str, given: Any, ndim: int) -> list[Any]:
    if given is None:
        return [None] * ndim
    items = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if len(items) != ndim:
        raise SelectionError(f"{what} must have one item for each of {ndim} dimensions, got {len(items)}")
    try:
        return [None if item is None else operator.index(item) for item in items]
    except TypeError:
        raise SelectionError(f"{what} is made of integers, got {show(given)}") from None


def _axis_of(name: object, names: Names | None, zarr_format: int) -> int:
    if not isinstance(name, str):
        raise SelectionError(f"dimensions are selected by their names, which are strings, got {show(name)}")
    known: Sequence[str] = [each for each in names or () if each is not None]
    if not known:
        raise SelectionError(_no_names(name, zarr_format))
    assert names is not None
    axes = [axis for axis, each in enumerate(names) if each == name]
    if len(axes) > 1:
        raise SelectionError(
            f"{name!r} names the dimensions {choices(axes)}, and cannot say which is meant; select by "
            "position, array[...]"
        )
    if not axes:
        raise SelectionError(
            f"no dimension is named {show(name)}; there are {choices(_by_closeness(name, known))}"
        )
    return axes[0]


def _no_names(name: str, zarr_format: int) -> str:
    how = "give the array names when it is created, dimension_names=['time', ...]"
    if zarr_format == 2:
        how = "with zarr_format 2 the array's attribute '_ARRAY_DIMENSIONS' gives them, a list of names"
    return f"no dimension is named {show(name)}: none has a name; {how}, or select by position, array[...]"


def _by_closeness(name: str, known: Sequence[str]) -> list[str]:
    from difflib import SequenceMatcher

    lower = name.lower()
    return sorted(known, key=lambda each: -SequenceMatcher(None, lower, each.lower()).ratio())


def _one_dimension(name: str, item: Any) -> Any:
    """An item that selects along the one dimension it is for."""
    if isinstance(item, tuple):
        raise SelectionError(f"{name}: a tuple selects along several dimensions; write a slice or a list")
    term = term_of(item)
    if term is None or term is ...:
        raise SelectionError(
            f"{name}: {show(item)} selects along no dimension; write a slice, a list or an integer"
        )
    if isinstance(term, np.ndarray) and term.dtype.kind == "b" and term.ndim != 1:
        raise SelectionError(f"{name}: a mask of one dimension has one dimension, got {term.ndim}")
    return term
