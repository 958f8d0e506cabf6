"""Amazon S3 and what speaks its protocol, through s3fs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from zarrc.errors import ZarrcWarning
from zarrc.storage.base import Stat
from zarrc.storage.remote.answers import expected, range_header, read_stream
from zarrc.storage.remote.driver import (
    MUST_NOT_EXIST,
    Absent,
    Answer,
    Broken,
    Conflict,
    Driver,
    Outside,
    Refused,
    of_this_machine,
)
from zarrc.storage.remote.limits import settings
from zarrc.storage.remote.retrying import is_able

__all__ = ["S3Driver"]

# As s3fs has them: from twice this on an upload is in parts, and this many are on their way.
_PART_NBYTES = 50 * 2**20
_MOST_PARTS = 10_000

# The most that one request may copy; parts of a copy are large, since no byte comes here.
_MOST_COPY_NBYTES = 5 * 10**9
_COPY_PART_NBYTES = 512 * 2**20

_ABSENT = frozenset(("NoSuchKey", "NoSuchVersion", "404", "NotFound"))
# Codes whose status says less than they do.
_STATUS = {
    "ExpiredToken": 401,
    "InvalidToken": 401,
    "TokenRefreshRequired": 401,
    "AuthorizationHeaderMalformed": 401,
    "AccessDenied": 403,
    "AllAccessDisabled": 403,
    "InternalError": 500,
    "RequestTimeout": 408,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "Throttling": 429,
    "ThrottlingException": 429,
    "RequestLimitExceeded": 429,
    "BandwidthLimitExceeded": 429,
}
# Of these at least one is in each page of a listing.
_OF_LISTINGS = frozenset(("IsTruncated", "KeyCount", "Name", "Contents", "CommonPrefixes"))
# Another conditional write of the object is on its way; S3 says to try again.
_BUSY = frozenset(("ConditionalRequestConflict", "OperationAborted"))

# A field of the object's metadata that says which conditional write made it.
_WRITE = "zarrc-write"

# A version that no object has.
_NO_ETAG = '"00000000000000000000000000000000-zarrc"'

# Of servers at other endpoints than Amazon's, by endpoint and condition: whether it is kept.
_keeps: dict[tuple[str, str], bool] = {}


class S3Driver(Driver):
    """`Driver` for ``s3fs.S3FileSystem``.

    Notes
    -----
    Goes to the client below ``_call_s3`` where it can: that tries up to five times by itself, and turns
    errors into others that tell less. The retries of botocore are left out where ours are there, unless the
    file system was made with ``config_kwargs={"retries": ...}``.

    Some servers that are not Amazon's take conditions and ignore them. So the first conditional write of each
    kind at another endpoint is made with a look before it and one more after it, which must be refused: where
    it is not, a warning says so once, and `conditional` is False from then on.
    """

    versions = True
    copies = True
    bulk = 1000

    def __init__(self, fs: Any) -> None:
        super().__init__(fs)
        # botocore has 10 connections unless told otherwise; not in the options, which stay as they were.
        own: dict[str, Any] = {"max_pool_connections": settings().max_requests}
        if is_able():
            # Below our own tries its five, with their waits, take 45 seconds where nobody listens.
            own["retries"] = {"total_max_attempts": 1}
        fs.config_kwargs = {**own, **fs.config_kwargs}
        # Where the client sends requests: as far as is known before it is there, "" for Amazon's.
        self._endpoint = _endpoint(_told(fs))
        self._is_endpoint_known = False
        # Buckets of which some answer has shown that they are there.
        self._known: set[str] = set()

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        """Whether conditions are kept, as far as is known."""
        return _keeps.get((self._endpoint, "create"), True) and _keeps.get((self._endpoint, "match"), True)

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        bucket, key, version = self.fs.split_path(path)
        more = {"VersionId": version} if version else {}
        if start is not None:
            more["Range"] = range_header(start, nbytes)
        try:
            answer = await self._call("get_object", Bucket=bucket, Key=key, **more)
        except Exception as error:
            # S3 says NoSuchKey; who only says 404 may be a proxy, and mean the bucket.
            if isinstance(self.failure(error), Absent) and not _is_named(error):
                await self._check_bucket(bucket)
            raise
        body = answer["Body"]
        try:
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            if "content-length" not in headers and "chunked" not in headers.get("transfer-encoding", ""):
                raise Broken("the answer does not tell the length of the object, which may be cut short")
            due = expected(
                answer["ResponseMetadata"]["HTTPStatusCode"],
                headers.get("content-length"),
                headers.get("content-range"),
                start,
                nbytes,
                most,
            )
            data = await read_stream(body.read, due)
        except BaseException:
            body.close()  # with its connection, on which the rest would come
            raise
        self._known.add(bucket)
        return Answer(data, answer.get("ETag"), len(data) if start is None else due.object_nbytes)

    async def head(self, path: str) -> Stat:
        """See `Driver.head`."""
        bucket, key, version = self.fs.split_path(path)
        more = {"VersionId": version} if version else {}
        try:
            answer = await self._call("head_object", Bucket=bucket, Key=key, **more)
        except Exception as error:
            if isinstance(self.failure(error), Absent):
                await self._check_bucket(bucket)
            raise
        self._known.add(bucket)
        return Stat(answer["ContentLength"], answer.get("ETag"))

    async def _check_bucket(self, bucket: str) -> None:
        """Refuse if there is no such bucket: an answer without a body does not tell. Asked once."""
        if bucket in self._known:
            return
        try:
            await self._call("head_bucket", Bucket=bucket)
        except Exception as error:
            if isinstance(self.failure(error), Absent):
                raise Refused(404, "NoSuchBucket", "the bucket does not exist") from error
        self._known.add(bucket)

    # Writing.

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`."""
        if condition is None:
            return await self._put(path, data, {})
        kind = "create" if condition == MUST_NOT_EXIST else "match"
        asked = {"IfNoneMatch": "*"} if kind == "create" else {"IfMatch": condition}
        if len(data) >= 2 * _PART_NBYTES:
            kind += " in parts"  # which servers learnt later, if at all
        await self._client(self.fs.split_path(path)[0])
        keeps = _keeps.get((self._endpoint, kind)) if self._endpoint else True
        if keeps:
            return await self._put(path, data, asked)
        if keeps is not None:
            await self._look(path, condition)
            return await self._put(path, data, {})
        return await self._put_first(path, data, condition, kind, asked)

    async def _put_first(
        self, path: str, data: bytes, condition: str, kind: str, asked: dict[str, str]
    ) -> str | None:
        """A conditional write to a server of which it is not known that it keeps conditions."""
        await self._look(path, condition)
        try:
            version = await self._put(path, data, asked)
        except Exception as error:
            failure = self.failure(error)
            if isinstance(failure, Conflict):
                _keeps[self._endpoint, kind] = True
            if not (isinstance(failure, Refused) and failure.status == 501):
                raise
            version = await self._put(path, data, {})
            self._ignores(kind)
            return version
        # The same bytes once more, under a condition that does not hold now.
        again = {"IfNoneMatch": "*"} if condition == MUST_NOT_EXIST else {"IfMatch": _NO_ETAG}
        try:
            version = await self._put(path, data, again)
        except Exception as error:
            if isinstance(self.failure(error), Conflict):
                _keeps[self._endpoint, kind] = True
            return version
        self._ignores(kind)
        return version

    async def _look(self, path: str, condition: str) -> None:
        """Refuse if a condition does not hold, as far as a look can tell."""
        try:
            found = await self.head(path)
        except Exception as error:
            if not isinstance(self.failure(error), Absent):
                raise
            if condition != MUST_NOT_EXIST:
                raise Conflict from error
            return
        if condition != found.version:
            raise Conflict

    def _ignores(self, kind: str) -> None:
        _keeps[self._endpoint, kind] = False
        warnings.warn(
            f"the S3 server at {self._endpoint.rpartition('@')[2]} ignores conditional writes ({kind}): two "
            "processes that write the same object at the same time may overwrite each other's",
            ZarrcWarning,
            stacklevel=2,
        )

    async def _put(self, path: str, data: bytes, condition: dict[str, str]) -> str | None:
        bucket, key, _ = self.fs.split_path(path)
        about: dict[str, Any] = {}
        if condition:
            # The client sends again what had no answer, and then finds what it has written itself.
            known = getattr(self.fs, "s3_additional_kwargs", None) or {}
            about = {"Metadata": {**known.get("Metadata", {}), _WRITE: uuid.uuid4().hex}}
        try:
            if len(data) < 2 * _PART_NBYTES:
                arguments = {"Bucket": bucket, "Key": key, "Body": data, **about}
                answer = await self._conditional("put_object", condition, **arguments)
            else:
                answer = await self._put_parts(bucket, key, data, condition, about)
        except Exception as error:
            if not condition or not isinstance(self.failure(error), Conflict):
                raise
            version = await self._ours(bucket, key, about)
            if version is None:
                raise
            return version
        self._known.add(bucket)
        etag: str | None = answer.get("ETag")
        return etag

    async def _ours(self, bucket: str, key: str, about: dict[str, Any]) -> str | None:
        """The version of the object, if it is what this write has made of it."""
        try:
            found = await self._call("head_object", Bucket=bucket, Key=key)
        except Exception as error:
            if isinstance(self.failure(error), Absent):
                return None
            raise
        etag: str | None = found.get("ETag")
        return etag if found.get("Metadata", {}).get(_WRITE) == about["Metadata"][_WRITE] else None

    async def _conditional(self, method: str, condition: dict[str, str], **arguments: Any) -> Any:
        try:
            return await self._call(method, **arguments, **condition)
        except Exception as error:
            # That an object which must be there is gone is 404.
            if "IfMatch" in condition and isinstance(self.failure(error), Absent):
                raise Conflict from error
            raise

    async def _put_parts(
        self, bucket: str, key: str, data: bytes, condition: dict[str, str], about: dict[str, Any]
    ) -> Any:
        part_nbytes = max(_PART_NBYTES, -(-len(data) // _MOST_PARTS))

        async def send(upload: str, number: int) -> Any:
            body = data[(number - 1) * part_nbytes : number * part_nbytes]
            return await self._call(
                "upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body
            )

        n_parts = -(-len(data) // part_nbytes)
        return await self._in_parts(bucket, key, n_parts, send, condition, about)

    async def _in_parts(
        self,
        bucket: str,
        key: str,
        n_parts: int,
        send: Callable[[str, int], Awaitable[Any]],
        condition: dict[str, str],
        about: dict[str, Any],
    ) -> Any:
        """An upload in parts, which ``send`` brings; nothing is left of one that fails."""
        upload = (await self._call("create_multipart_upload", Bucket=bucket, Key=key, **about))["UploadId"]
        try:
            numbers = iter(range(1, n_parts + 1))
            etags: dict[int, str] = {}

            async def work() -> None:
                for number in numbers:
                    answer = await send(upload, number)
                    etags[number] = answer.get("ETag") or answer["CopyPartResult"]["ETag"]

            await _all(work() for _ in range(min(n_parts, max(1, getattr(self.fs, "max_concurrency", 10)))))
            parts = [{"PartNumber": number, "ETag": etags[number]} for number in range(1, n_parts + 1)]
            return await self._conditional(
                "complete_multipart_upload",
                condition,
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            )
        except BaseException:
            await asyncio.shield(self._abort(bucket, key, upload))
            raise

    async def _abort(self, bucket: str, key: str, upload: str) -> None:
        # What failed is being told; parts that stay go when the bucket's rules say so.
        with contextlib.suppress(Exception):
            await self._call("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        bucket, key, _ = self.fs.split_path(path)
        await self._call("delete_object", Bucket=bucket, Key=key)

    async def delete_many(self, paths: Sequence[str]) -> None:
        """See `Driver.delete_many`."""
        keys: dict[str, list[str]] = {}
        for path in paths:
            bucket, key, _ = self.fs.split_path(path)
            if key.isprintable():
                keys.setdefault(bucket, []).append(key)
            else:  # XML cannot say all of them
                await self._delete_one(path)
        for bucket, names in keys.items():
            wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
            answer = await self._call("delete_objects", Bucket=bucket, Delete=wanted)
            for failed in answer.get("Errors", ()):
                code = failed.get("Code", "")
                if code not in _ABSENT:
                    text = f"{failed.get('Key')!r} was not deleted: {failed.get('Message', '')}"
                    raise Refused(_STATUS.get(code, 500), code, text)

    async def _delete_one(self, path: str) -> None:
        try:
            await self.delete(path)
        except Exception as error:
            if not isinstance(self.failure(error), Absent):
                raise

    async def copy(self, source: str, target: str) -> None:
        """See `Driver.copy`."""
        from_bucket, from_key, version = self.fs.split_path(source)
        bucket, key, _ = self.fs.split_path(target)
        whence = {"Bucket": from_bucket, "Key": from_key} | ({"VersionId": version} if version else {})
        try:
            await self._call("copy_object", Bucket=bucket, Key=key, CopySource=whence)
        except Exception as error:
            failure = self.failure(error)
            if not isinstance(failure, Refused) or failure.code not in ("InvalidRequest", "EntityTooLarge"):
                raise
            found = await self.head(source)
            if found.nbytes <= _MOST_COPY_NBYTES:
                raise
            await self._copy_parts(bucket, key, whence, found)

    async def _copy_parts(self, bucket: str, key: str, whence: dict[str, str], found: Stat) -> None:
        part_nbytes = max(_COPY_PART_NBYTES, -(-found.nbytes // _MOST_PARTS))
        # All parts of one version of the source.
        same = {"CopySourceIfMatch": found.version} if found.version else {}

        async def send(upload: str, number: int) -> Any:
            start = (number - 1) * part_nbytes
            end = min(found.nbytes, start + part_nbytes)
            return await self._call(
                "upload_part_copy",
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                CopySource=whence,
                CopySourceRange=f"bytes={start}-{end - 1}",
                **same,
            )

        await self._in_parts(bucket, key, -(-found.nbytes // part_nbytes), send, {}, {})

    # Listings.

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        bucket, _, _ = self.fs.split_path(path)
        found: dict[str, int | None] = {}
        async for page in self._pages(path):
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # which stands for a folder
                    found[f"{bucket}/{entry['Key']}"] = int(entry["Size"])
        return found

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        bucket, _, _ = self.fs.split_path(path)
        found: list[Mapping[str, Any]] = []
        async for page in self._pages(path, Delimiter="/"):
            for entry in page.get("CommonPrefixes", ()):
                found.append({"name": f"{bucket}/{entry['Prefix'].rstrip('/')}", "type": "directory"})
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    found.append({"name": f"{bucket}/{entry['Key']}", "type": "file", "size": entry["Size"]})
        return found

    async def _pages(self, path: str, **more: Any) -> Any:
        bucket, key, _ = self.fs.split_path(path)
        arguments = {"Bucket": bucket, "Prefix": key.rstrip("/") + "/" if key else "", **more}
        while True:
            try:
                page = await self._call("list_objects_v2", **arguments)
            except Exception as error:
                if isinstance(self.failure(error), Absent):
                    raise Refused(404, "NoSuchBucket", "the bucket does not exist") from error
                raise
            if _OF_LISTINGS.isdisjoint(page):
                raise Broken("the answer is no listing")
            yield page
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == arguments.get("ContinuationToken"):
                raise Broken("the listing does not say where it goes on")
            arguments["ContinuationToken"] = token

    # Requests.

    async def _client(self, bucket: str) -> Any:
        await self.fs.set_session()
        client = await self.fs.get_s3(bucket)
        if not self._is_endpoint_known:
            self._endpoint = _endpoint(client.meta.endpoint_url)
            self._is_endpoint_known = True
        return client

    async def _call(self, method: str, **arguments: Any) -> Any:
        call = getattr(await self._client(arguments["Bucket"]), method)
        return await call(**self.fs._get_s3_method_kwargs(call, **arguments))

    def failure(self, error: BaseException) -> BaseException:
        """See `Driver.failure`."""
        name = type(error).__name__
        if name in ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"):
            return Refused(401, name, str(error))
        if name == "FlexibleChecksumError":
            return Broken(f"the checksum of the body is another: {error}")
        response = getattr(error, "response", None)
        if not isinstance(response, dict) or not isinstance(response.get("Error"), dict):
            return of_this_machine(error)
        code = str(response["Error"].get("Code", ""))
        about = response.get("ResponseMetadata", {})
        headers = about.get("HTTPHeaders", {})
        status = about.get("HTTPStatusCode", 0)
        if code in _ABSENT or (status == 404 and not code):
            return Absent()
        if status == 412 or code == "PreconditionFailed":
            return Conflict()
        if status == 416 or code == "InvalidRange":
            return Outside(_size(response["Error"].get("ActualObjectSize"), headers))
        if code in _BUSY:
            return Broken(f"{code}: {response['Error'].get('Message', '')}")
        return Refused(
            _STATUS.get(code, status or 500),
            code,
            str(response["Error"].get("Message", "")),
            retry_after=_seconds(headers.get("retry-after")),
        )


def _is_named(error: BaseException) -> bool:
    """Whether it is S3's own document that says what is absent."""
    return getattr(error, "response", {}).get("Error", {}).get("Code") in ("NoSuchKey", "NoSuchVersion")


def _told(fs: Any) -> str:
    """The endpoint that a file system or the environment names; botocore also looks into files."""
    named = (
        getattr(fs, "endpoint_url", None),
        (getattr(fs, "client_kwargs", None) or {}).get("endpoint_url"),
    )
    variables = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return next(filter(None, (*named, *variables)), "")


def _endpoint(url: str) -> str:
    """A URL that a client sends its requests to; ``""`` for Amazon, which keeps conditions."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    return "" if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) else url.rstrip("/")


def _size(said: Any, headers: Mapping[str, str]) -> int | None:
    """The size of the object, in a refusal of a range."""
    text = str(said) if said is not None else headers.get("content-range", "").rpartition("*/")[2]
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and len(text) < 7 else None


async def _all(works: Any) -> None:
    """Wait for all; after a failure of one, the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
