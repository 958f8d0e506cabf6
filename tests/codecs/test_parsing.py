"""Codecs from what documents and users say, and the messages when that is wrong."""

from __future__ import annotations

import enum
import pickle
from typing import Any

import pytest

from zarrc.codecs import (
    BitroundCodec,
    BloscCodec,
    BytesBytesCodec,
    BytesCodec,
    Codec,
    Crc32cCodec,
    GzipCodec,
    Lz4Codec,
    TransposeCodec,
    UnknownCodec,
    ZlibCodec,
    ZstdCodec,
    get_codec_class,
    known_codecs,
    register_codec,
    registry,
)
from zarrc.codecs.parsing import codec_from_user, codec_from_v2_json, codec_from_v3_json, codecs_from_user
from zarrc.errors import MetadataError, UnknownCodecError
from zarrc.reading import Reading

EVERY = (
    BytesCodec(endian="big"),
    BytesCodec(endian=None),
    TransposeCodec(order=(1, 0, 2)),
    BitroundCodec(keepbits=10),
    GzipCodec(level=9),
    ZstdCodec(level=-131072, checksum=True),
    ZstdCodec(level=22),
    Lz4Codec(acceleration=7),
    ZlibCodec(level=9),
    BloscCodec(typesize=4, cname="snappy", clevel=0, shuffle="noshuffle", blocksize=1024),
    Crc32cCodec(),
)


@pytest.mark.parametrize("codec", EVERY, ids=repr)
def test_v3_json_and_back(codec: Codec) -> None:
    document = codec.to_v3_json()
    assert document["name"] == codec.name
    assert codec_from_v3_json(document, Reading(strict=True)) == codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert hash(codec) == hash(codec_from_v3_json(document, Reading()))


@pytest.mark.parametrize("codec", [codec for codec in EVERY if codec.v2_id is not None], ids=repr)
def test_v2_json_and_back(codec: Codec) -> None:
    back = codec_from_v2_json(codec.to_v2_json(), Reading(strict=True))
    assert back.to_v2_json() == codec.to_v2_json()
    assert type(back) is type(codec)


@pytest.mark.parametrize(
    ("codec", "document"),
    [
        (BytesCodec(), {"name": "bytes", "configuration": {"endian": "little"}}),
        (BytesCodec(endian=None), {"name": "bytes"}),
        (TransposeCodec(order=(1, 0)), {"name": "transpose", "configuration": {"order": [1, 0]}}),
        (BitroundCodec(keepbits=3), {"name": "bitround", "configuration": {"keepbits": 3}}),
        (GzipCodec(), {"name": "gzip", "configuration": {"level": 5}}),
        (ZstdCodec(), {"name": "zstd", "configuration": {"level": 0, "checksum": False}}),
        (Lz4Codec(), {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}),
        (ZlibCodec(), {"name": "numcodecs.zlib", "configuration": {"level": 1}}),
        (Crc32cCodec(), {"name": "crc32c"}),
        (
            BloscCodec(typesize=4, shuffle="shuffle"),
            {
                "name": "blosc",
                "configuration": {
                    "cname": "zstd",
                    "clevel": 5,
                    "typesize": 4,
                    "shuffle": "shuffle",
                    "blocksize": 0,
                },
            },
        ),
    ],
    ids=repr,
)
def test_the_v3_form_is_the_one_that_most_peers_read(codec: Codec, document: object) -> None:
    assert codec.to_v3_json() == document


