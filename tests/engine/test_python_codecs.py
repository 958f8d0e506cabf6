"""Codecs written in Python: arrays go through them, whole or in part, and their mistakes are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.codecs import register_codec
from zarrc.codecs.base import ArrayArrayCodec, ArrayBytesCodec, BytesBytesCodec, ChunkSpec
from zarrc.errors import CodecError, ZarrcError


@dataclass(frozen=True)
class NegateCodec(ArrayArrayCodec):
    """Gives a view that is neither in native byte order nor in C order: the next codec must not see that."""

    name = "tests.negate"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return np.array(-data, spec.dtype.newbyteorder(">"), order="F")

    def decode(self, data: Any, spec: ChunkSpec) -> Any:
        assert data.dtype.isnative
        assert data.flags.c_contiguous
        return -data


@dataclass(frozen=True)
class WidenCodec(ArrayArrayCodec):
    """Changes the data type that the next codec sees."""

    name = "tests.widen"

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(spec.shape, np.dtype("f8"), None if spec.fill is None else spec.fill.astype("f8"))

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return data.astype("f8")

    def decode(self, data: Any, spec: ChunkSpec) -> Any:
        return data.astype(spec.dtype)


@dataclass(frozen=True)
class BigEndianCodec(ArrayBytesCodec):
    name = "tests.big"

    def encode(self, data: Any, spec: ChunkSpec) -> bytes:
        return bytes(data.astype(spec.dtype.newbyteorder(">")).tobytes())

    def decode(self, data: Any, spec: ChunkSpec) -> Any:
        return np.frombuffer(data, spec.dtype.newbyteorder(">")).reshape(spec.shape)


@dataclass(frozen=True)
class FlipCodec(BytesBytesCodec):
    name = "tests.flip"
    v2_id = "tests.flip"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return bytearray(np.frombuffer(data, "u1") ^ 0x55)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        return bytes(np.frombuffer(data, "u1") ^ 0x55)

    def to_v2_json(self) -> dict[str, Any]:
        return {"id": "tests.flip"}

    @classmethod
    def from_v2_json(cls, configuration: Any, reading: Any = None) -> FlipCodec:
        return cls()


@dataclass(frozen=True)
class FaultyCodec(BytesBytesCodec):
    """Gives or raises what the test put into ``result``."""

    name = "tests.faulty"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return _answer("encode", data)

    def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> Any:
        return _answer("decode", data)


@dataclass(frozen=True)
class FaultyArrayCodec(ArrayArrayCodec):
    name = "tests.faulty_array"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return _answer("encode", data)

    def decode(self, data: Any, spec: ChunkSpec) -> Any:
        return _answer("decode", data)


FAULTS: dict[str, Any] = {}

for _codec in (NegateCodec, WidenCodec, BigEndianCodec, FlipCodec, FaultyCodec, FaultyArrayCodec):
    register_codec(_codec)


def _answer(direction: str, data: Any) -> Any:
    fault = FAULTS.get(direction, data)
    if isinstance(fault, BaseException):
        raise fault
    return fault


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    FAULTS.clear()
    yield
    FAULTS.clear()


CHAINS = [
    ["tests.negate", "bytes"],
    ["tests.widen", "tests.negate", "bytes", "zstd"],
    ["tests.big"],
    ["bytes", "tests.flip", "crc32c"],
    ["transpose", "tests.negate", "tests.big", "tests.flip", "gzip"],
]
SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((7, 5), (3, 4)),
    ((0, 3), (1, 2)),
    ((3,), (10,)),
    ((4, 1, 6), (2, 1, 6)),
]


def _store(kind: str, folder: Path) -> Any:
    stores: dict[str, Any] = {
        "memory": zarrc.storage.MemoryStore(),
        "local": str(folder / "array"),
        "mapping": {},
    }
    return stores[kind]


def _named(names: list[str], ndim: int) -> list[dict[str, Any]]:
    order = {"order": list(range(ndim))[::-1]}
    return [
        {"name": name, "configuration": order} if name == "transpose" else {"name": name} for name in names
    ]


@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
@pytest.mark.parametrize(("shape", "chunks"), SHAPES)
@pytest.mark.parametrize("names", CHAINS, ids="+".join)
def test_what_is_written_is_read(
    kind: str, shape: Any, chunks: Any, names: list[str], tmp_path: Path
) -> None:
    array = zarrc.create_array(
        _store(kind, tmp_path),
        shape=shape,
        chunks=chunks,
        dtype="f4",
        codecs=_named(names, len(shape)),
        fill_value=3,
    )
    np.testing.assert_array_equal(array[...], np.full(shape, 3, "f4"))
    expected = np.asarray(np.random.default_rng(1).random(shape), "f4")
    array[...] = expected
    np.testing.assert_array_equal(array[...], expected)
    part = tuple(slice(None, None, -2) for _ in shape) or (...,)
    expected[part] *= 2
    array[part] = expected[part]
    np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(array[part], expected[part])


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">c16", "|i1"])
def test_a_v2_compressor_in_python_keeps_the_stored_byte_order(dtype: str) -> None:
    store: dict[str, bytes] = {}
    array = zarrc.create_array(
        store, shape=(5,), chunks=(3,), dtype=dtype, zarr_format=2, compressors=FlipCodec(), order="F"
    )
    values = np.arange(1, 6).astype(dtype)
    array[...] = values
    array[1:4] = values[1:4]
    found = array[...]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, values)
    stored = np.frombuffer(store["0"], "u1") ^ 0x55
    np.testing.assert_array_equal(np.frombuffer(stored.tobytes(), dtype), values[:3])


def _faulty(kind: str, folder: Path, names: list[str]) -> Any:
    return zarrc.create_array(
        _store(kind, folder), shape=(8,), chunks=(4,), dtype="i4", codecs=_named(names, 1), fill_value=-1
    )


BYTES = ["bytes", "tests.faulty"]
ARRAYS = ["tests.faulty_array", "bytes"]
BAD_ANSWERS: list[tuple[list[str], Any]] = [
    (BYTES, 5),
    (BYTES, None),
    (BYTES, "text"),
    (BYTES, RuntimeError("boom")),
    (ARRAYS, None),
    (ARRAYS, [1, 2, 3]),
    (ARRAYS, np.zeros(5, "i4")),
    (ARRAYS, np.zeros((2, 2), "i4")),
    (ARRAYS, np.zeros(4, "i8")),
    (ARRAYS, np.zeros(4, "f4")),
    (ARRAYS, ZeroDivisionError("boom")),
]


@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
@pytest.mark.parametrize("direction", ["encode", "decode"])
@pytest.mark.parametrize(("names", "answer"), BAD_ANSWERS, ids=repr)
def test_a_codec_that_gives_nonsense_is_an_error_that_names_it(
    kind: str, direction: str, names: list[str], answer: Any, tmp_path: Path
) -> None:
    array = _faulty(kind, tmp_path, names)
    array[...] = np.arange(8)
    FAULTS[direction] = answer
    call = partial(array.__setitem__, ..., 7) if direction == "encode" else partial(array.__getitem__, ...)
    with pytest.raises(CodecError) as caught:
        call()
    error = caught.value
    assert error.codec in (*names, "bytes")
    assert error.key in ("c/0", "c/1")
    assert error.array == array.path
    if direction == "encode":
        with pytest.raises(CodecError):
            array[1:2] = 7
    FAULTS.clear()
    np.testing.assert_array_equal(array[...], np.arange(8))
    array[1:7] = 5
    np.testing.assert_array_equal(array[...], [0, 5, 5, 5, 5, 5, 5, 7])


@pytest.mark.parametrize("kind", ["memory", "local", "mapping"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("none left"), SystemExit(3)], ids=repr)
def test_what_is_no_fault_of_a_codec_passes_through_it(
    kind: str, error: BaseException, tmp_path: Path
) -> None:
    array = _faulty(kind, tmp_path, BYTES)
    array[...] = np.arange(8)
    for direction in ("encode", "decode"):
        FAULTS[direction] = error
        with pytest.raises(type(error)) as caught:
            array[2:3] = 7
        assert not isinstance(caught.value, ZarrcError)
        FAULTS.clear()
        np.testing.assert_array_equal(array[...], np.arange(8))


@pytest.mark.parametrize(("names", "n"), [(["bitround"], 9), (["crc32c"], 40)], ids=repr)
def test_a_chain_may_be_longer_than_compiled_code_has_room_for(names: list[str], n: int) -> None:
    bitrounds = [{"name": "bitround", "configuration": {"keepbits": 8}}] * (n if names == ["bitround"] else 0)
    checksums = [{"name": "crc32c"}] * (n if names == ["crc32c"] else 0)
    array = zarrc.create_array(
        zarrc.storage.MemoryStore(),
        shape=(6,),
        chunks=(4,),
        dtype="f4",
        codecs=[*bitrounds, {"name": "bytes"}, *checksums],
    )
    array[...] = np.arange(6)
    array[1:5] = np.arange(1, 5)
    np.testing.assert_array_equal(array[...], np.arange(6))
