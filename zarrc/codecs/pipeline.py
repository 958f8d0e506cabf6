"""A codec chain: the order of its kinds, and its walk over a chunk's spec."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zarrc.codecs.base import ChunkSpec, Codec
from zarrc.errors import MetadataError

__all__ = ["check_chain", "check_order", "complete_chain"]

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
