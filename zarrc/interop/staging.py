"""A place to build a hierarchy where nobody takes it for a finished one.

A local destination is built in a directory beside it, under a name that zarrc's listings hide, and renamed
when it is whole. Another store has no rename: there the root's metadata is written last, so that the store
does not open before, and after a failure everything that was written is deleted.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarrc.errors import ContainsNodeError
from zarrc.interop.withheld import WithheldStore
from zarrc.storage import make_store

__all__ = ["Stage", "stage"]

_ROOT_DOCUMENTS = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where to write: what `zarrc.create_array` takes as `store`, and the path in it (may be empty)."""

    store: Any
    path: str

    def join(self, path: str) -> str:
        """The path in the store of the node `path` of the new hierarchy."""
        return "/".join(part for part in (self.path, path) if part)


@contextmanager
def stage(destination: Any, *, overwrite: bool) -> Iterator[Stage]:
    """Build a hierarchy at `destination`, wholly or not at all.

    Parameters
    ----------
    destination : StoreLike
        Where the hierarchy shall be.
    overwrite : bool
        Replace the Zarr array or group that is there. Anything else that is there is never deleted.

    Yields
    ------
    Stage
        Where to write meanwhile.

    Raises
    ------
    ContainsNodeError
        If an array or a group is there and `overwrite` is false.
    FileExistsError
        If something else is there.
    """
    path = _local_path(destination)
    with _local(path, overwrite) if path is not None else _remote(destination, overwrite) as staged:
        yield staged


def _local_path(destination: Any) -> Path | None:
    """The directory that `destination` means; None if it is not one on a local disk."""
    if isinstance(destination, str) and destination.startswith("file://"):
        destination = destination.removeprefix("file://")
    if isinstance(destination, str):
        return None if "://" in destination else Path(destination)
    return Path(destination) if isinstance(destination, os.PathLike) else None


@contextmanager
def _local(destination: Path, overwrite: bool) -> Iterator[Stage]:
    # A symbolic link is followed, so that what it points at is replaced, not the link.
    final = Path(os.path.realpath(destination))
    _check_free(destination, final, overwrite)
    final.parent.mkdir(parents=True, exist_ok=True)
    staged = final.parent / f".zc-import-{final.name}-{uuid.uuid4().hex[:8]}"
    staged.mkdir()
    try:
        yield Stage(str(staged), "")
        _move(staged, final)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _check_free(named: Path, final: Path, overwrite: bool) -> None:
    if not os.path.lexists(final) or (final.is_dir() and not any(final.iterdir())):
        return
    if not final.is_dir() or not any((final / name).exists() for name in _ROOT_DOCUMENTS):
        raise FileExistsError(f"{named} exists and is not a Zarr array or group; it is left alone")
    if not overwrite:
        raise _exists(named)


def _move(staged: Path, final: Path) -> None:
    """Rename; what was there steps aside first, and steps back if the rename fails."""
    if not final.exists():
        staged.rename(final)
        return
    aside = staged.with_name(f"{staged.name}-old")
    final.rename(aside)
    try:
        staged.rename(final)
    except BaseException:
        aside.rename(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _remote(destination: Any, overwrite: bool) -> Iterator[Stage]:
    store, path = make_store(destination, mode="a")
    prefix = f"{path}/" if path else ""
    documents = [prefix + name for name in _ROOT_DOCUMENTS]
    if next(iter(store.list_prefix(prefix)), None) is not None:
        if not any(store.get(key) is not None for key in documents):
            raise FileExistsError(
                f"{store} holds something that is not a Zarr array or group; it is left alone"
            )
        if not overwrite:
            raise _exists(store)
        store.delete_prefix(prefix)
    withheld = WithheldStore(store, documents)
    try:
        yield Stage(withheld, path)
        withheld.release()
    except BaseException:
        store.delete_prefix(prefix)
        raise


def _exists(place: object) -> ContainsNodeError:
    return ContainsNodeError(f"{place} exists already; overwrite=True (--overwrite) replaces it")
