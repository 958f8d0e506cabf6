"""Cutting an array into boxes that end on chunk borders and fit into a piece of memory.

Whole chunks are written without being read first, and each of the file's own chunks should be decompressed
once: so a block is whole chunks of the new array, and, where memory allows, whole chunks of the file.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from zarrc.interop.hierarchy import Box

__all__ = ["block_shape", "choose_block", "iterate_blocks"]

# Large enough that a block holds many chunks for the threads to share, small against any machine's memory.
BLOCK_NBYTES = 64 * 1024**2
# A block that cuts the file's chunks has them decompressed once more for each block that they are in: from
# maps to time series, 1 GiB in blocks of 64 MiB means sixteen times. Four times as much memory makes that
# four times.
WIDE_BLOCK_NBYTES = 256 * 1024**2


def choose_block(
    shape: Sequence[int],
    chunks: Sequence[int],
    *,
    source_chunks: Sequence[int] | None,
    itemsize: int,
) -> tuple[int, ...]:
    """Choose the block to copy at a time: at most 64 MiB, or 256 MiB where the file's chunks would be cut.

    The parameters and the result are those of `block_shape`.
    """

    def of(max_nbytes: int) -> tuple[int, ...]:
        return block_shape(
            shape, chunks, source_chunks=source_chunks, itemsize=itemsize, max_nbytes=max_nbytes
        )

    block = of(BLOCK_NBYTES)
    sizes = zip(block, source_chunks or block, shape, strict=True)
    cuts = any(length % of_file and length < whole for length, of_file, whole in sizes)
    return of(WIDE_BLOCK_NBYTES) if cuts else block


def block_shape(
    shape: Sequence[int],
    chunks: Sequence[int],
    *,
    source_chunks: Sequence[int] | None,
    itemsize: int,
    max_nbytes: int,
) -> tuple[int, ...]:
    """Choose the block to copy at a time.

    Parameters
    ----------
    shape, chunks : sequence of int
        Shape and chunk shape of the array to write.
    source_chunks : sequence of int or None
        Chunk shape of the array to read.
    itemsize : int
        Bytes per element.
    max_nbytes : int
        Size that a block should not pass. One chunk is the least that a block can be.

    Returns
    -------
    tuple of int
        A multiple of `chunks` on each axis, or the whole axis.
    """
    block = [min(chunk, length) for chunk, length in zip(chunks, shape, strict=True)]

    def fits() -> bool:
        return math.prod(block) * itemsize <= max_nbytes

    for axis, wanted in enumerate(source_chunks or ()):
        before = block[axis]
        block[axis] = min(shape[axis], math.ceil(wanted / chunks[axis]) * chunks[axis])
        if not fits():
            block[axis] = before
    # The last axis first: rows that are contiguous in the file make the longest reads.
    for axis in reversed(range(len(block))):
        room = max_nbytes // max(1, math.prod(block) * itemsize)
        grown = block[axis] * room // chunks[axis] * chunks[axis]
        block[axis] = min(shape[axis], max(block[axis], grown))
        if block[axis] < shape[axis]:
            break
    return tuple(block)


def iterate_blocks(shape: Sequence[int], block: Sequence[int]) -> Iterator[Box]:
    """Yield the boxes of `block` that cover `shape`, in C order; none if a length is zero."""
    axes = [
        [slice(start, min(start + step, length)) for start in range(0, length, max(1, step))]
        for length, step in zip(shape, block, strict=True)
    ]
    yield from itertools.product(*axes)
