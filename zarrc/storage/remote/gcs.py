"""Google Cloud Storage: the JSON API, through gcsfs's session and credentials."""

from __future__ import annotations

import contextlib
import io
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from yarl import URL

from zarrc.errors import StoreError
from zarrc.storage.base import Stat
from zarrc.storage.remote.answers import Expected, expected, range_header
from zarrc.storage.remote.driver import Driver, of_this_machine
from zarrc.storage.remote.http import is_encoded, is_framed, read_body, retry_after_in
from zarrc.storage.remote.outcomes import MUST_NOT_EXIST, Absent, Answer, Broken, Conflict, Refused

__all__ = ["GCSDriver"]

# Larger objects are written by a resumable upload, in parts of this size: gcsfs's own.
_PART_NBYTES = 50 * 2**20

# Of the answer to an error: what names the reason stands at its start.
_ERROR_NBYTES = 2**16

# A page of a listing may be a megabyte or two.
_DOCUMENT = Expected(None, 2**26, None)
_PAGE = 1000

_MEDIA = {"alt": "media"}

# What is larger aiohttp sends by pieces, so that other requests go on meanwhile.
_LARGE_NBYTES = 2**20


class GCSDriver(Driver):
    """gcsfs's ``GCSFileSystem`` and its extended one.

    Notes
    -----
    Versions are generations. Requests go past gcsfs's methods: these try six times by themselves before
    anything could be told of it, and those of its extended file system first ask what kind of bucket it is,
    by another protocol, which takes a minute where nobody answers that. Zonal buckets, which only speak that
    protocol, cannot be used.
    """

    conditional = True
    versions = True
    copies = True

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        headers = {"Accept-Encoding": "identity"}
        if start is not None:
            headers["Range"] = range_header(start, nbytes)
        fs = self.fs
        session = fs._session or await fs._set_session()
        async with self._request(
            session, "GET", self._object(path, "/download"), _MEDIA, headers
        ) as response:
            status = response.status
            if status not in (200, 206, 416):
                raise await _refused(response)
            found = response.headers
            if status == 200 and not is_framed(found):
                raise Broken("the answer does not tell the length of the object, which may be cut short")
            # What is stored compressed comes decompressed, and then its length is not told.
            length = None if is_encoded(found) else found.get("Content-Length")
            due = expected(status, length, found.get("Content-Range"), start, nbytes, most)
            data = await read_body(response, due)
            version = found.get("X-Goog-Generation")
            return Answer(data, version, due.object_nbytes if start is not None else len(data))

    async def head(self, path: str) -> Stat:
        """See `Driver.head`."""
        found = await self._json("GET", self._object(path), {"fields": "size,generation"})
        return _stat(found)

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`."""
        bucket, name = self._split(path)
        options: dict[str, str] = {}
        if condition is not None:
            if condition != MUST_NOT_EXIST and not condition.isdecimal():
                raise Conflict  # the version of another store
            options["ifGenerationMatch"] = condition or "0"
        url = f"{self.fs._location}/upload/storage/v1/b/{_quoted(bucket)}/o"
        if len(data) > _PART_NBYTES:
            found = await self._resumable(url, name, data, options)
        elif condition is None:
            # No body is put together, neither here nor taken apart there.
            options.update(uploadType="media", name=name)
            found = await self._json("POST", url, options, {"Content-Type": "application/octet-stream"}, data)
        else:
            boundary = uuid.uuid4().hex
            found = await self._json(
                "POST",
                url,
                {"uploadType": "multipart", **options},
                {"Content-Type": f"multipart/related; boundary={boundary}"},
                _parts(boundary, name, data),
            )
        return _generation(found)

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        async with self._asked("DELETE", self._object(path)):
            pass

    async def copy(self, source: str, target: str) -> None:
        """See `Driver.copy`."""
        bucket, name = self._split(target)
        url = f"{self._object(source)}/rewriteTo/b/{_quoted(bucket)}/o/{_quoted(name)}"
        token: dict[str, str] = {}
        while True:
            found = await self._json("POST", url, token, {"Content-Type": "application/json"})
            if found.get("done") is not False:
                return
            token = {"rewriteToken": str(found.get("rewriteToken"))}

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        found: dict[str, int | None] = {}
        async for bucket, page in self._pages(path, {"fields": "items(name,size),nextPageToken"}):
            for item in page.get("items", ()):
                found[f"{bucket}/{item['name']}"] = _size(item)
        return found

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        entries: list[Mapping[str, Any]] = []
        fields = {"fields": "items(name,size),prefixes,nextPageToken", "delimiter": "/"}
        async for bucket, page in self._pages(path, fields):
            for item in page.get("items", ()):
                entries.append({"name": f"{bucket}/{item['name']}", "type": "file"})
            for prefix in page.get("prefixes", ()):
                entries.append({"name": f"{bucket}/{prefix}", "type": "directory"})
        return entries

    def failure(self, error: BaseException) -> BaseException:
        """See `Driver.failure`."""
        return of_this_machine(error)

    # Requests.

    def _split(self, path: str) -> tuple[str, str]:
        # As gcsfs has it; a generation in the path is part of the name here, as it is by default there.
        bucket, _, name = path.lstrip("/").partition("/")
        if not bucket or not name:
            raise StoreError("a path in Google Cloud Storage starts with a bucket: gs://BUCKET/PATH")
        return bucket, name

    def _object(self, path: str, service: str = "") -> str:
        bucket, name = self._split(path)
        return f"{self.fs._location}{service}/storage/v1/b/{_quoted(bucket)}/o/{_quoted(name)}"

    async def _pages(
        self, path: str, options: dict[str, str]
    ) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        """The pages of a listing of what is below a directory."""
        bucket, _, name = path.lstrip("/").partition("/")
        if not bucket:
            raise StoreError("a path in Google Cloud Storage starts with a bucket: gs://BUCKET/PATH")
        url = f"{self.fs._location}/storage/v1/b/{_quoted(bucket)}/o"
        options = {**options, "maxResults": str(_PAGE)}
        if name:
            options["prefix"] = name.rstrip("/") + "/"
        while True:
            try:
                page = await self._json("GET", url, options)
            except Absent:
                raise Refused(404, "NoSuchBucket", f"there is no bucket {bucket!r}") from None
            yield bucket, page
            token = page.get("nextPageToken")
            if not token:
                return
            options["pageToken"] = token

    async def _json(
        self,
        method: str,
        url: str,
        options: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Mapping[str, Any]:
        """The document that answers a request."""
        async with self._asked(method, url, options, headers, data) as response:
            return _document(await read_body(response, _DOCUMENT))

    @contextlib.asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: str,
        options: Mapping[str, str] = {},
        headers: Mapping[str, str] | None = None,
        data: bytes | memoryview | None = None,
        passing: tuple[int, ...] = (),
    ) -> AsyncIterator[Any]:
        """The answer to a request, if it is no error."""
        fs = self.fs
        session = fs._session or await fs._set_session()
        async with self._request(session, method, url, options, headers, data) as response:
            if response.status >= 300 and response.status not in passing:
                raise await _refused(response)
            yield response

    def _request(
        self,
        session: Any,
        method: str,
        url: str,
        options: Mapping[str, str],
        headers: Mapping[str, str] | None,
        data: bytes | memoryview | None = None,
    ) -> Any:
        fs = self.fs
        if fs.requester_pays:
            options = fs._get_params(options)
        query = urlencode(options) if options is not _MEDIA else "alt=media"
        return session.request(
            method,
            URL(
                f"{url}?{query}" if query else url, encoded=True
            ),  # the names in it are quoted, slashes included
            headers=fs._get_headers(headers),
            data=io.BytesIO(data) if data is not None and len(data) > _LARGE_NBYTES else data,
            timeout=fs.requests_timeout,
        )

    async def _resumable(
        self, url: str, name: str, data: bytes, options: dict[str, str]
    ) -> Mapping[str, Any]:
        """Write a large object, part by part."""
        body = json.dumps({"name": name}).encode()
        begun = {"uploadType": "resumable", "name": name, **options}
        kinds = {"Content-Type": "application/json", "X-Upload-Content-Type": "application/octet-stream"}
        async with self._asked("POST", url, begun, kinds, body) as response:
            place = response.headers.get("Location")
        if not place:
            raise Broken("the answer to the begin of an upload does not say where to")
        view = memoryview(data)
        start = 0
        try:
            while True:
                part = view[start : start + _PART_NBYTES]
                span = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}
                async with self._asked("PUT", place, {}, span, part, passing=(308,)) as response:
                    if response.status != 308:
                        return _document(await read_body(response, _DOCUMENT))
                    kept = response.headers.get("Range", "")
                first, _, last = kept.removeprefix("bytes=").partition("-")
                if first != "0" or not last.isdecimal() or not start <= int(last) < len(data) - 1:
                    raise Broken(f"an upload of {len(data)} bytes went on at {kept!r} after byte {start}")
                start = int(last) + 1
        except BaseException:
            with contextlib.suppress(Exception):
                async with self._asked("DELETE", place, passing=(499,)):
                    pass
            raise


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _parts(boundary: str, name: str, data: bytes) -> bytes:
    """The body of a multipart upload."""
    # The boundary is random: with a fixed one, data that hold it would be cut there.
    start = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{json.dumps({'name': name})}\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join((start.encode(), data, f"\r\n--{boundary}--".encode()))


async def _refused(response: Any) -> Exception:
    """What an answer that is an error means."""
    status = response.status
    text = (await response.content.read(_ERROR_NBYTES)).decode("utf-8", "replace")
    code, message = "", text.strip()
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, IndexError):
        error = json.loads(text)["error"]
        message = str(error["message"])
        code = str(error["errors"][0]["reason"])
    # Of an object it names the bucket too, which may well be called "my-bucket".
    if status == 404 and (message.startswith("No such object") or "bucket" not in message):
        return Absent()
    if status == 412:
        return Conflict()
    return Refused(status, code, message[:500], retry_after=retry_after_in(response.headers))


def _document(text: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Broken("the answer is no JSON object")
    return document


def _size(item: Mapping[str, Any]) -> int | None:
    text = str(item.get("size", ""))
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def _generation(found: Mapping[str, Any]) -> str | None:
    generation = found.get("generation")
    return None if generation is None else str(generation)


def _stat(found: Mapping[str, Any]) -> Stat:
    nbytes = _size(found)
    if nbytes is None:
        raise Broken("the answer does not tell the size of the object")
    return Stat(nbytes, _generation(found))
