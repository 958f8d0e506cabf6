"""`Array`: what a handle says of its array, and that indexing it is indexing NumPy."""

from __future__ import annotations

import copy
import json
import multiprocessing
import operator
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import zarrc
from zarrc.array import Array
from zarrc.codecs import BytesCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarrc.errors import ArrayNotFoundError, MetadataError, ReadOnlyError
from zarrc.storage import LocalStore, MappingStore, MemoryStore, StorePath


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def data() -> npt.NDArray[np.int32]:
    return np.arange(5 * 7, dtype="i4").reshape(5, 7)


@pytest.fixture
def array(data: npt.NDArray[np.int32], zarr_format: int) -> Array:
    return zarrc.array(data, chunks=(2, 3), zarr_format=zarr_format)


# --- what it is


def test_sizes(array: Array) -> None:
    assert array.shape == (5, 7)
    assert array.ndim == 2
    assert array.size == 35
    assert array.itemsize == 4
    assert array.nbytes == 140
    assert array.dtype == np.dtype("i4")
    assert len(array) == 5


def test_chunks(array: Array) -> None:
    assert array.chunks == (2, 3)
    assert array.shards is None
    assert array.cdata_shape == (3, 3)
    assert array.nchunks == 9
    assert array.read_chunk_sizes == ((2, 2, 1), (3, 3, 1))
    assert array.write_chunk_sizes == ((2, 2, 1), (3, 3, 1))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
def test_sizes_of_arrays_without_extent(shape: tuple[int, ...], zarr_format: int) -> None:
    array = zarrc.create(shape, zarr_format=zarr_format)
    assert array.size == int(np.prod(shape))
    assert array.nchunks == (1 if shape == () else 0)
    assert array[...].shape == shape


def test_place(tmp_path: Path) -> None:
    array = zarrc.create_array(tmp_path / "s", name="a/b", shape=(3,))
    assert (array.path, array.name, array.basename) == ("a/b", "/a/b", "b")
    assert isinstance(array.store, LocalStore)
    assert array.store_path == StorePath(array.store, "a/b")
    root = zarrc.create_array(tmp_path / "t", shape=(3,))
    assert (root.path, root.name, root.basename) == ("", "/", "")


def test_codecs_of_a_v3_array() -> None:
    codecs = [TransposeCodec(order=(1, 0)), BytesCodec(endian="big"), GzipCodec(level=3), ZstdCodec()]
    array = zarrc.create((2, 3), dtype="i4", codecs=codecs)
    assert array.filters == (codecs[0],)
    assert array.serializer == codecs[1]
    assert array.compressors == tuple(codecs[2:])
    assert array.metadata.codecs == tuple(codecs)
    with pytest.raises(TypeError, match="compressors"):
        _ = array.compressor


def test_codecs_of_a_v2_array() -> None:
    array = zarrc.create((2, 3), dtype="i4", zarr_format=2, order="F", compressor=GzipCodec(level=3))
    assert array.filters == ()
    assert array.serializer is None
    assert array.compressors == (GzipCodec(level=3),)
    assert array.compressor == GzipCodec(level=3)
    assert array.order == "F"
    assert zarrc.create((2,), zarr_format=2, compressor=None).compressor is None


def test_fill_value(zarr_format: int) -> None:
    array = zarrc.full((3,), 7, dtype="u1", zarr_format=zarr_format)
    assert array.fill_value == 7
    assert isinstance(array.fill_value, np.uint8)
    assert zarrc.create((3,), zarr_format=2, fill_value=None).fill_value is None


def test_a_fill_value_keeps_the_bits_of_its_nan() -> None:
    bits = np.array([0x7FC00001], dtype="u4").view("f4")[0]
    array = zarrc.create((3,), dtype="f4", fill_value=bits)
    like = zarrc.full_like(array)
    for one in (array, like):
        assert np.array(one.fill_value).view("u4") == 0x7FC00001


