"""A user's attributes to JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zarrc.errors import AttributesError
from zarrc.reading import show

__all__ = ["attributes_to_json"]

# Python refuses to print integers of more than 4300 digits, and so could not read them again.
_MAX_BITS = 14_000


def attributes_to_json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes as values that JSON can say: a new dictionary all the way down.

    Parameters
    ----------
    attributes : Mapping
        Values may be those of JSON, tuples, mappings, and NumPy scalars and arrays of bools, numbers and
        strings.

    Raises
    ------
    AttributesError
        If a value cannot be said in JSON (NaN and infinities included), or a key is not a string; the text
        names the path of keys to it.
    """
    if not isinstance(attributes, Mapping):
        raise AttributesError(f"attributes must be a mapping, got {show(attributes)}")
    try:
        return _mapping(attributes, "attributes")
    except RecursionError:
        raise AttributesError("attributes are nested too deeply, or hold themselves") from None


def _mapping(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    result = {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise AttributesError(f"{path}: the key {show(name)} is not a string")
        result[_text(name, f"{path}: the key")] = _value(item, f"{path}[{show(name)}]")
    return result


def _value(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, f"{path}:")
    if isinstance(value, (int, float)):
        return _number(value, path)
    if isinstance(value, Mapping):
        return _mapping(value, path)
    if isinstance(value, (list, tuple)):
        return [_value(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, (np.generic, np.ndarray)):
        return _numpy(value, path)
    raise AttributesError(f"{path}: {show(value)} of type {type(value).__name__} cannot be stored as JSON")


def _text(value: str, where: str) -> str:
    """A string of whole characters: half a surrogate pair is no text (RFC 8259, section 8.2)."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise AttributesError(
                f"{where} {value!r} has a lone surrogate, which cannot be stored as JSON"
            ) from None
    return str(value)


def _number(value: int | float, path: str) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise AttributesError(
                f"{path}: {value} cannot be stored as JSON; store a string such as 'NaN' instead"
            )
        return float(value)
    if value.bit_length() > _MAX_BITS:
        raise AttributesError(f"{path}: {show(value)} is too large to be stored as JSON")
    return int(value)


def _numpy(value: np.generic | np.ndarray[Any, Any], path: str) -> Any:
    if value.dtype.kind not in "biufUT":
        raise AttributesError(f"{path}: a NumPy value of type {value.dtype} cannot be stored as JSON")
    if value.dtype.kind == "f":
        # longdouble's own tolist() would not give Python floats.
        value = value.astype(np.float64)
    return _value(value.tolist(), path)
