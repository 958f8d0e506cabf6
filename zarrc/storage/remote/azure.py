"""Azure blobs, through adlfs."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from zarrc.errors import StoreError
from zarrc.storage.base import Stat
from zarrc.storage.remote.driver import (
    MUST_NOT_EXIST,
    Absent,
    Answer,
    Broken,
    Conflict,
    Driver,
    Outside,
    Refused,
    TooLarge,
    of_this_machine,
)

__all__ = ["AzureDriver"]

# No blob is larger; the SDK fetches what is larger than its own limit (32 MiB) by pieces of 4 MiB.
_MOST_NBYTES = 200 * 2**40

# As adlfs has it: its listings tell folders from blobs by this.
_METADATA = {"is_directory": "false"}

# A field of a blob's metadata that says which conditional write made it.
_WRITE = "zarrc_write"

# While the service copies, it is asked so often how far it is.
_COPY_POLL_S = (0.02, 1.0)

_ABSENT = frozenset(("BlobNotFound", "ResourceNotFound", "CannotVerifyCopySource"))
_CONFLICT = frozenset(("BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"))
_STATUS = {"ServerBusy": 503, "OperationTimedOut": 504, "InternalError": 500, "AuthenticationFailed": 401}


class AzureDriver(Driver):
    """`Driver` for ``adlfs.AzureBlobFileSystem``.

    Notes
    -----
    The SDK's own retries are left out: they wait 15 seconds and more. What it sends is one request, where
    adlfs sends one for each 4 MiB behind the first 32.
    """

    conditional = True
    versions = True
    suffix_ranges = False
    copies = True

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        blob, version = self._blob(path)
        options = self._options | ({"version_id": version} if version else {})
        if start is not None:
            options |= {"offset": start, "length": nbytes}
        if nbytes is None and most is not None:
            # The SDK reads the body before it tells how long it is.
            options |= {"offset": start or 0, "length": most + 1}
        try:
            stream = await blob.download_blob(**options)
        except Exception as error:
            failure = self.failure(error)
            # There is no range of an empty blob, only all of it.
            if start is not None or not isinstance(failure, Outside) or failure.object_nbytes:
                raise
            stream = await blob.download_blob(**self._options)
        object_nbytes = _whole_size(stream)
        if start is not None and (stream.size <= 0 or (nbytes is not None and stream.size != nbytes)):
            raise Outside(object_nbytes)
        if most is not None and nbytes is None and stream.size > most:
            raise TooLarge(object_nbytes, most)
        data = await stream.readall()
        if len(data) != stream.size:
            raise Broken(f"{len(data)} bytes came for a range or object of {stream.size}")
        return Answer(data, stream.properties.etag, object_nbytes)

    async def head(self, path: str) -> Stat:
        """See `Driver.head`."""
        blob, version = self._blob(path)
        more = {"version_id": version} if version else {}
        found = await blob.get_blob_properties(**more, **self._options)
        return Stat(found.size, found.etag)

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`."""
        from azure.core import MatchConditions

        blob, _ = self._blob(path)
        write = uuid.uuid4().hex
        options = {"metadata": _METADATA, "max_concurrency": self._concurrency, **self._options}
        if condition is not None:
            # The client sends again what had no answer, and then finds what it has written itself.
            options["metadata"] = {**_METADATA, _WRITE: write}
        if condition:
            options |= {"etag": condition, "match_condition": MatchConditions.IfNotModified}
        try:
            answer = await blob.upload_blob(data, overwrite=condition != MUST_NOT_EXIST, **options)
        except Exception as error:
            if condition is None or not isinstance(self.failure(error), Conflict):
                raise
            version = await self._version_of(blob, write)
            if version is None:
                raise
            return version
        etag: str | None = answer.get("etag")
        return etag

    async def _version_of(self, blob: Any, write: str) -> str | None:
        """The version of a blob, if it is what this write has made of it."""
        try:
            found = await blob.get_blob_properties(**self._options)
        except Exception as error:
            if isinstance(self.failure(error), Absent):
                return None
            raise
        etag: str | None = found.etag
        return etag if (found.metadata or {}).get(_WRITE) == write else None

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        blob, _ = self._blob(path)
        await blob.delete_blob(**self._options)

    async def copy(self, source: str, target: str) -> None:
        """See `Driver.copy`."""
        whence, version = self._blob(source)
        blob, _ = self._blob(target)
        url = whence.url
        if version:
            url += f"{'&' if '?' in url else '?'}versionid={version}"
        answer = await blob.start_copy_from_url(url, **self._options)
        status, delay = answer.get("copy_status"), _COPY_POLL_S[0]
        while status == "pending":
            await asyncio.sleep(delay)
            delay = min(2 * delay, _COPY_POLL_S[1])
            status = (await blob.get_blob_properties(**self._options)).copy.status
        if status != "success":
            raise Refused(500, "CopyFailed", f"the service says that the copy is {status!r}")

    # Listings.

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        container, prefix = self._prefix(path)
        found: dict[str, int | None] = {}
        blobs = self._container(container).list_blobs(
            name_starts_with=prefix, include=["metadata"], **self._options
        )
        async for blob in blobs:
            if not _is_folder(blob):
                found[f"{container}/{blob.name}"] = blob.size
        return found

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        container, prefix = self._prefix(path)
        found: list[Mapping[str, Any]] = []
        blobs = self._container(container).walk_blobs(
            name_starts_with=prefix, include=["metadata"], delimiter="/", **self._options
        )
        async for blob in blobs:
            name = f"{container}/{blob.name.rstrip('/')}"
            if blob.name.endswith("/") or _is_folder(blob):
                if name != f"{container}/{(prefix or '').rstrip('/')}":
                    found.append({"name": name, "type": "directory"})
            else:
                found.append({"name": name, "type": "file", "size": blob.size})
        return found

    # Clients.

    def _blob(self, path: str) -> tuple[Any, str | None]:
        """The client of a blob, and the version that the path names."""
        container, name, version = self.fs.split_path(path)
        blob = self.fs.service_client.get_blob_client(container=container, blob=name)
        settings = getattr(blob, "_config", None)
        if settings is not None and getattr(settings, "max_single_get_size", _MOST_NBYTES) < _MOST_NBYTES:
            blob._config = copy.copy(settings)
            blob._config.max_single_get_size = _MOST_NBYTES
        return blob, version

    def _container(self, name: str) -> Any:
        return self.fs.service_client.get_container_client(name)

    def _prefix(self, path: str) -> tuple[str, str | None]:
        container, name, _ = self.fs.split_path(path)
        return container, f"{name.rstrip('/')}/" if name else None

    @property
    def _options(self) -> dict[str, Any]:
        return {"retry_total": 0, **getattr(self.fs, "_timeout_kwargs", {})}

    @property
    def _concurrency(self) -> int:
        return getattr(self.fs, "max_concurrency", None) or 1

    def failure(self, error: BaseException) -> BaseException:
        """See `Driver.failure`."""
        status = getattr(error, "status_code", None)
        if not isinstance(status, int):
            return _of_no_answer(error)
        code = str(getattr(error, "error_code", None) or "").rpartition(".")[2]
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        code = headers.get("x-ms-error-code", code)
        if code in _ABSENT:
            return Absent()
        if status == 412 or code in _CONFLICT:
            return Conflict()
        if status == 416:
            return Outside(_size(headers.get("Content-Range", "")))
        told = str(getattr(error, "reason", None) or "")
        wait = headers.get("Retry-After", "")
        after = float(wait) if wait.isdecimal() and len(wait) < 7 else None
        return Refused(_STATUS.get(code, status), code, told, retry_after=after)


