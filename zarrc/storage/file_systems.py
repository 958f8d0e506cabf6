"""What differs between fsspec file systems: synchronous or not, how alike, what they know."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import fsspec.asyn
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem

from zarrc.storage.fsspec_errors import is_absence

__all__ = [
    "Call",
    "find",
    "fingerprint",
    "is_async",
    "knows_create",
    "remade",
    "settle",
    "synchronous",
    "takes_urls",
]

Call: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
"""Positional and named arguments."""

# Requests in flight at once in one call of a store: more gives little against a server some milliseconds
# away.
_N_IN_FLIGHT = 64


def is_async(fs: Any) -> bool:
    """Whether ``_cat_file`` and so on can be awaited, here and in a file system that it stands on."""
    inner = getattr(fs, "fs", None)
    return bool(getattr(fs, "async_impl", False)) and (inner is None or is_async(inner))


def synchronous(fs: Any) -> Any:
    """The file system, made anew where it is one for use inside an event loop only."""
    if not getattr(fs, "asynchronous", False):
        return fs
    return type(fs)(*fs.storage_args, **{**fs.storage_options, "asynchronous": False})


def remade(fs: Any) -> Any:
    """The same file system for a forked child."""
    # Pickling makes it from its arguments, and so those of them that are file systems themselves.
    return pickle.loads(pickle.dumps(fs))


def knows_create(fs: Any) -> bool:
    """Whether writing takes ``mode="create"``, which older fsspec and some file systems do not."""
    method = fs._pipe_file if is_async(fs) else fs.pipe_file
    return "mode" in inspect.signature(method).parameters


def takes_urls(fs: Any) -> bool:
    """Whether the paths are those of URLs, in which ``#``, ``?`` and ``%`` are no letters."""
    if isinstance(fs, (DirFileSystem, CachingFileSystem)):
        return takes_urls(fs.fs)
    return "http" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def find(fs: Any, path: str) -> dict[str, int | None]:
    """The paths of all files at or below a directory, with sizes if known; one that is not there is empty."""
    if _walks(fs):
        return _walk(fs, path)
    return {found: _size(info) for found, info in fs.find(path, detail=True).items()}


def _size(info: Mapping[str, Any]) -> int | None:
    """What an entry of a listing says of an object's size."""
    nbytes = info.get("size")
    return nbytes if isinstance(nbytes, int) and nbytes >= 0 else None


def _walks(fs: Any) -> bool:
    """Whether ``find`` is fsspec's own walk, for which a directory that cannot be listed is an empty one."""
    if isinstance(fs, DirFileSystem):
        return _walks(fs.fs)
    if is_async(fs):
        return type(fs)._find is fsspec.asyn.AsyncFileSystem._find
    return type(fs).find is AbstractFileSystem.find


def _walk(fs: Any, path: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    pending = [path]
    while pending:
        directory = pending.pop()
        try:
            entries = fs.ls(directory, detail=True)
        except Exception as error:
            if not is_absence(error):
                raise
            continue
        for entry in entries:
            name = entry["name"].rstrip("/")
            if entry["type"] != "directory":
                found[entry["name"]] = _size(entry)
            elif name != directory.rstrip("/"):  # some list the directory itself too
                pending.append(name)
    return found


def fingerprint(fs: Any) -> str:
    """A text that is equal for file systems that were made alike; fsspec's own also depends on the thread."""
    if getattr(fs, "global_store", True):  # a memory file system with a store of its own is like no other
        try:
            return hashlib.sha256(fs.to_json().encode()).hexdigest()
        except Exception:  # it may be made with any objects, which need not go into JSON
            pass
    return str(id(fs))


def settle(fs: Any, method: Callable[..., Any], calls: list[Call]) -> list[Any]:
    """Await a method of an asynchronous file system for many arguments; results and exceptions in order."""
    return list(fsspec.asyn.sync(fs.loop, _settle, method, calls))


async def _settle(method: Callable[..., Any], calls: list[Call]) -> list[Any]:
    free = asyncio.Semaphore(_N_IN_FLIGHT)

    async def one(positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        async with free:
            return await method(*positional, **named)

    return await asyncio.gather(*(one(*call) for call in calls), return_exceptions=True)
