"""A proxy in front of one HTTP server that records requests, and fails on command.

``python -m tests.servers.relay --to http://127.0.0.1:PORT --port 0 [--fault-rate 0.2 --seed 1]``

Faults are drawn from a seeded generator for each request; see ``FAULTS``.  Commands (``--control``):
``requests`` (method, path, query, range, conditions, status and fault of each since ``clear``), ``clear``,
``faults`` (``rate=``, ``seed=``, ``kinds=``, ``match=``), and ``conditions`` (``how=``: as servers that do
not know them).
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.servers.control import add_options, run

__all__ = ["FAULTS"]

FAULTS = {
    "drop_before": "the connection ends, and the server never sees the request",
    "drop_after": "the server does it, and the connection ends before the answer",
    "cut_head": "the connection ends in the head of the answer",
    "truncate": "the connection ends in the body of the answer",
    "delay": "the answer comes late",
    "403": "denied; the server never sees the request",
    "500": "failed; the server never sees the request",
    "503": "too many requests; the server never sees the request",
    "500_after": "the server does it, and the answer says that it failed",
}

_LIMIT = 1 << 20
_DELAY_S = (0.02, 0.15)
_ERRORS = {
    403: ("Forbidden", "AccessDenied"),
    500: ("Internal Server Error", "InternalError"),
    501: ("Not Implemented", "NotImplemented"),
    503: ("Service Unavailable", "SlowDown"),
}


class Head(NamedTuple):
    """The head of a request or answer: its first line, and its fields as they came."""

    first: str
    fields: list[tuple[str, str]]

    def get(self, name: str) -> str | None:
        """The value of a field."""
        for known, value in self.fields:
            if known.lower() == name:
                return value
        return None

    def without(self, *names: str) -> Head:
        """The same without some fields."""
        return Head(self.first, [field for field in self.fields if field[0].lower() not in names])

    def replaced(self, old: str, new: str) -> Head:
        """The same with a text in its fields replaced, such as the address of the server."""
        return Head(self.first, [(name, value.replace(old, new)) for name, value in self.fields])

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        lines = [self.first, *(f"{name}: {value}" for name, value in self.fields)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> Head:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4].split("\r\n")
    fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Head(first, fields)


async def _read_body(reader: asyncio.StreamReader, head: Head, *, to_end: bool) -> bytes:
    """The body as it came, chunks with their sizes."""
    if "chunked" in (head.get("transfer-encoding") or "").lower():
        parts = []
        while True:
            line = await reader.readuntil(b"\r\n")
            nbytes = int(line.split(b";")[0], 16)
            parts += [line, await reader.readexactly(nbytes + 2)] if nbytes else [line]
            if not nbytes:
                while (trailer := await reader.readuntil(b"\r\n")) != b"\r\n":
                    parts.append(trailer)
                return b"".join([*parts, b"\r\n"])
    nbytes_said = head.get("content-length")
    if nbytes_said is not None:
        return await reader.readexactly(int(nbytes_said))
    return await reader.read() if to_end else b""


class Faults:
    """Which requests fail, and how."""

    def __init__(self) -> None:
        self.set()

    def set(
        self, rate: float = 0.0, seed: int = 0, kinds: Iterable[str] = tuple(FAULTS), match: str = ""
    ) -> None:
        """Fail this share of the requests whose path contains `match` from now on."""
        kinds = list(kinds)
        unknown = set(kinds) - set(FAULTS)
        if unknown:
            raise ValueError(f"no faults {sorted(unknown)}; known are {', '.join(FAULTS)}")
        self.rate, self.kinds, self.match = rate, kinds, match
        self.random = random.Random(seed)

    def draw(self, path: str) -> str | None:
        """The fault of a request."""
        if not self.rate or self.match not in path or self.random.random() >= self.rate:
            return None
        return self.random.choice(self.kinds)


class Relay:
    """Passes requests on to one server."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
        self.host, self.port = host, int(port)
        self.records: list[dict[str, Any]] = []
        self.faults = Faults()
        self.conditions = "keep"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await _read_head(reader)
                if head.get("expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    head = head.without("expect")
                body = await _read_body(reader, head, to_end=False)
                if server is None or server[0].at_eof() or server[1].is_closing():
                    server = await asyncio.open_connection(self.host, self.port, limit=_LIMIT)
                if not await self._one(head, body, server, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if server is not None:
                server[1].close()
            writer.close()

    async def _one(
        self,
        head: Head,
        body: bytes,
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request on; whether the connection goes on."""
        method, target, _ = head.first.split(" ")
        path, _, query = target.partition("?")
        fault = self.faults.draw(path)
        record = {
            "method": method,
            "path": path,
            "query": query,
            "range": head.get("range") or head.get("x-ms-range"),
            "if_match": head.get("if-match"),
            "if_none_match": head.get("if-none-match"),
            "copied": head.get("x-amz-copy-source") or head.get("x-ms-copy-source"),
            "sent_nbytes": len(body),
            "status": None,
            "nbytes": 0,
            "fault": fault,
        }
        self.records.append(record)
        if fault == "drop_before":
            writer.transport.abort()
            return False
        if self.conditions == "refuse" and (record["if_match"] or record["if_none_match"]):
            fault = "501"
        if fault in ("403", "500", "501", "503"):
            record["status"] = int(fault)
            writer.write(_error(int(fault), method))
            return True
        if self.conditions == "ignore":
            head = head.without("if-match", "if-none-match")
        answer, answer_body = await self._ask(head, body, server, method)
        record["status"], record["nbytes"] = int(answer.first.split(" ")[1]), len(answer_body)
        if fault == "delay":
            await asyncio.sleep(self.faults.random.uniform(*_DELAY_S))
        if fault == "drop_after":
            writer.transport.abort()
            return False
        if fault == "500_after":
            record["status"] = 500
            writer.write(_error(500, method))
            return True
        whole = answer.encoded()
        if fault == "cut_head":
            writer.write(whole[: len(whole) // 2])
            return False
        if fault == "truncate":
            writer.write(whole + answer_body[: len(answer_body) // 2])
            return False
        writer.write(whole + answer_body)
        await writer.drain()
        return (answer.get("connection") or "").lower() != "close"

    async def _ask(
        self,
        head: Head,
        body: bytes,
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        method: str,
    ) -> tuple[Head, bytes]:
        reader, writer = server
        writer.write(head.encoded() + body)
        while True:
            answer = await _read_head(reader)
            status = int(answer.first.split(" ")[1])
            if status >= 200:
                break
        if method == "HEAD" or status in (204, 304):
            return self._ours(answer, head), b""
        framed = answer.get("content-length") is not None or answer.get("transfer-encoding") is not None
        found = await _read_body(reader, answer, to_end=not framed)
        if not framed:
            answer = Head(answer.first, [*answer.without("connection").fields, ("Connection", "close")])
        return self._ours(answer, head), found

    def _ours(self, answer: Head, head: Head) -> Head:
        """The answer with our address for the server's, so that what follows comes through us too."""
        return answer.replaced(f"http://{self.host}:{self.port}", f"http://{head.get('host')}")

    def commands(self) -> dict[str, Any]:
        """What ``--control`` takes."""
        return {
            "requests": lambda: self.records,
            "clear": self.records.clear,
            "faults": self.faults.set,
            "conditions": self.set_conditions,
        }

    def set_conditions(self, how: str = "keep") -> None:
        """What becomes of If-Match and If-None-Match: "keep", "ignore" or "refuse" (501)."""
        if how not in ("keep", "ignore", "refuse"):
            raise ValueError(how)
        self.conditions = how


def _error(status: int, method: str) -> bytes:
    """An error as S3 and Azure say it; other clients only look at the status."""
    phrase, code = _ERRORS[status]
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'.encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\n\r\n"
    ).encode()
    return head if method == "HEAD" else head + body


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.relay", description=__doc__)
    add_options(parser)
    parser.add_argument("--to", required=True, help="the URL of the server, http://HOST:PORT")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of the requests that fail")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    options = parser.parse_args()
    relay = Relay(options.to)
    relay.faults.set(options.fault_rate, options.seed)

    async def start(options: argparse.Namespace) -> asyncio.Server:
        return await asyncio.start_server(relay.serve, options.host, options.port, limit=_LIMIT, backlog=1024)

    run(options, start, relay.commands())


if __name__ == "__main__":
    main()
