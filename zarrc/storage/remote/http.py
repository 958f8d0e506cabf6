"""Web servers: objects are read by ranges, nothing is written."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Stat
from zarrc.storage.remote.answers import Expected, expected, finished, ignored, range_header, read_stream
from zarrc.storage.remote.driver import Driver
from zarrc.storage.remote.outcomes import Absent, Answer, Broken, Refused

__all__ = ["HTTPDriver", "is_encoded", "is_framed", "read_body", "retry_after_in"]

# A server that is asked with HEAD may say that it does not know that, or the size.
_NO_HEAD = frozenset((405, 501))


class HTTPDriver(Driver):
    """fsspec's ``HTTPFileSystem``, through its aiohttp session.

    Notes
    -----
    The version of an object is its ``ETag``, else the time of its last change if that is so long ago that a
    later change would have another one. 404 and 410 say that there is no such object; 403 does not.
    """

    versions = True
    read_only = "nothing can be written over HTTP"

    def __init__(self, fs: Any) -> None:
        super().__init__(fs)
        options = dict(fs.kwargs)
        # Sizes and ranges are those of what is stored, not of a compressed copy.
        self._headers = {**options.pop("headers", {}), "Accept-Encoding": "identity"}
        self._options = options

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        fs = self.fs
        session = fs._session or await fs.set_session()
        headers = self._headers
        if start is not None:
            headers = {**headers, "Range": range_header(start, nbytes)}
        async with session.get(fs.encode_url(path), headers=headers, **self._options) as response:
            status = response.status
            if status != 200 and status != 206 and status != 416:
                raise await refused(response)
            found = response.headers
            encoded = is_encoded(found)
            length = found.get("Content-Length")
            framed = is_framed(found)
            if encoded and start is not None:
                raise Broken("a part of a compressed copy came, where one of the object was asked for")
            if status == 200 and not framed and start is not None:
                raise ignored(None)
            due = expected(
                status, None if encoded else length, found.get("Content-Range"), start, nbytes, most
            )
            data = await read_body(response, due)
        if status == 200 and not framed:
            await self._check_whole(path, None if encoded else len(data))
        return Answer(data, version_in(found), due.object_nbytes if start is not None else len(data))

    async def _check_whole(self, path: str, nbytes: int | None) -> None:
        """Refuse a body of so many bytes if nothing tells that it is whole."""
        session = self.fs._session or await self.fs.set_session()
        options = {"allow_redirects": True, **self._options}
        async with session.head(self.fs.encode_url(path), headers=self._headers, **options) as response:
            told = response.headers.get("Content-Length") if response.status == 200 else None
        if told is None or nbytes is None:
            raise StoreError("the server does not tell the length of the object, which may be cut short")
        if told != str(nbytes):
            raise Broken(f"{nbytes} bytes came of an object of {told[:20]}")

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """Never asked."""
        raise NotImplementedError

    async def head(self, path: str) -> Stat:
        """See `Driver.head`; by a GET where the server does not answer HEAD, or not with a size."""
        fs = self.fs
        session = fs._session or await fs.set_session()
        options = {"allow_redirects": True, **self._options}
        async with session.head(fs.encode_url(path), headers=self._headers, **options) as response:
            status = response.status
            if status == 200:
                size = response.headers.get("Content-Length", "")
                if size.isdecimal() and len(size) <= 18 and not is_encoded(response.headers):
                    return Stat(int(size), version_in(response.headers))
            elif status not in _NO_HEAD:
                raise await refused(response)
        answer = await self.get(path, None, None, None)
        return Stat(len(answer.data), answer.version)

    async def delete(self, path: str) -> None:
        """Never asked."""
        raise NotImplementedError


def is_framed(headers: Any) -> bool:
    """Whether a body's end is told; another one ends where the connection does, whole or not."""
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


def is_encoded(headers: Any) -> bool:
    """Whether the body is a compressed copy of the object, which aiohttp decompresses."""
    return headers.get("Content-Encoding", "identity").lower() not in ("identity", "")


async def read_body(response: Any, due: Expected) -> bytes:
    """The body of an aiohttp response, provided that it is what must come.

    Where its length is told, aiohttp reads no more than that, and says if it is less. (That a range has a
    length does not tell where a body in chunks ends, or a compressed one.)
    """
    if due.nbytes is None or "Content-Length" not in response.headers or is_encoded(response.headers):
        return await read_stream(response.content.read, due)
    return finished(await response.read(), due)


async def refused(response: Any) -> Exception:
    """What an answer that is an error means."""
    status = response.status
    if status in (404, 410):
        return Absent()
    # The page that comes with it says little, and may be endless.
    return Refused(status, message=response.reason or "", retry_after=retry_after_in(response.headers))


def retry_after_in(headers: Any) -> float | None:
    """The seconds that an answer asks to wait, if it does not name a date."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 7 else None


def version_in(headers: Any) -> str | None:
    """The version of an object as the headers of an answer tell it."""
    etag = headers.get("ETag")
    if etag is not None:
        return str(etag)
    modified = headers.get("Last-Modified")
    if modified is None:
        return None
    try:
        age = parsedate_to_datetime(headers["Date"]) - parsedate_to_datetime(modified)
    except (KeyError, ValueError, TypeError):
        return None
    # The clock of such times has seconds: another change in the same one would not show (RFC 9110, 8.8.2.2).
    return f"modified {modified}" if age.total_seconds() >= 2 else None
