"""A server that sends bytes as they are, for answers that no real one gives."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Answer", "raw_server"]

Answer = Callable[[str, dict[str, str]], Iterable[bytes]]
"""From the line of a request and its headers to what is sent before the connection ends."""


@contextmanager
def raw_server(answer: Answer) -> Iterator[str]:
    """Its URL; each request gets what ``answer`` gives for it, and a connection of its own."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode().strip()
            headers = {}
            while field := self.rfile.readline().decode().strip():
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            self.rfile.read(int(headers.get("content-length", 0)))
            with suppress(OSError):
                for piece in answer(line, headers):
                    self.wfile.write(piece)
                self.request.shutdown(socket.SHUT_WR)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
