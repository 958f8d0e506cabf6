"""CRC-32C: published values, every level against a bit-by-bit computation, and the codec's kernel."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels.guarded import guarded_like
from tests.soak import count
from zarrc.errors import CorruptChunkError
from zarrc.kernels.checksums import crc32c, crc32c_kernel, crc32c_level

LEVELS = tuple(range(crc32c_level() + 1))

# RFC 3720 (iSCSI), B.4, and the check value of the CRC catalogues.
PUBLISHED = (
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
)


def bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("data", "value"), PUBLISHED)
def test_published_values(level: int, data: bytes, value: int) -> None:
    assert crc32c(data, level=level) == value


@given(st.binary(max_size=100), st.integers(0, 40))
@settings(max_examples=count(1000), deadline=None)
def test_every_level_equals_the_definition(data: bytes, cut: int) -> None:
    data = data[cut:]
    assert {crc32c(data, level=level) for level in LEVELS} == {bit_by_bit(data)}


# Around the lengths at which three streams of 256 bytes, of 4 KiB and of 64 KiB begin.
@pytest.mark.parametrize(
    "nbytes",
    [767, 768, 769, 1535, 1536, 4095, 12287, 12288, 12289, 13056, 24576, 100_003, 196_607, 196_608, 700_001],
)
def test_every_level_agrees_on_long_data(nbytes: int) -> None:
    data = random.Random(nbytes).randbytes(nbytes + 7)
    for start in (0, 1, 7):
        part = memoryview(data)[start : start + nbytes]
        values = {crc32c(part, level=level) for level in LEVELS}
        assert len(values) == 1
        half = nbytes // 3
        assert crc32c(part[half:], crc32c(part[:half])) == values.pop()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("at_end", [True, False])
def test_only_its_own_bytes_are_read(level: int, at_end: bool) -> None:
    for nbytes in (*range(1, 40), 768, 1000, 12288, 12300):
        data = guarded_like(np.zeros(nbytes, np.uint8), at_end=at_end).data
        assert crc32c(data, level=level) == crc32c(bytes(nbytes))


@given(st.binary(max_size=3000))
@settings(max_examples=count(500), deadline=None)
def test_decoding_undoes_encoding(data: bytes) -> None:
    kernel = crc32c_kernel()
    encoded = kernel.encode(data)
    assert encoded == data + crc32c(data).to_bytes(4, "little")
    assert len(encoded) == kernel.bound(len(data))
    assert kernel.decode(encoded, len(data)) == data


@given(st.binary(min_size=1, max_size=300), st.data())
@settings(max_examples=count(500), deadline=None)
def test_a_flipped_bit_is_corrupt(data: bytes, drawn: st.DataObject) -> None:
    encoded = bytearray(crc32c_kernel().encode(data))
    encoded[drawn.draw(st.integers(0, len(encoded) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))
    with pytest.raises(
        CorruptChunkError, match=r"checksum does not match the stored bytes \(codec 'crc32c'\)"
    ):
        crc32c_kernel().decode(bytes(encoded), len(data))


@pytest.mark.parametrize("nbytes", [0, 1, 3])
def test_fewer_than_four_bytes_are_truncated(nbytes: int) -> None:
    with pytest.raises(CorruptChunkError, match="the stored bytes end too early"):
        crc32c_kernel().decode(bytes(nbytes), 0)


def test_more_than_the_chunk_holds_is_corrupt() -> None:
    encoded = crc32c_kernel().encode(bytes(10))
    with pytest.raises(CorruptChunkError, match="more than the chunk's shape allows"):
        crc32c_kernel().decode(encoded, 9)
    with pytest.raises(CorruptChunkError, match="10 bytes decoded where 11 are due"):
        crc32c_kernel().decode(encoded, 11)
