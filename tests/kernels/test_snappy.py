"""Our Snappy block codec against Google's rules (through cramjam), and damage."""

from __future__ import annotations

import cramjam
import pytest
from hypothesis import given

from tests.kernels.damage import assert_every_cut_is_an_error, assert_refused_untouched, assert_survives
from tests.kernels.samples import BUFFERS, SHORT, contents
from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import compressors

KERNEL = compressors.snappy()


@given(data=contents())
def test_decode_undoes_encode_and_another_snappy_agrees(data: bytes) -> None:
    encoded = KERNEL.encode(data)
    assert len(encoded) <= KERNEL.bound(len(data))
    assert KERNEL.decode(encoded, len(data)) == data
    assert KERNEL.decode(bytes(cramjam.snappy.compress_raw(data)), len(data)) == data
    if data:  # cramjam takes no empty content
        assert bytes(cramjam.snappy.decompress_raw(encoded)) == data


def test_it_is_about_as_dense_as_another_snappy() -> None:
    for data in BUFFERS.values():
        assert len(KERNEL.encode(data)) <= 1.1 * len(bytes(cramjam.snappy.compress_raw(data))) + 16


@pytest.mark.parametrize(
    ("elements", "content"),
    [
        (b"\x08abc", b"abc"),
        (b"\xf0\x02abc", b"abc"),
        (b"\xf4\x02\x00abc", b"abc"),
        (b"\xf8\x02\x00\x00abc", b"abc"),
        (b"\xfc\x02\x00\x00\x00abc", b"abc"),
        (b"\x00a" + b"\x01\x01", b"aaaaa"),
        (b"\x04ab" + b"\x0e\x02\x00", b"ababab"),
        (b"\x04ab" + b"\x0f\x02\x00\x00\x00", b"ababab"),
    ],
    ids=[
        "short",
        "1-byte length",
        "2-byte length",
        "3-byte length",
        "4-byte length",
        "copy 1",
        "copy 2",
        "copy 4",
    ],
)
def test_every_kind_of_element_decodes(elements: bytes, content: bytes) -> None:
    assert KERNEL.decode(bytes([len(content)]) + elements, len(content)) == content


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"", "end too early"),
        (b"\x80", "end too early"),
        (b"\xff\xff\xff\xff\x7f", "length in front"),
        (b"\x80\x80\x80\x80\x80\x00", "length in front"),
        (b"\x04\x04ab\x0d\x00", "from before the block"),
        (b"\x05\x00a\x01\x02", "from before the block"),
        (b"\x02\x08abc", "goes past the block's length"),
        (b"\x04\x00a\x01\x01", "goes past the block's length"),
        (b"\x04\x08abc", "end too early"),
        (b"\x04\xf0", "end too early"),
        (b"\x04\x00a\x02\x01", "end too early"),
        (b"\x03\x08ab", "end too early"),
    ],
)
def test_what_breaks_the_rules_says_which(encoded: bytes, message: str) -> None:
    with pytest.raises(CorruptChunkError, match=message):
        KERNEL.decode(encoded, 5, exact=False)


def test_a_block_cut_anywhere_is_an_error() -> None:
    assert_every_cut_is_an_error(KERNEL, KERNEL.encode(SHORT), len(SHORT))


def test_damaged_blocks_never_leave_their_buffers() -> None:
    for data in (SHORT, BUFFERS["period 3"][:3000], BUFFERS["mixed"][2500:6000]):
        assert_survives(KERNEL, KERNEL.encode(data), len(data))


@pytest.mark.parametrize("claim", [b"\x80\x80\x80\x80\x04", b"\xff\xff\xff\xff\x0f"])
def test_a_block_that_claims_gigabytes_is_refused_untouched(claim: bytes) -> None:
    assert_refused_untouched(KERNEL, claim + b"\x00a" + b"\xfe\x01\x00" * 19)


def test_more_than_the_format_holds_is_refused() -> None:
    with pytest.raises(CodecError, match="larger than the codec's format can hold"):
        KERNEL.bound(1 << 32)
