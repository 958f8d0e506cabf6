"""The floor of the remote workloads: an aiohttp client that moves the same bytes through the same proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bench.libraries.base import Cannot

CONCURRENCY = 64

# URL, and first and last byte of the range.
Range = tuple[str, tuple[int, int] | None]


class BareClient:
    """Requests at most `CONCURRENCY` at once, over connections that are kept."""

    def __init__(self) -> None:
        try:
            import aiohttp
        except ImportError:
            raise Cannot("no aiohttp") from None
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self._session(aiohttp))

    async def _session(self, aiohttp: Any) -> Any:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY))

    def get(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of all."""
        return self.loop.run_until_complete(self._all(self._get, ranges))

    def post(self, bodies: Sequence[tuple[str, Any]]) -> None:
        """Upload all."""
        self.loop.run_until_complete(self._all(self._post, bodies))

    async def _all(self, move: Callable[..., Any], items: Sequence[Any]) -> list[Any]:
        found: list[Any] = [None] * len(items)
        pending = iter(enumerate(items))

        async def work() -> None:
            for i, item in pending:
                found[i] = await move(*item)

        await asyncio.gather(*(work() for _ in range(min(CONCURRENCY, len(items)))))
        return found

    async def _get(self, url: str, range: tuple[int, int] | None) -> bytes:
        headers = {} if range is None else {"Range": f"bytes={range[0]}-{range[1]}"}
        async with self.session.get(url, headers=headers) as response:
            data = await response.read()
            if response.status != (200 if range is None else 206):
                raise OSError(f"status {response.status}")
            return bytes(data)

    async def _post(self, url: str, body: Any) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        async with self.session.post(url, data=body, headers=headers) as response:
            await response.read()
            if response.status != 200:
                raise OSError(f"status {response.status}")

    def close(self) -> None:
        self.loop.run_until_complete(self.session.close())
        self.loop.close()
