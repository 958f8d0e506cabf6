"""Objects of an obstore store, which stands in for a file system; all runs in fsspec's event loop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec.asyn

from zarrc.storage.base import Stat
from zarrc.storage.remote.driver import (
    MUST_NOT_EXIST,
    Answer,
    Broken,
    Conflict,
    Driver,
    Outside,
    Refused,
    TooLarge,
)
from zarrc.storage.remote.failures import missing_bucket

__all__ = ["ObstoreDriver", "ObstoreFiles"]

# Of these obstore writes under a condition (of local files and web servers it does not).
_CONDITIONAL = ("S3Store", "GCSStore", "AzureStore", "MemoryStore")

_STATUS = re.compile(r"status(?: code)?:? (\d{3})\b")

# How stores say that a range is not in the object: those in memory and on disk, and services.
_OUTSIDE = (
    "Wanted range starting at",
    "StartTooLarge",
    "InvalidRange",
    "Range Not Satisfiable",
    "status: 416",
)


class ObstoreFiles:
    """An obstore store, as far as a runner and `Paths` ask a file system.

    Parameters
    ----------
    store : obstore.store.ObjectStore
        The store.
    """

    protocol = "obstore"
    async_impl = True

    def __init__(self, store: Any) -> None:
        self.store = store

    @property
    def loop(self) -> Any:
        """The event loop that the coroutines run in, of a thread of its own."""
        return fsspec.asyn.get_loop()

    @property
    def storage_options(self) -> dict[str, Any]:
        """What the store was made with; the secrets in it are masked in errors."""
        config = getattr(self.store, "config", None) or {}
        options = getattr(self.store, "client_options", None) or {}
        return {**options, **config}

    @staticmethod
    def _strip_protocol(path: str) -> str:
        return path.strip("/")

    def unstrip_protocol(self, path: str) -> str:
        """The store and a path in it, for people."""
        text = repr(self.store)
        shown = type(self.store).__name__ if text.startswith("<") else text
        return f"obstore:{shown}/{path}".rstrip("/")

    def to_json(self) -> str:
        """A text that is equal for stores on one place."""
        place = getattr(self.store, "prefix", None), sorted(self.storage_options.items(), key=str)
        kind = type(self.store).__name__
        return f"{kind} {id(self.store)}" if kind == "MemoryStore" else f"{kind} {place!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObstoreFiles, (self.store,)


class ObstoreDriver(Driver):
    """An obstore store."""

    versions = True
    copies = True

    def __init__(self, fs: ObstoreFiles) -> None:
        import obstore

        super().__init__(fs)
        self._obstore = obstore
        self._store = fs.store
        kinds = {kind.__name__ for kind in type(fs.store).__mro__}
        self.conditional = not kinds.isdisjoint(_CONDITIONAL)
        self.suffix_ranges = "AzureStore" not in kinds
        self.bulk = 1000 if "S3Store" in kinds else 0
        # Whether some answer has shown that the bucket is there; what is no service has none.
        self._is_there = kinds.isdisjoint(("S3Store", "GCSStore", "AzureStore"))

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        found = await self._obstore.get_async(self._store, path, options=_options(start, nbytes))
        size: int = found.meta["size"]
        first, end = found.range
        if start is not None and start < 0:
            if end - first != -start:
                raise Outside(size)
        elif start is not None and (first != start or (nbytes is not None and end - first != nbytes)):
            raise Outside(size)
        if nbytes is None and most is not None and end - first > most:
            raise TooLarge(size, most)
        self._is_there = True
        data: bytes = (await found.bytes_async()).to_bytes()
        if len(data) != end - first:
            raise Broken(f"{len(data)} bytes came in place of {end - first}")
        return Answer(data, found.meta["e_tag"], size)

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`."""
        if condition is None:
            written = await self._obstore.put_async(self._store, path, data)
        else:
            mode: Any = "create" if condition == MUST_NOT_EXIST else {"e_tag": condition}
            # A condition goes with one request only.
            written = await self._obstore.put_async(self._store, path, data, mode=mode, use_multipart=False)
        version: str | None = written["e_tag"]
        return version

    async def head(self, path: str) -> Stat:
        """See `Driver.head`."""
        try:
            found = await self._obstore.head_async(self._store, path)
        except FileNotFoundError:
            await self._check_bucket(path)
            raise
        self._is_there = True
        return Stat(found["size"], found["e_tag"])

    async def _check_bucket(self, path: str) -> None:
        """Raise if there is no bucket: an answer without a body does not tell, of a GET it does. Asked once.

        A listing would tell too, but is not allowed to all who may read.
        """
        if self._is_there:
            return
        try:
            await self._obstore.get_async(self._store, path, options=_options(0, 1))
        except FileNotFoundError as error:
            if missing_bucket(error) is not None:
                raise
        except Exception:
            return  # which another request will tell
        self._is_there = True

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        await self._obstore.delete_async(self._store, path)

    async def delete_many(self, paths: Sequence[str]) -> None:
        """See `Driver.delete_many`."""
        await self._obstore.delete_async(self._store, list(paths))

    async def copy(self, source: str, target: str) -> None:
        """See `Driver.copy`."""
        await self._obstore.copy_async(self._store, source, target)

    @property
    def walks(self) -> bool:
        """See `Driver.walks`."""
        return False

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        found = await self._obstore.list(self._store, prefix=path or None).collect_async()
        return {one["path"]: one["size"] for one in found}

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        found = await self._obstore.list_with_delimiter_async(self._store, prefix=path or None)
        objects = [{"name": one["path"], "type": "file"} for one in found["objects"]]
        return [*objects, *({"name": name, "type": "directory"} for name in found["common_prefixes"])]

    def changed(self, path: str) -> None:
        """See `Driver.changed`; obstore keeps no listings."""

    def failure(self, error: BaseException) -> BaseException:
        """See `Driver.failure`."""
        kind = type(error).__name__
        missing = missing_bucket(error)
        if missing is not None:
            return missing
        if not type(error).__module__.startswith(("obstore", "builtins")) or isinstance(
            error, FileNotFoundError
        ):
            return error
        text = str(error).partition("\n\nDebug source")[0]
        if kind in ("AlreadyExistsError", "PreconditionError"):
            return Conflict()
        if kind == "PermissionDeniedError":
            return Refused(403, message=text)
        if kind == "UnauthenticatedError":
            return Refused(401, message=text)
        if any(sign in str(error) for sign in _OUTSIDE):
            return Outside()
        status = _STATUS.search(text)
        if status is not None:
            return Refused(int(status[1]), message=text)
        return OSError(text) if type(error).__module__.startswith("obstore") else error


def _options(start: int | None, nbytes: int | None) -> Any:
    if start is None:
        return None
    if start < 0:
        return {"range": {"suffix": -start}}
    return {"range": {"offset": start} if nbytes is None else (start, start + nbytes)}
