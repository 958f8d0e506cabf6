"""netCDF and HDF5 files to import, small and made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np


def climate(path: Path, data_format: str = "NETCDF4") -> Path:
    """A CF file: an unlimited time axis, coordinates, bounds, a packed variable, a masked one, a scalar."""
    rng = np.random.default_rng(1)
    with netCDF4.Dataset(path, "w", format=data_format) as file:
        file.setncatts({"Conventions": "CF-1.8", "title": "made for a test", "version": np.int32(3)})
        for name, length in (("time", None), ("lat", 7), ("lon", 9), ("bnds", 2)):
            file.createDimension(name, length)
        _variable(
            file, "time", "f8", ("time",), np.arange(20.0), units="days since 2000-01-01", bounds="time_bnds"
        )
        bounds = np.stack([np.arange(20.0) - 0.5, np.arange(20.0) + 0.5], axis=1)
        _variable(file, "time_bnds", "f8", ("time", "bnds"), bounds)
        _variable(file, "lat", "f4", ("lat",), np.linspace(-30, 30, 7), units="degrees_north")
        _variable(file, "lon", "f4", ("lon",), np.linspace(0, 40, 9), units="degrees_east")
        air = rng.normal(280, 5, (20, 7, 9)).astype("f4")
        air[3, 2] = 1e20
        dims = ("time", "lat", "lon")
        _variable(
            file,
            "air",
            "f4",
            dims,
            air,
            fill=np.float32(1e20),
            units="K",
            coordinates="height",
            missing_value=np.float32(1e20),
        )
        packed = rng.integers(-300, 300, (20, 7, 9)).astype("i2")
        packed[:, 0, 0] = -32767
        _variable(
            file, "packed", "i2", dims, packed, fill=np.int16(-32767), scale_factor=0.01, add_offset=273.15
        )
        _variable(file, "height", "f8", (), 2.0, units="m", positive="up")
    return path


def _variable(
    file: Any, name: str, dtype: str, dims: tuple[str, ...], values: Any, fill: Any = None, **attributes: Any
) -> Any:
    variable = file.createVariable(name, dtype, dims, fill_value=fill)
    variable.set_auto_maskandscale(False)
    variable[...] = values
    variable.setncatts(attributes)
    return variable


def plain_hdf5(path: Path) -> Path:
    """An HDF5 file that no netCDF library wrote: groups, no dimension scales, types that netCDF lacks."""
    with h5py.File(path, "w") as file:
        file.attrs["creator"] = "instrument"
        file["counts"] = np.arange(12, dtype=">i4").reshape(3, 4)
        file["square"] = np.arange(9, dtype="u8").reshape(3, 3) + np.uint64(2**60)
        run = file.create_group("runs/first")
        run.attrs["ok"] = True
        run["half"] = np.linspace(0, 1, 4).astype("f2")
        run["wave"] = np.exp(1j * np.arange(5)).astype("c8")
        run["mask"] = np.array([True, False, True])
        run["one"] = np.float64(4.5)
    return path


def every_later_type(path: Path) -> Path:
    """One variable of each type that cannot be imported yet, and one that can."""
    with h5py.File(path, "w") as file:
        file["number"] = np.arange(3.0)
        file["text"] = ["a", "bc"]
        file["fixed"] = np.array([b"abc", b"de"])
        file["char"] = np.array([b"a", b"b"], dtype="S1")
        file["compound"] = np.zeros(2, dtype=[("x", "i4"), ("y", "f8")])
        file.create_dataset("vlen", (2,), dtype=h5py.vlen_dtype("i4"))
        file.create_dataset("enum", (2,), dtype=h5py.enum_dtype({"A": 0, "B": 1}, basetype="i1"))
        file.create_dataset("reference", (1,), dtype=h5py.ref_dtype)
        file.create_dataset("opaque", (2,), dtype="V4")
        file.create_dataset("rows", (2,), dtype="3i4")
        file["empty"] = h5py.Empty("f4")
        file["wide"] = np.zeros(2, dtype=np.longdouble)
    return path
