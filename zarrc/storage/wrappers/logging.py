"""A store that logs what is done with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from zarrc.storage.wrappers.observed import ObservedStore
from zarrc.storage.wrappers.tables import seconds_text

if TYPE_CHECKING:
    from zarrc.storage.base import ByteRange
    from zarrc.storage.resolve import StoreLike

__all__ = ["LoggingStore"]


class LoggingStore(ObservedStore):
    """A store that logs each operation, after it: the key, its bytes, how long it took.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store.
    logger : str or logging.Logger, default "zarrc.store"
        Where to.
    level : int or str, default logging.DEBUG
        Of the records. An operation that failed is logged one step higher, at least as a warning.

    Notes
    -----
    Records hold no data and no credentials: keys (as Python writes them, so that a newline in one cannot
    pass for a record), sizes, times, and texts of errors, from which stores leave secrets out.
    They have the attributes ``operation``, ``key``, ``nbytes`` and ``seconds``, for handlers that want
    more than text. A batch of writes is a record for each object, when it is passed on, and one for the
    batch.
    """

    _word = "logged"

    def __init__(
        self,
        store: StoreLike,
        *,
        logger: str | logging.Logger = "zarrc.store",
        level: int | str = logging.DEBUG,
    ) -> None:
        super().__init__(store)
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._level = _level(level)

    @property
    def logger(self) -> logging.Logger:
        """Where to."""
        return self._logger

    @property
    def level(self) -> int:
        """Of the records."""
        return self._level

    def _item(self, operation: str, key: str, nbytes: int) -> None:
        if self._logger.isEnabledFor(self._level):
            size = f" {nbytes} bytes" if operation == "set" else ""
            self._logger.log(
                self._level,
                "%s %r%s, in a batch",
                operation,
                key,
                size,
                extra={"operation": operation, "key": key, "nbytes": nbytes, "seconds": None},
            )

    def _seen(
        self,
        operation: str,
        key: str | None,
        ns: int,
        nbytes: int = 0,
        *,
        range: ByteRange | None = None,
        n: int = 1,
        miss: bool = False,
        error: BaseException | None = None,
    ) -> None:
        level = self._level if error is None else max(self._level, logging.WARNING)
        if not self._logger.isEnabledFor(level):
            return
        what = operation if range is None else f"get {range}"
        if error is not None:
            outcome = f"failed: {type(error).__name__}: {error}"
        elif miss:
            outcome = "is absent"
        elif operation == "list":
            outcome = f"{n} keys"
        elif operation in ("get", "get_range", "set", "set_if"):
            outcome = f"{nbytes} bytes"
        else:
            outcome = "done"
        name = f"a batch of {n}" if key is None else repr(key)
        self._logger.log(
            level,
            "%s %s: %s in %s",
            what,
            name,
            outcome,
            seconds_text(ns / 1e9),
            extra={"operation": operation, "key": key, "nbytes": nbytes, "seconds": ns / 1e9},
        )


def _level(level: int | str) -> int:
    if isinstance(level, int):
        return level
    found = logging.getLevelNamesMapping().get(level.upper())
    if found is None:
        raise ValueError(f"{level!r} is no level of logging")
    return found
