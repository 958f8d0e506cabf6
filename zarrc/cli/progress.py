"""The progress bar of commands that copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zarrc.interop.extras import require

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error; none where that is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    progress = require("rich.progress", extra="cli", purpose="the progress bar")
    console = require("rich.console", extra="cli", purpose="the progress bar").Console(stderr=True)
    columns = (progress.BarColumn(), progress.TaskProgressColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda n_done, n_all: bar.update(task, completed=n_done, total=n_all)