@pytest.mark.parametrize(
    ("codec", "document"),
    [
        (ZstdCodec(level=3), {"id": "zstd", "level": 3}),
        (ZstdCodec(level=3, checksum=True), {"id": "zstd", "level": 3, "checksum": True}),
        (
            BloscCodec(typesize=4, shuffle="bitshuffle"),
            {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0},
        ),
        (BloscCodec(), {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": -1, "blocksize": 0}),
        (GzipCodec(level=6), {"id": "gzip", "level": 6}),
        (Lz4Codec(), {"id": "lz4", "acceleration": 1}),
        (Crc32cCodec(), {"id": "crc32c"}),
    ],
    ids=repr,
)
def test_the_v2_form_is_numcodecs(codec: Codec, document: object) -> None:
    assert codec.to_v2_json() == document


class NumcodecsLike:
    """Objects of numcodecs have this method."""

    def get_config(self) -> dict[str, Any]:
        return {"id": "blosc", "cname": "lz4", "clevel": 3, "shuffle": 1, "blocksize": 0}

    def __repr__(self) -> str:  # the test's id, the same in each process
        return "NumcodecsLike()"


class ZarrPythonLike:
    """Codecs of zarr-python have this method."""

    def to_dict(self) -> dict[str, Any]:
        return {"name": "zstd", "configuration": {"level": 3, "checksum": False}}

    def __repr__(self) -> str:
        return "ZarrPythonLike()"


class Shuffle(enum.Enum):
    """As in zarr-python."""

    shuffle = "shuffle"


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        ("zstd", ZstdCodec()),
        ({"name": "zstd"}, ZstdCodec()),
        ({"name": "gzip"}, GzipCodec(level=5)),
        ({"name": "gzip", "configuration": {}}, GzipCodec(level=5)),
        ("bytes", BytesCodec(endian="little")),
        ({"name": "bytes", "configuration": {"endian": "big"}}, BytesCodec(endian="big")),
        ("lz4", Lz4Codec()),
        ("zlib", ZlibCodec()),
        ("crc32c", Crc32cCodec()),
        ("blosc", BloscCodec()),
        ({"name": "blosc", "configuration": {"shuffle": 2}}, BloscCodec(shuffle="bitshuffle")),
        (BloscCodec(shuffle=Shuffle.shuffle), BloscCodec(shuffle="shuffle")),  # type: ignore[arg-type]
        (BloscCodec(shuffle=-1), BloscCodec()),  # type: ignore[arg-type]
        ({"name": "numcodecs.bitround", "configuration": {"keepbits": 3}}, BitroundCodec(keepbits=3)),
        ({"name": "numcodecs.zstd"}, ZstdCodec(level=1)),
        ({"name": "numcodecs.zlib", "configuration": {}}, ZlibCodec(level=1)),
        ({"id": "zlib", "level": 3}, ZlibCodec(level=3)),
        ({"id": "zstd"}, ZstdCodec(level=1)),
        ({"id": "gzip", "level": -1}, GzipCodec(level=6)),
        ({"id": "blosc"}, BloscCodec(cname="lz4", shuffle="shuffle")),
        (NumcodecsLike(), BloscCodec(cname="lz4", clevel=3, shuffle="shuffle")),
        (ZarrPythonLike(), ZstdCodec(level=3)),
        (ZstdCodec(level=4), ZstdCodec(level=4)),
    ],
    ids=repr,
)
def test_users_say_codecs_in_many_ways(value: object, codec: Codec) -> None:
    assert codec_from_user(value, Reading(from_user=True)) == codec


