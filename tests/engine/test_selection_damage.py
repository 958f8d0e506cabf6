"""Damage met by points, lists and masks: an error that names array, key, codec and inner chunk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.array.test_selections_against_numpy import rectilinear
from tests.engine.hostile import CODECS, KEY, N_ELEMENTS, PATH, BadChunk, bad_chunks, make_array, spoil
from tests.engine.shards import BYTES, CRC32C, ZSTD, Json, key_of, read_shard, sharded_array, sharding
from tests.engine.test_shard_selections import KINDS, make_store, sharded_layouts, thoroughly
from tests.indexing.keys import fancy_keys, masks, orthogonal_keys
from tests.soak import count
from tests.strategies import random_values, seeds
from zarrc.errors import (
    ChunkNotFoundError,
    CodecError,
    CorruptChunkError,
    NodeNotFoundError,
    StoreError,
    ZarrcError,
)

Values = npt.NDArray[Any]
SHAPE = (40, 40)
VALUES = np.arange(1, 1601, dtype="i4").reshape(SHAPE)


def _mask(*elements: tuple[int, int]) -> Values:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(np.array(elements).T)] = True
    return mask


# What meets the element (35, 33) and others, and what the same kind does without it.
MEETING: dict[str, tuple[Any, Any]] = {
    "points": (([3, 35, 0], [39, 33, 0]), ([3, 15, 0], [39, 33, 0])),
    "one list": (np.s_[[35, 0, 7]], np.s_[[12, 0, 7]]),
    "lists along both axes": (np.ix_([0, 35, 7], [33, 1]), np.ix_([0, 5, 7], [33, 1])),
    "list and slice": (np.s_[30:, [5, 39, 33]], np.s_[:10, [5, 39, 33]]),
    "sparse mask": (_mask((0, 0), (35, 33)), _mask((0, 0), (5, 33))),
    "dense mask": (VALUES % 3 != 0, (VALUES % 3 != 0) & (np.arange(40) < 20)[:, None]),
}
MET = pytest.mark.parametrize("what", MEETING)


def _deeds(array: Any, key: Any) -> list[Callable[[], Any]]:
    return [lambda: array[key], lambda: array.__setitem__(key, 1)]


def _is_told(error: ZarrcError, array: Any, key: str, codec: str | None) -> None:
    assert (error.array, error.key, getattr(error, "codec", None)) == (array.path, key, codec)
    for word in (array.path, key, codec or ""):
        assert word in str(error)


def _is_of(error: ZarrcError, path: str, key: str) -> None:
    assert isinstance(error, (CodecError, StoreError))
    assert (error.array, error.key) == (path, key)
    assert "changed" not in str(error)


# --- chunks

GRIDS: dict[str, Any] = {"one shape": (20, 40), "several shapes": ([20, 15, 5], [30, 10])}
BAD = {"one shape": "sea/a/c/1/0", "several shapes": "sea/a/c/2/1"}
CHAINS: dict[str, tuple[list[Json], str]] = {
    "raw": ([BYTES], "bytes"),
    "zstd": ([BYTES, ZSTD], "zstd"),
    "crc32c": ([BYTES, ZSTD, CRC32C], "crc32c"),
}


def _chunked(grid: str, kind: str, folder: Path, chain: str = "zstd", **keywords: Any) -> Any:
    array = zarrc.create_array(
        make_store(kind, folder),
        name="sea/a",
        shape=SHAPE,
        chunks=GRIDS[grid],
        dtype="i4",
        codecs=CHAINS[chain][0],
        fill_value=-1,
        **keywords,
    )
    array[...] = VALUES
    return array


@MET
@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_bad_chunk_is_named_with_its_codec(
    grid: str, chain: str, kind: str, what: str, tmp_path: Path
) -> None:
    array = _chunked(grid, kind, tmp_path, chain)
    bad = bytes(array.store.get(BAD[grid]))[:-3]
    array.store.set(BAD[grid], bad)
    met, other = MEETING[what]
    for deed in _deeds(array, met):
        with pytest.raises(CorruptChunkError) as caught:
            deed()
        _is_told(caught.value, array, BAD[grid], CHAINS[chain][1])
    assert bytes(array.store.get(BAD[grid])) == bad
    array[...] = VALUES
    array.store.set(BAD[grid], bad)
    np.testing.assert_array_equal(array[other], VALUES[other])


@MET
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
def test_a_missing_chunk_is_told_where_the_array_says_so(
    kind: str, grid: str, what: str, tmp_path: Path
) -> None:
    array = _chunked(grid, kind, tmp_path, config={"read_missing_chunks": False})
    array.store.delete(BAD[grid])
    met, other = MEETING[what]
    with pytest.raises(ChunkNotFoundError) as caught:
        array[met]
    _is_told(caught.value, array, BAD[grid], None)
    np.testing.assert_array_equal(array[other], VALUES[other])
    filled = array.with_config({"read_missing_chunks": True})
    expected = VALUES.copy()
    chunk = (slice(20, 40), slice(40)) if grid == "one shape" else (slice(35, 40), slice(30, 40))
    expected[chunk] = -1
    np.testing.assert_array_equal(filled[met], expected[met])


@MET
@pytest.mark.parametrize("grid", GRIDS)
def test_what_stands_in_the_place_of_a_chunk_is_told(grid: str, what: str, tmp_path: Path) -> None:
    array = _chunked(grid, "local", tmp_path)
    path = Path(array.store.local_root, BAD[grid])
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(StoreError, match="symbolic link") as caught:
        array[MEETING[what][0]]
    assert (caught.value.array, caught.value.key) == ("sea/a", BAD[grid])


@MET
@pytest.mark.parametrize("kind", ["memory", "local"])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_deleted_array_is_told(grid: str, kind: str, what: str, tmp_path: Path) -> None:
    array = _chunked(grid, kind, tmp_path)
    other = zarrc.open_array(array.store, path="sea/a", mode="r+")
    assert other[0, 0] == 1
    for key in list(array.store.list_prefix("sea/a/")):
        array.store.delete(key)
    for deed in _deeds(other, MEETING[what][0]):
        with pytest.raises(NodeNotFoundError):
            deed()


# --- hostile chunks

PICKS: dict[str, Any] = {
    "points": np.array([[60, 3], [3, 17]]),
    "list": [63, 0, 5],
    "mask": np.arange(N_ELEMENTS) % 7 == 2,
}


@pytest.mark.parametrize("what", PICKS)
@pytest.mark.parametrize("bad", list(bad_chunks()), ids=str)
def test_a_chunk_that_lies_is_an_error_for_points_too(bad: BadChunk, what: str) -> None:
    array = make_array(bad.codecs)
    spoil(array, bad)
    stored = bytes(array.store.get(KEY))
    for deed in _deeds(array, PICKS[what]):
        with pytest.raises(CodecError) as caught:
            deed()
        assert (caught.value.array, caught.value.key) == (PATH, KEY)
        assert caught.value.codec is not None
        assert caught.value.codec.removeprefix("numcodecs.") == bad.blamed
    assert bytes(array.store.get(KEY)) == stored


@settings(max_examples=count(1500))
@given(data=st.data(), codecs=st.sampled_from(sorted(CODECS)), seed=seeds())
def test_any_damage_gives_an_error_or_values_of_the_right_shape(
    data: st.DataObject, codecs: str, seed: int
) -> None:
    array = make_array(codecs)
    good = bytearray(array.store.get(KEY))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(good) - 1)))
        if data.draw(st.booleans()):
            good[at : at + 1] = data.draw(st.binary(max_size=3))
        else:
            del good[at : at + data.draw(st.integers(1, 20))]
    array.store.set(KEY, bytes(good))
    key = data.draw(fancy_keys((N_ELEMENTS,)) | masks((N_ELEMENTS,)))
    expected = np.zeros(N_ELEMENTS, "i4")[key]
    try:
        found = array[key]
    except CodecError as error:
        _is_of(error, PATH, KEY)
    else:
        assert np.shape(found) == np.shape(expected)
        assert found.dtype == np.int32


# --- shards

INNER_CHAINS: dict[str, tuple[list[Json], str]] = {
    "zstd": ([BYTES, ZSTD], "zstd"),
    "crc32c": ([BYTES, CRC32C], "crc32c"),
    "nested": ([sharding((10, 10), [BYTES, ZSTD])], "zstd"),
}


@MET
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chain", INNER_CHAINS)
def test_a_bad_inner_chunk_is_named_with_its_codec(chain: str, kind: str, what: str, tmp_path: Path) -> None:
    codecs, codec = INNER_CHAINS[chain]
    array = sharded_array(make_store(kind, tmp_path), SHAPE, (20, 40), (10, 20), codecs, name="a")
    array[...] = VALUES
    key = key_of(array, (1, 0))
    stored = bytearray(array.store.get(key))
    shard = read_shard(bytes(stored), (20, 40), [sharding((10, 20), codecs)])
    offset, _ = shard.entries[1, 1]
    start = offset + (shard.nested[1, 1].entries[0, 1][0] if shard.nested else 0)
    stored[start : start + 12] = b"not a stream"
    array.store.set(key, bytes(stored))
    place = "inner chunk (0, 1)" if shard.nested else "inner chunk (1, 1)"
    met, other = MEETING[what]
    for deed in _deeds(array, met):
        with pytest.raises(CorruptChunkError) as caught:
            deed()
        assert str(caught.value).count(f"; in {place}") == 1
        _is_told(caught.value, array, key, codec)
    assert bytes(array.store.get(key)) == stored
    array[:20] = VALUES[:20]
    np.testing.assert_array_equal(array[other], VALUES[other])


@MET
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_inner_chunk_is_told_where_the_array_says_so(kind: str, what: str, tmp_path: Path) -> None:
    store = make_store(kind, tmp_path)
    config = {"read_missing_chunks": False, "sharding_coalesce_max_gap_bytes": 0}
    array = sharded_array(store, SHAPE, (20, 40), (5, 10), [BYTES], name="a", config=config)
    values = VALUES.copy()
    values[35:, 30:] = -1
    array[...] = values
    met, other = MEETING[what]
    with pytest.raises(ChunkNotFoundError) as caught:
        array[met]
    assert (caught.value.array, caught.value.key) == ("a", key_of(array, (1, 0)))
    np.testing.assert_array_equal(array[other], values[other])
    np.testing.assert_array_equal(array.with_config({"read_missing_chunks": True})[met], values[met])


@settings(thoroughly, max_examples=count(1500))
@given(data=st.data(), kind=st.sampled_from(KINDS), seed=seeds())
def test_any_damage_to_objects_gives_an_error_or_data_of_the_right_shape(
    tmp_path: Path, data: st.DataObject, kind: str, seed: int
) -> None:
    store = make_store(kind, tmp_path)
    if data.draw(st.booleans()):
        array = data.draw(sharded_layouts(3)).create(store)
    else:
        array = zarrc.create_array(store, **data.draw(rectilinear()))
    if array.size == 0:
        return
    array[...] = random_values(array.shape, array.dtype.newbyteorder("="), seed)
    place = (0,) * array.ndim
    good = array.store.get(key_of(array, place))
    if good is None:
        return
    stored = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(
            st.integers(0, max(0, len(stored) - 1)) | st.integers(max(0, len(stored) - 40), len(stored))
        )
        how = data.draw(st.sampled_from(("set", "word", "cut")))
        if how == "set":
            stored[at : at + 1] = data.draw(st.binary(max_size=2))
        elif how == "word":
            number = data.draw(st.sampled_from((2**64 - 1, 2**64 - 8, 2**63, 0, 1, len(stored))))
            stored[at : at + 8] = number.to_bytes(8, "little")
        else:
            del stored[at : at + data.draw(st.integers(1, 20))]
    array.store.set(key_of(array, place), bytes(stored))
    key = data.draw(fancy_keys(array.shape) | masks(array.shape))
    along = data.draw(orthogonal_keys(array.shape))
    deeds: list[Callable[[], Any]] = [
        lambda: array[key],
        lambda: array.oindex[along],
        lambda: array.__setitem__(key, np.zeros((), array.dtype.newbyteorder("="))),
    ]
    for deed in deeds:
        try:
            deed()
        except ZarrcError as error:
            _is_of(error, array.path, key_of(array, place))
    assert array.metadata.shape == array.shape


# --- stores that fail


@MET
@pytest.mark.parametrize("grid", GRIDS)
def test_what_a_store_raises_reaches_the_caller_and_the_locks_are_free(grid: str, what: str) -> None:
    class Failing(dict[str, bytes]):
        failing = False

        def __getitem__(self, key: str) -> bytes:
            if self.failing and key == BAD[grid]:
                raise RuntimeError("boom")
            return super().__getitem__(key)

    mapping = Failing()
    array = zarrc.create_array(
        mapping, name="sea/a", shape=SHAPE, chunks=GRIDS[grid], dtype="i4", compressors=None, fill_value=-1
    )
    array[...] = VALUES
    met = MEETING[what][0]
    mapping.failing = True
    for deed in _deeds(array, met):
        with pytest.raises((RuntimeError, StoreError), match="boom"):
            deed()
    mapping.failing = False
    array[met] = VALUES[met]
    np.testing.assert_array_equal(array[...], VALUES)


def test_of_several_bad_chunks_one_is_told() -> None:
    array = _chunked("several shapes", "memory", Path())
    bad = [f"sea/a/c/{row}/{column}" for row, column in itertools.product(range(3), range(2))]
    for key in bad:
        array.store.set(key, b"not a frame")
    for deed in _deeds(array, MEETING["points"][0]):
        with pytest.raises(CorruptChunkError) as caught:
            deed()
        assert caught.value.key in bad
