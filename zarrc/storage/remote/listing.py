"""Listings of file systems that only list directories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import fsspec.asyn
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem

from zarrc.storage.remote.failures import is_absence

__all__ = ["has_plain_find", "nbytes_in", "walk"]


def has_plain_find(fs: Any) -> bool:
    """Whether ``find`` is fsspec's own walk, for which a directory that cannot be listed is an empty one."""
    if isinstance(fs, DirFileSystem):
        return has_plain_find(fs.fs)
    if getattr(fs, "async_impl", False):
        # One that passes calls on to another one has none of its own.
        return getattr(type(fs), "_find", None) is fsspec.asyn.AsyncFileSystem._find
    return bool(type(fs).find is AbstractFileSystem.find)


def nbytes_in(info: Mapping[str, Any]) -> int | None:
    """What an entry of a listing says of an object's size."""
    nbytes = info.get("size")
    return nbytes if isinstance(nbytes, int) and nbytes >= 0 else None


async def walk(
    ls: Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]], path: str
) -> dict[str, int | None]:
    """The paths of all files at or below a directory, with sizes if known; one that is not there is empty.

    Parameters
    ----------
    ls : coroutine function
        Lists a directory.
    path : str
        The directory.
    """
    found: dict[str, int | None] = {}
    pending = [path]
    while pending:
        directory = pending.pop()
        try:
            entries = await ls(directory)
        except Exception as error:
            if not is_absence(error):
                raise
            continue
        for entry in entries:
            name = entry["name"].rstrip("/")
            if entry["type"] != "directory":
                found[entry["name"]] = nbytes_in(entry)
            elif name != directory.rstrip("/"):  # some list the directory itself too
                pending.append(name)
    return found