def test_metadata_names_what_the_specification_names() -> None:
    array = zarrc.create((4, 6), chunks=(2, 3), dtype="float64", dimension_names=["y", "x"])
    metadata = array.metadata
    assert metadata.shape == (4, 6)
    assert str(metadata.data_type) == "float64"
    assert metadata.chunk_grid.chunk_shape == (2, 3)
    assert [codec.name for codec in metadata.codecs] == ["bytes", "zstd"]
    assert metadata.dimension_names == ("y", "x")


def test_stored_chunks_and_bytes_are_counted(zarr_format: int, tmp_path: Path) -> None:
    root = zarrc.create_group(tmp_path / "g", zarr_format=zarr_format)
    array = root.create_array("a", shape=(4, 4), chunks=(2, 2), dtype="i4")
    other = root.create_array("ab", shape=(4,), chunks=(1,), dtype="i4")
    other[:] = 1
    assert array.nchunks_initialized == 0
    array[0, 0] = 1
    array[3] = 2
    assert array.nchunks_initialized == 3
    files = [path for path in (tmp_path / "g" / "a").rglob("*") if path.is_file()]
    assert array.nbytes_stored() == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("encoding", [("default", "/"), ("default", "."), ("v2", "/"), ("v2", ".")])
@pytest.mark.parametrize("shape", [(), (3,), (3, 2)])
def test_stored_chunks_are_counted_under_every_key_encoding(encoding: Any, shape: tuple[int, ...]) -> None:
    array = zarrc.create(shape, chunks=1, dtype="i4", chunk_key_encoding=encoding)
    array[...] = 1
    assert array.nchunks_initialized == array.nchunks


# --- data: the engine's own tests hold it to NumPy; here is what the handle adds


def test_reading_and_writing_are_indexing(array: Array, data: npt.NDArray[np.int32]) -> None:
    for selection in (..., 1, -1, slice(None, None, -2), (slice(1, 4), 2), (None, 0, ...), (2, 3)):
        np.testing.assert_array_equal(array[selection], data[selection])
    array[1:3, ::2] = data[1:3, ::2] * 10
    data[1:3, ::2] *= 10
    np.testing.assert_array_equal(array[...], data)
    array[0] = -1
    data[0] = -1
    np.testing.assert_array_equal(array[...], data)


def test_a_single_element_is_a_numpy_scalar(array: Array) -> None:
    assert isinstance(array[1, 2], np.int32)
    assert array[1, 2] == 9


def test_basic_selections_by_method(array: Array, data: npt.NDArray[np.int32]) -> None:
    np.testing.assert_array_equal(array.get_basic_selection(), data)
    np.testing.assert_array_equal(array.get_basic_selection((1, slice(2))), data[1, :2])
    out = np.zeros((2, 7), dtype="i4")
    assert array.get_basic_selection(slice(1, 3), out=out) is out
    np.testing.assert_array_equal(out, data[1:3])
    array.set_basic_selection((0, 0), 99)
    assert array[0, 0] == 99


def test_numpy_converts_it(array: Array, data: npt.NDArray[np.int32]) -> None:
    np.testing.assert_array_equal(np.asarray(array), data)
    assert np.asarray(array).dtype == np.dtype("i4")
    assert np.asarray(array, dtype="f8").dtype == np.dtype("f8")
    np.testing.assert_array_equal(np.array(array, copy=True), data)
    np.testing.assert_array_equal(data + array, data * 2)
    with pytest.raises(ValueError, match="copy"):
        np.array(array, copy=False)


@pytest.mark.parametrize("n_rows", [0, 1, 4, 5, 9])
@pytest.mark.parametrize("chunk", [1, 2, 4, 20])
def test_iterating_gives_the_rows(n_rows: int, chunk: int) -> None:
    data = np.arange(n_rows * 3).reshape(n_rows, 3)
    array = zarrc.create(data.shape, dtype=data.dtype, chunks=(chunk, 2))
    array[...] = data
    rows = list(array)
    assert len(rows) == n_rows
    for row, expected in zip(rows, data, strict=True):
        np.testing.assert_array_equal(row, expected)


