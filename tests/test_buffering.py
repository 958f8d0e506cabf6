"""`a.buffered()` as users meet it: exceptions, failures, threads, processes, other things handles do."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import start_module
from zarrc.errors import CastingError, MetadataError, NodeNotFoundError, ReadOnlyError, StoreError


def make(store: Any = None, name: str = "", n: int = 16, **keywords: Any) -> Any:
    """Shards of 4, inner chunks of 2."""
    keywords = {"chunks": 2, "shards": 4, "dtype": "i4", **keywords}
    return zarrc.create_array(store, name=name, shape=(n,), **keywords)


def stored(array: Any) -> list[int]:
    """What another handle reads."""
    found: Any = zarrc.open_array(array.store, path=array.path or None, mode="r")
    return list(found[...].tolist())


@pytest.mark.parametrize("keywords", [{}, {"shards": None}, {"zarr_format": 2, "shards": None}])
@pytest.mark.parametrize("update", ["rewrite", "append"])
def test_each_file_is_replaced_once_at_the_end(tmp_path: Path, keywords: Any, update: Any) -> None:
    array = make(tmp_path / "a", **keywords).with_config({"shard_update": update})
    array[...] = 1

    def files() -> dict[str, tuple[int, int]]:
        return {
            path.name: (path.stat().st_ino, path.stat().st_ctime_ns)
            for path in sorted((tmp_path / "a").rglob("*"))
            if path.is_file()
        }

    before = files()
    with array.buffered():
        for i in range(16):
            array[i] = array[i] + i
        assert files() == before
        assert stored(array) == [1] * 16
    assert stored(array) == list(range(1, 17))
    assert len(files()) == len(before)


def test_what_is_assigned_is_copied_at_once() -> None:
    array, values = make(), np.arange(4, dtype="i4")
    with array.buffered():
        array[:4] = values
        values[:] = 9
    assert array[:4].tolist() == [0, 1, 2, 3]


def test_wrong_selections_and_values_are_errors_at_the_assignment() -> None:
    array = make(name="a/b")
    with array.buffered() as waiting:
        for wrong in ((99, 1), (np.s_[1, 2], 1), (0, 2**40), (0, 0.5), (np.s_[0:3], [1, 2])):
            with pytest.raises((IndexError, CastingError, ValueError)) as inside:
                array[wrong[0]] = wrong[1]
            with pytest.raises(type(inside.value)) as direct:
                zarrc.open_array(array.store, path="a/b", mode="r+")[wrong[0]] = wrong[1]
            assert str(inside.value) == str(direct.value)
        assert waiting.nbytes == 0


def test_after_an_exception_what_was_assigned_is_written() -> None:
    array = make()
    with pytest.raises(ZeroDivisionError), array.buffered():  # noqa: PT012 (it is raised at the end)
        array[0] = 1
        array[1] = 1 // 0
    assert stored(array)[:2] == [1, 0]
    array[1] = 2  # at once again
    assert stored(array)[:2] == [1, 2]


def test_flush_writes_now_and_the_block_goes_on() -> None:
    array = make()
    with array.buffered() as waiting:
        array[0] = 1
        assert waiting.nbytes == 10
        waiting.flush()
        assert (waiting.nbytes, stored(array)[0]) == (0, 1)
        array[0] = 2
        assert stored(array)[0] == 1
    assert stored(array)[0] == 2
    assert waiting.nbytes == 0
    waiting.flush()


def test_a_buffer_is_for_one_block_at_a_time() -> None:
    array = make()
    waiting = array.buffered()
    with waiting:
        with pytest.raises(RuntimeError, match="in use"):
            waiting.__enter__()
        array[0] = 1
    with waiting:
        array[1] = 2
    assert stored(array)[:2] == [1, 2]


def test_blocks_inside_one_another_share_what_waits() -> None:
    array = make()
    with array.buffered():
        array[0] = 1
        with array.buffered(0) as inner:
            array[1] = 2
            assert inner.nbytes == 10  # what the outer one was given counts
        assert stored(array)[:2] == [1, 2]
        array[2] = 3
        assert stored(array)[2] == 0
    assert stored(array)[:3] == [1, 2, 3]


def test_read_only_handles_and_wrong_limits_are_refused() -> None:
    array = make()
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        array.buffered(-1)
    for wrong in ("1MB", 1e6, None):
        with pytest.raises(TypeError, match="nbytes must be an integer"):
            array.buffered(wrong)
    with pytest.raises(ReadOnlyError, match="opened for reading only"):
        zarrc.open_array(array.store, mode="r").buffered()


def test_what_can_never_be_written_is_refused_where_the_block_begins(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    array[0] = 1
    document = json.loads((tmp_path / "a/zarr.json").read_text())
    document["codecs"].append({"name": "unheard-of", "must_understand": False})
    (tmp_path / "a/zarr.json").write_text(json.dumps(document))
    unknown: Any = zarrc.open_array(tmp_path / "a")
    with pytest.raises(ReadOnlyError, match="data cannot be written"):
        unknown.buffered().__enter__()
    with pytest.raises(StoreError, match="locking='file' is for directories"):
        make({}, config={"locking": "file"}).buffered().__enter__()
    (tmp_path / "a/zarr.json").unlink()
    with pytest.raises(NodeNotFoundError, match="deleted"):
        array.buffered().__enter__()


# --- failures


class Full(dict[str, bytes]):
    """A store in which some keys cannot be written."""

    full: tuple[str, ...] = ()

    def __setitem__(self, key: str, value: bytes) -> None:
        if key.endswith(self.full):
            raise OSError(28, "No space left on device")
        super().__setitem__(key, value)


def full_array(*keys: str) -> Any:
    mapping = Full()
    array = make(mapping, "a/b")
    array[...] = 1
    mapping.full = keys
    return array


def test_a_shard_that_cannot_be_written_stays_and_the_others_are_written() -> None:
    array = full_array("c/1", "c/2")
    before = array.store.get("a/b/c/1")
    with pytest.raises(StoreError, match="No space left on device") as caught, array.buffered():
        array[1::2] = range(8)
    assert (caught.value.array, caught.value.key) == ("a/b", "a/b/c/1")
    assert caught.value.__notes__ == ["1 more objects of the array were not written"]
    assert bytes(array.store.get("a/b/c/1")) == bytes(before)
    assert stored(array) == [1, 0, 1, 1, *[1] * 8, 1, 6, 1, 7]
    # What was not written is lost with the block: it does not come back later.
    array.store.mapping.full = ()
    assert array[...].tolist() == stored(array)
    with array.buffered():
        pass
    assert stored(array)[5] == 1


def test_what_could_not_be_flushed_goes_on_waiting_inside_the_block() -> None:
    array = full_array("c/0")
    with array.buffered() as waiting:
        array[0] = 7
        with pytest.raises(StoreError):
            waiting.flush()
        assert array[0] == 7
        assert waiting.nbytes == 10
        array.store.mapping.full = ()
    assert stored(array)[0] == 7


def test_a_failure_at_the_end_shows_the_exception_that_ended_the_block() -> None:
    array = full_array("c/0")
    with pytest.raises(StoreError) as caught, array.buffered():  # noqa: PT012 (it is raised at the end)
        array[0] = 7
        raise KeyError("first")
    assert isinstance(caught.value.__context__, KeyError)


@pytest.mark.skipif(sys.platform != "linux", reason="limits on file sizes as Linux has them")
def test_a_full_disk_leaves_the_shard_of_before(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
import numpy as np, zarrc
a = zarrc.create_array(sys.argv[1], shape=(2**20,), chunks=2**14, shards=2**19, dtype="i4")
a[...] = 1
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, 2**17))
noise = np.random.default_rng(1).integers(0, 2**31 - 1, 2**20, "i4")
try:
    with a.buffered():
        for at in range(0, 2**19, 2**13):
            a[at : at + 2**13] = noise[at : at + 2**13]
        a[-1] = 5
except zarrc.errors.StoreError as error:
    print(error)
assert (a[:-1] == 1).all() and a[-1] == 5
"""
    path = tmp_path / "a"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert "key 'c/0'" in done.stdout
    assert [left.name for left in path.rglob(".zc*")] == []


