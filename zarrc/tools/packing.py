"""A hierarchy packed into a zip archive, and unpacked from one; its objects are passed on as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, Final, Literal

from zarrc.creation.places import find_store
from zarrc.engine.node_names import join
from zarrc.errors import ContainsNodeError, StoreError
from zarrc.storage.base import Store
from zarrc.storage.keys import RESERVED
from zarrc.storage.local import LocalStore
from zarrc.storage.zip import ZipStore
from zarrc.tools.hierarchies import Copied
from zarrc.tools.raw_objects import in_order, pass_on

__all__ = ["pack", "unpack"]

# Objects between two calls of ``progress``; fewer where a request takes long would cost time.
_STEP: Final = 512


def pack(
    source: Any,
    dest: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compression: Literal["stored", "deflate"] = "stored",
    progress: Callable[[int, int], object] | None = None,
) -> Copied:
    """Pack what is below a place into a new zip archive; chunks are not decoded.

    Parameters
    ----------
    source : store-like
        Store, path or URL; of an array, a group, or anything else.
    dest : str or os.PathLike
        Path or URL of the archive. It is there when it is whole.
    overwrite : bool, default False
        Whether to replace an archive that is there.
    compression : {"stored", "deflate"}, default "stored"
        As for `ZipStore`.
    progress : callable, optional
        Called with the number of objects that are packed, and of all.

    Returns
    -------
    Copied
        Numbers of objects and bytes.

    Raises
    ------
    ContainsNodeError
        If there is something at ``dest`` already.
    StoreError
        If there is nothing to pack, or a store fails; ``dest`` is as before.
    """
    old, path = _source(source)
    archive = ZipStore(dest, compression=compression)
    if archive.identity == old.identity:
        raise ValueError(f"{dest} is the source itself")
    if old.local_root is not None and archive.path.startswith(os.path.realpath(old.local_root) + "/"):
        raise ValueError(f"{dest} is within the source, and would be packed into itself")
    names = _names(old, path)
    if os.path.isdir(archive.path) or (not overwrite and _is_there(archive)):
        raise ContainsNodeError(f"{dest} is there already{'' if overwrite else '; overwrite replaces it'}")
    archive = ZipStore(dest, mode="w", compression=compression)
    try:
        done = _pass(old, path, archive, "", names, progress)
        archive.close()
    except BaseException:
        archive.discard()
        raise
    return done


def unpack(
    source: Any,
    dest: Any,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Copied:
    """Unpack a zip archive; chunks are not decoded.

    Parameters
    ----------
    source : str, os.PathLike or ZipStore
        The archive, or a place in it (``"x.zip/a"``).
    dest : store-like
        Where its objects go. A directory is there when it is whole; elsewhere, metadata come last.
    overwrite : bool, default False
        Whether to delete what is there.
    progress : callable, optional
        Called with the number of objects that are unpacked, and of all.

    Returns
    -------
    Copied
        Numbers of objects and bytes.

    Raises
    ------
    ContainsNodeError
        If there is something at ``dest`` already.
    StoreError
        If ``source`` is no archive or a damaged one, or a store fails.
    """
    old: Store
    if isinstance(source, (str, os.PathLike)) and os.path.isfile(source):
        old, path = ZipStore(source, read_only=True), ""
    else:
        old, path = _source(source)
    if not isinstance(old, ZipStore):
        raise StoreError(f"{old} is no zip archive")
    names = _names(old, path)
    new, below = find_store(dest, None, "a", None)
    there = next(new.list_prefix(below), None) is not None
    if there and not overwrite:
        raise ContainsNodeError(f"{dest} is there already; overwrite replaces it")
    if isinstance(new, LocalStore) and not below:
        return _unpack_directory(old, path, new.root, names, progress)
    if there:
        new.delete_prefix(below)
    done = _pass(old, path, new, below, names, progress)
    if isinstance(new, ZipStore):
        new.flush()
    return done


def _source(source: Any) -> tuple[Store, str]:
    return find_store(source, None, "r", None)


def _names(store: Store, path: str) -> list[str]:
    """The keys below a path, without it: chunks first."""
    start = f"{path}/" if path else ""
    names = in_order(key[len(start) :] for key in store.list_prefix(path))
    if not names:
        hint = store.missing_hint()
        where = join(str(store), path) if path else str(store)
        raise StoreError(f"there is nothing at {where}" + (f"; {hint}" if hint else ""))
    return names


def _is_there(archive: ZipStore) -> bool:
    hint = archive.missing_hint()
    return hint is None or not hint.startswith("there is no zip archive")


def _pass(
    old: Store,
    path: str,
    new: Store,
    below: str,
    names: list[str],
    progress: Callable[[int, int], object] | None,
) -> Copied:
    n_objects = n_bytes = 0
    for first in range(0, len(names), _STEP):
        step = names[first : first + _STEP]
        pairs = [(join(path, n) if path else n, join(below, n) if below else n) for n in step]
        n, nbytes = pass_on(old, new, pairs)
        n_objects, n_bytes = n_objects + n, n_bytes + nbytes
        if progress is not None:
            progress(first + len(step), len(names))
    return Copied(n_objects, 0, n_bytes)


def _unpack_directory(
    old: ZipStore, path: str, root: str, names: list[str], progress: Callable[[int, int], object] | None
) -> Copied:
    """Into a directory beside the one that is wanted, which then takes its place."""
    parent, name = os.path.split(root)
    os.makedirs(parent, exist_ok=True)
    beside = os.path.join(parent, f"{RESERVED}-unpacked-{os.getpid()}-{name}")
    before = os.path.join(parent, f"{RESERVED}-before-{os.getpid()}-{name}")
    try:
        done = _pass(old, path, LocalStore(beside), "", names, progress)
        if os.path.isdir(root):
            os.rename(root, before)
        try:
            os.rename(beside, root)
        except BaseException:
            if os.path.isdir(before):
                os.rename(before, root)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(before, ignore_errors=True)
    return done
