"""What stands in the brackets of a selection, one item at a time."""

from __future__ import annotations

import operator
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

from zarrc.errors import BoundsCheckError, SelectionError
from zarrc.kernels.points import normalize_indices

__all__ = [
    "Indices",
    "Term",
    "checked",
    "cut",
    "mask_indices",
    "normalized",
    "out_of_bounds",
    "term_of",
    "terms_of",
]

Indices = npt.NDArray[Any]
Term = int | slice | range | Indices | EllipsisType | None
"""An item of a key: arrays have integers (at least one dimension) or bools (any number of them)."""

_NO_INDEX = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are "
    "valid indices"
)


def terms_of(key: Any, ndim: int) -> tuple[list[Term], int, bool]:
    """Read a key for a view of ``ndim`` dimensions.

    Returns
    -------
    terms : list of Term
        At most one of them Ellipsis.
    omitted : int
        Number of dimensions that no term is for.
    has_ellipsis : bool
        Whether they are where the Ellipsis stands; otherwise they come last.
    """
    terms: list[Term] = []
    n_dims = 0
    has_ellipsis = False
    for item in key if isinstance(key, tuple) else (key,):
        term = term_of(item)
        terms.append(term)
        if term is ...:
            if has_ellipsis:
                raise SelectionError("an index can only have a single ellipsis ('...')")
            has_ellipsis = True
        elif type(term) is np.ndarray and term.dtype.kind == "b":
            n_dims += term.ndim
        elif term is not None:
            n_dims += 1
    if n_dims > ndim:
        raise SelectionError(
            f"too many indices for array: array is {ndim}-dimensional, but {n_dims} were indexed"
        )
    return terms, ndim - n_dims, has_ellipsis


def term_of(item: Any) -> Term:
    """Read one item of a key."""
    kind = type(item)
    if kind is int or kind is slice or kind is range or item is None or item is ...:
        return item  # type: ignore[no-any-return]
    if kind is np.ndarray:
        array = item
    else:
        if kind is not list and kind is not bool:
            try:
                return operator.index(item)
            except TypeError:
                pass
        try:
            array = np.asarray(item)
        except ValueError as error:
            raise SelectionError(f"{_NO_INDEX}, got {kind.__name__} {item!r:.80}: {error}") from None
        if array.size == 0 and not hasattr(item, "dtype"):
            array = array.astype(np.int64)  # NumPy makes an empty list one of floats
    if array.dtype.kind in "iu":
        return np.asarray(array) if array.ndim else int(array)
    if array.dtype.kind == "b":
        return np.asarray(array)
    raise SelectionError(_not_an_index(item, array))


def _not_an_index(item: Any, array: Indices) -> str:
    if isinstance(item, np.ndarray):
        return f"arrays used as indices must be of integer (or boolean) type, got {array.dtype}"
    text = f"{_NO_INDEX}, got {type(item).__name__} {item!r:.80}"
    if isinstance(item, str):
        text += "; dimensions are selected by name with isel(name=...) or array[{name: ...}]"
    return text


def cut(term: slice, extent: int, axis: int) -> tuple[int, int, int]:
    """(start, step, count) of a slice of an axis."""
    try:
        start, stop, step = term.indices(extent)
    except (TypeError, ValueError) as error:
        # A step of zero is a ValueError to NumPy too.
        kind = SelectionError if isinstance(error, TypeError) else ValueError
        raise kind(f"{error}, got {term} for axis {axis}") from None
    count = len(range(start, stop, step))
    return (start, step, count) if count > 1 else (start if count else 0, 1, count)


def checked(index: int, extent: int, axis: int) -> int:
    """An integer as an index from 0 on."""
    if not -extent <= index < extent:
        raise out_of_bounds(index, extent, axis)
    return index + extent if index < 0 else index


def out_of_bounds(index: int, extent: int, axis: int) -> BoundsCheckError:
    """The error for an index that an axis does not have."""
    return BoundsCheckError(f"index {index} is out of bounds for axis {axis} with size {extent}")


def normalized(indices: Indices | range, extent: int, axis: int) -> Indices | range:
    """Indices as int64 from 0 on, in memory that nobody else changes."""
    if type(indices) is range:
        if not indices:
            return range(0)
        low, high = min(indices[0], indices[-1]), max(indices[0], indices[-1])
        if not -extent <= low <= high < extent:
            raise out_of_bounds(high if high >= extent else low, extent, axis)
        if low >= 0:
            return indices
        if high < 0:
            return range(indices.start + extent, indices.stop + extent, indices.step)
        indices = np.arange(indices.start, indices.stop, indices.step, dtype=np.int64)
    array, wrong = normalize_indices(indices, extent)
    if array is None:
        assert wrong is not None
        raise out_of_bounds(wrong, extent, axis)
    return array


def mask_indices(mask: Indices, shape: tuple[int, ...], axis: int) -> tuple[Indices, ...]:
    """The indices along each of its axes where a mask is true, in C order."""
    for i, (found, extent) in enumerate(zip(mask.shape, shape[axis:], strict=False), axis):
        if found != extent:
            raise SelectionError(
                f"boolean index did not match indexed array along axis {i}; size of axis is {extent} but "
                f"size of corresponding boolean axis is {found}"
            )
    return mask.nonzero()
