"""Warnings that point at the user's line, however deep in the package they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from zarrc.errors import ZarrcWarning

__all__ = ["warn"]

_PACKAGE = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Issue a `ZarrcWarning` at the first line outside this package."""
    # warnings.warn itself can skip a package's files from Python 3.12 on (skip_file_prefixes).
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
        level += 1
    warnings.warn(message, ZarrcWarning, stacklevel=level)
