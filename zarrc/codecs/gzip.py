"""The ``gzip`` codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.codecs.checks import integer
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["GzipCodec"]

NUMCODECS_LEVEL = 1
"""The level where a document of numcodecs says none."""


@frozen(kw_only=True)
class GzipCodec(BytesBytesCodec):
    """The ``gzip`` codec (bytes to bytes): one gzip member (RFC 1952) per chunk; several are read.

    Parameters
    ----------
    level : int, default 5
        Compression level, 0 to 9.

    Raises
    ------
    MetadataError
        If ``level`` is out of range.

    Notes
    -----
    Spec: zarr v3 codecs, ``gzip``.
    """

    name: ClassVar[str] = "gzip"
    aliases: ClassVar[tuple[str, ...]] = ("numcodecs.gzip",)
    v2_id: ClassVar[str | None] = "gzip"

    level: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", integer("gzip", "level", self.level, 0, 9))

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.compressors import gzip

        return gzip(self.level)

    def configuration(self) -> dict[str, Any]:
        """``{"level": ...}``."""
        return {"level": self.level}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("level",))
        return cls(level=reading.defaulted(configuration, "level", 5))

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 compressor."""
        return {"id": "gzip", "level": self.level}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 compressor; -1 is zlib's word for level 6."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("level",))
        level = configuration.get("level", NUMCODECS_LEVEL)
        return cls(level=6 if level == -1 and not isinstance(level, bool) else level)
