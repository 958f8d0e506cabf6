"""`copy_array`: what passes through is what reading and writing would give."""

from __future__ import annotations

import json
import os
import resource
import shutil
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from tests.storage.four_methods import FourMethods
from tests.strategies import Layout, basic_selections, layouts, random_values, seeds
from zarrc.codecs import register_codec
from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.errors import (
    ArrayNotFoundError,
    CodecError,
    ContainsArrayError,
    ContainsGroupError,
    CorruptChunkError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreError,
)
from zarrc.tools.copying import same_objects

PLACES = ("local", "memory", "python", "mapping")


def _store(kind: str, folder: Path) -> Any:
    stores: dict[str, Callable[[], Any]] = {
        "local": lambda: zarrc.storage.LocalStore(str(folder)),
        "memory": zarrc.storage.MemoryStore,
        "python": lambda: FourMethods({}),
        "mapping": dict,
    }
    return stores[kind]()


def _objects(array: Any) -> dict[str, bytes]:
    """The stored chunks of an array, by their coordinates."""
    encoding = array.metadata.chunk_key_encoding
    skipped = len(array.path) + 1 if array.path else 0
    found = {}
    for key in array.store.list_prefix(array.path):
        coordinates = encoding.decode(key[skipped:])
        if coordinates is not None:
            found[str(coordinates)] = bytes(array.store.get(key))
    return found


def _decoded_copy(source: Any) -> Any:
    """The general way: read all, and write all."""
    target = zarrc.create_array(shape=source.shape, chunks=source.chunks, dtype=source.dtype)
    target[...] = source[...]
    return target[...]


def _same(found: Any, expected: Any) -> None:
    assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    assert found.astype(expected.dtype).tobytes() == expected.tobytes()


@given(
    layout=layouts(max_ndim=4),
    data=st.data(),
    seed=seeds(),
    source_place=st.sampled_from(PLACES),
    target_place=st.sampled_from(PLACES),
    verify=st.booleans(),
    path=st.sampled_from(("", "a", "a/b")),
)
def test_what_passes_through_is_what_decoding_and_encoding_gives(
    tmp_path_factory: pytest.TempPathFactory,
    layout: Layout,
    data: st.DataObject,
    seed: int,
    source_place: str,
    target_place: str,
    verify: bool,
    path: str,
) -> None:
    folder = tmp_path_factory.mktemp("copy")
    source: Any = zarrc.create_array(_store(source_place, folder / "s"), name="x/y", **layout.arguments())
    for number in range(data.draw(st.integers(0, 2))):
        selection = data.draw(basic_selections(layout.shape))
        values = random_values(
            np.empty(layout.shape, "u1")[selection].shape, layout.dtype_name, seed + number
        )
        source[selection] = values
    expected = _decoded_copy(source)
    store = _store(target_place, folder / "t")
    made: Any = zarrc.copy_array(source, store, name=path, verify=verify)
    _same(made[...], expected)
    assert made.metadata == source.metadata
    assert _objects(made) == _objects(source)
    # Into an array that holds other data.
    made[...] = random_values(layout.shape, layout.dtype_name, seed + 7)
    assert zarrc.copy_array(source, made, verify=verify) is made
    _same(made[...], expected)
    assert _objects(made) == _objects(source)
    # And as another format.
    other: Literal[2, 3] = 2 if layout.zarr_format == 3 else 3
    elsewhere = _store(target_place, folder / "u")
    try:
        third: Any = zarrc.copy_array(source, elsewhere, name=path, zarr_format=other)
    except MetadataError as error:
        if "zarr_format 2" not in str(error):  # which has no such codec, or not so many
            raise
        return
    assert third.metadata.zarr_format == other
    _same(third[...], expected)
    shutil.rmtree(folder)


