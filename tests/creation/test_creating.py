"""New arrays: nothing half-happens, and every keyword has its effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.array import Array
from zarrc.codecs import GzipCodec
from zarrc.errors import (
    CastingError,
    MetadataError,
    ReadOnlyError,
    UnknownCodecError,
    UnknownDataTypeError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import MemoryStore


class Failing:
    """A source of data that breaks off after its first region."""

    shape = (4, 3_000_000)
    dtype = np.dtype("f8")
    chunks = (1, 3_000_000)

    def __init__(self) -> None:
        self.n_reads = 0

    def __getitem__(self, selection: Any) -> Any:
        self.n_reads += 1
        if self.n_reads > 1:
            raise ConnectionError("the source is gone")
        return np.ones(self.shape, self.dtype)[selection]


def test_an_array_whose_data_cannot_be_read_is_not_left_behind(tmp_path: Path) -> None:
    group = zarrc.open_group(tmp_path, mode="w")
    source = Failing()
    with pytest.raises(ConnectionError):
        group.create_array("x", data=source)
    assert source.n_reads > 1
    assert "x" not in group
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]


def test_a_shape_that_is_not_the_datas_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit data of shape"):
        zarrc.array(np.zeros((3, 4)), shape=(4, 3))
    assert zarrc.array(np.zeros((3, 4)), shape=(3, 4)).shape == (3, 4)


def test_order_of_a_v3_array_is_that_of_what_a_read_returns() -> None:
    array = zarrc.create_array({}, data=np.ones((3, 4)), order="F", zarr_format=3)
    assert array.order == "F"
    assert array[...].flags.f_contiguous
    assert [codec.name for codec in array.metadata.codecs] == ["bytes", "zstd"]
    with pytest.raises(ValueError, match="'C' or 'F'"):
        zarrc.create_array({}, shape=3, order="K")


def test_the_root_is_named_in_errors() -> None:
    with pytest.raises(CastingError, match="array '/'"):
        zarrc.array([0.5], dtype="i4")


def test_require_array_takes_every_name_of_a_data_type(tmp_path: Path) -> None:
    group = zarrc.open_group(tmp_path, mode="w", zarr_format=2)
    group.create_array("x", shape=3, dtype="r24")
    group.create_array("big", shape=3, dtype=">i4")
    assert group.require_array("x", shape=3, dtype="r24", exact=True).path == "x"
    assert group.require_array("big", shape=3, dtype={"name": "int32"}, exact=True).path == "big"
    with pytest.raises(TypeError, match="data type"):
        group.require_array("big", shape=3, dtype="float32")


@pytest.mark.parametrize(
    "grid",
    [
        {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
        zarrc.create_array({}, shape=(4, 4), chunks=(2, 3)).metadata.chunk_grid,
    ],
)
def test_a_chunk_grid_gives_the_chunks(grid: Any) -> None:
    assert zarrc.create_array({}, shape=(4, 4), chunk_grid=grid).chunks == (2, 3)
    with pytest.raises(TypeError, match="either chunks= or chunk_grid="):
        zarrc.create_array({}, shape=(4, 4), chunk_grid=grid, chunks=2)


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ("regular", "'chunk_shape' is missing"),
        ({"name": "regular"}, "'chunk_shape' is missing"),
        ({"name": "regular", "configuration": 5}, "chunk_grid.configuration: must be an object"),
        ({"name": "regular", "configuration": {"chunk_shape": [0, 1]}}, "must be in"),
        ({"name": "rectilinear"}, "'kind' is missing"),
        (5, "chunk_grid: must be an object"),
    ],
)
def test_a_wrong_chunk_grid_names_what_is_wrong(grid: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        zarrc.create_array({}, shape=(4, 4), chunk_grid=grid)
    assert text in str(caught.value)


@pytest.mark.parametrize("document", [[1], None, "x"])
def test_a_document_of_another_type_is_a_type_error(document: Any) -> None:
    with pytest.raises(TypeError, match="is a mapping"):
        zarrc.Array.from_dict({}, document)


def test_a_document_that_json_cannot_hold_is_a_metadata_error() -> None:
    with pytest.raises(MetadataError, match="what JSON cannot"):
        zarrc.Array.from_dict({}, {"zarr_format": 3, "node_type": object()})


def test_an_array_needs_a_shape_and_nothing_else() -> None:
    array = zarrc.create((3, 4))
    assert (array.shape, array.dtype, array.fill_value) == ((3, 4), np.dtype("f8"), 0)
    assert array.metadata.zarr_format == 3
    assert isinstance(array.store, MemoryStore)
    assert (array[...] == 0).all()
    with pytest.raises(TypeError, match="shape="):
        zarrc.create()
    with pytest.raises(TypeError, match=r"create_array\(\) needs shape="):
        zarrc.create_array({})


def test_what_was_created_is_opened_with_all_of_it(tmp_path: Path, zarr_format: Any) -> None:
    made = zarrc.create_array(
        tmp_path / "a",
        shape=(10, 20),
        dtype=">i2",
        chunks=(3, 7),
        fill_value=-1,
        zarr_format=zarr_format,
        attributes={"a": [1, 2]},
        compressors=GzipCodec(level=2),
    )
    found = zarrc.open_array(tmp_path / "a", mode="r")
    assert found.metadata == made.metadata
    assert found.chunks == (3, 7)
    assert found.fill_value == -1
    assert found.compressors == (GzipCodec(level=2),)
    assert dict(found.attrs) == {"a": [1, 2]}
    assert (found[...] == -1).all()


@pytest.mark.parametrize("chunks", [5, (5, 5), -1, "auto", None, True, False, (4, -1)])
def test_chunks_can_be_said_in_several_ways(chunks: Any) -> None:
    expected = {5: (5, 5), (5, 5): (5, 5), (4, -1): (4, 20)}.get(
        chunks if chunks is not True else None, (10, 20)
    )
    assert zarrc.create((10, 20), chunks=chunks, dtype="i4").chunks == expected


def test_chunk_shape_is_another_name_of_chunks() -> None:
    assert zarrc.create((10,), chunk_shape=(4,)).chunks == (4,)
    with pytest.raises(TypeError, match="chunk_shape"):
        zarrc.create((10,), chunks=4, chunk_shape=4)


def test_the_format_has_two_names_and_a_default(zarr_format: Any) -> None:
    for made in (zarrc.create((3,), zarr_format=zarr_format), zarrc.create((3,), zarr_version=zarr_format)):
        assert made.metadata.zarr_format == zarr_format
    with zarrc.config.set({"default_zarr_format": zarr_format}):
        assert zarrc.create((3,)).metadata.zarr_format == zarr_format
        assert zarrc.create_group().metadata.zarr_format == zarr_format
    with pytest.raises(ValueError, match="differ"):
        zarrc.create((3,), zarr_format=2, zarr_version=3)
    for wrong in (1, 4, "3", True):
        with pytest.raises(ValueError, match="must be 2 or 3"):
            zarrc.create((3,), zarr_format=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must be 2 or 3"):
            zarrc.open(MemoryStore(), zarr_format=wrong)  # type: ignore[arg-type]


def test_data_give_shape_and_type_and_are_written(zarr_format: Any) -> None:
    data = np.arange(12, dtype="u2").reshape(3, 4)
    for made in (
        zarrc.create_array(data=data, zarr_format=zarr_format),
        zarrc.create(data=data, zarr_format=zarr_format),
        zarrc.array(data, zarr_format=zarr_format),
        zarrc.create_array(data=data.tolist(), dtype="u2", zarr_format=zarr_format),
        zarrc.create_array(data=data, shape=(3, 4), zarr_format=zarr_format),
    ):
        assert made.dtype == np.dtype("u2")
        np.testing.assert_array_equal(made[...], data)
    assert (zarrc.create_array(data=data, write_data=False)[...] == 0).all()
    with pytest.raises(ValueError, match=r"does not fit data of shape \(3, 4\)"):
        zarrc.create_array(data=data, shape=(4, 3))


def test_data_that_do_not_fit_the_type_are_refused_before_anything_is_stored(tmp_path: Path) -> None:
    with pytest.raises(CastingError):
        zarrc.create_array(tmp_path / "a", data=np.array([1, 300]), dtype="u1")
    assert not (tmp_path / "a").exists()
    zarrc.save(tmp_path / "b", np.arange(3))
    with pytest.raises(CastingError, match="300"):
        zarrc.create_array(tmp_path / "b", data=np.array([1, 300]), dtype="u1", overwrite=True)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "b"), np.arange(3))
    wraps = zarrc.create_array(data=np.array([1, 300]), dtype="u1", config={"casting": "unsafe"})
    np.testing.assert_array_equal(wraps[...], [1, 44])


def test_a_name_is_a_path_inside_the_store(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "s", name="a/b", shape=(3,))
    zarrc.create((3,), store=tmp_path / "s", path="/c//d/")
    assert [path for path, _ in zarrc.open_group(tmp_path / "s", mode="r").members(None)] == [
        "a",
        "a/b",
        "c",
        "c/d",
    ]


def test_a_path_alone_is_where_the_data_are(tmp_path: Path) -> None:
    where = str(tmp_path / "x")
    zarrc.create((3,), path=where)
    assert (tmp_path / "x" / "zarr.json").exists()
    assert isinstance(zarrc.open(path=where), Array)
    assert isinstance(zarrc.open_array(path=where), Array)
    zarrc.group(path=str(tmp_path / "g"))
    assert isinstance(zarrc.open(path=str(tmp_path / "g")), Group)


@pytest.mark.parametrize("make", [zarrc.create, zarrc.create_array])
def test_an_unknown_keyword_is_named_with_close_ones(make: Any) -> None:
    with pytest.raises(TypeError, match=r"'compresors'; did you mean 'compressors'"):
        make(shape=(3,), compresors=None)
    with pytest.raises(TypeError, match=r"'xyz'; known: .*chunks"):
        make(shape=(3,), xyz=1)


def test_keywords_of_zarr_python_that_mean_nothing_here_are_told() -> None:
    with pytest.warns(ZarrcWarning, match="synchronizer"):
        zarrc.create((3,), synchronizer=object())
    with pytest.raises(NotImplementedError, match="chunk_store"):
        zarrc.create((3,), chunk_store={})
    assert zarrc.create((3,), synchronizer=None, chunk_store=None, cache_attrs=None).shape == (3,)


def test_what_comes_later_is_refused_by_name() -> None:
    with pytest.raises(MetadataError, match="zarr_format 2 has chunks of one shape"):
        zarrc.create_array(shape=(4,), chunks=[[1, 3]], zarr_format=2)
    with pytest.raises(MetadataError, match="either chunk_sizes= or chunk_shapes="):
        zarrc.create((4,), chunk_grid={"name": "irregular", "configuration": {}})
    grid = {"name": "regular", "configuration": {"chunk_shape": [3]}}
    assert zarrc.create((4,), chunk_grid=grid).chunks == (3,)


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"dtype": "float33"}, UnknownDataTypeError, "float33.*float32"),
        ({"codecs": ["bytes", "zstdd"]}, UnknownCodecError, "zstdd"),
        ({"codecs": ["zstd", "bytes"]}, MetadataError, "bytes"),
        ({"chunks": (1, 2)}, MetadataError, "chunks"),
        ({"chunks": 0}, MetadataError, "chunks"),
        ({"shape": (-1,)}, MetadataError, "shape"),
        ({"shape": 1.5}, MetadataError, "shape"),
        ({"fill_value": "x"}, MetadataError, "fill_value"),
        ({"fill_value": 300, "dtype": "u1"}, MetadataError, "fill_value"),
        ({"order": "K"}, MetadataError, "order"),
        ({"dimension_names": ["a", "b"]}, MetadataError, "dimension_names"),
        ({"config": {"oder": "F"}}, KeyError, "order"),
    ],
)
def test_what_makes_no_valid_array_is_told_before_anything_is_stored(
    keywords: dict[str, Any], error: type[Exception], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        zarrc.create_array(tmp_path / "a", **{"shape": (4,), **keywords})
    assert not (tmp_path / "a").exists()


def test_config_goes_to_the_handle_and_is_not_stored(tmp_path: Path) -> None:
    made = zarrc.create_array(tmp_path / "a", shape=(4,), config={"write_empty_chunks": True})
    assert made.config.write_empty_chunks
    assert not zarrc.open_array(tmp_path / "a").config.write_empty_chunks
    assert zarrc.open_array(tmp_path / "a", config={"order": "F"}).order == "F"
    assert zarrc.create((4,), write_empty_chunks=True).config.write_empty_chunks


def test_create_can_give_a_handle_that_only_reads() -> None:
    with pytest.raises(ReadOnlyError):
        zarrc.create((3,), read_only=True)[:] = 1


def test_arrays_by_their_content(zarr_format: Any) -> None:
    more: dict[str, Any] = {"dtype": "i4", "chunks": 2, "zarr_format": zarr_format}
    for made, value in (
        (zarrc.zeros((3, 3), **more), 0),
        (zarrc.ones((3, 3), **more), 1),
        (zarrc.full((3, 3), 7, **more), 7),
        (zarrc.empty((3, 3), **more), 0),
    ):
        assert made.metadata.zarr_format == zarr_format
        np.testing.assert_array_equal(made[...], np.full((3, 3), value))
        assert made.nchunks_initialized == 0
