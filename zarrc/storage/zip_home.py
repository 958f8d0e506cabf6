"""Where a zip archive is: how it is opened, noticed to have changed, and replaced."""

from __future__ import annotations

import os
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage import zip_undo
from zarrc.storage.zip_changes import SideFile
from zarrc.storage.zip_commit import Changes, append, complete, live_nbytes, reached
from zarrc.storage.zip_directory import Directory
from zarrc.storage.zip_format import MAX_END_NBYTES, find_end
from zarrc.storage.zip_reading import Snapshot
from zarrc.storage.zip_source import LocalFile, ObjectSource, Source, StreamSource, stamp_of

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["ABSENT", "Base", "Home", "LocalHome", "ObjectHome", "StreamHome", "Writing"]

# An archive that is not larger, or not than what is added to it, is written anew: there is no moment at which
# it cannot be read.
_SMALL: Final = 2**20
# Garbage among new members that is not worth a copy of them.
_LITTLE_GARBAGE: Final = 2**16
# The end of a remote archive that is read first: most directories are in it.
_REMOTE_TAIL: Final = 2**18
# A larger archive is uploaded from its file, where the file system can do that.
_UPLOAD_NBYTES: Final = 2**26
_TRIES: Final = 100


class Base(NamedTuple):
    """One state of an archive in its place; `snapshot` is None where there is none."""

    snapshot: Snapshot | None
    stamp: Hashable
    comment: bytes = b""


ABSENT: Final = Base(None, None)


class Writing:
    """The right to change an archive, and the file beside it that new members go to."""

    def __init__(self, side_path: str, lock: zip_undo.WriterLock | None, mode: int = 0o666) -> None:
        self.lock = lock
        try:
            self.side = SideFile(side_path, mode)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        if self.lock is not None:
            self.lock.release()

    def drop(self) -> None:
        """Forget what was written."""
        self.side.drop()
        self.release()

    def forget(self) -> None:
        """In a forked child: what was written is its parent's, which writes it."""
        if self.lock is not None:
            self.lock.forget()


