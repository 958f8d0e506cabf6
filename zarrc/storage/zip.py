"""A zip archive as a store."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias

from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat, Store
from zarrc.storage.keys import check_key, check_prefix, keys_below
from zarrc.storage.zip_archive import Archive, Lease, View, leased
from zarrc.storage.zip_changes import Entry, as_copy, encoded
from zarrc.storage.zip_format import DEFLATED, STORED
from zarrc.storage.zip_home import Home, LocalHome, ObjectHome, StreamHome
from zarrc.storage.zip_reading import Piece, Snapshot, data_start, piece, read_many, read_one, version_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ZipStore"]

_METHODS: Final = {"stored": STORED, STORED: STORED, "deflate": DEFLATED, DEFLATED: DEFLATED}
_MARKERS: Final = ("zarr.json", ".zarray", ".zgroup")
# How often an archive may be replaced while something is read from it.
_TRIES: Final = 20
# What is in memory at once while changes are put into the archive.
_BATCH: Final = 64

ZipMode: TypeAlias = Literal["r", "r+", "a", "w", "w-", "x"]


class ZipStore(Store):
    """The members of a zip archive: a file, an object of another store, or a file object.

    Parameters
    ----------
    path : str, os.PathLike or file object
        A path; a URL that fsspec knows, with or without ``zip::`` before it; or a binary file object that can
        seek.
    mode : {"r", "r+", "a", "w", "w-", "x"}, default "a"
        "r" is ``read_only=True``; "r+" wants the archive to be there, "w-" and "x" that it is not; "w"
        replaces it when the store is flushed.
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`.
    compression : {"stored", "deflate"}, default "stored"
        How new members are kept. Chunks are compressed already; of a deflated member no part can be read
        alone.
    storage_options : mapping, optional
        For a URL: what its file system is made with.

    Raises
    ------
    StoreConflictError
        If the archive is there and ``mode`` is "w-" or "x".

    Notes
    -----
    What is written goes to a file beside the archive (``.zc-new-...``), and can be read at once by all
    stores of this process that are on the archive. It becomes the archive's all together, when `flush` or
    `close` is called, when the last store on the archive is gone (also those that arrays and groups hold),
    and when the process ends other than by a signal. Until then other processes see the archive as it was,
    and cannot write to it: that is a `StoreError`.

    A killed process leaves the archive as it was, or as it should be. Other programs can read it at every
    moment but for one: while a flush appends to an archive of more than 1 MiB that is larger than what is
    appended, and, if it is killed then, until the next time that zarrc writes to the archive. Stores of zarrc
    read it also then.

    Replaced and deleted members stay in an archive that was appended to, as bytes that nobody finds, as does
    the old directory; `compact` removes them.

    A remote archive is read by ranges. To change it, all of it is downloaded and uploaded again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | IO[bytes],
        *,
        mode: ZipMode | None = None,
        read_only: bool = False,
        compression: Literal["stored", "deflate"] | int = "stored",
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        if mode not in (None, "r", "r+", "a", "w", "w-", "x"):
            raise ValueError(f"mode must be 'r', 'r+', 'a', 'w', 'w-' or 'x', not {mode!r}")
        if compression not in _METHODS:
            raise ValueError(f"compression must be 'stored' or 'deflate', not {compression!r}")
        super().__init__(read_only=read_only or mode == "r")
        self._method = _METHODS[compression]
        self._lease: Lease = leased(_home(path, storage_options))
        if mode in ("w-", "x", "r+"):
            self._check_presence(wanted=mode == "r+")
        elif mode == "w":
            self._check_writable()
            with self._archive.changing() as view:
                self._archive.publish({}, list(view.keys("")))

    @classmethod
    def from_store(cls, store: Store, key: str, *, read_only: bool = False) -> Self:
        """The store of an archive that is an object of another one.

        Parameters
        ----------
        store : Store
            The other store; its batches of ranges serve the members.
        key : str
            Key of the archive in it.
        read_only : bool, default False
            As for the class; True if the other store is read-only.
        """
        check_key(key)
        return cls._on(ObjectHome(store, key), read_only=read_only or store.read_only)

    @classmethod
    def _on(cls, home: Home, *, read_only: bool, method: int = STORED) -> Self:
        self = cls.__new__(cls)
        Store.__init__(self, read_only=read_only)
        self._method = method
        self._lease = leased(home)
        return self

    @property
    def _archive(self) -> Archive:
        return self._lease.archive

    @property
    def path(self) -> str:
        """Where the archive is."""
        return str(self._archive.home)

    @property
    def identity(self) -> Hashable:
        """Equal for two stores on one archive."""
        return self._archive.home.identity

    @property
    def is_conditional(self) -> bool:
        """True: one process writes at a time. For a remote archive it is what the other store says."""
        home = self._archive.home
        return home.store.is_conditional if isinstance(home, ObjectHome) else True

    # Reading.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`. The checksum is compared unless a part of a stored member is read."""
        check_key(key)
        view: View | None = self._archive.view()
        failure: StoreError | None = None
        for _ in _attempts():
            if view is None:
                break
            try:
                blob = _read(view, key, range)
            except StoreError as error:
                failure = _with_key(error, key)
            else:
                if blob is None or not _is_part(range) or self._archive.is_still(view):
                    return blob
                failure = None
            view = self._archive.again(view)
        raise failure or _moving(key)

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`; one batch of the other store, or threads that read the file."""
        for key, _ in requests:
            check_key(key)
        view: View | None = self._archive.view()
        left = dict(enumerate(requests))
        failure: StoreError | None = None
        for _ in _attempts():
            if view is None:
                break
            failure = None
            try:
                for number, blob in _read_many(view, left):
                    # Of a file that changes, only what a checksum covers is right for certain.
                    if blob is None or not _is_part(left[number][1]) or self._archive.is_still(view):
                        del left[number]
                        yield number, blob
            except StoreError as error:
                failure = error
            if not left:
                return
            view = self._archive.again(view)
        raise failure or _moving(next(iter(left.values()))[0])

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        if memoryview(buffer).readonly:
            raise TypeError("the buffer cannot be written to")
        return super().get_into(key, buffer, range)

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`; the version is made from checksum and size, and the directory tells both."""
        check_key(key)
        try:
            return _stat(self._archive.view(), key)
        except StoreError as error:
            raise _with_key(error, key) from None

    # Listing.

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`. Names that are no legal keys (``../x``, ``/x``) are left out."""
        start = check_prefix(prefix)
        yield from keys_below(start, self._archive.view().keys(start))

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = check_prefix(prefix)
        names = self._archive.view().children(start)
        keys = (name for name in names if not name.endswith("/"))
        prefixes = (name[:-1] for name in names if name.endswith("/"))
        return DirListing(sorted(keys_below("", keys)), sorted(keys_below("", prefixes)))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`; nothing is read."""
        start = check_prefix(prefix)
        view = self._archive.view()
        for key in keys_below(start, view.keys(start)):
            found = _stat(view, key)
            if found is not None:
                yield key, found.nbytes

    # Writing.

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`, and the notes of the class."""
        check_key(key)
        self._check_writable(key)
        self._change([(key, data)], [])

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        self._check_writable(key)
        self._change([], [key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`; all or none."""
        wanted = list(keys)
        for key in wanted:
            check_key(key)
            self._check_writable(key)
        self._change([], wanted)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`; all or none, temporary objects below the prefix too."""
        start = check_prefix(prefix)
        self._check_writable()
        with self._archive.lock:
            self._change([], list(self._archive.view().keys(start)))

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`; a version that comes back stands for the same bytes."""
        check_key(key)
        self._check_writable(key)
        new = encoded(key, data, self._method)
        archive = self._archive
        with _named(key), archive.changing() as view:
            found = _stat(view, key)
            self._check_version(key, version, None if found is None else found.version, found is not None)
            archive.publish({key: archive.write(new)}, ())
        return version_of(new.facts)

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`; nothing is decoded."""
        check_key(source)
        check_key(target)
        self._check_writable(target)
        archive = self._archive
        with _named(source), archive.changing() as view:
            found = _find(view, source)
            if found is None:
                raise StoreError("there is no such object to copy", key=source)
            snapshot, one = found
            start = data_start(snapshot, one.member)
            stored = memoryview(snapshot.source.read(start, one.member.facts.stored_nbytes))
            archive.publish({target: archive.write(as_copy(target, one.member.facts, stored))}, ())

    def _change(self, items: list[tuple[str, Buffer]], gone: list[str]) -> None:
        new = [(key, encoded(key, data, self._method)) for key, data in items]
        archive = self._archive
        with _named((*(key for key, _ in items), *gone, "")[0]), archive.lock:
            if not new and not any(map(archive.view().has, gone)):
                return
            with archive.changing():
                archive.publish({key: archive.write(one) for key, one in new}, gone)

    # Changes in one step.

    @property
    def is_atomic(self) -> bool:
        """True but for a file object: changes appear with the new directory."""
        return not isinstance(self._archive.home, StreamHome)

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`; what was written before and not flushed yet appears with it.

        Another process that writes is waited for, as long as ``storage.lock_timeout`` says.
        """
        for key in (*changes.expected, *changes.sets, *changes.deletes):
            check_key(key)
        self._check_writable()
        archive = self._archive
        with archive.changing(wait=config.get("storage.lock_timeout")):
            self._check_expected(changes)
            entries = dict(self._staged(changes))
            with archive.all_or_nothing():
                archive.publish(entries, changes.deletes)

    def _staged(self, changes: Changes) -> Iterator[tuple[str, Entry]]:
        """What is to be set, in the file beside the archive."""
        wanted = list(changes.sets.items())
        for first in range(0, len(wanted), _BATCH):
            batch = wanted[first : first + _BATCH]
            for number, blob in changes.staged.get_many([(staged, None) for _, staged in batch]):
                key, staged = batch[number]
                if blob is None:
                    raise StoreError(f"what was to be stored is not in {changes.staged}", key=staged)
                yield key, self._archive.write(encoded(key, blob, self._method))

    # What the store is.

    def flush(self) -> None:
        """Make what was written a part of the archive, for other processes too.

        Raises
        ------
        StoreError
            If that fails, for instance since the disk is full: the archive is as before, and it can be tried
            again.
        StoreConflictError
            If another program changed the archive meanwhile.
        """
        self._archive.flush()

    def close(self) -> None:
        """Flush, and close the file. The store can be used again."""
        self._archive.close()

    def discard(self) -> None:
        """Forget what was written since the last flush, by all stores of this process on the archive."""
        self._archive.drop()

    def compact(self) -> tuple[int, int]:
        """Write the archive anew, without the bytes that replaced and deleted members left in it.

        Returns
        -------
        (int, int)
            Size of the archive before and after, in bytes.
        """
        self._check_writable()
        with self._archive.lock:
            self._archive.flush()
            before = _archive_nbytes(self._archive.view())
            if before:
                self._archive.flush(anew=True)
            return before, _archive_nbytes(self._archive.view())

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`; a hierarchy that is below a directory in the archive is named."""
        view = self._archive.view()
        if view.base.snapshot is None and not view.changes:
            return f"there is no zip archive {self.path!r}"
        prefix = ""
        for _ in range(8):
            listing = self.list_dir(prefix)
            prefixes = [name for name in listing.prefixes if name != "__MACOSX"]
            if any(name in listing.keys for name in _MARKERS):
                return f"in the archive it is below {prefix!r}: pass path={prefix!r}" if prefix else None
            if len(prefixes) != 1:
                break
            prefix = f"{prefix}/{prefixes[0]}" if prefix else prefixes[0]
        empty = next(self.list_prefix(""), None) is None
        return f"the zip archive {self.path!r} has no members" if empty else None

    def _check_presence(self, *, wanted: bool) -> None:
        view = self._archive.view()
        there = view.base.snapshot is not None or bool(view.changes)
        if wanted and not there:
            raise StoreError(f"there is no zip archive {self.path!r}")
        if there and not wanted:
            raise StoreConflictError(f"there is a zip archive {self.path!r} already")

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        home = self._archive.home
        if isinstance(home, StreamHome):
            raise TypeError("a zip store on a file object cannot be pickled; give it a path")
        # Whoever gets it looks at the archive, which must have what was written.
        self._archive.flush()
        place: Any = home.path if isinstance(home, LocalHome) else (home.store, home.key)  # type: ignore[attr-defined]
        return _rebuild, (type(self), place, self._read_only, self._method)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r}{', read_only=True' if self._read_only else ''})"

    def __str__(self) -> str:
        return f"zip::{self.path}"


def _rebuild(kind: type[ZipStore], place: Any, read_only: bool, method: int) -> ZipStore:
    home: Home = LocalHome(place) if isinstance(place, str) else ObjectHome(*place)
    return kind._on(home, read_only=read_only, method=method)


def _home(path: Any, storage_options: Mapping[str, Any] | None) -> Home:
    if isinstance(path, (str, os.PathLike)) and not hasattr(path, "storage_options"):
        text = os.fspath(path)
        if not isinstance(text, str):
            raise TypeError(f"a path is a str or a pathlib.Path, not {type(text).__name__}")
        text = text.removeprefix("zip::")
        local = re.match(r"(?:file|local)://(?!.*::)", text)
        if local is None and re.match(r"[A-Za-z][A-Za-z0-9+.\-]+(://|::)", text):
            return _remote_home(text, storage_options)
        if storage_options:
            raise TypeError("storage_options are for URLs; this archive is a file")
        text = text[local.end() :] if local is not None else text
        if "\0" in text:
            raise ValueError("a path holds no NUL")
        return LocalHome(text)
    if hasattr(path, "storage_options"):  # of universal_pathlib
        return _remote_home(str(path), path.storage_options)
    if hasattr(path, "read") and hasattr(path, "seek"):
        return StreamHome(path)
    raise TypeError(f"an archive is a path, a URL or a binary file object, not {type(path).__name__}")


def _remote_home(url: str, storage_options: Mapping[str, Any] | None) -> Home:
    from zarrc.storage.fsspec_store import FsspecStore

    # Of chained URLs the path is the first one's.
    first, chain, rest = url.partition("::")
    query = ""
    if first.lower().startswith(("http://", "https://")):  # "?" is a letter elsewhere
        first, mark, query = first.partition("?")
        query = mark + query
    above, slash, name = first.rpartition("/")
    if not slash or not name or "://" not in first:
        raise StoreError("the URL of a zip archive ends with its name")
    store = FsspecStore.from_url(f"{above}/{query}{chain}{rest}", storage_options=storage_options)
    if store.local_root is not None:
        return LocalHome(os.path.join(store.local_root, name))
    return ObjectHome(store, name)


def _attempts() -> range:
    return range(_TRIES)


def _is_part(range: ByteRange | None) -> bool:
    return range is not None and range != (0, None)


def _moving(key: str) -> StoreError:
    return StoreError("the zip archive was changed while it was read, again and again", key=key)


def _with_key(error: StoreError, key: str) -> StoreError:
    if error.key is None or isinstance(error, StoreConflictError):
        error.key = key
    return error


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Say which object it is about, where an error does not."""
    try:
        yield
    except StoreError as error:
        raise _with_key(error, key) from error.__cause__


def _find(
    view: View, key: str, number: int = 0, range: ByteRange | None = None
) -> tuple[Snapshot, Piece] | None:
    """Where an object, or a range of it, is to be read."""
    try:
        snapshot, entry, at = view.entry(key)
        if entry is not None:
            return _side(entry), piece(number, entry.member, range)
        if at < 0 or snapshot is None:
            return None
        return snapshot, piece(number, snapshot.directory.member(at), range)
    except StoreError as error:
        raise _with_key(error, key) from None


def _side(entry: Entry) -> Snapshot:
    return Snapshot(entry.file, _Placed(entry.data_start))  # type: ignore[arg-type]


class _Placed:
    """Stands for a directory whose only member starts at a known byte."""

    __slots__ = ("data_starts",)

    def __init__(self, start: int) -> None:
        self.data_starts = (start,)


def _read(view: View, key: str, range: ByteRange | None) -> Blob | None:
    found = _find(view, key, 0, range)
    return None if found is None else read_one(*found)


def _read_many(
    view: View, requests: Mapping[int, tuple[str, ByteRange | None]]
) -> Iterator[tuple[int, Blob | None]]:
    pieces: list[Piece] = []
    keys: dict[int, str] = {}
    snapshot = view.base.snapshot
    for number, (key, range) in list(requests.items()):
        found = _find(view, key, number, range)
        if found is None:
            yield number, None
        elif found[0] is snapshot:
            pieces.append(found[1])
            keys[number] = key
        else:
            yield number, _keyed(key, *found)
    if pieces and snapshot is not None:
        yield from read_many(snapshot, pieces)


def _keyed(key: str, snapshot: Snapshot, one: Piece) -> Blob:
    try:
        return read_one(snapshot, one)
    except StoreError as error:
        raise _with_key(error, key) from None


def _stat(view: View, key: str) -> Stat | None:
    _, entry, number = view.entry(key)
    if entry is not None:
        return Stat(entry.facts.nbytes, version_of(entry.facts))
    if number < 0:
        return None
    facts = view.directory.member(number).facts
    return Stat(facts.nbytes, version_of(facts))


def _archive_nbytes(view: View) -> int:
    return 0 if view.base.snapshot is None else view.base.snapshot.source.nbytes
