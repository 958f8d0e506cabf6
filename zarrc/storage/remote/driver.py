"""The door to one kind of remote file system: what a driver does, what it answers, what it raises.

A driver speaks the protocol of one service through the authenticated client of an fsspec file system. It
makes one request for each call, says what came, and decides nothing else: how many calls run at once, what is
tried again, and which error the user sees are the business of `running` and `failures`.

All coroutines run in the event loop of the file system (``fs.loop``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from zarrc.storage.base import Stat

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
]

MUST_NOT_EXIST: Final = ""
"""The condition of a `Driver.put` that creates. (No service has a version ``""``.)"""


class Answer(NamedTuple):
    """What a `Driver.get` brought.

    ``data`` are the bytes that were asked for, all of them and no more. ``version`` is that of the object
    which they are from, None where the service does not tell. ``object_nbytes`` is the size of the whole
    object, None where it is not known.
    """

    data: bytes
    version: str | None
    object_nbytes: int | None


class Absent(Exception):
    """There is no such object, and the service said so; of a missing bucket it is `Refused`."""


class Conflict(Exception):
    """The condition of a `Driver.put` does not hold; nothing was written.

    Parameters
    ----------
    retried : bool, default False
        Whether the client sent the request more than once by itself, so that the object may be ours: the
        first one got through and its answer was lost.
    """

    def __init__(self, *, retried: bool = False) -> None:
        super().__init__()
        self.retried = retried


class Broken(Exception):
    """The answer is not what it says that it is: cut short, too long, headers without sense. Tried again."""


class Outside(Exception):
    """The range starts behind the end of the object, or leaves it (416 and its like).

    Parameters
    ----------
    object_nbytes : int, optional
        Size of the object, if the answer told it.
    """

    def __init__(self, object_nbytes: int | None = None) -> None:
        super().__init__(object_nbytes)
        self.object_nbytes = object_nbytes


class TooLarge(Exception):
    """The object is larger than the ``most`` bytes that the caller can use; its body was not read.

    Parameters
    ----------
    object_nbytes : int, optional
        Its size, if known.
    most : int
        What was allowed.
    """

    def __init__(self, object_nbytes: int | None, most: int) -> None:
        super().__init__(object_nbytes, most)
        self.object_nbytes = object_nbytes
        self.most = most


class Refused(Exception):
    """The service answered with an error.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str, default ""
        The service's own word for it (``"SlowDown"``, ``"NoSuchBucket"``, ...).
    message : str, default ""
        Its explanation. Secrets in it are masked later.
    retry_after : float, optional
        Seconds that it asks to wait.
    """

    def __init__(
        self, status: int, code: str = "", message: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return " ".join(filter(None, (f"status {self.status}", self.code, self.message)))


class Driver(ABC):
    """One service, through one file system.

    Parameters
    ----------
    fs : fsspec.asyn.AsyncFileSystem
        The file system. Nothing is asked of it yet.

    Notes
    -----
    Paths are those of the file system, as its ``_strip_protocol`` gives them. What a coroutine raises that is
    not of this module goes through `failure` first and is then judged by its type and its ``status``
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
        """What an exception of the client means: one of this module's if it can be told, else itself."""
        return error

    # Listings, by the file system's own means.

    async def find(self, path: str) -> Mapping[str, int | None]:
        """The paths of all objects at or below a directory, with sizes where known. It may raise `Absent`."""
        found = await self.fs._find(path, detail=True)
        return {name: nbytes_in(info) for name, info in found.items()}

    async def ls(self, path: str) -> Sequence[Mapping[str, Any]]:
        """What is directly in a directory: mappings with ``name`` and ``type``. It may raise `Absent`."""
        entries: Sequence[Mapping[str, Any]] = await self.fs._ls(path, detail=True)
        return entries


def nbytes_in(info: Mapping[str, Any]) -> int | None:
    """What an entry of a listing says of an object's size."""
    nbytes = info.get("size")
    return nbytes if isinstance(nbytes, int) and nbytes >= 0 else None
