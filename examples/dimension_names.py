"""Dimensions that have names: create an array with them, read and write by them.

Run it as ``python examples/dimension_names.py [FOLDER]``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from climate import climate, run

import zarrc as zarr


def create_with_names(folder: Path) -> None:
    """Name the dimensions when the array is created; the names are in its metadata."""
    array = zarr.create(
        shape=(365, 180, 360),
        chunks=(1, 180, 360),
        dtype="float32",
        dimension_names=["time", "latitude", "longitude"],
        zarr_version=3,
        storage="filesystem",
        path=str(folder / "climate_data"),
    )
    assert array.metadata.dimension_names == ("time", "latitude", "longitude")
    opened = zarr.open(path=str(folder / "climate_data"))
    print(opened.metadata.dimension_names)


def slice_by_names(folder: Path) -> None:
    """Read by name, by number, and by both; Python's ranges end before their second number."""
    array = climate(folder)["air_temperature"]
    everything = array[:]

    # 0..30 in Elixir includes 30, range(0, 31) and slice(0, 31) do not include 31: the same 31 years.
    first_years = array.get_slice(time=slice(0, 31), latitude=range(37), longitude=range(49))
    assert np.array_equal(first_years, everything[:31])

    # Dimensions that are not named are read whole.
    south_east = array.get_slice(time=slice(100, 201), latitude=range(18), longitude=slice(24, None))
    assert np.array_equal(south_east, everything[100:201, :18, 24:])
    assert np.array_equal(array.isel(time=slice(100, 201)), everything[100:201])
    assert np.array_equal(array[{"time": slice(100, 201), "longitude": 5}], everything[100:201, :, 5])

    # By number.
    assert np.array_equal(array.get_slice(start=(0, 0, 0), stop=array.shape), everything)

    # Writing goes by the same words.
    array.set_slice(np.float32(0), time=slice(0, 10), latitude=0)
    assert not array[:10, 0].any()
    assert np.array_equal(array[10:], everything[10:])
    print(f"{first_years.shape} in the first 31 years, mean {first_years.mean():.1f} K")


def name_rules(folder: Path) -> None:
    """Any characters will do; names must be unique, not empty, and one for each dimension."""
    shape = (4, 5, 6)
    for names in (["time", "lat", "lon"], ["sample_id", "feature_1", None], ["x-axis", "y-axis", "höhe"]):
        array = zarr.create_array(folder / "valid", shape=shape, dimension_names=names, overwrite=True)
        assert array.metadata.dimension_names == tuple(names)

    for names in (["time", "time", "lon"], ["time", "lat"], ["", "lat", "lon"]):
        try:
            zarr.create_array(folder / "invalid", shape=shape, dimension_names=names)
        except zarr.errors.MetadataError as error:
            print(f"{names}: {error}")
        else:
            raise AssertionError(f"{names} was accepted")


if __name__ == "__main__":
    run(create_with_names, slice_by_names, name_rules)
