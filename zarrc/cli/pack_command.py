"""``zarrc pack`` and ``zarrc unpack``: a hierarchy into a zip archive, and out of it."""

from __future__ import annotations

import time
from typing import Literal

import click

from zarrc.cli.progress import progress_bar
from zarrc.cli.sizes import human_nbytes
from zarrc.tools.hierarchies import Copied
from zarrc.tools.packing import pack, unpack

__all__ = ["pack_command", "unpack_command"]


@click.command("pack", short_help="Pack an array or a group into a zip archive.")
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST.zip")
@click.option("--overwrite", is_flag=True, help="Replace the archive that is at DST.")
@click.option("--deflate", is_flag=True, help="Compress members once more, by deflate.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
def pack_command(source: str, destination: str, overwrite: bool, deflate: bool, quiet: bool) -> None:
    """Pack what is at SRC into a new zip archive DST. Chunks pass through as they are stored.

    \b
    zarrc pack air.zarr air.zip
    zarrc pack s3://bucket/air.zarr air.zip --overwrite
    """  # noqa: D301 - click's mark for lines that stay as they are
    began = time.perf_counter()
    compression: Literal["stored", "deflate"] = "deflate" if deflate else "stored"
    with progress_bar(quiet) as progress:
        done = pack(source, destination, overwrite=overwrite, compression=compression, progress=progress)
    _sum_up(destination, done, began, quiet)


@click.command("unpack", short_help="Unpack a zip archive.")
@click.argument("source", metavar="SRC.zip")
@click.argument("destination", metavar="DST")
@click.option("--overwrite", is_flag=True, help="Delete what is at DST.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar and no summary.")
def unpack_command(source: str, destination: str, overwrite: bool, quiet: bool) -> None:
    """Unpack the zip archive SRC, or a place in it, to DST. Chunks pass through as they are stored.

    \b
    zarrc unpack air.zip air.zarr
    zarrc unpack air.zip/temperature temperature.zarr
    """  # noqa: D301 - click's mark for lines that stay as they are
    began = time.perf_counter()
    with progress_bar(quiet) as progress:
        done = unpack(source, destination, overwrite=overwrite, progress=progress)
    _sum_up(destination, done, began, quiet)


def _sum_up(destination: str, done: Copied, began: float, quiet: bool) -> None:
    if not quiet:
        sizes = f"{done.n_copied} objects, {human_nbytes(done.n_bytes_copied)}"
        click.echo(f"{destination}: {sizes}, in {time.perf_counter() - began:.1f} s")
