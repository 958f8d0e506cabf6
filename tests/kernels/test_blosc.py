"""The blosc kernel against numcodecs (c-blosc 1.x), a reader of our own, and damage."""

from __future__ import annotations

import itertools
import struct
from concurrent.futures import ThreadPoolExecutor

import cramjam
import numcodecs
import numcodecs.blosc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.blosc_reader import read_chunk
from tests.kernels.damage import assert_every_cut_is_an_error, assert_refused_untouched, assert_survives
from tests.kernels.samples import BUFFERS, SHORT, contents
from tests.soak import count
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors

SHARED = ("blosclz", "lz4", "lz4hc", "zlib", "zstd")  # numcodecs is built without snappy
ALL = (*SHARED, "snappy")
SHUFFLES = (0, 1, 2)
TYPESIZES = (1, 2, 3, 4, 8, 16)
SMOOTH = BUFFERS["smooth"]


def theirs(data: bytes, cname: str, clevel: int, shuffle: int, typesize: int, blocksize: int = 0) -> bytes:
    """What c-blosc 1 makes of ``data``, filled up to whole elements."""
    elements = np.frombuffer(data + bytes(-len(data) % typesize), f"V{typesize}")
    return numcodecs.blosc.compress(elements, cname.encode(), clevel, shuffle, blocksize)


@pytest.mark.parametrize("cname", SHARED)
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_c_blosc_reads_all_we_write_and_we_all_it_writes(cname: str, shuffle: int) -> None:
    for typesize, clevel, (name, data) in itertools.product(TYPESIZES, (1, 6), BUFFERS.items()):
        what = f"{cname} {shuffle} {typesize} {clevel} {name}"
        kernel = compressors.blosc(cname, clevel, shuffle, typesize)
        encoded = kernel.encode(data)
        assert kernel.decode(encoded, len(data)) == data, what
        if data:  # numcodecs does not read the empty chunk that it writes
            assert numcodecs.blosc.decompress(encoded) == data, what
        whole = data + bytes(-len(data) % typesize)
        assert kernel.decode(theirs(data, cname, clevel, shuffle, typesize), len(whole)) == whole, what


@pytest.mark.parametrize("cname", SHARED)
@pytest.mark.parametrize("blocksize", [1, 128, 500, 4096, 65536, 1 << 22])
def test_asked_for_blocksizes_work_both_ways(cname: str, blocksize: int) -> None:
    for shuffle, typesize in itertools.product(SHUFFLES, (1, 4, 5, 17, 32, 255)):
        kernel = compressors.blosc(cname, 4, shuffle, typesize, blocksize)
        for data in (SMOOTH, BUFFERS["mixed"], SHORT):
            assert numcodecs.blosc.decompress(kernel.encode(data)) == data
            whole = data + bytes(-len(data) % typesize)
            assert kernel.decode(theirs(data, cname, 4, shuffle, typesize, blocksize), len(whole)) == whole


