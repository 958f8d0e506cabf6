"""Programs of the tests that need a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import zarrc

TIMEOUT_S = 240


def environment() -> dict[str, str]:
    """A child finds zarrc and the tests where this process found them."""
    assert zarrc.__file__ is not None
    here = Path(__file__).resolve()
    folders = (Path(zarrc.__file__).resolve().parents[1], here.parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONSAFEPATH": "1"}


def start_module(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a module of the tests as a program."""
    command: Sequence[str] = (sys.executable, "-m", module, *arguments)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def run_module(module: str, *arguments: str) -> str:
    """Run a module of the tests as a program; what it printed. A failure shows its traceback."""
    with start_module(module, *arguments) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{module} hung\n{out}\n{err}") from None
    assert process.returncode == 0, f"{module} ended with {process.returncode}\n{out}\n{err}"
    return out
