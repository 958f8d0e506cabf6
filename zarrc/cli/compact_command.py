"""``zarrc compact``: shards without what appending has left in them."""

from __future__ import annotations

import click

import zarrc
from zarrc.cli.sizes import human_nbytes

__all__ = ["compact_command"]


@click.command("compact", short_help="Write shards anew that hold garbage.")
@click.argument("path", metavar="PATH")
@click.option(
    "--ratio",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of garbage past which a shard is written anew.",
)
@click.option(
    "--locking",
    type=click.Choice(["thread", "file"]),
    default="file",
    show_default=True,
    help="Whether writers of other processes, which lock files too, are kept out.",
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def compact_command(path: str, ratio: float, locking: str, quiet: bool) -> None:
    """Write those shards of the array at PATH anew that hold bytes nobody needs, as appending leaves them."""
    array = zarrc.open_array(path, mode="r+")
    if array.store.local_root is not None:
        array = array.with_config({"locking": locking})
    done = array.compact(ratio)
    if array.shards is None:
        if not quiet:
            click.echo(f"{path}: an array without shards, there is nothing to do")
    elif not quiet:
        sizes = f"{human_nbytes(done.nbytes_before)} -> {human_nbytes(done.nbytes_after)}"
        click.echo(f"{path}: {done.n_written} of {done.n_shards} shards written anew, {sizes}")
