"""The ``bitround`` codec: rounds to the leading bits, so that what follows compresses better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from zarrc.codecs.base import ArrayArrayCodec, ChunkSpec
from zarrc.codecs.checks import integer
from zarrc.errors import MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.kernels.codec import CodecKernel

__all__ = ["BitroundCodec"]

# The kernel's words for the kinds of numbers (csrc/zc_bitround.h).
_FLOAT, _SIGNED, _UNSIGNED = 0, 1, 2
_KINDS = {"f": _FLOAT, "c": _FLOAT, "i": _SIGNED, "u": _UNSIGNED}


@frozen(kw_only=True)
class BitroundCodec(ArrayArrayCodec):
    """The ``bitround`` codec (array to array): half to even at ``keepbits`` bits. Decoding changes nothing.

    Parameters
    ----------
    keepbits : int
        Bits to keep, at least 1: of the mantissa for floats (each component of a complex number), counted
        from the highest set bit for integers. More than there are changes nothing.

    Raises
    ------
    MetadataError
        If ``keepbits`` is below 1.

    Notes
    -----
    Spec: zarr-extensions ``codecs/bitround``. NaN and infinities stay as they are.
    """

    name: ClassVar[str] = "bitround"
    aliases: ClassVar[tuple[str, ...]] = ("numcodecs.bitround",)
    registered_aliases: ClassVar[tuple[str, ...]] = ("numcodecs.bitround",)
    v2_id: ClassVar[str | None] = "bitround"

    keepbits: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "keepbits", integer("bitround", "keepbits", self.keepbits, 1, 2**31 - 1))

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        """The same spec with the fill value rounded, which is what a later codec meets in an empty chunk."""
        if spec.dtype.kind not in _KINDS:
            raise MetadataError(
                f"bitround: cannot round {spec.dtype.name}; it takes integers, floats and complex numbers",
                codec=self.name,
            )
        if spec.fill is None or not any(spec.fill.tobytes()):
            return spec
        return ChunkSpec(spec.shape, spec.dtype, self.encode(spec.fill, spec))

    def kernel(self, spec: ChunkSpec) -> CodecKernel:
        """The kernel, on elements in native byte order."""
        from zarrc.kernels.bitround import kernel

        itemsize = spec.dtype.itemsize // 2 if spec.dtype.kind == "c" else spec.dtype.itemsize
        return kernel(_KINDS[spec.dtype.kind], itemsize, min(self.keepbits, 8 * itemsize))

    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """The rounded chunk, a new array."""
        rounded = self.kernel(spec).encode(np.ascontiguousarray(data, spec.dtype).tobytes())
        return np.frombuffer(rounded, spec.dtype, count=data.size).reshape(data.shape)

    def decode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """``data`` itself."""
        return data

    def configuration(self) -> dict[str, Any]:
        """``{"keepbits": ...}``."""
        return {"keepbits": self.keepbits}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, ("keepbits",))
        return cls(keepbits=reading.required(configuration, "keepbits"))

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 filter."""
        return {"id": "bitround", "keepbits": self.keepbits}

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 filter."""
        return cls.from_v3_json(configuration, reading)
