"""The raw bits data types ``r8``, ``r16``, ``r24``, ...: elements of so many bytes, without a meaning."""

from __future__ import annotations

import binascii
from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill, frozen_scalar
from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["MAX_RAW_NBYTES", "RawBits", "raw_bits"]

MAX_RAW_NBYTES = 1 << 20
"""Largest element: a name of a few digits must not make us allocate gigabytes for one fill value."""


@frozen(repr=False)
class RawBits(DataType):
    """``r<N>``, N a multiple of 8; in v2 ``|V<N/8>``."""

    @property
    def swap_unit(self) -> int:
        """1: raw bits have no byte order."""
        return 1

    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of a list of integers (v3's form) or of base64 (v2's); each format takes both."""
        reading = reading or Reading(path="fill_value")
        if isinstance(value, str):
            if zarr_format == 3:
                reading.assume("base64 is v2's form of raw bits", "read as a list of integers")
            return self._from_base64(value, reading)
        if value == 0 and type(value) is int and zarr_format == 2:
            reading.assume("0 is not base64", "read as all bits zero")
            return self.default_fill()
        if not isinstance(value, list):
            raise reading.error(
                f"must be a list of {self.itemsize} integers for {self.name}, got {show(value)}"
            )
        if zarr_format == 2:
            reading.assume("a list of integers is v3's form of raw bits", "read as base64")
        return self._from_bytes(bytes(reading.integers(value, 0, 255)), reading)

    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """A list of integers in v3, base64 in v2."""
        data = fill.tobytes()
        return list(data) if zarr_format == 3 else binascii.b2a_base64(data, newline=False).decode("ascii")

    def fill_from_user(self, value: object) -> Fill:
        """The fill value of bytes, a NumPy void, one of the JSON forms, or 0 for all bits zero."""
        reading = Reading(path="fill_value", from_user=True)
        if isinstance(value, (np.void, np.ndarray)):
            value = value.tobytes()
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._from_bytes(bytes(value), reading)
        if isinstance(value, (int, np.integer)) and value == 0:
            return self.default_fill()
        return self.fill_from_json(list(value) if isinstance(value, tuple) else value, reading=reading)

    def _from_base64(self, text: str, reading: Reading) -> Fill:
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise reading.error(f"is not base64: {show(text)}") from None
        return self._from_bytes(data, reading)

    def _from_bytes(self, data: bytes, reading: Reading) -> Fill:
        if len(data) != self.itemsize:
            raise reading.error(f"must have {self.itemsize} bytes for {self.name}, got {len(data)}")
        return frozen_scalar(data, self.numpy)

    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """``|V3``, ..."""
        return f"|V{self.itemsize}"


def raw_bits(nbytes: int) -> RawBits:
    """The raw bits data type of ``nbytes`` bytes an element."""
    if not 1 <= nbytes <= MAX_RAW_NBYTES:
        raise MetadataError(f"raw bits must have 1 to {MAX_RAW_NBYTES} bytes an element, got {show(nbytes)}")
    return RawBits(f"r{8 * nbytes}", np.dtype(f"V{nbytes}"))
