"""Label look-up: what pandas' indexes say, and what the errors say."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from typing import Any

import iris_sample_data
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st

import zarrc
from zarrc.coordinate import Coordinate
from zarrc.errors import LabelError, MemberNotFoundError, MetadataError, SelectionError, ZarrcWarning
from zarrc.interop.netcdf import import_file
from zarrc.labels import dimensions, locate

TEMPERATURE = np.arange(24 * 5 * 4, dtype="f4").reshape(24, 5, 4)


def climate(zarr_format: Any = 3, store: Any = None) -> zarrc.Group:
    """Two years of months, on a grid from north to south."""
    g = zarrc.create_group(store, zarr_format=zarr_format)

    def put(name: str, data: Any, names: list[str], **attributes: Any) -> None:
        if zarr_format == 2:
            g.create_array(name, data=data, attributes={**attributes, "_ARRAY_DIMENSIONS": names})
        else:
            g.create_array(name, data=data, attributes=attributes, dimension_names=names)

    starts = np.arange("2000-01", "2002-01", dtype="datetime64[M]").astype("datetime64[D]")
    days = (starts - np.datetime64("2000-01-01")).astype(int)
    put("temperature", TEMPERATURE, ["time", "latitude", "longitude"])
    put("time", days, ["time"], units="days since 2000-01-01")
    put("latitude", np.array([60.0, 30.0, 0.0, -30.0, -60.0]), ["latitude"])
    put("longitude", np.array([0, 90, 180, 270], "i2"), ["longitude"])
    return g


# --- through groups and arrays


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_labels_of_all_kinds(zarr_format: Any) -> None:
    g = climate(zarr_format)
    t = TEMPERATURE
    np.testing.assert_array_equal(
        g.sel("temperature", time=slice("2000-01", "2000-06"), latitude=51.5, method="nearest"), t[:6, 0]
    )
    assert g.sel("temperature", time="2000-03-01", latitude=0, longitude=90) == t[2, 2, 1]
    np.testing.assert_array_equal(g.sel("temperature", time="2001"), t[12:])
    np.testing.assert_array_equal(g.sel("temperature", latitude=slice(30, -30)), t[:, 1:4])
    np.testing.assert_array_equal(
        g.sel("temperature", longitude=[270, 0], latitude=[-60, 60]), t[:, [4, 0]][:, :, [3, 0]]
    )
    np.testing.assert_array_equal(g.sel("temperature", time=np.datetime64("2001-12-01")), t[23])
    np.testing.assert_array_equal(g.sel("temperature", time=datetime.date(2001, 12, 1)), t[23])
    np.testing.assert_array_equal(
        g.sel("temperature", time=["2000-02", "2001-02"], longitude=slice(None, None, 2)),
        t[[1, 13]][..., ::2],
    )
    np.testing.assert_array_equal(g.sel("temperature", {"time": 31}), t[1])
    np.testing.assert_array_equal(g.sel("temperature"), t)
    array = g.get_array("temperature")
    assert zarrc.sel(array, time=0, latitude=0, longitude=0) == t[0, 2, 0]
    assert zarrc.sel(g, "temperature", {"time": 0}, latitude=0, longitude=0) == t[0, 2, 0]


def test_it_is_what_xarray_selects(tmp_path: Path) -> None:
    g = climate(store=tmp_path / "a.zarr")
    times = pd.to_datetime(np.asarray(g["time"][...]), unit="D", origin="2000-01-01")
    expected = xr.DataArray(
        TEMPERATURE,
        dims=("time", "latitude", "longitude"),
        coords={"time": times, "latitude": g["latitude"][...], "longitude": g["longitude"][...]},
    )
    for chosen in (
        {"time": "2000-05"},
        {"time": slice("2000-05", "2000")},
        {"time": slice("2000-05-02", None), "latitude": slice(45, -30)},
        {"latitude": [0, 60], "longitude": [90]},
        {"time": slice("2001-03", "2000-11", -2)},
        {"longitude": slice(10, 200)},
    ):
        np.testing.assert_array_equal(g.sel("temperature", chosen), expected.sel(chosen))
    for method in ("nearest", "pad", "backfill"):
        for latitude in (10, -15, 15, 59):
            found = g.sel("temperature", latitude=latitude, method=method)
            np.testing.assert_array_equal(found, expected.sel(latitude=latitude, method=method))


def test_located_labels_are_for_isel() -> None:
    a = climate().get_array("temperature")
    found = locate(a, time=slice("2000-02", "2000-03"), latitude=[0, 60], longitude=180)
    assert found["time"] == slice(1, 3)
    assert found["longitude"] == 2
    np.testing.assert_array_equal(found["latitude"], [2, 0])
    np.testing.assert_array_equal(a.isel(found), TEMPERATURE[1:3][:, [2, 0]][..., 2])
    assert dimensions(a) == ("time", "latitude", "longitude")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_selects_by_labels_itself(zarr_format: Any) -> None:
    a = climate(zarr_format).get_array("temperature")
    np.testing.assert_array_equal(a.sel(time="2001", latitude=0), TEMPERATURE[12:, 2])
    np.testing.assert_array_equal(a.sel({"latitude": 51.5}, method="nearest"), TEMPERATURE[:, 0])
    np.testing.assert_array_equal(a.sel(longitude=[0, 270], lazy=True).read(), TEMPERATURE[..., [0, 3]])
    np.testing.assert_array_equal(a.sel(), TEMPERATURE)
    with pytest.raises(LabelError, match=r"no latitude is 51\.5"):
        a.sel(latitude=51.5)
    for wrong in (0, [], "time"):
        with pytest.raises(TypeError, match="by the names of dimensions"):
            a.sel(wrong)


def test_a_lazy_selection_is_read_later() -> None:
    g = climate()
    view = g.sel("temperature", latitude=[60, 0], time="2000-01-01", lazy=True)
    assert view.shape == (2, 4)
    g["temperature"][0, 2] = -1
    assert np.asarray(view)[1].tolist() == [-1] * 4


def test_names_that_are_arguments_go_in_a_mapping() -> None:
    g = zarrc.create_group()
    g.create_array("a", data=np.arange(3), dimension_names=["method"])
    g.create_array("method", data=[10, 20, 30], dimension_names=["method"])
    assert g.sel("a", {"method": 20}) == 1
    assert g.sel("a", {"method": 21}, method="nearest") == 1


# --- a real file


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_real_file(tmp_path: Path, zarr_format: Any) -> None:
    """A model's yearly means, of a 360-day calendar, in hours since 1970."""
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    import_file(source, tmp_path / "a.zarr", zarr_format=zarr_format)
    g = zarrc.open_group(tmp_path / "a.zarr", mode="r")
    with xr.open_dataset(source) as data:
        expected = data.air_temperature
        for chosen in (
            {"time": slice("1900", "1910")},
            {"time": "1999"},
            {"time": slice("2050-07", None), "latitude": slice(30, 45), "longitude": slice(None, 260)},
            {"latitude": [15.0, 60.0], "longitude": 225.0},
        ):
            found = g.sel("air_temperature", chosen)
            np.testing.assert_array_equal(found, expected.sel(chosen))
        near = {"latitude": 51.5, "longitude": 240.1}
        np.testing.assert_array_equal(
            g.sel("air_temperature", near, method="nearest"), expected.sel(near, method="nearest")
        )
    with pytest.raises(LabelError, match="nearest is 18"):
        g.sel("air_temperature", time="1700")


