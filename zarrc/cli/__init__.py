"""The ``zarrc`` command: a thin skin over `zarrc` and its tools."""

from __future__ import annotations

import sys
from importlib import import_module

from zarrc.errors import MissingExtraError
from zarrc.interop.extras import require

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process, and exit."""
    try:
        require("click", extra="cli", purpose="the zarrc command")
    except MissingExtraError as error:
        sys.exit(f"zarrc: error: {error}")
    import_module("zarrc.cli.app").zarrc_command(prog_name="zarrc")
