"""Encoding and decoding one chunk through the codecs' Python side and their kernels."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zarrc.codecs import (
    BitroundCodec,
    BloscCodec,
    BytesBytesCodec,
    BytesCodec,
    ChunkSpec,
    Crc32cCodec,
    GzipCodec,
    Lz4Codec,
    TransposeCodec,
    UnknownCodec,
    ZlibCodec,
    ZstdCodec,
)
from zarrc.errors import CodecError, CorruptChunkError

SPEC = ChunkSpec((16,), np.dtype("f4"))

COMPRESSORS: tuple[BytesBytesCodec, ...] = (
    GzipCodec(level=1),
    ZlibCodec(level=-1),
    ZstdCodec(level=-5, checksum=True),
    Lz4Codec(),
    Lz4Codec(acceleration=2**31 - 1),
    Crc32cCodec(),
    *(
        BloscCodec(cname=cname, shuffle=shuffle)
        for cname in ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
        for shuffle in ("noshuffle", "shuffle", "bitshuffle", None)
    ),
)


@pytest.mark.parametrize("codec", COMPRESSORS, ids=repr)
@given(data=st.binary(max_size=300) | st.binary(max_size=40).map(lambda part: part * 100))
def test_decoding_undoes_encoding(codec: BytesBytesCodec, data: bytes) -> None:
    encoded = codec.encode(data, SPEC)
    assert codec.decode(encoded, SPEC, len(data)) == data
    assert codec.decode(encoded, SPEC) == data


@pytest.mark.parametrize("codec", COMPRESSORS, ids=repr)
def test_another_size_than_due_is_corrupt(codec: BytesBytesCodec) -> None:
    encoded = codec.encode(bytes(64), SPEC)
    for nbytes in (0, 63, 65):
        with pytest.raises(CorruptChunkError) as caught:
            codec.decode(encoded, SPEC, nbytes)
        assert caught.value.codec


@pytest.mark.parametrize("codec", COMPRESSORS, ids=repr)
def test_a_cut_stream_is_corrupt(codec: BytesBytesCodec) -> None:
    encoded = codec.encode(bytes(range(64)), SPEC)
    for cut in (0, 1, len(encoded) // 2, len(encoded) - 1):
        with pytest.raises(CorruptChunkError):
            codec.decode(encoded[:cut], SPEC, 64)


def test_the_standard_library_reads_gzip_and_zlib() -> None:
    assert gzip.decompress(GzipCodec().encode(b"abc" * 99, SPEC)) == b"abc" * 99
    assert zlib.decompress(ZlibCodec().encode(b"abc" * 99, SPEC)) == b"abc" * 99
    assert GzipCodec().decode(gzip.compress(b"abc") + gzip.compress(b"def"), SPEC, 6) == b"abcdef"


def test_crc32c_is_four_bytes_behind() -> None:
    # The check value of CRC-32C, of "123456789", is 0xE3069283.
    assert Crc32cCodec().encode(b"123456789", SPEC) == b"123456789" + bytes.fromhex("839206e3")


@given(
    hnp.arrays(
        st.sampled_from(["?", "u1", "i2", "f4", "f8", "c8", "c16"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    st.sampled_from(["little", "big"]),
)
def test_bytes_are_the_elements_in_c_order(data: Any, endian: Any) -> None:
    spec = ChunkSpec(data.shape, data.dtype)
    codec = BytesCodec(endian=endian).with_spec(spec)
    encoded = codec.encode(data, spec)
    assert encoded == data.astype(data.dtype.newbyteorder(endian)).tobytes()
    decoded = codec.decode(encoded, spec)
    assert decoded.dtype == data.dtype
    assert decoded.flags.writeable
    assert decoded.shape == data.shape
    assert decoded.tobytes() == data.tobytes()


def test_bytes_of_another_length_are_corrupt() -> None:
    for nbytes in (0, 63, 65):
        with pytest.raises(CorruptChunkError, match=f"{nbytes} bytes where 64 are due .codec 'bytes'"):
            BytesCodec().decode(bytes(nbytes), SPEC)


@given(hnp.arrays("i4", hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)), st.randoms())
def test_transpose_is_numpys(data: Any, random: Any) -> None:
    order = list(range(data.ndim))
    random.shuffle(order)
    codec, spec = TransposeCodec(order=tuple(order)), ChunkSpec(data.shape, data.dtype)
    encoded = codec.encode(data, spec)
    assert np.array_equal(encoded, np.transpose(data, order))
    assert encoded.shape == codec.resolve(spec).shape
    assert np.array_equal(codec.decode(encoded, spec), data)


@pytest.mark.parametrize(
    ("dtype", "keepbits", "value", "rounded"),
    [
        ("f4", 3, 1.2345678, 1.25),
        ("f4", 23, 1.2345678, 1.2345678),
        ("f4", 100, 1.2345678, 1.2345678),
        ("f8", 1, 1.75, 2.0),
        ("f2", 1, 1.25, 1.0),
        ("f4", 1, np.inf, np.inf),
        ("c8", 3, 1.2345678 + 9.9j, 1.25 + 10j),
        ("u1", 2, 0b1011, 0b1100),
        ("i2", 1, 5, 4),
    ],
)
def test_bitround_keeps_the_leading_bits(dtype: str, keepbits: int, value: Any, rounded: Any) -> None:
    data = np.full((2, 3), value, dtype)
    spec = ChunkSpec(data.shape, data.dtype)
    codec = BitroundCodec(keepbits=keepbits)
    encoded = codec.encode(data[::-1, ::-1], spec)
    assert encoded.shape == data.shape
    assert encoded.dtype == data.dtype
    assert np.array_equal(encoded, np.full((2, 3), rounded, dtype))
    assert codec.decode(encoded, spec) is encoded


def test_bitround_takes_an_empty_and_a_0d_chunk() -> None:
    codec = BitroundCodec(keepbits=3)
    assert codec.encode(np.empty((0, 2), "f4"), ChunkSpec((0, 2), np.dtype("f4"))).shape == (0, 2)
    assert codec.encode(np.array(1.2345678, "f4"), ChunkSpec((), np.dtype("f4"))) == np.float32(1.25)


def test_a_codec_in_python_needs_no_kernel() -> None:
    class Flip(BytesBytesCodec):
        name = "flip"

        def encode(self, data: Any, spec: ChunkSpec) -> bytes:
            return bytes(255 - byte for byte in data)

        def decode(self, data: Any, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
            return self.encode(data, spec)

    assert Flip().kernel(SPEC) is None
    assert Flip().decode(Flip().encode(b"abc", SPEC), SPEC) == b"abc"


def test_a_codec_without_anything_says_so() -> None:
    class Nothing(BytesBytesCodec):
        name = "nothing"

    with pytest.raises(CodecError, match="neither a kernel nor encode and decode"):
        Nothing().encode(b"", SPEC)


def test_an_unknown_codec_passes_through_and_never_writes() -> None:
    codec = UnknownCodec('{"name": "nope"}', name="nope")
    assert codec.decode(b"abc", SPEC) == b"abc"
    with pytest.raises(CodecError, match=r"can be read but not written \(codec 'nope'"):
        codec.encode(b"abc", SPEC)
