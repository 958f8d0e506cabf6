"""``zarrc tree``: the hierarchy of a group."""

from __future__ import annotations

import click

import zarrc

__all__ = ["tree_command"]


@click.command("tree", short_help="Show the hierarchy of a group.")
@click.argument("path", metavar="PATH")
def tree_command(path: str) -> None:
    """Show the groups and arrays below the group at PATH."""
    click.echo(str(zarrc.open_group(path, mode="r").tree()))
