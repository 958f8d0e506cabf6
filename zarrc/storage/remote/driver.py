"""The door to one kind of remote file system: what a driver does, what it answers, what it raises.

A driver speaks the protocol of one service through the authenticated client of an fsspec file system. It
makes one request for each call, says what came, and decides nothing else: how many calls run at once, what is
tried again, and which error the user sees are the business of `running` and `failures`.

All coroutines run in the event loop of the file system (``fs.loop``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from zarrc.storage.base import Stat
from zarrc.storage.remote.listing import has_plain_find, nbytes_in, walk
from zarrc.storage.remote.outcomes import (
    MUST_NOT_EXIST,
    Absent,
    Answer,
    Broken,
    Conflict,
    Outside,
    Refused,
    TooLarge,
)

__all__ = [
    "MUST_NOT_EXIST",
    "Absent",
    "Answer",
    "Broken",
    "Conflict",
    "Driver",
    "Outside",
    "Refused",
    "TooLarge",
    "of_this_machine",
]


def of_this_machine(error: BaseException) -> BaseException:
    """The error; of a missing file of this machine (a token, a certificate) one that is no absent object.

    For services whose own answers never become such an exception.
    """
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return OSError(f"{type(error).__name__}: {error}")
    return error


class Driver(ABC):
    """One service, through one file system.

    Parameters
    ----------
    fs : fsspec.asyn.AsyncFileSystem
        The file system. Nothing is asked of it yet.

    Notes
    -----
    Paths are those of the file system, as its ``_strip_protocol`` gives them. What a coroutine raises that is
    not of `outcomes` goes through `failure` first and is then judged by its type and its ``status``
    (`zarrc.storage.remote.failures`); so a driver may let its client's exceptions pass.
    """

    conditional: bool = False
    """Whether `put` takes versions and decides at the service, among all writers."""

    versions: bool = False
    """Whether `get`, `head` and `put` give the service's own versions, all of one kind."""

    suffix_ranges: bool = True
    """Whether `get` takes a negative ``start``; if not, `head` is asked first."""

    bulk: int = 0
    """How many paths one `delete_many` takes; 0 where the protocol has no such request."""

    read_only: str | None = None
    """Why nothing can be written; None where it can."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    @abstractmethod
    async def get(self, path: str, start: int | None, nbytes: int | None, most: int | None) -> Answer:
        """The object, or a range of it, by one request.

        Parameters
        ----------
        path : str
            Its path.
        start : int or None
            None: the whole object. Not negative: the first byte of a range. Negative (only where
            `suffix_ranges`): the last ``-start`` bytes, all of which must be there; ``nbytes`` is None then.
        nbytes : int or None
            Length of the range, at least 1; None: to the end of the object. A range that starts at or
            behind the end, or has fewer bytes than this, is `Outside`.
        most : int or None
            The most bytes that the caller can use; an object of more (where ``nbytes`` is None) is
            `TooLarge`, and no more than this is read.

        Raises
        ------
        Absent, Outside, TooLarge, Broken, Refused
            As they say.
        """

    @abstractmethod
    async def put(self, path: str, data: bytes, condition: str | None) -> str | None:
        """Make ``data`` the object: one request, or the service's way for large objects.

        Parameters
        ----------
        path : str
            Its path.
        data : bytes
            All of its bytes.
        condition : str or None
            None: whatever was there. `MUST_NOT_EXIST`: only where nothing is. Another text: only where the
            object still has this version; `Conflict` if it has another one or is gone. Only asked where
            `conditional`.

        Returns
        -------
        str or None
            The new version, None where the service does not tell.
        """

    @abstractmethod
    async def head(self, path: str) -> Stat:
        """Size and version, by one request. Raises `Absent`."""

    @abstractmethod
    async def delete(self, path: str) -> None:
        """Delete the object; it is fine to raise `Absent`."""

    async def delete_many(self, paths: Sequence[str]) -> None:
        """Delete up to `bulk` objects by one request; absent ones are fine.

        Raises
        ------
        Refused
            If one of them could not be deleted; the message names it.
        """
        raise NotImplementedError

    async def copy(self, source: str, target: str) -> None:
        """Make the object ``target`` what ``source`` is, at the service. Raises `Absent` for the source."""
        raise NotImplementedError

    copies: bool = False
    """Whether there is `copy`."""

    def failure(self, error: BaseException) -> BaseException:
        """What an exception of the client means: one of `outcomes` if it can be told, else itself."""
        return error

    def changed(self, path: str) -> None:
        """Tell the file system's own cache of listings, if there is anything in it."""
        if getattr(self.fs, "dircache", None):
            self.fs.invalidate_cache(self.fs._parent(path))

    # Listings, by the file system's own means.

    @property
    def walks(self) -> bool:
        """Whether `find` goes through `ls`, directory by directory."""
        return has_plain_find(self.fs)

    async def find(self, path: str) -> Mapping[str, int | None]:
        """The paths of all objects at or below a directory, with sizes where known. It may raise `Absent`."""
        if self.walks:
            return await walk(self.ls, path)
        self.fs.invalidate_cache(path)
        found = await self.fs._find(path, detail=True)
        return {name: nbytes_in(info) for name, info in found.items()}

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """What is directly in a directory: mappings with ``name`` and ``type``. It may raise `Absent`."""
        self.fs.invalidate_cache(path)
        entries: Sequence[Mapping[str, Any]] = await self.fs._ls(path, detail=True)
        return entries