@pytest.mark.parametrize("chain", ["raw", "zstd", "transposed", "transposed zstd", "blosc"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", ["i1", "u2", "f8"])
def test_from_version_2_to_3_and_back_the_chunks_pass_through(
    chain: str, endian: Literal["little", "big"], dtype: str
) -> None:
    layout = Layout(2, np.dtype(dtype).name, endian, chain, (20, 30), (7, 30))
    source: Any = zarrc.create_array(**layout.arguments(), fill_value=3)
    source[:10] = np.arange(300).reshape(10, 30) % 100
    made: Any = zarrc.copy_array(source, zarr_format=3)
    assert same_objects(source.metadata, made.metadata)
    assert _objects(made) == _objects(source)
    _same(made[...], source[...])
    back: Any = zarrc.copy_array(made, zarr_format=2)
    assert same_objects(source.metadata, back.metadata)
    assert _objects(back) == _objects(source)
    assert back.dtype == source.dtype
    assert back.order == source.order


@pytest.mark.parametrize("encoding", [("default", "/"), ("default", "."), ("v2", "/"), ("v2", ".")])
@pytest.mark.parametrize("place", PLACES)
def test_keys_may_differ(place: str, encoding: tuple[str, str], tmp_path: Path) -> None:
    source: Any = zarrc.array(np.arange(300).reshape(10, 30), chunks=(2, 7))
    name, separator = encoding
    target: Any = zarrc.create_array(
        _store(place, tmp_path / "t"),
        shape=(10, 30),
        chunks=(2, 7),
        dtype="int64",
        chunk_key_encoding={"name": name, "separator": separator},
    )
    target[...] = 1
    source[0:2, :7] = 0
    zarrc.copy_array(source, target)
    assert _objects(target) == _objects(source)
    assert len(_objects(target)) == 24
    back: Any = zarrc.copy_array(target, tmp_path / "back")
    np.testing.assert_array_equal(back[...], source[...])


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": (3, 5)},
        {"dtype": "f8"},
        {"fill_value": 9},
        {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
        {"codecs": ["bytes", {"name": "zstd", "configuration": {"level": 1}}]},
        {"zarr_format": 2, "order": "F"},
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [20, 300])
def test_another_layout_gets_the_same_data(changes: dict[str, Any], n: int) -> None:
    source: Any = zarrc.create_array(shape=(n, 20), chunks=(4, 4), dtype="i4", codecs=["bytes"])
    source[5:9, 3:11] = np.arange(32).reshape(4, 8)
    target: Any = zarrc.create_array(**{"shape": (n, 20), "chunks": (4, 4), "dtype": "i4", **changes})
    target[...] = 5
    assert not same_objects(source.metadata, target.metadata)
    seen: list[tuple[int, int]] = []
    zarrc.copy_array(source, target, progress=lambda *state: seen.append(state))
    np.testing.assert_array_equal(target[...], source[...])
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)


@pytest.mark.parametrize("places", [(a, b) for a in PLACES[:3] for b in PLACES[:3]], ids="-".join)
def test_few_chunks_of_a_huge_grid_are_found_at_once(places: tuple[str, str], tmp_path: Path) -> None:
    shape = (2**62, 2**40, 1000)
    source: Any = zarrc.create_array(
        _store(places[0], tmp_path / "s"), shape=shape, chunks=(1, 1, 10), dtype="i2"
    )
    rows = [0, 1, 2**62 - 1]
    for row in rows:
        source[row, 2**40 - 1, 5:20] = row % 1000 + 1
    made: Any = zarrc.copy_array(source, _store(places[1], tmp_path / "t"))
    assert len(_objects(made)) == 6
    made[7, 7, 7] = 7
    zarrc.copy_array(source, made)
    assert _objects(made) == _objects(source)
    other: Any = zarrc.create_array(shape=shape, chunks=(2, 3, 7), dtype="i2")
    other[7, 7, 7] = 7
    zarrc.copy_array(source, other)
    assert other[7, 7, 7] == 0
    for row in rows:
        np.testing.assert_array_equal(other[row, 2**40 - 1], source[row, 2**40 - 1])
    # Each region is a chunk of the source grown to whole chunks of the target.
    assert len(_objects(other)) == 6


def test_empty_and_0d_arrays_are_copied(tmp_path: Path) -> None:
    for place in PLACES:
        for zarr_format in (2, 3):
            nothing: Any = zarrc.create_array(
                shape=(0, 5), chunks=(3, 3), dtype="i4", zarr_format=zarr_format
            )
            store = _store(place, tmp_path / f"{place}{zarr_format}")
            assert zarrc.copy_array(nothing, store, name="empty").shape == (0, 5)
            point: Any = zarrc.create_array(shape=(), dtype="i4", zarr_format=zarr_format)
            made: Any = zarrc.copy_array(point, store, name="point")
            assert _objects(made) == {}
            point[...] = 5
            zarrc.copy_array(point, made)
            assert made[()] == 5
            zarrc.copy_array(zarrc.copy_array(zarrc.create_array(shape=(), dtype="i4")), point)
            assert point[()] == 0


def test_everything_that_metadata_say_is_copied(tmp_path: Path) -> None:
    source = zarrc.create_array(
        tmp_path / "s",
        shape=(4, 6),
        chunks=(2, 3),
        dtype="f4",
        fill_value=np.nan,
        dimension_names=["y", None],
        attributes={"a": [1, {"b": None}]},
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    for made in (zarrc.copy_array(source), zarrc.copy_array(tmp_path / "s", tmp_path / "t")):
        assert made.metadata == source.metadata
        made.attrs["more"] = 1
        assert "more" not in source.attrs
    group = zarrc.create_group({}, zarr_format=2)
    assert zarrc.copy_array(source, group, name="x/y").metadata.zarr_format == 2
    assert group["x/y"].attrs["a"] == [1, {"b": None}]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_attributes_that_are_not_json_become_strings(zarr_format: Literal[2, 3], tmp_path: Path) -> None:
    zarrc.create_array(tmp_path, shape=(4,), dtype="i4", attributes={"a": 12345})
    document = (tmp_path / "zarr.json").read_text()
    (tmp_path / "zarr.json").write_text(document.replace("12345", "NaN"))
    with pytest.warns(zarrc.errors.ZarrcWarning, match="NaN"):
        made = zarrc.copy_array(tmp_path, zarr_format=zarr_format)
    assert dict(made.attrs) == {"a": "NaN"}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_copy_has_attributes_of_its_own(zarr_format: Literal[2, 3]) -> None:
    source: Any = zarrc.create_array(shape=(3,), dtype="i4", attributes={"a": [1, {"b": [2]}]})
    made: Any = zarrc.copy_array(source, zarr_format=zarr_format)
    made.metadata.attributes["a"][1]["b"].append(3)
    made.attrs["new"] = 4
    assert source.metadata.attributes == dict(source.attrs) == {"a": [1, {"b": [2]}]}


def test_a_copy_in_memory_is_another_array() -> None:
    source: Any = zarrc.array(np.arange(100), chunks=10)
    before = source.store.stat("c/3")
    first: Any = zarrc.copy_array(source)
    second: Any = zarrc.copy_array(first)
    assert source.store.stat("c/3") == before
    assert len({array.store.stat("c/3").version for array in (source, first, second)}) == 3
    source[...] = 1
    np.testing.assert_array_equal(first[...], np.arange(100))
    del source, first
    np.testing.assert_array_equal(second[...], np.arange(100))


def test_memory_to_memory_takes_no_memory() -> None:
    source: Any = zarrc.create_array(shape=(64 << 20,), chunks=(8 << 20,), dtype="u1", codecs=["bytes"])
    source[...] = 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    copies = [zarrc.copy_array(source) for _ in range(20)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
    assert copies[-1].nchunks_initialized == 8


def test_streaming_and_groups_of_objects_are_bounded_in_memory() -> None:
    class Forgetful(FourMethods):
        """Keeps metadata only."""

        def set(self, key: str, data: Any) -> None:
            super().set(key, data if key.endswith("json") else b"")

    source: Any = zarrc.create_array(
        FourMethods({}), shape=(400 << 20,), chunks=(1 << 20,), dtype="u1", codecs=["bytes"]
    )
    one = bytes(1 << 20)
    source.store.objects.update({f"c/{i}": one for i in range(400)})
    for keywords in ({}, {"verify": True}):
        tracemalloc.start()
        zarrc.copy_array(source, Forgetful({}), **keywords)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 140 << 20


# --- what is refused


@pytest.mark.parametrize("place", PLACES)
def test_the_source_itself_is_refused(place: str, tmp_path: Path) -> None:
    store = _store(place, tmp_path / "s")
    source: Any = zarrc.create_array(store, name="g/a", shape=(9,), chunks=(2,), dtype="i4")
    source[...] = 1
    with pytest.raises(ValueError, match="is the source itself"):
        zarrc.copy_array(source, zarrc.open_array(store, path="g/a"))
    for name in ("g/a", "g"):
        with pytest.raises(ValueError, match="is the source itself"):
            zarrc.copy_array(source, store, name=name, overwrite=True)
    if place == "local":
        (tmp_path / "link").symlink_to(tmp_path / "s" / "g" / "a")
        with pytest.raises(ValueError, match="is the source itself"):
            zarrc.copy_array(source, zarrc.open_array(tmp_path / "link"))
    assert (source[...] == 1).all()


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_holds_the_source_is_refused(place: str, tmp_path: Path) -> None:
    # A group that was never created is no node: nothing else stands in the way.
    store = _store(place, tmp_path / "s")
    source: Any = zarrc.create_array(store, name="g/a", shape=(9,), chunks=(2,), dtype="i4")
    source[...] = 1
    for path in ("", "g/"):
        source.store.delete(f"{path}zarr.json")
    with pytest.raises(ValueError, match="is the source itself, or holds it"):
        zarrc.copy_array(source, store, name="g")
    with pytest.raises(ValueError, match="is the source itself, or holds it"):
        zarrc.copy_array(source, store)
    if place == "local":
        with pytest.raises(ValueError, match="holds the source"):
            zarrc.copy_array(tmp_path / "s" / "g" / "a", tmp_path / "s")
    assert (source[...] == 1).all()


@pytest.mark.parametrize("place", PLACES)
def test_a_read_only_destination_is_refused(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.array(np.arange(9), chunks=2)
    store = _store(place, tmp_path / "t")
    made: Any = zarrc.copy_array(source, store, name="a")
    made[...] = 1
    with pytest.raises(ReadOnlyError, match="array 'a'"):
        zarrc.copy_array(source, zarrc.open_array(store, path="a", mode="r"))
    with pytest.raises(ReadOnlyError):
        zarrc.copy_array(
            source, zarrc.open_group(zarrc.create_group(store, path="g").store, mode="r"), name="b"
        )
    with pytest.raises(ReadOnlyError):
        zarrc.copy_array(source, made.store.with_read_only(), name="b")
    assert (made[...] == 1).all()
    assert not [key for key in made.store.list_prefix("") if "b" in key]


def test_what_makes_no_copy_is_said(tmp_path: Path) -> None:
    source = zarrc.array(np.arange(9), chunks=2)
    with pytest.raises(ValueError, match=r"the shapes differ: .*\(9,\).*\(8,\)"):
        zarrc.copy_array(source, zarrc.create_array(shape=(8,), dtype="i8"))
    with pytest.raises(TypeError, match="overwrite="):
        zarrc.copy_array(source, zarrc.copy_array(source), overwrite=True)
    with pytest.raises(TypeError, match="needs name="):
        zarrc.copy_array(source, zarrc.create_group({}))
    with pytest.raises(TypeError, match="copies one array"):
        zarrc.copy_array(zarrc.create_group(), tmp_path / "none")
    with pytest.raises(TypeError, match="needs to know what to copy"):
        zarrc.copy_array(None, tmp_path / "none")
    with pytest.raises(ArrayNotFoundError, match="not an array, is stored at"):
        zarrc.copy_array(zarrc.create_group().store)
    with pytest.raises(ArrayNotFoundError, match=r"no Zarr array at (?!.*shape=)"):
        zarrc.copy_array({}, {})
    with pytest.raises(TypeError, match=r"numpy\.ndarray; zarrc\.from_array"):
        zarrc.copy_array(np.arange(3), {})
    taken: dict[str, Any] = {}
    zarrc.copy_array(source, taken)
    with pytest.raises(ContainsArrayError):
        zarrc.copy_array(source, taken)
    with pytest.raises(ContainsArrayError):
        zarrc.copy_array(source, taken, name="below")
    group = zarrc.create_group({})
    group.create_group("g")
    with pytest.raises(ContainsGroupError):
        zarrc.copy_array(source, group, name="g")
    zarrc.copy_array(source, taken, overwrite=True)


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
        _store(place, tmp_path / "s"), name="run/s", shape=(60,), chunks=(3,), dtype="i4", codecs=codecs
    )
    source[...] = np.arange(60)
    copied: Any = zarrc.copy_array(source, _store(target, tmp_path / "t"), name="t")
    copied[...] = -1
    before = _objects(copied)
    source.store.set("run/s/c/7", damage(bytes(source.store.get("run/s/c/7"))))
    with pytest.raises(CorruptChunkError) as caught:
        zarrc.copy_array(source, copied, verify=verify)
    assert (caught.value.array, caught.value.key) == ("run/s", "run/s/c/7")
    assert caught.value.codec == codec
    found = _objects(copied)
    assert found["(7,)"] == before["(7,)"]
    assert all(found[key] in (before[key], _objects(source)[key]) for key in found)
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
        _store(places[0], tmp_path / "s"), shape=(60,), chunks=(3,), dtype="i4", codecs=codecs
    )
    source[:30] = np.arange(1, 31)
    target = _store(places[1], tmp_path / "t")
    for verify in (False, True):
        made: Any = zarrc.copy_array(source, target, name=f"{verify}", verify=verify)
        assert _objects(made) == _objects(source)
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
        _store(place, tmp_path / "s"), name="a", shape=(9,), chunks=(2,), dtype="i4"
    )
    source[...] = 1
    made = zarrc.copy_array(source, _store(place, tmp_path / "t"), name="b")
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


def test_what_was_left_behind_does_not_show_in_a_new_copy(tmp_path: Path) -> None:
    source: Any = zarrc.create_array(shape=(100,), chunks=(2,), dtype="i4")
    source[:50] = 1
    for place in ("local", "memory"):
        store = _store(place, tmp_path / place)
        made: Any = zarrc.create_array(store, name="a", shape=(100,), chunks=(2,), dtype="i4")
        made[...] = 2
        made.store.delete("a/zarr.json")
        copied: Any = zarrc.copy_array(source, store, name="a")
        np.testing.assert_array_equal(copied[...], source[...])


# --- stores that fail, and others at work


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
    source: Any = zarrc.create_array(_store(place, tmp_path / "s"), shape=(100,), chunks=(1,), dtype="i4")
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


def test_a_store_that_lists_nothing_is_tried_chunk_by_chunk() -> None:
    class Web(FourMethods):
        """As a server without an index."""

        def list_prefix(self, prefix: str) -> Any:
            return iter(())

    source: Any = zarrc.create_array(Web({}), shape=(300, 5), chunks=(1, 5), dtype="i4")
    source[100:110] = 1
    made: Any = zarrc.copy_array(source)
    np.testing.assert_array_equal(made[...], source[...])
    assert made.nchunks_initialized == 10
    # With other chunks the data are read and written; where they are does not come from that listing either.
    other = zarrc.create_array(shape=(300, 5), chunks=(7, 5), dtype="i4")
    zarrc.copy_array(source, other)
    np.testing.assert_array_equal(other[...], source[...])


def test_one_listing_and_one_read_of_each_object(tmp_path: Path) -> None:
    calls: dict[str, int] = {}

    class Counting(FourMethods):
        def get(self, key: str, range: Any = None) -> Any:
            calls["get"] = calls.get("get", 0) + 1
            return super().get(key, range)

        def set(self, key: str, data: Any) -> None:
            calls["set"] = calls.get("set", 0) + 1
            super().set(key, data)

        def list_prefix(self, prefix: str) -> Any:
            calls["list"] = calls.get("list", 0) + 1
            return super().list_prefix(prefix)

        def delete(self, key: str) -> None:
            calls["delete"] = calls.get("delete", 0) + 1
            super().delete(key)

    source: Any = zarrc.create_array(Counting({}), shape=(1000,), chunks=(1,), dtype="i4")
    source[:100] = 1
    calls.clear()
    zarrc.copy_array(source, tmp_path / "t")
    assert calls == {"list": 1, "get": 101}  # and the metadata, to see that it is still so
    target = zarrc.storage.MemoryStore()
    zarrc.copy_array(source, target, name="x")
    calls.clear()
    made = zarrc.copy_array(zarrc.open_array(target, path="x"), Counting({}))
    assert calls["set"] == 101
    assert "delete" not in calls
    assert made.nchunks_initialized == 100


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_copy_of_what_is_written_has_each_chunk_old_or_new(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(
        _store(place, tmp_path / "s"), shape=(40, 500), chunks=(1, 500), dtype="i4", codecs=["bytes", "zstd"]
    )
    source[...] = 0
    made: Any = zarrc.copy_array(source, _store(place, tmp_path / "t"))
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            source[...] = np.broadcast_to(np.arange(number, number + 500), (40, 500))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            zarrc.copy_array(source, made, verify=True)
            found = made[...]
            assert ((found == 0).all(1) | (found - found[:, :1] == np.arange(500)).all(1)).all()
    finally:
        done.set()
        writer.join()


def test_several_copies_at_once(tmp_path: Path) -> None:
    sources: list[Any] = []
    for number in range(4):
        sources.append(zarrc.create_array(tmp_path / f"s{number}", shape=(200,), chunks=(2,), dtype="i4"))
        sources[-1][...] = number
    target: Any = zarrc.copy_array(sources[0], tmp_path / "t")
    errors: list[BaseException] = []

    def copy(source: Any) -> None:
        try:
            for _ in range(5):
                zarrc.copy_array(source, target)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=copy, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert set(target[::2].tolist()) <= {0, 1, 2, 3}
    assert (target[::2] == target[1::2]).all()
    assert not [name for name in os.listdir(tmp_path / "t/c") if name.startswith(".zc")]


@pytest.mark.parametrize("place", ["local", "memory", "python"])
def test_progress_counts_to_the_end_and_can_stop_the_copy(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.create_array(_store(place, tmp_path / "s"), shape=(5000,), chunks=(1,), dtype="i1")
    source[:3000] = 1
    seen: list[tuple[int, int]] = []
    made: Any = zarrc.copy_array(
        source,
        _store(place, tmp_path / "t"),
        name="first",
        progress=lambda *state: seen.append(state),
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] >= 3000
    assert len(seen) > 10

    class Stop(Exception):
        pass

    def stop(n_done: int, n_chunks: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        zarrc.copy_array(source, made.store, name="again", progress=stop)
    assert not list(made.store.list_prefix("again"))
