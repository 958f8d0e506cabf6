"""Shards whose writing fails midway: the old one stays, no other file is left, the error says where."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from tests.engine.shards import BYTES, ZSTD, CountingStore, check_stored, sharded_array, sharding
from tests.soak import count
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.errors import ChunkNotFoundError, CodecError, StoreError

N_INNER = 64
# Large enough for several threads to be at work.
INNER = 16384
SHARD = N_INNER * INNER
KINDS = ("memory", "local", "local, append", "local, file lock", "mapping", "versions")


@dataclass(frozen=True)
class CountdownCodec(BytesBytesCodec):
    """Raises at the call that the test chose."""

    name = "tests.countdown"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        with LOCK:
            LEFT["calls"] -= 1
            if LEFT["calls"] == 0:
                raise RuntimeError("the codec broke")
        return data

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> Any:
        return data


LOCK = threading.Lock()
LEFT = {"calls": -1}
COUNTDOWN = {"name": "tests.countdown"}
register_codec(CountdownCodec)


@pytest.fixture(autouse=True)
def _no_countdown() -> Iterator[None]:
    LEFT["calls"] = -1
    yield
    LEFT["calls"] = -1


def _array(kind: str, folder: Path, inner: Any, **keywords: Any) -> Any:
    stores = {"memory": zarrc.storage.MemoryStore(), "mapping": {}, "versions": CountingStore()}
    configs = {"local, append": {"shard_update": "append"}, "local, file lock": {"locking": "file"}}
    array = sharded_array(
        stores.get(kind, str(folder / "root")),
        (2 * SHARD,),
        (SHARD,),
        (INNER,),
        inner,
        name="run/7",
        config=configs.get(kind, {}),
        **keywords,
    )
    array[...] = np.arange(1, 2 * SHARD + 1)
    return array


def _files(folder: Path) -> set[str]:
    """All files but the lock files, which stay by design."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".zc-lock")
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["inner", "inner of nested", "around"])
def test_a_codec_that_breaks_in_the_middle_leaves_the_old_shard(
    place: str, kind: str, tmp_path: Path
) -> None:
    inner = [BYTES, COUNTDOWN] if place == "inner" else [BYTES, ZSTD]
    if place == "inner of nested":
        inner = [sharding((INNER // 4,), [BYTES, COUNTDOWN])]
    array = _array(kind, tmp_path, inner, after=[COUNTDOWN] if place == "around" else [])
    values, files = array[...], _files(tmp_path)
    shards = {name for name in files if "zarr.json" not in name}
    assert shards == ({"root/run/7/c/0", "root/run/7/c/1"} if "local" in kind else set())
    for n_threads in (1, 2, 8):
        for at in (1,) if place == "around" else (1, 2, N_INNER // 2, N_INNER):
            for selection in (slice(0, SHARD), slice(3, SHARD - 3)):
                LEFT["calls"] = at
                with (
                    zarrc.config.set({"threading.max_workers": n_threads}),
                    pytest.raises(CodecError, match="the codec broke") as caught,
                ):
                    array[selection] = 0
                error = caught.value
                assert (error.array, error.key, error.codec) == ("run/7", "run/7/c/0", "tests.countdown")
                assert _files(tmp_path) == files
                np.testing.assert_array_equal(array[...], values)
    LEFT["calls"] = -1
    array[3:SHARD] = 5
    values[3:SHARD] = 5
    np.testing.assert_array_equal(array[...], values)


@pytest.mark.parametrize("kind", ["mapping", "versions"])
@pytest.mark.parametrize("fail_at", [1, 2])
def test_a_store_that_refuses_a_shard_keeps_the_old_one(kind: str, fail_at: int, tmp_path: Path) -> None:
    array = _array(kind, tmp_path, [BYTES, ZSTD])
    store = array.store
    set_, calls = type(store).set, [0]

    class Full(type(store)):  # type: ignore[misc]
        def set(self, key: str, data: Any) -> None:
            calls[0] += 1
            if calls[0] == fail_at:
                raise StoreError("No space left", key=key)
            set_(self, key, data)

    store.__class__ = Full
    values = array[...]
    with pytest.raises(StoreError, match="No space left") as caught:
        array[SHARD - 5 : SHARD + 5] = 0
    assert caught.value.key == f"run/7/c/{fail_at - 1}"
    assert caught.value.array == "run/7"
    found = array[...]
    np.testing.assert_array_equal(found[SHARD:], values[SHARD:])
    assert (found[SHARD - 5 : SHARD] == (values[SHARD - 5 : SHARD] if fail_at == 1 else 0)).all()


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
@pytest.mark.parametrize("what", ["whole", "part", "append", "wrapped", "start"])
def test_a_full_disk_leaves_the_old_shard_and_no_other_file(what: str, tmp_path: Path) -> None:
    report = run_module("tests.engine.programs.shard_full_disk", what, str(tmp_path))
    assert "StoreError" in report
    assert "key 'a/c/0'" in report
    assert "File too large" in report


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_keeps_the_old_shard(tmp_path: Path) -> None:
    array = _array("local", tmp_path, [BYTES, ZSTD])
    values, files = array[...], _files(tmp_path)
    folder = tmp_path / "root/run/7/c"
    folder.chmod(0o555)
    try:
        for selection in (slice(0, SHARD), slice(5, 7)):
            with pytest.raises(StoreError, match="Permission denied") as caught:
                array[selection] = 0
            assert (caught.value.array, caught.value.key) == ("run/7", "run/7/c/0")
        np.testing.assert_array_equal(array[...], values)
    finally:
        folder.chmod(0o755)
    assert _files(tmp_path) == files


@pytest.mark.parametrize("config", [{}, {"shard_update": "append"}, {"locking": "file"}], ids=repr)
def test_a_file_in_the_place_of_the_shards_folder_is_an_error_of_the_write(
    config: dict[str, Any], tmp_path: Path
) -> None:
    array = sharded_array(str(tmp_path), (64,), (8,), (2,), config=config)
    (tmp_path / "c").write_bytes(b"")
    for selection in (slice(0, 8), slice(1, 3), ...):
        with pytest.raises(StoreError, match=r"Not a directory|File exists|is a file") as caught:
            array[selection] = 1
        assert caught.value.key is not None
        assert caught.value.key.startswith("c/")
    assert _files(tmp_path) == {"zarr.json", "c"}


def test_missing_inner_chunks_are_errors_where_the_array_says_so(tmp_path: Path) -> None:
    for kind in KINDS:
        array = _array(kind, tmp_path / kind, [BYTES, ZSTD])
        strict = array.with_config({"read_missing_chunks": False})
        assert strict[...].size == 2 * SHARD
        array[3 * INNER : 4 * INNER] = -1
        for selection in (..., slice(3 * INNER, 3 * INNER + 1), slice(None, None, -7)):
            with pytest.raises(ChunkNotFoundError) as caught:
                strict[selection]
            assert (caught.value.array, caught.value.key) == ("run/7", "run/7/c/0")
        assert strict[4 * INNER] == 4 * INNER + 1
        array.store.delete("run/7/c/1")
        with pytest.raises(ChunkNotFoundError) as caught:
            strict[SHARD]
        assert caught.value.key == "run/7/c/1"
        assert (array[SHARD:] == -1).all()


def test_an_error_in_one_of_many_small_shards_names_it(tmp_path: Path) -> None:
    for store in (zarrc.storage.MemoryStore(), str(tmp_path), {}):
        array = sharded_array(store, (1600,), (8,), (2,), [BYTES, COUNTDOWN])
        array[...] = 1
        for number in range(count(30)):
            LEFT["calls"] = 4 * 37 + 1 + number
            with pytest.raises(CodecError, match="the codec broke") as caught:
                array[...] = 2
            failed = int(caught.value.key.split("/")[-1])
            found = array[...].reshape(-1, 8)
            assert (found == found[:, :1]).all()
            assert found[failed, 0] == 1
            LEFT["calls"] = -1
            array[...] = 1
        check_stored_but_for_the_codec(array)


def check_stored_but_for_the_codec(array: Any) -> None:
    """The codec of the tests changes nothing, so that all is where it would be without it."""
    check_stored(array, np.ones(array.shape, "i4"))