# --- threads


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_write_through_one_handle() -> None:
    array = make(n=4096, chunks=16, shards=256)
    with ThreadPoolExecutor(8) as pool, array.buffered(5000):

        def fill(start: int) -> None:
            for i in range(start, 4096, 8):
                array[i] = i
                assert array[i] == i

        list(pool.map(fill, range(8)))
    assert stored(array) == list(range(4096))


def test_blocks_of_several_threads_share_one_buffer_and_nothing_is_lost() -> None:
    array = make(n=4000, chunks=10, shards=100)
    gate = threading.Barrier(8)

    def fill(start: int) -> None:
        gate.wait()
        for turn in range(5):
            with array.buffered():
                for i in range(start + 800 * turn, 800 * (turn + 1), 8):
                    array[i] = i
            assert stored(array)[start + 800 * turn : 800 * (turn + 1) : 8] == list(
                range(start + 800 * turn, 800 * (turn + 1), 8)
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(8)))
    array[0] = 7
    assert stored(array) == [7, *range(1, 4000)]


def test_each_thread_reads_what_it_wrote_last_in_blocks_and_outside(often: None) -> None:
    array = make(n=64, chunks=4, shards=16)

    def work(first: int) -> dict[int, int]:
        random = np.random.default_rng(first)
        last: dict[int, int] = {}
        for n in range(1, 200):
            i = first + 8 * int(random.integers(8))
            if random.integers(2):
                with array.buffered(int(random.choice([0, 50, 10**6]))):
                    array[i] = last[i] = n
                    assert array[i] == n
            else:
                array[i] = last[i] = n
            i = int(random.choice(list(last)))
            assert array[i] == last[i]
        return last

    with ThreadPoolExecutor(8) as pool:
        written = {i: n for last in pool.map(work, range(8)) for i, n in last.items()}
    assert stored(array) == [written.get(i, 0) for i in range(64)]


