"""What a data type is: its names in both formats, its NumPy dtype, its fill value in JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DataType", "Fill", "frozen_scalar", "same_bits"]

Fill: TypeAlias = "npt.NDArray[Any]"
"""A fill value: 0-d, read-only, native byte order."""


@frozen(repr=False)
class DataType(ABC):
    """A data type.

    Parameters
    ----------
    name : str
        Name in v3 documents, such as ``float32`` or ``r24``.
    numpy : numpy.dtype
        The NumPy dtype, in native byte order.

    Notes
    -----
    ``str()`` of a data type is its v3 name.
    """

    name: str
    numpy: np.dtype[Any]

    @property
    def itemsize(self) -> int:
        """Size of an element, in bytes."""
        return self.numpy.itemsize

    @property
    def swap_unit(self) -> int:
        """How many bytes a change of byte order reverses at a time; 1 where there is no byte order."""
        return self.numpy.itemsize

    def default_fill(self) -> Fill:
        """The fill value of an array whose creator names none: all bytes zero."""
        return frozen_scalar(bytes(self.itemsize), self.numpy)

    @abstractmethod
    def fill_from_json(
        self, value: object, *, zarr_format: Literal[2, 3] = 3, reading: Reading | None = None
    ) -> Fill:
        """The fill value of a document's ``fill_value`` (which is not null).

        Raises
        ------
        MetadataError
            If the value is not one of this data type.
        """

    @abstractmethod
    def fill_to_json(self, fill: Fill, *, zarr_format: Literal[2, 3] = 3) -> Any:
        """``fill`` as a document's ``fill_value``, such that reading gives the same bits.

        Raises
        ------
        MetadataError
            If the format has no form for it (v2 knows one NaN only).
        """

    @abstractmethod
    def fill_from_user(self, value: object) -> Fill:
        """The fill value that a user passed: a scalar of Python or NumPy, or a JSON form.

        Raises
        ------
        MetadataError
            If the data type cannot hold the value exactly (a float may be rounded).
        """

    def to_v3_json(self) -> str | dict[str, Any]:
        """The data type as a v3 document holds it."""
        return self.name

    @abstractmethod
    def to_v2_json(self, endian: Literal["little", "big"]) -> str:
        """The data type as a v2 document holds it."""

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


def frozen_scalar(data: bytes, dtype: np.dtype[Any]) -> Fill:
    """The read-only 0-d array of ``dtype`` with the bytes ``data``; none passes through a Python number."""
    return np.frombuffer(data, dtype, count=1).reshape(())


def same_bits(a: npt.NDArray[Any] | None, b: npt.NDArray[Any] | None) -> bool:
    """Whether two scalars have the same data type and bits: NaN equals itself, -0.0 and 0.0 differ."""
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()
