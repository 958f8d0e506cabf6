"""The shard indexes that a handle has read and does not look at again."""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["TrustedIndexes"]

Known: TypeAlias = "tuple[bytes, int | None, str | None]"
"""The stored bytes of an index, the size of its object and the version that it was read from."""


class TrustedIndexes:
    """Indexes by the keys of their shards; the least lately used go first.

    Several threads may use it: each step is one of a dict's own, so that a forked child finds no lock held.

    Parameters
    ----------
    most : int
        How many to keep. All indexes of an array have one size.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, Known] = {}

    def get(self, key: str) -> Known | None:
        """Return what is known of a shard, or None."""
        known = self._known.pop(key, None)
        if known is not None:
            self._known[key] = known
        return known

    def put(self, key: str, known: Known) -> None:
        """Keep what was read of a shard."""
        self._known.pop(key, None)
        self._known[key] = known
        while len(self._known) > self._most:
            try:
                self._known.pop(next(iter(self._known)), None)
            except (StopIteration, RuntimeError):  # another thread was at it
                return

    def drop(self, key: str) -> None:
        """Forget a shard."""
        self._known.pop(key, None)
