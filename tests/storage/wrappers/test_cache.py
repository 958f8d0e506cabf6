"""What a cache keeps, when it asks, what it forgets, and what it makes of damaged files."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc as zarr
from tests.soak import count
from zarrc.errors import StoreConflictError, StoreError, TransactionConflictError
from zarrc.storage import (
    Blob,
    ByteRange,
    CacheStore,
    LocalStore,
    MappingStore,
    MemoryStore,
    MeteredStore,
    PrefixStore,
    SQLiteStore,
    Stat,
    Store,
)
from zarrc.storage.wrappers.cached import cover
from zarrc.testing.together import at_once

BODY = bytes(range(256)) * 400


def requests(store: MeteredStore) -> dict[str, int]:
    """Requests since the last look."""
    return {name: one.n_requests for name, one in store.reset().items() if one.n_requests}


@pytest.fixture
def inner() -> MeteredStore:
    store = MeteredStore(MemoryStore())
    store.set("a/x", BODY)
    store.reset()
    return store


@pytest.fixture(params=["memory", "directory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return None if request.param == "memory" else tmp_path / "cache"


def got(blob: Blob | None) -> bytes:
    assert blob is not None
    return bytes(blob)


# What is asked.


def test_an_object_is_fetched_once(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    for _ in range(3):
        blob = store.get("a/x")
        assert got(blob) == BODY
        assert blob is not None
        assert (blob.version, blob.object_nbytes) == (inner.store.get("a/x").version, len(BODY))  # type: ignore[union-attr]
    assert requests(inner) == {"get": 1}
    info = store.cache_info()
    assert (info.hits, info.misses, info.nbytes_hit, info.nbytes_fetched) == (2, 1, 2 * len(BODY), len(BODY))
    assert len(BODY) < info.nbytes <= info.max_nbytes


def test_ranges_come_from_what_is_kept(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    store.get("a/x")
    requests(inner)
    assert got(store.get("a/x", (5, 100))) == BODY[5:105]
    assert got(store.get("a/x", (-7, None))) == BODY[-7:]
    assert got(store.get("a/x", (9, 0))) == b""
    assert dict(store.get_many([("a/x", (1, 2)), ("a/x", (-4, 2))])).keys() == {0, 1}
    buffer = bytearray(10)
    assert store.get_into("a/x", buffer, (20, 10)) == 10
    assert bytes(buffer) == BODY[20:30]
    assert requests(inner) == {}
    with pytest.raises(StoreError, match="leaves the object"):
        store.get("a/x", (len(BODY), 1))


def test_only_the_rest_of_a_range_is_fetched(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    assert got(store.get("a/x", (-100, 100))) == BODY[-100:]
    assert got(store.get("a/x", (1000, 500))) == BODY[1000:1500]
    assert inner.stats().nbytes_read == 600
    assert got(store.get("a/x", (1200, 800))) == BODY[1200:2000]
    assert got(store.get("a/x", (500, 800))) == BODY[500:1300]
    assert inner.stats().nbytes_read == 600 + 500 + 500
    assert got(store.get("a/x", (600, 1300))) == BODY[600:1900]
    assert requests(inner) == {"get_range": 4}
    # The rest of it, as a whole.
    assert got(store.get("a/x")) == BODY
    assert got(store.get("a/x", (100, None))) == BODY[100:]
    assert requests(inner) == {"get": 1}


def test_absent_objects_are_kept_and_stats_are_not(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    for _ in range(2):
        assert store.get("none") is None
        assert store.stat("none") is None
        assert list(store.get_many([("none", (0, 4))])) == [(0, None)]
        assert store.stat("a/x") == inner.store.stat("a/x")
    assert requests(inner) == {"get": 1, "stat": 4}
    assert dict(store.stat_many(["none", "a/x"])) == {0: None, 1: inner.store.stat("a/x")}
    # What it tells is used.
    store.get("a/x")
    inner.store.set("a/x", b"other")
    store.stat("a/x")
    assert got(store.get("a/x")) == b"other"
    store.set("none", b"1")
    assert got(store.get("none")) == b"1"


def test_a_batch_stays_a_batch(where: Any) -> None:
    batches: list[int] = []

    class Counting(MemoryStore):
        def get_many(self, wanted: Any) -> Iterator[tuple[int, Blob | None]]:
            batches.append(len(wanted))
            yield from super().get_many(wanted)

        def stat_many(self, keys: Any) -> Iterator[tuple[int, Stat | None]]:
            batches.append(-len(keys))
            yield from super().stat_many(keys)

    inner = Counting({f"k{n}": bytes([n]) for n in range(10)})
    store = CacheStore(inner, where)
    assert len(list(store.get_many([(f"k{n}", None) for n in range(4)]))) == 4
    assert len(list(store.get_many([(f"k{n}", None) for n in range(10)]))) == 10
    assert batches == [4, 6]
    again = CacheStore(inner, store.cache, revalidate="always")
    inner.set("k3", b"new")
    found = dict(again.get_many([(f"k{n}", None) for n in range(10)]))
    assert got(found[3]) == b"new"
    assert got(found[9]) == b"\x09"
    assert batches == [4, 6, -10, 1]


def test_what_is_stale_is_looked_at(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where, ttl=0.05)
    store.get("a/x")
    store.get("a/x", (3, 4))
    assert requests(inner) == {"get": 1}
    time.sleep(0.06)
    assert got(store.get("a/x", (3, 4))) == BODY[3:7]
    assert requests(inner) == {"stat": 1}
    store.get("a/x")  # fresh again
    assert requests(inner) == {}
    inner.store.set("a/x", b"other")
    time.sleep(0.06)
    assert got(store.get("a/x")) == b"other"
    assert requests(inner) == {"stat": 1, "get": 1}
    inner.store.delete("a/x")
    time.sleep(0.06)
    assert store.get("a/x") is None
    assert requests(inner) == {"stat": 1}
    assert store.cache_info().revalidations == 3


def test_never_means_that_it_is_fetched_anew(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where, ttl=0.05, revalidate="never")
    store.get("a/x")
    time.sleep(0.06)
    store.get("a/x")
    assert requests(inner) == {"get": 2}


def test_always_means_that_nothing_is_missed(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where, ttl=100, revalidate="always")
    for number in range(5):
        inner.store.set("a/x", bytes([number]) * 50)
        assert got(store.get("a/x")) == bytes([number]) * 50
        assert got(store.get("a/x", (2, 2))) == bytes([number]) * 2
    assert requests(inner) == {"stat": 9, "get": 5}
    assert store.get("new") is None
    inner.store.set("new", b"1")
    assert got(store.get("new")) == b"1"


def test_without_a_ttl_what_others_write_is_not_seen(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    store.get("a/x")
    inner.store.set("a/x", b"other")
    assert got(store.get("a/x")) == BODY
    store.clear_cache()
    assert got(store.get("a/x")) == b"other"


def test_parts_are_of_one_version(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    store.get("a/x", (0, 100))
    inner.store.set("a/x", BODY[::-1])
    # Something of the new version came: the old is dropped, and what is asked for fetched as a whole.
    assert got(store.get("a/x", (50, 100))) == BODY[::-1][50:150]
    assert got(store.get("a/x", (0, 100))) == BODY[::-1][:100]


def test_reserved_names_are_never_kept(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    for key in (".zc-tx/lock", "a/.zc-tx.json"):
        for _ in range(2):
            assert store.get(key) is None
            assert store.stat(key) is None
        assert requests(inner) == {"get": 2, "stat": 2}


def test_ranges_of_unknown_versions_are_not_kept(where: Any) -> None:
    class Untold(MemoryStore):
        def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
            blob = super().get(key, range)
            if blob is None or range is None:
                return blob
            return Blob(bytes(blob), object_nbytes=-1)

    inner = MeteredStore(Untold({"x": BODY}))
    store = CacheStore(inner, where)
    for _ in range(2):
        assert got(store.get("x", (0, 10))) == BODY[:10]
    assert requests(inner) == {"get_range": 2}


# What is forgotten.


@pytest.mark.parametrize(
    "write",
    [
        lambda s: s.set("a/x", b"new"),
        lambda s: s.set_many([("a/x", b"new")]),
        lambda s: s.set_if("a/x", b"new", s.stat("a/x").version),
        lambda s: (s.set("b", b"new"), s.copy("b", "a/x")),
        lambda s: (s.set("b", b"new"), s.copy_many([("b", "a/x")])),
        lambda s: (s.delete("a/x"), s.set_if("a/x", b"new", None)),
        lambda s: (s.delete_many(["a/x"]), s.set_if("a/x", b"new", None)),
        lambda s: (s.delete_prefix("a"), s.store.set("a/x", b"new")),
        lambda s: (s.delete_prefix(""), s.store.set("a/x", b"new")),
    ],
)
def test_what_is_written_is_forgotten(inner: MeteredStore, where: Any, write: Any) -> None:
    store = CacheStore(inner, where)
    store.get("a/x")
    store.get("z")
    write(store)
    assert got(store.get("a/x")) == b"new"
    assert store.stat("a/x") == inner.stat("a/x")


def test_delete_prefix_forgets_only_what_is_below(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    for key in ("a/x", "ab", "a/b/c", "b"):
        store.set(key, key.encode())
        store.get(key)
    requests(inner)
    store.delete_prefix("a/b")
    assert [store.get(key) is None for key in ("a/x", "ab", "a/b/c", "b")] == [False, False, True, False]
    assert requests(inner) == {"delete_prefix": 1, "get": 1}


def test_a_conflict_makes_it_read_anew(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    old = store.get("a/x")
    assert old is not None
    inner.store.set("a/x", b"by another")
    with pytest.raises(StoreConflictError):
        store.set_if("a/x", b"mine", old.version)
    now = store.get("a/x")
    assert got(now) == b"by another"
    assert now is not None
    store.set_if("a/x", b"mine", now.version)
    assert got(store.get("a/x")) == b"mine"


@pytest.mark.parametrize("atomic", [True, False])
def test_a_transaction_finds_out_what_others_wrote(where: Any, tmp_path: Path, atomic: bool) -> None:
    inner: Store = SQLiteStore(tmp_path / "x.sqlite") if atomic else LocalStore(tmp_path / "x")
    zarr.create_array(inner, name="n", data=np.arange(4), chunks=(2,))
    store = CacheStore(inner, where)
    assert zarr.open_array(store, path="n", mode="r")[:].sum() == 6  # all is kept
    zarr.open_array(inner, path="n", mode="r+")[0] = 100

    def add() -> None:
        with zarr.transaction(store) as tx:
            array = zarr.open_array(tx, path="n", mode="r+")
            array[0] = array[0] + 1

    with pytest.raises(TransactionConflictError):
        add()
    add()
    assert zarr.open_array(inner, path="n", mode="r")[0] == 101
    assert zarr.open_array(store, path="n", mode="r")[0] == 101


def test_what_is_being_fetched_while_it_is_written_is_not_kept(where: Any) -> None:
    reading, written = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
            blob = super().get(key, range)
            if threading.current_thread() is not threading.main_thread():
                reading.set()
                written.wait(10)
            return blob

    store = CacheStore(Slow({"x": b"old"}), where)
    thread = threading.Thread(target=store.get, args=("x",))
    thread.start()
    reading.wait(10)
    store.set("x", b"new")
    written.set()
    thread.join()
    assert got(store.get("x")) == b"new"


def test_stores_that_reach_an_object_by_other_keys_agree(where: Any) -> None:
    inner = MemoryStore({"a/b/x": b"old", "a/b/y": b"old"})
    store = CacheStore(inner, where)
    below = CacheStore(PrefixStore(inner, "a"), store.cache)
    assert got(below.get("b/x")) == b"old"
    assert got(store.get("a/b/x")) == b"old"
    assert store.cache_info().hits == 1
    store.set("a/b/x", b"new")
    assert got(below.get("b/x")) == b"new"
    below.get("b/y")
    store.delete_prefix("a")
    assert below.get("b/y") is None


# Who shares it.


def test_copies_share_and_pickles_of_memory_start_anew(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where)
    store.get("a/x")
    twin = copy.copy(store)
    twin.get("a/x")
    assert store.cache_info().hits == 1
    assert requests(inner) == {"get": 1}
    assert store.with_read_only().cache is store.cache
    loaded = pickle.loads(pickle.dumps(store))
    assert got(loaded.get("a/x")) == BODY
    assert loaded.cache_info().misses == 1  # the store in memory is another one there


def test_a_memory_store_names_a_cache() -> None:
    place = MemoryStore(name="test_cache_shared")
    inner = MeteredStore(MemoryStore({"x": b"1"}))
    first, second = CacheStore(inner, place), CacheStore(inner, MemoryStore(name="test_cache_shared"))
    assert first.cache is second.cache
    first.get("x")
    second.get("x")
    assert requests(inner) == {"get": 1}
    MemoryStore.forget("test_cache_shared")


def test_a_directory_survives_its_process(tmp_path: Path) -> None:
    LocalStore(tmp_path / "data").set("x", b"1")
    script = (
        "import sys; from zarrc.storage import *;"
        "m = MeteredStore(sys.argv[1]); s = CacheStore(m, sys.argv[2]);"
        "print(bytes(s.get('x')), m.stats().n_requests)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data"), str(tmp_path / "cache")]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert outputs == ["b'1' 1\n", "b'1' 0\n"]


def test_what_only_a_process_has_is_not_kept_for_others(tmp_path: Path) -> None:
    script = (
        "import sys; from zarrc.storage import *;"
        "s = CacheStore(MemoryStore({'x': sys.argv[2].encode()}), sys.argv[1]); print(bytes(s.get('x')))"
    )
    for body in ("one", "two"):
        command = [sys.executable, "-c", script, str(tmp_path), body]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"b'{body}'\n"


def test_a_namespace_makes_it_kept_for_others(tmp_path: Path) -> None:
    first = CacheStore(MappingStore({"x": b"1"}), tmp_path, namespace="mine")
    assert got(first.get("x")) == b"1"
    second = CacheStore(MappingStore({}), tmp_path, namespace="mine")
    assert got(second.get("x")) == b"1"
    assert CacheStore(MappingStore({}), tmp_path, namespace="other").get("x") is None


def test_several_processes_share_a_directory(tmp_path: Path) -> None:
    """Each writes some keys through its cache and reads all: never an old value after its own write."""
    script = """
