"""What a driver's request comes to: an answer, or one of the exceptions that say why there is none."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["MUST_NOT_EXIST", "Absent", "Answer", "Broken", "Conflict", "Outside", "Refused", "TooLarge"]

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
        # Who has no word of its own for it says the number again.
        code = "" if self.code == str(self.status) else self.code
        return " ".join(filter(None, (f"status {self.status}", code, self.message)))
