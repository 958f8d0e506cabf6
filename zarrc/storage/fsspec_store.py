"""Any fsspec file system as a store."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from zarrc.errors import StoreConflictError, StoreError
from zarrc.kernels.blob import content_version, resolve_range
from zarrc.storage.base import Blob, ByteRange, DirListing, Stat, Store
from zarrc.storage.file_systems import (
    Call,
    find,
    fingerprint,
    is_async,
    knows_create,
    remade,
    settle,
    synchronous,
    takes_urls,
)
from zarrc.storage.fsspec_errors import is_absence, missing_package, reraise, translated
from zarrc.storage.keys import check_key, check_prefix, keys_below
from zarrc.storage.local import LocalStore

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FsspecStore"]

# Objects that are in memory at once in a bulk call.
_BATCH = 256

# What stands for itself in the path of a URL (RFC 3986, "pchar"), besides letters and digits.
_URL_LETTERS = "/!$&'()*+,;=:@"

# Where file systems put what changes when an object does, the best first.
_VERSION_FIELDS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "content_md5",
    "VersionId",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "modified",
    "created",
)


class FsspecStore(Store):
    """A directory of an fsspec file system.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        The file system. One made with ``asynchronous=True`` is made again without, since this store is not.
    path : str, default ""
        The directory in it, with or without the protocol.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.

    Notes
    -----
    On an asynchronous file system (s3fs, gcsfs, adlfs, http), many objects are read, written and deleted by
    requests that run together. In a forked child the file system is made anew, as fsspec demands.

    A blob's version is made from its content, and is None for a range; `stat` gives the server's own.
    `set_if` takes either, and decides among the threads of this process.

    A file system on the local disk is better used as `LocalStore`; `from_url` and `from_mapper` give that.
    """

    def __init__(self, fs: Any, path: str = "", *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self._fs = synchronous(fs)
        self._takes_urls = takes_urls(self._fs)
        self._pid = os.getpid()
        self._fingerprint: str | None = None
        self._root = str(self._fs._strip_protocol(path)) if path else ""

    @classmethod
    def from_url(
        cls, url: str, *, storage_options: Mapping[str, Any] | None = None, read_only: bool = False
    ) -> Store:
        """The store at a URL that fsspec knows; a `LocalStore` for one on the local disk.

        Parameters
        ----------
        url : str
            ``protocol://path``, or such URLs chained by ``::``.
        storage_options : mapping, optional
            What the file system is made with.
        read_only : bool, default False
            As for the class.

        Raises
        ------
        MissingExtraError
            If the package for the protocol is not installed.
        StoreError
            If fsspec does not know the protocol, or refuses the options.
        """
        try:
            fs, path = fsspec.url_to_fs(url, **dict(storage_options or {}))
        except ImportError as error:
            raise missing_package(error, _protocols(url)) from error
        except Exception as error:
            raise _unusable(url, error) from error
        return cls.from_file_system(fs, path, read_only=read_only)

    @classmethod
    def from_mapper(cls, mapper: Any, *, read_only: bool = False) -> Store:
        """The store of a mapping that `fsspec.get_mapper` made; a `LocalStore` for one on the local disk.

        Parameters
        ----------
        mapper : fsspec.FSMap
            Its file system and root are taken; the mapping itself is not used.
        read_only : bool, default False
            As for the class.
        """
        return cls.from_file_system(mapper.fs, mapper.root, read_only=read_only)

    @classmethod
    def from_file_system(cls, fs: Any, path: str = "", *, read_only: bool = False) -> Store:
        """The store of a directory of a file system; a `LocalStore` for one on the local disk.

        Parameters
        ----------
        fs : fsspec.AbstractFileSystem
            The file system.
        path : str, default ""
            The directory in it.
        read_only : bool, default False
            As for the class.
        """
        if type(fs) is LocalFileSystem:
            return LocalStore(str(fs._strip_protocol(path)), read_only=read_only)
        return cls(fs, path, read_only=read_only)

    @property
    def fs(self) -> Any:
        """The file system; another object after a fork."""
        if self._pid != os.getpid():
            self._fs = remade(self._fs)
            self._pid = os.getpid()
        return self._fs

    @property
    def path(self) -> str:
        """The directory in the file system."""
        return self._root

    @property
    def identity(self) -> Hashable:
        """Equal for two stores whose file systems were made alike, on one directory."""
        return self.identity_of("")

    def identity_of(self, prefix: str) -> Hashable:
        """Equal for two prefixes of stores, also with different roots, that are one directory."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._fs)
        path = self._path(check_prefix(prefix).removesuffix("/"))
        # Once more: below the root "" a path has no slash at its start, which some file systems put there.
        return "fsspec", self._fingerprint, str(self._fs._strip_protocol(path)) if path else ""

    # Reading.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        if range is not None and range[1] == 0:
            return self._empty_range(key, range)
        start, end = _limits(range)
        try:
            body = self.fs.cat_file(self._path(key), start=start, end=end)
        except Exception as error:
            return self._failed(error, key, range)
        return self._checked(body, key, range)

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        if not is_async(self._fs):
            yield from super().get_many(requests)
            return
        for first in range(0, len(requests), _BATCH):
            batch = requests[first : first + _BATCH]
            for key, _ in batch:
                check_key(key)
            answers = self._together("_cat_file", [self._cat_arguments(*request) for request in batch])
            for number, ((key, wanted), answer) in enumerate(zip(batch, answers, strict=True), first):
                if wanted is not None and wanted[1] == 0:
                    yield number, self._empty_range(key, wanted)
                elif isinstance(answer, BaseException):
                    yield number, self._failed(answer, key, wanted)
                else:
                    yield number, self._checked(answer, key, wanted)

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        path = self._path(key)
        try:
            self.fs.invalidate_cache(os.path.dirname(path))
            info = self.fs.info(path)
        except Exception as error:
            if is_absence(error):
                return None
            reraise(error, key)
        if info.get("type") == "directory" or info.get("size") is None:
            return None
        return Stat(int(info["size"]), _version_in(info))

    # Writing.

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        body = bytes(Blob(data))
        try:
            self._pipe(key, body)
        except Exception as error:
            reraise(error, key)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        if not is_async(self._fs):
            super().set_many(items)
            return
        pending = iter(items)
        while batch := [(key, bytes(Blob(data))) for key, data in islice(pending, _BATCH)]:
            for key, _ in batch:
                check_key(key)
                self._check_writable(key)
            calls: list[Call] = [((self._path(key), data), {}) for key, data in batch]
            self._raise_first([key for key, _ in batch], self._together("_pipe_file", calls))

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`, and the notes of the class."""
        check_key(key)
        self._check_writable(key)
        body = bytes(Blob(data))
        with self._lock_of(key):
            current = self._current_version(key, version)
            self._check_version(key, version, current, current is not None)
            try:
                self._pipe(key, body, create=version is None)
            except FileExistsError as error:
                raise StoreConflictError("the object is there already", key=key) from error
            except Exception as error:
                reraise(error, key)
        return content_version(body)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        try:
            self.fs.rm_file(self._path(key))
        except Exception as error:
            if not is_absence(error):
                reraise(error, key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        if not is_async(self._fs):
            super().delete_many(keys)
            return
        pending = iter(keys)
        while batch := list(islice(pending, _BATCH)):
            for key in batch:
                check_key(key)
                self._check_writable(key)
            answers = self._together("_rm_file", [((self._path(key),), {}) for key in batch])
            self._raise_first(batch, [None if _is_absence(answer) else answer for answer in answers])

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`; temporary files below the prefix go too."""
        start = check_prefix(prefix)
        self._check_writable()
        self.delete_many([key for key in self._find(start) if key.startswith(start)])

    # Listing.

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        yield from keys_below(start, self._find(start))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`; one listing tells both, where the file system does."""
        start = check_prefix(prefix)
        sizes = self._find_sizes(start)
        for key in keys_below(start, sizes):
            nbytes = sizes[key]
            if nbytes is None:
                found = self.stat(key)
                nbytes = None if found is None else found.nbytes
            if nbytes is not None:
                yield key, nbytes

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = check_prefix(prefix)
        path = self._path(start.removesuffix("/"))
        try:
            self.fs.invalidate_cache(path)
            entries = self.fs.ls(path, detail=True)
        except Exception as error:
            if is_absence(error):
                return DirListing([], [])
            reraise(error, prefix)
        files = [entry["name"] for entry in entries if entry.get("type") != "directory"]
        directories = [entry["name"] for entry in entries if entry.get("type") == "directory"]
        return DirListing(self._children(start, files), self._children(start, directories))

    def _children(self, start: str, paths: list[str]) -> list[str]:
        keys = (self._key(path).removesuffix("/") for path in paths)
        return sorted({key[len(start) :] for key in keys_below(start, keys)})

    def _find(self, start: str) -> list[str]:
        """The keys of all files at or below a prefix."""
        return list(self._find_sizes(start))

    def _find_sizes(self, start: str) -> dict[str, int | None]:
        """The same with their sizes, as far as the listing tells."""
        path = self._path(start.removesuffix("/"))
        try:
            self.fs.invalidate_cache(path)
            return {self._key(found): nbytes for found, nbytes in find(self.fs, path).items()}
        except Exception as error:
            if is_absence(error):
                return {}
            reraise(error, start)

    # Between keys and paths.

    def _path(self, key: str) -> str:
        if self._takes_urls:
            key = quote(key, safe=_URL_LETTERS)
        if not self._root or not key:
            return self._root or key
        return self._root + key if self._root.endswith("/") else f"{self._root}/{key}"

    def _key(self, path: str) -> str:
        path = str(self._fs._strip_protocol(path))
        start = self._path("").rstrip("/") + "/" if self._root else ""
        key = path[len(start) :].lstrip("/") if path.startswith(start) else ""
        return unquote(key) if self._takes_urls else key

    # Answers.

    def _checked(self, body: bytes, key: str, range: ByteRange | None) -> Blob | None:
        """The blob of a body, provided that it is what was asked for."""
        start, nbytes = range or (0, None)
        if start == 0 and nbytes is None:
            return Blob(body)
        if start > 0 and nbytes is None:
            # Some file systems give nothing, and no error, for a range behind the end.
            return self._empty_range(key, (start, None)) if not body else Blob(body, object_nbytes=-1)
        due = nbytes if start >= 0 else -start
        if len(body) != due:
            raise StoreError(f"{len(body)} bytes came for a range of {due}", key=key)
        if nbytes is not None and nbytes > due:
            raise StoreError(
                f"the range of {nbytes} bytes, {-start} before the end, leaves the object", key=key
            )
        return Blob(body, nbytes=nbytes, object_nbytes=-1)

    def _empty_range(self, key: str, range: ByteRange) -> Blob | None:
        """The answer for a range that should hold no bytes, which no request can ask for."""
        found = self.stat(key)
        if found is None:
            return None
        try:
            nbytes = resolve_range(*range, found.nbytes)[1]
        except StoreError as error:
            error.key = key
            raise
        if nbytes:
            raise StoreError(f"no bytes came for a range of {nbytes}", key=key)
        return Blob(b"", version=found.version, object_nbytes=found.nbytes)

    def _failed(self, error: BaseException, key: str, range: ByteRange | None) -> Blob | None:
        """None for an absent object, else the error. How a range at the end is refused differs."""
        if is_absence(error):
            return None
        if (
            type(translated(error, key)) is StoreError
            and range is not None
            and range[1] is None
            and range[0] > 0
        ):
            found = self.stat(key)
            if found is None or found.nbytes <= range[0]:
                return self._empty_range(key, range)
        return reraise(error, key)

    def _raise_first(self, keys: list[str], answers: list[Any]) -> None:
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, BaseException):
                reraise(answer, key)

    # Requests.

    def _cat_arguments(self, key: str, range: ByteRange | None) -> Call:
        start, end = _limits(range)
        return (self._path(key),), {"start": start, "end": end}

    def _together(self, method: str, calls: list[Call]) -> list[Any]:
        """Await a method of the file system for many arguments; results and exceptions in their order."""
        fs = self.fs
        return settle(fs, getattr(fs, method), calls)

    def _pipe(self, key: str, body: bytes, *, create: bool = False) -> None:
        fs, path = self.fs, self._path(key)
        options = {"mode": "create"} if create and knows_create(fs) else {}
        try:
            fs.pipe_file(path, body, **options)
        except FileNotFoundError:
            # A file system of real directories wants them first. An object store means the bucket, which we
            # never make.
            if is_async(fs):
                raise
            fs.makedirs(os.path.dirname(path), exist_ok=True)
            fs.pipe_file(path, body, **options)

    def _current_version(self, key: str, like: str | None) -> str | None:
        """The object's version, of the kind of ``like``: made from its content, or the server's own."""
        if like is not None and like.startswith("content-"):
            blob = self.get(key)
            return None if blob is None else blob.version
        found = self.stat(key)
        return None if found is None else found.version or ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._fs, self._root, self._read_only)

    def __repr__(self) -> str:
        return f"<FsspecStore {self}>"

    def __str__(self) -> str:
        return str(self._fs.unstrip_protocol(self._root))


