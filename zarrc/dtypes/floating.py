"""The floating point data types, and the JSON of one float, which complex numbers use twice.

A NaN is its bits: its payload and sign are never passed through a Python float or a cast, which may quiet or
lose them.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from numbers import Real
from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill, frozen_scalar
from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["TYPES", "Float", "float_from_json", "float_from_user", "float_to_json"]

# The bits that the specification gives to "NaN", by size in bytes.
_NAN_BITS = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8000000000000}
_NAMED = {"Infinity": math.inf, "-Infinity": -math.inf}


def float_from_bits(bits: int, dtype: np.dtype[Any]) -> Fill:
    """The float of ``dtype`` with these bits."""
    return frozen_scalar(bits.to_bytes(dtype.itemsize, sys.byteorder), dtype)


def float_from_json(
    value: object, dtype: np.dtype[Any], zarr_format: Literal[2, 3], reading: Reading
) -> Fill:
    """One float of a document: a number, "NaN", "Infinity", "-Infinity" or (v3) hexadecimal bits."""
    if isinstance(value, str):
        return _float_from_string(value, dtype, zarr_format, reading)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise reading.error(f"must be a number or a string such as 'NaN' for {dtype.name}, got {show(value)}")
    return _float_from_number(value, dtype, reading)


def _float_from_string(text: str, dtype: np.dtype[Any], zarr_format: int, reading: Reading) -> Fill:
    if text == "NaN":
        return float_from_bits(_NAN_BITS[dtype.itemsize], dtype)
    if text == "+Infinity":
        reading.assume("'+Infinity' is not a form of the specification", "read as 'Infinity'")
        text = "Infinity"
    if text in _NAMED:
        return _float_from_number(_NAMED[text], dtype, reading)
    n_digits = 2 * dtype.itemsize
    if zarr_format == 3 and re.fullmatch(f"0x[0-9a-fA-F]{{{n_digits}}}", text):
        return float_from_bits(int(text, 16), dtype)
    bits = f" or '0x' and {n_digits} hexadecimal digits" if zarr_format == 3 else ""
    raise reading.error(
        f"as a string must be 'NaN', 'Infinity', '-Infinity'{bits} for {dtype.name}, got {show(text)}"
    )


def _float_from_number(value: Any, dtype: np.dtype[Any], reading: Reading) -> Fill:
    try:
        number = float(value)
    except OverflowError:
        raise reading.error(f"{show(value)} is beyond {dtype.name}") from None
    if math.isnan(number):
        return float_from_bits(_NAN_BITS[dtype.itemsize], dtype)
    try:
        # Rounds half to even, as a cast by NumPy does, and in a tenth of its time.
        data = struct.pack(f"={dtype.char}", number)
    except OverflowError:
        raise reading.error(f"{show(value)} is beyond {dtype.name}") from None
    return frozen_scalar(data, dtype)


def float_to_json(fill: Fill, zarr_format: Literal[2, 3]) -> float | str:
    """One float as a document says it; NaNs but the usual one as their bits, which only v3 can say."""
    if np.isnan(fill):
        bits = int.from_bytes(fill.tobytes(), sys.byteorder)
        if bits == _NAN_BITS[fill.dtype.itemsize]:
            return "NaN"
        text = f"0x{bits:0{2 * fill.dtype.itemsize}x}"
        if zarr_format == 2:
            raise MetadataError(
                f"fill_value: zarr_format 2 has one NaN only, not one with the bits {text}; "
                "pass 'NaN', or use zarr_format=3"
            )
        return text
    number = float(fill)
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def float_from_user(value: object, dtype: np.dtype[Any], reading: Reading) -> Fill:
    """One float that a user passed; a NumPy scalar of this data type keeps its bits."""
    if isinstance(value, (np.generic, np.ndarray)) and value.dtype == dtype:
        return frozen_scalar(value.tobytes(), dtype)
    if isinstance(value, str):
        return float_from_json(value, dtype, 3, reading)
    if isinstance(value, (Real, np.bool_, np.floating, np.integer)):
        return _float_from_number(value, dtype, reading)
    raise reading.error(f"must be a number or a string such as 'NaN' for {dtype.name}, got {show(value)}")


@frozen(repr=False)
class Float(DataType):
    """An IEEE 754 binary float of 2, 4 or 8 bytes."""

    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of a number, "NaN", "Infinity", "-Infinity" or (v3) "0x" and the bits."""
        return float_from_json(value, self.numpy, zarr_format, reading or Reading(path="fill_value"))

    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """The number, or one of the strings."""
        return float_to_json(fill, zarr_format)

    def fill_from_user(self, value: object) -> Fill:
        """The fill value of a number, rounded, or of one of the strings."""
        return float_from_user(value, self.numpy, Reading(path="fill_value", from_user=True))

    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """``<f4``, ``>f8``, ..."""
        return f"{'<' if endian == 'little' else '>'}f{self.itemsize}"


TYPES = tuple(Float(name, np.dtype(name)) for name in ("float16", "float32", "float64"))
