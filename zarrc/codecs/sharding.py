"""The ``sharding_indexed`` codec: inner chunks in one object, found by an index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from zarrc.codecs.base import ArrayBytesCodec, ChunkSpec, Codec
from zarrc.codecs.bytes import BytesCodec
from zarrc.codecs.checks import integer, one_of
from zarrc.codecs.crc32c import Crc32cCodec
from zarrc.codecs.parsing import codec_from_v3_json, codecs_from_user
from zarrc.codecs.pipeline import check_chain, check_order, complete_chain
from zarrc.codecs.transpose import TransposeCodec
from zarrc.codecs.zstd import ZstdCodec
from zarrc.errors import MetadataError
from zarrc.frozen import changed, frozen
from zarrc.reading import Reading, show

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Buffer

__all__ = ["ABSENT", "ENTRY_NBYTES", "ShardingCodec"]

ABSENT = 2**64 - 1
"""Offset and size of an inner chunk that is not stored."""
ENTRY_NBYTES = 16
"""An entry of the index: offset and size, each a uint64."""

_LOCATIONS: tuple[Literal["start", "end"], ...] = ("start", "end")
_MAX_EXTENT = 2**63 - 1
_MAX_INDEX_NBYTES = 2**62
_CRC_NBYTES = 4
_KEYS = ("chunk_shape", "codecs", "index_codecs", "index_location")

_INNER: tuple[Codec, ...] = (BytesCodec(), ZstdCodec())
_INDEX: tuple[Codec, ...] = (BytesCodec(), Crc32cCodec())


@frozen(kw_only=True)
class ShardingCodec(ArrayBytesCodec):
    """The ``sharding_indexed`` codec (array to bytes): inner chunks in one object, and an index of them.

    Parameters
    ----------
    chunk_shape : tuple of int
        Shape of an inner chunk, in elements; it divides the shape of the shard.
    codecs : sequence of codec-like, default (BytesCodec(), ZstdCodec())
        The chain of each inner chunk; sharding again is allowed.
    index_codecs : sequence of codec-like, default (BytesCodec(), Crc32cCodec())
        The chain of the index. Its size must follow from the number of inner chunks: ``transpose``,
        ``bytes`` and ``crc32c`` only.
    index_location : {"end", "start"}, default "end"
        Where in the object the index is.

    Raises
    ------
    MetadataError
        If a value is not allowed, or ``index_codecs`` hold a codec whose output has no fixed size.

    Notes
    -----
    Spec: zarr v3 codecs, ``sharding_indexed``. Documents without ``index_location`` or ``index_codecs``,
    which the specification requires, are read with the defaults.
    """

    name: ClassVar[str] = "sharding_indexed"

    chunk_shape: tuple[int, ...]
    codecs: tuple[Codec, ...] = _INNER
    index_codecs: tuple[Codec, ...] = _INDEX
    index_location: Literal["start", "end"] = "end"

    def __post_init__(self) -> None:
        _put = object.__setattr__
        _put(self, "chunk_shape", _shape(self.chunk_shape))
        if not _are_codecs(self.codecs):
            _put(self, "codecs", codecs_from_user(self.codecs, Reading(path="codecs", from_user=True)))
        if not _are_codecs(self.index_codecs):
            reading = Reading(path="index_codecs", from_user=True)
            _put(self, "index_codecs", codecs_from_user(self.index_codecs, reading))
        location = one_of("sharding_indexed", "index_location", self.index_location, _LOCATIONS)
        _put(self, "index_location", location)
        with _Inside("codecs"):
            check_order(self.codecs)
        with _Inside("index_codecs"):
            check_order(self.index_codecs)
            _check_fixed_size(self.index_codecs)

    # What follows from the shape of a shard.

    def grid_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Number of inner chunks along each axis of a shard of ``shape``.

        Raises
        ------
        MetadataError
            If ``shape`` has another number of axes, or is not a multiple of ``chunk_shape``.
        """
        if len(shape) != len(self.chunk_shape):
            raise MetadataError(
                f"sharding_indexed: chunk_shape {show(self.chunk_shape)} has {len(self.chunk_shape)} "
                f"dimensions, the shard {show(shape)} has {len(shape)}",
                codec=self.name,
            )
        for axis, (extent, chunk) in enumerate(zip(shape, self.chunk_shape, strict=True)):
            if extent % chunk:
                raise MetadataError(self._not_divided(shape, axis), codec=self.name)
        return tuple(extent // chunk for extent, chunk in zip(shape, self.chunk_shape, strict=True))

    def _not_divided(self, shape: tuple[int, ...], axis: int) -> str:
        problem = (
            f"sharding_indexed: the inner chunks' shape {show(self.chunk_shape)} does not divide the "
            f"shard's, {show(shape)}: along axis {axis}, {shape[axis]} is no multiple of "
            f"{self.chunk_shape[axis]}"
        )
        if all(chunk % extent == 0 for chunk, extent in zip(self.chunk_shape, shape, strict=True)):
            problem += "; the two may be the wrong way round: the chunk grid has the shard's shape"
        return problem

    def n_chunks(self, shape: tuple[int, ...]) -> int:
        """Number of inner chunks of a shard of ``shape``."""
        return math.prod(self.grid_shape(shape))

    def inner_spec(self, spec: ChunkSpec) -> ChunkSpec:
        """An inner chunk of the shard ``spec``, as the first of ``codecs`` sees it."""
        return ChunkSpec(self.chunk_shape, spec.dtype, spec.fill)

    def index_spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        """The index of a shard of ``shape``, as the first of ``index_codecs`` sees it."""
        fill = np.array(ABSENT, np.uint64)
        return ChunkSpec((*self.grid_shape(shape), 2), fill.dtype, fill)

    def index_nbytes(self, shape: tuple[int, ...]) -> int:
        """Size of the encoded index of a shard of ``shape``, in bytes."""
        n_checksums = sum(isinstance(codec, Crc32cCodec) for codec in self.index_codecs)
        return ENTRY_NBYTES * self.n_chunks(shape) + _CRC_NBYTES * n_checksums

    # The array's side.

    def resolve(self, spec: ChunkSpec) -> ChunkSpec:
        """The same spec; it must be a whole number of inner chunks, which the inner codecs can encode."""
        index = self._checked_index_spec(spec.shape)
        with _Inside("codecs"):
            check_chain(self.codecs, self.inner_spec(spec))
        with _Inside("index_codecs"):
            check_chain(self.index_codecs, index)
        return spec

    def with_spec(self, spec: ChunkSpec) -> Self:
        """The codec, with the inner codecs and those of the index complete."""
        index = self._checked_index_spec(spec.shape)
        with _Inside("codecs"):
            codecs = complete_chain(self.codecs, self.inner_spec(spec))
        with _Inside("index_codecs"):
            index_codecs = complete_chain(self.index_codecs, index)
        if codecs == self.codecs and index_codecs == self.index_codecs:
            return self
        return changed(self, codecs=codecs, index_codecs=index_codecs)

    def _checked_index_spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        n_chunks = self.n_chunks(shape)
        if n_chunks * ENTRY_NBYTES >= _MAX_INDEX_NBYTES:
            raise MetadataError(
                f"sharding_indexed: a shard of shape {show(shape)} would have {show(n_chunks)} inner chunks "
                f"of shape {show(self.chunk_shape)}, an index of 2**62 bytes or more",
                codec=self.name,
            )
        return self.index_spec(shape)

    # Data, in Python: only where a codec without a kernel stands around this one; the engine does the rest.

    def encode(self, data: npt.NDArray[Any], spec: ChunkSpec) -> bytes:
        """The bytes of the shard ``data``; inner chunks that hold nothing but the fill value are left out."""
        from zarrc.codecs.shard_bytes import encode_shard

        return encode_shard(self, data, spec)

    def decode(self, data: Buffer, spec: ChunkSpec) -> npt.NDArray[Any]:
        """The shard of ``spec`` in ``data``: a new array in native byte order.

        Raises
        ------
        CorruptChunkError
            If the index or an inner chunk is damaged; the text names the inner chunk.
        """
        from zarrc.codecs.shard_bytes import decode_shard

        return decode_shard(self, data, spec)

    # JSON.

    def configuration(self) -> dict[str, Any]:
        """The configuration with all four members, as the specification asks."""
        return {
            "chunk_shape": list(self.chunk_shape),
            "codecs": [codec.to_v3_json() for codec in self.codecs],
            "index_codecs": [codec.to_v3_json() for codec in self.index_codecs],
            "index_location": self.index_location,
        }

    @classmethod
    def from_v3_json(cls, configuration: Mapping[str, Any], reading: Reading | None = None) -> Self:
        """The codec of a v3 ``configuration`` object; a user may leave out all but ``chunk_shape``."""
        reading = reading or Reading(from_user=True)
        reading.only_keys(configuration, _KEYS)
        shape = reading.required(configuration, "chunk_shape")
        if not reading.from_user:
            shape = reading.at("chunk_shape").integers(shape, 1, _MAX_EXTENT)
            reading.required(configuration, "codecs")
        location = _defaulted(configuration, "index_location", "end", "'end'", reading)
        return cls(
            chunk_shape=shape,
            codecs=_codecs(configuration.get("codecs", _INNER), reading.at("codecs")),
            index_codecs=_codecs(
                _defaulted(configuration, "index_codecs", _INDEX, "little-endian bytes and crc32c", reading),
                reading.at("index_codecs"),
            ),
            index_location=reading.at("index_location").one_of(location, _LOCATIONS),
        )


def _defaulted(
    configuration: Mapping[str, Any], name: str, default: Any, remedy: str, reading: Reading
) -> Any:
    """A member that the specification requires, and that other readers default in this way too."""
    if name in configuration:
        return configuration[name]
    reading.assume(f"{name!r} is missing", f"read as {remedy}")
    return default


def _codecs(value: Any, reading: Reading) -> tuple[Codec, ...]:
    if _are_codecs(value):
        return tuple(value)
    if reading.from_user:
        return codecs_from_user(value, reading)
    return tuple(codec_from_v3_json(item, reading.at(i)) for i, item in enumerate(reading.sequence(value)))


def _are_codecs(value: object) -> bool:
    return type(value) is tuple and all(isinstance(codec, Codec) for codec in value)


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise MetadataError(
            f"sharding_indexed: chunk_shape must be a tuple of integers, got {show(value)}",
            codec="sharding_indexed",
        )
    return tuple(
        integer("sharding_indexed", "an extent of chunk_shape", extent, 1, _MAX_EXTENT) for extent in value
    )


def _check_fixed_size(codecs: Sequence[Codec]) -> None:
    """Refuse an index that cannot be found without being decoded."""
    for codec in codecs:
        if not isinstance(codec, (BytesCodec, TransposeCodec, Crc32cCodec)):
            raise MetadataError(
                f"{codec.name!r} cannot encode a shard's index, whose size must follow from the number of "
                "inner chunks; 'transpose', 'bytes' and 'crc32c' can",
                codec=codec.name,
            )


class _Inside:
    """Says of a MetadataError raised inside which of the two chains it is about."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, MetadataError) and not getattr(error, "located", False):
            message = f"sharding_indexed, {self.field}: {error.message}"
            raise type(error)(message, key=error.key, codec=error.codec) from None
