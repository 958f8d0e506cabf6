"""Stores of zarr-python and icechunk as stores: the suite runs where they are, among the peers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers.client import peers_python


def test_the_suite_holds_on_stores_of_zarr_python_and_icechunk(source_root: Path, tmp_path: Path) -> None:
    python = peers_python(source_root)
    if python is None:
        required = os.environ.get("CI") or os.environ.get("ZARRC_REQUIRE_PEERS") == "1"
        (pytest.fail if required else pytest.skip)("no peers: make peers")
    program = Path(__file__).parent / "peers" / "adapters.py"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if os.environ.get("ZARRC_EXPECT_INSTALLED") != "1":
        environment["PYTHONPATH"] = str(source_root)
    # Without the settings and the conftest of this run, which needs what the peers have not.
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    print(done.stdout.splitlines()[-1])
