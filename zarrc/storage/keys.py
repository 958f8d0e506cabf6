"""Keys of a store: which are legal, which belong to a prefix, which are hidden from listings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zarrc.errors import StoreError

__all__ = ["RESERVED", "check_key", "check_prefix", "is_key", "keys_below"]

RESERVED = ".zc"
"""What the names of our own temporary files and journals start with."""

_NO_NAMES = frozenset(("", ".", ".."))


def is_key(text: str) -> bool:
    """Whether ``text`` is a legal key."""
    # No regular expression: it would be slower, and to compile it takes longer than to import this module.
    if not _NO_NAMES.isdisjoint(text.split("/")) or "\0" in text or "\\" in text:
        return False  # the backslash since some systems take it for a slash
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def check_key(key: str) -> None:
    """Refuse what is no legal key.

    A key is one or more names joined by ``/``. A name is not empty, not ``.`` and not ``..``, and holds no
    NUL and no backslash, so that a key never leaves the root of its store.

    Parameters
    ----------
    key : str
        What a store was given as a key.

    Raises
    ------
    TypeError
        If ``key`` is not a str.
    StoreError
        If it is not a legal key.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}")
    if not is_key(key):
        raise StoreError("not a legal key: its names, between slashes, must not be '', '.' or '..'", key=key)


def check_prefix(prefix: str) -> str:
    """The text that the keys below ``prefix`` start with.

    Parameters
    ----------
    prefix : str
        ``""`` for all keys, or names joined by ``/``, with or without a slash at the end.

    Returns
    -------
    str
        ``""``, or the prefix with one slash at its end.

    Raises
    ------
    TypeError
        If ``prefix`` is not a str.
    StoreError
        If it is not a legal key otherwise.
    """
    if prefix == "":
        return ""
    if not isinstance(prefix, str):
        raise TypeError(f"a prefix is a str, not {type(prefix).__name__}")
    name = prefix.removesuffix("/")
    check_key(name)
    return name + "/"


def keys_below(start: str, keys: Iterable[str]) -> Iterator[str]:
    """Those of ``keys`` that a listing shows.

    Parameters
    ----------
    start : str
        What `check_prefix` gave.
    keys : iterable of str
        Any keys, also such that other programs wrote and that are no legal keys here.

    Yields
    ------
    str
        The legal keys that start with ``start``, without those that have a reserved name (`RESERVED`)
        behind it.
    """
    hidden = "/" + RESERVED
    for key in keys:
        if key.startswith(start):
            below = key[len(start) :]
            if not below.startswith(RESERVED) and hidden not in below and is_key(key):
                yield key
