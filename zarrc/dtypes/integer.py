"""The integer data types: ``int8`` to ``int64``, ``uint8`` to ``uint64``."""

from __future__ import annotations

import math
import operator
import sys
from numbers import Real
from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill, frozen_scalar
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["TYPES", "Integer"]


@frozen(repr=False)
class Integer(DataType):
    """An integer of 1, 2, 4 or 8 bytes, two's complement."""

    @property
    def _bounds(self) -> tuple[int, int]:
        limits = np.iinfo(self.numpy)
        return int(limits.min), int(limits.max)

    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of an integer; of a whole float by leniency."""
        reading = reading or Reading(path="fill_value")
        if isinstance(value, float) and value.is_integer():
            reading.assume(f"{show(value)} is not written as an integer", f"read as {int(value)}")
            value = int(value)
        return self._fill(value, reading)

    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """The integer, exact."""
        return int(fill)

    def fill_from_user(self, value: object) -> Fill:
        """The fill value of an integer, a bool, or a whole float."""
        reading = Reading(path="fill_value", from_user=True)
        return self._fill(_whole(value), reading)

    def _fill(self, value: object, reading: Reading) -> Fill:
        lowest, highest = self._bounds
        if isinstance(value, bool) or not isinstance(value, int):
            raise reading.error(f"must be an integer for {self.name}, got {show(value)}")
        if not lowest <= value <= highest:
            raise reading.error(f"{show(value)} does not fit {self.name}: [{lowest}, {highest}]")
        return frozen_scalar(value.to_bytes(self.itemsize, sys.byteorder, signed=lowest < 0), self.numpy)

    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """``|i1``, ``<i2``, ``>u4``, ..."""
        order = "|" if self.itemsize == 1 else "<" if endian == "little" else ">"
        return f"{order}{self.numpy.kind}{self.itemsize}"


def _whole(value: object) -> object:
    """The int equal to ``value``, or ``value`` itself when there is none."""
    if isinstance(value, np.bool_):
        return int(value)
    try:
        return int(operator.index(value))  # type: ignore[arg-type]
    except TypeError:
        pass
    if isinstance(value, (Real, np.floating)) and math.isfinite(value) and value == math.floor(value):
        return math.floor(value)
    return value


TYPES = tuple(
    Integer(name, np.dtype(name))
    for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
)
