"""Selecting by labels: through the coordinate arrays that stand beside an array, named as its dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zarrc.array import Array
from zarrc.coordinate import Coordinate, check_method
from zarrc.engine.node_names import join, split
from zarrc.engine.nodes import find_node, place
from zarrc.errors import MetadataError, SelectionError
from zarrc.metadata.model import ArrayMetadata
from zarrc.reading import choices, closest, show

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from zarrc.group import Group

    Located = int | slice | npt.NDArray[np.int64]

__all__ = ["dimensions", "locate", "sel"]


def sel(
    target: Array | Group,
    *what: Any,
    method: str | None = None,
    tolerance: Any = None,
    lazy: bool = False,
    **by_name: Any,
) -> Any:
    """Read by labels: ``sel(group, "temperature", time=slice("2000-01", "2000-06"), latitude=51.5)``.

    Parameters
    ----------
    target : Array or Group
        The array; or the group that it is in, and then its name (or path) comes next.
    *what
        The name, if ``target`` is a group; and perhaps a mapping from names of dimensions to labels, for
        dimensions with names such as ``method``.
    method : {None, "nearest", "pad", "ffill", "backfill", "bfill"}, optional
        What to take for a label that is not there: nothing (an error), the nearest value (of two the larger
        one), or the one before or after it in the coordinate's order. Slices need none.
    tolerance : number or timedelta, optional
        How far what ``method`` takes may be from the label.
    lazy : bool, default False
        Return a `LazyView`, which reads when it is asked to.
    **by_name
        Name of a dimension -> a label, a slice of labels (both ends are included), or a list of them. Labels
        are numbers; where the coordinate's ``units`` are those of times, also texts such as "2000-01-31",
        dates and times of Python, and ``numpy.datetime64``.

    Returns
    -------
    numpy.ndarray, NumPy scalar or LazyView
        Dimensions in the array's order, without those that one label selects. Lists are orthogonal.

    Raises
    ------
    LabelError
        If a label is not there; the text says what is near. (A KeyError too.)
    SelectionError
        If a dimension or its coordinate is not there, or a label is of a wrong kind.
    MetadataError
        If a coordinate is not what its array says.

    Notes
    -----
    A text that names a year, a month, or a span in which several times may lie, selects all of them, and the
    dimension stays; so with the ends of slices. Coordinates are read anew by each call.
    """
    array, labels = _parsed(target, what, by_name)
    found = locate(array, labels, method=method, tolerance=tolerance)
    names = dimensions(array)
    key = tuple(slice(None) if name is None else found.get(name, slice(None)) for name in names)
    if lazy:
        from zarrc.indexing.index_map import IndexMap
        from zarrc.lazy_view import LazyView

        return LazyView(array, IndexMap.identity(array.shape).oindex(key))
    return array.oindex[key]


def _parsed(
    target: Array | Group, what: tuple[Any, ...], by_name: Mapping[str, Any]
) -> tuple[Array, dict[str, Any]]:
    rest = list(what)
    if isinstance(target, Array):
        array = target
    elif hasattr(target, "get_array"):
        if not rest or not isinstance(rest[0], str):
            raise TypeError("sel() of a group needs the name of an array: sel(group, 'temperature', ...)")
        array = target.get_array(rest.pop(0))
    else:
        raise TypeError(f"sel() selects from an array or a group, got {type(target).__name__}")
    if len(rest) > 1 or (rest and not isinstance(rest[0], Mapping)):
        raise TypeError("sel() takes labels by the names of dimensions, or in one mapping")
    labels = dict(rest[0]) if rest else {}
    for name in by_name:
        if name in labels:
            raise TypeError(f"sel() was given labels of {name!r} twice")
    return array, {**labels, **by_name}


def locate(
    array: Array,
    labels: Mapping[str, Any] | None = None,
    /,
    *,
    method: str | None = None,
    tolerance: Any = None,
    **by_name: Any,
) -> dict[str, Located]:
    """Return the indices that labels select, by the names of dimensions: what `Array.isel` takes.

    Parameters
    ----------
    array : Array
        The array; its coordinates are the arrays beside it, in the same group.
    labels : Mapping, optional
        Name of a dimension -> labels, as for `sel`.
    method, tolerance
        As for `sel`.
    **by_name
        The same as keywords.

    Returns
    -------
    dict
        Name -> an integer, a slice, or an array of integers.

    Raises
    ------
    LabelError, SelectionError, MetadataError
        As for `sel`.
    """
    method = check_method(method)
    if tolerance is not None and method is None:
        raise TypeError("tolerance= needs a method=, such as 'nearest'")
    wanted = {**(labels or {}), **by_name}
    names = dimensions(array)
    found: dict[str, Located] = {}
    for name, label in wanted.items():
        axis = _axis(array, names, name)
        found[name] = _coordinate(array, name, axis).locate(label, method, tolerance)
    return found


def dimensions(array: Array) -> tuple[str | None, ...]:
    """Return the names of an array's dimensions; in Zarr v2 those that xarray gives it.

    Returns
    -------
    tuple of (str or None)
        One for each dimension, None where it has no name.
    """
    names = array.dimension_names
    return (None,) * array.ndim if names is None else names


def _axis(array: Array, names: tuple[str | None, ...], name: Any) -> int:
    where = place(array.store, array.path)
    axes = [axis for axis, one in enumerate(names) if one is not None and one == name]
    if len(axes) == 1:
        return axes[0]
    if axes:
        raise SelectionError(f"dimensions {axes} of {where} have the same name {name!r}; select by position")
    known = [one for one in names if one is not None]
    if not known:
        raise SelectionError(f"the dimensions of {where} have no names; select by position")
    hint = closest(name, known) if isinstance(name, str) else ""
    raise SelectionError(f"{where} has no dimension {show(name)}{hint}; it has {choices(known)}")


def _coordinate(array: Array, name: str, axis: int) -> Coordinate:
    """Read the coordinate of a dimension: the 1-D array of its name in the array's group."""
    found = None
    parent = split(array.path)[0]
    # A name that is a path leads elsewhere, and an array at a store's root has nothing beside it.
    if array.path and name.strip(".") and not set(name) & set("/\\"):
        found = find_node(array.store, join(parent, name))
    if not isinstance(found, ArrayMetadata):
        raise SelectionError(
            f"dimension {name!r} has no coordinates: there is no array {name!r} beside "
            f"{place(array.store, array.path)}; select by position: isel({name}=...)"
        )
    where = place(array.store, join(parent, name))
    if found.shape != (array.shape[axis],):
        raise MetadataError(
            f"the array at {where} does not label dimension {name!r} of {array.path!r}: it has shape "
            f"{found.shape}, the dimension {array.shape[axis]} elements"
        )
    values = Array(array.store, join(parent, name), found, array.config, read_only=True)
    try:
        return Coordinate(name, values[...], found.attributes)
    except MetadataError as error:
        error.add_note(f"at {where}")
        raise