# --- one coordinate, beside pandas


def coordinate(values: Any, **attributes: Any) -> Coordinate:
    return Coordinate("x", np.asarray(values), attributes)


@st.composite
def indexes(draw: st.DrawFn, *, dtypes: tuple[str, ...] = ("int64", "int8", "float64", "uint16")) -> Any:
    """Unique numbers, rising, falling or unsorted."""
    dtype = draw(st.sampled_from(dtypes))
    values = draw(st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True))
    order = draw(st.sampled_from((1, -1, 0)))
    if order:
        values = sorted(values, reverse=order < 0)
    scale = draw(st.sampled_from((1, 0.5))) if dtype == "float64" else 1
    return (np.array(values) * scale).astype(dtype)


labels = st.integers(-3, 65) | st.floats(-3, 65).map(lambda x: round(2 * x) / 2)


@given(indexes(), labels)
def test_one_label(values: npt.NDArray[Any], label: Any) -> None:
    index = pd.Index(values)
    try:
        expected = index.get_loc(label)
    except KeyError:
        with pytest.raises(LabelError, match=f"no x is {label}; the nearest is"):
            coordinate(values).locate(label, None, None)
    else:
        assert coordinate(values).locate(label, None, None) == expected


@given(
    # pandas subtracts unsigned integers, and takes what wraps around for far away.
    indexes(dtypes=("int64", "int8", "float64")),
    labels,
    st.sampled_from(("nearest", "pad", "ffill", "backfill", "bfill")),
    st.none() | labels,
)
def test_what_is_near(values: npt.NDArray[Any], label: Any, method: str, tolerance: Any) -> None:
    index = pd.Index(values)
    found = coordinate(values)
    if found.order == 0:
        assume(label not in index)
        with pytest.raises(SelectionError, match="not sorted"):
            found.locate(label, method, None)
        return
    tolerance = None if tolerance is None else abs(tolerance)
    (expected,) = index.get_indexer([label], method=method, tolerance=tolerance)
    if expected < 0:
        with pytest.raises(LabelError):
            found.locate(label, method, tolerance)
    else:
        assert found.locate(label, method, tolerance) == expected