@pytest.mark.parametrize("mode", ["NEVER", "ALWAYS", "AUTO", "FORWARD_COMPAT"])
def test_every_way_c_blosc_splits_blocks_decodes(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOSC_SPLITMODE", mode)
    for cname, shuffle, typesize in itertools.product(SHARED, SHUFFLES, (2, 4, 7, 16)):
        encoded = theirs(SMOOTH, cname, 5, shuffle, typesize, 1 << 14)
        if mode in ("NEVER", "ALWAYS"):
            assert compressors.blosc_info(encoded)["split"] is (mode == "ALWAYS")
        whole = SMOOTH + bytes(-len(SMOOTH) % typesize)
        assert compressors.blosc().decode(encoded, len(whole)) == whole


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("typesize", [1, 2, 3, 4, 8, 16, 17, 255])
def test_snappy_chunks_follow_the_format(shuffle: int, typesize: int) -> None:
    for data, blocksize in itertools.product(BUFFERS.values(), (0, 5000)):
        kernel = compressors.blosc("snappy", 5, shuffle, typesize, blocksize)
        encoded = kernel.encode(data)
        assert read_chunk(encoded, lambda stream: bytes(cramjam.snappy.decompress_raw(stream))) == data
        assert kernel.decode(encoded, len(data)) == data


def test_the_reader_of_the_tests_agrees_with_c_blosc() -> None:
    for shuffle, typesize in itertools.product(SHUFFLES, TYPESIZES):
        whole = SMOOTH + bytes(-len(SMOOTH) % typesize)
        chunk = theirs(SMOOTH, "zstd", 3, shuffle, typesize, 1 << 14)
        assert read_chunk(chunk, lambda stream: numcodecs.Zstd().decode(stream)) == whole


def test_a_snappy_stream_longer_than_its_content_decodes() -> None:
    # c-blosc 1 gives Snappy room for its worst case, so such streams were written.
    stream = b"\x80\x02" + b"".join(b"\x00" + bytes([i]) for i in range(256))
    chunk = struct.pack("<BBBBiii", 2, 1, 0x50, 1, 256, 256, 24 + len(stream)) + struct.pack(
        "<ii", 20, len(stream)
    )
    assert compressors.blosc().decode(chunk + stream, 256) == bytes(range(256))


@given(
    data=contents(),
    cname=st.sampled_from(ALL),
    clevel=st.integers(0, 9),
    shuffle=st.sampled_from(SHUFFLES),
    typesize=st.integers(1, 300),
    blocksize=st.sampled_from((0, 1, 200, 3000, 1 << 20)),
)
def test_decode_undoes_encode(
    data: bytes, cname: str, clevel: int, shuffle: int, typesize: int, blocksize: int
) -> None:
    kernel = compressors.blosc(cname, clevel, shuffle, typesize, blocksize)
    encoded = kernel.encode(data)
    assert len(encoded) <= kernel.bound(len(data)) == len(data) + 16
    assert kernel.decode(encoded, len(data)) == data
    if data and cname != "snappy":
        assert numcodecs.blosc.decompress(encoded) == data


def test_info_says_what_the_header_says() -> None:
    encoded = compressors.blosc("lz4hc", 5, 2, 4, 4096).encode(SMOOTH)
    assert compressors.blosc_info(encoded) == {
        "nbytes": len(SMOOTH),
        "cbytes": len(encoded),
        "blocksize": 4096,
        "typesize": 4,
        "format": "lz4",
        "shuffle": 2,
        "stored": False,
        "split": True,
    }


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"cname": "gzip"}, "cname must be one of blosclz, lz4, lz4hc, snappy, zlib, zstd, got 'gzip'"),
        ({"clevel": 10}, "clevel must be in"),
        ({"clevel": -1}, "clevel must be in"),
        ({"shuffle": 3}, "shuffle must be in"),
        ({"shuffle": -1}, "shuffle must be in"),
        ({"typesize": 0}, "typesize must be at least 1"),
        ({"blocksize": -1}, "blocksize must be in"),
        ({"blocksize": 1 << 31}, "blocksize must be in"),
    ],
)
def test_a_bad_parameter_is_a_value_error(keywords: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compressors.blosc(**keywords)


def test_level_0_and_noise_are_stored() -> None:
    for kernel, data in (
        (compressors.blosc("zstd", 0, 1, 4), SMOOTH),
        (compressors.blosc("lz4"), BUFFERS["noise"]),
    ):
        encoded = kernel.encode(data)
        assert compressors.blosc_info(encoded)["stored"]
        assert encoded[16:] == data
        assert numcodecs.blosc.decompress(encoded) == data


def test_bitshuffle_works_where_the_element_count_is_odd() -> None:
    # Blosc 1 filters only blocks of eights of elements, so the block must not be the whole of such a chunk.
    for n in (1001, 5999):
        data = BUFFERS["counter"][: 4 * n]
        encoded = compressors.blosc("lz4", 5, 2, 4).encode(data)
        assert len(encoded) < 0.5 * len(theirs(data, "lz4", 5, 2, 4))
        assert numcodecs.blosc.decompress(encoded) == data
        assert compressors.blosc_info(encoded)["blocksize"] % 32 == 0


def test_the_automatic_blocksize_costs_no_density() -> None:
    data = SMOOTH * 20
    for cname, shuffle, clevel in itertools.product(SHARED, SHUFFLES, (1, 5)):
        ours = len(compressors.blosc(cname, clevel, shuffle, 4).encode(data))
        assert ours <= 1.05 * len(theirs(data, cname, clevel, shuffle, 4)), (cname, shuffle, clevel)


def test_more_than_the_format_holds_is_refused() -> None:
    kernel = compressors.blosc()
    assert kernel.bound(2**31 - 1 - 16) == 2**31 - 1
    with pytest.raises(CodecError, match="larger than the codec's format can hold"):
        kernel.bound(2**31 - 16)


def test_a_chunk_cut_anywhere_is_an_error() -> None:
    for cname in ALL:
        kernel = compressors.blosc(cname, 5, 1, 4, 256)
        assert_every_cut_is_an_error(kernel, kernel.encode(SHORT), len(SHORT))


HEADER = struct.Struct("<BBBBIII")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, 3, "not Blosc 1's"),
        (0, 0, "versions of the Blosc header"),
        (1, 2, "versions of the Blosc header"),
        (2, 0xE0, "compressor is not known"),
        (2, 0x02, "lengths of the Blosc header"),
        (2, 0x10, "damaged or cut"),
        (3, 0, "typesize of the Blosc header"),
        (3, 3, "does not fit the typesize"),
        (4, len(SMOOTH) + 1, "more than the chunk's shape allows"),
        (4, len(SMOOTH) - 1, "not valid"),
        (4, 0, "bytes decoded where"),
        (4, 1 << 31, "lengths of the Blosc header"),
        (5, 0, "blocksize of the Blosc header"),
        (5, len(SMOOTH) + 1, "blocksize of the Blosc header"),
        (5, 1, "no room for its block starts"),
        (5, 1 << 31, "blocksize of the Blosc header"),
        (6, 15, "lengths of the Blosc header"),
        (6, 0xFFFFFFFF, "the Blosc chunk is cut"),
        (6, 20, "something else follows"),
    ],
)
def test_a_header_that_lies_says_where(field: int, value: int, message: str) -> None:
    encoded = bytearray(compressors.blosc("lz4", 5, 1, 4, 4096).encode(SMOOTH))
    fields = list(HEADER.unpack_from(encoded))
    fields[field] = value
    HEADER.pack_into(encoded, 0, *fields)
    with pytest.raises(CodecError, match=message):
        compressors.blosc().decode(encoded, len(SMOOTH))


