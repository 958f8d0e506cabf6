"""A TCP proxy that is far away: ``python -m tests.servers.latency --to HOST:PORT --round-trip-ms 30``.

Each burst of bytes is held for half a round trip, in each direction; a connection is made without waiting.
Command (``--control``): ``round_trip`` (sets it, in ms).
"""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from typing import Any

from tests.servers.control import add_options, run

__all__: list[str] = []

# Bytes held in one direction of one connection before its sender must wait.
_MOST_HELD_NBYTES = 64 << 20


class _Half(asyncio.Protocol):
    """One side of a connection; what it receives, the other sends half a round trip later."""

    def __init__(self, proxy: _Proxy) -> None:
        self.proxy = proxy
        self.loop = asyncio.get_running_loop()
        self.other: _Half | None = None
        self.transport: asyncio.Transport | None = None
        # Held bytes with the time they are due; None is the end.
        self.held: deque[tuple[float, bytes | None]] = deque()
        self.held_nbytes = 0
        self.is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._hold(data)
        self.held_nbytes += len(data)
        if self.held_nbytes > _MOST_HELD_NBYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._hold(None)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._hold(None)

    def _hold(self, data: bytes | None) -> None:
        due = self.loop.time() + self.proxy.half_s
        self.held.append((due, data))
        if not self.is_waiting:
            self.is_waiting = True
            self.loop.call_at(due, self.release)

    def release(self) -> None:
        """Send on what is due."""
        now = self.loop.time() + 1e-4
        other = self.other.transport if self.other is not None else None
        if other is None:  # not connected yet
            self.loop.call_later(1e-3, self.release)
            return
        while self.held and self.held[0][0] <= now:
            data = self.held.popleft()[1]
            if data is None:
                other.close()
                continue
            self.held_nbytes -= len(data)
            if not other.is_closing():
                other.write(data)
        if self.held_nbytes <= _MOST_HELD_NBYTES and self.transport is not None:
            self.transport.resume_reading()
        self.is_waiting = bool(self.held)
        if self.held:
            self.loop.call_at(self.held[0][0], self.release)


class _Client(_Half):
    """The side of the client, which connects to the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = self.loop.create_task(self._connect())
        self.proxy.tasks.add(task)
        task.add_done_callback(self.proxy.tasks.discard)

    async def _connect(self) -> None:
        server = _Half(self.proxy)
        server.other = self
        try:
            await self.loop.create_connection(lambda: server, self.proxy.host, self.proxy.port)
        except OSError:
            assert self.transport is not None
            self.transport.abort()
            self.held.clear()
            return
        self.other = server


class _Proxy:
    """Where to, and how far."""

    def __init__(self, address: str, round_trip_ms: float) -> None:
        host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
        self.host, self.port = host, int(port)
        self.half_s = round_trip_ms / 2000
        self.tasks: set[asyncio.Task[None]] = set()

    def set_round_trip(self, ms: float) -> None:
        """How long a round trip is from now on."""
        self.half_s = ms / 2000


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.latency", description=__doc__)
    add_options(parser)
    parser.add_argument("--to", required=True, help="HOST:PORT of the server")
    parser.add_argument("--round-trip-ms", type=float, default=30.0)
    options = parser.parse_args()
    proxy = _Proxy(options.to, options.round_trip_ms)

    async def start(options: argparse.Namespace) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Client(proxy), options.host, options.port, backlog=1024)

    commands: dict[str, Any] = {"round_trip": proxy.set_round_trip}
    run(options, start, commands)


if __name__ == "__main__":
    main()
