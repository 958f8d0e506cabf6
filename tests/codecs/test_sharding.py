"""The sharding codec: its configuration and checks, and whole shards through the codecs' Python side."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.codecs import (
    ArrayArrayCodec,
    BitroundCodec,
    BloscCodec,
    BytesCodec,
    ChunkSpec,
    Codec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarrc.codecs.parsing import codec_from_user, codec_from_v3_json
from zarrc.codecs.pipeline import sharding_level
from zarrc.errors import CodecError, CorruptChunkError, MetadataError
from zarrc.metadata import ArrayMetadata, parse_node
from zarrc.reading import Reading

ABSENT = 2**64 - 1
I4 = np.dtype("i4")
SPEC = ChunkSpec((4, 6), I4, np.array(7, I4))
DATA = np.arange(24, dtype=I4).reshape(4, 6)

CONFIGURATION = {
    "chunk_shape": [2, 3],
    "codecs": [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
    ],
    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
    "index_location": "end",
}


# --- configuration


def test_the_document_is_the_specifications_with_all_members() -> None:
    codec = ShardingCodec(chunk_shape=(2, 3))
    document = codec.to_v3_json()
    assert document == {"name": "sharding_indexed", "configuration": CONFIGURATION}
    assert list(document["configuration"]) == ["chunk_shape", "codecs", "index_codecs", "index_location"]
    assert codec_from_v3_json(document, Reading(strict=True)) == codec
    assert hash(codec) == hash(ShardingCodec(chunk_shape=[2, 3]))  # type: ignore[arg-type]


def test_codecs_may_be_names_dicts_and_objects() -> None:
    codec = ShardingCodec(
        chunk_shape=np.array([2, 3]),  # type: ignore[arg-type]
        codecs=["bytes", {"name": "gzip"}, ZstdCodec(level=3)],  # type: ignore[arg-type]
        index_codecs="bytes",  # type: ignore[arg-type]
        index_location="start",
    )
    assert codec.chunk_shape == (2, 3)
    assert codec.codecs == (BytesCodec(), GzipCodec(), ZstdCodec(level=3))
    assert codec.index_codecs == (BytesCodec(),)


def test_a_user_may_leave_out_what_has_a_default() -> None:
    value = {"name": "sharding_indexed", "configuration": {"chunk_shape": (2, 3)}}
    assert codec_from_user(value, Reading(from_user=True)) == ShardingCodec(chunk_shape=(2, 3))


@pytest.mark.parametrize("left_out", ["index_location", "index_codecs"])
def test_a_document_without_what_the_specification_requires_is_noted(left_out: str) -> None:
    configuration = {name: value for name, value in CONFIGURATION.items() if name != left_out}
    value = {"name": "sharding_indexed", "configuration": configuration}
    reading = Reading()
    assert codec_from_v3_json(value, reading) == ShardingCodec(chunk_shape=(2, 3))
    assert len(reading.notes) == 1
    assert f"{left_out!r} is missing; read as " in reading.notes[0]
    with pytest.raises(MetadataError, match=f"{left_out!r} is missing"):
        codec_from_v3_json(value, Reading(strict=True))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"chunk_shape": [0, 3]}, "configuration.chunk_shape[0]: must be in [1, "),
        ({"chunk_shape": "23"}, "configuration.chunk_shape: must be a list, got '23'"),
        ({"chunk_shape": [2**63]}, "must be in [1, 9223372036854775807]"),
        ({"codecs": None}, "configuration.codecs: must be a list, got None"),
        ({"codecs": []}, "sharding_indexed, codecs: there is no array_to_bytes codec"),
        ({"codecs": ["nope"]}, "configuration.codecs[0]: unknown codec 'nope'"),
        ({"index_codecs": ["zstd", "bytes"]}, "'bytes' (array_to_bytes) cannot follow 'zstd'"),
        (
            {"index_codecs": ["bytes", {"name": "gzip", "configuration": {"level": 1}}]},
            (
                "sharding_indexed, index_codecs: 'gzip' cannot encode a shard's index, whose size must "
                "follow from the number of inner chunks; 'transpose', 'bytes' and 'crc32c' can"
            ),
        ),
        ({"index_location": "middle"}, "index_location: must be one of 'start', 'end', got 'middle'"),
        ({"index": "end"}, "unknown key 'index'"),
    ],
)
def test_a_wrong_document_says_what_is_allowed(changes: dict[str, Any], text: str) -> None:
    value = {"name": "sharding_indexed", "configuration": {**CONFIGURATION, **changes}}
    with pytest.raises(MetadataError) as caught:
        codec_from_v3_json(value, Reading())
    assert text in str(caught.value)


def test_a_document_must_say_its_inner_codecs() -> None:
    configuration = {name: value for name, value in CONFIGURATION.items() if name != "codecs"}
    with pytest.raises(MetadataError, match="'codecs' is missing"):
        codec_from_v3_json({"name": "sharding_indexed", "configuration": configuration}, Reading())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"chunk_shape": 3}, "sharding_indexed: chunk_shape must be a tuple of integers, got 3"),
        ({"chunk_shape": (2.5, 3)}, "an extent of chunk_shape must be an integer, got 2.5"),
        ({"index_location": "End"}, "index_location must be one of 'start', 'end', got 'End'"),
        ({"codecs": "zstd"}, "there is no array_to_bytes codec"),
        ({"index_codecs": ["bytes", BloscCodec()]}, "'blosc' cannot encode a shard's index"),
        ({"index_codecs": [BitroundCodec(keepbits=3), "bytes"]}, "'bitround' cannot encode a shard's index"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        ShardingCodec(**{"chunk_shape": (2, 3), **changes})
    assert text in str(caught.value)


# --- with a shard


def test_the_sizes_that_follow_from_a_shard() -> None:
    codec = ShardingCodec(chunk_shape=(2, 3))
    assert codec.grid_shape((4, 12)) == (2, 4)
    assert codec.n_chunks((4, 12)) == 8
    assert codec.index_nbytes((4, 12)) == 8 * 16 + 4
    assert codec.index_spec((4, 12)).shape == (2, 4, 2)
    assert codec.inner_spec(SPEC) == ChunkSpec((2, 3), I4, SPEC.fill)
    plain = ShardingCodec(chunk_shape=(), index_codecs=(BytesCodec(),))
    assert (plain.grid_shape(()), plain.index_nbytes(())) == ((), 16)


def test_what_depends_on_the_array_is_filled_in() -> None:
    codec = ShardingCodec(
        chunk_shape=(2, 3),
        codecs=(TransposeCodec(order="F"), BytesCodec(), BloscCodec(shuffle=None)),
    ).with_spec(SPEC)
    assert codec.codecs[0] == TransposeCodec(order=(1, 0))
    assert codec.codecs[2].typesize == 4  # type: ignore[attr-defined]
    assert codec.with_spec(SPEC) is codec
    octets = ShardingCodec(chunk_shape=(1,)).with_spec(ChunkSpec((2,), np.dtype("u1")))
    assert octets.codecs[0] == BytesCodec(endian=None)
    assert octets.index_codecs[0] == BytesCodec(endian="little")


@pytest.mark.parametrize(
    ("codec", "shape", "text"),
    [
        (
            ShardingCodec(chunk_shape=(2, 4)),
            (4, 6),
            (
                "the inner chunks' shape [2, 4] does not divide the shard's, [4, 6]: along axis 1, 6 is no "
                "multiple of 4"
            ),
        ),
        (
            ShardingCodec(chunk_shape=(8, 12)),
            (4, 6),
            (
                "along axis 0, 4 is no multiple of 8; the two may be the wrong way round: the chunk grid has "
                "the shard's shape"
            ),
        ),
        (
            ShardingCodec(chunk_shape=(2,)),
            (4, 6),
            "chunk_shape [2] has 1 dimensions, the shard [4, 6] has 2",
        ),
        (
            ShardingCodec(chunk_shape=(2, 3), codecs=(TransposeCodec(order=(0,)), BytesCodec())),
            (4, 6),
            "sharding_indexed, codecs: transpose: order [0] has 1 items, the array has 2 dimensions",
        ),
        (
            ShardingCodec(chunk_shape=(2, 3), index_codecs=(TransposeCodec(order=(1, 0)), BytesCodec())),
            (4, 6),
            "sharding_indexed, index_codecs: transpose: order [1, 0] has 2 items",
        ),
        (
            ShardingCodec(chunk_shape=(1, 1)),
            (2**29, 2**29),
            (
                "a shard of shape [536870912, 536870912] would have 288230376151711744 inner chunks of shape "
                "[1, 1], an index of 2**62 bytes or more"
            ),
        ),
        (
            ShardingCodec(chunk_shape=(2, 3), codecs=(ShardingCodec(chunk_shape=(2, 2)),)),
            (4, 6),
            "sharding_indexed, codecs: sharding_indexed: the inner chunks' shape [2, 2] does not divide",
        ),
        (
            ShardingCodec(chunk_shape=(2, 3), index_codecs=(BytesCodec(endian=None),)),
            (4, 6),
            "sharding_indexed, index_codecs: bytes: endian is missing, and uint64 needs one",
        ),
    ],
)
def test_a_shard_that_it_cannot_encode_is_refused(
    codec: ShardingCodec, shape: tuple[int, ...], text: str
) -> None:
    spec = ChunkSpec(shape, I4)
    for check in (codec.resolve, codec.with_spec):
        with pytest.raises(MetadataError) as caught:
            check(spec)
        assert text in str(caught.value)


def test_v2_has_no_such_codec() -> None:
    with pytest.raises(MetadataError, match="'sharding_indexed' does not exist in zarr_format 2"):
        ShardingCodec(chunk_shape=(2,)).to_v2_json()


def test_there_is_no_kernel() -> None:
    assert ShardingCodec(chunk_shape=(2, 3)).kernel(SPEC) is None


# --- data


class Negated(ArrayArrayCodec):
    """A user's own codec."""

    __slots__ = ()
    name = "test.negated"

    def encode(self, data: Any, spec: ChunkSpec) -> Any:
        return -data

    def decode(self, data: Any, spec: ChunkSpec) -> Any:
        return -data

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        return ChunkSpec(spec.shape, spec.dtype, None if spec.fill is None else -spec.fill)