def test_a_thread_that_is_still_writing_when_the_block_ends_loses_nothing() -> None:
    array = make(n=2000, chunks=10, shards=1000)
    ended = threading.Event()

    def fill() -> int:
        i = 0
        while not ended.is_set() and i < 2000:
            array[i] = i + 1
            i += 1
        return i

    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(fill)
        for _ in range(50):
            with array.buffered():
                pass
        ended.set()
        n = task.result()
    assert stored(array)[:n] == list(range(1, n + 1))


# --- other handles and processes


def test_elements_that_were_not_assigned_stay_as_others_wrote_them_meanwhile(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    other: Any = zarrc.open_array(tmp_path / "a")
    with array.buffered():
        array[0::4] = 1
        other[...] = 2
        assert array[:3].tolist() == [1, 2, 2]
    assert stored(array) == [1, 2, 2, 2] * 4


def test_two_handles_with_blocks_at_the_same_time_merge(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    other: Any = array.with_config({"shard_update": "append"})
    with array.buffered(), other.buffered():
        array[0::2] = 1
        other[1::2] = 2
        assert array[1] == other[0] == 0
    assert stored(array) == [1, 2] * 8


def test_processes_with_locked_files_merge(tmp_path: Path) -> None:
    array = make(tmp_path / "a", n=400, chunks=10, shards=200)
    array = array.with_config({"locking": "file"})
    processes = [
        start_module("tests.engine.programs.buffered_writer", str(tmp_path / "a"), str(k), "5")
        for k in range(1, 5)
    ]
    for turn in range(20):
        with array.buffered():
            for i in range(0, 400, 5):
                array[i] = i + turn
    for process in processes:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    assert stored(array) == [i + 19 for i in range(400)]
    assert list((tmp_path / "a").rglob(".zc*")) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("leaves", ["at once", "by the block"])
def test_a_forked_child_writes_its_own_and_not_what_waits_in_the_parent(tmp_path: Path, leaves: str) -> None:
    array = make(tmp_path / "a")
    try:
        with array.buffered() as waiting:
            array[0] = 1
            child = os.fork()
            if child == 0:
                # As a worker of multiprocessing, which never leaves the block.
                if waiting.nbytes == 0 and array[0] == 0:
                    array[8] = 2
                if leaves == "at once":
                    os._exit(0)
                array[9] = 3
            else:
                assert os.waitpid(child, 0)[1] == 0
                assert stored(array)[0] == 0
                assert stored(array)[8:10] == [2, 0 if leaves == "at once" else 3]
        if child == 0:
            array[10] = 4
            os._exit(0)
    except BaseException:
        if child == 0:
            os._exit(1)
        raise
    assert stored(array)[:3] == [1, 0, 0]
    assert stored(array)[8] == 2
    assert stored(array)[10] == (0 if leaves == "at once" else 4)


# --- what else a handle can do


def test_attributes_change_inside_the_block_and_writes_go_on_waiting() -> None:
    array = make()
    with array.buffered() as waiting:
        array[0] = 1
        array.attrs["unit"] = "m"
        assert stored(array)[0] == 0
        array[1] = 2
        assert stored(array)[1] == 0
        assert array[:3].tolist() == [1, 2, 0]
        array.attrs.refresh()
        assert waiting.nbytes == 10
    assert stored(array)[:2] == [1, 2]
    assert zarrc.open_array(array.store).attrs["unit"] == "m"
    array[0] = 5
    assert stored(array)[0] == 5


def test_copies_of_the_handle_do_not_wait() -> None:
    array = make({})
    with array.buffered():
        array[0] = 1
        for other in (copy.copy(array), copy.deepcopy(array), array.with_config({"order": "F"})):
            assert other[0] == 0
            other[4] = 2
            assert stored(array)[4] == 2
            other[4] = 0
        assert array[0] == 1
    assert stored(array)[0] == 1


def test_a_pickled_handle_reads_what_is_stored(tmp_path: Path) -> None:
    array = make(tmp_path / "a")
    with array.buffered():
        array[0] = 1
        other = pickle.loads(pickle.dumps(array))
        other[1] = 2
        assert other[:2].tolist() == [0, 2]
    assert stored(array)[:2] == [1, 2]


def test_other_ways_to_read_see_what_waits() -> None:
    array = make()
    with array.buffered():
        array[3] = 3
        assert list(array)[3] == np.asarray(array)[3] == 3
        assert zarrc.from_array({}, data=array)[3] == 3
        assert zarrc.copy_array(array)[3] == 3


def test_a_copy_into_the_array_comes_after_what_waits() -> None:
    source, target = make(), make()
    source[...] = 1
    with target.buffered():
        target[0] = 5
        zarrc.copy_array(source, target)
        target[1] = 6
    assert stored(target)[:3] == [1, 6, 1]


def test_an_array_that_is_deleted_meanwhile_is_an_error(tmp_path: Path) -> None:
    group = zarrc.create_group(tmp_path)
    array = make(tmp_path, "a")
    with pytest.raises(NodeNotFoundError, match="the array was deleted") as caught, array.buffered():  # noqa: PT012 (it is raised at the end)
        array[0] = 1
        del group["a"]
    assert caught.value.array == "a"
    assert list(tmp_path.rglob("c")) == []


def test_an_array_that_is_made_again_meanwhile(tmp_path: Path) -> None:
    array = make(tmp_path, "a")
    with array.buffered():
        array[0] = 1
        make(tmp_path, "a", overwrite=True)
    assert stored(array)[:2] == [1, 0]
    with pytest.raises(MetadataError, match="made again with another layout"), array.buffered():  # noqa: PT012 (it is raised at the end)
        array[0] = 1
        make(tmp_path, "a", overwrite=True, chunks=1)
    assert stored(array)[:2] == [0, 0]


def test_compacting_inside_the_block_writes_what_waits_first(tmp_path: Path) -> None:
    array = make(tmp_path / "a", config={"shard_update": "append"})
    array[...] = 1
    with array.buffered():
        array[0:2] = [2, 3]
        assert array.compact(0).n_written == 1
        assert stored(array)[:2] == [2, 3]
        array[0] = 4
    assert stored(array)[:2] == [4, 3]


def test_what_waits_does_not_count_as_stored() -> None:
    for shards in (4, None):
        array = make(shards=shards)
        with array.buffered() as waiting:
            array[3] = 3
            assert (array.nchunks_initialized, array.nshards_initialized) == (0, 0)
            assert waiting.nbytes == 10
        assert (array.nchunks_initialized, array.nshards_initialized) == (1, 1)