@given(indexes(), st.none() | labels, st.none() | labels, st.sampled_from((None, 1, 2, -1, -3)))
def test_slices_hold_both_ends(values: npt.NDArray[Any], start: Any, stop: Any, step: int | None) -> None:
    index = pd.Index(values)
    found = coordinate(values)
    if found.order == 0:
        with pytest.raises(SelectionError, match="not sorted"):
            found.locate(slice(start, stop, step), None, None)
        return
    expected = values[index.slice_indexer(start, stop, step)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrcWarning)
        where = found.locate(slice(start, stop, step), None, None)
    np.testing.assert_array_equal(values[where], expected)


@given(indexes(), st.data())
def test_lists_of_labels(values: npt.NDArray[Any], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(values.tolist()), max_size=8))
    found = coordinate(values).locate(wanted, None, None)
    np.testing.assert_array_equal(found, pd.Index(values).get_indexer(wanted) if wanted else [])
    np.testing.assert_array_equal(coordinate(values).locate(np.array(wanted), None, None), found)
    with pytest.raises(LabelError, match="no x is 77"):
        coordinate(values).locate([*wanted, 77], None, None)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=30, unique=True), st.booleans(), st.data())
def test_texts_mean_what_pandas_takes_them_for(days: list[int], falls: bool, data: st.DataObject) -> None:
    values = np.array(sorted(days, reverse=falls))
    hour = data.draw(st.sampled_from((0, 0, 12)))
    index = pd.DatetimeIndex(pd.to_datetime(values, unit="D", origin="2000-01-01") + pd.Timedelta(hours=hour))
    found = coordinate(values, units=f"days since 2000-01-01 {hour:02d}:00")
    moment = st.integers(-10, 2010).map(lambda day: str(np.datetime64("2000-01-01") + day)) | st.sampled_from(
        days
    ).map(lambda day: str(np.datetime64("2000-01-01") + day))
    text = moment.flatmap(lambda one: st.sampled_from((one, one[:7], one[:4], f"{one}T12")))
    label = data.draw(text)
    series = pd.Series(np.arange(len(values)), index)
    try:
        expected = np.asarray(series.loc[label])
    except KeyError:
        expected = np.array([], int)
    if expected.size:
        np.testing.assert_array_equal(np.arange(len(values))[found.locate(label, None, None)], expected)
    else:
        with pytest.raises(LabelError):
            found.locate(label, None, None)
    start, stop = data.draw(st.none() | text), data.draw(st.none() | text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrcWarning)
        where = found.locate(slice(start, stop), None, None)
    # pandas compares values where times fall; here a slice follows the order, as among numbers.
    ends = slice(stop, start) if found.order < 0 else slice(start, stop)
    chosen = np.asarray(series.sort_index().loc[ends])
    np.testing.assert_array_equal(np.arange(len(values))[where], np.sort(chosen))


def test_float32_labels_are_found_by_what_they_were_made_of() -> None:
    found = coordinate(np.array([51.1, 51.2, 51.3], "f4"))
    assert found.locate(51.3, None, None) == 2
    assert found.locate(slice(51.2, 51.3), None, None) == slice(1, 3)
    np.testing.assert_array_equal(found.locate([51.3, 51.1], None, None), [2, 0])


def test_large_integers_are_told_apart() -> None:
    values = np.array([2**53, 2**53 + 1, 2**63, 2**64 - 1], "u8")
    found = coordinate(values)
    for i, value in enumerate(values):
        assert found.locate(int(value), None, None) == i
        assert found.locate(value, None, None) == i
    assert found.locate(2**63 - 1, "nearest", 1) == 2
    assert found.locate(-1, "nearest", None) == 0
    assert found.locate(2**80, "pad", None) == 3
    assert found.locate(slice(2**53 + 0.5, 1e30), None, None) == slice(0, 4)
    np.testing.assert_array_equal(found.locate([2**64 - 1, 2**53], None, None), [3, 0])


