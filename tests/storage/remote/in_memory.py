"""An asynchronous file system in memory that counts what is in flight, and fails on command."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from fsspec.asyn import AsyncFileSystem


class InFlight(AsyncFileSystem):  # type: ignore[misc]
    """Objects in a dict; each request takes a few turns of the event loop.

    Two of them are one file system if they have the same ``serial``.
    """

    protocol = "inflight"
    cachable = False

    def __init__(self, *, delay: float = 0.0, serial: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.objects: dict[str, bytes] = {}
        self.delay = delay
        self.now = 0
        self.most = 0
        self.n_requests = 0
        self.nbytes_now = 0
        self.cancelled: list[str] = []
        # What happens to a path before it is served: an exception is raised, a coroutine function awaited.
        self.faults: dict[str, list[Any]] = {}
        self.order: list[str] = []

    async def _served(self, path: str) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.n_requests += 1
        self.order.append(path)
        try:
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)
            if self.delay:
                await asyncio.sleep(self.delay)
            fault = self.faults[path].pop(0) if self.faults.get(path) else None
            if isinstance(fault, BaseException):
                raise fault
            if fault is not None:
                await fault()
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise
        finally:
            self.now -= 1

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        await self._served(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path][start:end]

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        await self._served(path)
        if mode == "create" and path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = value

    async def _rm_file(self, path: str, **_: Any) -> None:
        await self._served(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        del self.objects[path]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        await self._served(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.objects[path]), "type": "file"}
