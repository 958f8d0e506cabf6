"""What a cache of objects knows of one, and how ranges are put together from what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from zarrc.storage.base import Blob, ByteRange

__all__ = ["Cache", "Known", "Part", "cover"]

Part = tuple[int, int]
"""``(start, nbytes)`` of an object."""


class Known(NamedTuple):
    """What is known of an object since it was last asked for."""

    version: str | None
    nbytes: int
    absent: bool
    checked: float
    """Seconds, as of `time.time`."""


class Cache(Protocol):
    """Where a `CacheStore` keeps objects. A name is that of a place and, behind it, that of an object."""

    @property
    def max_nbytes(self) -> int:
        """The bound."""

    def epoch(self, name: str) -> int:
        """A number that is another one after the object was forgotten: taken before it is fetched."""

    def hit(self, name: str, range: ByteRange | None, after: float) -> Blob | Known | None:
        """The short way to what is answered most, all in one step.

        Parameters
        ----------
        name : str
            The object's.
        range : (int, int or None), optional
            As for `Store.get`.
        after : float
            When the store must have been asked last, at least.

        Returns
        -------
        Blob or Known or None
            The object or the range, if it is kept in one part that is that range, or the whole object; what
            is known of it if it is known to be absent; None to go the long way.
        """

    def look(self, name: str) -> Known | None:
        """What is known of an object."""

    def parts(self, name: str, known: Known, start: int, nbytes: int) -> Iterable[Part]:
        """The parts that are kept of it, at least those that meet a range."""

    def read(self, name: str, known: Known, part: Part, start: int, nbytes: int) -> Blob | bytes | None:
        """Bytes of one part; None if it is gone, or damaged."""

    def note(self, name: str, known: Known, epoch: int) -> None:
        """Know this of an object, unless it was forgotten since; parts of another version go."""

    def keep(self, name: str, known: Known, epoch: int, start: int, data: Blob) -> None:
        """`note`, with a part of the object."""

    def forget(self, name: str, *, fetched: bool) -> None:
        """Know nothing of an object; with ``fetched``, also what is being fetched now is not kept."""

    def forget_below(self, starts: tuple[str, ...]) -> None:
        """Know nothing of the objects whose names start so, and keep none that is being fetched now."""

    def clear(self) -> None:
        """Know nothing."""

    def usage(self) -> tuple[int, int, int]:
        """Bytes kept; parts that went to make room; parts that were found damaged."""


def cover(parts: Iterable[Part], start: int, nbytes: int) -> tuple[list[tuple[Part, int, int]], Part | None]:
    """How a range is made of parts.

    Parameters
    ----------
    parts : iterable of (int, int)
        Start and length of each, in any order; they may overlap.
    start, nbytes : int
        The range.

    Returns
    -------
    (list of (part, int, int), (int, int) or None)
        Which bytes (start, length) are taken from which part, in their order; and one range that holds all
        that is missing, of which nothing is taken from parts. None if nothing is missing.
    """
    end = start + nbytes
    taken: list[tuple[Part, int, int]] = []
    at = start
    first = last = None
    for part in sorted(parts):
        stop = min(part[0] + part[1], end)
        if stop <= at or part[0] >= end:
            continue
        if part[0] > at:
            first = at if first is None else first
            last = part[0]
        begin = max(part[0], at)
        taken.append((part, begin, stop - begin))
        at = stop
    if at < end:
        first = at if first is None else first
        last = end
    if first is None or last is None:
        return taken, None
    return [one for one in taken if one[1] + one[2] <= first or one[1] >= last], (first, last - first)
