"""The names of data types, in v3 documents, in v2 documents, and as users say them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType
from zarrc.errors import MetadataError, UnknownDataTypeError
from zarrc.reading import Reading, choices, closest, show

__all__ = ["LATER", "from_numpy", "from_v2_json", "from_v3_json", "known_names", "parse_dtype"]

Endian = Literal["little", "big"]

_FAMILIES = {
    "boolean": ("bool",),
    "integer": ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "floating": ("float16", "float32", "float64"),
    "complex": ("complex64", "complex128", "complex_float32", "complex_float64"),
}
"""Data types by the module that has them in its ``TYPES``. Raw bits, ``r<N>``, are made from their name."""

_HOMES = {name: family for family, names in _FAMILIES.items() for name in names}
_loaded: dict[str, DataType] = {}

LATER: dict[str, str] = {
    "string": "strings of any length",
    "bytes": "bytes of any length",
    "variable_length_bytes": "bytes of any length (zarr-python's name)",
    "binary": "bytes of any length (an old name)",
    "fixed_length_utf32": "strings of a fixed length",
    "null_terminated_bytes": "byte strings of a fixed length",
    "numpy.datetime64": "points in time",
    "numpy.timedelta64": "spans of time",
    "struct": "records",
    "structured": "records (zarr-python's old name)",
    "bfloat16": "16-bit floats with 8 bits of exponent",
    **{
        f"float8_{kind}": "8-bit floats"
        for kind in (
            "e3m4",
            "e4m3",
            "e4m3b11fnuz",
            "e4m3fn",
            "e4m3fnuz",
            "e5m2",
            "e5m2fnuz",
            "e8m0fnu",
        )
    },
    "float6_e2m3fn": "6-bit floats",
    "float6_e3m2fn": "6-bit floats",
    "float4_e2m1fn": "4-bit floats",
    "int2": "2-bit integers",
    "int4": "4-bit integers",
    "uint2": "2-bit integers",
    "uint4": "4-bit integers",
    "complex_float16": "complex numbers of float16",
    "complex_bfloat16": "complex numbers of bfloat16",
    **{
        f"complex_float8_{kind}": "complex numbers of 8-bit floats"
        for kind in (
            "e3m4",
            "e4m3",
            "e4m3b11fnuz",
            "e4m3fnuz",
            "e5m2",
            "e5m2fnuz",
            "e8m0fnu",
        )
    },
    "complex_float6_e2m3fn": "complex numbers of 6-bit floats",
    "complex_float6_e3m2fn": "complex numbers of 6-bit floats",
    "complex_float4_e2m1fn": "complex numbers of 4-bit floats",
    "zarrs.optional": "values that may be missing",
}
"""v3 names that the extension registry or another implementation knows; their place is here."""

# The same by NumPy's kind letter, for v2 documents and NumPy dtypes.
_LATER_KINDS = {
    "S": "null_terminated_bytes",
    "U": "fixed_length_utf32",
    "M": "numpy.datetime64",
    "m": "numpy.timedelta64",
    "O": "string",
    "T": "string",
}

# Compiled on first use (`re` keeps them): few arrays need them.
_RAW_NAME = r"r([0-9]{1,12})"
_TYPESTR = r"([<>|])([biufcV])([0-9]{1,10})"
_LATER_TYPESTR = r"[<>|=]?([SUMmOT])([0-9]*)(\[[^\]]*\])?"

_KINDS = {"i": "int", "u": "uint", "f": "float", "c": "complex"}


def known_names() -> tuple[str, ...]:
    """The v3 names of the data types that exist here, and ``r<N>``."""
    return (*_HOMES, "r<N>")


def from_v3_json(value: object, reading: Reading | None = None) -> DataType:
    """The data type of a v3 document's ``data_type``.

    Raises
    ------
    UnknownDataTypeError
        If the name is not known, or not supported yet.
    MetadataError
        If the value has not the form of a data type.
    """
    reading = reading or Reading(path="data_type", from_user=True)
    extension = reading.extension(value)
    if extension.name == "raw_bytes":
        return _raw_bytes(extension.configuration, reading)
    if extension.name in LATER:
        raise _unknown(extension.name, reading)
    with reading.locate():
        data_type = _by_name(extension.name)
    if data_type is None:
        raise _unknown(extension.name, reading)
    reading.at("configuration").only_keys(extension.configuration, ())
    return data_type


def _by_name(name: str) -> DataType | None:
    if name in _HOMES:
        if name not in _loaded:
            types: tuple[DataType, ...] = import_module(f"zarrc.dtypes.{_HOMES[name]}").TYPES
            _loaded.update({data_type.name: data_type for data_type in types})
        return _loaded[name]
    raw = re.fullmatch(_RAW_NAME, name)
    if raw is None:
        return None
    n_bits = int(raw[1])
    if n_bits == 0 or n_bits % 8 or raw[1][0] == "0":
        raise MetadataError(f"raw bits are named r<N> with N a positive multiple of 8, got {name!r}")
    return _raw(n_bits // 8)


def _raw(nbytes: int) -> DataType:
    from zarrc.dtypes.raw import raw_bits

    return raw_bits(nbytes)


def _raw_bytes(configuration: Mapping[str, Any], reading: Reading) -> DataType:
    """zarr-python's own name of raw bits."""
    at = reading.at("configuration")
    at.only_keys(configuration, ("length_bytes",))
    nbytes = at.at("length_bytes").integer(at.required(configuration, "length_bytes"), 1, 2**31 - 1)
    with reading.locate():
        data_type = _raw(nbytes)
    reading.assume("'raw_bytes' is zarr-python's own name", f"read as {data_type.name!r}")
    return data_type


