"""The module's functions: what they create, what they open, and what they say when they cannot."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.array import Array
from zarrc.codecs import GzipCodec, ZlibCodec, ZstdCodec
from zarrc.errors import (
    ArrayNotFoundError,
    CastingError,
    ContainsArrayError,
    ContainsGroupError,
    ContainsNodeError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreError,
    UnknownCodecError,
    UnknownDataTypeError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import LocalStore, MemoryStore


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> Any:
    return request.param


# --- the module


def test_importing_the_package_loads_nothing_heavy(child_environment: dict[str, str]) -> None:
    program = (
        "import sys; before = set(sys.modules); import zarrc; dir(zarrc); "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - {'zarrc'}), "
        "[m for m in sys.modules if m.startswith('zarrc.')])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env=child_environment,
        check=True,
        capture_output=True,
        text=True,
    )
    modules, ours = done.stdout.strip().rsplit(" [", 1)
    assert ours == "]"
    for heavy in ("numpy", "fsspec", "asyncio", "dataclasses", "inspect"):
        assert f"'{heavy}'" not in modules


def test_local_arrays_need_neither_fsspec_nor_asyncio(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import sys, zarrc; a = zarrc.create_array(sys.argv[1], shape=(3,), dtype='i4'); a[:] = 1; "
        "zarrc.open(sys.argv[1])[:]; zarrc.group(); "
        "print([m for m in ('fsspec', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")],
        env=child_environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n"


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert list(zarrc.__all__) == sorted(zarrc.__all__)
    assert len(set(zarrc.__all__)) == len(zarrc.__all__)
    assert set(zarrc.__all__) <= set(dir(zarrc))
    for name in zarrc.__all__:
        assert getattr(zarrc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'opn'"):
        _ = zarrc.opn  # type: ignore[attr-defined]


def test_names_that_are_modules_too_are_what_users_call(child_environment: dict[str, str]) -> None:
    program = (
        "import zarrc.array, zarrc.group, zarrc.config, zarrc.tree\n"
        "from zarrc.array import Array\nfrom zarrc.config import ArrayConfig\n"
        "assert isinstance(zarrc.array([1, 2]), Array)\n"
        "assert list(zarrc.tree(zarrc.group()).root.branches) == []\n"
        "assert zarrc.config.get('array.order') == 'C'\n"
        "from zarrc import array, group, config\n"
        "assert callable(array) and callable(group) and config is zarrc.config\n"
    )
    subprocess.run([sys.executable, "-c", program], env=child_environment, check=True)


def test_the_version_is_that_of_the_project(source_root: Path) -> None:
    project = tomllib.loads((source_root / "pyproject.toml").read_text())["project"]
    assert zarrc.__version__ == project["version"]


# --- create


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
    with pytest.raises(MetadataError, match="shards"):
        zarrc.create_array(shape=(4,), chunks=2, shards=4)
    with pytest.raises(MetadataError, match="'irregular'"):
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


def test_arrays_like_another_keep_its_layout(zarr_format: Any) -> None:
    source = zarrc.create(
        (6, 4),
        chunks=(2, 3),
        dtype=">f4",
        fill_value=9,
        zarr_format=zarr_format,
        filters=None,
        compressors=ZlibCodec(level=3),
        chunk_key_encoding=("v2", "/"),
    )
    for made, value in (
        (zarrc.zeros_like(source), 0),
        (zarrc.ones_like(source), 1),
        (zarrc.full_like(source), 9),
        (zarrc.full_like(source, 5), 5),
        (zarrc.full_like(source, fill_value=5), 5),
    ):
        assert (made.shape, made.chunks, made.dtype) == (source.shape, source.chunks, source.dtype)
        assert made.compressors == source.compressors
        assert made.metadata.zarr_format == zarr_format
        assert made.metadata.chunk_key_encoding == source.metadata.chunk_key_encoding
        np.testing.assert_array_equal(made[...], np.full((6, 4), value))
    assert zarrc.empty_like(source, chunks=(6, 4)).chunks == (6, 4)
    assert zarrc.empty_like(source, shape=(5,)).shape == (5,)
    assert zarrc.zeros_like(source, compressors=None).compressors == ()
    assert zarrc.zeros_like(np.zeros((2, 2), "u1")).dtype == np.dtype("u1")
    other: Any = 5 - zarr_format
    assert zarrc.zeros_like(source, zarr_format=other).metadata.zarr_format == other


def test_open_like_creates_once(tmp_path: Path) -> None:
    source = zarrc.full((6,), 3, dtype="i2", chunks=2)
    first = zarrc.open_like(source, str(tmp_path / "a"))
    assert (first.shape, first.chunks, first.fill_value) == ((6,), (2,), 3)
    first[0] = 8
    assert zarrc.open_like(source, str(tmp_path / "a"))[0] == 8


# --- from_array


@pytest.mark.parametrize("source_format", [2, 3])
def test_from_array_keeps_what_a_stored_array_is(
    source_format: Any, zarr_format: Any, tmp_path: Path
) -> None:
    source = zarrc.create(
        (7, 5),
        chunks=(3, 2),
        dtype=">i4",
        fill_value=4,
        zarr_format=source_format,
        compressors=ZlibCodec(level=2),
        attributes={"not": "kept"},
    )
    source[1:6] = np.arange(25).reshape(5, 5)
    made = zarrc.from_array(tmp_path / "a", data=source, zarr_format=zarr_format, chunks="keep")
    np.testing.assert_array_equal(made[...], source[...])
    assert (made.chunks, made.fill_value, made.compressors) == ((3, 2), 4, (ZlibCodec(level=2),))
    assert made.metadata.zarr_format == zarr_format
    assert dict(made.attrs) == {}
    other = zarrc.from_array(data=source, chunks=(5, 5), compressors=ZstdCodec(level=1), write_data=False)
    assert (other.chunks, other.compressors) == ((5, 5), (ZstdCodec(level=1),))
    assert other.nchunks_initialized == 0


def test_from_array_keeps_dimension_names_and_key_encoding() -> None:
    source = zarrc.create((4, 4), dimension_names=["y", None], chunk_key_encoding=("v2", "."))
    made = zarrc.from_array(data=source)
    assert made.metadata.dimension_names == ("y", None)
    assert made.metadata.chunk_key_encoding == source.metadata.chunk_key_encoding


@pytest.mark.parametrize("peer_format", [2, 3])
def test_from_array_keeps_the_codecs_that_another_library_describes(peer_format: Any) -> None:
    codecs = [
        SimpleNamespace(to_dict=lambda: {"name": "bytes", "configuration": {"endian": "big"}}),
        SimpleNamespace(to_dict=lambda: {"name": "gzip", "configuration": {"level": 4}}),
    ]
    source = Lazy(np.arange(10, dtype="i4"), (4,))
    if peer_format == 3:
        names = ("x",)
        source.metadata = SimpleNamespace(zarr_format=3, codecs=codecs, dimension_names=names)
    else:
        compressor = SimpleNamespace(get_config=lambda: {"id": "gzip", "level": 4})
        source.metadata = SimpleNamespace(zarr_format=2, filters=None, compressor=compressor)
    made = zarrc.from_array(data=source)
    assert (made.metadata.zarr_format, made.chunks) == (peer_format, (4,))
    assert made.compressors == (GzipCodec(level=4),)
    np.testing.assert_array_equal(made[...], np.arange(10))
    other: Any = 5 - peer_format
    assert zarrc.from_array(data=source, zarr_format=other).metadata.zarr_format == other


class Lazy:
    """Data that come in pieces, and say how large the pieces are that were asked for."""

    metadata: Any = None

    def __init__(self, data: np.ndarray[Any, Any], chunks: Any) -> None:
        self.data, self.chunks = data, chunks
        self.shape, self.dtype = data.shape, data.dtype
        self.asked: list[tuple[slice, ...]] = []

    def __getitem__(self, key: Any) -> Any:
        self.asked.append(key)
        return self.data[key]


@pytest.mark.parametrize("source_chunks", [None, (4, 30), ((4, 4, 2), (25, 25)), (100, 1)])
def test_from_array_streams_in_bounded_memory(source_chunks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 10 * 20 * 8
    monkeypatch.setattr("zarrc.streaming._REGION_NBYTES", limit)
    data = np.arange(1000).reshape(20, 50)
    source = Lazy(data, source_chunks)
    made = zarrc.from_array(data=source, chunks=(3, 7))
    np.testing.assert_array_equal(made[...], data)
    assert len(source.asked) > 1
    for region in source.asked:
        assert data[region].nbytes <= limit
        for part, chunk, extent in zip(region, (3, 7), (20, 50), strict=True):
            assert part.start % chunk == 0
            assert part.stop % chunk == 0 or part.stop == extent


def test_from_array_takes_uneven_source_chunks() -> None:
    assert zarrc.from_array(data=Lazy(np.arange(10), ((4, 4, 2),))).chunks == (4,)
    assert zarrc.from_array(data=Lazy(np.array(5), ()))[...] == 5


def test_an_array_is_not_overwritten_with_itself(tmp_path: Path) -> None:
    source = zarrc.create_array(tmp_path / "a", data=np.arange(5))
    with pytest.raises(ValueError, match="source itself"):
        zarrc.from_array(tmp_path / "a", data=source, overwrite=True)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "a"), np.arange(5))


def test_data_from_below_the_new_array_are_refused(tmp_path: Path) -> None:
    # Deleted after a failure, the new array would take its source along.
    source = zarrc.create_array(tmp_path / "s" / "a", data=np.arange(5))
    with pytest.raises(ValueError, match="holds the source"):
        zarrc.create_array(tmp_path / "s", data=source)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "s" / "a"), np.arange(5))


def test_a_group_is_not_overwritten_with_an_array_in_it(tmp_path: Path) -> None:
    root = zarrc.create_group(tmp_path / "g")
    root.create_array("a/b", data=np.arange(5))
    (tmp_path / "link").symlink_to(tmp_path / "g")
    inside = zarrc.open_array(tmp_path / "link" / "a" / "b")
    for attempt in (
        lambda: zarrc.from_array(tmp_path / "g", data=root.get_array("a/b"), overwrite=True),
        lambda: zarrc.create_array(tmp_path / "g", name="a", data=inside, overwrite=True),
        lambda: zarrc.create_array(tmp_path / "g", data=inside, overwrite=True),
        lambda: root.__setitem__("a", root["a/b"]),
    ):
        with pytest.raises(ValueError, match="source"):
            attempt()
    np.testing.assert_array_equal(inside[...], np.arange(5))
    root["ab"] = inside
    np.testing.assert_array_equal(root.get_array("ab")[...], np.arange(5))


# --- open: modes


def test_opening_nothing_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(NodeNotFoundError, match=r"missing.*mode='a'.*shape="):
        zarrc.open(missing)
    with pytest.raises(ArrayNotFoundError, match=r"missing.*shape="):
        zarrc.open_array(missing)
    with pytest.raises(GroupNotFoundError, match=r"missing.*mode='a'"):
        zarrc.open_group(missing, mode="r+")
    with pytest.raises(FileNotFoundError, match="never creates"):
        zarrc.open(missing, mode="r")
    with pytest.raises(TypeError, match="what to open"):
        zarrc.open()
    assert not missing.exists()


def test_opening_what_is_of_the_other_kind_says_so(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "a", shape=(3,))
    zarrc.create_group(tmp_path / "g")
    for mode, error in (("r", GroupNotFoundError), ("a", ContainsArrayError)):
        with pytest.raises(error, match="open_array"):
            zarrc.open_group(tmp_path / "a", mode=mode)  # type: ignore[arg-type]
    for mode, error in (("r", ArrayNotFoundError), ("a", ContainsGroupError), (None, ArrayNotFoundError)):
        with pytest.raises(error, match="open_group"):
            zarrc.open_array(tmp_path / "g", mode=mode, shape=(3,))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_modes_that_never_create(mode: Any, tmp_path: Path) -> None:
    for attempt in (
        lambda: zarrc.open(tmp_path / "n", mode=mode, shape=(3,)),
        lambda: zarrc.open_array(tmp_path / "n", mode=mode, shape=(3,)),
        lambda: zarrc.open_group(tmp_path / "n", mode=mode),
    ):
        with pytest.raises(NodeNotFoundError):
            attempt()
    assert not (tmp_path / "n").exists()
    with pytest.raises(ValueError, match="writes"):
        zarrc.create((3,), store=tmp_path / "n", mode=mode)


def test_mode_r_reads_only(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    reader = zarrc.open(tmp_path / "a", mode="r")
    assert reader.read_only
    with pytest.raises(ReadOnlyError):
        reader[0] = 1  # type: ignore[index]
    for mode in ("r+", "a", None):
        writer = zarrc.open(tmp_path / "a", mode=mode)  # type: ignore[arg-type]
        assert not writer.read_only
        writer[0] = 5  # type: ignore[index]
    assert reader[0] == 5  # type: ignore[index]


def test_mode_a_opens_or_creates(tmp_path: Path) -> None:
    assert isinstance(zarrc.open(tmp_path / "g", mode="a", attributes={"k": 1}), Group)
    assert zarrc.open(tmp_path / "g", mode="a").attrs["k"] == 1
    made = zarrc.open(tmp_path / "a", mode="a", shape=(3,), dtype="i4")
    assert isinstance(made, Array)
    made[:] = 2
    assert (zarrc.open_array(tmp_path / "a", mode="a", shape=(3,), dtype="i4")[:] == 2).all()
    with pytest.raises(TypeError, match="chunks"):
        zarrc.open(tmp_path / "h", mode="a", chunks=3)


def test_an_array_that_is_not_as_described_is_opened_with_a_warning(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    with pytest.warns(ZarrcWarning, match=r"shape \(3,\), not \(4,\)"):
        assert zarrc.open_array(tmp_path / "a", shape=(4,)).shape == (3,)
    with pytest.warns(ZarrcWarning, match="data type int64, not float32"):
        zarrc.open(tmp_path / "a", shape=(3,), dtype="f4")


def test_mode_w_starts_anew(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "n", np.arange(3))
    assert isinstance(zarrc.open(tmp_path / "n", mode="w"), Group)
    zarrc.open_group(tmp_path / "n").create_array("x", shape=(3,))
    assert len(zarrc.open_group(tmp_path / "n", mode="w")) == 0
    assert zarrc.open(tmp_path / "n", mode="w", shape=(5,)).shape == (5,)  # type: ignore[union-attr]
    assert zarrc.open_array(tmp_path / "n", mode="w", shape=(6,)).shape == (6,)
    assert zarrc.create((7,), store=tmp_path / "n", mode="w").shape == (7,)
    assert zarrc.create_array(tmp_path / "n", shape=(8,), overwrite=True).shape == (8,)
    with pytest.raises(TypeError, match="shape="):
        zarrc.open_array(tmp_path / "n", mode="w")


def test_mode_w_minus_never_replaces(tmp_path: Path) -> None:
    zarrc.open(tmp_path / "n", mode="w-", shape=(3,))
    for attempt in (
        lambda: zarrc.open(tmp_path / "n", mode="w-"),
        lambda: zarrc.open_array(tmp_path / "n", mode="w-", shape=(3,)),
        lambda: zarrc.open_group(tmp_path / "n", mode="w-"),
        lambda: zarrc.create((3,), store=tmp_path / "n"),
        lambda: zarrc.create_array(tmp_path / "n", shape=(3,)),
        lambda: zarrc.create_group(tmp_path / "n"),
    ):
        with pytest.raises(ContainsArrayError, match="overwrite"):
            attempt()


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'rw'"):
        zarrc.open(tmp_path, mode="rw")  # type: ignore[arg-type]


def test_group_opens_or_creates(tmp_path: Path, zarr_format: Any) -> None:
    first = zarrc.group(tmp_path / "g", zarr_format=zarr_format, attributes={"a": 1})
    assert zarrc.group(tmp_path / "g") == first
    assert zarrc.group(tmp_path / "g").attrs["a"] == 1
    assert dict(zarrc.group(tmp_path / "g", overwrite=True).attrs) == {}
    with pytest.raises(ContainsGroupError):
        zarrc.create_group(tmp_path / "g")
    with pytest.raises(TypeError, match="'attribute'"):
        zarrc.group(tmp_path / "g", attribute={})


def test_opening_can_be_strict() -> None:
    store = MemoryStore()
    store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": null}')
    lenient = zarrc.open_group(store)
    assert lenient.metadata.assumed
    for attempt in (lambda: zarrc.open(store, strict=True), lambda: zarrc.open_group(store, strict=True)):
        with pytest.raises(MetadataError, match="attributes"):
            attempt()


# --- stores


def test_stores_of_every_kind(tmp_path: Path) -> None:
    mapping: dict[str, bytes] = {}
    for store in (
        tmp_path / "p",
        str(tmp_path / "s"),
        f"file://{tmp_path}/u",
        LocalStore(tmp_path / "l"),
        mapping,
    ):
        zarrc.create_array(store, name="x", data=np.arange(3))
        np.testing.assert_array_equal(zarrc.open_group(store, mode="r").get_array("x")[:], np.arange(3))
    assert "x/zarr.json" in mapping


def test_stores_of_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    place = f"memory://zarrc-{uuid.uuid4()}"
    for store in (f"{place}/url", fsspec.get_mapper(f"{place}/mapper")):
        zarrc.create_array(store, name="a/x", data=np.arange(3), zarr_format=2)
        assert list(zarrc.open_group(store, mode="r")) == ["a"]
        np.testing.assert_array_equal(zarrc.load(store)["a"]["x"], np.arange(3))
        with pytest.raises(ContainsArrayError):
            zarrc.create_array(store, name="a/x", data=np.arange(3), zarr_format=2)
        zarrc.create_group(store, overwrite=True)
        assert list(zarrc.open_group(store)) == []
    with pytest.raises(NodeNotFoundError, match="zarrc-"):
        zarrc.open(f"{place}/nothing")


def test_a_store_opened_for_reading_stays_so(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    store = LocalStore(tmp_path / "a", read_only=True)
    assert zarrc.open(store).read_only
    assert zarrc.open_array(store, mode="r").read_only
    with pytest.raises(ReadOnlyError):
        zarrc.open(store, mode="r+")
    with pytest.raises(ReadOnlyError):
        zarrc.create_group(store, overwrite=True)


def test_what_is_no_store_is_told() -> None:
    with pytest.raises(TypeError, match="store"):
        zarrc.open([1, 2, 3])
    with pytest.raises(TypeError, match="storage_options"):
        zarrc.open("here", storage_options={"key": 1})


def test_storage_by_name_and_its_mistakes(tmp_path: Path) -> None:
    made = zarrc.create((3,), storage="filesystem", path=str(tmp_path / "a"))
    assert isinstance(made.store, LocalStore)
    with pytest.raises(StoreError, match=r"'cloud'.*filesystem"):
        zarrc.create((3,), storage="cloud")
    with pytest.raises(TypeError, match=r"storage='filesystem' needs 'path'"):
        zarrc.create((3,), storage="filesystem")
    with pytest.raises(TypeError, match=r"chunk= .*did you mean 'chunks'"):
        zarrc.create((3,), storage="memory", chunk=3)
    with pytest.raises(TypeError, match="table_name="):
        zarrc.create((3,), table_name="x")
    with pytest.raises(TypeError, match="not both"):
        zarrc.create((3,), store={}, storage="memory")


# --- save, load


def test_one_array_is_saved_as_an_array(tmp_path: Path, zarr_format: Any) -> None:
    data = np.arange(6).reshape(2, 3)
    zarrc.save(tmp_path / "a", data, zarr_format=zarr_format)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "a"), data)
    assert zarrc.open(tmp_path / "a").metadata.zarr_format == zarr_format
    with pytest.raises(ContainsArrayError):
        zarrc.save(tmp_path / "a", data)
    zarrc.save(tmp_path / "a", data * 2, mode="w")
    zarrc.save_array(tmp_path / "a", data * 3, overwrite=True, chunks=1)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "a"), data * 3)


def test_several_arrays_are_saved_as_a_group(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "g", np.arange(2), np.arange(3), x=[1.5], y=7)
    loaded = zarrc.load(tmp_path / "g")
    assert list(loaded) == ["arr_0", "arr_1", "x", "y"]
    np.testing.assert_array_equal(loaded["arr_1"], np.arange(3))
    assert loaded["y"] == 7
    zarrc.save_group(tmp_path / "g", z=np.arange(4))
    assert "z" in zarrc.load(tmp_path / "g")
    with pytest.raises(ContainsNodeError):
        zarrc.save_group(tmp_path / "g", z=np.arange(4))
    zarrc.save_group(tmp_path / "g", np.arange(4), mode="w")
    assert list(zarrc.load(tmp_path / "g")) == ["arr_0"]
    with pytest.raises(ValueError, match="arr_0"):
        zarrc.save_group(tmp_path / "h", np.arange(4), arr_0=[1])


def test_saving_nothing_is_an_error(tmp_path: Path) -> None:
    for save in (zarrc.save, zarrc.save_group):
        with pytest.raises(ValueError, match="at least one"):
            save(tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_loading_takes_a_path_and_nested_groups(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "s", np.arange(3), path="a/b")
    np.testing.assert_array_equal(zarrc.load(tmp_path / "s", "a/b"), np.arange(3))
    np.testing.assert_array_equal(zarrc.load(tmp_path / "s")["a"]["b"], np.arange(3))
    with pytest.raises(NodeNotFoundError, match="which has b"):
        zarrc.load(tmp_path / "s", "a/c")
