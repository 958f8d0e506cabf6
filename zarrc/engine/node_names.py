"""Paths of nodes inside a store, and which names a new node may have."""

from __future__ import annotations

import os

from zarrc.errors import MetadataError

__all__ = ["ancestors", "check_new_path", "join", "normalize_path", "split"]

_DOCUMENT_NAMES = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})


def normalize_path(path: object) -> str:
    """Return a node's path without empty parts: ``"/a//b/"`` becomes ``"a/b"``; the root is ``""``.

    A backslash is a separator too, and a `pathlib` path is as good as a string.

    Raises
    ------
    TypeError
        If the path is neither a string nor a path object that gives one.
    ValueError
        If a part of it is ``"."`` or ``".."``.
    """
    if path == "":
        return ""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str):
        raise TypeError(f"the path of a node is a string, got {path!r} of type {type(path).__name__}")
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    for part in parts:
        if part in (".", ".."):
            raise ValueError(f"the path {path!r} has a part {part!r}; paths start at the root of the store")
    return "/".join(parts)


def check_new_path(path: str) -> None:
    """Refuse names that a new node must not have (Zarr v3 core specification, "Node names").

    Raises
    ------
    MetadataError
        Naming the part of the path, and the rule that it breaks.
    """
    for name in path.split("/") if path else ():
        if (problem := _problem(name)) is not None:
            raise MetadataError(f"a node cannot have the name {name!r}: {problem}", key=path)


def _problem(name: str) -> str | None:
    """Return the rule that a name breaks, or None."""
    if not name.strip("."):
        return "names must not be empty or consist of dots only"
    if name.startswith("__"):
        return "names that start with '__' are reserved by the Zarr specification"
    if name in _DOCUMENT_NAMES:
        return "metadata documents have this name"
    if name.startswith(".zc"):
        return "names that start with '.zc' are reserved for temporary files"
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        return "control characters and lone surrogates have no place in a key"
    return None


def join(path: str, name: str) -> str:
    """Return the path of ``name`` below the node at ``path``."""
    return f"{path}/{name}" if path else name


def split(path: str) -> tuple[str, str]:
    """Return the path of the parent and the last name."""
    parent, _, name = path.rpartition("/")
    return parent, name


def ancestors(path: str) -> list[str]:
    """Return the paths of all parents, from the root (``""``) down; the root has none."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:i]) for i in range(len(parts))]
