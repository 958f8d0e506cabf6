"""Inner chunks and shards, from what the user asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from zarrc.codecs.base import Codec
from zarrc.codecs.pipeline import inner_shape, stored_axes
from zarrc.codecs.sharding import ShardingCodec
from zarrc.errors import MetadataError
from zarrc.frozen import changed
from zarrc.metadata.chunking import guess_chunks, is_auto, parse_chunks
from zarrc.reading import Reading, show

__all__ = ["TARGET_SHARD_NBYTES", "Shards", "guess_shards", "parse_shards", "shards_of_chain"]

TARGET_SHARD_NBYTES = 64_000_000
"""What ``shards="auto"`` aims at, in decoded bytes: few objects, each still read and written in one go."""


class Shards(NamedTuple):
    """Shapes in the array's order of axes, and where the index goes."""

    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    index_location: Literal["start", "end"] = "end"


def parse_shards(
    chunks: object, shards: object, shape: tuple[int, ...], itemsize: int, target_nbytes: int | None = None
) -> Shards:
    """The inner chunks and shards of ``chunks=`` and ``shards=``.

    Parameters
    ----------
    chunks : int, tuple, "auto", None or bool
        The inner chunks, as for `parse_chunks`; ``"auto"`` with shards that are given finds some that divide
        them.
    shards : int, tuple, "auto", True or Mapping
        One extent for every axis, or one for each; -1 (or None) is the whole axis, rounded up to whole
        chunks. ``"auto"`` and True: see `guess_shards`. A mapping has such a ``shape``, and an
        ``index_location``.
    shape : tuple of int
        Shape of the array.
    itemsize : int
        Size of an element, in bytes.
    target_nbytes : int, optional
        What ``"auto"`` aims at.

    Raises
    ------
    MetadataError
        If a shape is wrong, or ``shards`` is not a multiple of ``chunks``; the text names both.
    """
    location: Literal["start", "end"] = "end"
    if isinstance(shards, Mapping):
        reading = Reading(path="shards", from_user=True)
        reading.only_keys(shards, ("shape", "index_location"))
        location = reading.at("index_location").one_of(shards.get("index_location", "end"), ("start", "end"))
        shards = reading.required(shards, "shape")
    if is_auto(shards):
        inner = parse_chunks(chunks, shape, itemsize)
        return Shards(inner, guess_shards(inner, shape, itemsize, target_nbytes), location)
    given = parse_chunks(shards, shape, itemsize, "shards")
    if is_auto(chunks):
        return Shards(_dividing_chunks(given, shape, itemsize), given, location)
    inner = parse_chunks(chunks, shape, itemsize)
    outer = _rounded_up(shards, given, inner)
    check_multiple(inner, outer)
    return Shards(inner, outer, location)


