"""The ``zlib`` codec of numcodecs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.codecs.checks import integer
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["ZlibCodec"]


@frozen(kw_only=True)
class ZlibCodec(BytesBytesCodec):
    """The ``numcodecs.zlib`` codec (bytes to bytes): one zlib stream (RFC 1950) per chunk; in v2 ``zlib``.

    Parameters
    ----------
    level : int, default 1
        Compression level, 0 to 9; -1 is zlib's word for 6.

    Raises
    ------
    MetadataError
        If ``level`` is out of range.
    """

    name: ClassVar[str] = "numcodecs.zlib"
    aliases: ClassVar[tuple[str, ...]] = ("zlib",)
    v2_id: ClassVar[str | None] = "zlib"

    level: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", integer("zlib", "level", self.level, -1, 9))

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.compressors import zlib

        return zlib(6 if self.level == -1 else self.level)

    def configuration(self) -> dict[str, Any]:
        """``{"level": ...}``."""
        return {"level": self.level}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object; zarr-python leaves out what is numcodecs' default."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("level",))
        return cls(level=configuration.get("level", 1))

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 compressor."""
        return {"id": "zlib", "level": self.level}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 compressor."""
        return cls.from_v3_json(configuration, reading)