def from_v2_json(value: object, reading: Reading | None = None) -> tuple[DataType, Endian | None]:
    """The data type and byte order of a v2 document's ``dtype``; None where the type has no byte order."""
    reading = reading or Reading(path="dtype", from_user=True)
    if isinstance(value, list):
        raise _unknown("struct", reading)
    text = reading.string(value)
    later = re.fullmatch(_LATER_TYPESTR, text)
    if later is not None:
        raise _unknown(_LATER_KINDS[later[1]], reading, text)
    parts = re.fullmatch(_TYPESTR, text)
    if parts is None:
        raise _unknown(text, reading)
    order, kind, size = parts.groups()
    if kind == "V":
        with reading.locate():
            return _raw(int(size)), None
    name = "bool" if (kind, int(size)) == ("b", 1) else f"{_KINDS.get(kind)}{8 * int(size)}"
    data_type = _by_name(name) if name in _HOMES else None
    if data_type is None or (order == "|" and data_type.swap_unit > 1):
        raise _unknown(text, reading)
    if data_type.swap_unit == 1:
        return data_type, None
    return data_type, "little" if order == "<" else "big"


def from_numpy(dtype: np.dtype[Any]) -> tuple[DataType, Endian | None]:
    """The data type and byte order of a NumPy dtype; None where the type has no byte order."""
    reading = Reading(path="dtype", from_user=True)
    if dtype.names is not None:
        raise _unknown("struct", reading)
    if dtype.type is np.void and dtype.subdtype is None and dtype.itemsize:
        return _raw(dtype.itemsize), None
    if dtype.kind in _LATER_KINDS:
        raise _unknown(_LATER_KINDS[dtype.kind], reading, dtype.str)
    native = dtype.newbyteorder("=")
    data_type = _by_name(native.name) if native.name in _HOMES else None
    if data_type is not None and data_type.numpy == native:
        return data_type, _byte_order(dtype)
    raise _unknown(getattr(dtype.type, "__name__", str(dtype)), reading)


def _byte_order(dtype: np.dtype[Any]) -> Endian | None:
    if dtype.byteorder == "|":
        return None
    if dtype.byteorder == "=":
        return sys.byteorder
    return "little" if dtype.byteorder == "<" else "big"


def parse_dtype(value: object) -> tuple[DataType, Endian | None]:
    """The data type that a user passed, and the byte order that goes with it.

    Parameters
    ----------
    value : numpy.dtype or what makes one, str, Mapping or DataType
        ``np.float32``, ``">f4"``, a v3 name such as ``"float32"`` or ``"r24"``, ``{"name": "float32"}``, a
        data type of ours, or one of zarr-python's.

    Returns
    -------
    DataType
    endian : {"little", "big"} or None
        None where the type has no byte order, or the value (a v3 name) says nothing about it.

    Raises
    ------
    UnknownDataTypeError
        If there is no such data type here.
    """
    if isinstance(value, DataType):
        return value, None
    if isinstance(value, Mapping) and "name" in value:
        return from_v3_json(value), None
    if isinstance(value, str) and (value in _HOMES or value in LATER or re.fullmatch(_RAW_NAME, value)):
        return from_v3_json(value), None
    if callable(getattr(value, "to_native_dtype", None)):
        value = value.to_native_dtype()  # type: ignore[attr-defined]
    try:
        dtype = np.dtype(value)  # type: ignore[call-overload]
    except Exception as error:
        # NumPy raises TypeError, ValueError and SyntaxError here, by what the value looks like.
        raise _unknown(value if isinstance(value, str) else show(value), Reading(path="dtype")) from error
    return from_numpy(dtype)


def _unknown(name: str, reading: Reading, written: str | None = None) -> UnknownDataTypeError:
    known = choices(known_names())
    if name in LATER:
        shown = f"{name!r} ({LATER[name]})" if written is None else f"{written!r} ({LATER[name]})"
        text = f"data type {shown} is known but not supported in this version of zarrc; supported: {known}"
    else:
        text = f"unknown data type {show(name)}{closest(name, [*_HOMES, *LATER])}; known: {known}"
    error = reading.error(text, UnknownDataTypeError)
    assert isinstance(error, UnknownDataTypeError)
    return error
