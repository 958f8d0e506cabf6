"""What a codec is: the three kinds, and the chunk as a codec sees it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from zarrc.errors import CodecError, CorruptChunkError, MetadataError
from zarrc.frozen import frozen
from zarrc.reading import Reading

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Buffer

    from zarrc.kernels.codec import CodecKernel

__all__ = ["ArrayArrayCodec", "ArrayBytesCodec", "BytesBytesCodec", "ChunkSpec", "Codec", "CodecKind"]

CodecKind = Literal["array_to_array", "array_to_bytes", "bytes_to_bytes", "unknown"]


@frozen(eq=False)
class ChunkSpec:
    """A chunk as a codec sees it.

    Parameters
    ----------
    shape : tuple of int
        Shape of the chunk, in elements.
    dtype : numpy.dtype
        Data type in native byte order.
    fill : numpy.ndarray, optional
        The fill value, 0-d, of ``dtype``; None where the array has none (v2).

    Notes
    -----
    Two specs are equal when shape, data type and the bits of the fill value are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: npt.NDArray[Any] | None = None

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes before any codec."""
        return self.n_elements * self.dtype.itemsize

    def _key(self) -> tuple[Any, ...]:
        return self.shape, self.dtype, None if self.fill is None else self.fill.tobytes()

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ChunkSpec) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


class Codec(ABC):
    """One step of a codec chain: a frozen dataclass of its configuration.

    A codec of one's own derives from `ArrayArrayCodec`, `ArrayBytesCodec` or `BytesBytesCodec`, sets
    ``name``, and writes ``encode``, ``decode`` and, if it has a configuration, ``configuration`` and
    ``from_v3_json``.
    """

    __slots__ = ()

    name: ClassVar[str]
    """Name in v3 documents, as written."""
    kind: ClassVar[CodecKind]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Further names that are read, never written."""
    registered_aliases: ClassVar[tuple[str, ...]] = ()
    """Those of ``aliases`` that the extension registry lists: strict reading takes them."""
    v2_id: ClassVar[str | None] = None
    """The ``id`` in v2 documents; None where v2 has no such codec."""

    # The array's side: checks and completion, at create and at open.

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        """What the next codec sees of a chunk that this one sees as ``spec``.

        Raises
        ------
        MetadataError
            If the codec cannot encode such a chunk; the text names the codec and what is allowed.
        """
        return spec

    def with_spec(self, spec: ChunkSpec) -> Self:
        """The codec with what depends on the array filled in."""
        return self

    def check_nbytes(self, nbytes: int) -> None:
        """Raise MetadataError if a chunk of ``nbytes`` bytes is above the limit of the codec's format."""
        return

    # Data.

    def kernel(self, spec: ChunkSpec) -> CodecKernel | None:
        """The kernel that does this codec's work without the GIL; None where there is none."""
        return None

    # JSON.

    def configuration(self) -> dict[str, Any]:
        """The ``configuration`` object of a v3 document; empty where there is nothing to configure."""
        return {}

    def to_v3_json(self) -> dict[str, Any]:
        """The codec as a v3 document holds it, in the long form that every reader takes."""
        configuration = self.configuration()
        return {"name": self.name, "configuration": configuration} if configuration else {"name": self.name}

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object.

        Parameters
        ----------
        configuration : Mapping
            The object; empty where the document has none.
        reading : Reading, optional
            How lenient to be, and where to note it. By default as for a user's arguments.
        """
        (reading or Reading(from_user=True)).only_keys(configuration, ())
        return cls()

    def to_v2_json(self) -> dict[str, Any]:
        """The codec as a v2 ``compressor`` or filter.

        Raises
        ------
        MetadataError
            If v2 has no such codec.
        """
        raise MetadataError(f"codec {self.name!r} does not exist in zarr_format 2", codec=self.name)

    @classmethod
    def from_v2_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v2 ``compressor`` or filter object, without its ``id``."""
        raise MetadataError(f"codec {cls.name!r} does not exist in zarr_format 2", codec=cls.name)


class ArrayArrayCodec(Codec):
    """A codec from arrays to arrays, such as ``transpose``."""

    __slots__ = ()
    kind: ClassVar[CodecKind] = "array_to_array"

    @abstractmethod
    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """The encoded chunk; ``data`` has the shape and data type of ``spec``."""

    @abstractmethod
    def decode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> npt.NDArray[Any]:
        """The chunk of ``spec``; ``data`` is as ``resolve(spec)`` says."""


class ArrayBytesCodec(Codec):
    """A codec from arrays to bytes, such as ``bytes``."""

    __slots__ = ()
    kind: ClassVar[CodecKind] = "array_to_bytes"

    @abstractmethod
    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> bytes:
        """The bytes of the chunk ``data``."""

    @abstractmethod
    def decode(self, data: Buffer, spec: ChunkSpec) -> npt.NDArray[Any]:
        """The chunk of ``spec`` in ``data``."""


class BytesBytesCodec(Codec):
    """A codec from bytes to bytes, such as ``zstd``. Those with a kernel need not write encode and decode."""

    __slots__ = ()
    kind: ClassVar[CodecKind] = "bytes_to_bytes"

    def encode(self, data: Buffer, spec: ChunkSpec) -> bytes:
        """The encoded bytes of ``data``."""
        return self._kernel(spec).encode(data)

    def decode(self, data: Buffer, spec: ChunkSpec, nbytes: int | None = None) -> bytes:
        """The decoded bytes of ``data``.

        Parameters
        ----------
        data : bytes-like
            What `encode` gave.
        spec : ChunkSpec
            The chunk as the array-to-bytes codec sees it.
        nbytes : int, optional
            The decoded size, where it is known. Where it is not (a compressor over a compressor) the size is
            limited by what codecs can make of the chunk.

        Raises
        ------
        CorruptChunkError
            If ``data`` is not valid, or decodes to another size.
        """
        kernel = self._kernel(spec)
        try:
            if nbytes is not None:
                return kernel.decode(data, nbytes)
            # No compressor adds more than an eighth and a header to what it cannot compress.
            return kernel.decode(data, spec.nbytes + spec.nbytes // 4 + 65536, exact=False)
        except CorruptChunkError as error:
            error.codec = error.codec or self.name
            raise

    def _kernel(self, spec: ChunkSpec) -> CodecKernel:
        kernel = self.kernel(spec)
        if kernel is None:
            raise CodecError("has neither a kernel nor encode and decode of its own", codec=self.name)
        return kernel
