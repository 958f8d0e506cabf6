"""Chunk key encodings: the coordinates of a chunk in the grid to its key in the store, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading, show

__all__ = ["ChunkKeyEncoding", "DefaultKeyEncoding", "V2KeyEncoding"]

Separator = Literal["/", "."]
SEPARATORS: tuple[Separator, Separator] = ("/", ".")


@frozen()
class ChunkKeyEncoding:
    """What the encodings share: decimal coordinates, joined by a separator, after a prefix.

    Parameters
    ----------
    separator : {"/", "."}
        Stands between the coordinates (and after the prefix).
    """

    name: ClassVar[str]
    prefix: ClassVar[str]
    """What every key starts with, without the separator; empty for ``v2``."""
    default_separator: ClassVar[Separator]

    separator: Separator

    def __post_init__(self) -> None:
        separator: object = self.separator
        if not isinstance(separator, str) or separator not in SEPARATORS:
            raise MetadataError(
                f"chunk key encoding {self.name!r}: the separator must be '/' or '.', got {show(separator)}"
            )

    def encode(self, chunk_coords: tuple[int, ...]) -> str:
        """The key of a chunk, relative to the array."""
        raise NotImplementedError

    def decode(self, key: str) -> tuple[int, ...] | None:
        """The coordinates of a key; None if no chunk has this key."""
        raise NotImplementedError

    def to_v3_json(self) -> dict[str, Any]:
        """The encoding as a v3 document holds it."""
        return {"name": self.name, "configuration": {"separator": self.separator}}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading) -> Self:
        """The encoding of a v3 ``configuration`` object; the separator has a default in the specification."""
        reading.only_keys(configuration, ("separator",))
        separator = configuration.get("separator", cls.default_separator)
        return cls(reading.at("separator").one_of(separator, SEPARATORS))


@frozen()
class DefaultKeyEncoding(ChunkKeyEncoding):
    """The ``default`` encoding: ``c/1/0``; the only chunk of a 0-d array is ``c``.

    Notes
    -----
    Spec: zarr v3 core, "Default chunk key encoding".
    """

    name: ClassVar[str] = "default"
    prefix: ClassVar[str] = "c"
    default_separator: ClassVar[Separator] = "/"

    separator: Separator = "/"

    def encode(self, chunk_coords: tuple[int, ...]) -> str:
        """The key of a chunk, relative to the array."""
        return self.separator.join(("c", *map(str, chunk_coords)))

    def decode(self, key: str) -> tuple[int, ...] | None:
        """The coordinates of a key; None if no chunk has this key."""
        if key == "c":
            return ()
        return _coordinates(key[2:], self.separator) if key.startswith("c" + self.separator) else None


@frozen()
class V2KeyEncoding(ChunkKeyEncoding):
    """The ``v2`` encoding: ``1.0``; the only chunk of a 0-d array is ``0``.

    Notes
    -----
    Spec: zarr v3 core, "v2 chunk key encoding". A key ``0`` decodes to ``(0,)``: it says nothing of 0-d or
    1-d.
    """

    name: ClassVar[str] = "v2"
    prefix: ClassVar[str] = ""
    default_separator: ClassVar[Separator] = "."

    separator: Separator = "."

    def encode(self, chunk_coords: tuple[int, ...]) -> str:
        """The key of a chunk, relative to the array."""
        return self.separator.join(map(str, chunk_coords)) if chunk_coords else "0"

    def decode(self, key: str) -> tuple[int, ...] | None:
        """The coordinates of a key; None if no chunk has this key."""
        return _coordinates(key, self.separator)


def _coordinates(text: str, separator: str) -> tuple[int, ...] | None:
    """The decimal numbers in ``text``; None unless they are written as `encode` writes them."""
    parts = text.split(separator)
    if not all(part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") for part in parts):
        return None
    return tuple(map(int, parts)) if max(map(len, parts)) < 20 else None
