from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

import zarrc
from tests.interop_files.files import climate
from zarrc.interop.netcdf import ImportProgress, import_file

FORMATS = ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]


def raw(path: Path, name: str) -> Any:
    """The values as the file stores them."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return file[name][...]


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("data_format", FORMATS)
def test_every_value_of_a_netcdf_file_is_imported(tmp_path: Path, data_format: str, zarr_format: Any) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    group = import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    names = {"time", "time_bnds", "lat", "lon", "air", "packed", "height"}
    assert set(group.array_keys()) == names
    for name in names:
        expected = raw(source, name)
        array: Any = group[name]
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array[...], expected)
        assert array.metadata.zarr_format == zarr_format


@pytest.mark.parametrize("data_format", FORMATS)
def test_dimension_names_are_those_of_the_file(tmp_path: Path, data_format: str) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    group: Any = import_file(source, tmp_path / "3.zarr")
    assert group["air"].metadata.dimension_names == ("time", "lat", "lon")
    assert group["height"].metadata.dimension_names in ((), None)
    group = import_file(source, tmp_path / "2.zarr", zarr_format=2)
    assert group["air"].attrs["_ARRAY_DIMENSIONS"] == ["time", "lat", "lon"]
    assert group["height"].attrs["_ARRAY_DIMENSIONS"] == []


@pytest.mark.parametrize("data_format", FORMATS)
def test_attributes_are_carried_and_packing_is_not_applied(tmp_path: Path, data_format: str) -> None:
    group: Any = import_file(climate(tmp_path / "a.nc", data_format), tmp_path / "a.zarr")
    assert dict(group.attrs) == {"Conventions": "CF-1.8", "title": "made for a test", "version": 3}
    assert dict(group["time"].attrs) == {"units": "days since 2000-01-01", "bounds": "time_bnds"}
    assert dict(group["packed"].attrs) == {"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32767}
    air = dict(group["air"].attrs)
    assert air.pop("missing_value") == float(np.float32(1e20))
    assert air == {"units": "K", "coordinates": "height", "_FillValue": "AAAAgB2vFUQ="}


def test_the_fill_value_of_the_file_is_the_arrays(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    group: Any = import_file(source, tmp_path / "3.zarr")
    assert group["air"].fill_value == np.float32(1e20)
    assert np.isnan(group["lat"].fill_value)
    group = import_file(source, tmp_path / "2.zarr", zarr_format=2)
    assert group["packed"].fill_value == -32767
    assert group["lat"].fill_value is None


def test_chunks_of_missing_values_take_no_space(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 100)
        variable = file.createVariable("a", "f4", ("x",), fill_value=-1.0)
        variable[:10] = 5.0
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr", chunks={"x": 10})
    assert group["a"].nchunks_initialized == 1
    assert (group["a"][10:] == -1).all()


def test_zeros_are_kept_in_v2_where_the_file_has_no_fill_value(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 10)
        file.createVariable("a", "i4", ("x",))[:] = 0
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr", zarr_format=2)
    assert group["a"].fill_value is None
    assert group["a"][:].tolist() == [0] * 10


def test_groups_become_groups(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 3)
        inner = file.createGroup("model").createGroup("run")
        inner.note = "deep"
        inner.createDimension("y", 2)
        inner.createVariable("t", "f8", ("x", "y"))[...] = np.arange(6.0).reshape(3, 2)
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert dict(group["model/run"].attrs) == {"note": "deep"}
    array = group["model"]["run"]["t"]
    assert array.metadata.dimension_names == ("x", "y")
    assert array[...].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert dict(group["model"].attrs) == {}


def test_a_variable_that_is_shorter_than_its_unlimited_dimension_is_filled_up(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("time", None)
        file.createDimension("x", 2)
        file.createVariable("long", "i4", ("time",))[:] = np.arange(50)
        file.createVariable("short", "f4", ("time", "x"), fill_value=9.0)[:3] = np.ones((3, 2))
        file.createVariable("none", "i2", ("time",), fill_value=-5)
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr", chunks={"time": 7})
    for name in ("long", "short", "none"):
        np.testing.assert_array_equal(group[name][...], raw(tmp_path / "a.nc", name))
    assert group["short"].shape == (50, 2)


def test_an_unlimited_dimension_without_records_is_imported_empty(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("time", None)
        file.createDimension("x", 4)
        file.createVariable("a", "f4", ("time", "x"))
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert group["a"].shape == (0, 4)
    assert group["a"][...].shape == (0, 4)


def test_a_coordinate_of_two_dimensions_and_a_variable_named_as_a_dimension_keep_their_dimensions(
    tmp_path: Path,
) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        for name, length in (("x", 3), ("y", 2), ("s", 5)):
            file.createDimension(name, length)
        file.createVariable("x", "i4", ("x", "y"))[...] = np.arange(6).reshape(3, 2)
        file.createVariable("s", "i4", ())[...] = 7
        file.createVariable("other", "i4", ("s",))[...] = np.arange(5)
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert sorted(group.array_keys()) == ["other", "s", "x"]
    assert group["x"].metadata.dimension_names == ("x", "y")
    assert group["s"][...] == 7
    assert group["other"].metadata.dimension_names == ("s",)


def test_big_endian_values_are_imported_in_native_order(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 5)
        file.createVariable("a", ">f8", ("x",), endian="big")[:] = np.arange(5) * 1.5
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert group["a"].dtype == np.dtype("f8")
    assert group["a"][:].tolist() == [0, 1.5, 3, 4.5, 6]


def test_an_unsigned_attribute_is_carried(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 4)
        variable = file.createVariable("a", "i1", ("x",), fill_value=np.int8(-1))
        variable.setncattr("_Unsigned", "true")
        variable.set_auto_maskandscale(False)
        variable[:] = np.array([1, -2, -1, 127], "i1")
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert dict(group["a"].attrs) == {"_Unsigned": "true", "_FillValue": -1}
    assert group["a"][:].tolist() == [1, -2, -1, 127]


@pytest.mark.parametrize(
    "codecs",
    [
        [{"name": "bytes"}],
        [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 5}}],
        [{"name": "bytes"}, {"name": "blosc", "configuration": {"cname": "lz4"}}],
        [{"name": "bitround", "configuration": {"keepbits": 52}}, {"name": "bytes"}, {"name": "gzip"}],
    ],
)
def test_the_codec_chain_is_the_one_asked_for(tmp_path: Path, codecs: Any) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 1000)
        file.createVariable("a", "f8", ("x",))[:] = np.arange(1000)
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr", codecs=codecs)
    assert [codec.name for codec in group["a"].metadata.codecs] == [codec["name"] for codec in codecs]
    np.testing.assert_array_equal(group["a"][:], np.arange(1000))


def test_chunks_are_chosen_by_dimension_name(tmp_path: Path) -> None:
    group: Any = import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr", chunks={"time": 6, "lat": 2})
    assert group["air"].chunks == (6, 2, 9)
    assert group["time_bnds"].chunks == (6, 2)
    assert group["lon"].chunks == (9,)


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    seen: list[ImportProgress] = []
    group = import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr", progress=seen.append)
    total = sum(array.nbytes for _, array in group.arrays())
    assert seen[0].done_nbytes == 0
    assert seen[-1].done_nbytes == total
    assert {state.total_nbytes for state in seen} == {total}
    assert [state.done_nbytes for state in seen] == sorted(state.done_nbytes for state in seen)


@pytest.mark.parametrize("store", ["memory", "mapping"])
def test_a_store_that_is_no_directory_is_filled_too(tmp_path: Path, store: str) -> None:
    source = climate(tmp_path / "a.nc")
    place: Any = zarrc.storage.MemoryStore() if store == "memory" else {}
    import_file(source, place)
    group: Any = zarrc.open_group(place, mode="r")
    assert dict(group.attrs)["Conventions"] == "CF-1.8"
    np.testing.assert_array_equal(group["air"][...], raw(source, "air"))
