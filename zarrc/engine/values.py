"""What the user assigns -> an array of the stored data type, broadcast over the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zarrc.errors import CastingError
from zarrc.kernels.casting import checked_astype
from zarrc.reading import show

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["as_values"]


def as_values(
    value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], casting: str, array: str
) -> npt.NDArray[Any]:
    """``value`` as an array of ``dtype``, broadcast to ``shape`` (a view: strides may be 0).

    Parameters
    ----------
    value : array_like
        What the user assigns. Python scalars and lists are values, not int64 or float64.
    dtype : numpy.dtype
        The array's data type, byte order included.
    shape : tuple of int
        Shape of the selection.
    casting : str
        "checked", or one of NumPy's rules.
    array : str
        The array's path, for messages.

    Raises
    ------
    CastingError
        If a value does not fit ``dtype`` under ``casting``.
    ValueError
        If the value does not broadcast to ``shape``.
    """
    values = _as_array(value, dtype, casting)
    broadcast = _broadcast(values, shape, array)
    if values.dtype == dtype:
        return broadcast
    # Cast before broadcasting: one row that goes to many is checked and copied once.
    return _broadcast(_cast(values, dtype, casting, array), shape, array)


def _as_array(value: Any, dtype: np.dtype[Any], casting: str) -> npt.NDArray[Any]:
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if dtype.kind == "V":
        return _as_raw(value, dtype)
    if _surely_fits(value, dtype):
        return np.asarray(value, dtype=dtype)  # checking it takes ten times as long
    values = np.asarray(value)
    if hasattr(value, "__array__"):
        return values
    if casting == "checked" and not _holds_long_integers(values):
        return values
    # A Python scalar or list takes the array's type if NumPy's own assignment would.
    try:
        with np.errstate(all="ignore"):
            return np.asarray(value, dtype=dtype)
    except OverflowError as error:
        raise CastingError(f"a value does not fit {dtype}: {error}") from error


def _surely_fits(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether this is a Python number that every rule lets into ``dtype``."""
    if type(value) is float:
        return dtype.kind in "fc" and -60000.0 < value < 60000.0  # float16 ends at 65504
    return type(value) is int and dtype.kind in "iu" and 0 <= value < 128


def _as_raw(value: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Bytes as raw bits; NumPy would cut them or pad them to the size."""
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    for item in np.asarray(value, dtype=object).flat:
        data = item.tobytes() if isinstance(item, np.void) else item
        if not isinstance(data, bytes) or len(data) != dtype.itemsize:
            raise CastingError(f"{item!r:.80} is not raw bits of {dtype.itemsize} bytes")
    return np.asarray(value, dtype=dtype)


def _holds_long_integers(values: npt.NDArray[Any]) -> bool:
    """Whether these are Python's integers, kept as objects because one of them has more than 64 bits."""
    return values.dtype == object and all(type(item) is int for item in values.flat)


def _cast(values: npt.NDArray[Any], dtype: np.dtype[Any], casting: str, array: str) -> npt.NDArray[Any]:
    if casting == "checked":
        try:
            with np.errstate(all="ignore"):
                return checked_astype(values, dtype)
        except CastingError as error:
            error.array = array
            raise
        except TypeError:
            what = show(values.item()) if values.ndim == 0 else f"values of {values.dtype}"
            raise TypeError(
                f"{what} cannot be written to an array of {dtype} (array {array or '/'!r})"
            ) from None
    if not np.can_cast(values.dtype, dtype, casting=casting):  # type: ignore[arg-type]
        raise CastingError(f"cannot cast {values.dtype} to {dtype} under casting {casting!r}", array=array)
    with np.errstate(all="ignore"):
        return values.astype(dtype, casting="unsafe")


def _broadcast(values: npt.NDArray[Any], shape: tuple[int, ...], array: str) -> npt.NDArray[Any]:
    if values.shape == shape:
        return values  # broadcast_to takes 3 microseconds to say so
    extra = values.ndim - len(shape)
    try:
        if extra > 0 and all(extent == 1 for extent in values.shape[:extra]):
            # As NumPy's own assignment: leading dimensions of 1 may be left out.
            return np.broadcast_to(values.reshape(values.shape[extra:]), shape)
        return np.broadcast_to(values, shape)
    except ValueError:
        where = f" (array {array!r})" if array else ""
        raise ValueError(
            f"could not broadcast input array from shape {values.shape} into shape {shape}{where}"
        ) from None
