"""Memory for large results: owned by the array, aligned, reused, bounded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import zarrc
from zarrc.kernels import memory

MIB = 1 << 20


@pytest.fixture
def array() -> Iterator[zarrc.Array]:
    memory.trim()
    a = zarrc.create_array({}, shape=(16 * MIB,), chunks=(4 * MIB,), dtype="u1", compressors=None)
    a[...] = np.arange(16 * MIB, dtype="u1")
    yield a
    memory.trim()


def keeps_memory(array: zarrc.Array) -> bool:
    array[: 4 * MIB]
    kept = memory.kept_nbytes() > 0
    memory.trim()
    return kept


def test_a_large_result_owns_its_memory_and_is_aligned(array: zarrc.Array) -> None:
    result = array[...]
    assert result.flags.owndata
    assert result.flags.writeable
    assert result.ctypes.data % 64 == 0


def test_a_large_result_can_be_resized_and_keeps_its_values(array: zarrc.Array) -> None:
    result = array[...]
    expected = result[: 3 * MIB].copy()
    result.resize(3 * MIB, refcheck=False)
    assert np.array_equal(result, expected)
    result.resize(20 * MIB, refcheck=False)
    assert np.array_equal(result[: 3 * MIB], expected)
    assert not result[3 * MIB :].any()


def test_a_result_does_not_share_memory_with_one_that_lives(array: zarrc.Array) -> None:
    first = array[...]
    second = array[...]
    assert not np.shares_memory(first, second)
    second[...] = 0
    assert np.array_equal(first, array[...])


def test_freed_memory_is_used_again_and_its_amount_is_bounded(array: zarrc.Array) -> None:
    if not keeps_memory(array):
        pytest.skip("memory is not kept under the sanitizers")
    result = array[...]
    address = result.ctypes.data
    del result
    assert 16 * MIB <= memory.kept_nbytes() <= 17 * MIB
    again = array[...]
    assert again.ctypes.data == address
    assert memory.kept_nbytes() == 0
    results = [again] + [array[: (4 + i) * MIB] for i in range(12)]
    results.clear()
    del again
    assert 0 < memory.kept_nbytes() <= 66 * MIB


def test_mappings_are_made_of_the_largest_pages_that_a_machine_may_have(array: zarrc.Array) -> None:
    if not keeps_memory(array):
        pytest.skip("memory is not kept under the sanitizers")
    for nbytes in (2 * MIB + 1, 3 * MIB + 4096, 5 * MIB - 64):
        array[:nbytes]
        assert memory.kept_nbytes() % 65536 == 0
        memory.trim()


def test_kept_memory_that_does_not_fit_is_given_back_before_more_is_taken(array: zarrc.Array) -> None:
    array[: 4 * MIB]
    larger = array[...]
    assert memory.kept_nbytes() == 0
    assert np.array_equal(larger, np.arange(16 * MIB, dtype="u1"))


def test_results_of_other_threads_are_their_own(array: zarrc.Array) -> None:
    expected = array[...]
    wrong = []

    def read() -> None:
        for _ in range(20):
            if not np.array_equal(array[...], expected):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_result_larger_than_memory_is_a_memory_error() -> None:
    array = zarrc.create_array({}, shape=(1 << 50,), chunks=(1 << 20,), dtype="u1", fill_value=0)
    with pytest.raises(MemoryError):
        array[...]


def test_arrays_outlive_the_interpreters_modules() -> None:
    program = (
        "import zarrc, numpy\n"
        "a = zarrc.create_array({}, shape=(8 << 20,), chunks=(8 << 20,), dtype='u1')\n"
        "keep = a[...]\n"
        "import sys; sys.kept_till_the_end = keep\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_numpys_own_arrays_are_not_touched(array: zarrc.Array) -> None:
    from numpy._core.multiarray import get_handler_name

    assert get_handler_name(array[...]) == "zarrc_large_arrays"
    assert get_handler_name(np.empty(8 * MIB, "u1")) == "default_allocator"
    assert get_handler_name(array[:10]) == "default_allocator"