import random, sys
from zarrc.storage import CacheStore, LocalStore
mine, n = int(sys.argv[3]), int(sys.argv[4])
store = CacheStore(LocalStore(sys.argv[1]), sys.argv[2], max_nbytes=400_000)
chance = random.Random(mine)
last = {}
for round in range(n):
    key = f"k/{mine}/{chance.randrange(5)}"
    last[key] = b"%d %d " % (mine, round) * chance.randrange(1, 2000)
    store.set(key, last[key])
    other = store.get(f"k/{chance.randrange(3)}/{chance.randrange(5)}")
    assert other is None or len(set(other and bytes(other).split(b" ")[1::2])) <= 1
    for key, value in last.items():
        found = store.get(key)
        assert bytes(found) == value, (key, value[:10], bytes(found)[:10])
"""
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                script,
                str(tmp_path / "d"),
                str(tmp_path / "c"),
                str(mine),
                str(count(300)),
            ]
        )
        for mine in range(3)
    ]
    assert [one.wait(120) for one in running] == [0, 0, 0]
    fresh = CacheStore(LocalStore(tmp_path / "d"), tmp_path / "c")
    plain = LocalStore(tmp_path / "d")
    for key in plain.list_prefix(""):
        assert got(fresh.get(key)) == got(plain.get(key))


# The bound.


def test_what_was_not_used_for_longest_goes_first(where: Any) -> None:
    inner = MeteredStore(MemoryStore({f"k{n}": bytes(20_000) for n in range(10)}))
    store = CacheStore(inner, where, max_nbytes=150_000)
    for n in range(5):
        store.get(f"k{n}")
        time.sleep(0.002)
    store.get("k0")
    time.sleep(0.002)
    for n in range(5, 8):
        store.get(f"k{n}")
        time.sleep(0.002)
    info = store.cache_info()
    assert 0 < info.nbytes <= 150_000
    assert info.evictions
    requests(inner)
    store.get("k0")
    store.get("k7")
    assert requests(inner) == {}
    store.get("k1")
    assert requests(inner) == {"get": 1}


def test_the_bound_holds(where: Any) -> None:
    chance = random.Random(1)
    inner = MemoryStore({f"k{n}": bytes(chance.randrange(1, 50_000)) for n in range(60)})
    store = CacheStore(inner, where, max_nbytes=300_000)
    for _ in range(count(2000)):
        key = f"k{chance.randrange(60)}"
        size = inner.stat(key).nbytes  # type: ignore[union-attr]
        start = chance.randrange(size)
        nbytes = chance.randrange(size - start + 1)
        assert got(store.get(key, (start, nbytes))) == bytes(nbytes)
    info = store.cache_info()
    assert info.nbytes <= 300_000
    assert info.hits
    assert info.evictions


def test_what_is_larger_than_the_cache_is_passed_through(inner: MeteredStore, where: Any) -> None:
    store = CacheStore(inner, where, max_nbytes=50_000)
    for _ in range(2):
        assert got(store.get("a/x")) == BODY
    assert requests(inner) == {"get": 2}
    assert CacheStore(inner, where, max_nbytes=0).get("a/x") is not None


# Damaged files.


def _files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.name != "epoch")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "longer", "garbage", "swap"])
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: str) -> None:
    inner = MeteredStore(MemoryStore({"x": BODY * 10, "y": BODY[::-1] * 10}))
    for number in range(2):
        cache = tmp_path / str(number)
        store = CacheStore(inner, cache)
        store.get("x")
        store.get("y")
        files = [path for path in _files(cache) if ("-" in path.name) == bool(number)]
        assert len(files) == 2
        bodies = [path.read_bytes() for path in files]
        for path, body, other in zip(files, bodies, reversed(bodies), strict=True):
            flipped = bytearray(body)
            flipped[len(body) // 2] ^= 4
            path.write_bytes(
                {
                    "cut": body[: len(body) // 2],
                    "flip": bytes(flipped),
                    "empty": b"",
                    "longer": body + b"\0",
                    "garbage": os.urandom(len(body)),
                    "swap": other,
                }[damage]
            )
        requests(inner)
        for key, body in (("x", BODY * 10), ("y", BODY[::-1] * 10)):
            assert got(store.get(key, (400_000, 7))) == body[400_000:400_007]
            assert got(store.get(key)) == body
        # The damaged parts are gone, and what was fetched is kept.
        requests(inner)
        assert got(store.get("x")) == BODY * 10
        assert requests(inner) == {}
        assert store.cache_info().damaged


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_record_is_survived(body: bytes) -> None:
    from zarrc.kernels.checksums import crc32c
    from zarrc.storage.wrappers.cache_directory import _parsed

    for record in (body, crc32c(body).to_bytes(4, "little") + body):
        assert _parsed(record, "name", 0.0) is None


@pytest.mark.parametrize(
    "fields",
    ['{"name": "n"}', '{"name": "n", "version": 1, "nbytes": 1, "absent": false}', "[]", "1", "[" * 100_000]
    + [
        f'{{{{"name": "n", "version": "v", "nbytes": {n}, "absent": false}}}}'
        for n in ("-1", "1.5", "1e99", "9" * 30)
    ],
)
def test_a_record_of_nonsense_is_none(fields: str) -> None:
    from zarrc.kernels.checksums import crc32c
    from zarrc.storage.wrappers.cache_directory import _parsed

    body = fields.encode()
    assert _parsed(crc32c(body).to_bytes(4, "little") + body, "n", 0.0) is None


def test_hostile_names_of_parts_are_no_parts(tmp_path: Path) -> None:
    inner = MeteredStore(MemoryStore({"x": BODY}))
    store = CacheStore(inner, tmp_path)
    store.get("x", (100, 50))
    (part,) = [path for path in _files(tmp_path) if "-" in path.name]
    head = part.name.rsplit("-", 2)[0]
    for name in ("0-999999999999999999999", "-5-10", "a-b", "0", "1-2-3", "٣-4", "5-0"):
        (part.parent / f"{head}-{name}").write_bytes(b"x")
    assert got(store.get("x", (90, 100))) == BODY[90:190]


def test_a_cache_that_cannot_be_written_costs_hits_only(inner: MeteredStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = CacheStore(inner, tmp_path / "file" / "below")
    for _ in range(2):
        assert got(store.get("a/x")) == BODY
        assert store.get("none") is None
    assert requests(inner) == {"get": 4}
    assert store.cache_info().failures == 4
    with pytest.raises(StoreError, match=r"the cache .* cannot be written"):
        store.set("a/x", b"")


def test_left_temporary_files_go(tmp_path: Path) -> None:
    inner = MemoryStore({"x": BODY})
    store = CacheStore(inner, tmp_path)
    store.get("x")
    (part,) = [path for path in _files(tmp_path) if "-" in path.name]
    left = part.parent / ".zc-left"
    left.write_bytes(bytes(5000))
    assert store.cache_info().nbytes > len(BODY) + 5000
    os.utime(left, (1, 1))
    store.cache_info()
    assert not left.exists()


def test_the_options_are_checked() -> None:
    for options in ({"max_nbytes": -1}, {"ttl": -1}, {"ttl": float("nan")}, {"revalidate": "sometimes"}):
        with pytest.raises(ValueError):
            CacheStore(None, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a cache is a directory"):
        CacheStore(None, 3)  # type: ignore[arg-type]


# Arrays.


def test_a_shard_is_fetched_once_whatever_is_read_of_it(where: Any) -> None:
    inner = MeteredStore(MemoryStore())
    data = np.random.default_rng(0).integers(0, 255, (512, 512), dtype="u1")
    zarr.create_array(inner, data=data, chunks=(32, 32), shards=(512, 512), compressors=None)
    with zarr.config.set({"array.sharding_coalesce_max_gap_bytes": 0}):
        array = zarr.open_array(CacheStore(inner, where))
    inner.reset()
    for _ in range(2):
        for start in range(0, 128, 16):
            got_ = array[start : start + 40, 100:200]
            np.testing.assert_array_equal(got_, data[start : start + 40, 100:200])
    assert inner.stats().nbytes_read <= data.nbytes + 5000
    inner.reset()
    np.testing.assert_array_equal(array[0:128, 100:200], data[0:128, 100:200])
    assert requests(inner) == {}


def test_cover_is_a_way_to_put_a_range_together() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        parts = [(chance.randrange(30), chance.randrange(1, 12)) for _ in range(chance.randrange(6))]
        start = chance.randrange(30)
        nbytes = chance.randrange(20)
        taken, missing = cover(parts, start, nbytes)
        pieces = [(begin, n) for _, begin, n in taken] + ([missing] if missing else [])
        bytes_ = [at for begin, n in sorted(pieces) for at in range(begin, begin + n)]
        assert bytes_ == list(range(start, start + nbytes))
        for part, begin, n in taken:
            assert part in parts
            assert part[0] <= begin
            assert begin + n <= part[0] + part[1]
        if missing:
            there = {at for begin, n in parts for at in range(begin, begin + n)}
            assert missing[0] not in there
            assert missing[0] + missing[1] - 1 not in there


def test_threads_read_whole_objects_while_they_are_replaced(where: Any) -> None:
    store = CacheStore(MemoryStore(), where, max_nbytes=60_000)
    keys = [f"k{n}" for n in range(6)]
    for key in keys:
        store.set(key, bytes(8000))

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(count(400)):
            key = chance.choice(keys)
            if seed < 2:
                store.set(key, bytes([chance.randrange(256)]) * 8000)
            else:
                start = chance.randrange(8000)
                blob = store.get(key, (start, chance.randrange(8000 - start + 1)))
                assert len(set(got(blob))) <= 1

    at_once(*(lambda n=n: work(n) for n in range(6)))
    inner = store.store
    for key in keys:
        assert got(store.get(key)) == got(inner.get(key))


def test_the_store_contract_of_versions_holds(inner: MeteredStore, where: Any) -> None:
    store: Store = CacheStore(inner, where)
    blob = store.get("a/x", (0, 5))
    again = store.get("a/x", (0, 5))
    assert blob is not None
    assert again is not None
    assert blob.version == again.version
    store.set_if("a/x", b"next", again.version)


# Against the plain store.


class Direct(MemoryStore):
    """Its ranges have versions and sizes, as those of a server."""


@pytest.mark.parametrize("short_way", [True, False])
@pytest.mark.parametrize("revalidate", ["etag", "always"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_cache_answers_as_its_store_does(
    tmp_path_factory: pytest.TempPathFactory, short_way: bool, revalidate: Any, seed: int
) -> None:
    """Also the short way to a hit: without it everything is the same."""
    chance = random.Random(seed)
    inner = Direct()
    directory = tmp_path_factory.mktemp("cache") if chance.random() < 0.5 else None
    store = CacheStore(inner, directory, max_nbytes=chance.choice([0, 5000, 100_000]), revalidate=revalidate)
    if not short_way:
        store._cache.hit = lambda *args: None  # type: ignore[method-assign]
    keys = ["a", "b/c", "b/d", "zarr.json"]

    def some_range() -> ByteRange | None:
        start = chance.randrange(-40, 40)
        return chance.choice([None, (start, None), (start, chance.randrange(30))])

    def outcome(action: Any) -> Any:
        try:
            return action()
        except StoreError as error:
            return type(error), error.key

    for _ in range(60):
        key = chance.choice(keys)
        body = bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
        others = inner if revalidate == "always" and chance.random() < 0.3 else store
        what = chance.randrange(12)
        if what == 0:
            others.set(key, body)
        elif what == 1:
            others.delete(key)
        elif what == 2:
            others.delete_prefix(chance.choice(["b", "", "none"]))
        elif what == 3:
            outcome(partial(others.copy, key, chance.choice(keys)))
        elif what < 6:
            wanted = [(chance.choice(keys), some_range()) for _ in range(4)]
            try:
                expected = {n: body_of(blob) for n, blob in inner.get_many(wanted)}
            except StoreError:
                with pytest.raises(StoreError):
                    list(store.get_many(wanted))
            else:
                assert {n: body_of(blob) for n, blob in store.get_many(wanted)} == expected
        elif what == 6:
            assert store.stat(key) == inner.stat(key)
        else:
            asked = (key, some_range())
            mine, plain = outcome(partial(store.get, *asked)), outcome(partial(inner.get, *asked))
            if isinstance(plain, Blob):
                assert bytes(mine) == bytes(plain)
                assert (mine.version, mine.object_nbytes) == (plain.version, plain.object_nbytes)
            else:
                assert mine == plain


def body_of(blob: Blob | None) -> bytes | None:
    return None if blob is None else bytes(blob)


def test_a_shard_that_others_replace_is_read_as_one(where: Any) -> None:
    inner = MemoryStore()
    old = np.arange(65536, dtype="i4").reshape(256, 256)
    options: dict[str, Any] = {"chunks": (16, 16), "shards": (256, 256), "compressors": None}
    zarr.create_array(inner, data=old, **options)
    with zarr.config.set({"array.sharding_coalesce_max_gap_bytes": 0}):
        array = zarr.open_array(CacheStore(inner, where), mode="r")
        np.testing.assert_array_equal(array[:16, :16], old[:16, :16])
        for number in range(1, 4):
            new = old + number
            zarr.open_array(inner, mode="r+")[:] = new
            # The index is kept from before, and something is fetched: all that comes is of the new one.
            box = (slice(16 * number, 16 * number + 32), slice(0, 48))
            np.testing.assert_array_equal(array[box], new[box])


def test_a_killed_process_leaves_nothing_wrong(tmp_path: Path) -> None:
    data = LocalStore(tmp_path / "data")
    for number in range(20):
        data.set(f"k{number}", bytes([number]) * (5000 * number + 1))
    script = """
