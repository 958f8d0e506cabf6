"""Decoding a part of a chunk: the same bytes as from the whole, for no more work than it takes."""

from __future__ import annotations

import struct

import numcodecs
import numcodecs.blosc
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kernels.damage import cuts, flips, garbage
from tests.kernels.guarded import guarded_like
from tests.kernels.samples import BUFFERS, SHORT, contents, smooth
from tests.soak import count
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import checksums, compressors
from zarrc.kernels.chain import Chain
from zarrc.kernels.codec import CodecKernel

BLOSC = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
FRAMES = BUFFERS["smooth"] * 4  # several blocks of a zstd frame
PLAIN = {
    "crc32c": checksums.crc32c_kernel(),
    "zstd": compressors.zstd(1),
    "zstd with checksum": compressors.zstd(1, True),
    "gzip": compressors.gzip(1),
    "zlib": compressors.zlib(1),
    "lz4": compressors.lz4(1),
    "snappy": compressors.snappy(),
}


def assert_ranges(chain: Chain, encoded: bytes, content: bytes, choice: st.DataObject) -> None:
    """Some ranges of a chunk, and the ends of it, are the same part of its content."""
    n = len(content)
    middle = choice.draw(st.integers(0, n))
    ranges = ((middle, choice.draw(st.integers(middle, n))), (0, middle), (middle, n), (middle, middle))
    for first, end in ranges:
        assert chain.decode_range(encoded, first, end) == content[first:end]


@given(
    cname=st.sampled_from(BLOSC),
    shuffle=st.sampled_from((0, 1, 2)),
    typesize=st.sampled_from((1, 2, 3, 4, 7, 8, 12, 16, 17, 32, 255)),
    blocksize=st.sampled_from((0, 128, 1000, 4096, 5000, 1 << 16)),
    content=contents(),
    choice=st.data(),
)
def test_a_range_is_the_same_part_of_the_whole(
    cname: str, shuffle: int, typesize: int, blocksize: int, content: bytes, choice: st.DataObject
) -> None:
    chain = Chain([compressors.blosc(cname, 3, shuffle, typesize, blocksize)], len(content))
    assert_ranges(chain, chain.encode(content), content, choice)


@given(
    cname=st.sampled_from(("blosclz", "lz4", "zstd")),
    shuffle=st.sampled_from((0, 1, 2)),
    typesize=st.sampled_from((1, 2, 4, 7, 8, 16, 20)),
    mode=st.sampled_from(("NEVER", "ALWAYS", "FORWARD_COMPAT")),
    content=contents(),
    choice=st.data(),
)
def test_a_range_of_what_c_blosc_writes(
    cname: str, shuffle: int, typesize: int, mode: str, content: bytes, choice: st.DataObject
) -> None:
    content += bytes(-len(content) % typesize or (0 if content else typesize))
    # c-blosc can be made to split these, and does not read them then.
    assume(mode != "ALWAYS" or (typesize <= 16 and len(content) >= 128 * typesize))
    elements = np.frombuffer(content, f"V{typesize}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLOSC_SPLITMODE", mode)
        encoded = numcodecs.blosc.compress(elements, cname.encode(), 5, shuffle, 0)
        # c-blosc remembers the last mode that it was given.
        patch.setenv("BLOSC_SPLITMODE", "FORWARD_COMPAT")
        numcodecs.blosc.compress(b"1", b"lz4", 5, 0, 0)
    assert_ranges(Chain([compressors.blosc()], len(content)), encoded, content, choice)


@given(
    outer=st.lists(st.sampled_from(sorted(PLAIN)), max_size=2),
    inner=st.sampled_from(sorted(PLAIN)),
    content=st.one_of(contents(), st.just(FRAMES)),
    choice=st.data(),
)
def test_a_range_through_a_chain(outer: list[str], inner: str, content: bytes, choice: st.DataObject) -> None:
    chain = Chain([PLAIN[name] for name in (inner, *outer)], len(content))
    assert_ranges(chain, chain.encode(content), content, choice)


