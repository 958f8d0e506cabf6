"""What a handle keeps of decoded chunks, and how much that helped (`Array.with_cache`)."""

from __future__ import annotations

from zarrc.frozen import frozen
from zarrc.kernels.chunk_cache import ChunkCache

__all__ = ["ArrayCache", "CacheStats"]


@frozen()
class CacheStats:
    """What a cache of decoded chunks has done so far, and what it holds.

    Parameters
    ----------
    hits : int
        Chunks that were read from the cache: each chunk of each read counts.
    misses : int
        Chunks that were fetched and decoded.
    evictions : int
        Chunks that went to make room for others.
    n_chunks : int
        Chunks that are held now. Those that are known not to be stored count too, where that is kept.
    nbytes : int
        Bytes of memory that they take.
    max_nbytes : int
        The bound.
    """

    hits: int
    misses: int
    evictions: int
    n_chunks: int
    nbytes: int
    max_nbytes: int


class ArrayCache:
    """The decoded chunks that one handle keeps: `Array.cache`.

    Parameters
    ----------
    nbytes : int
        The most bytes of memory that they may take.
    """

    __slots__ = ("_kernel",)

    def __init__(self, nbytes: int) -> None:
        self._kernel = ChunkCache(nbytes)

    def stats(self) -> CacheStats:
        """Return what the cache has done so far, and what it holds now."""
        return CacheStats(*self._kernel.look())

    def clear(self) -> None:
        """Forget every chunk, and give back their memory. What was counted stays."""
        self._kernel.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the chunks take now."""
        return self.stats().nbytes

    @property
    def max_nbytes(self) -> int:
        """The most bytes of memory that they may take."""
        return self.stats().max_nbytes

    def __len__(self) -> int:
        return len(self._kernel)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        now = self.stats()
        return (
            f"<ArrayCache {now.n_chunks} chunks, {now.nbytes} of {now.max_nbytes} bytes, "
            f"{now.hits} hits, {now.misses} misses>"
        )