def test_what_is_not_finite() -> None:
    found = coordinate([-np.inf, 0.0, np.inf])
    assert found.locate(np.inf, None, None) == 2
    assert found.locate(1e300, "nearest", None) == 1
    assert found.locate(slice(-1, np.inf), None, None) == slice(1, 3)
    with pytest.raises(LabelError, match="the nearest is 0"):
        found.locate(5, None, None)
    odd = coordinate([3.0, np.nan, 1.0])
    assert odd.locate(1, None, None) == 2
    with pytest.raises(LabelError, match="3 unsorted ones"):
        odd.locate(9, None, None)
    for label in (np.nan, [1, np.nan]):
        with pytest.raises(SelectionError, match="NaN is no label"):
            odd.locate(label, None, None)
    with pytest.raises(LabelError):
        coordinate([np.nan]).locate(1, None, None)
    for values in (np.array([1.0, 2.0], "f4"), np.array([1, 2])):
        assert coordinate(values).locate(10**400, "pad", None) == 1
        assert coordinate(values).locate(slice(-(10**400), None), None, None) == slice(0, 2)
        with pytest.raises(LabelError, match="an integer of 1329 bits"):
            coordinate(values).locate(10**400, None, None)


def test_packed_coordinates_are_unpacked() -> None:
    found = coordinate(np.arange(5, dtype="i2"), scale_factor=0.5, add_offset=[10])
    assert found.locate(11.5, None, None) == 3
    with pytest.raises(MetadataError, match="scale_factor must be a number"):
        coordinate([1], scale_factor="2")


def test_labels_that_repeat() -> None:
    found = coordinate([1, 2, 2, 3])
    with pytest.raises(LabelError, match="x is 2 at 2 indices, such as 1 and 2"):
        found.locate(2, None, None)
    with pytest.raises(LabelError, match="at 2 indices"):
        found.locate([1, 2], None, None)
    with pytest.raises(LabelError, match="at 2 indices"):
        found.locate(2.1, "nearest", None)
    assert found.locate(slice(2, 2), None, None) == slice(1, 3)
    with pytest.raises(LabelError, match="such as 0 and 2"):
        coordinate([5, 1, 5]).locate(5, None, None)


def test_an_empty_coordinate() -> None:
    found = coordinate(np.zeros(0))
    assert found.locate(slice(1, 2), None, None) == slice(0, 0)
    assert found.locate([], None, None).shape == (0,)  # type: ignore[union-attr]
    for method in (None, "nearest", "pad", "backfill"):
        with pytest.raises(LabelError, match="none at all"):
            found.locate(1, method, None)


def test_a_slice_against_the_order_warns() -> None:
    with pytest.warns(ZarrcWarning, match="from 30 to 60 selects nothing: the coordinate falls, 90 to 0"):
        assert coordinate([90, 45, 0]).locate(slice(30, 60), None, None) == slice(2, 2)


