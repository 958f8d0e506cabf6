"""What a call asks of a store in Python, it asks together: reads, changes, chunks of all shapes, shards."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import ZSTD, CountingStore, check_stored, sharded_array
from tests.soak import count
from zarrc.errors import CodecError, StoreError
from zarrc.storage import ByteRange

SHAPE, CHUNKS = (40, 60), (10, 10)
VALUES = np.arange(1, 2401, dtype="i4").reshape(SHAPE)
# No two chunks of it have one shape.
DIFFERENT = ([4, 6, 10, 20], [1, 2, 7, 20, 30])


class GroupStore(CountingStore):
    """Notes how many objects each call had, and can be odd."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.takes = -1

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Any]]:
        self.calls.append(("get", len(requests)))
        yield from super().get_many(requests)

    def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
        n = 0
        for key, data in items:
            if n == self.takes:
                break
            self.set(key, data)
            n += 1
        self.calls.append(("set", n))

    def delete_many(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        super().delete_many(keys)
        self.calls.append(("delete", len(keys)))


def _array(chunks: Any = CHUNKS, *, filled: bool = True, **keywords: Any) -> Any:
    keywords = {"dtype": "i4", "fill_value": 0, **keywords}
    array = zarrc.create_array(GroupStore(), shape=SHAPE, chunks=chunks, **keywords)
    if filled:
        array[...] = VALUES
    _taken(array)
    return array


def _taken(array: Any) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """The calls since this was asked, and how many requests of each kind there were."""
    calls, array.store.calls = array.store.calls, []
    requests = array.store.taken()
    assert len({(deed, key) for deed, key, _ in requests}) == len(requests)
    deeds = [deed for deed, _, _ in requests]
    return calls, {deed: deeds.count(deed) for deed in deeds}


GRIDS = pytest.mark.parametrize(
    ("chunks", "n"), [(CHUNKS, 24), (DIFFERENT, 20)], ids=["one shape", "all different"]
)


@GRIDS
def test_a_read_asks_for_all_chunks_at_once(chunks: Any, n: int) -> None:
    array = _array(chunks)
    np.testing.assert_array_equal(array[...], VALUES)
    assert _taken(array) == ([("get", n)], {"get": n})


@GRIDS
def test_a_full_overwrite_reads_nothing(chunks: Any, n: int) -> None:
    array = _array(chunks)
    array[...] = VALUES + 1
    assert _taken(array) == ([("set", n)], {"set": n})
    np.testing.assert_array_equal(array[...], VALUES + 1)


@GRIDS
def test_changed_chunks_are_read_together_and_written_together(chunks: Any, n: int) -> None:
    array, expected = _array(chunks), VALUES.copy()
    # One element of each chunk, but for those that are one element wide.
    rows = [0, 4, 10, 20] if chunks is DIFFERENT else [0, 10, 20, 30]
    columns = [0, 1, 3, 10, 30] if chunks is DIFFERENT else [*range(0, 60, 10)]
    array.oindex[rows, columns] = -1
    expected[np.ix_(rows, columns)] = -1
    assert _taken(array) == ([("get", n), ("set", n)], {"get": n, "set": n})
    np.testing.assert_array_equal(array[...], expected)


def test_only_chunks_that_are_not_covered_are_read() -> None:
    array, expected = _array(), VALUES.copy()
    array[5:35, 10:50] = expected[5:35, 10:50] = 7
    assert _taken(array) == ([("get", 8), ("set", 16)], {"get": 8, "set": 16})
    np.testing.assert_array_equal(array[...], expected)


def test_chunks_that_become_empty_are_deleted_together() -> None:
    array = _array()
    array[...] = 0
    assert _taken(array) == ([("set", 0), ("delete", 24)], {"delete": 24})
    array[5:35, 10:50] = 0
    assert _taken(array) == ([("get", 8), ("set", 0), ("delete", 16)], {"get": 8, "delete": 16})
    array[5:15, 10:50] = 3
    assert _taken(array) == ([("get", 8), ("set", 8)], {"get": 8, "set": 8})
    expected = np.zeros_like(VALUES)
    expected[5:15, 10:50] = 3
    np.testing.assert_array_equal(array[...], expected)


def test_one_chunk_is_one_get_and_one_set() -> None:
    array = _array()
    array[3, 3] = 5
    assert _taken(array) == ([], {"get": 1, "set": 1})
    array[:10, :10] = 0
    assert _taken(array) == ([], {"delete": 1})


# --- shards


def _sharded(shards: Any = (20, 20), **keywords: Any) -> Any:
    array = sharded_array(GroupStore(), SHAPE, shards, (5, 5), [ZSTD_BYTES, ZSTD], **keywords)
    array[...] = VALUES
    _taken(array)
    return array


ZSTD_BYTES: Any = {"name": "bytes", "configuration": {"endian": "little"}}


def test_changed_shards_are_read_together_and_written_together() -> None:
    array, expected = _sharded(), VALUES.copy()
    array[::20, ::20] = expected[::20, ::20] = -5
    assert _taken(array) == ([("get", 6), ("set", 6)], {"get": 6, "set": 6})
    check_stored(array, expected)
    np.testing.assert_array_equal(array[...], expected)


def test_only_shards_that_are_not_covered_are_read() -> None:
    array, expected = _sharded(), VALUES.copy()
    array[:, 10:50] = expected[:, 10:50] = -5
    assert _taken(array) == ([("get", 4), ("set", 6)], {"get": 4, "set": 6})
    array[:, :20] = expected[:, :20] = -1  # the fill value
    array[20:, 5:40] = expected[20:, 5:40] = -1
    check_stored(array, expected)
    np.testing.assert_array_equal(array[...], expected)


# --- against a store without Python


@st.composite
def _deeds(draw: st.DrawFn) -> list[tuple[Any, int]]:
    """Boxes, with steps, and what they are set to; 0 is the fill value."""
    deeds = []
    for _ in range(draw(st.integers(1, 4))):
        box = []
        for extent in SHAPE:
            start = draw(st.integers(0, extent - 1))
            box.append(slice(start, draw(st.integers(start + 1, extent)), draw(st.sampled_from([1, 1, 3]))))
        deeds.append((tuple(box), draw(st.sampled_from([0, 0, 5, 9]))))
    return deeds


@settings(max_examples=count(60), deadline=None)
@given(
    deeds=_deeds(),
    chunks=st.sampled_from([CHUNKS, DIFFERENT, (7, 60)]),
    threads=st.sampled_from([1, 3]),
    filled=st.booleans(),
    with_empty=st.booleans(),
)
def test_what_is_stored_is_what_a_memory_store_gets(
    deeds: Any, chunks: Any, threads: int, filled: bool, with_empty: bool
) -> None:
    config = {"write_empty_chunks": with_empty}
    with zarrc.config.set({"threading.max_workers": threads}):
        ours = _array(chunks, filled=filled, config=config)
        other = zarrc.create_array(
            zarrc.storage.MemoryStore(), shape=SHAPE, chunks=chunks, dtype="i4", fill_value=0, config=config
        )
        if filled:
            other[...] = VALUES
        for box, value in deeds:
            ours[box] = other[box] = value
            np.testing.assert_array_equal(ours[box], value)
    np.testing.assert_array_equal(ours[...], other[...])
    keys = set(other.store.list_prefix(""))
    assert set(ours.store.list_prefix("")) == keys
    assert all(bytes(ours.store.get(key)) == bytes(other.store.get(key) or b"?") for key in keys)


# --- threads and errors


def test_changes_of_the_same_chunks_by_two_threads_are_all_kept() -> None:
    array = _array()
    rounds = count(40)

    def work(offset: int) -> None:
        for number in range(1, rounds + 1):
            array[offset::10, offset::10] = number

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(work, offset) for offset in range(4)]:
            done.result(timeout=120)
    for offset in range(4):
        assert (array[offset::10, offset::10] == rounds).all()


