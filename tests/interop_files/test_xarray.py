"""xarray's own read of a file and xarray's read of the imported store are identical."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import iris_sample_data
import netCDF4
import numpy as np
import pytest

from tests.interop_files.files import climate, plain_hdf5
from tests.peers.client import Peers
from zarrc.interop.netcdf import LeftOutWarning, import_file

# Runs where xarray and zarr-python are. "assert_identical" compares names, dimensions, values, dtypes and
# attributes.
COMPARE = """
import numpy as np
import xarray as xr

WORDS = "_FillValue missing_value scale_factor add_offset _Unsigned units calendar coordinates".split()

def same(a, b):
    xr.testing.assert_identical(a, b)
    for name in a.variables:
        assert a[name].dtype == b[name].dtype, (name, a[name].dtype, b[name].dtype)
        for word in WORDS:
            x, y = a[name].encoding.get(word), b[name].encoding.get(word)
            assert np.array_equal(x, y) or x != x and y != y, (name, word, x, y)

n = 0
file = xr.open_datatree(file_path, **options)
tree = xr.open_datatree(store, engine="zarr", consolidated=False)
with file, tree:
    assert file.groups == tree.groups
    for group in file.groups:
        a, b = file[group].to_dataset(inherit=False), tree[group].to_dataset(inherit=False)
        same(a.drop_vars([name for name in left_out if name in a.variables]), b)
        n += len(b.variables)
result = n
"""


def n_equal(peers: Peers, source: Path, store: Path, left_out: tuple[str, ...] = (), **options: Any) -> int:
    """Number of variables that were compared and found identical."""
    found = peers.run(COMPARE, file_path=str(source), store=str(store), left_out=left_out, options=options)
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("data_format", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_a_climate_file(peers: Peers, tmp_path: Path, data_format: str, zarr_format: Any) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format, chunks={"time": 6})
    assert n_equal(peers, source, tmp_path / "a.zarr") == 7


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fill_values_of_every_kind(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    source = tmp_path / "a.nc"
    with netCDF4.Dataset(source, "w") as file:
        file.createDimension("x", 6)
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
            variable = file.createVariable(
                f"filled_{dtype}", dtype, ("x",), fill_value=np.dtype(dtype).type(100)
            )
            variable[:] = np.array([0, 1, 2, 100, 4, 5], dtype)
            file.createVariable(f"bare_{dtype}", dtype, ("x",))[:] = np.arange(6).astype(dtype)
        variable = file.createVariable("nan", "f4", ("x",), fill_value=np.float32(np.nan))
        variable[:] = [0, 1, np.nan, 3, np.inf, -np.inf]
        unsigned = file.createVariable("unsigned", "i1", ("x",), fill_value=np.int8(-1))
        unsigned.set_auto_maskandscale(False)
        unsigned[:] = np.array([0, 1, -1, -2, 127, -128], "i1")
        unsigned.setncattr("_Unsigned", "true")
        packed = file.createVariable("packed", "u1", ("x",), fill_value=np.uint8(255))
        packed.set_auto_maskandscale(False)
        packed[:] = np.array([0, 1, 255, 3, 4, 5], "u1")
        packed.setncatts({"scale_factor": 0.5, "add_offset": 10.0})
        flags = file.createVariable("flags", "i1", ("x",))
        flags[:] = np.arange(6)
        flags.setncatts(
            {
                "flag_values": np.arange(3, dtype="i1"),
                "flag_meanings": "a b c",
                "valid_range": np.float32([0, 5]),
            }
        )
    import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    assert n_equal(peers, source, tmp_path / "a.zarr") == 24


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_times_and_calendars(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    source = tmp_path / "a.nc"
    with netCDF4.Dataset(source, "w") as file:
        file.createDimension("time", None)
        for calendar in ("standard", "noleap", "360_day"):
            variable = file.createVariable(calendar, "i4", ("time",))
            variable[:] = np.arange(400)
            variable.setncatts({"units": "days since 1999-12-01", "calendar": calendar})
        lead = file.createVariable("lead", "f8", ("time",), fill_value=np.nan)
        lead[:] = np.arange(400) / 24
        lead.units = "hours"
    import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    assert n_equal(peers, source, tmp_path / "a.zarr") == 4


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_groups_big_endian_and_unlimited(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    source = tmp_path / "a.nc"
    with netCDF4.Dataset(source, "w") as file:
        file.createDimension("time", None)
        file.createVariable("time", ">f8", ("time",), endian="big")[:] = np.arange(30.0)
        short = file.createGroup("a").createVariable("short", "f4", ("time",), fill_value=-1.0)
        short[:4] = np.arange(4)
        deep = file.createGroup("a/b")
        deep.createDimension("y", 3)
        deep.createVariable("v", ">i2", ("time", "y"), endian="big")[:30] = np.arange(90).reshape(30, 3)
        deep.title = "deep"
    import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    assert n_equal(peers, source, tmp_path / "a.zarr") == 3


def test_a_plain_hdf5_file(peers: Peers, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = np.arange(12, dtype=">i4").reshape(3, 4)
        file["runs/first/half"] = np.linspace(0, 1, 5).astype("f4")
        file["runs/first/one"] = np.float64(4.5)
        file["runs/first"].attrs["ok"] = np.int32(1)
    import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    options = {"engine": "h5netcdf", "phony_dims": "access"}
    assert n_equal(peers, tmp_path / "a.h5", tmp_path / "a.zarr", **options) == 3


def test_every_type_of_a_plain_hdf5_file_opens_in_xarray(peers: Peers, tmp_path: Path) -> None:
    import_file(plain_hdf5(tmp_path / "a.h5"), tmp_path / "a.zarr")
    program = """
import xarray as xr
tree = xr.open_datatree(store, engine="zarr", consolidated=False)
groups = [tree[group].to_dataset(inherit=False) for group in tree.groups]
result = {name: str(v.dtype) for group in groups for name, v in group.variables.items()}
"""
    assert peers.run(program, store=str(tmp_path / "a.zarr")) == {
        "counts": "int32",
        "square": "uint64",
        "half": "float16",
        "wave": "complex64",
        "mask": "bool",
        "one": "float64",
    }


SAMPLES = sorted(Path(iris_sample_data.path).glob("*.nc"))
LEFT_OUT = {"space_weather.nc": "rotated_pole", "vlstr_type.nc": "expver"}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("source", SAMPLES, ids=[path.name for path in SAMPLES])
def test_real_files(peers: Peers, tmp_path: Path, source: Path, zarr_format: Any) -> None:
    """Climate model output, ocean and satellite data, a mesh; as other programs wrote them."""
    left_out = LEFT_OUT.get(source.name)
    with pytest.warns(LeftOutWarning, match=left_out) if left_out else nullcontext():
        import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    assert n_equal(peers, source, tmp_path / "a.zarr", (left_out,) if left_out else ()) > 1


def test_open_zarr_equals_open_dataset(peers: Peers, tmp_path: Path) -> None:
    """The plain calls that a user makes."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    import_file(source, tmp_path / "a.zarr")
    program = """
import xarray as xr
a = xr.open_dataset(file_path)
b = xr.open_zarr(store, consolidated=False)
xr.testing.assert_identical(a, b)
result = list(b.air_temperature.sizes.values())
"""
    assert peers.run(program, file_path=str(source), store=str(tmp_path / "a.zarr")) == [240, 37, 49]
