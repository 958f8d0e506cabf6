"""The stores built in that ``storage=`` names, each made from keywords."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from zarrc.errors import StoreError
from zarrc.storage.base import Store
from zarrc.storage.keys import check_prefix

if TYPE_CHECKING:
    from typing import TypeAlias

    Path: TypeAlias = "str | os.PathLike[str]"

__all__ = ["azure_blob", "filesystem", "gcs", "http", "memory", "s3", "sqlite", "sqlite_url", "zip_archive"]


def filesystem(*, path: Path, durable: bool | None = None) -> Store:
    """A directory."""
    from zarrc.storage.local import LocalStore

    return LocalStore(path, **_given(durable=durable))


def memory(*, table_name: str | None = None) -> Store:
    """A table in this process's memory; with a name, the same one for all who name it."""
    from zarrc.storage.memory import MemoryStore

    return MemoryStore(name=table_name)


def zip_archive(*, path: Path, storage_options: Mapping[str, Any] | None = None) -> Store:
    """A zip archive: a path, or a URL that fsspec knows."""
    from zarrc.storage.resolve import zip_store

    return zip_store(os.fspath(path), storage_options, False)


def sqlite(
    *,
    path: Path,
    journal: Literal["delete", "wal"] | None = None,
    timeout: float | None = None,
    durable: bool | None = None,
) -> Store:
    """One SQLite file."""
    from zarrc.storage.sqlite import SQLiteStore

    return SQLiteStore(path, **_given(journal=journal, timeout=timeout, durable=durable))


def sqlite_url(url: str, *, storage_options: Mapping[str, Any], read_only: bool) -> Store:
    """The SQLite file of ``sqlite:///path`` (``sqlite:////path`` for one from the root, as in SQLAlchemy)."""
    from zarrc.storage.sqlite import SQLiteStore

    path = url.partition("://")[2]
    if not path.startswith("/") or path == "/":
        raise StoreError("a URL of SQLite is sqlite:///file or, from the root, sqlite:////directory/file")
    return SQLiteStore(path[1:], read_only=read_only, **storage_options)


def http(*, url: str, storage_options: Mapping[str, Any] | None = None) -> Store:
    """A web server, for reading."""
    if not str(url).lower().startswith(("http://", "https://")):
        raise StoreError("url= of storage='http' starts with http:// or https://")
    return _remote(url, storage_options)


def s3(
    *,
    bucket: str,
    prefix: str | None = None,
    path: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    key: str | None = None,
    secret: str | None = None,
    token: str | None = None,
    anon: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """A bucket of Amazon S3, or of a server that speaks its protocol.

    Without credentials, botocore looks for them.
    """
    options = _given(endpoint_url=endpoint_url, key=key, secret=secret, token=token, anon=anon)
    client = _given(region_name=region)
    if client:
        options["client_kwargs"] = client
    return _bucket("s3", "bucket", bucket, prefix, path, options, storage_options)


def gcs(
    *,
    bucket: str,
    prefix: str | None = None,
    path: str | None = None,
    credentials: Any = None,
    project: str | None = None,
    endpoint_url: str | None = None,
    anon: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """A bucket of Google Cloud Storage; credentials by default as Google's libraries find them."""
    token = credentials
    if isinstance(credentials, (str, os.PathLike)):
        token = os.fspath(credentials)
        if not os.path.isfile(token):
            raise StoreError("credentials= of storage='gcs' names a file that is not there")
    elif isinstance(credentials, Mapping):
        token = _google_credentials(credentials)
    if anon:
        if token is not None:
            raise TypeError("storage='gcs' takes either credentials= or anon=True, not both")
        token = "anon"
    options = _given(token=token, project=project, endpoint_url=endpoint_url)
    return _bucket("gs", "bucket", bucket, prefix, path, options, storage_options)


def azure_blob(
    *,
    container: str,
    prefix: str | None = None,
    path: str | None = None,
    account_name: str | None = None,
    account_key: str | None = None,
    connection_string: str | None = None,
    sas_token: str | None = None,
    anon: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """A container of Azure Blob Storage; credentials by default from adlfs's variables of the environment."""
    options = _given(
        account_name=account_name,
        account_key=account_key,
        connection_string=connection_string,
        sas_token=sas_token,
        anon=anon,
    )
    return _bucket("az", "container", container, prefix, path, options, storage_options)


def _google_credentials(fields: Mapping[str, Any]) -> Any:
    """What gcsfs takes for the content of a credentials file: its own dictionaries hold something else."""
    if fields.get("type") != "service_account":
        return dict(fields)
    try:
        from google.oauth2.service_account import Credentials
    except ImportError:  # so is gcsfs, which is told below
        return dict(fields)
    scopes = ["https://www.googleapis.com/auth/devstorage.full_control"]
    try:
        return Credentials.from_service_account_info(dict(fields), scopes=scopes)
    except Exception as error:
        failure = type(error).__name__  # its text may hold a part of the key
    raise StoreError(
        f"credentials= of storage='gcs' is no service account that Google's library takes: {failure}"
    )


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _bucket(
    scheme: str,
    word: str,
    bucket: Any,
    prefix: str | None,
    path: str | None,
    options: dict[str, Any],
    more: Mapping[str, Any] | None,
) -> Store:
    """The store of a prefix in a bucket (``word`` is what it is called), from options of its file system."""
    if not isinstance(bucket, str) or not bucket or not set(bucket).isdisjoint("/:?#@\\ "):
        raise StoreError(f"{word}= is the name of one {word}, without a path")
    if prefix is not None and path is not None:
        raise TypeError(f"path= means prefix= in a {word}; pass one of them")
    below = prefix if prefix is not None else path or ""
    if below.startswith("/"):
        raise StoreError(f"a prefix in a {word} starts without a slash: {below.strip('/')!r}")
    below = check_prefix(below)
    if "::" in below:
        raise StoreError(f"the prefix {below!r} would be read as a chain of URLs")
    return _remote(f"{scheme}://{bucket}/{below}".rstrip("/"), _merged(options, more or {}))


def _merged(options: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both, one level deep; what is said twice is refused (the values may be secrets, and are not named)."""
    merged = {**more}
    for name, value in options.items():
        if name not in merged:
            merged[name] = value
        elif isinstance(value, dict) and isinstance(merged[name], Mapping):
            merged[name] = _merged(value, merged[name])
        else:
            raise TypeError(f"{name!r} is said by a keyword and by storage_options; say it once")
    return merged


def _remote(url: str, options: Mapping[str, Any] | None) -> Store:
    from zarrc.storage.fsspec_store import FsspecStore

    return FsspecStore.from_url(url, storage_options=options)