INNER: tuple[tuple[Codec, ...], ...] = (
    (BytesCodec(),),
    (BytesCodec(endian="big"), ZstdCodec()),
    (TransposeCodec(order="F"), BytesCodec(), Crc32cCodec(), GzipCodec()),
    (BytesCodec(), ZstdCodec(), BloscCodec()),
    (Negated(), BytesCodec()),
)
INDEX: tuple[tuple[Codec, ...], ...] = (
    (BytesCodec(), Crc32cCodec()),
    (BytesCodec(endian="big"),),
    (BytesCodec(), Crc32cCodec(), Crc32cCodec()),
    (TransposeCodec(order="F"), BytesCodec(), Crc32cCodec()),
)


@st.composite
def sharded(draw: st.DrawFn) -> tuple[ShardingCodec, ChunkSpec, np.ndarray]:
    """A complete codec of up to three levels, a shard and its data, mostly fill value."""
    dtype = np.dtype(draw(st.sampled_from(["i4", "f8", "c8", "i2"])))
    ndim = draw(st.integers(0, 3))
    codecs = draw(st.sampled_from(INNER))
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)))
    for _ in range(draw(st.integers(1, 3))):
        codec = ShardingCodec(
            chunk_shape=shape,
            codecs=codecs,
            index_codecs=draw(st.sampled_from(INDEX)),
            index_location=draw(st.sampled_from(["start", "end"])),
        )
        codecs = (codec,)
        factors = draw(st.lists(st.integers(1, 2), min_size=ndim, max_size=ndim))
        shape = tuple(extent * factor for extent, factor in zip(shape, factors, strict=True))
    fill = np.array(draw(st.sampled_from([0, -0.0, 3, np.nan])) if dtype.kind in "fc" else 3, dtype)
    data = np.full(shape, fill, dtype)
    flat = data.reshape(-1)
    for i in draw(st.lists(st.integers(0, flat.size - 1), max_size=4)):
        flat[i] = draw(st.sampled_from([0, -0.0, 1, 2]))
    spec = ChunkSpec(shape, dtype, fill)
    return codec.with_spec(spec), spec, data


