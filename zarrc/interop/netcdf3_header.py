"""How long a classic netCDF file must be, from its header.

The netCDF library reads a file that was cut short as if zeros followed (seen with 4.9): the only way to
tell is to compare its length with what its header says. The layout is that of the NetCDF Users' Guide,
"File Format Specifications"; numbers are big-endian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

__all__ = ["check_length"]

T = TypeVar("T")

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
# nc_type -> bytes: byte, char, short, int, float, double, and CDF-5's ubyte, ushort, uint, int64, uint64.
_ITEMSIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


def check_length(path: Path) -> None:
    """Refuse a classic netCDF file that is shorter than its header says.

    Raises
    ------
    OSError
        If it is, or if the header breaks the format.
    """
    nbytes = path.stat().st_size
    with path.open("rb") as raw:
        least = _Header(raw, nbytes).least_nbytes()
    if nbytes < least:
        raise OSError(f"the file is truncated: it has {nbytes} bytes, its header says {least}")


@dataclass(slots=True)
class _Variable:
    """Where a variable begins, its bytes (of one record, if it has records), and whether it has records."""

    begin: int
    nbytes: int
    recorded: bool


class _Header:
    """A reader of the header; whatever it reads is bounded by the file's length."""

    def __init__(self, raw: BinaryIO, file_nbytes: int) -> None:
        self._raw = raw
        self._file_nbytes = file_nbytes
        version = self._bytes(4)[3]
        self._count_nbytes = 8 if version == 5 else 4
        self._offset_nbytes = 4 if version == 1 else 8

    def least_nbytes(self) -> int:
        """Bytes from the file's beginning to the end of its last value."""
        n_records = self._count()
        if n_records == 256**self._count_nbytes - 1:  # "streaming": not known
            n_records = 0
        lengths = self._list(_DIMENSIONS, self._dimension)
        self._list(_ATTRIBUTES, self._attribute)
        variables = self._list(_VARIABLES, lambda: self._variable(lengths))
        recorded = [variable for variable in variables if variable.recorded]
        ends = [self._raw.tell()]
        ends += [variable.begin + variable.nbytes for variable in variables if not variable.recorded]
        if n_records:
            # Records are padded to 4 bytes, but not where a file has only one variable with records.
            step = (
                sum(_padded(v.nbytes) for v in recorded)
                if len(recorded) > 1
                else sum(v.nbytes for v in recorded)
            )
            ends += [variable.begin + (n_records - 1) * step + variable.nbytes for variable in recorded]
        return max(ends)

    def _bytes(self, nbytes: int) -> bytes:
        # Checked first: a length from the file must not become an allocation.
        if nbytes > self._file_nbytes - self._raw.tell():
            raise OSError("the file ends inside its header")
        return self._raw.read(nbytes)

    def _skip(self, nbytes: int) -> None:
        if nbytes > self._file_nbytes - self._raw.tell():
            raise OSError("the file ends inside its header")
        self._raw.seek(nbytes, 1)

    def _number(self, nbytes: int) -> int:
        return int.from_bytes(self._bytes(nbytes), "big")

    def _count(self) -> int:
        return self._number(self._count_nbytes)

    def _list(self, tag: int, element: Callable[[], T]) -> list[T]:
        found, n_elements = self._number(4), self._count()
        if found not in (0, tag) or (found == 0 and n_elements):
            raise OSError(f"the file's header is damaged: tag {found} where {tag} belongs")
        return [element() for _ in range(n_elements)]

    def _name(self) -> None:
        self._skip(_padded(self._count()))

    def _dimension(self) -> int:
        self._name()
        return self._count()

    def _attribute(self) -> None:
        self._name()
        itemsize = self._itemsize()
        self._skip(_padded(self._count() * itemsize))

    def _itemsize(self) -> int:
        nc_type = self._number(4)
        if nc_type not in _ITEMSIZE:
            raise OSError(f"the file's header is damaged: type {nc_type}")
        return _ITEMSIZE[nc_type]

    def _variable(self, lengths: list[int]) -> _Variable:
        self._name()
        ids = [self._count() for _ in range(self._count())]
        if any(index >= len(lengths) for index in ids):
            raise OSError("the file's header is damaged: a variable has a dimension that is not there")
        shape = [lengths[index] for index in ids]
        self._list(_ATTRIBUTES, self._attribute)
        itemsize = self._itemsize()
        self._count()  # the size as written, which large variables overflow; the shape says it too
        begin = self._number(self._offset_nbytes)
        recorded = bool(shape) and shape[0] == 0  # the length of the record dimension is written as 0
        return _Variable(begin, math.prod(shape[1:] if recorded else shape) * itemsize, recorded)


def _padded(nbytes: int) -> int:
    return (nbytes + 3) // 4 * 4
