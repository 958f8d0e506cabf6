"""Which body an HTTP answer to a read must have: its headers are checked before anything is read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from zarrc.errors import StoreError
from zarrc.storage.remote.outcomes import Broken, Outside, TooLarge

__all__ = [
    "IGNORED_RANGE_NBYTES",
    "MOST_UNTOLD",
    "Expected",
    "expected",
    "finished",
    "ignored",
    "range_header",
    "read_stream",
]

IGNORED_RANGE_NBYTES = 16 * 2**20
"""Of a server that sends the whole object where a range was asked for: the largest that is taken and cut."""

MOST_UNTOLD = 2**31
"""The most bytes that are read of a body of which neither the server nor the caller tells the size."""

# Sizes of up to 18 digits: all that fit 63 bits, and no text of a thousand digits.
_SPAN = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(?:(\d{1,18})|\*)")
_SIZE = re.compile(r"\d{1,18}")


class Expected(NamedTuple):
    """The body that must come.

    ``nbytes`` is its length, None where the server does not tell; then not more than ``most`` may come.
    ``object_nbytes`` is the size of the whole object, if it is known. Of a body that is cut, the answer are
    ``cut_nbytes`` (None: all) from ``cut_start`` on.
    """

    nbytes: int | None
    most: int
    object_nbytes: int | None
    cut_start: int = 0
    cut_nbytes: int | None = None
    is_cut: bool = False


def range_header(start: int, nbytes: int | None) -> str:
    """The ``Range`` header for a range, as `Driver.get` takes it."""
    if start < 0:
        return f"bytes={start}"
    return f"bytes={start}-" if nbytes is None else f"bytes={start}-{start + nbytes - 1}"


def expected(
    status: int,
    length: str | None,
    content_range: str | None,
    start: int | None,
    nbytes: int | None,
    most: int | None,
) -> Expected:
    """What the body of an answer must be.

    Parameters
    ----------
    status : int
        200 or 206; of all other answers the caller has taken care, but 416 is `Outside` here.
    length : str or None
        The header ``Content-Length``; None too where the body is encoded.
    content_range : str or None
        The header ``Content-Range``.
    start, nbytes, most
        What `Driver.get` was given.

    Raises
    ------
    Broken
        If the headers make no sense, or are for another range.
    Outside
        If the range leaves the object.
    TooLarge
        If more than ``most`` would come.
    StoreError
        If the server ignores ranges, and the object is large.
    """
    if status == 416:
        raise Outside(_whole_size(content_range))
    size = _size(length)
    if start is None:
        if status == 206:
            raise Broken("a part came where the whole object was asked for")
        if size is not None and most is not None and size > most:
            raise TooLarge(size, most)
        return Expected(size, MOST_UNTOLD if most is None else most, size)
    if status == 206:
        return _part(size, content_range, start, nbytes, most)
    return _whole(size, start, nbytes)


def _part(
    size: int | None, content_range: str | None, start: int, nbytes: int | None, most: int | None
) -> Expected:
    first, last, total = _span(content_range)
    if (size is not None and size != last - first + 1) or (total is not None and last >= total):
        raise Broken(f"the headers of the answer contradict each other: {content_range!r}, {size} bytes")
    found = last - first + 1
    if start >= 0 and first == start and nbytes is not None and found < nbytes:
        raise Outside(total)  # a server cuts a range that leaves the object
    if start < 0:
        # A suffix that is longer than the object is all of it.
        if total is not None and found < -start and first == 0:
            raise Outside(total)
        wrong = found != -start or (total is not None and last != total - 1)
    else:
        wrong = first != start or (
            found != nbytes if nbytes is not None else total is None or last != total - 1
        )
    if wrong:
        raise Broken(f"{content_range!r} came for {range_header(start, nbytes)!r}")
    if nbytes is None and most is not None and found > most:
        raise TooLarge(total, most)
    return Expected(found, found, total)


def _whole(size: int | None, start: int, nbytes: int | None) -> Expected:
    """The whole object came for a range."""
    if size is None or size > IGNORED_RANGE_NBYTES:
        if size is None:
            return Expected(None, IGNORED_RANGE_NBYTES, None, start, nbytes, is_cut=True)
        raise ignored(size)
    first = size + start if start < 0 else start
    due = size - first if nbytes is None else nbytes
    if first < 0 or first >= size or due > size - first:
        raise Outside(size)
    return Expected(size, size, size, first, due, is_cut=True)


def ignored(size: int | None) -> StoreError:
    """The error for a large object that came as a whole."""
    tells = f"an object of {size} bytes" if size is not None else "a large object"
    return StoreError(f"the server ignores ranges: it sent {tells} where a part was asked for")


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    if _SIZE.fullmatch(text) is None:
        raise Broken(f"the answer has a Content-Length that is no size: {text[:40]!r}")
    return int(text)


def _span(text: str | None) -> tuple[int, int, int | None]:
    found = _SPAN.fullmatch(text) if text is not None else None
    if found is None or found[1] is None or int(found[2]) < int(found[1]):
        told = "no Content-Range" if text is None else f"a Content-Range without sense: {text[:80]!r}"
        raise Broken(f"the answer to a request for a range has {told}")
    return int(found[1]), int(found[2]), None if found[3] is None else int(found[3])


def _whole_size(text: str | None) -> int | None:
    """The size of the object in the ``Content-Range`` of a refusal: ``bytes */SIZE``."""
    found = _SPAN.fullmatch(text) if text is not None else None
    return None if found is None or found[3] is None else int(found[3])


async def read_stream(read: Callable[[int], Awaitable[bytes]], due: Expected) -> bytes:
    """Read a body by pieces, no more of it than may be right.

    Parameters
    ----------
    read : coroutine function
        Gives up to so many of the next bytes, none at the end.
    due : Expected
        What must come.

    Raises
    ------
    Broken
        If less or more came than was told.
    TooLarge
        If more came than was allowed.
    """
    limit = due.most if due.nbytes is None else due.nbytes
    pieces = []
    total = 0
    while total <= limit:
        piece = await read(min(limit - total + 1, 2**20))
        if not piece:
            break
        pieces.append(piece)
        total += len(piece)
    if total > limit:
        if due.nbytes is not None:
            raise Broken(f"more than {limit} bytes came for a range or object of {limit}")
        raise ignored(None) if due.is_cut else TooLarge(None, limit)
    return finished(b"".join(pieces), due)


def finished(body: bytes, due: Expected) -> bytes:
    """The answer of a body that was read, provided that it is whole."""
    if due.nbytes is not None and len(body) != due.nbytes:
        raise Broken(f"{len(body)} bytes came for a range or object of {due.nbytes}")
    if not due.is_cut:
        return body
    start = len(body) + due.cut_start if due.cut_start < 0 else due.cut_start
    nbytes = len(body) - start if due.cut_nbytes is None else due.cut_nbytes
    if start < 0 or start >= len(body) or nbytes > len(body) - start:
        raise Outside(len(body))
    return body[start : start + nbytes]
