"""A directory of the local file system as a store."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreDeniedError, StoreError
from zarrc.kernels import local_io
from zarrc.storage.base import Blob, ByteRange, DirListing, Stat, Store
from zarrc.storage.keys import RESERVED, check_key, check_prefix, is_key

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.kernels.locks import FileLock

__all__ = ["LocalStore"]

# What link() says where the file system knows no hard links.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalStore(Store):
    """A directory: each object is a file, and the slashes of its key are directories.

    Parameters
    ----------
    root : str or os.PathLike
        The directory. A relative path counts from the working directory of now; ``~`` is a name like any
        other. It need not be there: the first write makes it.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.
    durable : bool, optional
        Whether what was written is on the disk when a call returns: each file is flushed before it takes its
        place, and then its directory. By default as ``config["storage.durable"]``, which is False.

    Notes
    -----
    A file is written under a temporary name beside its place (``.zc-...``) and renamed, so that neither a
    reader nor a killed process finds half of it; after a kill, or a power cut, the temporary file may stay.
    Listings leave it out; `delete_prefix` removes it. Unless the store is durable nothing is flushed to the
    disk, and a power cut can take what was written in the last seconds: the new content, or the old and the
    new, on file systems that do not keep renames behind the data.

    `set_if` decides among all processes: it makes a hard link, where the object must not be there and the
    file system knows links, and else has a lock file (``flock``) beside the object while it compares and
    replaces. A plain `set` takes no lock: one that comes between the two is replaced. Two plain `set` within
    one tick of the file system's clock can give one version.

    Symbolic links are followed. Access, locks and caches go by where they lead.
    """

    def __init__(
        self, root: str | os.PathLike[str], *, read_only: bool = False, durable: bool | None = None
    ) -> None:
        self._read_only = bool(read_only)
        if durable is not None and durable not in (True, False):
            raise TypeError(f"durable must be True, False or None, not {durable!r}")
        self._durable = bool(config.get("storage.durable") if durable is None else durable)
        path = root if type(root) is str else os.fspath(root)
        if not isinstance(path, str):
            raise TypeError(f"a path is a str or a pathlib.Path, not {type(path).__name__}")
        if "\0" in path:
            raise ValueError("a path holds no NUL")
        self._root = _absolute(path)
        self._start = os.fsencode(self._root.rstrip("/")) + b"/"

    @property
    def root(self) -> str:
        """The absolute path of the directory."""
        return self._root

    @property
    def local_root(self) -> str | None:
        """The absolute path of the directory."""
        return self._root

    @property
    def is_conditional(self) -> bool:
        """True: `set_if` decides among all processes that use it."""
        return True

    @property
    def durable(self) -> bool:
        """Whether files and directories are flushed to the disk."""
        return self._durable

    def lock_path(self, key: str) -> str | None:
        """See `Store.lock_path`: the file itself."""
        return os.fsdecode(self._path(key))

    @property
    def identity(self) -> Hashable:
        """Equal for two paths that lead to one directory."""
        return self.identity_of("")

    def identity_of(self, prefix: str) -> Hashable:
        """Equal for two prefixes, of any two local stores, that lead to one directory."""
        return "local", os.path.realpath(self._directory(check_prefix(prefix)))

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        start, nbytes = range or (0, None)
        try:
            return local_io.read(self._path(key), start, nbytes)
        except StoreError as error:
            error.key = key
            raise

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`; the file is read straight into ``buffer``."""
        check_key(key)
        start, nbytes = range or (0, None)
        try:
            return local_io.read_into(self._path(key), buffer, start, nbytes)
        except StoreError as error:
            error.key = key
            raise

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        try:
            found = local_io.stat(self._path(key))
        except StoreError as error:
            error.key = key
            raise
        return None if found is None else Stat(*found)

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        self._check_writable(key)
        path = self._path(key)
        try:
            if not local_io.replace(path, self._place, data):
                self._make_root()
                if not local_io.replace(path, self._place, data):
                    raise self._root_vanished()
        except StoreError as error:
            error.key = key
            raise

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`, and the notes of the class."""
        check_key(key)
        self._check_writable(key)
        try:
            return self._create(key, data) if version is None else self._swap(key, data, version)
        except StoreError as error:
            error.key = key
            raise

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`; the system copies the file, or shares its blocks where it can."""
        check_key(source)
        check_key(target)
        self._check_writable(target)
        try:
            if not local_io.copy(self._path(source), self._path(target), self._place):
                raise StoreError("there is no such object to copy", key=source)
        except StoreError as error:
            error.key = error.key or target
            raise

    def delete(self, key: str) -> None:
        """See `Store.delete`; directories stay."""
        check_key(key)
        self._check_writable(key)
        try:
            local_io.remove(self._path(key), self._durable)
        except StoreError as error:
            error.key = key
            raise

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`; directories and temporary files below the prefix go too."""
        from zarrc.storage.directories import remove_contents

        start = check_prefix(prefix)
        self._check_writable()
        try:
            remove_contents(self._directory(start), itself=start != "")
            if self._durable:
                self._flush_above(start)
        except OSError as error:
            raise _translated(error, prefix) from error

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        from zarrc.storage.directories import walk

        start = check_prefix(prefix)
        try:
            for path in walk(self._directory(start), hidden=RESERVED):
                if is_key(start + path):
                    yield start + path
        except OSError as error:
            raise _translated(error, prefix) from error

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        from zarrc.storage.directories import scan

        start = check_prefix(prefix)
        try:
            files, directories = scan(self._directory(start), hidden=RESERVED)
        except OSError as error:
            raise _translated(error, prefix) from error
        return DirListing(sorted(filter(is_key, files)), sorted(filter(is_key, directories)))

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`."""
        try:
            mode = os.stat(self._root).st_mode
        except FileNotFoundError:
            return f"there is no directory {self._root!r}"
        except OSError as error:
            return f"{self._root!r} cannot be read: {error.strerror}"
        return None if stat.S_ISDIR(mode) else f"{self._root!r} is a file, not a directory"

    def _path(self, key: str) -> bytes:
        return self._start + key.encode()

    def _directory(self, start: str) -> str:
        return os.path.join(self._root, start.removesuffix("/"))

    @property
    def _place(self) -> int:
        """What `local_io` is told of the root."""
        nbytes = len(self._start) - 1
        return nbytes | local_io.DURABLE if self._durable else nbytes

    def _make_root(self) -> None:
        try:
            if self._durable:
                from zarrc.storage.directories import make_durably

                make_durably(self._root)
            os.makedirs(self._root, exist_ok=True)
        except OSError as error:
            raise _translated(error, None) from error

    def _flush_above(self, start: str) -> None:
        """Flush the directory that a removed one was in; of the root, which stays, itself."""
        from zarrc.storage.directories import flush_directory

        path = self._directory(start)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            flush_directory(os.path.dirname(path) if start else path)

    def _root_vanished(self) -> StoreError:
        return StoreError(f"the directory {self._root!r} was removed while it was written to")

    def _create(self, key: str, data: Buffer) -> str:
        path = self._path(key)
        try:
            version = local_io.create(path, self._place, data)
            if version is None:
                self._make_root()
                version = local_io.create(path, self._place, data)
        except StoreError as error:
            if error.errno == errno.EEXIST:
                raise StoreConflictError("the object is there already", key=key) from None
            if error.errno in _NO_LINKS:
                return self._create_without_links(key, data)
            raise
        if version is None:
            raise self._root_vanished()
        return version

    def _create_without_links(self, key: str, data: Buffer) -> str:
        with self._lock_of(key), self._file_lock(key):
            self._check_version(key, None, None, local_io.stat(self._path(key)) is not None)
            return self._replace_stamped(key, data)

    def _file_lock(self, key: str) -> FileLock:
        from zarrc.kernels.locks import FileLock

        # Of another name than that of locking="file", which the caller may have.
        return FileLock(
            self._path(key) + b".if", 0, config.get("storage.lock_timeout"), config.get("storage.lock")
        )

    def _swap(self, key: str, data: Buffer, version: str) -> str:
        if local_io.stat(self._path(key)) is None:  # no lock file, and no directory for one
            self._check_version(key, version, None, exists=False)
        with self._lock_of(key), self._file_lock(key):
            found = local_io.stat(self._path(key))
            self._check_version(key, version, None if found is None else found[1], found is not None)
            return self._replace_stamped(key, data)

    def _replace_stamped(self, key: str, data: Buffer) -> str:
        version = local_io.replace_stamped(self._path(key), self._place, data)
        if version is None:
            raise self._root_vanished()
        return version

    def __repr__(self) -> str:
        read_only = ", read_only=True" if self._read_only else ""
        return f"LocalStore({self._root!r}{read_only}{', durable=True' if self._durable else ''})"

    def __str__(self) -> str:
        return f"file://{self._root}"


def _absolute(path: str) -> str:
    """The absolute path. Where a link comes before a "..", the text alone does not tell where that leads."""
    if ".." in path.split("/"):
        return os.path.realpath(path)
    return os.path.abspath(path)


def _translated(error: OSError, key: str | None) -> StoreError:
    """A failing call of Python's os module as one of our errors."""
    denied = error.errno in (errno.EPERM, errno.EACCES, errno.EROFS)
    kind = StoreDeniedError if denied else StoreError
    result = kind(f"{error.strerror or error} [errno {error.errno}]", key=key)
    result.errno = error.errno
    return result