def _rebuild(kind: type[FsspecStore], fs: Any, path: str, read_only: bool) -> FsspecStore:
    return kind(fs, path, read_only=read_only)


def _limits(range: ByteRange | None) -> tuple[int | None, int | None]:
    """First byte and end for ``cat_file``; a part of a suffix is cut from the whole suffix later."""
    start, nbytes = range or (0, None)
    if start == 0 and nbytes is None:
        return None, None
    return start, None if nbytes is None or start < 0 else start + nbytes


def _is_absence(answer: Any) -> bool:
    return isinstance(answer, BaseException) and is_absence(answer)


def _version_in(info: Mapping[str, Any]) -> str | None:
    for field in _VERSION_FIELDS:
        if info.get(field) is not None:
            return f"{field}-{info[field]}-{info.get('size')}"
    return None


def _protocols(url: str) -> list[str]:
    return [re.split("://", part)[0] for part in url.split("::")]


def _unusable(url: str, error: Exception) -> StoreError:
    unknown = [name for name in _protocols(url) if name not in fsspec.available_protocols()]
    if unknown:
        known = ", ".join(sorted(fsspec.available_protocols()))
        return StoreError(f"no file system for {unknown[0]!r} URLs; known are {known}")
    return StoreError(f"cannot use a {_protocols(url)[0]!r} URL: {type(error).__name__}: {error}")
