"""Fixtures and settings that all tests share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.peers.client import Peers, peers_python
from tests.servers.fixtures import *  # noqa: F403
from tests.soak import soaking

# Where the repository is; tests run on a copy of themselves when the installed package is tested.
SOURCE_ROOT = Path(os.environ.get("ZARRC_SOURCE") or Path(__file__).resolve().parent.parent)


def package_folder() -> Path:
    """The folder of the zarrc that tests import."""
    spec = importlib.util.find_spec("zarrc")
    if spec is None or spec.origin is None:
        raise pytest.UsageError("zarrc is not installed: make test installs it")
    return Path(spec.origin).resolve().parent


# No deadline, since another process may have the processor; no database, since runs are to be alike.
hypothesis.settings.register_profile(
    "zarrc",
    deadline=None,
    database=None,
    max_examples=100 if soaking() else 30,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("zarrc")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse the source tree where an installed package is meant, and plain modules in a sanitized run."""
    package = package_folder()
    if os.environ.get("ZARRC_EXPECT_INSTALLED") == "1" and package == SOURCE_ROOT / "zarrc":
        raise pytest.UsageError(f"zarrc is imported from the source tree, {package}")
    if os.environ.get("ZARRC_SANITIZE") == "1" and not all(map(_is_sanitized, package.rglob("*.so"))):
        raise pytest.UsageError(f"not every module of {package} was built with ZARRC_SANITIZE=1")


def _is_sanitized(path: Path) -> bool:
    return b"__asan_init" in path.read_bytes()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is tested."""
    return [f"zarrc: {package_folder()} (Python {sys.version.split()[0]})"]


@pytest.fixture(scope="session")
def source_root() -> Path:
    """The repository."""
    return SOURCE_ROOT


@pytest.fixture(scope="session")
def child_environment() -> dict[str, str]:
    """The environment of a Python program that shall import what this one imports."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="session")
def peers(pytestconfig: pytest.Config) -> Iterator[Peers]:
    """The other Zarr libraries; without their environment an error where they are required, else a skip."""
    python = peers_python(SOURCE_ROOT)
    if python is None:
        required = os.environ.get("CI") or os.environ.get("ZARRC_REQUIRE_PEERS") == "1"
        (pytest.fail if required else pytest.skip)("no peers: make peers")
    with Peers(python) as running:
        capture = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print("\npeers: " + ", ".join(f"{name} {version}" for name, version in running.versions.items()))
        yield running
