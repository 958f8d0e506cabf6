"""Which of our errors a failure of an fsspec file system is."""

from __future__ import annotations

from typing import NoReturn

from zarrc.errors import MissingExtraError, StoreDeniedError, StoreError, StoreThrottledError

__all__ = ["is_absence", "missing_package", "reraise", "translated"]

# The extra of ours that brings what a protocol needs.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "adl": "azure",
}


def is_absence(error: BaseException) -> bool:
    """Whether the file system says that there is no such file; a directory is no file."""
    return isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError))


def translated(error: BaseException, key: str | None) -> BaseException:
    """The error of ours for ``error``; what no store is to blame for (MemoryError, ...) stays itself."""
    if isinstance(error, (StoreError, MemoryError)) or not isinstance(error, Exception):
        return error
    return _kind(error)(f"{type(error).__name__}: {error}", key=key)


def reraise(error: BaseException, key: str | None) -> NoReturn:
    """Raise what `translated` makes of ``error``."""
    result = translated(error, key)
    if result is error:
        raise error
    raise result from error


def _kind(error: Exception) -> type[StoreError]:
    status = (
        getattr(error, "status", None) or getattr(error, "status_code", None) or getattr(error, "code", None)
    )
    if isinstance(error, PermissionError) or status in (401, 403):
        return StoreDeniedError
    return StoreThrottledError if status in (429, 503) else StoreError


def missing_package(error: ImportError, protocols: list[str]) -> MissingExtraError:
    """The error for URLs with these protocols, one of which could not be loaded."""
    extras = [_EXTRAS[protocol] for protocol in protocols if protocol in _EXTRAS]
    remedy = f"pip install zarrc[{extras[0]}]" if extras else str(error)
    return MissingExtraError(f"{'::'.join(protocols)} URLs need a package that is not installed: {remedy}")
