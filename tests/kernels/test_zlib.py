"""The zlib kernel against the standard library, and damage."""

from __future__ import annotations

import zlib

import numcodecs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.damage import assert_every_cut_is_an_error, assert_refused_untouched, assert_survives
from tests.kernels.samples import BUFFERS, SHORT, contents
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors

KERNEL = compressors.zlib(1)


@given(data=contents(), level=st.integers(-1, 9))
def test_decode_undoes_encode(data: bytes, level: int) -> None:
    kernel = compressors.zlib(level)
    assert kernel.decode(kernel.encode(data), len(data)) == data


@pytest.mark.parametrize("level", range(-1, 10))
@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
def test_the_standard_library_and_we_read_each_other(data: bytes, level: int) -> None:
    assert zlib.decompress(compressors.zlib(level).encode(data)) == data
    assert KERNEL.decode(zlib.compress(data, level), len(data)) == data
    assert KERNEL.decode(numcodecs.Zlib(level).encode(data), len(data)) == data


@pytest.mark.parametrize("level", [-2, 10])
def test_a_level_out_of_range_is_a_value_error(level: int) -> None:
    with pytest.raises(ValueError, match="zlib level must be in"):
        compressors.zlib(level)


@pytest.mark.parametrize("window_bits", range(9, 16))
def test_every_window_size_decodes(window_bits: int) -> None:
    stream = zlib.compressobj(6, zlib.DEFLATED, window_bits)
    encoded = stream.compress(BUFFERS["smooth"]) + stream.flush()
    assert KERNEL.decode(encoded, len(BUFFERS["smooth"])) == BUFFERS["smooth"]


def test_a_wrong_checksum_says_so() -> None:
    encoded = bytearray(KERNEL.encode(SHORT))
    encoded[-1] ^= 1
    with pytest.raises(CorruptChunkError, match=r"checksum does not match.*adler32"):
        KERNEL.decode(encoded, len(SHORT))


def test_a_stream_cut_anywhere_is_an_error() -> None:
    assert_every_cut_is_an_error(KERNEL, KERNEL.encode(SHORT), len(SHORT))


def test_a_cut_header_or_trailer_says_so() -> None:
    encoded = KERNEL.encode(SHORT)
    for cut, what in ((b"", "header"), (encoded[:1], "header"), (encoded[:-1], "trailer")):
        with pytest.raises(CorruptChunkError, match=f"end too early: the zlib {what} is cut"):
            KERNEL.decode(cut, len(SHORT))


def test_what_is_no_zlib_says_so() -> None:
    with pytest.raises(CorruptChunkError, match="not a zlib stream"):
        KERNEL.decode(compressors.gzip(1).encode(SHORT), len(SHORT))


def test_a_stream_that_needs_a_dictionary_is_refused() -> None:
    stream = zlib.compressobj(zdict=b"temperature")
    with pytest.raises(CodecError, match="needs a dictionary"):
        KERNEL.decode(stream.compress(b"temperature") + stream.flush(), 11)


def test_bytes_after_the_stream_are_an_error_unless_zero() -> None:
    assert KERNEL.decode(KERNEL.encode(SHORT) + bytes(9), len(SHORT)) == SHORT
    with pytest.raises(CorruptChunkError, match="something else follows"):
        KERNEL.decode(KERNEL.encode(SHORT) + b"tail", len(SHORT))


@pytest.mark.parametrize("wanted", [0, len(SHORT) - 1, len(SHORT) + 1])
def test_another_length_than_wanted_is_an_error(wanted: int) -> None:
    with pytest.raises(CorruptChunkError):
        KERNEL.decode(KERNEL.encode(SHORT), wanted)


def test_damaged_streams_never_leave_their_buffers() -> None:
    for kernel in (compressors.zlib(0), compressors.zlib(1), compressors.zlib(9)):
        assert_survives(kernel, kernel.encode(SHORT), len(SHORT))


def test_a_stream_with_more_than_there_is_room_for_is_refused_untouched() -> None:
    assert_refused_untouched(KERNEL, zlib.compress(bytes(64 << 20))[:64])
    with pytest.raises(CorruptChunkError, match="more than the chunk's shape allows"):
        KERNEL.decode(zlib.compress(bytes(16 << 20)), 1 << 16)