def test_one_several_or_no_codecs() -> None:
    reading = Reading(path="compressors", from_user=True)
    assert codecs_from_user(None, reading) == ()
    assert codecs_from_user("zstd", reading) == (ZstdCodec(),)
    assert codecs_from_user({"name": "zstd"}, reading) == (ZstdCodec(),)
    assert codecs_from_user([ZstdCodec(), "crc32c"], reading) == (ZstdCodec(), Crc32cCodec())
    assert codecs_from_user(iter(["crc32c"]), reading) == (Crc32cCodec(),)
    assert codecs_from_user(NumcodecsLike(), reading) == (
        BloscCodec(cname="lz4", clevel=3, shuffle="shuffle"),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            "zstdd",
            "codecs[1]: unknown codec 'zstdd' (did you mean 'zstd'?); known: 'bitround', 'blosc', 'bytes'",
        ),
        (
            {"name": "vlen-utf8", "configuration": {}},
            "codec 'vlen-utf8' is not supported in this version",
        ),
        ("numcodecs.delta", "codec 'numcodecs.delta' is not supported in this version"),
        (
            {"id": "lzma"},
            "codec 'lzma' is not supported in this version of zarrc; supported: 'bitround', 'blosc'",
        ),
        (
            {"name": "gzip", "configuration": {"level": 10}},
            "configuration: gzip: level must be in [0, 9], got 10",
        ),
        ({"name": "gzip", "configuration": {"level": "9"}}, "gzip: level must be an integer, got '9'"),
        ({"name": "gzip", "configuration": {"level": True}}, "gzip: level must be an integer, got True"),
        ({"name": "gzip", "configuration": {"level": 5.0}}, "gzip: level must be an integer, got 5.0"),
        (
            {"name": "gzip", "configuration": {"levl": 5}},
            "unknown key 'levl' (did you mean 'level'?); allowed: 'level'",
        ),
        ({"name": "zstd", "configuration": {"level": 23}}, "zstd: level must be in [-131072, 22], got 23"),
        ({"name": "zstd", "configuration": {"checksum": 1}}, "zstd: checksum must be true or false, got 1"),
        ({"name": "crc32c", "configuration": {"x": 1}}, "unknown key 'x'; allowed: 'location'"),
        (
            {"name": "crc32c", "configuration": {"location": "start"}},
            "location: must be one of 'end', got 'start'",
        ),
        (
            {"name": "blosc", "configuration": {"cname": "lz5"}},
            "blosc: cname must be one of 'blosclz', 'lz4'",
        ),
        ({"name": "blosc", "configuration": {"shuffle": 3}}, "blosc: shuffle must be in [-1, 2], got 3"),
        (
            {"name": "blosc", "configuration": {"shuffle": "byte"}},
            "shuffle must be one of 'noshuffle', 'shuffle'",
        ),
        (
            {"name": "blosc", "configuration": {"typesize": 0}},
            "blosc: typesize must be in [1, 2147483647], got 0",
        ),
        ({"name": "bitround"}, "codecs[1].configuration: 'keepbits' is missing"),
        (
            {"name": "bitround", "configuration": {"keepbits": 0}},
            "bitround: keepbits must be in [1, 2147483647], got 0",
        ),
        (
            {"name": "transpose", "configuration": {"order": [0, 0]}},
            "must be a permutation (each of 0 to 1 once), got",
        ),
        (
            {"name": "transpose", "configuration": {"order": [1, 2]}},
            "must be a permutation (each of 0 to 1 once), got",
        ),
        (
            {"name": "transpose", "configuration": {"order": "K"}},
            "order must be a permutation such as [1, 0], got 'K'",
        ),
        (
            {"name": "transpose", "configuration": {"order": [0.0]}},
            "an item of order must be an integer, got 0.0",
        ),
        (
            {"name": "bytes", "configuration": {"endian": "middle"}},
            "endian: must be one of 'little', 'big', got 'middle'",
        ),
        ({"name": 3}, "codecs[1].name: must be a string, got 3"),
        ({"configuration": {}}, "codecs[1]: 'name' is missing"),
        ({"name": "zstd", "config": {}}, "unknown key 'config' (did you mean 'configuration'?)"),
        ({"name": "zstd", "configuration": None}, "codecs[1].configuration: must be an object, got None"),
        (
            {"name": "nope", "must_understand": False},
            "must_understand: false is not allowed here (for 'nope')",
        ),
        (
            3,
            "codecs[1]: must be a codec, its name, or an object such as {'name': 'zstd'}, got 3; known: 'bit",
        ),
        (ZstdCodec, "codecs[1]: must be a codec, not the class ZstdCodec; write ZstdCodec(...)"),
        ({"id": 3}, "codecs[1].id: must be a string, got 3"),
        ({}, "codecs[1]: 'name' is missing"),
    ],
    ids=repr,
)
def test_a_wrong_codec_says_which_and_what_is_allowed(value: object, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        codec_from_user(value, Reading(path="codecs[1]", from_user=True))
    assert text in str(caught.value)
    assert str(caught.value).startswith("codecs[1]")
    assert str(caught.value).count("codecs[1]") == 1


def test_an_error_carries_key_and_codec() -> None:
    with pytest.raises(UnknownCodecError) as caught:
        codec_from_v3_json("nope", Reading(key="a/zarr.json", path="codecs[0]"))
    assert (caught.value.key, caught.value.codec) == ("a/zarr.json", "nope")
    assert pickle.loads(pickle.dumps(caught.value)).key == "a/zarr.json"


@pytest.mark.parametrize(
    ("value", "codec", "note"),
    [
        (
            "endian",
            BytesCodec(endian=None),
            "codecs[0].name: 'endian' is not a registered name; read as 'bytes'",
        ),
        ("lz4", Lz4Codec(), "codecs[0].name: 'lz4' is not a registered name; read as 'numcodecs.lz4'"),
        ("gzip", GzipCodec(), "codecs[0].configuration: 'level' is missing; read as 5"),
        ({"name": "zstd"}, ZstdCodec(), "codecs[0].configuration: 'level' is missing; read as 0"),
        (
            {"name": "transpose", "configuration": {"order": "F"}},
            TransposeCodec(order="F"),
            "codecs[0].configuration.order: 'F' is a form of v3's drafts; read as all dimensions reversed",
        ),
        (
            {
                "name": "blosc",
                "configuration": {"cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 4, "blocksize": 0},
            },
            BloscCodec(cname="lz4", shuffle="shuffle", typesize=4),
            "codecs[0].configuration.shuffle: 1 is numcodecs' number; read as 'shuffle'",
        ),
        (
            {
                "name": "blosc",
                "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "blocksize": 0},
            },
            BloscCodec(cname="lz4", shuffle="bitshuffle"),
            "codecs[0].configuration: 'typesize' is missing; read as the size of the data type",
        ),
        (
            {"name": "crc32c", "configuration": {"location": "end"}},
            Crc32cCodec(),
            "codecs[0].configuration.location: belongs to numcodecs' codec; read as 'crc32c'",
        ),
    ],
    ids=repr,
)
def test_a_lenient_codec_is_noted_and_strict_refuses_it(value: object, codec: Codec, note: str) -> None:
    reading = Reading(path="codecs[0]")
    assert codec_from_v3_json(value, reading) == codec
    assert reading.notes == [note]
    with pytest.raises(MetadataError) as caught:
        codec_from_v3_json(value, Reading(path="codecs[0]", strict=True))
    assert note.startswith(str(caught.value).removesuffix(f" (codec '{codec.name}')"))


@pytest.mark.parametrize(
    "value",
    [
        "crc32c",
        {"name": "crc32c", "configuration": {}},
        {"name": "zstd", "configuration": {"level": 3}},
        {"name": "numcodecs.zlib", "configuration": {}},
        {"name": "numcodecs.bitround", "configuration": {"keepbits": 3}},
        {
            "name": "blosc",
            "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0},
        },
        {"name": "gzip", "configuration": {"level": 5}, "must_understand": True},
    ],
    ids=repr,
)
def test_legal_forms_are_read_strictly(value: object) -> None:
    codec_from_v3_json(value, Reading(strict=True))


def test_an_unknown_codec_that_need_not_be_understood_is_kept() -> None:
    reading = Reading(strict=True, path="codecs[0]")
    document = {"name": "nope", "configuration": {"a": [1]}, "must_understand": False}
    codec = codec_from_v3_json(document, reading)
    assert isinstance(codec, UnknownCodec)
    assert codec.to_v3_json() == document
    assert codec == pickle.loads(pickle.dumps(codec))
    assert reading.notes == [
        (
            "codecs[0]: the unknown codec 'nope' has must_understand: false; "
            "it is skipped when reading, and data cannot be written"
        )
    ]


def test_a_registered_codec_is_known_by_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))
    monkeypatch.setattr(registry, "_BY_V2_ID", dict(registry._BY_V2_ID))

    @register_codec
    class Mine(BytesBytesCodec):
        name = "mine"
        aliases = ("my.old",)
        v2_id = "mine2"

        @classmethod
        def from_v2_json(cls, configuration: Any, reading: Reading | None = None) -> Mine:
            return cls()

    assert get_codec_class("mine") is get_codec_class("my.old") is Mine
    assert "mine" in known_codecs()
    assert isinstance(codec_from_user("mine", Reading(from_user=True)), Mine)
    assert isinstance(codec_from_user({"id": "mine2"}, Reading(from_user=True)), Mine)
    with pytest.raises(MetadataError, match="'mine' does not exist in zarr_format 2"):
        Mine().to_v2_json()


def test_codecs_that_v2_lacks_say_so() -> None:
    with pytest.raises(MetadataError, match="codec 'transpose' does not exist in zarr_format 2"):
        TransposeCodec(order=(0,)).to_v2_json()


@pytest.mark.parametrize("error", [TypeError("no"), ValueError("no"), KeyError("no")])
def test_an_own_codec_may_refuse_a_configuration_with_any_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(registry, "_BY_NAME", dict(registry._BY_NAME))
    monkeypatch.setattr(registry, "_BY_V2_ID", dict(registry._BY_V2_ID))

    @register_codec
    class Refusing(BytesBytesCodec):
        name = "test.refusing"
        v2_id = "refusing"

        @classmethod
        def from_v3_json(cls, configuration: Any, reading: Any = None) -> Any:
            raise error

        from_v2_json = from_v3_json

    for value in ({"name": "test.refusing"}, {"id": "refusing"}):
        with pytest.raises(MetadataError, match=r"does not take this configuration: \w+: '?no") as caught:
            codec_from_user(value, Reading(path="codecs", from_user=True))
        assert caught.value.codec == "test.refusing"
        assert caught.value.__cause__ is error