@pytest.mark.parametrize("start", [0, 15, 16, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_block_start_that_lies_is_an_error(start: int) -> None:
    encoded = bytearray(compressors.blosc("lz4", 5, 1, 4, 4096).encode(SMOOTH))
    struct.pack_into("<I", encoded, 16, start)
    with pytest.raises(CorruptChunkError, match="a block starts outside the Blosc chunk"):
        compressors.blosc().decode(encoded, len(SMOOTH))


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000])
def test_a_stream_length_that_lies_is_an_error(length: int) -> None:
    encoded = bytearray(compressors.blosc("lz4", 5, 1, 4, 4096).encode(SMOOTH))
    (start,) = struct.unpack_from("<I", encoded, 16)
    struct.pack_into("<I", encoded, start, length)
    with pytest.raises(CorruptChunkError, match="a stream leaves the Blosc chunk"):
        compressors.blosc().decode(encoded, len(SMOOTH))


def test_nothing_is_no_chunk() -> None:
    with pytest.raises(CorruptChunkError, match="end too early: the Blosc header is cut"):
        compressors.blosc().decode(b"", 0)
    with pytest.raises(CorruptChunkError, match="end too early: the Blosc header is cut"):
        compressors.blosc_info(b"\2\1")


@pytest.mark.parametrize("cname", ALL)
def test_damaged_chunks_never_leave_their_buffers(cname: str) -> None:
    for shuffle, typesize in ((0, 1), (1, 4), (2, 4)):
        kernel = compressors.blosc(cname, 5, shuffle, typesize, 640)
        data = SHORT + bytes(900)
        assert_survives(kernel, kernel.encode(data), len(data))


@pytest.mark.parametrize("code", range(6))
@pytest.mark.parametrize("flags", [0x10, 0x11, 0x14, 0x01, 0x04])
def test_a_chunk_that_claims_a_gigabyte_is_refused_untouched(code: int, flags: int) -> None:
    gigabyte = 1 << 30
    header = HEADER.pack(2, 1, flags | code << 5, 4, gigabyte, gigabyte, 64)
    for tail in (
        bytes(44),
        struct.pack("<II", 20, 40) + b"\xff" * 36,
        struct.pack("<II", 20, 40) + bytes(36),
    ):
        assert_refused_untouched(compressors.blosc(), (header + tail)[:64])


def test_a_blosclz_match_of_gigabytes_is_refused() -> None:
    # Each 0xff adds 255 to a length that blosclz keeps in an int: this many make it negative.
    stream = b"\x00a" + b"\xe0" + b"\xff" * 8_500_000 + b"\x00\x00"
    nbytes = len(stream) * 2
    header = HEADER.pack(2, 1, 0x10, 1, nbytes, nbytes, 24 + len(stream))
    with pytest.raises(CorruptChunkError, match="a blosclz match is longer than any block"):
        compressors.blosc().decode(header + struct.pack("<II", 20, len(stream)) + stream, nbytes)


def test_threads_do_not_disturb_each_other() -> None:
    def round_trip(seed: int) -> bool:
        cname = ALL[seed % len(ALL)]
        kernel = compressors.blosc(cname, 1 + seed % 9, seed % 3, 4)
        data = SMOOTH[: 4 * (1 + seed * 37 % 40_000)]
        return kernel.decode(kernel.encode(data), len(data)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(count(2000))))
