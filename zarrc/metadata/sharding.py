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
from zarrc.grids.base import ChunkGrid
from zarrc.grids.regular import RegularChunkGrid
from zarrc.metadata.chunking import guess_chunks, is_auto, parse_chunks, parse_grid
from zarrc.reading import Reading, show

__all__ = ["TARGET_SHARD_NBYTES", "Shards", "guess_shards", "parse_shards", "shards_of_chain"]

TARGET_SHARD_NBYTES = 64_000_000
"""What ``shards="auto"`` aims at, in decoded bytes: few objects, each still read and written in one go."""


class Shards(NamedTuple):
    """Inner chunks and grid in the array's order of axes, and where the index goes."""

    chunks: tuple[int, ...]
    shards: ChunkGrid
    index_location: Literal["start", "end"] = "end"


def parse_shards(
    chunks: object,
    shards: object,
    shape: tuple[int, ...],
    itemsize: int,
    target_nbytes: int | None = None,
    chunk_nbytes: int | None = None,
) -> Shards:
    """The inner chunks and shards of ``chunks=`` and ``shards=``.

    Parameters
    ----------
    chunks : int, tuple, "auto", None or bool
        The inner chunks, as for `parse_chunks`; ``"auto"`` with shards that are given finds some that divide
        them.
    shards : int, tuple, ChunkGrid, "auto", True or Mapping
        One extent for every axis, or one for each, or a sequence of extents along an axis, as for
        `parse_grid`; -1 (or None) is the whole axis, rounded up to whole chunks. ``"auto"`` and True: see
        `guess_shards`. A mapping has such a ``shape``, and an ``index_location``.
    shape : tuple of int
        Shape of the array.
    itemsize : int
        Size of an element, in bytes.
    target_nbytes, chunk_nbytes : int, optional
        What ``"auto"`` aims at, for shards and chunks.

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
        inner = parse_chunks(chunks, shape, itemsize, target=chunk_nbytes)
        guessed = guess_shards(inner, shape, itemsize, target_nbytes)
        return Shards(inner, RegularChunkGrid(guessed), location)
    given = parse_grid(shards, shape, itemsize, "shards")
    if is_auto(chunks):
        return Shards(_dividing_chunks(_divisor(given), shape, itemsize, chunk_nbytes), given, location)
    inner = parse_chunks(chunks, shape, itemsize)
    outer = _rounded_up(shards, given, inner)
    check_multiple(inner, outer)
    return Shards(inner, outer, location)


def _rounded_up(said: object, shards: ChunkGrid, chunks: tuple[int, ...]) -> ChunkGrid:
    """The shards, with those that were said as "the whole axis" grown to whole chunks."""
    if said is shards:
        return shards
    plain: Any = said.tolist() if hasattr(said, "tolist") else said
    items = list(plain) if isinstance(plain, Sequence) else [plain] * shards.ndim
    axes = [
        -(-runs // chunk) * chunk if isinstance(runs, int) and _is_whole(item) else runs
        for item, runs, chunk in zip(items, shards.runs(), chunks, strict=True)
    ]
    if tuple(axes) == shards.runs():
        return shards
    # A grid of several shapes stays one: only what is whole along its axis has grown.
    if shards.is_regular:
        return RegularChunkGrid(tuple(runs for runs in axes if isinstance(runs, int)))
    from zarrc.grids.rectilinear import RectilinearChunkGrid

    return RectilinearChunkGrid(tuple(axes))


def _is_whole(item: Any) -> bool:
    return item is None or (not hasattr(item, "__len__") and bool(item == -1))


def _divisor(grid: ChunkGrid) -> tuple[int, ...]:
    """Along each axis the largest extent that divides those of all chunks."""
    return grid.chunk_shape if grid.is_regular else tuple(math.gcd(*axis.distinct()) for axis in grid.axes)


def check_multiple(chunks: tuple[int, ...], shards: ChunkGrid) -> None:
    """Raise MetadataError unless shards are whole numbers of chunks."""
    for axis, (chunk, extents) in enumerate(zip(chunks, _extents(shards), strict=True)):
        wrong = next((extent for extent in extents if extent % chunk), None)
        if wrong is not None:
            hint = ""
            if shards.is_regular and _divides(shards.chunk_shape, RegularChunkGrid(chunks)):
                hint = "; the two may be the wrong way round: chunks is the shape of what is encoded alone"
            raise MetadataError(
                f"shards: {_shown(shards)} is not a multiple of chunks, {show(chunks)}: along axis {axis}, "
                f"{wrong} is no multiple of {chunk}{hint}"
            )


def _extents(grid: ChunkGrid) -> list[tuple[int, ...]]:
    """The extents of the chunks along each axis, each once."""
    return [axis.distinct() for axis in grid.axes]


def _shown(grid: ChunkGrid) -> str:
    return show(grid.chunk_shape) if grid.is_regular else f"the {grid.name} grid"


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


def _dividing_chunks(
    shards: tuple[int, ...], shape: tuple[int, ...], itemsize: int, chunk_nbytes: int | None
) -> tuple[int, ...]:
    """Inner chunks for shards that are given: about what would be guessed without, in divisors of them."""
    target = max(1, math.prod(guess_chunks(shape, itemsize, chunk_nbytes)) * itemsize)
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
    chunk_nbytes: int | None = None,
) -> tuple[tuple[Codec, ...], ChunkGrid] | None:
    """The chain and the grid of the shards, where a user's chain has a sharding codec.

    Parameters
    ----------
    chain : tuple of Codec
        In order.
    chunks, shards, shape, itemsize, target_nbytes, chunk_nbytes
        As for `parse_shards`; ``shards`` is None where nothing was said.

    Returns
    -------
    tuple or None
        The chain, in which the sharding codec has the shape of the inner chunks; and the shards' grid.
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
        return chain, parse_grid(shards if shards is not None else chunks, shape, itemsize)
    asked = RegularChunkGrid(inner) if is_auto(chunks) else parse_grid(chunks, shape, itemsize)
    if shards is None and is_auto(chunks):
        shards = "auto"
    wanted: Shards | None
    if shards is None:
        wanted = _of_two(inner, asked)
    elif asked == RegularChunkGrid(inner):
        wanted = parse_shards(inner, shards, shape, itemsize, target_nbytes, chunk_nbytes)
    else:
        between = parse_chunks(asked, shape, itemsize)
        wanted = _of_three(inner, between, parse_shards(between, shards, shape, itemsize, target_nbytes))
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


