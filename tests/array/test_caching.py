"""A handle with a cache of decoded chunks: it reads less, and never what is not stored any more."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.soak import count
from zarrc.caching import ArrayCache
from zarrc.codecs import BytesBytesCodec, register_codec
from zarrc.errors import ChunkNotFoundError, CodecError, ZarrcError
from zarrc.storage import LocalStore, MappingStore, MemoryStore, Store
from zarrc.storage.base import ByteRange

SHAPE = (24, 30)
CHUNKS = (6, 5)
KINDS = ("chunks", "shards", "nested", "plain", "python codec", "transposed", "rectilinear")


class CountingDict(dict[str, bytes]):
    """A mapping that counts what is read of chunks."""

    asked = 0

    def __getitem__(self, key: str) -> bytes:
        self.asked += "/c/" in f"/{key}"
        return super().__getitem__(key)


@dataclass(frozen=True)
class BackwardsCodec(BytesBytesCodec):
    """A codec in Python."""

    name = "tests.backwards"

    def encode(self, data: Any, spec: Any) -> bytes:
        return bytes(data)[::-1]

    def decode(self, data: Any, spec: Any, nbytes: int | None = None) -> bytes:
        return bytes(data)[::-1]


register_codec(BackwardsCodec)


def keywords(kind: str) -> dict[str, Any]:
    zstd = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    inner: dict[str, Any] = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(CHUNKS),
            "codecs": [plain, zstd],
            "index_codecs": [plain, {"name": "crc32c"}],
        },
    }
    outer = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [12, 15],
            "codecs": [inner],
            "index_codecs": [plain, {"name": "crc32c"}],
        },
    }
    return {
        "chunks": {"chunks": CHUNKS},
        "shards": {"chunks": CHUNKS, "shards": (12, 15)},
        "nested": {"chunks": (24, 30), "codecs": [outer]},
        "plain": {"chunks": CHUNKS, "codecs": [plain]},
        "rectilinear": {"chunks": ((5, 7, 6, 6), (10, 5, 15)), "codecs": [plain, zstd]},
        "python codec": {"chunks": CHUNKS, "codecs": [plain, {"name": "tests.backwards"}]},
        "transposed": {
            "chunks": CHUNKS,
            "codecs": [{"name": "transpose", "configuration": {"order": [1, 0]}}, plain, zstd],
        },
    }[kind]


def new_array(store: Any, kind: str = "chunks", **more: Any) -> Any:
    return zarrc.create_array(store, shape=SHAPE, dtype="i4", fill_value=-1, **keywords(kind), **more)


def values(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 1000, SHAPE, dtype="i4")


def settle() -> None:
    """Wait until a file that was written now is known not to change any more within one tick of its clock."""
    time.sleep(0.03)


@pytest.fixture(params=["local", "memory", "mapping"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    return MemoryStore() if request.param == "memory" else MappingStore(CountingDict())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_is_not_decoded_again(store: Store, kind: str) -> None:
    array = new_array(store, kind)
    array[...] = values()
    settle()
    cached = array.with_cache(10**6)
    for _ in range(3):
        np.testing.assert_array_equal(cached[7:9, 4:17], values()[7:9, 4:17])
    stats = cached.cache.stats()
    if kind == "plain" and isinstance(store, MemoryStore):
        assert (stats.hits, stats.n_chunks) == (0, 0)  # nothing to decode
    else:
        n = 3 if kind == "rectilinear" else 4
        assert (stats.hits, stats.misses, stats.n_chunks) == (2 * n, n, n)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_just_now_is_read_again_but_not_decoded(tmp_path: Path, kind: str) -> None:
    array = new_array(tmp_path / "a", kind)
    array[...] = values()
    cached = array.with_cache(10**6)
    for _ in range(3):
        np.testing.assert_array_equal(cached[7:9, 4:17], values()[7:9, 4:17])
    settle()
    for _ in range(2):
        np.testing.assert_array_equal(cached[7:9, 4:17], values()[7:9, 4:17])
    stats = cached.cache.stats()
    n = 3 if kind == "rectilinear" else 4
    assert (stats.hits, stats.misses, stats.n_chunks) == (4 * n, n, n)


def test_a_mapping_is_not_asked_again() -> None:
    mapping = CountingDict()
    array = new_array(mapping)
    array[:12] = values()[:12]
    cached = array.with_cache(10**6)
    mapping.asked = 0
    expected = cached[...]
    assert mapping.asked == 4 * 6
    np.testing.assert_array_equal(cached[...], expected)
    assert mapping.asked == 4 * 6  # chunks that are not stored are known too
    array[20, 20] = 5
    assert cached[20, 20] == 5


@pytest.mark.parametrize("kind", ["shards", "nested"])
def test_a_shard_of_a_mapping_is_not_asked_again(kind: str) -> None:
    mapping = CountingDict()
    array = new_array(mapping, kind)
    array[:6, :10] = values()[:6, :10]
    cached = array.with_cache(10**6)
    expected = cached[...]
    mapping.asked = 0
    np.testing.assert_array_equal(cached[...], expected)
    np.testing.assert_array_equal(cached[1:20, 3:25], expected[1:20, 3:25])
    assert mapping.asked == (0 if kind == "shards" else mapping.asked)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_selection_comes_from_the_cache(store: Store, kind: str) -> None:
    array = new_array(store, kind)
    data = values()
    array[...] = data
    settle()
    cached = array.with_cache(10**6)
    mask = data % 3 == 0
    keys: list[Any] = [
        ...,
        (3, slice(None)),
        (slice(None, None, -2), slice(25, 3, -4)),
        ([3, 1, 20, 1], slice(2, 29, 3)),
        ([3, 23, 0], [5, 29, 5]),
        mask,
        (mask[:, 0], 4),
        (5, 5),
        slice(0, 0),
    ]
    for key in keys + keys:
        np.testing.assert_array_equal(cached[key], data[key])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write beside", "read", "read", "erase", "clear"]),
        *[st.integers(0, n - 1) for n in SHAPE],
        *[st.integers(1, n) for n in SHAPE],
    ),
    max_size=12,
)


@pytest.mark.parametrize("place", ["local", "memory", "mapping"])
@given(steps=STEPS, kind=st.sampled_from(KINDS), nbytes=st.sampled_from([0, 300, 700, 2000, 10**6]))
@settings(max_examples=count(300), deadline=None)
def test_a_cached_handle_reads_what_any_handle_wrote(
    tmp_path_factory: pytest.TempPathFactory, place: str, steps: Any, kind: str, nbytes: int
) -> None:
    where: Any = {
        "local": lambda: LocalStore(tmp_path_factory.mktemp("cache") / "a"),
        "memory": MemoryStore,
        "mapping": lambda: MappingStore({}),
    }[place]()
    array = new_array(where, kind)
    cached, other = array.with_cache(nbytes), array.with_cache(10**6)
    expected = np.full(SHAPE, -1, "i4")
    for number, (step, row, column, height, width) in enumerate(steps):
        key = slice(row, row + height), slice(column, column + width)
        if step == "write":
            cached[key] = expected[key] = number
        elif step == "write beside":
            array[key] = expected[key] = number
        elif step == "erase":
            array[...] = expected[...] = -1
        elif step == "clear" and nbytes:
            cached.cache.clear()
        np.testing.assert_array_equal(cached[key], expected[key])
        np.testing.assert_array_equal(other[...], expected)
    np.testing.assert_array_equal(cached[...], expected)
    if nbytes:
        assert cached.cache.nbytes <= nbytes


def test_memory_is_bounded_and_what_goes_is_counted(store: Store) -> None:
    array = new_array(store)
    array[...] = values()
    settle()
    cached = array.with_cache(1000)
    for column in range(0, 30, 5):
        np.testing.assert_array_equal(cached[0, column : column + 5], values()[0, column : column + 5])
        assert cached.cache.nbytes <= 1000
    stats = cached.cache.stats()
    assert stats.n_chunks > 0
    assert stats.evictions == 6 - stats.n_chunks


def test_a_read_of_more_than_there_is_room_for_leaves_the_cache_as_it_is(store: Store) -> None:
    array = new_array(store)
    array[...] = values()
    settle()
    cached = array.with_cache(2000)
    cached[0, 0]
    before = cached.cache.stats().n_chunks
    np.testing.assert_array_equal(cached[...], values())
    stats = cached.cache.stats()
    assert (before, stats.n_chunks, stats.evictions) == (1, 1, 0)
    assert stats.hits == 1


def test_a_chunk_larger_than_the_bound_is_read_and_not_kept(store: Store) -> None:
    array = new_array(store)
    array[...] = values()
    settle()
    cached = array.with_cache(100)
    for _ in range(2):
        np.testing.assert_array_equal(cached[3], values()[3])
    stats = cached.cache.stats()
    assert (stats.hits, stats.misses, stats.n_chunks, stats.nbytes) == (0, 12, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_somebody_else_replaces_is_noticed(tmp_path: Path, kind: str) -> None:
    array, other = new_array(tmp_path / "a", kind), new_array(tmp_path / "b", kind)
    array[...] = values(1)
    other[...] = values(2)
    settle()
    cached = array.with_cache(10**6)
    np.testing.assert_array_equal(cached[...], values(1))
    for path in (tmp_path / "b").rglob("*"):
        if path.is_file() and path.name != "zarr.json":
            os.replace(path, tmp_path / "a" / path.relative_to(tmp_path / "b"))
    np.testing.assert_array_equal(cached[...], values(2))


def test_a_file_that_somebody_writes_over_in_place_is_noticed(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a", "plain")
    array[...] = 1
    path = tmp_path / "a" / "c" / "0" / "0"
    cached = array.with_cache(10**6)
    for number in range(2, count(300) + 2):
        # No pause: the clock of the file system may not have ticked in between, and the size is the same.
        path.write_bytes(np.full(CHUNKS, number, "<i4").tobytes())
        assert cached[0, 0] == number
        assert cached[5, 4] == number


def test_a_deleted_chunk_file_reads_as_fill(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a")
    array[...] = 1
    settle()
    cached = array.with_cache(10**6)
    assert cached[0, 0] == 1
    (tmp_path / "a" / "c" / "0" / "0").unlink()
    assert cached[0, 0] == -1


def test_an_array_that_was_deleted_and_made_again_is_another_one() -> None:
    store = MappingStore({})
    group = zarrc.create_group(store)
    new_array(store, name="a")[...] = 1
    cached = group["a"].with_cache(10**6)
    assert cached[0, 0] == 1
    del group["a"]
    new_array(store, name="a")
    assert cached[0, 0] == -1
    new_array(store, name="a", overwrite=True)[...] = 3
    assert cached[0, 0] == 3


def test_a_copy_over_the_array_is_noticed(store: Store) -> None:
    group = zarrc.create_group(store)
    new_array(store, name="a")[...] = values(1)
    source = new_array(store, name="b")
    source[...] = values(2)
    settle()
    cached = group["a"].with_cache(10**6)
    np.testing.assert_array_equal(cached[...], values(1))
    zarrc.copy_array(source, group["a"].store_path, overwrite=True)
    np.testing.assert_array_equal(group["a"][...], values(2))
    with contextlib.suppress(ZarrcError):  # the handle may say that its array is another one now
        np.testing.assert_array_equal(cached[...], values(2))


def test_buffered_writes_are_seen_and_then_those_that_are_stored(store: Store) -> None:
    array = new_array(store, "shards")
    array[...] = 0
    settle()
    cached = array.with_cache(10**6)
    assert cached[0, 0] == 0
    with cached.buffered():
        cached[0, 0] = 1
        assert cached[0, 0] == 1
        assert array[0, 0] == 0
    assert cached[0, 0] == array[0, 0] == 1
    with array.buffered():
        array[0, 0] = 2
        assert cached[0, 0] == 1
    assert cached[0, 0] == 2


def test_appended_shards_are_noticed(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a", "shards", config={"shard_update": "append"})
    array[...] = 0
    settle()
    cached = array.with_cache(10**6)
    for number in range(count(200)):
        row, column = number * 7 % SHAPE[0], number * 5 % SHAPE[1]
        array[row, column] = number
        assert cached[row, column] == number
    np.testing.assert_array_equal(cached[...], array[...])
    array.compact(0)
    np.testing.assert_array_equal(cached[...], array[...])


def test_what_cannot_be_decoded_is_not_kept(tmp_path: Path) -> None:
    array = new_array(tmp_path / "a")
    array[...] = 1
    path = tmp_path / "a" / "c" / "0" / "0"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    settle()
    cached = array.with_cache(10**6)
    for _ in range(2):
        with pytest.raises(CodecError):
            cached[0, 0]
    path.write_bytes(whole)
    assert cached[0, 0] == 1


def test_a_missing_chunk_stays_an_error_where_it_is_one(store: Store) -> None:
    array = new_array(store)
    filled = array.with_cache(10**6)
    strict = array.with_config({"read_missing_chunks": False, "cache_nbytes": 10**6})
    for _ in range(2):
        assert filled[0, 0] == -1
        with pytest.raises(ChunkNotFoundError):
            strict[0, 0]


def test_the_cache_stays_when_the_array_grows_and_shrinks(store: Store) -> None:
    array = new_array(store)
    array[...] = values()
    settle()
    cached = array.with_cache(10**6)
    np.testing.assert_array_equal(cached[...], values())
    cached.append(np.full((6, 30), 9, "i4"))
    assert cached.shape == (30, 30)
    np.testing.assert_array_equal(cached[...], np.vstack([values(), np.full((6, 30), 9)]))
    cached.resize((9, 8))
    np.testing.assert_array_equal(cached[...], values()[:9, :8])
    cached.resize((24, 30))
    expected = np.full(SHAPE, -1)
    expected[:9, :8] = values()[:9, :8]
    np.testing.assert_array_equal(cached[...], expected)


# --- the handle


def test_a_handle_has_a_cache_by_configuration_or_none() -> None:
    array = new_array(MemoryStore())
    assert array.cache is None
    cached = array.with_cache(12345)
    assert isinstance(cached.cache, ArrayCache)
    assert (cached.cache.max_nbytes, cached.config.cache_nbytes) == (12345, 12345)
    assert cached.with_cache(0).cache is None
    assert array.cache is None
    with zarrc.config.set({"array.cache_nbytes": 999}):
        assert zarrc.open_array(array.store).cache.max_nbytes == 999
    again = pickle.loads(pickle.dumps(cached.with_config({"order": "F"})))
    assert again.cache.max_nbytes == 12345


@pytest.mark.parametrize("nbytes", [-1, 1.5, "1", True])
def test_a_bound_that_is_none_is_refused(nbytes: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="nbytes"):
        new_array(MemoryStore()).with_cache(nbytes)


def test_handles_have_caches_of_their_own() -> None:
    array = new_array(MappingStore({}))
    array[...] = values()
    left, right = array.with_cache(10**6), array.with_cache(10**6)
    left[0, 0]
    left[0, 0]
    right[0, 0]
    assert left.cache.stats().hits == 1
    assert right.cache.stats().hits == 0


def test_clearing_gives_back_the_memory_and_keeps_the_counts() -> None:
    cached = new_array(MappingStore({})).with_cache(10**6)
    cached[...] = values()
    cached[...]
    assert (len(cached.cache), cached.cache.nbytes > 24 * 120) == (24, True)
    cached.cache.clear()
    stats = cached.cache.stats()
    assert (stats.misses, stats.n_chunks, stats.nbytes) == (24, 0, 0)
    assert repr(cached.cache) == "<ArrayCache 0 chunks, 0 of 1000000 bytes, 0 hits, 24 misses>"


# --- threads and processes


def _openers(tmp_path: Path, place: str, kind: str) -> Callable[[], Any]:
    if place == "local":
        new_array(tmp_path / "a", kind)
        return lambda: zarrc.open_array(tmp_path / "a", mode="r+")
    array = new_array(MemoryStore() if place == "memory" else MappingStore({}), kind)
    return lambda: zarrc.open_array(array.store, mode="r+")


@pytest.mark.parametrize("place", ["local", "memory", "mapping"])
@pytest.mark.parametrize("kind", ["chunks", "shards", "plain"])
def test_no_reader_sees_an_older_value_after_a_write_was_finished(
    tmp_path: Path, place: str, kind: str
) -> None:
    opened = _openers(tmp_path, place, kind)
    n_writers, n_readers = 3, 5
    # In Python each object takes the interpreter's lock from the other seven threads.
    n_versions = count(100 if place == "mapping" else 400)
    shared = opened().with_cache(10**5)
    finished = [0] * n_writers  # by each writer, the version that is surely stored
    done, wrong = threading.Event(), []

    def write(number: int) -> None:
        array = opened().with_cache(10**5) if number % 2 else opened()
        # Each writer has rows of its own, which share chunks and shards with those of the others.
        for version in range(1, n_versions + 1):
            array[number::n_writers] = version
            finished[number] = version

    def read(number: int) -> None:
        array = shared if number % 2 else opened().with_cache([700, 10**5][number % 4 // 2])
        while not done.is_set():
            before = list(finished)
            seen = array[:12, 3:13]
            for writer in range(n_writers):
                least = seen[writer::n_writers].min()
                if least < before[writer] and before[writer]:
                    wrong.append((number, writer, int(least), before[writer]))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(n_writers)]
    readers = [threading.Thread(target=read, args=(number,)) for number in range(n_readers)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(shared[...], np.full(SHAPE, n_versions))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["chunks", "shards"])
def test_a_forked_child_and_its_parent_see_what_the_other_wrote(tmp_path: Path, kind: str) -> None:
    cached = new_array(tmp_path / "a", kind).with_cache(10**6)
    cached[...] = 1
    settle()
    assert cached[0, 0] == cached[0, 0] == 1
    child = os.fork()
    if child == 0:
        ok = cached[0, 0] == 1
        cached[...] = 2
        os._exit(0 if ok and cached[0, 0] == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cached[0, 0] == 2


_WRITER = """
import sys, zarrc
array = zarrc.open_array(sys.argv[1], mode="r+")
for line in sys.stdin:
    array[...] = int(line)
    print("done", flush=True)
