"""``zarrc import``: a netCDF or HDF5 file becomes a Zarr group."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import click

import zarrc
from zarrc.cli.options import Chunks, CodecChain
from zarrc.cli.sizes import human_nbytes
from zarrc.interop.extras import require
from zarrc.interop.netcdf import ImportProgress, LeftOutWarning, Progress, import_file

__all__ = ["import_command"]


@click.command("import", short_help="Import a netCDF or HDF5 file.")
@click.argument("file", metavar="FILE")
@click.argument("out", metavar="OUT")
@click.option(
    "--chunks", type=Chunks(), default="auto", help="Chunk lengths; auto keeps the file's where sensible."
)
@click.option(
    "--codec", "codecs", type=CodecChain(), default=None, help="How chunks are compressed.  [default: zstd]"
)
@click.option(
    "--format", "zarr_format", type=click.Choice(["2", "3"]), default="3", help="Zarr format to write."
)
@click.option("--overwrite", is_flag=True, help="Replace the Zarr array or group that is at OUT.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
def import_command(
    file: str,
    out: str,
    chunks: dict[str, int] | Literal["auto"],
    codecs: list[dict[str, Any]] | None,
    zarr_format: Literal["2", "3"],
    overwrite: bool,
    quiet: bool,
) -> None:
    """Import every numeric variable of FILE (netCDF-4, HDF5 or classic netCDF) as arrays of a new group OUT.

    \b
    zarrc import air.nc air.zarr
    zarrc import air.nc air.zarr --chunks time=12,lat=50 --codec zstd:3
    """  # noqa: D301 - click's mark for lines that stay as they are
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught, _bar(quiet) as progress:
        warnings.simplefilter("always", LeftOutWarning)
        group = import_file(
            file,
            out,
            chunks=chunks,
            codecs=codecs,
            zarr_format=3 if zarr_format == "3" else 2,
            overwrite=overwrite,
            progress=progress,
        )
    group.store.flush()
    for warning in caught:
        click.echo(f"zarrc: warning: {warning.message}", err=True)
    if not quiet:
        click.echo(f"{_summary(group, out)} in {time.perf_counter() - began:.1f} s")


def _summary(group: zarrc.Group, out: str) -> str:
    arrays = [node for _, node in group.members(max_depth=None) if isinstance(node, zarrc.Array)]
    nbytes = sum(array.nbytes for array in arrays)
    stored = sum(array.nbytes_stored() for array in arrays)
    return f"{out}: {len(arrays)} arrays, {human_nbytes(nbytes)}, stored as {human_nbytes(stored)},"


@contextmanager
def _bar(quiet: bool) -> Iterator[Progress | None]:
    """A progress bar on standard error; none where that is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    progress = require("rich.progress", extra="cli", purpose="the progress bar")
    console = require("rich.console", extra="cli", purpose="the progress bar").Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        yield _mover(bar)


def _mover(bar: Any) -> Callable[[ImportProgress], None]:
    task = bar.add_task("", total=None)

    def move(state: ImportProgress) -> None:
        bar.update(task, description=state.array, completed=state.done_nbytes, total=state.total_nbytes)

    return move
