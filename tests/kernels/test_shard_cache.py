"""The cache of open shards."""

from __future__ import annotations

import gc
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak import count
from zarrc.errors import StoreError
from zarrc.kernels import local_io, local_probes
from zarrc.kernels.shard_cache import OpenShard, ShardCache, n_descriptors

STAMP = (1, 2, 3, 2**64 - 1)


def shard(number: int = 0, n_pairs: int = 2, stamp: tuple[int, ...] = STAMP, fd: int = -1) -> OpenShard:
    pairs = np.arange(2 * n_pairs, dtype=np.uint64) + np.uint64(number)
    return OpenShard(pairs, stamp, number, fd)


def open_file(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.fixture(autouse=True)
def no_descriptor_stays() -> Iterator[None]:
    gc.collect()  # handles that other tests have left
    before = n_descriptors()
    yield
    assert n_descriptors() == before


def test_what_was_put_is_found() -> None:
    cache = ShardCache(10, 10_000)
    assert cache.get(b"a", STAMP) is None
    cache.put(b"a", shard(7))
    found = cache.get(b"a", STAMP)
    assert found is not None
    assert (found.pairs, found.stamp, found.object_nbytes, found.fd) == ([(7, 8), (9, 10)], STAMP, 7, -1)
    assert len(cache) == 1


@pytest.mark.parametrize("word", range(4))
def test_another_stamp_drops_the_shard(word: int) -> None:
    cache = ShardCache(10, 10_000)
    cache.put(b"a", shard())
    other = tuple(value ^ (1 << 63) if i == word else value for i, value in enumerate(STAMP))
    assert cache.get(b"a", other) is None
    assert len(cache) == 0
    assert cache.get(b"a", STAMP) is None


def test_a_key_has_the_last_shard_put() -> None:
    cache = ShardCache(10, 10_000)
    for number in (1, 2, 3):
        cache.put(b"a", shard(number))
    found = cache.get(b"a", STAMP)
    assert found is not None
    assert (found.object_nbytes, len(cache)) == (3, 1)


def test_keys_of_any_length_are_told_apart() -> None:
    cache = ShardCache(10_000, 10_000_000)
    keys = [bytes(length) for length in range(70)]
    keys += [bytes(at) + b"x" + bytes(39 - at) for at in range(40)]
    keys += [b"c/%d/%d" % (i, j) for i in range(30) for j in range(30)]
    for number, key in enumerate(keys):
        cache.put(key, shard(number))
    assert len(cache) == len(set(keys)) == len(keys)
    for number, key in enumerate(keys):
        found = cache.get(key, STAMP)
        assert found is not None
        assert found.object_nbytes == number


def test_an_index_of_no_inner_chunks_and_an_empty_key_work() -> None:
    cache = ShardCache(1, 10_000)
    cache.put(b"", shard(n_pairs=0))
    found = cache.get(b"", STAMP)
    assert found is not None
    assert found.pairs == []


@given(
    st.integers(0, 5),
    st.lists(
        st.tuples(st.sampled_from(["put", "get", "drop", "stale", "clear"]), st.integers(0, 7)), max_size=60
    ),
)
def test_it_is_a_dictionary_that_forgets_the_least_recently_used(
    max_open: int, steps: list[tuple[str, int]]
) -> None:
    cache, model = ShardCache(max_open, 1_000_000), OrderedDict[int, int]()
    for number, (step, key) in enumerate(steps):
        name = b"c/%d" % key
        if step == "put":
            cache.put(name, shard(number))
            model[key] = number
            model.move_to_end(key)
            while len(model) > max_open:
                model.popitem(last=False)
        elif step == "get":
            found = cache.get(name, STAMP)
            assert (None if found is None else found.object_nbytes) == model.get(key)
            if key in model:
                model.move_to_end(key)
        elif step == "stale":
            assert cache.get(name, (0, 0, 0, 0)) is None
            model.pop(key, None)
        elif step == "drop":
            cache.drop(name)
            model.pop(key, None)
        else:
            cache.clear()
            model.clear()
        assert len(cache) == len(model)


def test_memory_is_bounded() -> None:
    cache = ShardCache(1000, 100_000)
    for number in range(100):
        cache.put(b"%d" % number, shard(number, n_pairs=1000))
    assert len(cache) == 6
    assert [key for key in range(100) if cache.get(b"%d" % key, STAMP)] == [94, 95, 96, 97, 98, 99]


def test_a_shard_above_the_whole_bound_is_not_kept_and_its_key_is_forgotten() -> None:
    cache = ShardCache(1000, 100_000)
    cache.put(b"a", shard(1))
    cache.put(b"b", shard(2))
    cache.put(b"a", shard(3, n_pairs=7000))
    assert cache.get(b"a", STAMP) is None
    assert cache.get(b"b", STAMP) is not None


def test_a_descriptor_is_open_as_long_as_somebody_has_the_shard(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    cache = ShardCache(1, 10_000)
    fd = open_file(tmp_path / "x")
    cache.put(b"a", shard(fd=fd))
    assert n_descriptors() >= 1
    found = cache.get(b"a", STAMP)
    cache.put(b"b", shard())
    assert cache.get(b"a", STAMP) is None
    assert found is not None
    assert os.pread(found.fd, 3, 4) == b"456"
    del found
    assert not is_open(fd)


@pytest.mark.parametrize("how", ["drop", "clear", "free", "stale", "replace", "max_open 0", "too large"])
def test_a_descriptor_is_closed_with_its_entry(tmp_path: Path, how: str) -> None:
    (tmp_path / "x").write_bytes(b"")
    cache = ShardCache(0 if how == "max_open 0" else 10, 10 if how == "too large" else 10_000)
    fd = open_file(tmp_path / "x")
    cache.put(b"a", shard(fd=fd))
    if how == "drop":
        cache.drop(b"a")
    elif how == "clear":
        cache.clear()
    elif how == "free":
        del cache
    elif how == "stale":
        assert cache.get(b"a", (0, 0, 0, 0)) is None
    elif how == "replace":
        cache.put(b"a", shard())
    assert not is_open(fd)


def test_a_shard_in_two_caches_is_closed_with_the_last(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    fd = open_file(tmp_path / "x")
    one, other = ShardCache(1, 10_000), ShardCache(1, 10_000)
    common = shard(fd=fd)
    one.put(b"a", common)
    other.put(b"a", common)
    del common
    one.clear()
    assert is_open(fd)
    other.clear()
    assert not is_open(fd)


def test_all_caches_together_keep_few_descriptors(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    before = n_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1023, hard))
    try:
        one, other, third = (ShardCache(1000, 1_000_000) for _ in range(3))
        # Handles that other tests have left keep some of the 127.
        most = (127 - before) * 3 // 4
        for number in range(most):
            one.put(b"%d" % number, shard(fd=open_file(tmp_path / "x")))
        for number in range(most):
            other.put(b"%d" % number, shard(fd=open_file(tmp_path / "x")))
        assert n_descriptors() == 127 == before + len(one) + len(other)
        # It gives up its own oldest, and one that has none keeps none; what needs no descriptor is kept.
        kept = 127 - before - most
        assert [key for key in range(most) if other.get(b"%d" % key, STAMP)] == list(range(most - kept, most))
        third.put(b"a", shard(fd=open_file(tmp_path / "x")))
        third.put(b"b", shard())
        assert (len(one), len(third)) == (most, 1)
        one.clear()
        third.put(b"a", shard(fd=open_file(tmp_path / "x")))
        assert len(third) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_shards_without_a_descriptor_are_not_given_up_for_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    before = n_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        cache = ShardCache(1000, 1_000_000)
        for number in range(40):
            cache.put(b"%d" % number, shard())
        for number in range(40, 70):
            cache.put(b"%d" % number, shard(fd=open_file(tmp_path / "x")))
        assert (len(cache), n_descriptors()) == (40 + max(10 - before, 0), max(10, before))
        assert all(cache.get(b"%d" % number, STAMP) for number in range(40))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_threads_share_a_cache(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).write_bytes(b"%03d" % number)
    cache, failures, before = ShardCache(8, 1_000_000), list[BaseException](), len(os.listdir("/dev/fd"))

    def work(seed: int) -> None:
        try:
            random = np.random.default_rng(seed)
            for _ in range(count(20_000)):
                number = int(random.integers(20))
                key = b"%d" % number
                found = cache.get(key, STAMP)
                if found is None:
                    found = shard(number, fd=open_file(tmp_path / str(number)))
                    cache.put(key, found)
                assert os.pread(found.fd, 3, 0) == b"%03d" % number
                assert found.pairs[0] == (number, number + 1)
                if number == 19:
                    cache.drop(b"%d" % int(random.integers(20)))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(cache) <= 8
    cache.clear()
    assert len(os.listdir("/dev/fd")) == before


FORKS = """
import os, sys, threading
import numpy as np
from zarrc.kernels.shard_cache import OpenShard, ShardCache, n_descriptors
stamp, caches = (1, 2, 3, 4), [ShardCache(4, 100_000) for _ in range(70)]
def shard():
    return OpenShard(np.arange(4, dtype=np.uint64), stamp, 4, os.open(sys.argv[1], os.O_RDONLY))
caches[0].put(b"a", shard())
done = False
def work(seed):
    number = seed
    while not done:
        number = (number * 1103515245 + 12345) % 2**31
        cache = caches[1 + number // 65536 % 3]
        cache.put(b"%d" % (number // 65536 % 9), shard())
        cache.get(b"%d" % (number // 131072 % 9), stamp)
threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        assert os.pread(caches[0].get(b"a", stamp).fd, 4, 0) == b"data"
        for cache in caches:
            for number in range(9):
                cache.put(b"%d" % number, shard())
            assert len(cache) <= 4
            cache.clear()
        assert n_descriptors() == 0
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.pread(caches[0].get(b"a", stamp).fd, 4, 0) == b"data"
done = True
for thread in threads:
    thread.join()
"""


def test_a_forked_child_has_whole_caches(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"data")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", FORKS, str(tmp_path / "x"), str(count(300))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_makes_no_shard_is_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        OpenShard(np.zeros(3, np.uint64), STAMP, 0)
    with pytest.raises(ValueError, match="4 words"):
        OpenShard(np.zeros(2, np.uint64), (1, 2, 3), 0)
    with pytest.raises(ValueError, match="4 words"):
        ShardCache(1, 1).get(b"a", (1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match="never given"):
        ShardCache(1, 1).put(b"a", OpenShard.__new__(OpenShard))


def test_the_identity_of_a_file_is_that_of_the_system(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "x")
    assert local_probes.identify(path) is None
    assert local_probes.open_identified(path) is None
    assert local_probes.identify(path + b"/y") is None
    (tmp_path / "x").write_bytes(b"data")
    info = os.stat(path)
    opened = local_probes.open_identified(path)
    assert opened is not None
    fd, identity = opened
    assert identity == local_probes.identify(path) == (info.st_dev, info.st_ino, 4, info.st_ctime_ns)
    assert os.pread(fd, 4, 0) == b"data"
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_the_identity_changes_with_the_file(tmp_path: Path) -> None:
    path, seen = tmp_path / "x", set[tuple[int, ...] | None]()
    path.write_bytes(b"data")
    opened = local_probes.open_identified(os.fsencode(path))
    assert opened is not None
    seen.add(opened[1])
    for _ in range(5):
        # Another file of the same name, and the same file with its old times put back.
        assert local_io.replace(os.fsencode(path), 0, b"DATA")
        seen.add(local_probes.identify(os.fsencode(path)))
        time.sleep(0.02)
        info = path.stat()
        path.write_bytes(b"data")
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
        seen.add(local_probes.identify(os.fsencode(path)))
        time.sleep(0.02)
    os.close(opened[0])
    assert len(seen) == 11


def test_only_regular_files_have_an_identity(tmp_path: Path) -> None:
    assert local_probes.identify(os.fsencode(tmp_path)) is None
    assert local_probes.open_identified(os.fsencode(tmp_path)) is None
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/dev/fd"))
    for ask in (local_probes.identify, local_probes.open_identified):
        with pytest.raises(StoreError, match="not a regular file"):
            ask(os.fsencode(tmp_path / "fifo"))
    assert len(os.listdir("/dev/fd")) == before
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