def test_iterating_reads_each_chunk_once() -> None:
    class Counting(MappingStore):
        read: list[str]

        def get(self, key: str, range: Any = None) -> Any:
            self.read.append(key)
            return super().get(key, range)

        def get_many(self, requests: Any) -> Any:
            requests = list(requests)
            self.read.extend(key for key, _ in requests)
            inner = MappingStore.get
            return ((i, inner(self, key, range)) for i, (key, range) in enumerate(requests))

        def get_into(self, key: str, buffer: Any, range: Any = None) -> Any:
            self.read.append(key)
            return MappingStore.get_into(self, key, buffer, range)

    store = Counting({})
    store.read = []
    array = zarrc.create_array(store, data=np.arange(1, 25).reshape(12, 2), chunks=(4, 2))
    store.read = []
    assert sum(1 for _ in array) == 12
    chunks = {key for key in store.read if key.startswith("c/")}
    assert chunks == {"c/0/0", "c/1/0", "c/2/0"}
    assert len(store.read) <= 2 * len(chunks)


def test_iterating_large_rows_reads_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zarrc.walking._ITERATION_NBYTES", 100)
    data = np.arange(60, dtype="i8").reshape(10, 6)
    array = zarrc.array(data, chunks=(7, 6))
    rows = array._rows()
    first = next(rows)
    assert first.base is None or first.base.nbytes <= 100
    np.testing.assert_array_equal([first, *rows], data)


def test_a_0d_array_has_no_length_and_no_rows() -> None:
    array = zarrc.array(np.array(3))
    with pytest.raises(TypeError, match="unsized"):
        len(array)
    with pytest.raises(TypeError, match="0-d"):
        iter(array)


def test_an_array_of_one_element_is_a_number(zarr_format: int) -> None:
    for shape in ((), (1,), (1, 1)):
        array = zarrc.full(shape, 3, dtype="i4", zarr_format=zarr_format)
        assert bool(array) is True
        assert int(array) == 3
        assert float(array) == 3.0
        assert complex(array) == 3 + 0j
    assert operator.index(zarrc.full((), 3, dtype="i4")) == 3
    assert not zarrc.zeros((1,))


def test_an_array_of_several_elements_is_no_number(array: Array) -> None:
    for convert in (int, float, complex, operator.index):
        with pytest.raises(TypeError):
            convert(array)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(array)


def test_results_have_the_memory_order_that_was_asked_for() -> None:
    array = zarrc.create((4, 5), chunks=(2, 2), config={"order": "F"})
    assert array.order == "F"
    assert array[...].flags.f_contiguous
    assert zarrc.create((4, 5), zarr_format=2, order="F")[...].flags.f_contiguous
    assert zarrc.create((4, 5), chunks=(2, 2))[...].flags.c_contiguous


# --- read only, settings


def test_an_array_opened_for_reading_refuses_writes(array: Array) -> None:
    opened = zarrc.open_array(array.store, mode="r")
    assert opened.read_only
    for write in (lambda: opened.__setitem__(0, 1), lambda: opened.set_basic_selection(0, 1)):
        with pytest.raises(ReadOnlyError, match=r"mode='r\+'"):
            write()
    assert not array.read_only


def test_with_config_gives_another_handle_of_the_same_array(array: Array) -> None:
    other = array.with_config({"write_empty_chunks": True})
    assert other.config.write_empty_chunks
    assert not array.config.write_empty_chunks
    assert other == array
    assert zarrc.open_array(array.store, mode="r").with_config({"order": "F"}).read_only


def test_write_empty_chunks_by_config(zarr_format: int) -> None:
    array = zarrc.create((4,), chunks=(2,), zarr_format=zarr_format)
    array[...] = 0
    assert array.nchunks_initialized == 0
    array.with_config({"write_empty_chunks": True})[...] = 0
    assert array.nchunks_initialized == 2


