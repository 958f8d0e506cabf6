"""The edges of the format: byte orders, fills, shapes and chunks, against NumPy and the stored bytes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from zarrc.codecs import BitroundCodec, BytesCodec, GzipCodec, TransposeCodec

SIGNED_NAN = np.array(complex(float("nan"), 0.02), "c8")


def _store(kind: str) -> Any:
    return zarrc.storage.MemoryStore() if kind == "memory" else {}


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    shape = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=4)))
    ndim = len(shape)
    codecs: list[Any] = []
    for _ in range(draw(st.integers(0, 2))):
        codecs.append(TransposeCodec(order=tuple(draw(st.permutations(range(ndim))))))
    codecs.append(BytesCodec(endian=draw(st.sampled_from(["little", "big"]))))
    codecs += [GzipCodec(level=1)] * draw(st.integers(0, 1))
    return {
        "shape": shape,
        "chunks": tuple(draw(st.integers(1, 9)) for _ in shape),
        "codecs": codecs,
        "dtype": draw(st.sampled_from(["u1", "i2", "f4", "f8", "c16"])),
        "fill_value": draw(st.sampled_from([0, 1])),
    }


@given(cases(), st.data(), st.sampled_from(["memory", "mapping"]))
def test_transposed_chunks_in_either_byte_order_read_and_change_as_numpy(
    case: Any, data: Any, kind: str
) -> None:
    array = zarrc.create_array(_store(kind), **case)
    expected = np.full(case["shape"], case["fill_value"], case["dtype"])
    rng = np.random.default_rng(3)
    for _ in range(3):
        bound = st.none() | st.integers(-9, 9)
        key = tuple(
            data.draw(st.builds(slice, bound, bound, st.none() | st.integers(-4, 4).filter(bool)))
            for _ in case["shape"]
        )
        value = rng.integers(0, 3, expected[key].shape).astype(case["dtype"])
        expected[key] = value
        array[key] = value
        np.testing.assert_array_equal(array[...], expected)
        np.testing.assert_array_equal(array[key], value)


@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_bitround_rounds_alike_in_either_byte_order(endian: str, kind: str) -> None:
    values = np.random.default_rng(2).normal(size=(5, 7)).astype("f4")
    codecs = [
        TransposeCodec(order=(1, 0)),
        BitroundCodec(keepbits=5),
        BytesCodec(endian=endian),
        GzipCodec(level=1),
    ]
    array = zarrc.create_array(_store(kind), shape=(5, 7), chunks=(3, 4), dtype="f4", codecs=codecs)
    array[...] = values
    rounded = array[...]
    np.testing.assert_allclose(rounded, values, rtol=2**-6)
    assert (rounded.view("u4") & (2**18 - 1) == 0).all()
    array[1:4, 2:5] = values[1:4, 2:5]
    np.testing.assert_array_equal(array[...], rounded)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i8", ">c16"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("fill_value", [None, 0, 1])
def test_v2_chunks_have_the_array_s_order_and_byte_order(dtype: str, order: str, fill_value: Any) -> None:
    store: dict[str, bytes] = {}
    array = zarrc.create_array(
        store,
        shape=(5, 3),
        chunks=(2, 2),
        dtype=dtype,
        zarr_format=2,
        order=order,
        fill_value=fill_value,
        compressors=None,
    )
    blank = 0 if fill_value is None else fill_value
    np.testing.assert_array_equal(array[...], np.full((5, 3), blank, dtype))
    values = np.arange(2, 17).reshape(5, 3).astype(dtype)
    array[...] = values
    found = array[...]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, values)
    chunk = np.frombuffer(store["1.0"], dtype).reshape((2, 2), order=order)
    np.testing.assert_array_equal(chunk, values[2:4, :2])
    edge = np.frombuffer(store["2.1"], dtype).reshape((2, 2), order=order)
    np.testing.assert_array_equal(edge, [[16, blank], [blank, blank]])
    array[...] = blank
    chunks = {key for key in store if key[0].isdigit()}
    assert bool(chunks) == (fill_value is None)  # without a fill value no chunk is empty


@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_a_chunk_is_fill_only_if_its_bits_are(kind: str) -> None:
    store = _store(kind)
    array = zarrc.create_array(store, shape=(6,), chunks=(2,), dtype="c8", fill_value=SIGNED_NAN[()])
    other = np.array(complex(float("nan"), 0.03), "c8")[()]
    array[...] = [SIGNED_NAN[()]] * 2 + [other] * 2 + [np.nan, 0]
    found = array[...]
    assert found[:2].tobytes() == SIGNED_NAN.tobytes() * 2
    assert found[2:4].tobytes() == other.tobytes() * 2
    assert [store.get(f"c/{i}") is not None for i in range(3)] == [False, True, True]
    array[2:4] = SIGNED_NAN[()]
    assert store.get("c/1") is None
    minus = zarrc.create_array(_store(kind), shape=(2,), chunks=(2,), dtype="f4", fill_value=0.0)
    minus[...] = -0.0
    assert np.signbit(minus[...]).all()


@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_empty_chunks_are_stored_where_the_array_says_so(kind: str) -> None:
    store = _store(kind)
    config = {"write_empty_chunks": True}
    array = zarrc.create_array(store, shape=(3,), chunks=(2,), dtype="i4", fill_value=7, config=config)
    array[...] = 7
    assert store.get("c/0") is not None
    assert store.get("c/1") is not None
    zarrc.open_array(store, mode="r+")[1] = 7
    assert store.get("c/0") is None, "judged anew by a handle that does not say so"
    assert (array[...] == 7).all()


@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_an_edge_chunk_is_fill_if_the_part_inside_the_array_is(kind: str) -> None:
    store = _store(kind)
    array = zarrc.create_array(store, shape=(5, 5), chunks=(4, 4), dtype="i4", fill_value=2)
    array[...] = 1
    array[4, :] = 2
    assert store.get("c/1/0") is None
    assert store.get("c/1/1") is None
    assert store.get("c/0/1") is not None


@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_an_array_of_32_dimensions(kind: str) -> None:
    shape = (2,) * 4 + (1,) * 27 + (3,)
    codecs = [TransposeCodec(order=tuple(range(32))[::-1]), BytesCodec(endian="big")]
    array = zarrc.create_array(
        _store(kind), shape=shape, chunks=(2, 1) * 15 + (1, 2), dtype="i4", codecs=codecs
    )
    values = np.arange(48, dtype="i4").reshape(shape)
    array[...] = values
    np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[::-1, ..., ::-2], values[::-1, ..., ::-2])
    assert array[(1,) * 4 + (0,) * 27 + (2,)] == 47
    widest = (slice(None),) * 32 + (None,) * 32
    assert array[widest].shape == shape + (1,) * 32
    with pytest.raises(IndexError):
        array[(*widest, None)]


@pytest.mark.parametrize("shape", [(2**40,), (2**62, 2**62), (2**63 - 1,), (2**40, 0, 4)])
@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_a_huge_array_costs_what_is_selected(shape: tuple[int, ...], kind: str) -> None:
    array = zarrc.create_array(_store(kind), shape=shape, chunks=(10,) * len(shape), dtype="f4", fill_value=1)
    if 0 in shape:
        array[...] = 5
        assert array[:3, :, :2].shape == (3, 0, 2)
        return
    last = (-1,) * len(shape)
    array[last] = 5
    assert array[last] == 5
    tail = array[(slice(-3, None),) * len(shape)]
    assert tail.sum() == tail.size + 4
    ends = array[(slice(None, None, shape[0] - 1),) * len(shape)]
    assert ends.shape == (2,) * len(shape)
    assert ends[last] == 5
    assert array[(slice(None, None, -(shape[0] - 1)),) * len(shape)][(0,) * len(shape)] == 5
    with pytest.raises((MemoryError, ValueError)):
        array[(slice(0, 2**61),) * len(shape)] if shape[0] > 2**61 else array[...]


def test_a_chunk_beyond_memory_is_an_error_not_a_crash() -> None:
    store = zarrc.storage.MemoryStore()
    array = zarrc.create_array(store, shape=(2**40,), chunks=(2**60,), dtype="u1", codecs=[{"name": "bytes"}])
    assert array[5] == 0
    with pytest.raises(MemoryError):
        array[5] = 1
    store.set("c/0", b"short")
    with pytest.raises(ValueError, match="length"):
        array[5]


@pytest.mark.parametrize("kind", ["memory", "mapping"])
def test_a_chunk_larger_than_its_array_is_stored_whole(kind: str) -> None:
    store = _store(kind)
    array = zarrc.create_array(
        store, shape=(3,), chunks=(8,), dtype="u2", codecs=[{"name": "bytes"}], fill_value=9
    )
    array[...] = [1, 2, 3]
    expected = np.array([1, 2, 3, 9, 9, 9, 9, 9], (sys.byteorder == "little" and "<u2") or ">u2")
    assert bytes(store.get("c/0") if kind == "memory" else store["c/0"]) == expected.tobytes()
    np.testing.assert_array_equal(array[::-1], [3, 2, 1])


def test_results_have_the_order_that_was_asked_for() -> None:
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(), shape=(4, 6), chunks=(3, 4), dtype="f4", config={"order": "F"}
    )
    values = np.random.default_rng(0).random((4, 6)).astype("f4")
    array[...] = values
    for key in (..., (slice(1, 4), slice(None, None, 2)), (slice(None), slice(None), None)):
        found = array[key]
        assert found.flags.f_contiguous
        np.testing.assert_array_equal(found, values[key])