"""


@pytest.mark.parametrize("kind", ["chunks", "shards", "plain"])
def test_what_another_process_wrote_is_seen_once_it_is_done(tmp_path: Path, kind: str) -> None:
    cached = new_array(tmp_path / "a", kind).with_cache(10**6)
    cached[...] = 0
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(1, count(300) + 1):
            cached[...]
            print(number, file=writer.stdin, flush=True)
            assert writer.stdout.readline() == "done\n"
            assert set(np.unique(cached[...])) == {number}
        writer.stdin.close()


class ChangingStore(MappingStore):
    """A mapping without versions whose shards somebody else changes while they are read."""

    before_ranges: Callable[[], None] | None = None

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[Any]:
        asked = list(requests)
        if self.before_ranges is not None and any(
            wanted is not None and wanted[0] >= 0 for _, wanted in asked
        ):
            change, self.before_ranges = self.before_ranges, None
            change()
        for index, (key, wanted) in enumerate(asked):
            yield index, self.get(key, wanted)


def test_what_was_decoded_of_two_versions_of_a_shard_is_not_kept() -> None:
    mapping: dict[str, bytes] = {}
    store = ChangingStore(mapping)
    shape = (64, 256)

    def made(where: Any) -> Any:
        return zarrc.create_array(
            where, shape=shape, chunks=(1, 256), shards=shape, dtype="f8", compressors=None, fill_value=0
        )

    replacement: dict[str, bytes] = {}
    array, other = made(store), made(replacement)
    data = np.arange(64 * 256.0).reshape(shape)
    array[...] = data
    other[1:] = -data[1:]
    cached = array.with_config({"sharding_coalesce_max_gap_bytes": 0, "cache_nbytes": 10**7})

    def change() -> None:
        mapping.update({key: value for key, value in replacement.items() if key.startswith("c/")})

    store.before_ranges = change
    for _ in range(2):
        np.testing.assert_array_equal(cached[3:5], -data[3:5])
