"""Objects of a zarr-python store, which stands in for a file system; all runs in zarr's event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import fsspec.asyn

from zarrc.kernels.blob import content_version
from zarrc.storage.base import Stat
from zarrc.storage.remote.driver import (
    MUST_NOT_EXIST,
    Absent,
    Answer,
    Conflict,
    Driver,
    Outside,
    Refused,
    TooLarge,
)

__all__ = ["ZarrPythonDriver", "ZarrPythonFiles"]

# How many names of one directory are looked at together.
_N_TOGETHER = 64

# icechunk knows the documents and chunks of Zarr only, and this is how it says so.
_NO_KEY = re.compile("invalid zarr key|bad key prefix|v2 key not found")


class ZarrPythonFiles:
    """A zarr-python store, as far as a runner and `Paths` ask a file system.

    Parameters
    ----------
    store : zarr.abc.store.Store
        The store.
    """

    protocol = "zarr-python"
    async_impl = True

    def __init__(self, store: Any) -> None:
        self.store = store

    @property
    def loop(self) -> Any:
        """The event loop that zarr-python itself uses the store in: clients are bound to one."""
        try:
            from zarr.core.sync import _get_loop
        except ImportError:
            return fsspec.asyn.get_loop()
        return _get_loop()

    @staticmethod
    def _strip_protocol(path: str) -> str:
        return path.strip("/")

    def unstrip_protocol(self, path: str) -> str:
        """The store and a path in it, for people."""
        kind = type(self.store)
        return f"{kind.__module__.partition('.')[0]}.{kind.__name__}/{path}".rstrip("/")

    def to_json(self) -> str:
        """A text that is equal for one and the same store."""
        return f"{type(self.store).__name__} {id(self.store)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return ZarrPythonFiles, (self.store,)


class ZarrPythonDriver(Driver):
    """A zarr-python store. Versions are made from the content."""

    def __init__(self, fs: ZarrPythonFiles) -> None:
        # Whoever made the store has imported it.
        from zarr.abc import store as requests
        from zarr.core.buffer import default_buffer_prototype

        super().__init__(fs)
        self._store = fs.store
        self._requests = requests
        self._prototype = default_buffer_prototype()
        if not self._store.supports_writes:
            self.read_only = "the zarr-python store takes no writes"

    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """See `Driver.get`."""
        await self._open()
        try:
            found = await self._store.get(path, self._prototype, self._byte_request(start, nbytes))
        except Exception as error:
            if _is_no_key(error):
                raise Absent from error
            if start is None:
                raise
            # Some refuse a range that leaves the object, or is empty at its end, each in its own way.
            size = await self.nbytes(path)
            if _leaves(size, start, nbytes):
                raise Outside(size) from None
            if start == size:
                return Answer(b"", None, size)
            raise
        if found is None:
            raise Absent
        data: bytes = found.to_bytes()
        if start is None:
            if most is not None and len(data) > most:
                raise TooLarge(len(data), most)
            return Answer(data, None, len(data))
        # Others give what there is of the range.
        wanted = -start if start < 0 else nbytes
        if wanted is not None and len(data) != wanted:
            raise Outside
        if not data and _leaves(await self.nbytes(path), start, nbytes):
            raise Outside
        return Answer(data, None, None)

    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """See `Driver.put`."""
        await self._open()
        content = self._prototype.buffer.from_bytes(data)
        try:
            if condition != MUST_NOT_EXIST:
                await self._store.set(path, content)
                return None
            await self._store.set_if_not_exists(path, content)
        except Exception as error:
            if _is_no_key(error):
                raise Refused(
                    400, message="the store takes only keys of Zarr's documents and chunks"
                ) from error
            raise
        # It does not say whether it wrote.
        written = await self._store.get(path, self._prototype)
        if written is None or written.to_bytes() != data:
            raise Conflict
        return None

    async def head(self, path: str) -> Stat:
        """See `Driver.head`: the object is read, for its version."""
        data = (await self.get(path, None, None, None)).data
        return Stat(len(data), content_version(data))

    async def nbytes(self, path: str) -> int:
        """The size of an object. Raises `Absent`."""
        await self._open()
        try:
            size: int = await self._store.getsize(path)
        except Exception as error:
            if _is_no_key(error) or isinstance(error, FileNotFoundError):
                raise Absent from error
            raise
        return size

    async def delete(self, path: str) -> None:
        """See `Driver.delete`."""
        await self._open()
        if await self._exists(path):  # some delete what is below it too, and some want it to be there
            await self._store.delete(path)

    @property
    def walks(self) -> bool:
        """See `Driver.walks`."""
        return False

    async def find(self, path: str) -> Mapping[str, int | None]:
        """See `Driver.find`."""
        await self._open()
        start = f"{path}/" if path else ""
        above = path
        while True:
            try:
                keys = [key async for key in self._store.list_prefix(f"{above}/" if above else "")]
            except Exception as error:
                # icechunk lists nodes, and no part of one.
                if not above or not _is_no_key(error):
                    raise
                above = above.rpartition("/")[0]
            else:
                return {key: None for key in keys if key.startswith(start)}

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """See `Driver.ls`."""
        await self._open()
        start = f"{path}/" if path else ""
        names = [start + name.strip("/") async for name in self._store.list_dir(start)]
        entries: list[Mapping[str, Any]] = []
        for first in range(0, len(names), _N_TOGETHER):
            kinds = await asyncio.gather(*(self._kinds(name) for name in names[first : first + _N_TOGETHER]))
            entries += [entry for found in kinds for entry in found]
        return entries

    def changed(self, path: str) -> None:
        """See `Driver.changed`; there are no listings to forget."""

    async def _kinds(self, name: str) -> list[Mapping[str, Any]]:
        """What a name in a listing stands for: an object, a directory, or both."""
        is_object = await self._exists(name)
        entries = [{"name": name, "type": "file"}] if is_object else []
        if not is_object or await self._leads_on(name):
            entries.append({"name": name, "type": "directory"})
        return [*entries]

    async def _leads_on(self, name: str) -> bool:
        try:
            return not await self._store.is_empty(name)
        except Exception as error:
            if _is_no_key(error):
                return False
            raise

    async def _exists(self, path: str) -> bool:
        try:
            return bool(await self._store.exists(path))
        except Exception as error:
            if _is_no_key(error):
                return False
            raise

    async def _open(self) -> None:
        if not getattr(self._store, "_is_open", True):
            await self._store._ensure_open()

    def _byte_request(self, start: int | None, nbytes: int | None) -> Any:
        if start is None:
            return None
        if start < 0:
            return self._requests.SuffixByteRequest(-start)
        if nbytes is None:
            return self._requests.OffsetByteRequest(start)
        return self._requests.RangeByteRequest(start, start + nbytes)


def _is_no_key(error: BaseException) -> bool:
    """Whether a store says that it can have no such object, or directory."""
    return type(error).__module__.startswith("icechunk") and _NO_KEY.search(str(error)) is not None


def _leaves(size: int, start: int, nbytes: int | None) -> bool:
    """Whether a range leaves an object of this size."""
    return start > size or -start > size or (start >= 0 and start + (nbytes or 0) > size)
