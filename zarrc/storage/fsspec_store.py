"""Any fsspec file system as a store."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from zarrc.errors import ReadOnlyError, StoreConflictError, StoreError
from zarrc.kernels.blob import content_version
from zarrc.storage.base import Blob, ByteRange, DirListing, Stat, Store
from zarrc.storage.file_systems import fingerprint, remade, synchronous
from zarrc.storage.fsspec_errors import missing_package, unusable
from zarrc.storage.fsspec_paths import Paths
from zarrc.storage.keys import check_key, check_prefix, keys_below
from zarrc.storage.local import LocalStore
from zarrc.storage.remote import operations
from zarrc.storage.remote.choice import runner_of
from zarrc.storage.remote.outcomes import MUST_NOT_EXIST, Answer
from zarrc.storage.remote.running import Request, Runner
from zarrc.storage.remote.secrets import masked

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FsspecStore"]

# No object is larger. A range behind it is not worth a request, and some servers stumble over its digits.
_MOST_NBYTES = 2**62


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
    On S3 (s3fs), Google Cloud Storage (gcsfs), Azure (adlfs) and web servers, requests are made through the
    client of the file system, with its credentials and options, but not by its methods: one request for each
    object or range, whose length is checked, and whose answer tells the version too (ETag, generation).
    `set_if` decides at the service there (`is_conditional`), with one request. Web servers are only read.

    Other file systems are used by their methods. A blob's version is made from its content then, and is None
    for a range; `stat` gives the file system's own. `set_if` takes either, and decides among the threads of
    this process.

    On an asynchronous file system many objects are read, written, copied and deleted by requests that run
    together: at most ``storage.max_requests`` for one file system and ``storage.max_requests_per_process``
    for all. `get_many` gives results as they arrive, while the others are on their way, and stops asking when
    256 MiB wait to be taken. What fails for a reason that may pass (a lost connection, no answer in
    ``storage.timeout``, 5xx, "slow down", a body that is cut short) is tried again ``storage.retries`` times,
    if tenacity is installed, after pauses that grow from ``storage.retry_delay`` to
    ``storage.retry_max_delay``.

    In a forked child the file system is made anew, as fsspec demands. A pickled store holds what fsspec
    pickles of its file system: the storage options, with the credentials that are among them. Texts (``str``,
    ``repr``, errors) hold none.

    A file system on the local disk is better used as `LocalStore`; `from_url` and `from_mapper` give that.
    """

    takes_most = True
    """Whether `get_many` takes ``most=``."""

    def __init__(self, fs: Any, path: str = "", *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self._fs = synchronous(fs)
        self._paths = Paths(self._fs, path)
        self._own_runner = runner_of(self._fs)
        self._pid = os.getpid()
        self._fingerprint: str | None = None

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
        options = dict(storage_options or {})
        try:
            fs, path = fsspec.url_to_fs(url, **options)
        except ImportError as error:
            raise missing_package(url, error) from error
        except Exception as error:
            failure = unusable(url, options, error)
        else:
            return cls.from_file_system(fs, path, read_only=read_only)
        raise failure

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
        return self._runner.driver.fs

    @property
    def _runner(self) -> Runner:
        if self._pid != os.getpid():
            self._fs = remade(self._fs)
            self._own_runner = runner_of(self._fs)
            self._pid = os.getpid()
        return self._own_runner

    @property
    def path(self) -> str:
        """The directory in the file system."""
        return self._paths.root

    @property
    def identity(self) -> Hashable:
        """Equal for two stores whose file systems were made alike, on one directory."""
        return self.identity_of("")

    def identity_of(self, prefix: str) -> Hashable:
        """Equal for two prefixes of stores, also with different roots, that are one directory."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._fs)
        return "fsspec", self._fingerprint, self._paths.place(check_prefix(prefix).removesuffix("/"))

    @property
    def is_conditional(self) -> bool:
        """See `Store.is_conditional`: True on S3, Google Cloud Storage and Azure."""
        return self._runner.driver.conditional

    # Reading.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        request = self._reading(0, key, range, None)
        return _blob(self._runner.run(key, request.call, *request.args), range)

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`.

        Parameters
        ----------
        requests : sequence of (str, range or None)
            Key and range of each.
        most : int, optional
            The most bytes that a whole object, or one from a byte to its end, can rightly have: of a larger
            one nothing is read, and it is a `StoreError`. Without it, what the server says is believed.

        Yields
        ------
        (int, Blob or None)
            The number of the request and its answer.
        """
        asked = []
        for number, (key, range) in enumerate(requests):
            check_key(key)
            asked.append(self._reading(number, key, range, most))
        for number, answer in self._runner.stream(asked):
            yield number, _blob(answer, requests[number][1])

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        runner = self._runner
        found: Stat | None = runner.run(key, runner.driver.head, self._path(key))
        return found

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        runner, asked = self._runner, []
        for number, key in enumerate(keys):
            check_key(key)
            asked.append(Request(number, key, runner.driver.head, (self._path(key),)))
        yield from runner.stream(asked)

    def _reading(self, number: int, key: str, range: ByteRange | None, most: int | None) -> Request:
        """The request for an object or a range."""
        driver, path = self._runner.driver, self._path(key)
        if range is None or range == (0, None):
            return Request(number, key, driver.get, (path, None, None, most))
        start, nbytes = range
        if (nbytes is not None and nbytes <= 0) or abs(start) + (nbytes or 0) >= _MOST_NBYTES:
            return Request(number, key, operations.head_of_range, (driver, path, start, nbytes))
        if start < 0:
            expected = -start if nbytes is None else nbytes
            call = operations.read_suffix
            return Request(number, key, call, (driver, path, -start, nbytes, most), expected)
        if nbytes is None:
            return Request(number, key, operations.read_to_end, (driver, path, start, most))
        return Request(number, key, driver.get, (path, start, nbytes, None), nbytes)

    # Writing.

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        self.set_many(((key, data),))

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`. Items are taken when there is room for them, and can be made meanwhile."""
        driver = self._runner.driver

        def requests() -> Iterator[Request]:
            for key, data in items:
                self._check_target(key)
                body = bytes(Blob(data))
                yield Request(0, key, operations.put, (driver, self._path(key), body), len(body))

        self._do(requests())

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`, and the notes of the class."""
        self._check_target(key)
        body = bytes(Blob(data))
        runner, path = self._runner, self._path(key)
        if not runner.driver.conditional:
            return self._set_if_locked(runner, key, body, version)
        if version == MUST_NOT_EXIST:
            raise StoreConflictError("the object changed since its version was read", key=key)
        condition = MUST_NOT_EXIST if version is None else version
        try:
            written: str | None = runner.run(
                key, operations.put_if, runner.driver, path, body, condition, [], nbytes=len(body)
            )
        except StoreConflictError as error:
            conflict = error
        else:
            return written
        text = "is there already" if version is None else "changed since its version was read"
        raise StoreConflictError(f"the object {text}", key=key) from conflict.__cause__

    def _set_if_locked(self, runner: Runner, key: str, body: bytes, version: str | None) -> str | None:
        condition = MUST_NOT_EXIST if version is None else None
        with self._lock_of(key):
            current = self._current_version(key, version)
            self._check_version(key, version, current, current is not None)
            try:
                written: str | None = runner.run(
                    key,
                    operations.put,
                    runner.driver,
                    self._path(key),
                    body,
                    condition,
                    nbytes=len(body),
                )
            except StoreConflictError as error:
                conflict = error
            else:
                return written if runner.driver.versions else content_version(body)
        raise StoreConflictError("the object is there already", key=key) from conflict.__cause__

    def _current_version(self, key: str, like: str | None) -> str | None:
        """The object's version, of the kind of ``like``: made from its content, or the file system's own."""
        if like is not None and like.startswith("content-"):
            blob = self.get(key)
            return None if blob is None else blob.version
        found = self.stat(key)
        return None if found is None else found.version or ""

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`; at the service on S3, Google Cloud Storage and Azure."""
        self.copy_many([(source, target)])

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        driver = self._runner.driver

        def requests() -> Iterator[Request]:
            for source, target in pairs:
                check_key(source)
                self._check_target(target)
                paths = self._path(source), self._path(target)
                yield Request(0, source, operations.copy, (driver, *paths))

        for key, result in self._results(requests()):
            if result is None:
                raise StoreError("there is no such object to copy", key=key)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self.delete_many((key,))

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        driver = self._runner.driver

        def requests() -> Iterator[Request]:
            group: list[str] = []
            # Once each: two requests for one object at a time may get in each other's way.
            for key in dict.fromkeys(keys):
                self._check_target(key)
                group.append(key)
                if len(group) >= driver.bulk:
                    yield deletion(group)
                    group = []
            if group:
                yield deletion(group)

        def deletion(group: list[str]) -> Request:
            paths = [self._path(key) for key in group]
            return Request(0, group[0], operations.delete, (driver, paths))

        self._do(requests())

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`; temporary files below the prefix go too."""
        start = check_prefix(prefix)
        self._check_writable()
        self.delete_many([key for key in self._find(start) if key.startswith(start)])

    def _path(self, key: str) -> str:
        return self._paths.path(key)

    def _check_target(self, key: str) -> None:
        check_key(key)
        self._check_writable(key)

    def _check_writable(self, key: str | None = None) -> None:
        reason = self._own_runner.driver.read_only
        if reason is not None:
            raise ReadOnlyError(f"{self}: {reason}", key=key)
        super()._check_writable(key)

    def _do(self, requests: Iterator[Request]) -> None:
        for _ in self._results(requests):
            pass

    def _results(self, requests: Iterator[Request]) -> Iterator[tuple[str, Any]]:
        """Key and result of requests that change something; after an error none of them is in flight."""
        keys: dict[int, str] = {}

        def numbered() -> Iterator[Request]:
            for number, request in enumerate(requests):
                keys[number] = request.key
                yield request._replace(number=number)

        for number, result in self._runner.stream(numbered(), settled=True):
            yield keys.pop(number), result

    # Listing.

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        yield from keys_below(start, self._find(start))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`; one listing tells both, where the file system does."""
        start = check_prefix(prefix)
        sizes = self._find(start)
        unknown = []
        for key in keys_below(start, sizes):
            nbytes = sizes[key]
            if nbytes is None:
                unknown.append(key)
            else:
                yield key, nbytes
        for number, found in self.stat_many(unknown):
            if found is not None:
                yield unknown[number], found.nbytes

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = check_prefix(prefix)
        runner = self._runner
        entries = runner.run(start, runner.driver.ls, self._path(start.removesuffix("/"))) or ()
        files = [entry["name"] for entry in entries if entry.get("type") != "directory"]
        directories = [entry["name"] for entry in entries if entry.get("type") == "directory"]
        return DirListing(self._children(start, files), self._children(start, directories))

    def _children(self, start: str, paths: list[str]) -> list[str]:
        keys = (self._paths.key(path).removesuffix("/") for path in paths)
        return sorted({key[len(start) :] for key in keys_below(start, keys)})

    def _find(self, start: str) -> dict[str, int | None]:
        """The keys of all files at or below a prefix, with their sizes as far as the listing tells."""
        runner = self._runner
        found = runner.run(start, runner.driver.find, self._path(start.removesuffix("/"))) or {}
        return {self._paths.key(path): nbytes for path, nbytes in found.items()}

    # What it is.

    def __reduce__(self) -> tuple[Any, ...]:
        # fsspec's memory stays here: elsewhere an array would be there, and all of it fill value.
        home = _MEMORY if self._fs.protocol == "memory" else None
        return _rebuild, (type(self), self._fs, self._paths.whole_root, self._read_only, home)

    def __repr__(self) -> str:
        return f"<FsspecStore {self}>"

    def __str__(self) -> str:
        return masked(str(self._fs.unstrip_protocol(self._paths.root)), self._own_runner.secrets)


# Which memory this is: that of a forked child is a copy, and has the same.
_MEMORY: Final = os.urandom(16)


def _rebuild(
    kind: type[FsspecStore], fs: Any, path: str, read_only: bool, home: bytes | None = None
) -> FsspecStore:
    if home is not None and home != _MEMORY:
        raise StoreError("a store of memory:// is in the memory of another process")
    return kind(fs, path, read_only=read_only)


def _blob(answer: Answer | None, range: ByteRange | None) -> Blob | None:
    if answer is None:
        return None
    data, version, nbytes = answer
    if range is None or range == (0, None):
        return Blob(data, version=version)
    return Blob(data, version=version, object_nbytes=-1 if nbytes is None else nbytes)
