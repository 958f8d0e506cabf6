"""Attributes of netCDF variables in Zarr: as JSON, and ``_FillValue`` where xarray looks for it.

Values stay as stored: ``scale_factor``, ``add_offset``, ``_Unsigned`` and ``missing_value`` are carried,
not applied.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["ZarrAttributes", "array_attributes", "group_attributes"]

_FILL = "_FillValue"
_MISSING = "missing_value"


@dataclass(frozen=True, slots=True)
class ZarrAttributes:
    """What to write for one node.

    Parameters
    ----------
    attributes : dict
        JSON values.
    fill_value : numpy scalar or None
        The array's fill value; None where it should have none (v2).
    left_out : list of str
        Names of attributes that have no form in JSON.
    """

    attributes: dict[str, Any]
    fill_value: Any
    left_out: list[str]


def group_attributes(attributes: Mapping[str, Any]) -> ZarrAttributes:
    """Convert the attributes of a group."""
    values, left_out = _json_values(attributes)
    return ZarrAttributes(values, None, left_out)


def array_attributes(
    attributes: Mapping[str, Any],
    dtype: np.dtype[Any],
    dimensions: tuple[str, ...],
    zarr_format: Literal[2, 3],
) -> ZarrAttributes:
    """Convert the attributes of a variable and find its fill value.

    Parameters
    ----------
    attributes : mapping
        As the file's library returns them.
    dtype : numpy.dtype
        Data type of the variable.
    dimensions : tuple of str
        Name per axis; v2 keeps them in the attribute ``_ARRAY_DIMENSIONS``.
    zarr_format : {2, 3}
        In v3 ``_FillValue`` is an attribute in xarray's encoding, and also the array's fill value, so that
        chunks without data take no space. In v2 xarray masks the array's fill value: that is the only place
        for ``_FillValue``, and a variable without one has no fill value, or zeros would become missing.

    Returns
    -------
    ZarrAttributes
        The values to write.
    """
    plain = {name: value for name, value in attributes.items() if name != _FILL}
    fill = _fill_value(attributes.get(_FILL), dtype)
    unusable = _FILL in attributes and fill is None
    if dtype.kind in "fc" and _is_nan(plain.get(_MISSING)):
        # JSON has no NaN, and xarray would take a string for a second fill value. It masks nothing that
        # a NaN does not mask; as the fill value it says the same.
        del plain[_MISSING]
        fill = dtype.type(math.nan) if fill is None else fill
    values, left_out = _json_values(plain)
    if unusable:
        left_out.append(_FILL)
    if zarr_format == 2:
        return ZarrAttributes({**values, "_ARRAY_DIMENSIONS": list(dimensions)}, fill, left_out)
    if fill is not None:
        values[_FILL] = encode_fill(fill, dtype)
    return ZarrAttributes(values, _default_fill(dtype) if fill is None else fill, left_out)


def encode_fill(value: Any, dtype: np.dtype[Any]) -> Any:
    """Encode ``_FillValue`` for the attributes of a v3 array.

    xarray's form (``FillValueCoder`` in its Zarr backend): integers and booleans as JSON, a float as the
    base64 text of its little-endian float64, a complex number as a pair of these.
    """
    if dtype.kind == "f":
        return base64.standard_b64encode(struct.pack("<d", float(value))).decode()
    if dtype.kind == "c":
        parts = np.array([value.real, value.imag])
        return [encode_fill(part, parts.dtype) for part in parts]
    return bool(value) if dtype.kind == "b" else int(value)


def _default_fill(dtype: np.dtype[Any]) -> Any:
    """Xarray's fill value for variables that declare none: NaN for floats, else zero."""
    return dtype.type(math.nan) if dtype.kind == "f" else dtype.type(0)


def _fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """The one number of ``_FillValue`` in the variable's data type; None if it is none, or does not fit."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biufc":
        return None
    with np.errstate(all="ignore"):
        fill = array.reshape(()).astype(dtype)
    same = fill == array.reshape(()) or (dtype.kind in "fc" and bool(np.isnan(array.reshape(()))))
    return fill[()] if same or dtype.kind in "fc" else None


def _is_nan(value: Any) -> bool:
    array = np.asarray(value)
    return bool(array.dtype.kind in "fc" and array.size and np.isnan(array).all())


def _json_values(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in attributes.items():
        try:
            values[_text(name)] = _json_value(value)
        except TypeError:
            left_out.append(_text(name))
    return values, left_out


def _json_value(value: Any) -> Any:
    """One attribute as JSON; TypeError if it has no form there (compound, reference, ...)."""
    if isinstance(value, str | bytes):
        return _text(value)
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    array = np.asarray(value)
    if array.dtype.kind not in "biufcSUO" or array.dtype.fields is not None:
        raise TypeError
    if array.ndim and array.size == 1:  # netCDF has no scalars: one value is a list of one
        array = array.reshape(())
    if array.ndim:
        return [_json_value(item) for item in array]
    return _json_scalar(array[()])


def _json_scalar(value: Any) -> Any:
    if isinstance(value, str | bytes):
        return _text(value)
    if not isinstance(value, np.generic):
        raise TypeError
    number = value.item()
    if isinstance(number, complex):
        return [_json_float(number.real), _json_float(number.imag)]
    return _json_float(number) if isinstance(number, float) else number


def _json_float(number: float) -> float | str:
    """JSON has no NaN and no infinities: their names, as Zarr writes them in fill values."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _text(value: str | bytes) -> str:
    """Text that UTF-8 can hold; bytes that are not UTF-8 are read as Latin-1, what old files mostly mean."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
