"""The data of the examples: yearly air temperature over North America, 1860 to 2099, of a climate model.

It comes with the package iris-sample-data, as a netCDF file of 1.8 MB.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import iris_sample_data

import zarrc as zarr
from zarrc.interop.netcdf import import_file


def climate(folder: Path, *, years_a_chunk: int = 24) -> zarr.Group:
    """Import the file below ``folder``: ``air_temperature`` (time, latitude, longitude), 240 x 37 x 49."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    return import_file(source, folder / "climate.zarr", chunks={"time": years_a_chunk}, overwrite=True)


def run(*parts: Callable[[Path], None]) -> None:
    """Run the parts of an example, each in a folder of its own below the given or a temporary one."""
    with tempfile.TemporaryDirectory() as temporary:
        for part in parts:
            folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary) / part.__name__
            folder.mkdir(parents=True, exist_ok=True)
            print(f"--- {part.__name__}: {(part.__doc__ or '').splitlines()[0]}")
            part(folder)
