"""What waits in a buffered block is NumPy's; another reader checks what is stored at its end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.shards import BYTES, CountingStore, check_stored, sharded_array
from tests.engine.test_shard_selections import (
    KINDS,
    LOCAL_CONFIGS,
    Sharded,
    make_store,
    sharded_layouts,
    thoroughly,
)
from tests.soak import count
from tests.strategies import Layout, basic_selections, broadcastable_shapes, layouts, random_values, seeds

LIMITS = (2**28, 2**28, 2**28, 0, 1, 200, 5000)
Values = npt.NDArray[Any]


def _same(found: Any, expected: Any) -> None:
    assert found.shape == expected.shape
    assert np.asarray(found).astype(expected.dtype).tobytes() == np.asarray(expected).tobytes()


def _values(data: st.DataObject, shape: tuple[int, ...], dtype: Any, fill: Any) -> Any:
    values = random_values(shape, dtype, data.draw(seeds()))
    if data.draw(st.integers(0, 3)) == 0:
        values[...] = fill
    if shape == () and values.dtype.kind != "V" and data.draw(st.booleans()):
        return values[()]
    return values


def _some_writes_and_reads(data: st.DataObject, array: Any, expected: Values) -> None:
    for _ in range(data.draw(st.integers(1, 5))):
        selection = data.draw(st.just(...) | basic_selections(array.shape))
        selected = expected[selection]
        if isinstance(selected, np.void):
            continue
        shape = () if isinstance(selected, np.generic) else data.draw(broadcastable_shapes(selected.shape))
        values = _values(data, shape, expected.dtype, 0 if array.fill_value is None else array.fill_value)
        array[selection] = values
        expected[selection] = values
        if data.draw(st.booleans()):
            continue
        selection = data.draw(st.just(...) | basic_selections(array.shape))
        wanted = expected[selection]
        if isinstance(wanted, np.ndarray) and data.draw(st.booleans()):
            _read_into_strides(array, selection, wanted)
        else:
            _same(array[selection], wanted)


def _read_into_strides(array: Any, selection: Any, wanted: Values) -> None:
    frame = random_values(tuple(2 * n + 1 for n in wanted.shape), array.dtype, 7)
    after = frame.copy()
    box = tuple(slice(0, 2 * n, 2) for n in wanted.shape)
    array.get_basic_selection(selection, out=frame[(*box, ...)])
    after[(*box, ...)] = wanted
    assert frame.tobytes() == after.tobytes()


@settings(thoroughly, max_examples=count(1500))
@given(data=st.data(), layout=sharded_layouts(), kind=st.sampled_from(KINDS), limit=st.sampled_from(LIMITS))
def test_sharded_arrays_are_numpys_inside_the_block_and_after_it(
    tmp_path: Path, data: st.DataObject, layout: Sharded, kind: str, limit: int
) -> None:
    if layout.rounded:
        return  # what waits is not rounded yet
    array = layout.create(make_store(kind, tmp_path), data.draw(st.sampled_from(("", "a/b"))))
    if kind == "local":
        array = array.with_config({**layout.config, **data.draw(st.sampled_from(LOCAL_CONFIGS))})
    expected = np.full(array.shape, array.fill_value, array.dtype).astype(array.dtype.newbyteorder("="))
    if data.draw(st.booleans()):
        array[...] = expected[...] = random_values(array.shape, expected.dtype, data.draw(seeds()))
    for _ in range(2):
        with array.buffered(limit) as waiting:
            _some_writes_and_reads(data, array, expected)
            assert waiting.nbytes <= limit
        _same(array[...], expected)
        check_stored(
            array,
            expected,
            gaps=array.config.shard_update == "append",
            with_empty=layout.config.get("write_empty_chunks", False),
        )


@settings(max_examples=count(800))
@given(
    data=st.data(), layout=layouts(), kind=st.sampled_from(("memory", "local")), limit=st.sampled_from(LIMITS)
)
def test_arrays_without_shards_are_numpys_inside_the_block_and_after_it(
    tmp_path: Path, data: st.DataObject, layout: Layout, kind: str, limit: int
) -> None:
    store = tempfile.mkdtemp(dir=tmp_path) if kind == "local" else zarrc.storage.MemoryStore()
    array: Any = zarrc.create_array(store, **layout.arguments())
    fill = 0 if array.fill_value is None else array.fill_value
    expected = np.full(array.shape, fill, array.dtype).astype(array.dtype.newbyteorder("="))
    with array.buffered(limit) as waiting:
        _some_writes_and_reads(data, array, expected)
        assert waiting.nbytes <= limit
    _same(array[...], expected)
    _same(zarrc.open_array(array.store, path=array.path)[...], expected)


@pytest.mark.parametrize("casting", ["no", "equiv", "checked"])
def test_a_big_endian_array_without_fill_value_takes_parts_under_every_casting(casting: Any) -> None:
    array: Any = zarrc.create_array(
        shape=(5, 7),
        chunks=(2, 3),
        dtype=">f4",
        zarr_format=2,
        fill_value=None,
        order="F",
        config={"casting": casting},
    )
    assert array.fill_value is None
    with array.buffered():
        array[1:4, ::2] = np.full((3, 4), 1.5, ">f4")
        assert array[1, :3].tolist() == [1.5, 0, 1.5]
        assert array[1:3].dtype == np.dtype(">f4")
    assert array[:, 0].tolist() == [0, 1.5, 1.5, 1.5, 0]


# --- the bound


def test_past_the_bound_the_shard_that_was_not_written_to_for_longest_goes() -> None:
    store = CountingStore()
    array = sharded_array(store, (6, 4), (2, 4), (1, 4), [BYTES])
    chunk = 4 * 5  # elements of 4 bytes, and a byte for which of them
    with array.buffered(2 * chunk) as waiting:
        array[0, 0] = 1
        array[2, 0] = 2
        assert waiting.nbytes == 2 * chunk
        array[0, 1] = 3  # the first shard is the last one now
        assert store.taken() == []
        array[4, 0] = 4
        assert waiting.nbytes == 2 * chunk
        assert [key for deed, key, _ in store.taken() if deed == "set"] == ["c/1/0"]
        array[1, 0] = 5
        assert [key for deed, key, _ in store.taken() if deed == "set"] == ["c/2/0"]
    assert [key for deed, key, _ in store.taken() if deed == "set"] == ["c/0/0"]
    assert array[:, 0].tolist() == [1, 5, 2, -1, 4, -1]


def test_what_a_write_meets_is_bounded_too_not_only_its_values() -> None:
    array = sharded_array({}, (1000, 1000), (1000, 1000), (100, 100), [BYTES])
    with array.buffered(10**6) as waiting:
        array[5, 5] = 7
        array[::100, ::100] = 1  # 400 bytes of values, in all chunks
        assert waiting.nbytes == 0
        assert zarrc.open_array(array.store)[5, 5] == 7
        array[50, 50] = 2
        assert waiting.nbytes == 50_000
    assert array[0, :300].tolist() == ([1] + [-1] * 99) * 3


def test_a_large_write_passes_through_after_what_waits() -> None:
    store = CountingStore()
    array = sharded_array(store, (40,), (10,), (5,), [BYTES])
    with array.buffered(200) as waiting:
        array[0:12] = 1
        assert waiting.nbytes == 75
        store.taken()
        array[10:40] = 2
        assert waiting.nbytes == 0
        deeds = [(deed, key) for deed, key, _ in store.taken() if deed == "set"]
        assert deeds == [("set", f"c/{i}") for i in (0, 1, 1, 2, 3)]
        array[11] = 3
    assert array[...].tolist() == [1] * 10 + [2, 3] + [2] * 28


def test_with_no_room_nothing_waits() -> None:
    store = CountingStore()
    array = sharded_array(store, (8,), (4,), (2,), [BYTES])
    with array.buffered(0) as waiting:
        array[1] = 1
        assert waiting.nbytes == 0
        assert [deed for deed, _, _ in store.taken()][-1] == "set"
        array[:0] = 1
    assert array[...].tolist() == [-1, 1, *[-1] * 6]


# --- requests


@pytest.mark.parametrize("n_writes", [1, 7, 64])
def test_each_shard_is_written_once(n_writes: int) -> None:
    store = CountingStore()
    array = sharded_array(store, (64, 64), (32, 32), (4, 4), [BYTES])
    with array.buffered():
        for i in range(n_writes):
            array[i, i] = i
            array[63 - i, i] = i
        assert store.taken() == []
    sets = [key for deed, key, _ in store.taken() if deed == "set"]
    assert len(sets) == len(set(sets)) == {1: 2, 7: 2, 64: 4}[n_writes]


def test_parts_of_many_inner_chunks_are_read_with_few_requests() -> None:
    store = CountingStore()
    array = sharded_array(store, (64, 64), (64, 64), (4, 4), [BYTES])
    array[...] = expected = np.arange(64 * 64, dtype="i4").reshape(64, 64)
    store.taken()
    with array.buffered():
        for i in range(64):
            array[i, i] = expected[i, i] = -i
    gets = [key for deed, key, _ in store.taken() if deed == "get"]
    assert len(gets) <= 3
    assert (array[...] == expected).all()


def test_whole_chunks_of_a_shard_that_is_not_there_are_not_read_one_by_one() -> None:
    store = CountingStore()
    array = sharded_array(store, (16,), (16,), (4,), [BYTES])
    with array.buffered():
        for i in range(16):
            array[i] = i
    assert [deed for deed, _, _ in store.taken()].count("get") <= 1
    assert array[...].tolist() == list(range(16))


# --- what is missing or damaged


def test_a_missing_chunk_that_waits_is_not_missing() -> None:
    array = sharded_array({}, (8,), (4,), (2,), [BYTES], config={"read_missing_chunks": False})
    with array.buffered():
        array[0:2] = [1, 2]
        assert array[0:2].tolist() == [1, 2]
        array[4:8] = 3
        assert array[4:8].tolist() == [3] * 4
        with pytest.raises(zarrc.errors.ChunkNotFoundError):
            array[2:4]
    assert array[0:2].tolist() == [1, 2]


def test_a_damaged_inner_chunk_that_was_replaced_meanwhile_is_read() -> None:
    crc = {"name": "crc32c"}
    array = sharded_array({}, (8,), (8,), (4,), [BYTES, crc])
    array[...] = range(8)
    blob = bytearray(array.store.get("c/0"))
    blob[0] ^= 1
    array.store.set("c/0", bytes(blob))
    with array.buffered():
        array[0:4] = [9, 8, 7, 6]
        assert array[...].tolist() == [9, 8, 7, 6, 4, 5, 6, 7]
        array[4] = 1
    assert array[...].tolist() == [9, 8, 7, 6, 1, 5, 6, 7]


def test_a_part_of_a_damaged_inner_chunk_is_an_error_that_says_where() -> None:
    array = sharded_array({}, (8,), (4,), (2,), [BYTES, {"name": "crc32c"}], name="a/b")
    array[...] = range(8)
    blob = bytearray(array.store.get("a/b/c/0"))
    blob[0] ^= 1
    array.store.set("a/b/c/0", bytes(blob))
    block = array.buffered()
    block.__enter__()
    array[0] = 1
    array[5] = 50
    with pytest.raises(zarrc.errors.CorruptChunkError, match=r"inner chunk \(0,\)") as caught:
        block.__exit__(None, None, None)
    assert (caught.value.array, caught.value.key) == ("a/b", "a/b/c/0")
    assert bytes(array.store.get("a/b/c/0")) == bytes(blob)
    assert array[4:].tolist() == [4, 50, 6, 7]


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_an_inner_chunk_between_those_that_are_written_to_does_not_matter(fault: str) -> None:
    config = {"read_missing_chunks": False}
    array = sharded_array(CountingStore(), (8,), (8,), (2,), [BYTES, {"name": "crc32c"}], config=config)
    array[...] = [0, 1, -1, -1, 4, 5, 6, 7] if fault == "missing" else range(8)
    if fault == "damaged":
        blob = bytearray(array.store.get("c/0"))
        blob[12] ^= 1
        array.store.set("c/0", bytes(blob))
    with array.buffered():
        array[0] = 10
        array[5] = 50
    assert array[0:2].tolist() == [10, 1]
    assert array[4:].tolist() == [4, 50, 6, 7]
    with pytest.raises((zarrc.errors.ChunkNotFoundError, zarrc.errors.CorruptChunkError)):
        array[2]
