"""Any fsspec file system as a driver, by its ordinary methods: asynchronous ones and others."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

from fsspec.implementations.cached import CachingFileSystem

from zarrc.storage.base import Stat
from zarrc.storage.remote.driver import MUST_NOT_EXIST, Absent, Answer, Broken, Conflict, Driver, Outside
from zarrc.storage.remote.failures import is_absence, is_passing, missing_bucket
from zarrc.storage.remote.listing import nbytes_in

__all__ = ["GenericDriver", "SynchronousDriver"]

# Where file systems put what changes when an object does, the best first.
_VERSION_FIELDS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "content_md5",
    "VersionId",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "modified",
    "created",
)


class GenericDriver(Driver):
    """An asynchronous file system that has no driver of its own: ``_cat_file``, ``_pipe_file``, ``_info``.

    Notes
    -----
    Versions are made from contents, since nothing that comes with a body tells more. How a range is
    refused that starts at the end of the object differs, so the object's size is asked for then.
    """

    def __init__(self, fs: Any) -> None:
        super().__init__(fs)
        self._knows_create: bool | None = None
        # Those that keep whole files seek to where a range starts, as it is written.
        self.suffix_ranges = not isinstance(fs, CachingFileSystem)

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        if start is None:
            body = await self._cat(path, None, None)
            return Answer(body, None, len(body))
        end = None if nbytes is None or start < 0 else start + nbytes
        try:
            body = await self._cat(path, start, end)
        except Exception as error:
            if nbytes is None and start > 0 and not is_absence(error) and not _is_told(error):
                found = await self.head(path)
                if found.nbytes <= start:
                    raise Outside(found.nbytes) from error
            raise
        due = -start if start < 0 else nbytes
        if due is not None and len(body) != due:
            if len(body) < due:
                await self._check_end(path, due if start < 0 else start + due)
            raise Broken(f"{len(body)} bytes came for a range of {due}")
        if due is None and not body:
            # Some give nothing, and no error, for a range behind the end.
            raise Outside((await self.head(path)).nbytes)
        return Answer(body, None, None)

    async def _check_end(self, path: str, end: int) -> None:
        """Raise `Outside` if the object has fewer bytes: a short answer may also have been cut."""
        try:
            found = await self.head(path)
        except Exception as error:
            # An object of which some bytes came is not absent, though its size is not told.
            if is_absence(error):
                return
            raise
        if found.nbytes < end:
            raise Outside(found.nbytes)

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`; of conditions, to create only."""
        options = {"mode": "create"} if condition == MUST_NOT_EXIST and self.knows_create else {}
        try:
            await self._pipe(path, data, options)
        except FileExistsError as error:
            raise Conflict from error
        return None

    async def head(self, path: str) -> Stat:
        """See `Driver.head`."""
        self.fs.invalidate_cache(os.path.dirname(path))
        info = await self._info(path)
        if info.get("type") == "directory" or info.get("size") is None:
            raise Absent
        return Stat(int(info["size"]), version_in(info))

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        await self.fs._rm_file(path)

    def failure(self, error: BaseException) -> BaseException:
        """See `Driver.failure`; for obstore's own class for fsspec."""
        missing = missing_bucket(error) if isinstance(error, FileNotFoundError) else None
        return error if missing is None else missing

    @property
    def knows_create(self) -> bool:
        """Whether writing takes ``mode="create"``, which older fsspec and some file systems do not."""
        if self._knows_create is None:
            self._knows_create = "mode" in inspect.signature(self._pipe_method).parameters
        return self._knows_create

    # What a synchronous file system does otherwise.

    @property
    def _pipe_method(self) -> Any:
        return self.fs._pipe_file

    async def _cat(self, path: str, start: int | None, end: int | None) -> bytes:
        return bytes(await self.fs._cat_file(path, start=start, end=end))

    async def _pipe(self, path: str, data: bytes, options: dict[str, Any]) -> None:
        # That a file is not found here means the bucket, which we never make.
        try:
            await self.fs._pipe_file(path, data, **options)
        except FileNotFoundError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    async def _info(self, path: str) -> Mapping[str, Any]:
        info: Mapping[str, Any] = await self.fs._info(path)
        return info


class SynchronousDriver(GenericDriver):
    """A synchronous file system: the same coroutines, which never wait for anything."""

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        self.fs.rm_file(path)

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        if self.walks:
            return await super().find(path)
        self.fs.invalidate_cache(path)
        return {name: nbytes_in(info) for name, info in self.fs.find(path, detail=True).items()}

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        self.fs.invalidate_cache(path)
        entries: Sequence[Mapping[str, Any]] = self.fs.ls(path, detail=True)
        return entries

    @property
    def _pipe_method(self) -> Any:
        return self.fs.pipe_file

    async def _cat(self, path: str, start: int | None, end: int | None) -> bytes:
        return bytes(self.fs.cat_file(path, start=start, end=end))

    async def _pipe(self, path: str, data: bytes, options: dict[str, Any]) -> None:
        try:
            self.fs.pipe_file(path, data, **options)
        except FileNotFoundError:
            # A file system of real directories wants them first.
            self.fs.makedirs(os.path.dirname(path), exist_ok=True)
            self.fs.pipe_file(path, data, **options)

    async def _info(self, path: str) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self.fs.info(path)
        return info


def _is_told(error: Exception) -> bool:
    """Whether it is no refusal of a range for sure."""
    return is_passing(error) or isinstance(error, PermissionError)


def version_in(info: Mapping[str, Any]) -> str | None:
    """The version of an object as a listing or ``info`` tells it."""
    for field in _VERSION_FIELDS:
        if info.get(field) is not None:
            return f"{field}-{info[field]}-{info.get('size')}"
    return None
