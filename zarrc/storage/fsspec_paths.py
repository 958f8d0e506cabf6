"""Between the keys of a store and the paths of an fsspec file system."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote

from zarrc.storage.remote.choice import takes_urls

__all__ = ["Paths"]

# What stands for itself in the path of a URL (RFC 3986, "pchar"), besides letters and digits.
_URL_LETTERS = "/!$&'()*+,;=:@"
_PLAIN = re.compile(r"[A-Za-z0-9_.\-/]*")


class Paths:
    """The paths below a directory of a file system.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        The file system; only what its class knows is used.
    root : str
        The directory, with or without the protocol. Of a URL with a query (``?signature=...``), which every
        object below it then has too.
    """

    def __init__(self, fs: Any, root: str) -> None:
        self._strip = fs._strip_protocol
        self.takes_urls = takes_urls(fs)
        text = str(self._strip(root)) if root else ""
        self.root, self._query = text, ""
        if self.takes_urls:
            self.root, mark, query = text.partition("?")
            self._query = mark + query
        self._start = self.root if not self.root or self.root.endswith("/") else self.root + "/"

    @property
    def whole_root(self) -> str:
        """The root as it was given."""
        return self.root + self._query

    def path(self, key: str) -> str:
        """The path of an object, or of a directory; of ``""`` the root."""
        if not key:
            return self.whole_root
        if self.takes_urls:
            # Most keys are written as they are, which is sooner seen than done.
            quoted = key if _PLAIN.fullmatch(key) else quote(key, safe=_URL_LETTERS)
            return f"{self._start}{quoted}{self._query}"
        return self._start + key

    def key(self, path: str) -> str:
        """The key of what a listing found; ``""`` for what is not below the root."""
        path = str(self._strip(path))
        start = self.root.rstrip("/") + "/" if self.root else ""
        key = path[len(start) :].lstrip("/") if path.startswith(start) else ""
        return unquote(key.partition("?")[0]) if self.takes_urls else key

    def place(self, prefix: str) -> str:
        """A directory as it is called whatever the root is."""
        path = self.path(prefix)
        # Once more: below the root "" a path has no slash at its start, which some file systems put there.
        return str(self._strip(path)) if path else ""
