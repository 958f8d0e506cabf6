"""What a failure means: whether to try again, and which of our errors it is."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from typing import Any

from zarrc.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
)
from zarrc.storage.remote.outcomes import Absent, Broken, Conflict, Outside, Refused, TooLarge
from zarrc.storage.remote.secrets import masked

__all__ = ["is_absence", "is_passing", "missing_bucket", "retry_after", "status_of", "store_error"]

_DENIED = frozenset((401, 403, 407))
_THROTTLED = frozenset((429, 503))
_CONFLICT = frozenset((409, 412))
# Request timeout, internal error, bad gateway, gateway timeout; from 509 on what proxies say.
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524, 598, 599))

_PASSING_ERRNO = frozenset(
    getattr(errno, name)
    for name in (
        *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "EHOSTDOWN"),
        *("ENETUNREACH", "ENETDOWN", "ENETRESET", "EAGAIN", "EINTR", "EBUSY"),
    )
    if hasattr(errno, name)
)

# Classes of aiohttp, botocore, azure.core, requests and urllib3, by name: none of them need be installed.
_PASSING_CLASSES = frozenset(
    (
        *("ClientConnectionError", "ClientPayloadError", "ServerDisconnectedError", "ServerTimeoutError"),
        *("ConnectionError", "ConnectionClosedError", "EndpointConnectionError", "IncompleteReadError"),
        *("ResponseStreamingError", "ReadTimeoutError", "ConnectTimeoutError", "HTTPClientError"),
        *("ServiceRequestError", "ServiceResponseError", "ProtocolError", "ChunkedEncodingError", "Timeout"),
        *("ProxyError", "IncompleteRead", "BadHttpMessage", "TransportError"),
    )
)
_TIMEOUT_CLASSES = frozenset(
    (
        *("ReadTimeoutError", "ConnectTimeoutError", "ServerTimeoutError", "Timeout", "FSTimeoutError"),
        *("ServiceRequestTimeoutError", "ServiceResponseTimeoutError", "ConnectionTimeoutError"),
    )
)
# In the body of an answer, which the texts of obstore's errors hold.
_NO_BUCKET = re.compile(r"status code: 404 .*?<Code>(NoSuchBucket|ContainerNotFound)</Code>", re.DOTALL)

# What no second try changes, though it is a kind of the above.
_LASTING_CLASSES = frozenset(
    (
        *("ClientConnectorCertificateError", "ClientSSLError", "SSLError", "SSLCertVerificationError"),
        *("InvalidURL", "InvalidUrlClientError", "NonHttpUrlClientError", "TooManyRedirects"),
        *("ProxyConnectionError", "NoCredentialsError", "PartialCredentialsError"),
    )
)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, of whatever client."""
    for name in ("status", "status_code", "code"):
        status = getattr(error, name, None)
        if isinstance(status, str) and status.isdigit():
            status = int(status)
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status < 600:
            return status
    return None


def is_absence(error: BaseException) -> bool:
    """Whether it says that there is no such object; a directory is no object."""
    return isinstance(error, (Absent, FileNotFoundError, IsADirectoryError, NotADirectoryError))


def missing_bucket(error: BaseException) -> Refused | None:
    """The refusal, if obstore says of an object that it is absent, and the service that its bucket is."""
    found = _NO_BUCKET.search(str(error).partition("\n\nDebug source")[0])
    return None if found is None else Refused(404, found[1], "the bucket or container does not exist")


def _classes(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def is_timeout(error: BaseException) -> bool:
    """Whether no answer came in time."""
    status = status_of(error)
    if status is not None:
        return status in (408, 504)
    return isinstance(error, TimeoutError) or not _TIMEOUT_CLASSES.isdisjoint(_classes(error))


def is_passing(error: BaseException) -> bool:
    """Whether the same request may well succeed a moment later."""
    if isinstance(error, (Broken, StoreThrottledError, StoreTimeoutError)):
        return True
    if isinstance(error, (Absent, Conflict, Outside, TooLarge, StoreError, PermissionError)) or is_absence(
        error
    ):
        return False
    status = status_of(error)
    if status is not None:
        return status in _PASSING
    classes = _classes(error)
    if not _LASTING_CLASSES.isdisjoint(classes):
        return False
    if isinstance(error, (ConnectionError, TimeoutError)) or not _PASSING_CLASSES.isdisjoint(classes):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_ERRNO


def retry_after(error: BaseException) -> float:
    """The seconds that the service asked to wait; 0 where it did not."""
    wanted = getattr(error, "retry_after", None)
    return float(wanted) if isinstance(wanted, (int, float)) and 0 <= wanted < 1e6 else 0.0


def store_error(
    error: BaseException, key: str | None, *, secrets: Iterable[str] = (), note: str = ""
) -> BaseException:
    """The error that the user sees, with its cause set.

    Parameters
    ----------
    error : BaseException
        What happened.
    key : str or None
        Key of the object.
    secrets : iterable of str
        What is masked in its text, and in those of its causes.
    note : str, optional
        What else there is to say: how often it was tried.

    Returns
    -------
    BaseException
        What no store is to blame for (MemoryError, ...) stays itself.
    """
    if isinstance(error, MemoryError) or not isinstance(error, Exception):
        return error
    if isinstance(error, StoreError):
        if error.key is None:
            error.key = key
        return error
    result = _kind(error)(masked(_text(error), secrets) + note, key=key)
    result.__cause__ = _cause(error, secrets)
    return result


def _text(error: Exception) -> str:
    if isinstance(error, Absent):
        return "there is no such object"
    if isinstance(error, Conflict):
        return "the object changed since its version was read, or is there already"
    if isinstance(error, Outside):
        size = "" if error.object_nbytes is None else f", which has {error.object_nbytes} bytes"
        return f"the range leaves the object{size}"
    if isinstance(error, TooLarge):
        size = "more" if error.object_nbytes is None else f"{error.object_nbytes} bytes"
        return f"the object has {size} where at most {error.most} can be right"
    if isinstance(error, (Broken, Refused)):
        return str(error)
    text = _said(error)
    if isinstance(error, TimeoutError) and not text:
        return "there was no answer in time"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _said(error: BaseException) -> str:
    """Its text; some clients' errors have none, and fail for that."""
    try:
        return str(error)
    except Exception:
        return ""


def _kind(error: Exception) -> type[StoreError]:
    status = status_of(error)
    if isinstance(error, PermissionError) or status in _DENIED:
        return StoreDeniedError
    if status in _THROTTLED:
        return StoreThrottledError
    if isinstance(error, Conflict) or status in _CONFLICT:
        return StoreConflictError
    return StoreTimeoutError if is_timeout(error) else StoreError


class Cause(Exception):
    """Stands for an exception whose text holds secrets."""


def _cause(error: BaseException, secrets: Iterable[str]) -> BaseException:
    """The error itself, or where it or one of its own causes says a secret, what stands for it."""
    secrets = tuple(secrets)
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and not any(at is one for one in seen):
        seen.append(at)
        at = at.__cause__ if at.__cause__ is not None or at.__suppress_context__ else at.__context__
    if not any(_tells(one, secrets) for one in seen):
        return error
    stand_in = Cause(masked(f"{type(error).__module__}.{type(error).__qualname__}: {_said(error)}", secrets))
    return stand_in.with_traceback(error.__traceback__)


def _tells(error: BaseException, secrets: Iterable[str]) -> bool:
    texts: list[Any] = [_said(error), repr(error), *getattr(error, "__notes__", ())]
    return any(masked(text, secrets) != text for text in texts if isinstance(text, str))
