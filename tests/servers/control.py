"""What the server programs of these tests share: options, commands on standard input, the end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

__all__ = ["add_options", "run"]

Commands = Mapping[str, Callable[..., Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every program has."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "--control",
        action="store_true",
        help="take commands from standard input, a line of JSON each, and end when it ends",
    )


def run(
    options: argparse.Namespace,
    start: Callable[[argparse.Namespace], Awaitable[asyncio.Server]],
    commands: Commands,
) -> None:
    """Start a server, print where it listens, serve until standard input ends (or for ever)."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options, start, commands))


async def _run(
    options: argparse.Namespace,
    start: Callable[[argparse.Namespace], Awaitable[asyncio.Server]],
    commands: Commands,
) -> None:
    server = await start(options)
    host, port = server.sockets[0].getsockname()[:2]
    url = f"http://{host}:{port}"
    if not options.control:
        print(f"listening on {url}", flush=True)
        await server.serve_forever()
        return
    _say({"url": url})
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        _say(_answer(json.loads(line), commands))


def _answer(request: dict[str, Any], commands: Commands) -> dict[str, Any]:
    try:
        return {"answer": commands[request.pop("op")](**request)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
