"""The ways to select that a handle has: their parameters, errors, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zarrc
from zarrc import Array
from zarrc.errors import BoundsCheckError, MetadataError, ReadOnlyError, SelectionError

VALUES = np.arange(60, dtype="i4").reshape(3, 4, 5)
NAMES = ("time", "latitude", "longitude")


@pytest.fixture(params=["chunks", "shards", "several extents"])
def array(request: pytest.FixtureRequest) -> Array:
    """An array with names, of chunks, of shards, of chunks of several extents."""
    layout: dict[str, Any] = {
        "chunks": {"chunks": (2, 3, 2)},
        "shards": {"chunks": (1, 2, 2), "shards": (2, 4, 2)},
        "several extents": {"chunks": ([1, 2], 3, [2, 3])},
    }[request.param]
    array = zarrc.create_array(
        shape=VALUES.shape, dtype="i4", dimension_names=NAMES, name="some/where", **layout
    )
    array[...] = VALUES
    return array


Write = Callable[[Array, Any], None]

WRITES: dict[str, tuple[Write, Any]] = {
    "[]": (lambda a, v: a.__setitem__([2, 0], v), np.s_[[2, 0]]),
    "[mask]": (lambda a, v: a.__setitem__(VALUES % 3 == 0, v), VALUES % 3 == 0),
    "[dict]": (lambda a, v: a.__setitem__({"latitude": [3, 1]}, v), np.s_[:, [3, 1]]),
    "basic": (lambda a, v: a.set_basic_selection(np.s_[1, ::-2], v), np.s_[1, ::-2]),
    "orthogonal": (
        lambda a, v: a.set_orthogonal_selection(([2, 0], 1, [0, 4, 3]), v),
        np.ix_([2, 0], [1], [0, 4, 3]),
    ),
    "oindex": (lambda a, v: a.oindex.__setitem__(([2, 0], [1, 2]), v), np.ix_([2, 0], [1, 2])),
    "coordinate": (lambda a, v: a.set_coordinate_selection(([2, 0], [1, 1], 3), v), ([2, 0], [1, 1], 3)),
    "vindex": (lambda a, v: a.vindex.__setitem__(([2, 0], slice(1, 3), 3), v), np.s_[[2, 0], 1:3, 3]),
    "mask": (lambda a, v: a.set_mask_selection(VALUES > 40, v), VALUES > 40),
    "block": (lambda a, v: a.set_block_selection((0, 0), v), None),
    "blocks": (lambda a, v: a.blocks.__setitem__(-1, v), None),
    "slice": (lambda a, v: a.set_slice(v, start=(0, 1, 2), stop=(2, 3, 4)), np.s_[0:2, 1:3, 2:4]),
    "slice by name": (lambda a, v: a.set_slice(v, time=range(1, 3), longitude=(0, 2)), np.s_[1:3, :, 0:2]),
}


@pytest.mark.parametrize("way", WRITES)
def test_every_way_writes_where_it_reads_and_nowhere_else(array: Array, way: str) -> None:
    write, where = WRITES[way]
    write(array, -7)
    expected = VALUES.copy()
    if where is None:
        region = zarrc.indexing.blocks.region_of(
            (0, 0) if way == "block" else -1, array.metadata.chunk_grid, array.shape
        )
        expected[region] = -7
    else:
        expected[where] = -7
    np.testing.assert_array_equal(array[...], expected)


@pytest.mark.parametrize("way", WRITES)
def test_no_way_writes_through_a_handle_that_reads(array: Array, way: str) -> None:
    handle = zarrc.open_array(array.store_path, mode="r")
    with pytest.raises(ReadOnlyError, match="some/where"):
        WRITES[way][0](handle, -7)
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize("way", WRITES)
def test_a_value_that_does_not_broadcast_is_refused(array: Array, way: str) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        WRITES[way][0](array, np.zeros((7, 11)))
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize("way", WRITES)
def test_every_way_waits_in_a_buffered_block(array: Array, way: str) -> None:
    reference = zarrc.from_array(data=array)
    WRITES[way][0](reference, -7)
    with array.buffered():
        array[0, 0, 0] = 99
        WRITES[way][0](array, -7)
        inside = array[...]
    reference[0, 0, 0] = 99
    WRITES[way][0](reference, -7)
    np.testing.assert_array_equal(inside, reference[...])
    np.testing.assert_array_equal(array[...], reference[...])


READS: dict[str, tuple[Callable[..., Any], npt.NDArray[Any]]] = {
    "basic": (lambda a, **k: a.get_basic_selection(np.s_[1, ::-2], **k), VALUES[1, ::-2]),
    "lists": (lambda a, **k: a.get_basic_selection(np.s_[0, :, [1, 3]], **k), VALUES[0, :, [1, 3]]),
    "orthogonal": (
        lambda a, **k: a.get_orthogonal_selection(([2, 0], 1, [4, 3]), **k),
        VALUES[[2, 0], 1][:, [4, 3]],
    ),
    "coordinate": (
        lambda a, **k: a.get_coordinate_selection(([2, 0], [[1], [3]], 3), **k),
        VALUES[[2, 0], [[1], [3]], 3],
    ),
    "mask": (lambda a, **k: a.get_mask_selection(VALUES % 7 == 0, **k), VALUES[VALUES % 7 == 0]),
    "block": (lambda a, **k: a.get_block_selection((slice(None), 0), **k), VALUES[:, :3]),
    "slice": (lambda a, **k: a.get_slice(start=(0, 1, 2), stop=(2, 3, 4), **k), VALUES[0:2, 1:3, 2:4]),
}


@pytest.mark.parametrize("way", READS)
def test_every_way_reads_into_memory_that_is_given(array: Array, way: str) -> None:
    read, expected = READS[way]
    if way == "block" and array.shards:
        expected = VALUES
    np.testing.assert_array_equal(read(array), expected)
    out = np.zeros(expected.shape[::-1], "i4").T
    assert read(array, out=out) is out
    np.testing.assert_array_equal(out, expected)
    with pytest.raises(ValueError, match="out has shape"):
        read(array, out=np.zeros((1, *expected.shape), "i4"))
    with pytest.raises(TypeError, match="dtype"):
        read(array, out=np.zeros(expected.shape, "i8"))


@pytest.mark.parametrize("kind", ["basic", "orthogonal", "coordinate", "mask", "block"])
def test_fields_come_later(array: Array, kind: str) -> None:
    selection = VALUES > 3 if kind == "mask" else (0, 0, 0)
    assert getattr(array, f"get_{kind}_selection")(selection, fields=None) is not None
    with pytest.raises(NotImplementedError, match="fields='x' selects in structured data types"):
        getattr(array, f"get_{kind}_selection")(selection, fields="x")
    with pytest.raises(NotImplementedError, match="structured data types"):
        getattr(array, f"set_{kind}_selection")(selection, 0, fields=["x"])
    np.testing.assert_array_equal(array[...], VALUES)


def test_the_last_of_several_values_for_one_element_stays(array: Array) -> None:
    array[[0, 2, 0, 0], [1, 1, 1, 1], 2] = [1, 2, 3, 4]
    assert array[0, 1, 2] == 4
    array.oindex[1, [3, 0, 3], [4, 4]] = np.arange(100, 106).reshape(3, 2)
    assert array[1, [3, 0], 4].tolist() == [105, 103]


def test_a_list_between_which_and_an_integer_a_slice_stands_comes_first_as_in_numpy(array: Array) -> None:
    assert array[0, :, [1, 3]].shape == (2, 4)
    assert array.oindex[0, :, [1, 3]].shape == (4, 2)


@pytest.mark.parametrize(
    ("select", "text"),
    [
        (lambda a: a[[0, 3]], "index 3 is out of bounds for axis 0 with size 3 (array 'some/where')"),
        (lambda a: a[:, [0, -5]], "index -5 is out of bounds for axis 1 with size 4 (array 'some/where')"),
        (
            lambda a: a.oindex[[0], [9]],
            "index 9 is out of bounds for axis 1 with size 4 (array 'some/where')",
        ),
        (
            lambda a: a.vindex[0, [0], 5],
            "index 5 is out of bounds for axis 2 with size 5 (array 'some/where')",
        ),
        (lambda a: a.get_coordinate_selection((0, 4, 0)), "index 4 is out of bounds for axis 1 with size 4"),
        (lambda a: a.blocks[7], "block 7 is out of bounds for axis 0 with 2 blocks (array 'some/where')"),
        (lambda a: a.isel(time=3), "index 3 is out of bounds for axis 0 with size 3 (array 'some/where')"),
        (lambda a: a[{"latitude": range(5)}], "index 4 is out of bounds for axis 1 with size 4"),
    ],
)
def test_what_is_out_of_bounds_is_told_with_axis_and_size(
    array: Array, select: Callable[[Array], Any], text: str
) -> None:
    with pytest.raises(BoundsCheckError) as error:
        select(array)
    if "block" in text:
        assert str(error.value).startswith("block 7 is out of bounds for axis 0 with ")
    else:
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("select", "text"),
    [
        (lambda a: a["time"], "dimensions are selected by name with isel"),
        (lambda a: a[[[0], [1, 2]]], "inhomogeneous"),
        (lambda a: a[0.5], "got float 0.5"),
        (lambda a: a[np.ones((3, 3), bool)], "boolean index did not match indexed array along axis 1"),
        (
            lambda a: a.get_mask_selection(VALUES),
            "a mask is an array of bools of the array's shape (3, 4, 5), got",
        ),
        (lambda a: a.get_mask_selection([True]), "with shape (1,)"),
        (lambda a: a.get_coordinate_selection(([0], [0])), "for each of 3 dimensions, got 2 items"),
        (lambda a: a.get_coordinate_selection((0, slice(2), 0)), "vindex takes slices and masks too"),
        (lambda a: a.get_coordinate_selection((0, [True] * 4, 0)), "vindex takes slices and masks too"),
        (lambda a: a.vindex[[0, 1], [0, 1, 2]], "could not be broadcast together with shapes (2,) (3,)"),
        (lambda a: a.oindex[0, 0, 0, 0], "array is 3-dimensional, but 4 were indexed"),
        (lambda a: a.oindex[True], "a single True selects along no dimension of its own"),
        (lambda a: a.blocks[::2], "slices without a step"),
        (lambda a: a.isel(tme=0), "no dimension is named 'tme'; there are 'time', "),
        (lambda a: a[{"lat": 0}], "no dimension is named 'lat'; there are 'latitude', "),
        (lambda a: a.get_slice(start=(0, 0)), "start must have one item for each of 3 dimensions, got 2"),
        (lambda a: a.set_slice(0, stop=1), "stop must have one item for each of 3 dimensions, got 1"),
    ],
)
def test_what_does_not_select_is_told(array: Array, select: Callable[[Array], Any], text: str) -> None:
    with pytest.raises(SelectionError) as error:
        select(array)
    assert text in str(error.value)
    assert error.value.array == "some/where"


def test_blocks_are_what_is_stored_as_one_object(array: Array) -> None:
    for region in array.iter_shards():
        place = tuple(
            next(i for i in range(9) if array.metadata.chunk_grid.chunk_bounds(axis, i)[0] == part.start)
            for axis, part in enumerate(region)
        )
        np.testing.assert_array_equal(array.blocks[place], VALUES[region])
    np.testing.assert_array_equal(array.blocks[...], VALUES)


# --- by name


def test_by_name_as_the_guide_shows_it(array: Array) -> None:
    """The guide's ranges include their end, Python's do not."""
    np.testing.assert_array_equal(array.get_slice(time=range(2), latitude=range(4)), VALUES[:2])
    np.testing.assert_array_equal(array.get_slice(start=(0, 0, 0), stop=(3, 2, 5)), VALUES[:, :2])
    mixed = array.get_slice(start=(0, 1, 0), stop=(3, 3, 4), time=range(1, 3), longitude=2)
    np.testing.assert_array_equal(mixed, VALUES[1:3, 1:3, 2])
    np.testing.assert_array_equal(array.get_slice(latitude=(1, 3)), VALUES[:, 1:3])


def test_isel_and_a_dict_are_the_same(array: Array) -> None:
    for key in ({}, {"longitude": [4, 0]}, {"time": slice(None, None, -1), "latitude": 2}, {"time": 1}):
        expected = array.oindex[tuple(key.get(name, slice(None)) for name in NAMES)]
        for found in (array[key], array.isel(key), array.isel(**key), array.get_slice(key)):
            np.testing.assert_array_equal(found, expected)
    assert array.isel(time=0, latitude=1, longitude=2) == VALUES[0, 1, 2]
    assert isinstance(array.isel(time=0, latitude=1, longitude=2), np.int32)
    np.testing.assert_array_equal(array.isel({"time": 1}, latitude=np.array([3, 3])), VALUES[1, [3, 3]])
    np.testing.assert_array_equal(array.isel(latitude=[True, False, False, True]), VALUES[:, [0, 3]])


def test_names_that_the_methods_use_themselves_are_selected_by_a_dict() -> None:
    names = ("start", "stop", "value", "self", "indexers", "out")
    array = zarrc.create_array(shape=(2,) * 6, dtype="i4", dimension_names=names)
    array[...] = values = np.arange(64).reshape((2,) * 6)
    key = dict.fromkeys(names, 1)
    assert array[key] == array.isel(key) == array.get_slice(key) == 63
    assert array.isel(**key) == 63
    assert array.get_slice({"start": 0}, stop=(2, 2, 1, 1, 1, 1), self=0, value=1).tolist() == (
        values[0, :2, 1, 0, :1, :1].tolist()
    )
    array.set_slice(-1, key)
    array.set_slice(-2, {"stop": 0}, value=1, indexers=1, self=1, out=1, start=(0,) * 6, stop=(1,) * 6)
    assert array[0, 0, 1, 1, 1, 1] == -2
    assert array[1, 1, 1, 1, 1, 1] == -1


@pytest.mark.parametrize("given", [0, [], "", False, (), 3])
def test_what_is_no_mapping_never_means_everything(array: Array, given: Any) -> None:
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("isel", lambda: array.isel(given)),
        ("get_slice", lambda: array.get_slice(given)),
        ("set_slice", lambda: array.set_slice(7, given)),
        ("isel", lambda: array.lazy.isel(given)),
    ]
    for name, call in calls:
        with pytest.raises(SelectionError, match=f"{name} takes a mapping or names, got"):
            call()
    np.testing.assert_array_equal(array[...], VALUES)
    with pytest.raises(SelectionError, match="set_slice was given 'time' twice"):
        array.set_slice(7, {"time": 0}, time=1)
    with pytest.raises(SelectionError, match="isel was given 'time' twice"):
        array.isel({"time": 0}, time=1)
    np.testing.assert_array_equal(array.isel({}), VALUES)
    np.testing.assert_array_equal(array.isel(None), VALUES)


def test_format_2_has_the_names_that_xarray_gives() -> None:
    array = zarrc.array(VALUES, zarr_format=2, chunks=2)
    assert array.dimension_names is None
    array.attrs["_ARRAY_DIMENSIONS"] = list(NAMES)
    for handle in (array, zarrc.open_array(array.store)):
        assert handle.dimension_names == handle.lazy.dimension_names == NAMES
        np.testing.assert_array_equal(handle.isel(latitude=1), VALUES[:, 1])
        np.testing.assert_array_equal(handle[{"longitude": [0, 3]}], VALUES[..., [0, 3]])
        np.testing.assert_array_equal(handle.get_slice(time=(1, 3)), VALUES[1:3])
        np.testing.assert_array_equal(handle.lazy.isel(latitude=1), VALUES[:, 1])
        assert ("Dimension names", str(NAMES)) in handle.info.items
    array.set_slice(-1, time=0, longitude=2)
    assert (array[0, :, 2] == -1).all()
    for wrong in (["time"], "tim", ["time", "latitude", 3], None, {"a": 1, "b": 2, "c": 3}):
        array.attrs["_ARRAY_DIMENSIONS"] = wrong
        assert array.dimension_names is None
        with pytest.raises(SelectionError, match="_ARRAY_DIMENSIONS"):
            array.isel(time=0)


def test_an_array_tells_its_names(array: Array) -> None:
    assert array.dimension_names == NAMES
    assert zarrc.zeros((2, 3)).dimension_names is None
    assert zarrc.zeros((2, 3), dimension_names=["y", None]).dimension_names == ("y", None)
    other = zarrc.zeros(2, attributes={"_ARRAY_DIMENSIONS": ["x"]}, zarr_format=3)
    assert other.dimension_names is None


def test_an_array_without_names_says_how_it_gets_them() -> None:
    array = zarrc.zeros((2, 3))
    with pytest.raises(SelectionError, match="when it is created, dimension_names="):
        array.isel(x=0)
    np.testing.assert_array_equal(array.get_slice(start=(0, 1)), array[:, 1:])
    with pytest.raises(SelectionError, match="_ARRAY_DIMENSIONS"):
        zarrc.zeros((2, 3), zarr_format=2)[{"x": 0}]


# --- the rules of names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["time", "time"], "'time' names two dimensions; names must be unique"),
        (["time", "lat", "lon"], "there are 3 names for 2 dimensions"),
        (["time"], "there are 1 names for 2 dimensions"),
        (["", "lat"], "a name must not be empty; None stands for no name"),
        ([1, "lat"], "must be a string or None, got 1"),
    ],
)
def test_names_that_break_the_rules_are_refused_at_create(names: list[Any], text: str) -> None:
    with pytest.raises(MetadataError) as error:
        zarrc.create_array(shape=(2, 3), dimension_names=names)
    assert "dimension_names" in str(error.value)
    assert text in str(error.value)


@pytest.mark.parametrize(
    "names", [["time", "lat"], ["sample_id", "x-axis"], ["a b/c.d", "日本 ☃"], [None, None], ["x", None]]
)
def test_any_characters_make_a_name(tmp_path: Path, names: list[str | None]) -> None:
    zarrc.create_array(tmp_path / "a", shape=(2, 3), dtype="i4", dimension_names=names)[...] = [[1, 2, 3]] * 2
    array = zarrc.open_array(tmp_path / "a")
    assert array.metadata.dimension_names == tuple(names)
    for axis, name in enumerate(names):
        if name is not None:
            assert array[{name: 0}].shape == (2, 3)[1 - axis : 2 - axis]


@pytest.mark.parametrize("names", [["x", "x"], ["", "x"], ["", ""]])
def test_stored_names_that_break_the_rules_open(tmp_path: Path, names: list[str]) -> None:
    zarrc.create_array(tmp_path / "a", shape=(2, 3), dtype="i4", dimension_names=["p", "q"])
    document = tmp_path / "a" / "zarr.json"
    text = document.read_text()
    for name, other in zip(("p", "q"), names, strict=True):
        text = text.replace(f'"{name}"', f'"{other}"')
    document.write_text(text)
    array = zarrc.open_array(tmp_path / "a")
    assert array.metadata.dimension_names == tuple(names)
    assert array[0].shape == (3,)
    if names[0] == names[1]:
        with pytest.raises(SelectionError, match=r"names the dimensions 0, 1, and"):
            array[{names[0]: 0}]
    else:
        assert array[{"": 0}].shape == (3,)
        assert array.isel(x=0).shape == (2,)
