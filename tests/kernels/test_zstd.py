"""The zstd kernel against python-zstandard, the stdlib's rules of use, and damage."""

from __future__ import annotations

import os
import struct

import numcodecs
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.damage import (
    assert_every_cut_is_an_error,
    assert_refused_untouched,
    assert_survives,
    resident_nbytes,
)
from tests.kernels.samples import BUFFERS, SHORT, contents
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors, worker

LEVELS = (-131072, -100, *range(-7, 23))
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"notes"


@given(data=contents(), level=st.sampled_from((-131072, -5, 0, 1, 3, 9)), checksum=st.booleans())
def test_decode_undoes_encode(data: bytes, level: int, checksum: bool) -> None:
    kernel = compressors.zstd(level, checksum)
    assert kernel.decode(kernel.encode(data), len(data)) == data


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_read_by_zstandard(level: int) -> None:
    encoded = compressors.zstd(level).encode(BUFFERS["smooth"])
    assert zstandard.ZstdDecompressor().decompress(encoded) == BUFFERS["smooth"]


@pytest.mark.parametrize("level", [-131073, 23])
def test_a_level_out_of_range_is_a_value_error(level: int) -> None:
    with pytest.raises(ValueError, match=r"\[-131072, 22\]"):
        compressors.zstd(level)


@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
@pytest.mark.parametrize("checksum", [False, True])
def test_frames_carry_their_content_size_and_the_checksum_if_asked(data: bytes, checksum: bool) -> None:
    parameters = zstandard.get_frame_parameters(compressors.zstd(3, checksum).encode(data))
    assert parameters.content_size == len(data)
    assert parameters.has_checksum is checksum


@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
def test_frames_of_others_decode(data: bytes) -> None:
    kernel = compressors.zstd()
    for frame in (
        zstandard.ZstdCompressor(7, write_checksum=True).compress(data),
        zstandard.ZstdCompressor(1, write_content_size=False).compress(data),
        numcodecs.Zstd(5).encode(data),
    ):
        assert kernel.decode(frame, len(data)) == data


@pytest.mark.parametrize("data", BUFFERS.values(), ids=BUFFERS)
def test_a_frame_without_content_size_decodes_to_an_unknown_length(data: bytes) -> None:
    stream = zstandard.ZstdCompressor(3, write_content_size=False).compressobj()
    frame = stream.compress(data) + stream.flush()
    assert zstandard.get_frame_parameters(frame).content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert compressors.zstd().decode(frame, 1 << 20, exact=False) == data


def test_several_frames_and_skippable_ones_decode_as_one_content() -> None:
    kernel = compressors.zstd(1)
    frames = (
        SKIPPABLE
        + kernel.encode(b"one, ")
        + SKIPPABLE
        + kernel.encode(b"")
        + kernel.encode(b"two")
        + SKIPPABLE
    )
    assert kernel.decode(frames, 8) == b"one, two"
    assert kernel.decode(SKIPPABLE, 0) == b""


def test_nothing_is_no_frame() -> None:
    with pytest.raises(CorruptChunkError, match="end too early: no zstd frame"):
        compressors.zstd().decode(b"", 0)


def test_a_frame_cut_anywhere_is_an_error() -> None:
    kernel = compressors.zstd(3, True)
    assert_every_cut_is_an_error(kernel, kernel.encode(SHORT), len(SHORT))


def test_a_cut_frame_says_so() -> None:
    encoded = compressors.zstd().encode(SHORT)
    for end in (1, 4, 7, len(encoded) // 2, len(encoded) - 1):
        with pytest.raises(CorruptChunkError, match="end too early: the zstd frame is cut"):
            compressors.zstd().decode(encoded[:end], len(SHORT))


def test_bytes_after_the_frame_are_an_error() -> None:
    with pytest.raises(CorruptChunkError, match="something else follows"):
        compressors.zstd().decode(compressors.zstd().encode(SHORT) + b"tail", len(SHORT))


def test_a_wrong_checksum_says_so() -> None:
    encoded = bytearray(compressors.zstd(3, True).encode(SHORT))
    encoded[-1] ^= 1
    with pytest.raises(CorruptChunkError, match=r"checksum does not match.*zstd content checksum"):
        compressors.zstd().decode(encoded, len(SHORT))


def test_a_frame_that_needs_a_dictionary_is_refused() -> None:
    samples = [
        f"station {i % 17} temperature {i * 7 % 90} pressure {i * 13 % 1000}".encode() for i in range(4000)
    ]
    dictionary = zstandard.train_dictionary(4096, samples)
    frame = zstandard.ZstdCompressor(3, dict_data=dictionary).compress(samples[0])
    with pytest.raises(CodecError, match="needs a dictionary"):
        compressors.zstd().decode(frame, len(samples[0]))


@pytest.mark.parametrize("wanted", [len(SHORT) - 1, len(SHORT) + 1, 0])
def test_another_length_than_wanted_is_an_error(wanted: int) -> None:
    for kernel, encoded in (
        (compressors.zstd(), compressors.zstd().encode(SHORT)),
        (compressors.zstd(), zstandard.ZstdCompressor(3, write_content_size=False).compress(SHORT)),
    ):
        with pytest.raises(CorruptChunkError):
            kernel.decode(encoded, wanted)


def test_damaged_frames_never_leave_their_buffers() -> None:
    for kernel in (compressors.zstd(3, True), compressors.zstd(-5), compressors.zstd(19)):
        assert_survives(kernel, kernel.encode(SHORT), len(SHORT))


@pytest.mark.parametrize("claim", [1 << 30, 1 << 32, (1 << 64) - 3])
def test_a_frame_that_claims_gigabytes_is_refused_untouched(claim: int) -> None:
    # Magic; an 8-byte content size, a 2^31 window; then blocks that repeat one byte 128 KiB times.
    block = struct.pack("<I", 1 << 1 | (128 << 10) << 3)[:3] + b"x"
    bomb = (b"\x28\xb5\x2f\xfd" + b"\xc0" + b"\xa8" + struct.pack("<Q", claim) + block * 20)[:64]
    assert_refused_untouched(compressors.zstd(), bomb)


def test_a_frame_that_repeats_a_byte_stops_at_the_room_it_has() -> None:
    frame = zstandard.ZstdCompressor(3, write_content_size=False).compress(bytes(64 << 20))
    assert len(frame) < 8192
    with pytest.raises(CorruptChunkError, match="more than the chunk's shape allows"):
        compressors.zstd().decode(frame, 1 << 20)


@pytest.mark.skipif(os.environ.get("ZARRC_SANITIZE") == "1", reason="the sanitizer keeps what is freed")
def test_the_large_context_of_a_high_level_is_not_kept() -> None:
    worker.trim()
    before = resident_nbytes()
    compressors.zstd(22).encode(bytes(24 << 20))
    assert resident_nbytes() - before < 96 << 20


def test_the_bound_holds_and_ends_at_the_format_limit() -> None:
    kernel = compressors.zstd(1)
    assert len(kernel.encode(BUFFERS["noise"])) <= kernel.bound(len(BUFFERS["noise"]))
    with pytest.raises(CodecError, match="larger than the codec's format can hold"):
        kernel.bound((1 << 64) - 1)
