"""Copies that fail: damaged chunks are not passed on, and errors name the array and the key."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.storage.four_methods import FourMethods
from tests.tools.places import PLACES, new_store, stored_chunks
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.errors import CodecError, CorruptChunkError, MetadataError, NodeNotFoundError, StoreError


@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("codecs", "damage", "verify", "codec"),
    [
        (["bytes"], lambda data: data[:-1], False, None),
        (["bytes"], lambda data: data + b"\0", False, None),
        (["bytes"], lambda data: b"", False, None),
        (["bytes", "crc32c"], lambda data: data[:-1], False, None),
        (["bytes", "zstd"], lambda data: data + bytes(10_000_000), False, None),
        (["bytes", "zstd"], lambda data: b"", False, None),
        (["bytes", "zstd"], lambda data: data[:-1], True, "zstd"),
        (["bytes", "crc32c"], lambda data: data[:-1] + b"?", True, "crc32c"),
        (["bytes", {"name": "gzip", "configuration": {"level": 1}}], lambda data: data[:9], True, "gzip"),
    ],
)
def test_a_damaged_chunk_is_not_passed_on(
    codecs: list[Any],
    damage: Callable[[bytes], bytes],
    verify: bool,
    codec: str | None,
    place: str,
    target: str,
    tmp_path: Path,
) -> None:
    source: Any = zarrc.create_array(
        new_store(place, tmp_path / "s"), name="run/s", shape=(60,), chunks=(3,), dtype="i4", codecs=codecs
    )
    source[...] = np.arange(60)
    copied: Any = zarrc.copy_array(source, new_store(target, tmp_path / "t"), name="t")
    copied[...] = -1
    before = stored_chunks(copied)
    source.store.set("run/s/c/7", damage(bytes(source.store.get("run/s/c/7"))))
    with pytest.raises(CorruptChunkError) as caught:
        zarrc.copy_array(source, copied, verify=verify)
    assert (caught.value.array, caught.value.key) == ("run/s", "run/s/c/7")
    assert caught.value.codec == codec
    found = stored_chunks(copied)
    assert found["(7,)"] == before["(7,)"]
    assert all(found[key] in (before[key], stored_chunks(source)[key]) for key in found)
    with pytest.raises(CorruptChunkError):
        zarrc.copy_array(source, copied.store, name="u", verify=verify)
    assert not list(copied.store.list_prefix("u"))


@dataclass(frozen=True)
class _FlipCodec(BytesBytesCodec):
    """Refuses what starts with a zero byte."""

    name = "tests.copying.flip"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return b"\xff" + bytes(np.frombuffer(data, "u1") ^ 0x55)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        if bytes(data[:1]) != b"\xff":
            raise CorruptChunkError("does not start right")
        return bytes(np.frombuffer(data, "u1")[1:] ^ 0x55)


@pytest.mark.parametrize("places", [(a, b) for a in PLACES[:3] for b in PLACES[:3]], ids="-".join)
def test_a_codec_in_python_passes_through_and_is_verified(places: tuple[str, str], tmp_path: Path) -> None:
    register_codec(_FlipCodec)
    codecs = ["bytes", _FlipCodec()]
    source: Any = zarrc.create_array(
        new_store(places[0], tmp_path / "s"), shape=(60,), chunks=(3,), dtype="i4", codecs=codecs
    )
    source[:30] = np.arange(1, 31)
    target = new_store(places[1], tmp_path / "t")
    for verify in (False, True):
        made: Any = zarrc.copy_array(source, target, name=f"{verify}", verify=verify)
        assert stored_chunks(made) == stored_chunks(source)
        np.testing.assert_array_equal(made[...], source[...])
    source.store.set("c/4", bytes(13))
    with pytest.raises(CorruptChunkError, match="start right") as caught:
        zarrc.copy_array(source, made, verify=True)
    error = caught.value
    assert (error.array, error.key, error.codec) == ("", "c/4", "tests.copying.flip")


def test_a_codec_that_is_not_known_and_may_be_skipped_passes_through(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "s", shape=(60,), chunks=(3,), dtype="i4", codecs=["bytes"])[...] = 5
    document = json.loads((tmp_path / "s/zarr.json").read_text())
    document["codecs"].append({"name": "https://example.org/odd", "must_understand": False})
    (tmp_path / "s/zarr.json").write_text(json.dumps(document))
    (tmp_path / "s/c/3").write_bytes(bytes(999))
    made = zarrc.copy_array(tmp_path / "s", tmp_path / "t")
    assert made.metadata == zarrc.open_array(tmp_path / "s").metadata
    assert (tmp_path / "t/c/3").read_bytes() == bytes(999)
    with pytest.raises(CodecError, match="cannot be verified"):
        zarrc.copy_array(tmp_path / "s", verify=True)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux shows the open files")
def test_copies_that_fail_leave_no_file_open(tmp_path: Path) -> None:
    source: Any = zarrc.create_array(tmp_path / "s", shape=(400,), chunks=(1,), dtype="i4", codecs=["bytes"])
    source[...] = 1
    made: Any = zarrc.copy_array(source, tmp_path / "t")
    (tmp_path / "s/c/399").write_bytes(b"")
    before = len(os.listdir("/proc/self/fd"))
    for target in (made, zarrc.copy_array(made)):
        for verify in (False, True):
            with pytest.raises(CorruptChunkError):
                zarrc.copy_array(source, target, verify=verify)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_chunk_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    source: Any = zarrc.create_array(tmp_path / "s", shape=(100,), chunks=(2,), dtype="i4")
    source[...] = 1
    (tmp_path / "s/c/3").unlink()
    os.mkfifo(tmp_path / "s/c/3")
    with pytest.raises(StoreError, match="not a regular file") as caught:
        zarrc.copy_array(source)
    assert (caught.value.array, caught.value.key) == ("", "c/3")


def test_a_directory_in_the_way_names_the_destination(tmp_path: Path) -> None:
    source: Any = zarrc.array(np.arange(100), chunks=2)
    made: Any = zarrc.copy_array(source, tmp_path / "t", name="x")
    (tmp_path / "t/x/c/3").unlink()
    (tmp_path / "t/x/c/3/4").mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        zarrc.copy_array(source, made)
    assert (caught.value.array, caught.value.key) == ("x", "x/c/3")


@pytest.mark.parametrize("gone", ["source", "destination"])
@pytest.mark.parametrize("place", ["local", "memory"])
def test_an_array_that_is_gone_is_an_error(gone: str, place: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(
        new_store(place, tmp_path / "s"), name="a", shape=(9,), chunks=(2,), dtype="i4"
    )
    source[...] = 1
    made = zarrc.copy_array(source, new_store(place, tmp_path / "t"), name="b")
    node = source if gone == "source" else made
    node.store.delete_prefix(node.path)
    with pytest.raises(NodeNotFoundError) as caught:
        zarrc.copy_array(source, made)
    assert caught.value.array == node.path
    assert not list(node.store.list_prefix(node.path))


@pytest.mark.parametrize("gone", ["source", "destination"])
def test_an_array_that_was_made_again_otherwise_is_an_error(gone: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(tmp_path / "s", shape=(9,), chunks=(2,), dtype="i4")
    made = zarrc.copy_array(source, tmp_path / "t")
    node = source if gone == "source" else made
    zarrc.create_array(node.store, shape=(9,), chunks=(3,), dtype="i4", overwrite=True)
    with pytest.raises(MetadataError, match="made again"):
        zarrc.copy_array(source, made)


class Failing(FourMethods):
    """Fails at the k-th write or read of a chunk."""

    def __init__(self) -> None:
        super().__init__({})
        self.left = 1 << 30

    def _count(self, key: str) -> None:
        if "c/" in key:
            self.left -= 1
            if self.left < 0:
                raise StoreError("no more", key=key)

    def get(self, key: str, range: Any = None) -> Any:
        self._count(key)
        return super().get(key, range)

    def set(self, key: str, data: Any) -> None:
        self._count(key)
        super().set(key, data)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("left", [0, 1, 70])
def test_a_store_that_fails_is_named(place: str, left: int, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(new_store(place, tmp_path / "s"), shape=(100,), chunks=(1,), dtype="i4")
    source[...] = np.arange(1, 101)
    failing = Failing()
    made: Any = zarrc.copy_array(source, failing, name="a")
    made[...] = -1
    failing.left = left
    with pytest.raises(StoreError, match="no more") as caught:
        zarrc.copy_array(source, made)
    assert caught.value.array == "a"
    assert caught.value.key in failing.objects
    failing.left = left
    with pytest.raises(StoreError) as caught:
        zarrc.copy_array(made, zarrc.copy_array(source, zarrc.storage.MemoryStore(), name="t"))
    assert caught.value.array == "a"
    failing.left = left
    with pytest.raises(StoreError):
        zarrc.copy_array(source, failing, name="b")
    assert not [key for key in failing.objects if key.startswith("b")]
    failing.left = 1 << 30
    assert set(made[...].tolist()) <= {-1, *range(1, 101)}
