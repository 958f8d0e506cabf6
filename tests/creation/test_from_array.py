"""`from_array`: what is kept of the source, how it is read, and when it is in the way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.codecs import GzipCodec, ZlibCodec, ZstdCodec


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
