from __future__ import annotations

from typing import Any

import click
import pytest

from zarrc.cli.options import Chunks, CodecChain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", "auto"),
        ("time=12", {"time": 12}),
        ("time=12,lat=50", {"time": 12, "lat": 50}),
        (" time = 12 , lat = -1 ", {"time": 12, "lat": -1}),
        ("a=b=3", {"a=b": 3}),
    ],
)
def test_chunks_are_lengths_by_name(text: str, expected: Any) -> None:
    assert Chunks().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "12", "time", "time=", "time=x", "=3", "time=1.5", "time=3,", "time:3"])
def test_chunks_that_are_no_lengths_by_name_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not DIMENSION=LENGTH, as in time=12,lat=50"):
        Chunks().convert(text, None, None)


BYTES = {"name": "bytes"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", [BYTES]),
        ("zstd", [BYTES, {"name": "zstd", "configuration": {}}]),
        ("zstd:3", [BYTES, {"name": "zstd", "configuration": {"level": 3}}]),
        ("zstd:-5", [BYTES, {"name": "zstd", "configuration": {"level": -5}}]),
        ("gzip:9", [BYTES, {"name": "gzip", "configuration": {"level": 9}}]),
        ("zlib:1", [BYTES, {"name": "numcodecs.zlib", "configuration": {"level": 1}}]),
        ("lz4", [BYTES, {"name": "numcodecs.lz4", "configuration": {}}]),
        ("blosc", [BYTES, {"name": "blosc", "configuration": {}}]),
        ("blosc-lz4:5", [BYTES, {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5}}]),
        ('{"name": "zstd"}', [{"name": "zstd"}]),
        ('[{"name": "bytes"}, {"name": "zstd"}]', [BYTES, {"name": "zstd"}]),
    ],
)
def test_a_codec_is_a_name_with_a_level_or_json(text: str, expected: Any) -> None:
    assert CodecChain().convert(text, None, None) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lzma", "no codec 'lzma'; known: none, zstd, gzip"),
        ("", "no codec ''"),
        ("none:3", "no codec 'none'"),
        ("blosc-foo", "no codec 'blosc-foo'"),
        ("zstd:fast", "'fast' is not a whole number in 'zstd:fast'"),
        ("zstd:", "'' is not a whole number"),
        ("[{", "not JSON"),
    ],
)
def test_a_codec_that_is_not_known_is_refused(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message.replace("[", r"\[")):
        CodecChain().convert(text, None, None)
