"""Why there is no file system for a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import fsspec

from zarrc.errors import MissingExtraError, StoreError
from zarrc.storage.remote.failures import store_error
from zarrc.storage.remote.secrets import masked, secrets_in

__all__ = ["missing_package", "reraise", "unusable"]

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
    "http": "http",
    "https": "http",
}


def missing_package(url: str, error: ImportError) -> MissingExtraError:
    """The error for a URL with a protocol that could not be loaded."""
    protocols = _protocols(url)
    extras = [_EXTRAS[protocol] for protocol in protocols if protocol in _EXTRAS]
    remedy = f"pip install 'zarrc[{extras[0]}]'" if extras else str(error)
    return MissingExtraError(f"{'::'.join(protocols)} URLs need a package that is not installed: {remedy}")


def unusable(url: str, options: Mapping[str, Any], error: Exception) -> StoreError | MissingExtraError:
    """The error for a URL or options that fsspec refuses."""
    unknown = [name for name in _protocols(url) if name not in fsspec.available_protocols()]
    if unknown:
        # fsspec knows abfss only by what adlfs, installed, says of itself.
        if unknown[0] in _EXTRAS:
            return missing_package(url, ImportError(str(error)))
        if (plain := unknown[0].lower()) in fsspec.available_protocols():
            return StoreError(f"no file system for {unknown[0]!r} URLs; did you mean {plain!r}?")
        known = ", ".join(sorted(fsspec.available_protocols()))
        return StoreError(f"no file system for {unknown[0]!r} URLs; known are {known}")
    text = masked(f"{type(error).__name__}: {error}", secrets_in([url, options]))
    return StoreError(f"cannot use a {_protocols(url)[0]!r} URL: {text}")


def _protocols(url: str) -> list[str]:
    return [re.split("://", part)[0] for part in url.split("::")]


def reraise(error: BaseException, key: str | None) -> NoReturn:
    """Raise what a failure of a file system is among our errors."""
    raise store_error(error, key)
