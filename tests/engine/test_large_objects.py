"""Objects of memory stores that are made where they stay, on their own pages, some filled past the caches."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.children import run_module
from tests.soak import count
from tests.strategies import slices
from zarrc.codecs import BytesCodec, TransposeCodec

SHAPE = (150, 90, 110)
# Chunks of 1.1 MB and of 2.9 MB: on both sides of what has huge pages, and past the array's edges.
CHUNKS = ((64, 64, 64), (100, 90, 80))


@given(data=st.data())
@settings(max_examples=count(60), deadline=None)
def test_what_was_written_is_read_whatever_the_layout(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(("f4", "i4"))))
    array = zarrc.create_array(
        shape=SHAPE,
        chunks=data.draw(st.sampled_from(CHUNKS)),
        dtype=dtype,
        fill_value=0,
        filters=data.draw(st.sampled_from((None, [TransposeCodec(order=(2, 0, 1))]))),
        serializer=BytesCodec(endian=data.draw(st.sampled_from(("little", "big")))),
        compressors=data.draw(st.sampled_from((None, [{"name": "crc32c"}]))),
        config={"write_empty_chunks": data.draw(st.booleans())},
    )
    expected = np.zeros(SHAPE, dtype)
    for number in range(1, 4):
        selection = tuple(data.draw(slices(n) | st.just(slice(None))) for n in SHAPE)
        values = _values(data, expected[selection].shape, dtype, number)
        array[selection] = values
        expected[selection] = values
    np.testing.assert_array_equal(array[...], expected)


def _values(data: st.DataObject, shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> Any:
    """Values at any alignment, in any order, now and then nothing but fill."""
    if data.draw(st.integers(0, 3)) == 0:
        return np.zeros(shape, dtype)
    memory = np.random.default_rng(seed).integers(0, 100, int(np.prod(shape)) + 1, "i4").view("u1")
    offset = data.draw(st.integers(0, 3))
    order = data.draw(st.sampled_from("CF"))
    values = np.ndarray(shape, "i4", memory.data, offset, order=order)
    return values if dtype.kind == "i" else (values % 1000).astype(dtype)


@pytest.mark.parametrize("codecs", [["bytes"], ["bytes", "crc32c"]], ids="+".join)
def test_a_damaged_large_object_stays_what_it_is(codecs: list[str]) -> None:
    array = zarrc.create_array(
        shape=(6 << 20,), chunks=(3 << 20,), dtype="u1", codecs=[{"name": codec} for codec in codecs]
    )
    array[...] = 7
    damaged = bytes(array.store.get("c/1"))[:-1]
    array.store.set("c/1", damaged)
    with pytest.raises(zarrc.errors.CorruptChunkError, match="key 'c/1'"):
        array[1:-1] = 8
    assert bytes(array.store.get("c/1")) == damaged
    array[...] = 9
    assert (array[...] == 9).all()


def test_objects_that_are_replaced_and_removed_stay_whole_for_those_who_hold_them() -> None:
    array = zarrc.create_array(
        shape=(3 << 20,), chunks=(3 << 20,), dtype="u1", compressors=None, fill_value=0
    )
    held = []
    for value in range(1, 6):
        array[...] = value
        held.append(memoryview(array.store.get("c/0")))
    array[...] = 0
    assert array.nchunks_initialized == 0
    for value, view in enumerate(held, start=1):
        assert view.readonly
        assert (np.frombuffer(view, "u1") == value).all()


def _noise(share: float, nbytes: int) -> Any:
    """Bytes that compress to about this share of their number."""
    values = np.zeros(nbytes, "u1")
    values[: int(share * nbytes)] = np.random.default_rng(1).integers(0, 256, int(share * nbytes), "u1")
    return values


CHAINS: tuple[list[Any], ...] = (
    [{"name": "zstd"}],
    [{"name": "numcodecs.lz4"}, {"name": "crc32c"}],
    [{"name": "crc32c"}, {"name": "gzip"}, {"name": "crc32c"}, {"name": "crc32c"}],
    [{"name": "zstd"}, {"name": "crc32c"}, {"name": "numcodecs.lz4"}],
)


@pytest.mark.parametrize("codecs", CHAINS, ids=lambda codecs: "+".join(one["name"] for one in codecs))
def test_large_encoded_chunks_are_the_bytes_that_other_stores_get(codecs: list[Any]) -> None:
    nbytes = 4 << 20
    plain: dict[str, bytes] = {}
    arrays = [
        zarrc.create_array(
            store, shape=6 * nbytes, chunks=nbytes, dtype="u1", codecs=[{"name": "bytes"}, *codecs]
        )
        for store in (plain, zarrc.storage.MemoryStore())
    ]
    # From those that leave most of a page of 2 MiB unused to those that are longer than the chunk.
    data = np.concatenate([_noise(share, nbytes) for share in (1, 0.9, 0.4, 0.45, 0.05, 0.7)])
    for array in arrays:
        array[...] = data
        array[3 * nbytes + 5 : 4 * nbytes] = data[5:nbytes]
    for key, content in plain.items():
        assert bytes(arrays[1].store.get(key)) == bytes(content)
    data[3 * nbytes + 5 : 4 * nbytes] = data[5:nbytes]
    np.testing.assert_array_equal(arrays[1][...], data)


@pytest.mark.skipif("ZARRC_SANITIZE" in os.environ, reason="AddressSanitizer's own memory is in the way")
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
@pytest.mark.parametrize("share", [0.001, 0.2, 0.48, 0.55, 0.8])
def test_encoded_chunks_take_little_more_memory_than_their_bytes(share: float) -> None:
    assert float(run_module("tests.engine.programs.stored_memory", str(share))) < 1.4
