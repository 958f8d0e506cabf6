"""Running the command, in this process and in one of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from click.testing import CliRunner, Result


def invoke(*arguments: object) -> Result:
    """Run the command in this process."""
    from zarrc.cli.app import zarrc_command

    return CliRunner().invoke(zarrc_command, [str(argument) for argument in arguments])


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    words = [sys.executable, "-m", "zarrc.cli", *(str(argument) for argument in arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def only_line(text: str) -> str:
    """The one line that `text` is."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]
