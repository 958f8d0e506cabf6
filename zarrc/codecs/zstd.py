"""The ``zstd`` codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.codecs.checks import boolean, integer
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["ZstdCodec"]

NUMCODECS_LEVEL = 1
"""The level where a v2 document says none."""


@frozen(kw_only=True)
class ZstdCodec(BytesBytesCodec):
    """The ``zstd`` codec (bytes to bytes): one Zstandard frame per chunk.

    Parameters
    ----------
    level : int, default 0
        Compression level, -131072 to 22; 0 is zstd's own default. Decoding ignores it.
    checksum : bool, default False
        Whether a frame carries a checksum of its content.

    Raises
    ------
    MetadataError
        If ``level`` is out of range.

    Notes
    -----
    Spec: zarr-extensions ``codecs/zstd``. A v3 document always says ``checksum``, as zarr-python writes it
    and every reader takes it; a v2 document says it only when true, because zarrs (to 0.23.13) and
    tensorstore refuse it there.
    """

    name: ClassVar[str] = "zstd"
    aliases: ClassVar[tuple[str, ...]] = ("numcodecs.zstd",)
    v2_id: ClassVar[str | None] = "zstd"

    level: int = 0
    checksum: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", integer("zstd", "level", self.level, -131072, 22))
        object.__setattr__(self, "checksum", boolean("zstd", "checksum", self.checksum))

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.compressors import zstd

        return zstd(self.level, self.checksum)

    def configuration(self) -> dict[str, Any]:
        """``{"level": ..., "checksum": ...}``."""
        return {"level": self.level, "checksum": self.checksum}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("level", "checksum"))
        level = reading.defaulted(configuration, "level", 0)
        return cls(level=level, checksum=configuration.get("checksum", False))

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 compressor."""
        checksum = {"checksum": True} if self.checksum else {}
        return {"id": "zstd", "level": self.level, **checksum}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 compressor."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("level", "checksum"))
        return cls(
            level=configuration.get("level", NUMCODECS_LEVEL), checksum=configuration.get("checksum", False)
        )
