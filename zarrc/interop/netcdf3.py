"""Reading the hierarchy of a classic netCDF file (CDF-1, CDF-2, CDF-5) with netCDF4-python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zarrc.interop.extras import require
from zarrc.interop.hierarchy import Box, LeftOut, SourceArray, SourceFile, SourceGroup
from zarrc.interop.netcdf3_header import check_length

__all__ = ["open_netcdf3"]


def open_netcdf3(path: Path) -> SourceFile:
    """Open a classic netCDF file and list what is in it.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    SourceFile
        One group, no chunks: the format has neither. Its arrays read from the open file until it is closed.

    Raises
    ------
    MissingExtraError
        If netCDF4 is not installed.
    OSError
        If the file cannot be read, or was cut short.
    """
    netcdf4: Any = require("netCDF4", extra="netcdf", purpose="reading classic netCDF files")
    check_length(path)
    data_set = netcdf4.Dataset(path, "r")
    # Numbers as they are stored: no masks, no scaling, no strings made of characters.
    data_set.set_auto_maskandscale(False)
    data_set.set_auto_chartostring(False)
    chars = [name for name, variable in data_set.variables.items() if variable.dtype.kind == "S"]
    return SourceFile(
        groups=[SourceGroup(path="", attributes=_attributes(data_set))],
        arrays=[_array(name, v) for name, v in data_set.variables.items() if name not in chars],
        left_out=[LeftOut(name, "char") for name in chars],
        close=data_set.close,
    )


def _array(name: str, variable: Any) -> SourceArray:
    return SourceArray(
        path=name,
        dtype=variable.dtype.newbyteorder("="),
        shape=tuple(variable.shape),
        dimensions=tuple(variable.dimensions),
        unlimited=tuple(dimension.isunlimited() for dimension in variable.get_dims()),
        chunks=None,
        attributes=_attributes(variable),
        read=_reader(variable),
    )


def _attributes(node: Any) -> dict[str, Any]:
    return {name: node.getncattr(name) for name in node.ncattrs()}


def _reader(variable: Any) -> Callable[[Box], np.ndarray[Any, Any]]:
    dtype = variable.dtype.newbyteorder("=")

    def read(box: Box) -> np.ndarray[Any, Any]:
        return np.asarray(variable[box if box else ...]).astype(dtype, copy=False)

    return read
