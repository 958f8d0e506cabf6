"""``zarrc copy``: an array to another place."""

from __future__ import annotations

import time
from typing import Literal

import click

import zarrc
from zarrc.cli.progress import progress_bar
from zarrc.cli.sizes import human_nbytes

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
    with progress_bar(quiet) as progress:
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
