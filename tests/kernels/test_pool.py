"""The pool's threads: never more than asked for, never waited for in vain."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import run_module
from tests.soak import count
from zarrc.engine.threads import MAX_THREADS, thread_count
from zarrc.kernels import pool, worker

PROGRAMS = "tests.engine.programs"


def _array(n_chunks: int = 64) -> Any:
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(), shape=(n_chunks * 10_000,), chunks=(10_000,), dtype="i4"
    )
    array[...] = np.arange(1, array.size + 1)
    return array


@pytest.mark.parametrize("n_threads", [1, 2, 64])
def test_any_number_of_threads_reads_and_writes_right(n_threads: int) -> None:
    with zarrc.config.set({"threading.max_workers": n_threads}):
        array = _array()
        for _ in range(5):
            np.testing.assert_array_equal(array[...], np.arange(1, array.size + 1))
        array[5:-5:3] = 0
        expected = np.arange(1, array.size + 1)
        expected[5:-5:3] = 0
        np.testing.assert_array_equal(array[...], expected)


def test_more_threads_than_the_pool_has_may_be_asked_for() -> None:
    with zarrc.config.set({"threading.max_workers": 10**20}):
        assert thread_count() == MAX_THREADS


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the threads in /proc")
def test_threads_are_kept_and_not_made_anew() -> None:
    array = _array()
    with zarrc.config.set({"threading.max_workers": 4}):
        array[...]
        before = len(os.listdir("/proc/self/task"))
        n_threads = pool.n_threads()
        for _ in range(50):
            array[...]
        assert pool.n_threads() == n_threads
        assert len(os.listdir("/proc/self/task")) == before


def test_many_callers_share_the_threads() -> None:
    array = _array()
    expected = array[...]
    wrong: list[int] = []

    def work(number: int) -> None:
        with zarrc.config.set({"threading.max_workers": 1 + number % 5}):
            for _ in range(count(100)):
                if not np.array_equal(array[...], expected):
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not wrong


def test_idle_scratch_memory_can_be_given_back() -> None:
    array = _array()
    for _ in range(3):
        worker.trim()
        np.testing.assert_array_equal(array[:5], [1, 2, 3, 4, 5])


def test_a_child_forked_in_the_middle_of_a_read_does_not_wait_for_threads_it_lacks() -> None:
    lines = sorted(run_module(f"{PROGRAMS}.forked_codec").splitlines())
    assert lines in (["child cancelled", "parent ok"], ["child ok", "parent ok"])


def test_what_a_signal_s_handler_raises_goes_before_the_error_of_a_chunk() -> None:
    assert run_module(f"{PROGRAMS}.signal_in_a_failing_read").strip() == "alarm"


@pytest.mark.skipif(
    "ZARRC_SANITIZE" in os.environ,
    reason="Python before 3.14 ends a daemon thread by pthread_exit, through frames that AddressSanitizer "
    "then takes for live ones: it reports its own sigaltstack, with none of our frames",
)
def test_the_interpreter_ends_while_threads_read() -> None:
    for _ in range(count(20)):
        assert run_module(f"{PROGRAMS}.exit_while_reading").strip() == "ended"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processors are chosen on Linux only")
def test_helpers_may_run_where_they_could_before() -> None:
    assert run_module(f"{PROGRAMS}.one_processor").strip() == "ended"