def _rounded_up(said: Any, shards: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """The shards, with those that were said as "the whole axis" grown to whole chunks."""
    said = said.tolist() if hasattr(said, "tolist") else said
    items = list(said) if isinstance(said, Sequence) else [said] * len(shards)
    return tuple(
        -(-shard // chunk) * chunk if item is None or (item == -1) else shard
        for item, shard, chunk in zip(items, shards, chunks, strict=True)
    )


def check_multiple(chunks: tuple[int, ...], shards: tuple[int, ...]) -> None:
    """Raise MetadataError unless shards are whole numbers of chunks."""
    for axis, (chunk, shard) in enumerate(zip(chunks, shards, strict=True)):
        if shard % chunk:
            hint = ""
            if _divides(shards, chunks):
                hint = "; the two may be the wrong way round: chunks is the shape of what is encoded alone"
            raise MetadataError(
                f"shards: {show(shards)} is not a multiple of chunks, {show(chunks)}: along axis {axis}, "
                f"{shard} is no multiple of {chunk}{hint}"
            )


def guess_shards(
    chunks: tuple[int, ...], shape: tuple[int, ...], itemsize: int, target_nbytes: int | None = None
) -> tuple[int, ...]:
    """A multiple of ``chunks`` of about 64 MB decoded, never more chunks along an axis than the array has.

    The axes grow together, by doubling; what room is left goes to the last ones. Shards are then evened out,
    so that the last one along an axis is not much emptier than the others.
    """
    target = TARGET_SHARD_NBYTES if target_nbytes is None else target_nbytes
    most = max(1, target // max(1, math.prod(chunks) * itemsize))
    needed = [max(1, -(-extent // chunk)) for extent, chunk in zip(shape, chunks, strict=True)]
    counts = [1] * len(chunks)
    while True:
        growing = [a for a in range(len(counts)) if counts[a] < needed[a] and 2 * math.prod(counts) <= most]
        if not growing:
            break
        # The axis with the fewest chunks, the last of several.
        axis = min(reversed(growing), key=counts.__getitem__)
        counts[axis] = min(2 * counts[axis], needed[axis])
    for axis in reversed(range(len(counts))):
        counts[axis] = min(needed[axis], most * counts[axis] // math.prod(counts))
        n_shards = -(-needed[axis] // counts[axis])
        counts[axis] = -(-needed[axis] // n_shards)
    return tuple(count * chunk for count, chunk in zip(counts, chunks, strict=True))


def _dividing_chunks(shards: tuple[int, ...], shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Inner chunks for shards that are given: about what would be guessed without, in divisors of them."""
    target = max(1, math.prod(guess_chunks(shape, itemsize)) * itemsize)
    chunks = list(shards)
    while (nbytes := math.prod(chunks) * itemsize) > target:
        # Along the axis that stays longest; a prime extent may leave nothing that is nearer to the target.
        cuts = [chunk // _smallest_factor(chunk) for chunk in chunks]
        axis = cuts.index(max(cuts))
        cut_nbytes = nbytes // chunks[axis] * cuts[axis]
        if cut_nbytes * nbytes < target * target:
            break
        chunks[axis] = cuts[axis]
    return tuple(chunks)


def _smallest_factor(n: int) -> int:
    """The smallest prime factor, where it is below 1000; otherwise ``n`` itself."""
    return next((factor for factor in range(2, min(n, 1000)) if n % factor == 0), n)


def shards_of_chain(
    chain: tuple[Codec, ...],
    chunks: object,
    shards: object,
    shape: tuple[int, ...],
    itemsize: int,
    target_nbytes: int | None = None,
) -> tuple[tuple[Codec, ...], tuple[int, ...]] | None:
    """The chain and the shape of the shards, where a user's chain has a sharding codec.

    Parameters
    ----------
    chain : tuple of Codec
        In order.
    chunks, shards, shape, itemsize, target_nbytes
        As for `parse_shards`; ``shards`` is None where nothing was said.

    Returns
    -------
    tuple or None
        The chain, in which the sharding codec has the shape of the inner chunks; and the shards' shape.
        None where both shapes are to be nested as they are: ``chunks`` is what the chain encodes, in
        ``shards`` around it.

    Raises
    ------
    MetadataError
        If the codec's ``chunk_shape``, ``chunks`` and ``shards`` do not fit; the text names them.
    """
    place = next(i for i, codec in enumerate(chain) if isinstance(codec, ShardingCodec))
    before, codec = chain[:place], chain[place]
    assert isinstance(codec, ShardingCodec)
    if len(codec.chunk_shape) != len(shape):
        raise MetadataError(
            f"sharding_indexed: chunk_shape {show(codec.chunk_shape)} has {len(codec.chunk_shape)} extents, "
            f"the array {len(shape)} dimensions",
            codec=codec.name,
        )
    inner = inner_shape(before, codec.chunk_shape)
    if inner is None:
        # What a codec of the user's own makes of a chunk is not known: the specification's form only.
        outer = parse_chunks(shards if shards is not None else chunks, shape, itemsize)
        return chain, outer
    asked = inner if is_auto(chunks) else parse_chunks(chunks, shape, itemsize)
    if shards is None and is_auto(chunks):
        shards = "auto"
    wanted: Shards | None
    if shards is None:
        wanted = _of_two(inner, asked)
    elif asked == inner:
        wanted = parse_shards(inner, shards, shape, itemsize, target_nbytes)
    else:
        wanted = _of_three(inner, asked, parse_shards(asked, shards, shape, itemsize, target_nbytes))
    if wanted is None:
        return None
    _check_location(codec, shards)
    axes = stored_axes(before, len(shape))
    assert axes is not None
    stored = tuple(wanted.chunks[axis] for axis in axes)
    if stored != codec.chunk_shape:
        codec = changed(codec, chunk_shape=stored)
    return (*before, codec, *chain[place + 1 :]), wanted.shards


def _check_location(codec: ShardingCodec, shards: object) -> None:
    location = shards.get("index_location") if isinstance(shards, Mapping) else None
    if location is not None and location != codec.index_location:
        raise MetadataError(
            f"shards: index_location {show(location)} contradicts the sharding codec's, "
            f"{codec.index_location!r}"
        )


def _of_two(inner: tuple[int, ...], asked: tuple[int, ...]) -> Shards:
    """Which shape is the shard: ``chunks`` in the specification's form, the codec's in the guide's."""
    if _divides(inner, asked):
        return Shards(inner, asked)
    if _divides(asked, inner):
        return Shards(asked, inner)
    raise MetadataError(
        f"chunks, sharding_indexed: chunks {show(asked)} and the codec's chunk_shape {show(inner)} do not "
        "fit: one must be a multiple of the other, and is the shard then"
    )


def _of_three(inner: tuple[int, ...], asked: tuple[int, ...], given: Shards) -> Shards | None:
    """The same with ``shards`` that repeat one of the two; None for a third level around both."""
    if given.shards == inner:
        return Shards(asked, inner, given.index_location)
    if not _divides(inner, asked):
        raise MetadataError(
            f"chunks, shards, sharding_indexed: the codec's chunk_shape {show(inner)} does not fit chunks "
            f"{show(asked)} in shards {show(given.shards)}"
        )
    return Shards(inner, asked, given.index_location) if given.shards == asked else None


def _divides(chunks: tuple[int, ...], shards: tuple[int, ...]) -> bool:
    return all(shard % chunk == 0 for chunk, shard in zip(chunks, shards, strict=True))
