"""A codec chain: the order of its kinds, and its walk over a chunk's spec."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.errors import MetadataError

if TYPE_CHECKING:
    from zarrc.codecs.sharding import ShardingCodec

__all__ = ["check_chain", "check_order", "complete_chain", "inner_shape", "sharding_level", "stored_axes"]

_RANK = {"array_to_array": 0, "array_to_bytes": 1, "bytes_to_bytes": 2}
_ORDER = "the order is: array_to_array codecs, one array_to_bytes codec, bytes_to_bytes codecs"


def check_order(codecs: Sequence[Codec]) -> None:
    """Refuse a chain whose kinds do not follow one another.

    Raises
    ------
    MetadataError
        The text names the codecs at fault and the order that is allowed.
    """
    known = [codec for codec in codecs if codec.kind != "unknown"]
    serializers = [codec.name for codec in known if codec.kind == "array_to_bytes"]
    if not serializers:
        raise MetadataError(f"there is no array_to_bytes codec, such as 'bytes'; {_ORDER}")
    if len(serializers) > 1:
        names = " and ".join(map(repr, serializers))
        raise MetadataError(f"{names} are both array_to_bytes codecs; {_ORDER}", codec=serializers[1])
    for left, right in pairwise(known):
        if _RANK[left.kind] > _RANK[right.kind]:
            raise MetadataError(
                f"{right.name!r} ({right.kind}) cannot follow {left.name!r} ({left.kind}); {_ORDER}",
                codec=right.name,
            )


def complete_chain(codecs: Sequence[Codec], spec: ChunkSpec) -> tuple[Codec, ...]:
    """The chain with what depends on the array filled in (`Codec.with_spec`), checked as by `check_chain`."""
    complete = []
    for codec in codecs:
        codec = codec.with_spec(spec)
        spec = codec.resolve(spec)
        codec.check_nbytes(spec.nbytes)
        complete.append(codec)
    return tuple(complete)


def check_chain(codecs: Sequence[Codec], spec: ChunkSpec) -> None:
    """Refuse a codec that cannot encode the chunks it would get.

    Raises
    ------
    MetadataError
        The text names the codec, and what is allowed.
    """
    for codec in codecs:
        spec = codec.resolve(spec)
        codec.check_nbytes(spec.nbytes)


def sharding_level(
    codecs: Sequence[Codec], chunk_shape: tuple[int, ...]
) -> tuple[ShardingCodec, tuple[int, ...]] | tuple[()]:
    """The sharding codec of a chain and the shape of its inner chunks, in the array's own order of axes.

    Parameters
    ----------
    codecs : sequence of Codec
        A chain in order.
    chunk_shape : tuple of int
        Shape of what the chain encodes.

    Returns
    -------
    tuple
        Empty where the chain does not shard, and where a codec before the sharding one is other than
        ``transpose`` and ``bitround`` (and those that are skipped), so that only whole shards can be encoded.
    """
    before: list[Codec] = []
    for codec in codecs:
        if _is_own(codec, "sharding", "ShardingCodec"):
            sharding: Any = codec
            shape = inner_shape(before, sharding.chunk_shape)
            return () if shape is None else (sharding, shape)
        if codec.kind == "array_to_bytes":
            break
        before.append(codec)
    return ()


def inner_shape(before: Sequence[Codec], chunk_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of inner chunks as the array has it, from that behind some codecs; None if they hide it."""
    axes = stored_axes(before, len(chunk_shape))
    if axes is None:
        return None
    extents = dict(zip(axes, chunk_shape, strict=True))
    return tuple(extents[axis] for axis in range(len(axes)))


def stored_axes(before: Sequence[Codec], ndim: int) -> tuple[int, ...] | None:
    """Which axis of the array each axis is behind some codecs; None where one of them does not tell."""
    axes = tuple(range(ndim))
    for codec in before:
        if _is_own(codec, "transpose", "TransposeCodec"):
            transpose: Any = codec
            axes = tuple(axes[axis] for axis in transpose.permutation(ndim))
        elif codec.kind != "unknown" and not _is_own(codec, "bitround", "BitroundCodec"):
            return None
    return axes


def _is_own(codec: Codec, module: str, name: str) -> bool:
    """Whether it is that codec of ours, without loading its module: whoever made one has done so."""
    loaded = sys.modules.get(f"zarrc.codecs.{module}")
    # Another thread may be loading it just now, and not have come to the class.
    return isinstance(codec, getattr(loaded, name, ()))