class Home(ABC):
    """The place of an archive."""

    identity: Hashable
    changes_by_itself = True
    """Whether `stamp` is cheap, and is asked for before each use."""

    @abstractmethod
    def stamp(self) -> Hashable:
        """What differs between two states of the place; None if there is nothing."""

    @abstractmethod
    def load(self, old: Base) -> Base:
        """The state of the place; ``old`` spares reading what did not change."""

    @abstractmethod
    def begin(self, wait: float = 0.0) -> Writing:
        """Begin to change the archive; wait so many seconds for somebody else.

        Raises
        ------
        StoreError
            If somebody else is about to change it.
        """

    @abstractmethod
    def commit(self, writing: Writing, base: Base, changes: Changes, anew: bool) -> Base:
        """Make the changes those of the archive, all at once; ``anew`` leaves no garbage."""

    def finish_anew(
        self, writing: Writing, base: Base, changes: Changes, path: str
    ) -> tuple[SideFile, Directory]:
        """A whole archive, in the side file or, if there is much garbage in that, at ``path``."""
        side = writing.side
        live = live_nbytes(changes)
        if side.nbytes - live > max(_LITTLE_GARBAGE, live // 4):
            side = SideFile(path, 0o600 if writing.lock is None else 0o666)
        try:
            nbytes, directory = complete(side, base.snapshot, base.comment, changes)
        except BaseException:
            if side is not writing.side:
                side.drop()
            raise
        side.file.nbytes = nbytes
        return side, directory


def read_directory(source: Source, tail_nbytes: int = MAX_END_NBYTES) -> tuple[Directory, bytes]:
    """The directory of an archive, and its comment."""
    nbytes = source.nbytes
    first = max(0, nbytes - tail_nbytes)
    tail = bytes(source.read(first, nbytes - first))
    end = find_end(tail, nbytes)
    if end.directory_start >= first:
        at = end.directory_start - first
        raw = tail[at : at + end.directory_nbytes]
    else:
        raw = bytes(source.read(end.directory_start, end.directory_nbytes))
    return Directory(raw, end.n_members, end.directory_start, end.shift), end.comment


class LocalHome(Home):
    """A file."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.identity = ("zip", self.path)

    def __str__(self) -> str:
        return self.path

    def stamp(self) -> Hashable:
        """See `Home.stamp`."""
        try:
            return stamp_of(os.stat(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def load(self, old: Base) -> Base:
        """See `Home.load`, and `zarrc.storage.zip_undo` for why no lock is needed."""
        for _ in range(_TRIES):
            try:
                file = LocalFile(self.path)
            except (FileNotFoundError, NotADirectoryError):
                return ABSENT
            record = zip_undo.record_bytes(self.path)
            stamp = file.stamp()
            undone = None if record is None else zip_undo.undone_nbytes(file)
            file.nbytes = stamp[2] if undone is None else undone
            if _is_same_archive(old, file):
                return old._replace(stamp=stamp)
            try:
                base = _opened(file, stamp)
            except StoreError:
                if undone is None and self._is_moving(file, record):
                    continue
                raise
            if undone is not None or not self._is_moving(file, record):
                return base
        raise StoreError(f"the zip archive {self.path!r} changes all the time")

    def _is_moving(self, file: LocalFile, record: bytes | None) -> bool:
        """Whether the file became longer or shorter, or somebody began to append, since it was looked at."""
        return file.stamp()[2] != file.nbytes or zip_undo.record_bytes(self.path) != record

    def begin(self, wait: float = 0.0) -> Writing:
        """See `Home.begin`."""
        directory = os.path.dirname(self.path)
        os.makedirs(directory, exist_ok=True)
        lock = zip_undo.WriterLock(self.path, wait)
        try:
            zip_undo.repair(self.path)
            return Writing(zip_undo.beside(self.path, "new"), lock)
        except BaseException:
            lock.release()
            raise

    def commit(self, writing: Writing, base: Base, changes: Changes, anew: bool) -> Base:
        """See `Home.commit`; what is not written anew is appended."""
        base = self._unchanged(base)
        if anew or self._is_replaced(writing, base, changes):
            try:
                return self._replace(writing, base, changes)
            except (StoreError, OSError):
                if anew or base.snapshot is None:
                    raise
        return self._append(writing, base, changes)

    def _unchanged(self, base: Base) -> Base:
        """The same archive as it is now: perhaps with another time, but nothing else."""
        if self.stamp() == base.stamp:
            return base
        now = self.load(ABSENT)
        if _directory_bytes(now) != _directory_bytes(base):
            raise self._changed()
        return now

    def _changed(self) -> StoreConflictError:
        return StoreConflictError(
            f"the zip archive {self.path!r} was changed by another program while it was written to"
        )

    def _is_replaced(self, writing: Writing, base: Base, changes: Changes) -> bool:
        if base.snapshot is None:
            return True
        source, directory = base.snapshot
        gone = sum(directory.number_of(key.encode()) >= 0 for key in changes)
        if gone == len(directory):
            return True
        # Other names of the file, and what is in front of the archive in it, would stay behind.
        if directory.shift or os.stat(self.path).st_nlink > 1:
            return False
        return source.nbytes <= max(_SMALL, writing.side.nbytes)

    def _replace(self, writing: Writing, base: Base, changes: Changes) -> Base:
        side, directory = self.finish_anew(writing, base, changes, zip_undo.beside(self.path, "anew"))
        if base.snapshot is not None:
            # Nothing of the old archive is given up before the new one is on the disk.
            os.fchmod(side.file.fd, os.stat(self.path).st_mode & 0o7777)
            os.fsync(side.file.fd)
        os.rename(side.path, self.path)
        reached("renamed")
        if side is not writing.side:
            writing.side.drop()
        if base.snapshot is not None:
            with suppress(OSError):  # the new archive is in its place, whatever a power cut would make of it
                zip_undo.sync_directory(self.path)
        side.file.path = self.path
        return Base(Snapshot(side.file, directory), side.file.stamp(), base.comment)

    def _append(self, writing: Writing, base: Base, changes: Changes) -> Base:
        assert base.snapshot is not None
        archive = LocalFile(self.path, os.O_RDWR)
        if archive.stamp() != base.stamp:
            raise self._changed()
        nbytes, directory = append(archive, base.snapshot, base.comment, changes)
        writing.side.drop()
        archive.nbytes = nbytes
        return Base(Snapshot(archive, directory), archive.stamp(), base.comment)


def _is_same_archive(old: Base, file: LocalFile) -> bool:
    """Whether the file is that of ``old``, to which somebody appends at the most."""
    if old.snapshot is None or not isinstance(old.stamp, tuple):
        return False
    same_file = old.stamp[:2] == file.stamp()[:2] and old.snapshot.source.nbytes == file.nbytes
    # As long as it was, and written to: only what was appended, and is not counted, is allowed to be new.
    return same_file and (old.stamp == file.stamp() or file.stamp()[2] > file.nbytes)


def _directory_bytes(base: Base) -> tuple[int, bytes] | None:
    """What tells two states of an archive apart; None where there is none."""
    if base.snapshot is None:
        return None
    return base.snapshot.source.nbytes, base.snapshot.directory.raw


def _opened(file: LocalFile, stamp: Hashable) -> Base:
    if file.nbytes == 0:  # a file that was made to be written to
        return Base(Snapshot(file, Directory(b"", 0, 0)), stamp)
    directory, comment = read_directory(file)
    return Base(Snapshot(file, directory), stamp, comment)


class _Remote(Home):
    """A place that is replaced as a whole: the archive is put together in a temporary file, and uploaded."""

    changes_by_itself = False

    def begin(self, wait: float = 0.0) -> Writing:
        """See `Home.begin`."""
        return Writing(_temporary_path(), None, 0o600)

    def commit(self, writing: Writing, base: Base, changes: Changes, anew: bool) -> Base:
        """See `Home.commit`."""
        side, _ = self.finish_anew(writing, base, changes, _temporary_path())
        try:
            self._upload(side, base)
        finally:
            if side is not writing.side:
                side.drop()
        writing.side.drop()
        return self.load(ABSENT)

    @abstractmethod
    def _upload(self, side: SideFile, base: Base) -> None:
        """Put the file where the archive is."""


def _temporary_path() -> str:
    fd, path = tempfile.mkstemp(prefix=".zc-zip-")
    os.close(fd)
    return path


class ObjectHome(_Remote):
    """An object of another store."""

    def __init__(self, store: Store, key: str) -> None:
        self.store = store
        self.key = key
        self.identity = ("zip", store.identity, key)

    def __str__(self) -> str:
        return f"{self.store}/{self.key}".replace("//" + self.key, "/" + self.key)

    def stamp(self) -> Hashable:
        """See `Home.stamp`."""
        found = self.store.stat(self.key)
        return None if found is None else (found.nbytes, found.version)

    def load(self, old: Base) -> Base:
        """See `Home.load`."""
        found = self.store.stat(self.key)
        if found is None:
            return ABSENT
        stamp = (found.nbytes, found.version)
        if old.snapshot is not None and found.version is not None and old.stamp == stamp:
            return old
        if found.nbytes == 0:
            return Base(Snapshot(ObjectSource(self.store, self.key, 0, None), Directory(b"", 0, 0)), stamp)
        # A range may tell the version in another form than `stat` does: the first one counts.
        source = ObjectSource(self.store, self.key, found.nbytes, None)
        directory, comment = read_directory(source, _REMOTE_TAIL)
        return Base(Snapshot(source, directory), stamp, comment)

    def _upload(self, side: SideFile, base: Base) -> None:
        nbytes = os.fstat(side.file.fd).st_size
        fs: Any = getattr(self.store, "fs", None)
        if nbytes > _UPLOAD_NBYTES and hasattr(fs, "put_file"):
            if self.stamp() != base.stamp:
                raise StoreConflictError("the zip archive was changed by somebody else", key=self.key)
            self._put_file(fs, side.path)
            return
        side.file.nbytes = nbytes
        data = side.file.read(0, nbytes)
        if base.stamp is None or isinstance(base.stamp, tuple):
            version = None if base.stamp is None else base.stamp[1]
            if version is None and base.stamp is not None:
                self.store.set(self.key, data)
            else:
                self.store.set_if(self.key, data, version)

    def _put_file(self, fs: Any, path: str) -> None:
        from zarrc.storage.fsspec_errors import reraise

        store: Any = self.store
        try:
            fs.put_file(path, store._path(self.key))
        except Exception as error:
            reraise(error, self.key)


class StreamHome(_Remote):
    """A file object that can be read, sought in, and perhaps written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.lock = threading.RLock()
        self.identity = ("zip", "file", id(file))

    def __str__(self) -> str:
        return f"{type(self.file).__name__} {getattr(self.file, 'name', '')}".strip()

    def stamp(self) -> Hashable:
        """See `Home.stamp`."""
        return "file"

    def load(self, old: Base) -> Base:
        """See `Home.load`."""
        source = StreamSource(self.file, self.lock)
        if source.nbytes == 0:
            return Base(Snapshot(source, Directory(b"", 0, 0)), "file")
        directory, comment = read_directory(source)
        return Base(Snapshot(source, directory), "file", comment)

    def _upload(self, side: SideFile, base: Base) -> None:
        side.file.nbytes = os.fstat(side.file.fd).st_size
        with self.lock:
            self.file.seek(0)
            self.file.truncate()
            at = 0
            while at < side.file.nbytes:
                n = min(2**23, side.file.nbytes - at)
                self.file.write(side.file.read(at, n))
                at += n
            self.file.flush()
