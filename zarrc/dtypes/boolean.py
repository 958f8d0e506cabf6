"""The data type ``bool``: one byte an element, 0 or 1."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill, frozen_scalar
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["TYPES", "Bool"]


@frozen(repr=False)
class Bool(DataType):
    """``bool``; in v2 ``|b1``."""

    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of true or false; 0 and 1 by leniency."""
        reading = reading or Reading(path="fill_value")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value in (0, 1):
            reading.assume(f"{show(value)} is not true or false", f"read as {'true' if value else 'false'}")
            value = bool(value)
        if not isinstance(value, bool):
            raise reading.error(f"must be true or false for bool, got {show(value)}")
        return frozen_scalar(bytes([value]), self.numpy)

    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """True or false."""
        return bool(fill)

    def fill_from_user(self, value: object) -> Fill:
        """The fill value of a bool, or of a number equal to 0 or 1."""
        if isinstance(value, (np.bool_, np.number, np.ndarray)):
            value = value.item()
        return self.fill_from_json(value, reading=Reading(path="fill_value", from_user=True))

    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """``|b1``."""
        return "|b1"


TYPES = (Bool("bool", np.dtype(np.bool_)),)
