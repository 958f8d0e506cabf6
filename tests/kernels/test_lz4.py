"""The lz4 kernel (numcodecs' form) against numcodecs, and damage."""

from __future__ import annotations

import struct

import numcodecs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.damage import assert_every_cut_is_an_error, assert_refused_untouched, assert_survives
from tests.kernels.samples import BUFFERS, SHORT, contents
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors

KERNEL = compressors.lz4(1)


@given(data=contents(), acceleration=st.sampled_from((-1, 0, 1, 7, 1000, 2**31 - 1)))
def test_decode_undoes_encode(data: bytes, acceleration: int) -> None:
    kernel = compressors.lz4(acceleration)
    assert kernel.decode(kernel.encode(data), len(data)) == data


@pytest.mark.parametrize("acceleration", [1, 10, 500])
@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
def test_numcodecs_and_we_read_each_other(data: bytes, acceleration: int) -> None:
    theirs = numcodecs.LZ4(acceleration)
    encoded = compressors.lz4(acceleration).encode(data)
    assert KERNEL.decode(theirs.encode(data), len(data)) == data
    if data:  # numcodecs does not read the empty block that it writes
        assert theirs.decode(encoded) == data


def test_the_length_comes_first_then_a_block() -> None:
    assert KERNEL.encode(b"") == b"\0\0\0\0\0"
    assert KERNEL.encode(b"abc") == b"\3\0\0\0" + b"\x30abc"


@pytest.mark.parametrize("acceleration", [2**31, -(2**31) - 1])
def test_an_acceleration_out_of_range_is_a_value_error(acceleration: int) -> None:
    with pytest.raises(ValueError, match="lz4 acceleration must be in"):
        compressors.lz4(acceleration)


def test_more_than_the_format_holds_is_refused() -> None:
    assert KERNEL.bound(0x7E000000) > 0x7E000000
    with pytest.raises(CodecError, match="larger than the codec's format can hold"):
        KERNEL.bound(0x7E000001)


def test_a_block_cut_anywhere_is_an_error() -> None:
    assert_every_cut_is_an_error(KERNEL, KERNEL.encode(SHORT), len(SHORT))


def test_a_cut_block_says_so() -> None:
    for cut in (b"", b"\0\0\0\0"):
        with pytest.raises(CorruptChunkError, match="end too early: the LZ4 block is cut"):
            KERNEL.decode(cut, 0)
    with pytest.raises(CorruptChunkError, match="the LZ4 block is damaged or cut"):
        KERNEL.decode(KERNEL.encode(SHORT)[:-1], len(SHORT))


@pytest.mark.parametrize("wanted", [0, len(SHORT) - 1, len(SHORT) + 1])
def test_another_length_than_wanted_is_an_error(wanted: int) -> None:
    with pytest.raises(CorruptChunkError):
        KERNEL.decode(KERNEL.encode(SHORT), wanted)


@pytest.mark.parametrize("claim", [len(SHORT) - 1, len(SHORT) + 1, 0])
def test_a_length_in_front_that_lies_is_an_error(claim: int) -> None:
    block = KERNEL.encode(SHORT)[4:]
    with pytest.raises(CorruptChunkError):
        KERNEL.decode(struct.pack("<I", claim) + block, len(SHORT))
    with pytest.raises(CorruptChunkError):
        KERNEL.decode(struct.pack("<I", claim) + block, claim)


@pytest.mark.parametrize("claim", [1 << 30, 1 << 31, 0xFFFFFFFF])
def test_a_block_that_claims_gigabytes_is_refused_untouched(claim: int) -> None:
    assert_refused_untouched(KERNEL, struct.pack("<I", claim) + b"\x1fx\1\0" + b"\xff" * 56)


def test_damaged_blocks_never_leave_their_buffers() -> None:
    for data in (SHORT, BUFFERS["period 3"][:3000]):
        assert_survives(KERNEL, KERNEL.encode(data), len(data))