def _of_no_answer(error: BaseException) -> BaseException:
    """What an exception means that no answer of the service caused."""
    text = str(error)
    # The SDK's texts for answers whose headers make no sense, and for bodies that are cut.
    if isinstance(error, ValueError) and "Content-Range" in text:
        return Broken(text)
    if type(error).__name__ in ("IncompleteReadError", "DecodeError", "HttpResponseError"):
        return Broken(f"{type(error).__name__}: {text}")
    if type(error).__name__ == "ClientAuthenticationError":
        return Refused(401, type(error).__name__, text)
    return of_this_machine(error)


def _whole_size(stream: Any) -> int:
    """The size of the blob that a download is from: behind the slash of its ``Content-Range``."""
    if stream.properties.content_range is None:  # of an empty one
        return 0
    size = _size(stream.properties.content_range)
    if size is None:
        raise StoreError("the answer of the service does not tell the size of the blob")
    return size


def _size(content_range: str) -> int | None:
    text = content_range.rpartition("/")[2]
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _is_folder(blob: Any) -> bool:
    """Whether a listed blob stands for a folder, as in accounts with a hierarchical namespace."""
    metadata = blob.get("metadata") or {}
    return metadata.get("hdi_isfolder") == "true" or metadata.get("is_directory") == "true"
