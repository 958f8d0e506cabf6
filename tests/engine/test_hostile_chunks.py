"""Bytes from a store are hostile: a chunk that lies is an error that says where, never a crash."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.children import run_module
from tests.engine.hostile import (
    CODECS,
    KEY,
    N_ELEMENTS,
    PATH,
    VALUES,
    BadChunk,
    bad_chunks,
    bombs,
    make_array,
    spoil,
)
from tests.soak import count
from zarrc.errors import CodecError, CorruptChunkError, StoreError

ALLOWED_GROWTH_KIB = 24 * 1024


@pytest.mark.parametrize("bad", list(bad_chunks()), ids=str)
def test_a_chunk_that_lies_is_an_error_that_names_array_key_and_codec(bad: BadChunk) -> None:
    array = make_array(bad.codecs)
    spoil(array, bad)
    with pytest.raises(CodecError) as caught:
        array[...]
    error = caught.value
    # What a later Blosc may mean by its header is not corrupt, but not readable here either.
    assert isinstance(error, CorruptChunkError) or "cannot be decoded here" in str(error)
    assert error.array == PATH
    assert error.key == KEY
    assert error.codec is not None
    assert error.codec.removeprefix("numcodecs.") == bad.blamed
    for word in (error.array, error.key, error.codec):
        assert word in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("codecs", CODECS)
def test_after_a_bad_chunk_the_array_still_works(codecs: str) -> None:
    array = make_array(codecs)
    good = bytes(array.store.get(KEY))
    array.store.set(KEY, good[:-2])
    for _ in range(3):
        with pytest.raises(CorruptChunkError):
            array[...]
    array.store.set(KEY, good)
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize("codecs", CODECS)
def test_a_bad_chunk_is_not_overwritten_in_part(codecs: str) -> None:
    array = make_array(codecs)
    bad = bytes(array.store.get(KEY))[:-2]
    array.store.set(KEY, bad)
    with pytest.raises(CorruptChunkError):
        array[3:5] = 7
    assert bytes(array.store.get(KEY)) == bad
    array[...] = VALUES
    np.testing.assert_array_equal(array[...], VALUES)


def test_the_error_names_the_chunk_among_good_ones() -> None:
    array = zarrc.create_array({}, name=PATH, shape=(1000,), chunks=(1,), dtype="f8")
    array[...] = 1.5
    array.store.set(f"{PATH}/c/731", b"not a frame")
    with pytest.raises(CorruptChunkError) as caught:
        array[...]
    assert caught.value.key == f"{PATH}/c/731"
    assert array[730] == 1.5


@settings(max_examples=count(2000))
@given(data=st.data(), codecs=st.sampled_from(sorted(CODECS)))
def test_any_damage_gives_an_error_or_values_of_the_right_shape(data: st.DataObject, codecs: str) -> None:
    array = make_array(codecs)
    array.store.set(KEY, data.draw(_damaged(bytes(array.store.get(KEY)))))
    try:
        found = array[...]
    except CodecError:
        return
    assert found.shape == (N_ELEMENTS,)
    assert found.dtype == np.int32


@st.composite
def _damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A chunk with bytes changed, cut away and put in."""
    chunk = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, max(0, len(chunk) - 1)))
        kind = draw(st.sampled_from(("set", "set", "cut", "insert")))
        if kind == "set" and chunk:
            chunk[position] = draw(st.integers(0, 255))
        elif kind == "cut":
            del chunk[position : position + draw(st.integers(1, 20))]
        else:
            chunk[position:position] = draw(st.binary(max_size=20))
    return bytes(chunk)


@pytest.mark.parametrize("codecs", ["bytes", "lz4"])
def test_damage_that_the_format_cannot_tell_gives_the_right_size(codecs: str) -> None:
    array = make_array(codecs)
    chunk = bytearray(array.store.get(KEY))
    chunk[12] ^= 0xFF
    array.store.set(KEY, bytes(chunk))
    try:
        found = array[...]
    except CorruptChunkError:
        assert codecs == "lz4"
    else:
        assert found.shape == VALUES.shape
        assert not np.array_equal(found, VALUES)


def test_bombs_are_refused_without_allocating() -> None:
    report = json.loads(run_module("tests.engine.programs.bombs"))
    assert report["refused"] == len(list(bombs()))
    if "LD_PRELOAD" not in os.environ:  # sanitizers have memory of their own
        assert report["growth_kib"] < ALLOWED_GROWTH_KIB, report


@pytest.fixture
def local(tmp_path: Path) -> tuple[Any, Path]:
    """An array in a folder, and the path of its chunk."""
    array = make_array("zstd", str(tmp_path / "store"))
    return array, tmp_path / "store" / KEY


def test_a_folder_in_the_place_of_a_chunk_is_no_chunk(local: tuple[Any, Path]) -> None:
    array, path = local
    path.unlink()
    path.mkdir()
    assert (array[...] == -1).all()


def test_a_fifo_in_the_place_of_a_chunk_is_an_error_and_does_not_block(local: tuple[Any, Path]) -> None:
    array, path = local
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="not a regular file") as caught:
        array[...]
    assert caught.value.key == KEY
    assert caught.value.array == PATH


def test_symbolic_links_in_a_circle_are_an_error(local: tuple[Any, Path]) -> None:
    array, path = local
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(StoreError, match="symbolic link") as caught:
        array[...]
    assert caught.value.key == KEY
    assert KEY in str(caught.value)


def test_a_symbolic_link_to_a_chunk_is_followed(local: tuple[Any, Path], tmp_path: Path) -> None:
    array, path = local
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    np.testing.assert_array_equal(array[...], VALUES)


@pytest.mark.parametrize("codecs", ["bytes", "zstd"])
def test_a_local_chunk_that_lies_is_an_error_too(codecs: str, tmp_path: Path) -> None:
    array = make_array(codecs, str(tmp_path))
    chunk = tmp_path / KEY
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(CorruptChunkError) as caught:
        array[...]
    assert (caught.value.key, caught.value.array) == (KEY, PATH)
    with pytest.raises(CorruptChunkError):
        array[5]
