"""The fill value of an array that is being created."""

from __future__ import annotations

from typing import Literal

import numpy as np

from zarrc.dtypes.base import DataType, Fill
from zarrc.errors import MetadataError
from zarrc.reading import show

__all__ = ["DEFAULT_FILL", "fill_value_for"]


class _DefaultFill:
    """Says that the user gave no fill value, which in v2 differs from None."""

    def __repr__(self) -> str:
        return "DEFAULT_FILL"

    def __reduce__(self) -> str:
        return "DEFAULT_FILL"


DEFAULT_FILL = _DefaultFill()


def fill_value_for(data_type: DataType, value: object, *, zarr_format: Literal[2, 3] = 3) -> Fill | None:
    """The fill value that a user passed, as a read-only 0-d array of the data type.

    Parameters
    ----------
    data_type : DataType
    value : scalar, str, sequence, None or DEFAULT_FILL
        A scalar of Python or NumPy (those of the data type keep their bits), or a form that documents use,
        such as ``"NaN"`` or ``"0x7fc00001"``. None and ``DEFAULT_FILL``: zero, except that None in v2 means
        no fill value.
    zarr_format : {2, 3}

    Returns
    -------
    numpy.ndarray or None
        None only for None in v2.

    Raises
    ------
    MetadataError
        If the data type cannot hold the value (300 in uint8, 0.5 in an integer), or the format cannot say it.
    """
    if value is None and zarr_format == 2:
        return None
    if value is None or value is DEFAULT_FILL:
        return data_type.default_fill()
    if isinstance(value, np.ndarray):
        if value.shape != ():
            raise MetadataError(f"fill_value: must be a scalar, got an array of shape {value.shape}")
        if not value.dtype.isnative:
            value = value.astype(value.dtype.newbyteorder("="))
        if value.dtype != data_type.numpy:
            value = value[()]
    try:
        fill = data_type.fill_from_user(value)
    except (TypeError, OverflowError) as error:
        raise MetadataError(f"fill_value: {show(value)} is no value of {data_type.name}") from error
    data_type.fill_to_json(fill, zarr_format=zarr_format)
    return fill
