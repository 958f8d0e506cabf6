"""The cache of decoded chunks."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak import count
from zarrc.kernels.chunk_cache import ChunkCache

STAMP = (1, 2, 3, 2**64 - 1)
NONE = (0, 0, 0, 0)


def own_nbytes() -> int:
    """What the cache needs for a chunk besides its bytes."""
    cache = ChunkCache(10_000)
    cache.put(b"a", b"")
    return cache.look()[4]


def test_what_was_put_is_found() -> None:
    cache = ChunkCache(10_000)
    assert cache.get(b"a") is None
    cache.put(b"a", b"seven", 3, STAMP)
    assert cache.get(b"a", 3) == (b"seven", STAMP)
    assert len(cache) == 1


def test_a_chunk_that_is_not_stored_is_told_from_an_empty_one() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", None)
    cache.put(b"b", b"")
    assert cache.get(b"a") == (None, NONE)
    assert cache.get(b"b") == (b"", NONE)


def test_another_number_of_changes_drops_the_chunk() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", b"1", 5)
    assert cache.get(b"a", 6) is None
    assert len(cache) == 0
    assert cache.get(b"a", 5) is None


def test_a_chunk_that_was_fetched_before_a_change_does_not_replace_one_fetched_after_it() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", b"new", 6)
    cache.put(b"a", b"old", 5)
    assert cache.get(b"a", 6) == (b"new", NONE)
    cache.put(b"a", b"newer", 7)
    assert cache.get(b"a", 7) == (b"newer", NONE)
    assert len(cache) == 1


def test_names_are_told_apart() -> None:
    cache = ChunkCache(100_000_000)
    keys = [bytes(length) for length in range(70)]
    keys += [bytes(at) + b"x" + bytes(39 - at) for at in range(40)]
    keys += [b"c/%d/%d" % (i, j) for i in range(30) for j in range(30)]
    names = [
        (key, inner, layout) for key in keys for inner in (None, 0, 1, 2**40) for layout in (0, 1, 2**63)
    ]
    for number, (key, inner, layout) in enumerate(names):
        cache.put(key, b"%d" % number, inner=inner, layout=layout)
    assert len(cache) == len(set(names)) == len(names)
    for number, (key, inner, layout) in enumerate(names):
        assert cache.get(key, inner=inner, layout=layout) == (b"%d" % number, NONE)


@given(
    st.integers(0, 5),
    st.lists(
        st.tuples(st.sampled_from(["put", "absent", "get", "drop", "stale", "clear"]), st.integers(0, 7)),
        max_size=60,
    ),
)
def test_it_is_a_dictionary_that_forgets_the_least_recently_used(
    room: int, steps: list[tuple[str, int]]
) -> None:
    # Chunks of one size; what is not stored takes less room, but is one chunk of the model too.
    cache, model = ChunkCache(room * (own_nbytes() + 1000)), OrderedDict[int, bytes]()
    evicted = 0
    for number, (step, key) in enumerate(steps):
        name = b"c/%d" % key
        if step == "put":
            data = (b"%d" % number).ljust(1000)
            cache.put(name, data)
            model.pop(key, None)
            if room:
                while len(model) >= room:
                    model.popitem(last=False)
                    evicted += 1
                model[key] = data
        elif step == "get":
            found = cache.get(name)
            assert (None if found is None else found[0]) == model.get(key)
            if key in model:
                model.move_to_end(key)
        elif step == "stale":
            assert cache.get(name, 9) is None
            model.pop(key, None)
        elif step in ("drop", "absent"):
            cache.drop(name)
            model.pop(key, None)
        else:
            cache.clear()
            model.clear()
        assert len(cache) == len(model)
        assert cache.look()[2] == evicted
        assert cache.look()[4] == len(model) * (own_nbytes() + 1000)


def test_memory_is_bounded_whatever_the_sizes() -> None:
    cache = ChunkCache(100_000)
    for number in range(500):
        cache.put(b"%d" % number, bytes(number * 97 % 5000))
        assert cache.look()[4] <= 100_000
    assert cache.look()[2] == 500 - len(cache) > 0
    assert cache.get(b"499") is not None


def test_absent_chunks_are_bounded_too() -> None:
    cache = ChunkCache(100_000)
    for number in range(10_000):
        cache.put(b"%d" % number, None)
    assert 100 < len(cache) < 1000


def test_a_chunk_above_the_bound_is_not_kept_and_nothing_goes_for_it() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", b"1")
    most = 10_000 - own_nbytes()
    assert cache.takes(most)
    assert not cache.takes(most + 1)
    cache.put(b"b", bytes(most + 1))
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    cache.put(b"b", bytes(most))
    assert cache.get(b"b") is not None
    assert cache.get(b"a") is None


def test_what_does_not_fit_any_more_leaves_nothing_old() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", b"old")
    cache.put(b"a", bytes(20_000))
    assert cache.get(b"a") is None


@pytest.mark.parametrize("nbytes", [0, 1, 100])
def test_a_cache_without_room_keeps_nothing(nbytes: int) -> None:
    cache = ChunkCache(nbytes)
    cache.put(b"a", b"")
    cache.put(b"b", None)
    assert cache.look() == (0, 0, 0, 0, 0, nbytes)
    assert not cache.takes(0)


def test_clearing_forgets_chunks_and_keeps_the_counts() -> None:
    cache = ChunkCache(10_000)
    cache.put(b"a", b"1")
    cache.get(b"a")
    cache.get(b"b")
    cache.clear()
    assert cache.look() == (1, 1, 0, 0, 0, 10_000)


def test_threads_find_whole_chunks_or_none() -> None:
    cache, stop, wrong = ChunkCache(60_000), threading.Event(), []
    sizes = (10, 1000, 9000)

    def work(seed: int) -> None:
        for i in range(count(2000)):
            number = (seed * 7919 + i * 31) % 40
            key, size = b"%d" % number, sizes[number % 3]
            found = cache.get(key, i % 2)
            if found is not None and found[0] != bytes([number]) * size:
                wrong.append(number)
            cache.put(key, bytes([number]) * size, i % 2)
            if i % 97 == 0:
                cache.clear()
        stop.set()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.look()[4] <= 60_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_while_the_parents_threads_are_at_work() -> None:
    cache, stop = ChunkCache(50_000), threading.Event()

    def work() -> None:
        i = 0
        while not stop.is_set():
            i += 1
            cache.put(b"%d" % (i % 50), bytes(2000))
            cache.get(b"%d" % (i % 31))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count(20)):
            child = os.fork()
            if child == 0:
                cache.put(b"child", b"1")
                cache.clear()
                os._exit(0 if len(cache) == 0 else 1)
            deadline = time.monotonic() + 60
            while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
                assert time.monotonic() < deadline, "the child waits for a lock"
                time.sleep(0.001)
            assert done[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert cache.get(b"child") is None