# --- what goes wrong


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"latitude": 51.5}, "no latitude is 51.5; the nearest is 60.0, at index 0, of 60.0 to -60.0"),
        ({"longitude": 91}, "no longitude is 91; the nearest is 90, at index 1, of 0 to 270"),
        ({"time": "2000-01-02"}, "no time is 2000-01-02; the nearest is 2000-01-01, at index 0"),
        ({"time": "1999"}, "no time is in 1999; the nearest is 2000-01-01"),
        ({"latitude": [0, 1]}, "no latitude is 1; the nearest is 0"),
    ],
)
def test_a_label_that_is_not_there_is_an_error(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        climate().sel("temperature", chosen)
    with pytest.raises(KeyError):
        climate().sel("temperature", chosen)


@pytest.mark.parametrize(
    ("chosen", "options", "words"),
    [
        ({"lattitude": 0}, {}, r"no dimension 'lattitude' \(did you mean 'latitude'\?\)"),
        ({"latitude": "60N"}, {}, "'latitude' is labelled by numbers"),
        ({"latitude": None}, {}, "labelled by numbers"),
        ({"latitude": True}, {}, "labelled by numbers"),
        ({"latitude": [[0]]}, {}, "one dimension, got 2"),
        ({"latitude": [True] * 5}, {}, "a mask selects by position"),
        ({"time": "2000-01-32"}, {}, "'time': 2000-01-32 is no date"),
        ({"time": "soon"}, {}, "'time': 'soon' is no time"),
        ({"time": slice("soon", None)}, {}, "'time': 'soon' is no time"),
        ({"latitude": 10}, {"method": "close"}, "method must be None or one of 'nearest'"),
        ({"latitude": 10}, {"tolerance": 1}, "needs a method="),
        ({"latitude": 10}, {"method": "pad", "tolerance": -1}, "must not be negative"),
        ({"latitude": 10}, {"method": "pad", "tolerance": "1"}, "no latitude is within|no distance"),
        ({"latitude": 10}, {"method": "nearest", "tolerance": 5}, "no latitude is within 5 of 10"),
        ({"latitude": slice(0, 10, 0)}, {}, "step cannot be zero"),
    ],
)
def test_what_cannot_be_looked_up_is_an_error(chosen: Any, options: Any, words: str) -> None:
    with pytest.raises((SelectionError, TypeError, ValueError), match=words):
        climate().sel("temperature", chosen, **options)


def test_spans_of_time_are_tolerances() -> None:
    g = climate()
    near: dict[str, Any] = {"time": "2000-02-03", "method": "nearest"}
    for tolerance in (np.timedelta64(2, "D"), datetime.timedelta(days=2), 2):
        np.testing.assert_array_equal(g.sel("temperature", tolerance=tolerance, **near), TEMPERATURE[1])
    with pytest.raises(LabelError, match="no time is within"):
        g.sel("temperature", tolerance=np.timedelta64(47, "h"), **near)


def test_calls_that_make_no_sense() -> None:
    g = climate()
    with pytest.raises(TypeError, match="needs the name of an array"):
        zarrc.sel(g, time=0)
    with pytest.raises(TypeError, match="an array or a group"):
        zarrc.sel(np.zeros(3), x=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="labels of 'time' twice"):
        g.sel("temperature", {"time": 0}, time=0)
    with pytest.raises(TypeError, match="by the names of dimensions"):
        zarrc.sel(g.get_array("time"), 5)
    with pytest.raises(MemberNotFoundError):
        g.sel("pressure", time=0)


def test_coordinates_that_are_not_there_or_do_not_fit() -> None:
    g = climate()
    g.create_array("bare", data=np.zeros((2, 3)), dimension_names=["y", None])
    with pytest.raises(SelectionError, match=r"there is no array 'y' beside .*: isel\(y=\.\.\.\)"):
        g.sel("bare", y=0)
    with pytest.raises(SelectionError, match="no dimension None"):
        g.sel("bare", {None: 0})  # type: ignore[dict-item]
    g.create_array("plain", data=np.zeros(3))
    with pytest.raises(SelectionError, match="have no names"):
        g.sel("plain", x=0)
    g.create_group("y")
    with pytest.raises(SelectionError, match="there is no array 'y'"):
        g.sel("bare", y=0)
    g.create_array("other", data=np.zeros((7, 2, 3)), dimension_names=["time", "..", "a/b"])
    with pytest.raises(MetadataError, match=r"it has shape \(24,\), the dimension 7 elements"):
        g.sel("other", time=0)
    for name in ("..", "a/b"):
        with pytest.raises(SelectionError, match="there is no array"):
            g.sel("other", {name: 0})
    g.create_array("flag", data=np.array([True, False]), dimension_names=["flag"])
    with pytest.raises(MetadataError, match="data type bool"):
        g.sel("flag", flag=True)
    g["time"].attrs["units"] = "days since the flood"
    with pytest.raises(MetadataError, match="'time': units: cannot read"):
        g.sel("temperature", time=0)
    alone = zarrc.create_array(data=np.arange(3), dimension_names=["x"])
    with pytest.raises(SelectionError, match="there is no array 'x'"):
        zarrc.sel(alone, x=1)


def test_a_coordinate_selects_of_itself() -> None:
    assert climate().sel("latitude", latitude=slice(30, -40)).tolist() == [30, 0, -30]


def test_names_that_repeat_cannot_be_selected_by() -> None:
    document = zarrc.create_array(data=np.zeros((2, 2))).metadata.to_documents()["zarr.json"]
    store = zarrc.storage.MemoryStore()
    zarrc.create_group(store)
    store.set(
        "a/zarr.json", document.replace(b'"fill_value"', b'"dimension_names": ["x", "x"], "fill_value"')
    )
    with pytest.raises(SelectionError, match=r"dimensions \[0, 1\] .* have the same name 'x'"):
        zarrc.open_group(store).sel("a", x=0)
