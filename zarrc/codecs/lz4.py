"""The ``lz4`` codec of numcodecs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.codecs.checks import integer
from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["LZ4_MAX_NBYTES", "Lz4Codec"]

LZ4_MAX_NBYTES = 0x7E000000
"""LZ4_MAX_INPUT_SIZE of lz4.h."""


@frozen(kw_only=True)
class Lz4Codec(BytesBytesCodec):
    """The ``numcodecs.lz4`` codec (bytes to bytes): the decoded size (u32), then an LZ4 block; in v2 ``lz4``.

    Parameters
    ----------
    acceleration : int, default 1
        The higher, the faster and the larger; lz4 takes 0 for 1, and 65537 for all above.

    Raises
    ------
    MetadataError
        If ``acceleration`` is out of range.
    """

    name: ClassVar[str] = "numcodecs.lz4"
    aliases: ClassVar[tuple[str, ...]] = ("lz4",)
    v2_id: ClassVar[str | None] = "lz4"

    acceleration: int = 1

    def __post_init__(self) -> None:
        checked = integer("lz4", "acceleration", self.acceleration, 0, 2**31 - 1)
        object.__setattr__(self, "acceleration", checked)

    def check_nbytes(self, nbytes: int) -> None:
        """Refuse what one LZ4 block cannot hold."""
        if nbytes > LZ4_MAX_NBYTES:
            raise MetadataError(
                f"lz4: a chunk of {nbytes} bytes is above the format's limit of {LZ4_MAX_NBYTES}; "
                "use smaller chunks or another codec",
                codec=self.name,
            )

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.compressors import lz4

        return lz4(min(max(self.acceleration, 1), 65537))

    def configuration(self) -> dict[str, Any]:
        """``{"acceleration": ...}``."""
        return {"acceleration": self.acceleration}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object; zarr-python leaves out what is numcodecs' default."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("acceleration",))
        return cls(acceleration=configuration.get("acceleration", 1))

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 compressor."""
        return {"id": "lz4", "acceleration": self.acceleration}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 compressor."""
        return cls.from_v3_json(configuration, reading)
