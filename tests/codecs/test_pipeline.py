"""A chain of codecs: the order of its kinds, what each sees, what the array decides."""

from __future__ import annotations

import numpy as np
import pytest

from zarrc.codecs import (
    BitroundCodec,
    BloscCodec,
    BytesCodec,
    ChunkSpec,
    Codec,
    Crc32cCodec,
    GzipCodec,
    Lz4Codec,
    TransposeCodec,
    UnknownCodec,
    ZstdCodec,
)
from zarrc.codecs.pipeline import check_chain, check_order, complete_chain
from zarrc.errors import MetadataError

F4 = ChunkSpec((4, 6), np.dtype("f4"), np.zeros((), "f4"))
U1 = ChunkSpec((4, 6), np.dtype("u1"), np.zeros((), "u1"))


@pytest.mark.parametrize(
    ("codecs", "text"),
    [
        (
            (),
            "there is no array_to_bytes codec, such as 'bytes'; the order is: array_to_array codecs, one",
        ),
        ((ZstdCodec(),), "there is no array_to_bytes codec"),
        ((BytesCodec(), BytesCodec()), "'bytes' and 'bytes' are both array_to_bytes codecs"),
        ((ZstdCodec(), BytesCodec()), "'bytes' (array_to_bytes) cannot follow 'zstd' (bytes_to_bytes)"),
        (
            (BytesCodec(), TransposeCodec(order=(1, 0))),
            "'transpose' (array_to_array) cannot follow 'bytes' (array_to_bytes)",
        ),
        (
            (BytesCodec(), ZstdCodec(), UnknownCodec("{}", name="x"), BitroundCodec(keepbits=3)),
            "'bitround' (array_to_array) cannot follow 'zstd' (bytes_to_bytes)",
        ),
    ],
)
def test_a_wrong_order_says_which_and_what_is_allowed(codecs: tuple[Codec, ...], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        check_order(codecs)
    assert text in str(caught.value)


def test_a_right_order_passes() -> None:
    check_order(
        (TransposeCodec(order=(1, 0)), BytesCodec(), GzipCodec(), Crc32cCodec(), UnknownCodec("{}", name="x"))
    )


def test_transpose_permutes_what_the_next_codec_sees() -> None:
    spec = ChunkSpec((2, 3, 4), np.dtype("f4"), np.zeros((), "f4"))
    assert TransposeCodec(order=(2, 0, 1)).resolve(spec).shape == (4, 2, 3)
    assert complete_chain((TransposeCodec(order="F"), BytesCodec()), spec)[0] == TransposeCodec(
        order=(2, 1, 0)
    )
    assert complete_chain((TransposeCodec(order="C"), BytesCodec()), spec)[0] == TransposeCodec(
        order=(0, 1, 2)
    )


def test_the_array_decides_what_is_not_said() -> None:
    assert complete_chain((BytesCodec(), BloscCodec()), F4) == (
        BytesCodec(),
        BloscCodec(typesize=4, shuffle="shuffle"),
    )
    assert complete_chain((BytesCodec(), BloscCodec()), U1) == (
        BytesCodec(endian=None),
        BloscCodec(typesize=1, shuffle="bitshuffle"),
    )
    said = BloscCodec(typesize=2, shuffle="noshuffle")
    assert complete_chain((BytesCodec(), said), F4)[1] == said


def test_an_element_too_large_for_bloscs_header_counts_as_bytes() -> None:
    spec = ChunkSpec((2,), np.dtype("V300"), None)
    assert BloscCodec().with_spec(spec).typesize == 1


@pytest.mark.parametrize(
    ("codecs", "spec", "text"),
    [
        (
            (TransposeCodec(order=(0, 1, 2)), BytesCodec()),
            F4,
            "order [0, 1, 2] has 3 items, the array has 2 dimensions",
        ),
        (
            (BytesCodec(endian=None),),
            F4,
            "bytes: endian is missing, and float32 needs one: 'little' or 'big'",
        ),
        (
            (BitroundCodec(keepbits=1), BytesCodec()),
            ChunkSpec((2,), np.dtype("?"), None),
            "bitround: cannot round bool; it takes integers, floats and complex numbers",
        ),
        (
            (BitroundCodec(keepbits=1), BytesCodec()),
            ChunkSpec((2,), np.dtype("V3"), None),
            "bitround: cannot round",
        ),
        (
            (BytesCodec(), Lz4Codec()),
            ChunkSpec((2**31,), np.dtype("u1"), None),
            "lz4: a chunk of 2147483648 bytes is above the format's limit of 2113929216; use smaller chunks",
        ),
        (
            (BytesCodec(), BloscCodec()),
            ChunkSpec((2**31 - 1 - 15,), np.dtype("u1"), None),
            "blosc: a chunk of 2147483632 bytes is above the format's limit of 2147483631",
        ),
        (
            (BytesCodec(), ZstdCodec(), BloscCodec()),
            ChunkSpec((2**40, 2**40), np.dtype("f8"), None),
            "is above the format's limit",
        ),
    ],
)
def test_a_codec_that_cannot_encode_the_chunk_is_refused(
    codecs: tuple[Codec, ...], spec: ChunkSpec, text: str
) -> None:
    for check in (check_chain, complete_chain):
        with pytest.raises(MetadataError) as caught:
            check(codecs, spec)
        assert text in str(caught.value)
        assert caught.value.codec is not None


def test_a_chunk_at_the_limit_passes() -> None:
    check_chain((BytesCodec(), BloscCodec()), ChunkSpec((2**31 - 1 - 16,), np.dtype("u1"), None))
    check_chain((BytesCodec(), Lz4Codec()), ChunkSpec((0x7E000000,), np.dtype("u1"), None))


def test_specs_compare_the_bits_of_the_fill_value() -> None:
    nan = np.array(np.nan, "f4")
    zero = np.zeros((), "f4")
    assert ChunkSpec((2,), nan.dtype, nan) == ChunkSpec((2,), nan.dtype, nan.copy())
    assert ChunkSpec((2,), nan.dtype, zero) != ChunkSpec((2,), nan.dtype, -zero)
    assert hash(ChunkSpec((2,), nan.dtype, nan)) == hash(ChunkSpec((2,), nan.dtype, nan.copy()))
    assert ChunkSpec((2, 3), nan.dtype).nbytes == 24


def test_bitround_rounds_the_fill_value_too() -> None:
    spec = ChunkSpec((2,), np.dtype("f4"), np.array(1.2345678, "f4"))
    fill = BitroundCodec(keepbits=3).resolve(spec).fill
    assert fill is not None
    assert fill == np.float32(1.25)