# --- identity, copies, pickles


def test_handles_of_one_array_are_equal(array: Array, tmp_path: Path) -> None:
    assert zarrc.open_array(array.store) == array
    assert hash(zarrc.open_array(array.store)) == hash(array)
    assert array != zarrc.zeros((5, 7))
    assert array != 5
    zarrc.create_array(tmp_path / "a" / "b", shape=(3,))
    zarrc.open_group(tmp_path / "a")
    inside = zarrc.open_array(tmp_path / "a", path="b")
    assert inside == zarrc.open_array(tmp_path / "a" / "b")


def test_copies_are_handles_of_the_same_data(array: Array) -> None:
    for twin in (copy.copy(array), copy.deepcopy(array)):
        assert twin == array
        twin[0, 0] = 77
        assert array[0, 0] == 77
        array[0, 0] = 0


def test_a_pickled_handle_works(tmp_path: Path, data: npt.NDArray[np.int32], zarr_format: int) -> None:
    array = zarrc.create_array(tmp_path / "a", data=data, zarr_format=zarr_format, config={"order": "F"})
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(array, protocol))
        assert twin == array
        assert twin.config == array.config
        np.testing.assert_array_equal(twin[...], data)
    reader = pickle.loads(pickle.dumps(zarrc.open_array(tmp_path / "a", mode="r")))
    assert reader.read_only


def test_a_pickled_handle_in_memory_takes_its_data_along(array: Array, data: npt.NDArray[np.int32]) -> None:
    twin = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(twin[...], data)


def _sum(array: Array) -> int:
    return int(np.asarray(array).sum())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_handles_go_to_other_processes(tmp_path: Path, method: str) -> None:
    array = zarrc.create_array(tmp_path / "a", data=np.arange(100), chunks=(7,))
    assert _sum(array) == 4950
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map_async(_sum, [array, array]).get(timeout=120) == [4950, 4950]


# --- the class's own constructors


def test_open_by_the_class(array: Array, data: npt.NDArray[np.int32]) -> None:
    opened = Array.open(array.store, config={"order": "F"})
    assert opened.order == ("F" if array.metadata.zarr_format == 3 else "C")
    np.testing.assert_array_equal(opened[...], data)
    with pytest.raises(ArrayNotFoundError):
        Array.open(MemoryStore())


def test_from_dict_needs_no_document_in_the_store() -> None:
    source = zarrc.create((4,), chunks=(2,), dtype="i4")
    blob = source.store.get("zarr.json")
    document = json.loads(bytes(blob or b""))
    array = Array.from_dict(StorePath(MemoryStore(), "x"), document)
    assert (array.shape, array.chunks, array.path) == ((4,), (2,), "x")
    with pytest.raises(MetadataError):
        Array.from_dict(MemoryStore(), {"zarr_format": 3, "node_type": "group"})
    v2 = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i4", "fill_value": 0, "order": "C"}
    v2 |= {"compressor": None, "filters": None, "attributes": {"a": 1}}
    assert dict(Array.from_dict(MemoryStore(), v2).attrs) == {"a": 1}


def test_its_repr_says_place_shape_and_type(tmp_path: Path) -> None:
    array = zarrc.create_array(tmp_path / "s", name="a", shape=(3, 4), dtype="f4")
    assert repr(array) == f"<Array file://{tmp_path}/s/a shape=(3, 4) dtype=float32>"


# --- what there is not


def test_other_missing_attributes_are_told_as_python_tells_them(array: Array) -> None:
    with pytest.raises(AttributeError, match="'Array' object has no attribute 'shap'"):
        getattr(array, "shap")  # noqa: B009
    with pytest.raises(AttributeError):
        array.nothing = 1  # type: ignore[attr-defined]


def test_an_attribute_missing_inside_a_property_is_the_one_that_is_told(
    array: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Array, "ndim", property(lambda self: self.store.not_there))
    with pytest.raises(AttributeError, match="'not_there'"):
        array.ndim  # noqa: B018
