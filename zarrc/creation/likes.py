"""Create arrays with the shape, data type, chunks and codecs of other arrays."""

from __future__ import annotations

from typing import Any

from zarrc import new_array
from zarrc.array import Array
from zarrc.creation.creating import create
from zarrc.creation.opening import open_array

__all__ = ["empty_like", "full_like", "ones_like", "open_like", "zeros_like"]


def zeros_like(a: Any, **keywords: Any) -> Array:
    """Create an array of zeros, otherwise like ``a``; keywords as for `create`."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": 0})


def ones_like(a: Any, **keywords: Any) -> Array:
    """Create an array of ones, otherwise like ``a``; keywords as for `create`."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": 1})


def full_like(a: Any, fill_value: Any = None, **keywords: Any) -> Array:
    """Create an array like ``a``, filled with ``fill_value`` or else with the fill value of ``a``."""
    return create(**{**new_array.keywords_like(a, keywords), "fill_value": _fill_of(a, fill_value)})


def empty_like(a: Any, **keywords: Any) -> Array:
    """Create an array with the shape, data type, chunks and codecs of ``a``; keywords as for `create`."""
    return create(**new_array.keywords_like(a, keywords))


def _fill_of(a: Any, fill_value: Any) -> Any:
    return getattr(a, "fill_value", 0) if fill_value is None else fill_value


def open_like(a: Any, path: str, **keywords: Any) -> Array:
    """Open an array; if there is none, create one like ``a``.

    Parameters
    ----------
    a : array_like
        Gives shape, data type, chunks, codecs and fill value of a new array.
    path : str
        As for `open_array`.
    **keywords
        As for `open_array`.
    """
    wanted = new_array.keywords_like(a, keywords)
    if hasattr(a, "fill_value"):
        wanted.setdefault("fill_value", a.fill_value)
    return open_array(path=path, **wanted)
