"""The ``crc32c`` codec: a checksum after the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from zarrc.codecs.base import BytesBytesCodec, ChunkSpec
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    from zarrc.kernels.codec import CodecKernel

__all__ = ["Crc32cCodec"]


@frozen(kw_only=True)
class Crc32cCodec(BytesBytesCodec):
    """The ``crc32c`` codec (bytes to bytes): the bytes, then their CRC-32C as 4 bytes, little endian.

    Notes
    -----
    Spec: zarr v3 codecs, ``crc32c``. numcodecs' ``location`` is read; only ``"end"``, its default, means
    this codec.
    """

    name: ClassVar[str] = "crc32c"
    aliases: ClassVar[tuple[str, ...]] = ("numcodecs.crc32c",)
    v2_id: ClassVar[str | None] = "crc32c"

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel."""
        from zarrc.kernels.checksums import crc32c_kernel

        return crc32c_kernel()

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        codec = cls.from_v2_json(configuration, reading)
        if configuration:
            reading.at("location").assume("belongs to numcodecs' codec", "read as 'crc32c'")
        return codec

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 filter or compressor."""
        return {"id": "crc32c"}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 filter or compressor."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("location",))
        reading.at("location").one_of(configuration.get("location", "end"), ("end",))
        return cls()
