"""The servers of the remote workloads, and how far they are: the tests' own, started by the parent.

Reads over HTTP are of the folder of sources itself; what is read from the Google server is put there first.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.libraries.base import Cannot

ROUND_TRIP_MS = 30.0
BUCKET = "bench"


@dataclass(frozen=True, kw_only=True)
class RemotePlace:
    """A folder of a server that is far away.

    Parameters
    ----------
    kind : str
        ``"http"`` or ``"gcs"``.
    endpoint : str
        The URL of the proxy in front of the server.
    bucket, path : str
        The bucket (none over HTTP), and the folder in it.
    """

    kind: str
    endpoint: str
    bucket: str
    path: str = ""

    def at(self, path: str) -> RemotePlace:
        return RemotePlace(kind=self.kind, endpoint=self.endpoint, bucket=self.bucket, path=path)

    @property
    def url(self) -> str:
        """The URL by which fsspec knows it."""
        return f"{self.endpoint}/{self.path}" if self.kind == "http" else f"gs://{self.bucket}/{self.path}"

    @property
    def storage_options(self) -> dict[str, Any]:
        if self.kind == "http":
            return {}
        return {"token": "anon", "project": "p", "endpoint_url": self.endpoint, "use_listings_cache": False}

    def get_url(self, name: str) -> str:
        """The URL of an object's bytes."""
        if self.kind == "http":
            return f"{self.endpoint}/{self.path}/{name}"
        quoted = urllib.parse.quote(f"{self.path}/{name}", safe="")
        return f"{self.endpoint}/storage/v1/b/{self.bucket}/o/{quoted}?alt=media"

    def put_url(self, name: str) -> str:
        """The URL that an object's bytes are posted to, of the Google server."""
        quoted = urllib.parse.quote(f"{self.path}/{name}", safe="")
        return f"{self.endpoint}/upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={quoted}"


def new_bucket(place: RemotePlace, name: str) -> RemotePlace:
    """A bucket of its own: the server looks through all objects of a bucket for each that is written."""
    body = json.dumps({"name": name}).encode()
    headers = {"Content-Type": "application/json"}
    url = f"{place.endpoint}/storage/v1/b?project=p"
    urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()
    return RemotePlace(kind=place.kind, endpoint=place.endpoint, bucket=name)


def empty_bucket(place: RemotePlace) -> None:
    """Delete all objects of a bucket, which are in the server's memory."""
    url = f"{place.endpoint}/storage/v1/b/{place.bucket}/o"
    with urllib.request.urlopen(f"{url}?fields=items(name)") as answer:
        names = [item["name"] for item in json.load(answer).get("items", [])]

    def delete(name: str) -> None:
        request = urllib.request.Request(f"{url}/{urllib.parse.quote(name, safe='')}", method="DELETE")
        urllib.request.urlopen(request).close()

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(delete, names))


def remote_place(directory: Path, kind: str) -> RemotePlace:
    """What the parent has started."""
    path = directory / "servers.json"
    if not path.exists():
        raise Cannot("the servers do not run")
    return RemotePlace(**json.loads(path.read_text())[kind])


class Servers:
    """Started when a remote workload is, and ended with the run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._running: list[Any] = []
        self._direct: dict[str, RemotePlace] = {}
        self._stored: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Start them, unless they run; `Cannot` where they do not start."""
        if self._running:
            return
        try:
            from tests.servers.child import ControlledChild, ServerError, module_command
            from tests.servers.servers import GcsServer
        except ImportError as error:
            raise Cannot(f"the tests' servers are not here: {error}") from error
        logs = self.directory / "logs"
        sources = str(self.directory / "sources")
        try:
            http = ControlledChild(
                "http", module_command("tests.servers.http", "--root", sources), logs / "http.log"
            )
            self._running.append(http)
            gcs = GcsServer(logs)
            self._running.append(gcs)
            gcs.make_bucket(BUCKET)
            far = {}
            for kind, url in (("http", http.url), ("gcs", gcs.url)):
                command = module_command("tests.servers.latency", "--to", url)
                command += ["--round-trip-ms", str(ROUND_TRIP_MS)]
                proxy = ControlledChild(f"latency-{kind}", command, logs / f"latency-{kind}.log")
                self._running.append(proxy)
                bucket = BUCKET if kind == "gcs" else ""
                self._direct[kind] = RemotePlace(kind=kind, endpoint=url, bucket=bucket)
                far[kind] = asdict(RemotePlace(kind=kind, endpoint=proxy.url, bucket=bucket))
        except ServerError as error:
            raise Cannot(f"a server does not start: {error}") from error
        (self.directory / "servers.json").write_text(json.dumps(far))

    def store(self, kind: str, source: Path) -> None:
        """See to it that the server has the files of a source."""
        if kind == "http" or (kind, source.name) in self._stored:
            return
        place = self._direct[kind].at(source.name)
        for file in source.rglob("*"):
            if file.is_file():
                url = place.put_url(file.relative_to(source).as_posix())
                headers = {"Content-Type": "application/octet-stream"}
                urllib.request.urlopen(urllib.request.Request(url, file.read_bytes(), headers)).close()
        self._stored.add((kind, source.name))

    def stop(self) -> None:
        for running in reversed(self._running):
            running.stop()
        self._running.clear()
        self._stored.clear()
