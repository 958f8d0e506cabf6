"""The ``bytes`` codec: an array's elements one after the other, in C order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from zarrc.codecs.base import ArrayBytesCodec, ChunkSpec
from zarrc.codecs.checks import one_of
from zarrc.errors import CorruptChunkError, MetadataError
from zarrc.frozen import changed, frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["BytesCodec"]

_ENDIANS = ("little", "big")


@frozen(kw_only=True)
class BytesCodec(ArrayBytesCodec):
    """The ``bytes`` codec (array to bytes): the elements in C order.

    Parameters
    ----------
    endian : {"little", "big"} or None, default "little"
        Byte order; None for data types that have none (those of one byte, raw bits).

    Raises
    ------
    MetadataError
        If ``endian`` is something else.

    Notes
    -----
    Spec: zarr v3 codecs, ``bytes``.
    """

    name: ClassVar[str] = "bytes"
    aliases: ClassVar[tuple[str, ...]] = ("endian",)

    endian: Literal["little", "big"] | None = "little"

    def __post_init__(self) -> None:
        if self.endian is not None:
            object.__setattr__(self, "endian", one_of("bytes", "endian", self.endian, _ENDIANS))

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        """The same spec; an element of several bytes needs a byte order."""
        if self.endian is None and _has_byte_order(spec.dtype):
            raise MetadataError(
                f"bytes: endian is missing, and {spec.dtype.name} needs one: 'little' or 'big'",
                codec=self.name,
            )
        return spec

    def with_spec(self, spec: ChunkSpec) -> Self:
        """The codec, without a byte order where the data type has none."""
        return self if _has_byte_order(spec.dtype) else changed(self, endian=None)

    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> bytes:
        """The bytes of the chunk ``data``."""
        return np.asarray(data, self._stored(spec.dtype)).tobytes()

    def decode(self, data: Buffer, spec: ChunkSpec) -> npt.NDArray[Any]:
        """The chunk of ``spec`` in ``data``: a new array in native byte order."""
        view = memoryview(data)
        if view.nbytes != spec.nbytes:
            raise CorruptChunkError(f"{view.nbytes} bytes where {spec.nbytes} are due", codec=self.name)
        stored = np.frombuffer(view, self._stored(spec.dtype)) if view.nbytes else np.empty(0, spec.dtype)
        return stored.reshape(spec.shape).astype(spec.dtype)

    def _stored(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype.newbyteorder("big" if self.endian == "big" else "little")

    def configuration(self) -> dict[str, Any]:
        """``{"endian": ...}``, or nothing where there is no byte order."""
        return {} if self.endian is None else {"endian": self.endian}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object; a user may leave ``endian`` out, a document may not."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("endian",))
        if "endian" in configuration:
            return cls(endian=reading.at("endian").one_of(configuration["endian"], _ENDIANS))
        return cls() if reading.from_user else cls(endian=None)


def _has_byte_order(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize > 1 and dtype.kind != "V"
