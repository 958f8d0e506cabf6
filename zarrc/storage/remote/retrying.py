"""Trying again what failed for a passing reason: exponential back-off with full jitter, by tenacity."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from zarrc.storage.remote.failures import is_passing, retry_after
from zarrc.storage.remote.limits import Settings

__all__ = ["Failure", "again", "first_failure", "is_able", "wait_and_see"]


class Failure(NamedTuple):
    """What a request came to that failed for good."""

    error: BaseException
    note: str


def is_able() -> bool:
    """Whether anything can be tried again."""
    return _tenacity() is not None


def first_failure(error: BaseException, limits: Settings) -> Failure | None:
    """The failure, if there is no second try."""
    if not limits.retries or not is_passing(error):
        return Failure(error, "")
    if _tenacity() is None:
        return Failure(error, " (not tried again: tenacity is not installed; pip install tenacity)")
    return None


async def again(attempt: Callable[[], Awaitable[Any]], first: BaseException, limits: Settings) -> Any:
    """The result of further tries of what failed with ``first``, or a `Failure`.

    Parameters
    ----------
    attempt : callable
        Starts a try; what it raises is an exception that `is_passing` can judge.
    first : BaseException
        How the first try failed.
    limits : Settings
        How often, how long.
    """
    pending: BaseException | None = first

    async def attempt_or_first() -> Any:
        nonlocal pending
        # tenacity waits between tries: its first one is that which was made already.
        if pending is not None:
            error, pending = pending, None
            raise error
        return await attempt()

    retrying = _tenacity().AsyncRetrying(**_policy(limits))
    try:
        return await retrying(attempt_or_first)
    except Exception as error:
        return Failure(error, _note(retrying))


def wait_and_see(attempt: Callable[[], Any], first: BaseException, limits: Settings) -> Any:
    """`again`, in the caller's thread."""
    pending: BaseException | None = first

    def attempt_or_first() -> Any:
        nonlocal pending
        if pending is not None:
            error, pending = pending, None
            raise error
        return attempt()

    retrying = _tenacity().Retrying(sleep=time.sleep, **_policy(limits))
    try:
        return retrying(attempt_or_first)
    except Exception as error:
        return Failure(error, _note(retrying))


def _tenacity() -> Any:
    try:
        return importlib.import_module("tenacity")
    except ImportError:
        return None


def _policy(limits: Settings) -> dict[str, Any]:
    def wait(state: Any) -> float:
        most = min(limits.retry_max_delay, limits.retry_delay * 2 ** min(state.attempt_number - 1, 60))
        delay = random.uniform(0, most)
        # A service that says how long is believed, within the bound of the user.
        return max(delay, min(retry_after(state.outcome.exception()), limits.retry_max_delay))

    tenacity = _tenacity()
    return {
        "stop": tenacity.stop_after_attempt(limits.retries + 1),
        "wait": wait,
        "retry": tenacity.retry_if_exception(is_passing),
        "reraise": True,
    }


def _note(retrying: Any) -> str:
    return f" (tried {retrying.statistics.get('attempt_number', 1)} times)"
