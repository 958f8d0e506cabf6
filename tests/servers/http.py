"""A web server of files with ranges: ``python -m tests.servers.http --root FOLDER --port 0``.

GET and HEAD with the ranges ``a-b``, ``a-`` and ``-n``; 206 and 416 as RFC 9110 has them; ETag, If-Match,
If-None-Match; a folder is a page of links.  With ``--writable`` also PUT and DELETE.  A raw asyncio protocol,
so that what is measured through it is the client: about 9,000 requests of 1 kB a second on one core.

Commands (``--control``): ``requests`` (method, path, range and status of each since ``clear``), ``clear``,
``lie`` (see ``lies.py``) and ``behave``; ``links`` (``shown=``: whether a folder is a page of links, or 404).
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import re
import stat
import urllib.parse
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.control import add_options, run
from tests.servers.lies import Lie, Lies

__all__ = ["Answer", "FileServer", "Request"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_MAX_HEAD_NBYTES = 1 << 16
_MAX_BODY_NBYTES = 1 << 30


class Request(NamedTuple):
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """One answer; ``object_nbytes`` is the size of the whole."""

    status: int
    headers: dict[str, str]
    body: bytes


class FileServer:
    """Answers requests from the files below a folder."""

    def __init__(self, root: str, *, writable: bool = False) -> None:
        self.root = root
        self.writable = writable
        self.records: list[dict[str, Any]] = []
        self.lies = Lies()
        self.has_links = True
        self._n_written = 0

    def answer(self, request: Request) -> Answer:
        """The answer to a request, without any lies."""
        names = [name for name in request.path.split("/") if name]
        if any(name in (".", "..") or "\0" in name for name in names):
            return _plain(400)
        file = os.path.join(self.root, *names)
        if request.method in ("GET", "HEAD"):
            return self._read(request, file)
        if request.method not in ("PUT", "DELETE") or not self.writable:
            return _plain(405, allow="GET, HEAD")
        return self._write(request, file)

    def _read(self, request: Request, path: str) -> Answer:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return _plain(404)
        except PermissionError:
            return _plain(403)
        except OSError:
            return _plain(400)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                return _listing(request, path) if self.has_links else _plain(404)
            etag = _etag(found)
            refused = _check_conditions(request, etag)
            if refused is not None:
                return refused
            return _part(request, descriptor, found.st_size, etag)
        finally:
            os.close(descriptor)

    def _write(self, request: Request, path: str) -> Answer:
        try:
            etag = _etag(os.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            etag = None
        refused = _check_conditions(request, etag)
        if refused is not None:
            return refused
        if request.method == "DELETE":
            if etag is None:
                return _plain(404)
            os.unlink(path)
            return Answer(204, {}, b"")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._n_written += 1
        temporary = os.path.join(self.root, f".written-{self._n_written}")
        Path(temporary).write_bytes(request.body)
        os.replace(temporary, path)
        return Answer(204 if etag else 201, {"ETag": _etag(os.stat(path))}, b"")

    def commands(self) -> dict[str, Any]:
        """What ``--control`` takes."""
        return {
            "requests": lambda: self.records,
            "clear": self.records.clear,
            "lie": self.lies.add,
            "behave": self.lies.clear,
            "links": self.set_links,
        }

    def set_links(self, shown: bool) -> None:
        """Whether a folder is a page of links, or not found."""
        self.has_links = shown


def _etag(found: os.stat_result) -> str:
    return f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'


def _plain(status: int, **headers: str) -> Answer:
    body = f"{status} {HTTPStatus(status).phrase}\n".encode()
    return Answer(status, {"Content-Type": "text/plain"} | headers, body)


def _check_conditions(request: Request, etag: str | None) -> Answer | None:
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if wanted is not None and (etag is None or (wanted != "*" and etag not in _tags(wanted))):
        return _plain(412)
    if unwanted is not None and etag is not None and (unwanted == "*" or etag in _tags(unwanted)):
        reading = request.method in ("GET", "HEAD")
        return Answer(304, {"ETag": etag}, b"") if reading else _plain(412)
    return None


def _tags(field: str) -> list[str]:
    return [tag.strip() for tag in field.split(",")]


def _part(request: Request, descriptor: int, nbytes: int, etag: str) -> Answer:
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    wanted = _RANGE.match(request.headers.get("range", ""))
    if wanted is None or wanted.group() == "bytes=-":
        return Answer(200, headers, os.pread(descriptor, nbytes, 0))
    first, last = wanted.groups()
    if first:
        start, end = int(first), min(nbytes, int(last) + 1) if last else nbytes
    else:
        start, end = max(0, nbytes - int(last)), nbytes
    if start >= end:
        return _plain(416, **{"Content-Range": f"bytes */{nbytes}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{nbytes}"
    return Answer(206, headers, os.pread(descriptor, end - start, start))


def _listing(request: Request, path: str) -> Answer:
    if not request.path.endswith("/"):
        return Answer(301, {"Location": urllib.parse.quote(request.path) + "/"}, b"")
    links = []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        name = entry.name + ("/" if entry.is_dir() else "")
        links.append(f'<a href="{urllib.parse.quote(name)}">{html.escape(name)}</a><br>')
    body = "\n".join(["<!doctype html>", *links]).encode()
    return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, body)


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class _Connection(asyncio.Protocol):
    """One client; requests are answered in their order."""

    def __init__(self, server: FileServer) -> None:
        self.server = server
        self.waiting = b""
        self.transport: asyncio.Transport
        self.is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting = self.waiting + data if self.waiting else data
        self.proceed()

    def proceed(self) -> None:
        """Answer the requests that have come whole."""
        while not self.is_held and self.waiting and not self.transport.is_closing():
            request = self._next()
            if request is None:
                return
            self._answer(request)

    def _next(self) -> Request | None:
        head, found, rest = self.waiting.partition(b"\r\n\r\n")
        if not found:
            if len(head) > _MAX_HEAD_NBYTES:
                self.transport.abort()
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = [*first.split(" "), "", ""][:3]
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        nbytes = int(headers.get("content-length", "0"))
        if nbytes > _MAX_BODY_NBYTES:
            self.transport.abort()
            return None
        if len(rest) < nbytes:
            if headers.pop("expect", None):
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.waiting = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head) + found + rest
            return None
        self.waiting = rest[nbytes:]
        path, _, query = target.partition("?")
        return Request(method, urllib.parse.unquote(path), query, headers, rest[:nbytes])

    def _answer(self, request: Request) -> None:
        server = self.server
        lie = server.lies.for_request(request.path) if server.lies.told else None
        answer = server.answer(request)
        server.records.append(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "range": request.headers.get("range"),
                "status": answer.status,
                "nbytes": len(answer.body),
            }
        )
        if lie is None:
            self.send(request, answer)
        else:
            self._tell(lie, request, answer)

    def send(
        self, request: Request, answer: Answer, *, length: int | None = -1, closing: bool = False
    ) -> None:
        """Send an answer; ``length`` is what Content-Length says, None for none, -1 for the truth."""
        closing = closing or length is None or request.headers.get("connection", "").lower() == "close"
        lines = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Odd')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if length is not None and answer.status not in (204, 304):
            lines.append(f"Content-Length: {len(answer.body) if length == -1 else length}")
        lines.append("Connection: close\r\n\r\n" if closing else "Connection: keep-alive\r\n\r\n")
        head = "\r\n".join(lines).encode("latin-1")
        self.transport.write(head if request.method == "HEAD" else head + answer.body)
        if closing:
            self.transport.close()

    def _tell(self, lie: Lie, request: Request, answer: Answer) -> None:
        if lie.how == "hang":
            self.is_held = True
        elif lie.how == "reset":
            self.transport.abort()
        elif lie.how == "garbage":
            self.transport.write(b"\x00\xffthis is not HTTP\r\n\r\n" + answer.body)
            self.transport.close()
        elif lie.how == "slow":
            self.is_held = True
            asyncio.get_running_loop().call_later(lie.value, self._send_late, request, answer)
        else:
            told, how = lie.told(request, answer, self.server)
            self.send(request, told, **how)

    def _send_late(self, request: Request, answer: Answer) -> None:
        self.is_held = False
        self.send(request, answer)
        self.proceed()


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.http", description=__doc__)
    add_options(parser)
    parser.add_argument("--root", required=True, help="the folder whose files are served")
    parser.add_argument("--writable", action="store_true", help="also take PUT and DELETE")
    options = parser.parse_args()
    server = FileServer(os.path.abspath(options.root), writable=options.writable)

    async def start(options: argparse.Namespace) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(server), options.host, options.port, backlog=1024)

    run(options, start, server.commands())


if __name__ == "__main__":
    main()