@given(sharded())
def test_decoding_undoes_encoding(case: tuple[ShardingCodec, ChunkSpec, np.ndarray]) -> None:
    codec, spec, data = case
    decoded = codec.decode(codec.encode(data, spec), spec)
    assert decoded.tobytes() == data.tobytes()
    assert (decoded.shape, decoded.dtype) == (spec.shape, spec.dtype)


@given(sharded(), st.data())
def test_a_damaged_shard_is_an_error_or_data(
    case: tuple[ShardingCodec, ChunkSpec, np.ndarray], draw: st.DataObject
) -> None:
    codec, spec, data = case
    encoded = bytearray(codec.encode(data, spec))
    if draw.draw(st.booleans()):
        del encoded[draw.draw(st.integers(0, len(encoded) - 1)) :]
    else:
        encoded[draw.draw(st.integers(0, len(encoded) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        decoded = codec.decode(bytes(encoded), spec)
    except CodecError:
        return
    assert (decoded.shape, decoded.dtype) == (spec.shape, spec.dtype)


def index_of(shard: bytes, n_chunks: int) -> list[tuple[int, int]]:
    index = shard[-16 * n_chunks :]
    return [(offset, nbytes) for offset, nbytes in struct.iter_unpack("<QQ", index)]


def test_inner_chunks_come_in_c_order_and_empty_ones_are_left_out() -> None:
    codec = ShardingCodec(chunk_shape=(2, 3), codecs=(BytesCodec(),), index_codecs=(BytesCodec(),))
    data = DATA.copy()
    data[:2, 3:] = 7
    shard = codec.encode(data, SPEC)
    assert len(shard) == 3 * 24 + 64
    assert index_of(shard, 4) == [(0, 24), (ABSENT, ABSENT), (24, 24), (48, 24)]
    assert shard[24:48] == data[2:, :3].tobytes()


def test_offsets_count_the_index_at_the_start() -> None:
    codec = ShardingCodec(chunk_shape=(2, 6), codecs=(BytesCodec(),), index_location="start")
    shard = codec.encode(DATA, SPEC)
    assert struct.unpack_from("<4Q", shard) == (36, 48, 84, 48)
    assert shard[36:84] == DATA[:2].tobytes()


def test_empty_is_judged_by_bits() -> None:
    f4 = np.dtype("f4")
    codec = ShardingCodec(chunk_shape=(1,), codecs=(BytesCodec(),), index_codecs=(BytesCodec(),))
    for fill, value, stored in ((0.0, -0.0, True), (np.nan, np.nan, False), (-0.0, 0.0, True)):
        spec = ChunkSpec((1,), f4, np.array(fill, f4))
        assert (len(codec.encode(np.array([value], f4), spec)) > 16) is stored


def plain_shard(entries: list[tuple[int, int]], body: bytes = DATA.tobytes()) -> bytes:
    return body + b"".join(struct.pack("<QQ", *entry) for entry in entries)


PLAIN = ShardingCodec(chunk_shape=(1, 6), codecs=(BytesCodec(),), index_codecs=(BytesCodec(),))


def test_unordered_overlapping_and_gappy_ranges_are_read() -> None:
    shard = plain_shard([(72, 24), (0, 24), (ABSENT, ABSENT), (0, 24)])
    decoded = PLAIN.decode(shard, SPEC)
    assert decoded.tolist() == [DATA[3].tolist(), DATA[0].tolist(), [7] * 6, DATA[0].tolist()]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ((200, 24), "inner chunk (2, 0): the index puts its 24 bytes at byte 200, and the shard has 160"),
        ((140, 24), "inner chunk (2, 0): the index puts its 24 bytes at byte 140, and the shard has 160"),
        ((24, ABSENT), "inner chunk (2, 0): the index puts its 18446744073709551615 bytes at byte 24"),
        ((ABSENT, 24), "inner chunk (2, 0): the index puts its 24 bytes at byte 18446744073709551615"),
        ((24, ABSENT - 23), "inner chunk (2, 0): the index puts its 18446744073709551592 bytes at byte 24"),
        ((0, 23), "23 bytes where 24 are due; in inner chunk (2, 0) (codec 'bytes')"),
        ((0, 0), "0 bytes where 24 are due; in inner chunk (2, 0) (codec 'bytes')"),
    ],
)
def test_an_entry_that_leaves_the_shard_names_the_inner_chunk(entry: tuple[int, int], text: str) -> None:
    with pytest.raises(CorruptChunkError) as caught:
        PLAIN.decode(plain_shard([(0, 24), (24, 24), entry, (0, 24)]), SPEC)
    assert text in str(caught.value)


@pytest.mark.parametrize("location", ["start", "end"])
def test_a_damaged_index_is_an_error(location: Any) -> None:
    codec = ShardingCodec(chunk_shape=(2, 3), index_location=location)
    shard = bytearray(codec.encode(DATA, SPEC))
    for size in (0, 67):
        with pytest.raises(CorruptChunkError, match="its index of 4 inner chunks alone 68") as caught:
            codec.decode(bytes(shard[:size]), SPEC)
        assert caught.value.codec == "sharding_indexed"
    shard[5 if location == "start" else -5] ^= 1
    with pytest.raises(CorruptChunkError, match="the shard's index: the checksum does not match") as caught:
        codec.decode(bytes(shard), SPEC)
    assert caught.value.codec == "sharding_indexed"


def test_a_damaged_inner_chunk_names_itself_and_its_codec() -> None:
    codec = ShardingCodec(chunk_shape=(2, 3))
    shard = bytearray(codec.encode(DATA, SPEC))
    shard[0] ^= 0xFF
    with pytest.raises(CorruptChunkError, match=r"; in inner chunk \(0, 0\) ") as caught:
        codec.decode(bytes(shard), SPEC)
    assert caught.value.codec == "zstd"


# --- the shape of inner chunks, as the array has it


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_inner_chunks_are_seen_through_transposes(first: list[int], second: list[int]) -> None:
    sharding = ShardingCodec(chunk_shape=(2, 3, 5, 7))
    transposes = (TransposeCodec(order=tuple(first)), TransposeCodec(order=tuple(second)))
    level = sharding_level((transposes[0], BitroundCodec(keepbits=3), transposes[1], sharding), (210,) * 4)
    assert level
    assert level[0] is sharding
    # What the transposes make of a chunk of the shape that it tells is an inner chunk.
    chunk = np.empty(level[1], "u1")
    assert chunk.transpose(first).transpose(second).shape == sharding.chunk_shape


def test_behind_a_codec_of_the_users_own_only_whole_shards_are_known() -> None:
    sharding = ShardingCodec(chunk_shape=(2,))
    assert sharding_level((Negated(), sharding), (4,)) == ()
    assert sharding_level((BytesCodec(), ZstdCodec()), (4,)) == ()


def metadata_of(*codecs: Any, chunk_shape: tuple[int, ...] = (6, 4)) -> ArrayMetadata:
    from zarrc.metadata.json import dump_document

    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [9, 9],
        "data_type": "int16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk_shape)}},
        "chunk_key_encoding": "default",
        "fill_value": 0,
        "codecs": [codec if isinstance(codec, dict) else codec.to_v3_json() for codec in codecs],
    }
    metadata = parse_node(dump_document(document, indent=None))
    assert isinstance(metadata, ArrayMetadata)
    return metadata


