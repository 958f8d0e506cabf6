"""The complex data types: two floats, real part first."""

from __future__ import annotations

from numbers import Complex as AnyComplex
from typing import Any, Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill, frozen_scalar
from zarrc.dtypes.floating import float_from_json, float_from_user, float_to_json
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["TYPES", "Complex"]


@frozen(repr=False)
class Complex(DataType):
    """A complex number of two float32 or float64.

    ``complex_float32`` and ``complex_float64`` are the registry's other names of the same types; an array
    keeps the name that it has.
    """

    @property
    def swap_unit(self) -> int:
        """The size of one component."""
        return self.itemsize // 2

    @property
    def component(self) -> np.dtype[Any]:
        """The dtype of one component."""
        return np.dtype(f"f{self.itemsize // 2}")

    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of ``[real, imaginary]``, each as for a float; in v2 of one number by leniency."""
        reading = reading or Reading(path="fill_value")
        if zarr_format == 2 and isinstance(value, (int, float)) and not isinstance(value, bool):
            reading.assume(f"{show(value)} is not a list of two numbers", "read as the real part")
            value = [value, 0.0]
        if not isinstance(value, list) or len(value) != 2:
            raise reading.error(f"must be [real, imaginary] for {self.name}, got {show(value)}")
        parts = (
            float_from_json(part, self.component, zarr_format, reading.at(i)) for i, part in enumerate(value)
        )
        return self._join(*parts)

    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """``[real, imaginary]``."""
        data, size = fill.tobytes(), self.itemsize // 2
        parts = (frozen_scalar(data[start : start + size], self.component) for start in (0, size))
        return [float_to_json(part, zarr_format) for part in parts]

    def fill_from_user(self, value: object) -> Fill:
        """The fill value of a number, or of a pair of what a float takes."""
        reading = Reading(path="fill_value", from_user=True)
        if isinstance(value, (np.generic, np.ndarray)) and value.dtype == self.numpy:
            return frozen_scalar(value.tobytes(), self.numpy)
        if isinstance(value, (tuple, list)) and len(value) == 2:
            real, imaginary = value
        elif isinstance(value, (AnyComplex, np.number, np.bool_)):
            number = complex(value)
            real, imaginary = number.real, number.imag
        else:
            raise reading.error(f"must be a number or [real, imaginary] for {self.name}, got {show(value)}")
        return self._join(
            float_from_user(real, self.component, reading),
            float_from_user(imaginary, self.component, reading),
        )

    def _join(self, real: Fill, imaginary: Fill) -> Fill:
        return frozen_scalar(real.tobytes() + imaginary.tobytes(), self.numpy)

    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """``<c8``, ``>c16``, ..."""
        return f"{'<' if endian == 'little' else '>'}c{self.itemsize}"


TYPES = (
    Complex("complex64", np.dtype("complex64")),
    Complex("complex128", np.dtype("complex128")),
    Complex("complex_float32", np.dtype("complex64")),
    Complex("complex_float64", np.dtype("complex128")),
)
