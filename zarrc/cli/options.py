"""What users write after ``--chunks`` and ``--codec``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import click

__all__ = ["Chunks", "CodecChain"]

if TYPE_CHECKING:
    _Param = click.ParamType[Any]  # generic for checkers from click 8.2 on, and not when it runs
else:
    _Param = click.ParamType

_BLOSC = "blosc-"
_BLOSC_NAMES = ("blosclz", "lz4", "lz4hc", "zlib", "zstd", "snappy")
# name -> (name in metadata, name of the number after the colon)
_COMPRESSORS = {
    "zstd": ("zstd", "level"),
    "gzip": ("gzip", "level"),
    "zlib": ("numcodecs.zlib", "level"),
    "lz4": ("numcodecs.lz4", "acceleration"),
    "blosc": ("blosc", "clevel"),
}


class Chunks(_Param):
    """``auto``, or chunk lengths by dimension name: ``time=12,lat=50``."""

    name = "chunks"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What stands for the value in the help."""
        return "auto|DIM=LENGTH,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int] | Literal["auto"]:
        """Parse; a value that was not typed passes through."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value == "auto":
            return "auto"
        lengths: dict[str, int] = {}
        for part in value.split(","):
            name, equals, length = part.rpartition("=")
            try:
                lengths[name.strip()] = int(length)
            except ValueError:
                equals = ""
            if not equals or not name.strip():
                self.fail(f"{part.strip()!r} is not DIMENSION=LENGTH, as in time=12,lat=50", param, ctx)
        return lengths


class CodecChain(_Param):
    """``none``, ``zstd:3``, ``blosc-lz4:5``, or a codec or a chain of codecs in JSON."""

    name = "codec"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What stands for the value in the help."""
        return "NAME[:LEVEL]|none|JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[dict[str, Any]]:
        """Parse; a value that was not typed passes through."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if value.lstrip()[:1] in ("[", "{"):
            return self._from_json(value, param, ctx)
        name, colon, number = value.partition(":")
        if name == "none" and not colon:
            return [{"name": "bytes"}]
        configuration: dict[str, Any] = {}
        if name.startswith(_BLOSC) and name.removeprefix(_BLOSC) in _BLOSC_NAMES:
            configuration["cname"] = name.removeprefix(_BLOSC)
            name = "blosc"
        if name not in _COMPRESSORS:
            known = ", ".join(["none", *_COMPRESSORS, *(_BLOSC + cname for cname in _BLOSC_NAMES)])
            self.fail(f"no codec {name!r}; known: {known}; or JSON", param, ctx)
        full_name, number_name = _COMPRESSORS[name]
        if colon:
            try:
                configuration[number_name] = int(number)
            except ValueError:
                self.fail(f"{number!r} is not a whole number in {value!r}", param, ctx)
        return [{"name": "bytes"}, {"name": full_name, "configuration": configuration}]

    def _from_json(
        self, text: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[dict[str, Any]]:
        try:
            chain = json.loads(text)
        except ValueError as error:
            self.fail(f"not JSON: {error}", param, ctx)
        if isinstance(chain, dict):
            return [chain]
        return list(chain)
