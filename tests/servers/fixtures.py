"""Fixtures for tests that need a server; ``tests/conftest.py`` takes them over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.places import Place
from tests.servers.servers import HttpServer, Proxy, RemoteServer, Servers

__all__ = [
    "azure_server",
    "far_server",
    "gcs_server",
    "http_server",
    "pytest_runtest_makereport",
    "recorded",
    "remote_place",
    "s3_server",
    "servers",
]

KINDS_THAT_WRITE = ("s3", "gcs", "azure")


class LazyServers(Servers):
    """`Servers`; what cannot be started skips the test, or fails it where servers are required."""

    def server(self, kind: str) -> RemoteServer:
        try:
            return super().server(kind)
        except Exception as error:
            if os.environ.get("CI") or os.environ.get("ZARRC_REQUIRE_SERVERS") == "1":
                pytest.fail(f"no {kind} server: {error}")
            pytest.skip(f"no {kind} server: {error}")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Servers]:
    """All servers and proxies of the session, started when they are asked for."""
    running = LazyServers(tmp_path_factory.mktemp("servers"))
    request.config.stash[_running] = running
    yield running
    running.close()


_running = pytest.StashKey[Servers]()


@pytest.fixture(scope="session")
def s3_server(servers: Servers) -> RemoteServer:
    """A server of S3."""
    return servers.server("s3")


@pytest.fixture(scope="session")
def gcs_server(servers: Servers) -> RemoteServer:
    """A server of Google's storage."""
    return servers.server("gcs")


@pytest.fixture(scope="session")
def azure_server(servers: Servers) -> RemoteServer:
    """A server of Azure's blobs."""
    return servers.server("azure")


@pytest.fixture
def http_server(servers: Servers) -> Iterator[HttpServer]:
    """A web server of files, which has recorded nothing and tells no lies."""
    server = servers.server("http")
    assert isinstance(server, HttpServer)
    server.ask("behave")
    server.ask("clear")
    server.ask("links", shown=True)
    yield server
    server.ask("behave")


@pytest.fixture(params=KINDS_THAT_WRITE)
def remote_place(request: pytest.FixtureRequest, servers: Servers) -> Place:
    """A new folder on each server that can be written to, one after the other."""
    return servers.server(request.param).place()


@pytest.fixture(params=KINDS_THAT_WRITE)
def recorded(request: pytest.FixtureRequest, servers: Servers) -> Proxy:
    """A proxy that records, in front of each server that can be written to, one after the other."""
    servers.server(request.param)
    return servers.relay(request.param)


@pytest.fixture(params=("gcs", "http"))
def far_server(request: pytest.FixtureRequest, servers: Servers) -> Proxy:
    """A proxy 30 ms away, in front of the fast servers, one after the other."""
    servers.server(request.param)
    return servers.far(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """Show the servers' logs with a test that failed and uses them."""
    report = yield
    running = item.config.stash.get(_running, None)
    if report.failed and running is not None and "servers" in getattr(item, "fixturenames", ()):
        report.sections += [(f"Log of the {name} server", tail) for name, tail in running.logs()]
    return report