def test_a_store_that_does_not_take_all_is_an_error() -> None:
    array = _array()
    array.store.takes = 3
    with pytest.raises(StoreError, match="did not take all") as caught:
        array[...] = 8
    assert caught.value.key is not None
    array.store.takes = -1
    array[...] = 8
    np.testing.assert_array_equal(array[...], 8)
    shards = _sharded()
    shards.store.takes = 1
    with pytest.raises(StoreError, match="did not take all"):
        shards[...] = 8


@GRIDS
def test_a_damaged_chunk_among_those_that_are_changed_is_named(chunks: Any, n: int) -> None:
    array = _array(chunks)
    damaged = "c/2/3"
    array.store.objects[damaged] = (b"\0\1\2", 9)
    with pytest.raises(CodecError) as caught:
        array[::2, ::2] = 4
    assert caught.value.key == damaged
    with pytest.raises(CodecError) as caught:
        array[...]
    assert caught.value.key == damaged
    array[...] = 6  # the locks are free again, and a covered chunk is not read
    np.testing.assert_array_equal(array[...], 6)


def test_chunks_are_encoded_while_others_are_taken() -> None:
    """Of 4 MiB chunks two are encoded ahead at first, not all."""
    taken = threading.Event()
    values = np.ones(8 << 20, "u1")

    class Changing(GroupStore):
        def set_many(self, items: Iterable[tuple[str, Any]]) -> None:
            for number, (key, data) in enumerate(items):
                if number == 0:
                    values[-(1 << 20) :] = 2
                    taken.set()
                self.set(key, data)

    array = zarrc.create_array(
        Changing(), shape=values.shape, chunks=(1 << 20,), dtype="u1", codecs=[{"name": "bytes"}]
    )
    with zarrc.config.set({"threading.max_workers": 2}):
        array[...] = values
    assert taken.is_set()
    assert array[-1] == 2


def test_changes_of_large_chunks_are_in_memory_a_few_at_a_time() -> None:
    nbytes = 24 << 20
    store = GroupStore()
    array = zarrc.create_array(store, shape=(6 * nbytes,), chunks=(nbytes,), dtype="u1", fill_value=0)
    store.calls.clear()
    with zarrc.config.set({"threading.max_workers": 2}):
        array[::nbytes] = 1
    assert store.calls == [("get", 2), ("set", 2)] * 3
