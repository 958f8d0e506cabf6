"""Copy all objects of a store as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from zarrc.creation.places import Place, flush_named
from zarrc.engine.node_names import join
from zarrc.engine.nodes import place
from zarrc.errors import ContainsNodeError, StoreError
from zarrc.tools.hierarchies import Copied
from zarrc.tools.raw_objects import in_order, pass_on

__all__ = ["copy_store"]

_CHOICES = ("raise", "replace", "skip")


def copy_store(
    source: Any,
    dest: Any,
    source_path: str = "",
    dest_path: str = "",
    *,
    excludes: str | Iterable[str] | None = None,
    includes: str | Iterable[str] | None = None,
    flags: int = 0,
    if_exists: Literal["raise", "replace", "skip"] = "raise",
    dry_run: bool = False,
    log: Callable[[str], object] | None = None,
) -> Copied:
    """Copy the objects of a store into another one, whatever they are; nothing is decoded.

    Parameters
    ----------
    source, dest : store-like
        Stores, paths or URLs.
    source_path, dest_path : str
        Copy only what is below this path, to below that one.
    excludes, includes : str or iterable of str, optional
        Regular expressions: keys in which one of ``excludes`` is found are left out, unless one of
        ``includes`` is found in them too.
    flags : int, default 0
        Of `re`, for these.
    if_exists : {"raise", "replace", "skip"}, default "raise"
        What to do where an object is there already: an error, before anything is copied; replace it; nothing.
    dry_run : bool, default False
        Change nothing; tell what would be done.
    log : callable, optional
        Called with a line of text for each object.

    Returns
    -------
    Copied
        Numbers of objects that were copied and passed over, and the bytes copied.

    Raises
    ------
    ContainsNodeError
        If an object is there already.
    StoreError
        If a store fails: the text says so if metadata that make a node are copied, or not yet.

    Notes
    -----
    Chunks go first, then metadata, those of groups after what is in them: what is at the destination after an
    interruption is not yet the hierarchy, or is whole.

    Examples
    --------
    >>> import zarrc
    >>> a = zarrc.array([1, 2, 3], chunks=2)
    >>> zarrc.copy_store(a.store, {})
    Copied(n_copied=3, n_skipped=0, n_bytes_copied=...)
    """
    if if_exists not in _CHOICES:
        raise ValueError(f"if_exists must be one of {', '.join(map(repr, _CHOICES))}, got {if_exists!r}")
    old = Place(source, source_path or None, "r")
    new = Place(dest, dest_path or None, "r" if dry_run else "a")
    if old.store.identity_of(old.path) == new.store.identity_of(new.path):
        raise ValueError(f"{new} is the source itself")
    keys = [key for key in _keys(old) if _is_wanted(key, excludes, includes, flags)]
    pairs, skipped = [], 0
    for key in keys:
        target = join(new.path, key) if new.path else key
        if if_exists != "replace" and new.store.stat(target) is not None:
            if if_exists == "raise":
                raise ContainsNodeError(f"{place(new.store, target)} is there already", key=target)
            _say(log, f"skip {target}: it is there")
            skipped += 1
            continue
        _say(log, f"copy {key} to {target}")
        pairs.append((join(old.path, key) if old.path else key, target))
    if dry_run:
        return Copied(len(pairs), skipped, 0)
    try:
        n_objects, n_bytes = pass_on(old.store, new.store, pairs)
        flush_named(dest, new.store)
    except StoreError as error:
        error.message = f"not everything was copied to {new}: {error.message}"
        raise
    return Copied(n_objects, skipped, n_bytes)


def _keys(old: Place) -> list[str]:
    start = f"{old.path}/" if old.path else ""
    return in_order(key[len(start) :] for key in old.store.list_prefix(old.path))


def _is_wanted(
    key: str, excludes: str | Iterable[str] | None, includes: str | Iterable[str] | None, flags: int
) -> bool:
    if not any(re.search(pattern, key, flags) for pattern in _patterns(excludes)):
        return True
    return any(re.search(pattern, key, flags) for pattern in _patterns(includes))


def _patterns(given: str | Iterable[str] | None) -> Iterable[str]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _say(log: Callable[[str], object] | None, text: str) -> None:
    if log is not None:
        log(text)