def _of_two(inner: tuple[int, ...], asked: ChunkGrid) -> Shards:
    """Which shape is the shard: ``chunks`` in the specification's form, the codec's in the guide's."""
    if _divides(inner, asked):
        return Shards(inner, asked)
    if asked.is_regular and _divides(asked.chunk_shape, RegularChunkGrid(inner)):
        return Shards(asked.chunk_shape, RegularChunkGrid(inner))
    raise MetadataError(
        f"chunks, sharding_indexed: chunks {_shown(asked)} and the codec's chunk_shape {show(inner)} do not "
        "fit: one must be a multiple of the other, and is the shard then"
    )


def _of_three(inner: tuple[int, ...], asked: tuple[int, ...], given: Shards) -> Shards | None:
    """The same with ``shards`` that repeat one of the two; None for a third level around both."""
    if given.shards == RegularChunkGrid(inner):
        return Shards(asked, given.shards, given.index_location)
    if not _divides(inner, RegularChunkGrid(asked)):
        raise MetadataError(
            f"chunks, shards, sharding_indexed: the codec's chunk_shape {show(inner)} does not fit chunks "
            f"{show(asked)} in shards {_shown(given.shards)}"
        )
    return (
        Shards(inner, given.shards, given.index_location) if given.shards == RegularChunkGrid(asked) else None
    )


def _divides(chunks: tuple[int, ...], shards: ChunkGrid) -> bool:
    return all(
        extent % chunk == 0
        for chunk, extents in zip(chunks, _extents(shards), strict=True)
        for extent in extents
    )
