"""``zarrc copy``: an array to another place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import click

import zarrc
from zarrc.cli.sizes import human_nbytes
from zarrc.interop.extras import require

__all__ = ["copy_command"]


@click.command("copy", short_help="Copy an array to another place.")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option(
    "--format", "zarr_format", type=click.Choice(["2", "3"]), help="Zarr format of DST.  [default: SRC's]"
)
@click.option("--overwrite", is_flag=True, help="Replace the array or group that is at DST.")
@click.option("--verify", is_flag=True, help="Decode each chunk, to find a damaged one.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
def copy_command(
    source: str,
    destination: str,
    zarr_format: Literal["2", "3"] | None,
    overwrite: bool,
    verify: bool,
    quiet: bool,
) -> None:
    """Copy the array SRC, with its attributes, to a new array DST. Chunks pass through as they are stored.

    \b
    zarrc copy air.zarr/temperature backup.zarr
    zarrc copy air.zarr/temperature s3://bucket/temperature.zarr --overwrite
    """  # noqa: D301 - click's mark for lines that stay as they are
    began = time.perf_counter()
    with _bar(quiet) as progress:
        copied = zarrc.copy_array(
            source,
            destination,
            zarr_format=None if zarr_format is None else (3 if zarr_format == "3" else 2),
            overwrite=overwrite,
            verify=verify,
            progress=progress,
        )
    if not quiet:
        sizes = f"{human_nbytes(copied.nbytes)}, stored as {human_nbytes(copied.nbytes_stored())}"
        click.echo(f"{destination}: {sizes}, in {time.perf_counter() - began:.1f} s")


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error; none where that is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    progress = require("rich.progress", extra="cli", purpose="the progress bar")
    console = require("rich.console", extra="cli", purpose="the progress bar").Console(stderr=True)
    columns = (progress.BarColumn(), progress.TaskProgressColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda n_done, n_chunks: bar.update(task, completed=n_done, total=n_chunks)
