"""Collecting many small writes through one handle."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from zarrc.array import Array
    from zarrc.engine.write_buffer import WriteBuffer

__all__ = ["Buffered"]


class Buffered:
    """What `Array.buffered` returns: inside its ``with`` block, writes through the array's handle wait.

    Parameters
    ----------
    array : Array
        The handle.
    nbytes : int
        What may wait, in bytes.
    """

    def __init__(self, array: Array, nbytes: int) -> None:
        self._array = array
        self._limit = nbytes
        self._buffer: WriteBuffer | None = None

    def __enter__(self) -> Self:
        if self._buffer is not None:
            raise RuntimeError("this buffer is in use; call buffered() again for another block")
        self._buffer = self._array._begin_buffer(self._limit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        buffer, self._buffer = self._buffer, None
        assert buffer is not None
        try:
            buffer.leave()
        finally:
            self._array._end_buffer(buffer)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements that wait to be written."""
        return 0 if self._buffer is None else self._buffer.nbytes

    def flush(self) -> None:
        """Write what waits now, each object once."""
        if self._buffer is not None:
            self._buffer.flush()