def test_metadata_tells_chunks_and_shards() -> None:
    codec = ShardingCodec(chunk_shape=(2, 4), codecs=(ShardingCodec(chunk_shape=(1, 2)),))
    metadata = metadata_of(codec)
    assert (metadata.chunks, metadata.shards) == ((2, 4), (6, 4))
    assert metadata.sharding == codec
    assert metadata.chunk_spec.shape == (6, 4)
    assert metadata.serializer == codec.codecs[0]
    plain = metadata_of(BytesCodec())
    assert (plain.chunks, plain.shards, plain.sharding) == ((6, 4), None, None)


def test_the_parts_of_the_chain_are_those_of_the_inner_chunks() -> None:
    inner = (TransposeCodec(order=(1, 0)), BytesCodec(), ZstdCodec(), Crc32cCodec())
    metadata = metadata_of(ShardingCodec(chunk_shape=(2, 4), codecs=inner))
    assert (*metadata.filters, metadata.serializer, *metadata.compressors) == inner
    around = metadata_of(TransposeCodec(order=(1, 0)), ShardingCodec(chunk_shape=(4, 2)), Crc32cCodec())
    assert (around.chunks, around.shards) == ((2, 4), (6, 4))
    assert around.filters == (TransposeCodec(order=(1, 0)),)
    assert around.serializer == ShardingCodec(chunk_shape=(4, 2))
    assert around.compressors == (Crc32cCodec(),)


def test_nesting_in_documents_is_read_or_refused() -> None:
    refused: list[tuple[int, str]] = []
    for depth in (1, 8, *range(20, 400, 40)):
        text = b'{"name": "bytes", "configuration": {"endian": "little"}}'
        for _ in range(depth):
            text = (
                b'{"name": "sharding_indexed", "configuration": {"chunk_shape": [4], "codecs": ['
                + text
                + b"],"
                b'"index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], '
                b'"index_location": "end"}}'
            )
        document = (
            b'{"zarr_format": 3, "node_type": "array", "shape": [8], "data_type": "int16", "chunk_grid": '
            b'{"name": "regular", "configuration": {"chunk_shape": [4]}}, "chunk_key_encoding": "default", '
            b'"fill_value": 0, "codecs": [' + text + b"]}"
        )
        try:
            metadata = parse_node(document)
        except MetadataError as error:
            refused.append((depth, str(error)))
        else:
            assert isinstance(metadata, ArrayMetadata)
            assert metadata.chunks == (4,)
    assert min(depth for depth, _ in refused) > 8
    assert all("nested too deeply" in text for _, text in refused)