import random, sys
from zarrc.storage import CacheStore, LocalStore
store = CacheStore(LocalStore(sys.argv[1]), sys.argv[2], max_nbytes=500_000)
chance = random.Random()
print("ready", flush=True)
while True:
    n = chance.randrange(20)
    blob = store.get(f"k{n}", chance.choice([None, (0, chance.randrange(5000 * n + 1))]))
    assert set(bytes(blob)) <= {n}
    if chance.random() < 0.05:
        store.set(f"k{n}", bytes([n]) * (5000 * n + 1))
"""
    for turn in range(count(50)):
        command = [sys.executable, "-c", script, str(tmp_path / "data"), str(tmp_path / "cache")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.05 + 0.01 * (turn % 7))
            assert process.poll() is None
            process.kill()
        store = CacheStore(LocalStore(tmp_path / "data"), tmp_path / "cache", max_nbytes=500_000)
        for number in range(20):
            assert got(store.get(f"k{number}")) == bytes([number]) * (5000 * number + 1)
    assert store.cache_info().damaged == 0


@pytest.mark.parametrize("ttl", ["60", -1, float("nan")])
def test_a_ttl_is_a_number_of_seconds(ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl is a number of seconds"):
        CacheStore(MemoryStore(), ttl=ttl)


def test_always_looks_whatever_the_clock_does(
    inner: MeteredStore, where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CacheStore(inner, where, revalidate="always")
    inner.set("a/x", b"old")
    assert got(store.get("a/x")) == b"old"
    inner.set("a/x", b"new")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 0.5)
    assert got(store.get("a/x")) == b"new"
    inner.set("a/x", b"latest")
    assert got(dict(store.get_many([("a/x", None)]))[0]) == b"latest"


def test_what_cannot_be_forgotten_keeps_no_other_from_it(
    inner: MeteredStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CacheStore(inner, tmp_path / "cache")
    whole = type(store.cache).forget

    def forget(cache: Any, name: str, *, fetched: bool) -> None:
        if fetched and name.endswith("a"):
            raise PermissionError(13, "denied")
        whole(cache, name, fetched=fetched)

    def change(items: Any) -> None:
        for key, data in items:
            MeteredStore.set(inner, key, data)
            # Somebody reads meanwhile, and what comes is the old.
            epoch = store.cache.epoch(store._name(key) or "")
            pending.append((key, epoch))

    pending: list[tuple[str, int]] = []
    monkeypatch.setattr(type(store.cache), "forget", forget)
    monkeypatch.setattr(inner, "set_many", change)
    with pytest.raises(StoreError, match="denied"):
        store.set_many([("a", b"1"), ("b", b"2")])
    key, epoch = pending[1]
    assert key == "b"
    assert store.cache.epoch(store._name("b") or "") != epoch