@given(content=contents(), choice=st.data())
def test_a_range_of_an_empty_chain(content: bytes, choice: st.DataObject) -> None:
    assert_ranges(Chain([], len(content)), content, content, choice)


def test_every_range_of_a_small_block() -> None:
    content = smooth(70).tobytes()[:277]
    for shuffle in (0, 1, 2):
        for typesize in (1, 2, 4, 8, 3):
            chain = Chain([compressors.blosc("lz4", 9, shuffle, typesize, 128)], len(content))
            encoded = chain.encode(content)
            for first in range(len(content) + 1):
                for end in range(first, len(content) + 1):
                    assert chain.decode_range(encoded, first, end) == content[first:end]


@pytest.mark.parametrize("content", [bytes(9000), b"ab" * 4500, b"abcdefg" * 1300, bytes(range(31)) * 300])
def test_lz4_matches_of_every_distance_are_followed(content: bytes) -> None:
    chain = Chain([PLAIN["lz4"]], len(content))
    encoded = chain.encode(content)
    for end in (1, 13, 100, 4097, 6000):
        assert chain.decode_range(encoded, 0, end) == content[:end]


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("bits", [False, True])
@given(typesize=st.integers(1, 40) | st.sampled_from((64, 255)), n=st.integers(1, 700), choice=st.data())
def test_the_filters_are_undone_at_every_simd_level(
    level: int, bits: bool, typesize: int, n: int, choice: st.DataObject
) -> None:
    n_elements = -(-n // 8) * 8 if bits else n
    elements = np.random.default_rng(n).integers(0, 256, (n_elements, typesize)).astype(np.uint8)
    planes = np.ascontiguousarray(elements.T)
    if bits:
        rows = np.unpackbits(planes[:, None, :], axis=1, bitorder="little")
        planes = np.packbits(rows, axis=2, bitorder="little").reshape(typesize, n_elements)
    nbytes = elements.size
    start = choice.draw(st.integers(0, nbytes - 1))
    stop = choice.draw(st.integers(start + 1, nbytes))
    for first, end in ((start, stop), (0, nbytes)):
        out = bytearray(end - first)
        compressors.blosc_unfilter(guarded_like(planes), first, end, out, bits=bits, level=level)
        assert out == elements.tobytes()[first:end]


def test_a_range_does_not_decode_other_blocks() -> None:
    content = BUFFERS["smooth"]
    chain = Chain([compressors.blosc("zstd", 5, 1, 4, 4096)], len(content))
    encoded = bytearray(chain.encode(content))
    starts = struct.unpack_from("<3i", encoded, 16)
    encoded[starts[0] : starts[1]] = bytes(starts[1] - starts[0])
    assert chain.decode_range(encoded, 4096, 8192) == content[4096:8192]
    with pytest.raises(CorruptChunkError):
        chain.decode_range(encoded, 4095, 8192)


@pytest.mark.parametrize("name", ["zstd with checksum", "gzip", "zlib", "crc32c"])
def test_all_that_a_checksum_covers_is_checked(name: str) -> None:
    chain = Chain([PLAIN[name]], len(FRAMES))
    encoded = bytearray(chain.encode(FRAMES))
    encoded[-2] ^= 1
    with pytest.raises(CorruptChunkError, match="checksum"):
        chain.decode_range(encoded, 5, 6)


@pytest.mark.parametrize("name", ["zstd", "lz4", "snappy", "gzip", "zlib"])
@pytest.mark.parametrize("difference", [-1, 1, 300_000])
def test_a_chunk_of_another_length_is_an_error(name: str, difference: int) -> None:
    chain = Chain([PLAIN[name]], len(FRAMES) + difference)
    with pytest.raises(CorruptChunkError):
        chain.decode_range(PLAIN[name].encode(FRAMES), 5, 6)


def test_a_blosc_chunk_of_another_length_is_an_error() -> None:
    with pytest.raises(CorruptChunkError, match="another length than the chunk's shape needs"):
        Chain([compressors.blosc()], 99).decode_range(compressors.blosc().encode(bytes(100)), 5, 6)


def test_a_cut_zstd_frame_is_an_error_for_any_range() -> None:
    chain = Chain([PLAIN["zstd"]], len(FRAMES))
    encoded = chain.encode(FRAMES)
    for cut in (encoded[:-1], encoded[: len(encoded) // 2], encoded + b"\0"):
        with pytest.raises(CorruptChunkError):
            chain.decode_range(cut, 5, 6)


@pytest.mark.parametrize(("first", "end"), [(0, 101), (5, 4), (101, 101)])
def test_a_range_outside_the_chunk_is_a_value_error(first: int, end: int) -> None:
    for kernels in ([], [PLAIN["lz4"]], [compressors.blosc()], [PLAIN["gzip"]]):
        chain = Chain(kernels, 100)
        with pytest.raises(ValueError, match="out of range"):
            chain.decode_range(chain.encode(bytes(100)), first, end)


def _kernels_for_damage() -> list[CodecKernel]:
    kernels = [
        compressors.blosc(cname, 5, shuffle, typesize, 640)
        for cname in BLOSC
        for shuffle, typesize in ((0, 1), (0, 4), (1, 4), (2, 4), (1, 3))
    ]
    return [*kernels, PLAIN["lz4"], PLAIN["zstd"]]


@pytest.mark.parametrize("kernel", _kernels_for_damage(), ids=repr)
def test_damaged_chunks_never_leave_their_buffers(kernel: CodecKernel) -> None:
    content = SHORT + bytes(900) + SHORT[::-1]
    chain = Chain([kernel], len(content))
    encoded = chain.encode(content)
    ranges = [(0, 1), (640, 650), (700, 1400), (len(content) - 3, len(content)), (0, len(content))]
    for i, damaged in enumerate((*cuts(encoded), *flips(encoded, count(2_000)), *garbage(count(300)))):
        source = guarded_like(np.frombuffer(damaged, np.uint8))
        first, end = ranges[i % len(ranges)]
        try:
            got = chain.decode_range(source, first, end)
        except CodecError:
            continue
        assert len(got) == end - first


def test_damaged_runs_never_leave_their_buffers() -> None:
    # Streams that shrink to a 64th and less are decoded by another function.
    content = np.repeat(np.arange(4, dtype="<f4"), 8_000).tobytes() + bytes(64_000)
    chain = Chain([compressors.blosc("lz4", 5, 1, 4, 1 << 16)], len(content))
    encoded = chain.encode(content)
    for damaged in (*cuts(encoded), *flips(encoded, count(2_000))):
        source = guarded_like(np.frombuffer(damaged, np.uint8))
        for first, end in ((0, len(content)), (70_000, 70_001)):
            try:
                assert len(chain.decode_range(source, first, end)) == end - first
            except CodecError:
                continue


@pytest.mark.parametrize("content", [bytes(1 << 16), BUFFERS["smooth"][: 1 << 16]])
def test_a_stream_that_goes_on_after_its_content_is_an_error(content: bytes) -> None:
    chain = Chain([compressors.blosc("lz4", 5, 1, 4, 1 << 16)], len(content))
    encoded = chain.encode(content)
    assert chain.decode(encoded) == content
    at = struct.unpack_from("<i", encoded, 16)[0]
    for _ in range(3):
        at += 4 + struct.unpack_from("<i", encoded, at)[0]
    (stream_nbytes,) = struct.unpack_from("<i", encoded, at)
    longer = bytearray(encoded + b"\0")
    struct.pack_into("<i", longer, at, stream_nbytes + 1)
    struct.pack_into("<i", longer, 12, len(longer))
    with pytest.raises(CorruptChunkError, match="damaged or cut"):
        chain.decode(longer)


def test_damaged_frames_of_many_blocks_never_leave_their_buffers() -> None:
    chain = Chain([PLAIN["zstd"]], len(FRAMES))
    for damaged in flips(chain.encode(FRAMES), count(200)):
        source = guarded_like(np.frombuffer(damaged, np.uint8))
        try:
            assert len(chain.decode_range(source, 200_000, 200_100)) == 100
        except CodecError:
            continue
