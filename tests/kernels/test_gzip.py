"""The gzip kernel against the standard library, and damage."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numcodecs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.damage import assert_every_cut_is_an_error, assert_refused_untouched, assert_survives
from tests.kernels.samples import BUFFERS, SHORT, contents
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors

KERNEL = compressors.gzip(5)


def member(content: bytes, flags: int, *fields: bytes) -> bytes:
    """A gzip member with optional header fields."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(content) + deflate.flush()
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + b"".join(fields)
    return header + body + struct.pack("<II", zlib.crc32(content), len(content))


@given(data=contents(), level=st.integers(-1, 9))
def test_decode_undoes_encode(data: bytes, level: int) -> None:
    kernel = compressors.gzip(level)
    assert kernel.decode(kernel.encode(data), len(data)) == data


@pytest.mark.parametrize("level", range(-1, 10))
@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
def test_the_standard_library_and_we_read_each_other(data: bytes, level: int) -> None:
    encoded = compressors.gzip(level).encode(data)
    assert gzip.decompress(encoded) == data
    assert KERNEL.decode(gzip.compress(data, max(level, 0)), len(data)) == data
    assert KERNEL.decode(numcodecs.GZip(max(level, 0)).encode(data), len(data)) == data


@pytest.mark.parametrize("level", [-2, 10])
def test_a_level_out_of_range_is_a_value_error(level: int) -> None:
    with pytest.raises(ValueError, match="gzip level must be in"):
        compressors.gzip(level)


def test_equal_input_gives_equal_bytes() -> None:
    assert KERNEL.encode(SHORT) == KERNEL.encode(SHORT)


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_several_members_decode_as_one_content(parts: list[bytes]) -> None:
    content = b"".join(parts)
    assert KERNEL.decode(b"".join(map(gzip.compress, parts)), len(content)) == content


def test_an_unknown_length_is_found() -> None:
    encoded = gzip.compress(bytes(500_000)) * 2
    assert KERNEL.decode(encoded, 1 << 24, exact=False) == bytes(1_000_000)


def test_optional_header_fields_are_skipped() -> None:
    header = b"\x1f\x8b\x08\x02\0\0\0\0\0\xff"
    extra = struct.pack("<H", 6) + b"ab\x02\0zz"
    for encoded in (
        member(SHORT, 0x04, extra),
        member(SHORT, 0x08, b"file.txt\0"),
        member(SHORT, 0x10, b"a remark\0"),
        member(SHORT, 0x02, struct.pack("<H", zlib.crc32(header) & 0xFFFF)),
        member(SHORT, 0x1C, extra, b"file.txt\0", b"\0"),
    ):
        assert gzip.decompress(encoded) == SHORT
        assert KERNEL.decode(encoded, len(SHORT)) == SHORT


def test_a_wrong_header_checksum_says_so() -> None:
    with pytest.raises(CorruptChunkError, match="crc16 of the gzip header"):
        KERNEL.decode(member(SHORT, 0x02, b"\0\0"), len(SHORT))


def test_a_named_file_decodes() -> None:
    stream = io.BytesIO()
    with gzip.GzipFile("chunk", "wb", 9, stream) as file:
        file.write(SHORT)
    assert KERNEL.decode(stream.getvalue(), len(SHORT)) == SHORT


def test_zeros_after_the_last_member_are_padding() -> None:
    assert KERNEL.decode(KERNEL.encode(SHORT) + bytes(512), len(SHORT)) == SHORT


def test_other_bytes_after_the_last_member_are_an_error() -> None:
    for tail in (b"tail", bytes(5) + b"x", b"\x1f"):
        with pytest.raises(CorruptChunkError):
            KERNEL.decode(KERNEL.encode(SHORT) + tail, len(SHORT))


@pytest.mark.parametrize(
    ("position", "what"), [(-8, "crc32 of the gzip member"), (-1, "length of the gzip member")]
)
def test_a_wrong_trailer_says_which_part(position: int, what: str) -> None:
    encoded = bytearray(KERNEL.encode(SHORT))
    encoded[position] ^= 0x10
    with pytest.raises(CorruptChunkError, match=f"checksum does not match.*{what}"):
        KERNEL.decode(encoded, len(SHORT))


def test_a_member_cut_anywhere_is_an_error() -> None:
    encoded = member(SHORT, 0x1C, b"\x01\0x", b"name\0", b"remark\0")
    assert_every_cut_is_an_error(KERNEL, encoded, len(SHORT))
    assert_every_cut_is_an_error(KERNEL, KERNEL.encode(SHORT), len(SHORT))


def test_a_cut_header_or_trailer_says_so() -> None:
    encoded = KERNEL.encode(SHORT)
    for cut, what in (
        (b"", "header"),
        (encoded[:9], "header"),
        (encoded[:-1], "trailer"),
        (encoded[:-8], "trailer"),
    ):
        with pytest.raises(CorruptChunkError, match=f"end too early: the gzip {what} is cut"):
            KERNEL.decode(cut, len(SHORT))


def test_what_is_no_gzip_says_so() -> None:
    with pytest.raises(CorruptChunkError, match="not a gzip member"):
        KERNEL.decode(zlib.compress(SHORT), len(SHORT))
    with pytest.raises(CodecError, match="method or flags"):
        KERNEL.decode(member(SHORT, 0x80), len(SHORT))


def test_a_damaged_body_says_so() -> None:
    encoded = bytearray(KERNEL.encode(SHORT))
    encoded[10] |= 0x06  # a block of the reserved type
    with pytest.raises(CorruptChunkError, match="the deflate stream is damaged or cut"):
        KERNEL.decode(encoded, len(SHORT))


@pytest.mark.parametrize("wanted", [0, len(SHORT) - 1, len(SHORT) + 1])
def test_another_length_than_wanted_is_an_error(wanted: int) -> None:
    with pytest.raises(CorruptChunkError):
        KERNEL.decode(KERNEL.encode(SHORT), wanted)


def test_damaged_members_never_leave_their_buffers() -> None:
    for kernel in (compressors.gzip(0), compressors.gzip(1), compressors.gzip(9)):
        assert_survives(kernel, kernel.encode(SHORT) + kernel.encode(b""), len(SHORT))


def test_a_member_that_claims_gigabytes_is_refused_untouched() -> None:
    # 56 bytes of a megabyte of zeros, and a trailer that says 4 GiB - 1.
    bomb = gzip.compress(bytes(1 << 20))[:56] + struct.pack("<II", 0, 0xFFFFFFFF)
    assert_refused_untouched(KERNEL, bomb)


def test_a_member_stops_at_the_room_it_has() -> None:
    with pytest.raises(CorruptChunkError, match="more than the chunk's shape allows"):
        KERNEL.decode(gzip.compress(bytes(16 << 20)), 1 << 16)


def test_the_bound_holds() -> None:
    assert len(compressors.gzip(0).encode(BUFFERS["noise"])) <= KERNEL.bound(len(BUFFERS["noise"]))
