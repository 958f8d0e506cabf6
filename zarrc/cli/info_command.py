"""``zarrc info``: what an array or a group is."""

from __future__ import annotations

import json

import click

import zarrc

__all__ = ["info_command"]


@click.command("info", short_help="Show what an array or a group is.")
@click.argument("path", metavar="PATH")
def info_command(path: str) -> None:
    """Show format, shape, chunks, codecs, sizes and attributes of the array or group at PATH."""
    node = zarrc.open(path, mode="r")
    click.echo(str(node.info_complete()))
    attributes = node.attrs.asdict()
    if attributes:
        click.echo("Attributes")
    for name, value in attributes.items():
        click.echo(f"    {name}: {json.dumps(value, ensure_ascii=False)}")
