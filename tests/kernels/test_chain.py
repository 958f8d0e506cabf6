"""A chain of kernels: what encodes decodes, and each size is checked on the way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.errors import CodecError, CorruptChunkError
from zarrc.kernels import checksums, compressors, worker
from zarrc.kernels.chain import Chain
from zarrc.kernels.codec import CodecKernel

KERNELS = {
    "crc32c": checksums.crc32c_kernel(),
    "zstd": compressors.zstd(1, True),
    "gzip": compressors.gzip(1),
    "zlib": compressors.zlib(1),
    "lz4": compressors.lz4(1),
    "blosc": compressors.blosc("lz4", 5, 1, 4, 0),
}
CHAINS = [
    names
    for n_steps in range(4)
    for names in itertools.product(KERNELS, repeat=n_steps)
    if n_steps < 3 or "crc32c" in names
]


def _chain(names: tuple[str, ...], nbytes: int) -> Chain:
    return Chain([KERNELS[name] for name in names], nbytes)


@given(st.sampled_from(CHAINS), st.binary(max_size=300), st.integers(1, 40))
def test_decoding_undoes_encoding(names: tuple[str, ...], data: bytes, repeats: int) -> None:
    data *= repeats
    chain = _chain(names, len(data))
    assert chain.decode(chain.encode(data)) == data
    assert chain.encode_own(data) == chain.encode(data)


@given(st.sampled_from(CHAINS), st.binary(min_size=1, max_size=100))
def test_a_chain_decodes_what_its_codecs_encode_one_by_one(names: tuple[str, ...], data: bytes) -> None:
    encoded = data
    for name in names:
        encoded = KERNELS[name].encode(encoded)
    assert _chain(names, len(data)).decode(encoded) == data


@given(st.sampled_from(CHAINS), st.binary(min_size=1, max_size=100), st.data())
def test_a_cut_or_flipped_chunk_is_an_error_or_a_chunk_of_the_right_size(
    names: tuple[str, ...], data: bytes, choice: st.DataObject
) -> None:
    chain = _chain(names, len(data))
    encoded = bytearray(chain.encode(data))
    encoded = encoded[: choice.draw(st.integers(0, len(encoded)))]
    if encoded and choice.draw(st.booleans()):
        encoded[choice.draw(st.integers(0, len(encoded) - 1))] ^= 1 << choice.draw(st.integers(0, 7))
    try:
        decoded = chain.decode(encoded)
    except CodecError as error:
        where = error.codec
    else:
        where = None
        assert len(decoded) == len(data)
    assert where is None or where in names


def test_the_codec_at_fault_is_named() -> None:
    chain = _chain(("zstd", "crc32c"), 100)
    encoded = bytearray(chain.encode(bytes(100)))
    encoded[-1] ^= 1
    with pytest.raises(CorruptChunkError, match="crc32c"):
        chain.decode(encoded)
    body = bytearray(KERNELS["crc32c"].encode(b"not a frame"))
    with pytest.raises(CorruptChunkError, match="zstd"):
        chain.decode(body)


@pytest.mark.parametrize("length", [0, 99, 101])
def test_raw_data_of_another_length_is_an_error(length: int) -> None:
    with pytest.raises(CorruptChunkError, match="another length"):
        _chain((), 100).decode(bytes(length))


def test_a_chain_has_a_limit_of_steps() -> None:
    with pytest.raises(ValueError, match="at most 16"):
        Chain([KERNELS["crc32c"]] * 17, 100)


def test_a_chunk_of_another_size_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="5 bytes given where a chunk has 100"):
        _chain((), 100).encode(b"12345")


def test_kernels_are_made_by_their_factories_only() -> None:
    with pytest.raises(TypeError, match="factory"):
        CodecKernel()
    for use in ("encode", "bound"):
        with pytest.raises(TypeError, match="factory"):
            getattr(CodecKernel.__new__(CodecKernel), use)(b"" if use == "encode" else 1)


@pytest.mark.parametrize("exact_nbytes", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_size_that_no_object_can_have_is_a_value_error(exact_nbytes: int) -> None:
    with pytest.raises(ValueError, match="no object can have"):
        KERNELS["lz4"].decode(KERNELS["lz4"].encode(b"abc"), exact_nbytes)
    assert KERNELS["lz4"].decode(KERNELS["lz4"].encode(b"abc"), exact_nbytes, exact=False) == b"abc"


def test_very_large_scratch_is_given_back() -> None:
    worker.trim()
    assert worker.idle_nbytes() == 0
    modest, large = 20 << 20, 100 << 20
    _chain(("lz4",), modest).encode(bytes(modest))
    assert modest <= worker.idle_nbytes() < modest + (1 << 20)
    _chain(("lz4",), large).encode(bytes(large))
    assert worker.idle_nbytes() < 1 << 20
