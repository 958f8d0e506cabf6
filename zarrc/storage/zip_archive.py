"""One zip archive in this process: its state, and what was written to it and is not flushed yet."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, TypeVar

from zarrc.errors import StoreError
from zarrc.storage.zip_changes import Encoded, Entry
from zarrc.storage.zip_directory import Directory
from zarrc.storage.zip_home import Base, Home, LocalHome, Writing
from zarrc.storage.zip_reading import Snapshot
from zarrc.storage.zip_undo import translated

__all__ = ["Archive", "Lease", "View", "leased"]

_Result = TypeVar("_Result")
_NOTHING: Final = Directory(b"", 0, 0)
_UNKNOWN: Final = object()


class View(NamedTuple):
    """What can be read: an archive, and what was written since. Only its changes change."""

    base: Base
    changes: dict[str, Entry | None]

    @property
    def directory(self) -> Directory:
        """The archive's."""
        return _NOTHING if self.base.snapshot is None else self.base.snapshot.directory

    def entry(self, key: str) -> tuple[Snapshot | None, Entry | None, int]:
        """Where the object is: among what was written, or its number in the archive, -1 if it is nowhere."""
        if key in self.changes:
            return None, self.changes[key], -1
        return self.base.snapshot, None, self.directory.number_of(key.encode())

    def has(self, key: str) -> bool:
        """Whether there is such an object."""
        _, entry, number = self.entry(key)
        return entry is not None or number >= 0

    def keys(self, start: str) -> Iterator[str]:
        """The names below, also such that are no keys."""
        changes = dict(self.changes)
        for name in self.directory.names_below(start.encode()):
            text = _text(name)
            if text is not None and text not in changes:
                yield text
        yield from (key for key, entry in changes.items() if entry is not None and key.startswith(start))

    def children(self, start: str) -> set[str]:
        """Names directly below, those that lead to further ones with a slash."""
        changes = {key: entry for key, entry in dict(self.changes).items() if key.startswith(start)}
        if any(entry is None for entry in changes.values()):
            # What was deleted may have been the last of its children.
            return {_child(key, start) for key in self.keys(start)}
        found = {_child(key, start) for key in changes}
        texts = (_text(name) for name in self.directory.children(start.encode()))
        return found | {text for text in texts if text is not None}


def _child(key: str, start: str) -> str:
    name, slash, _ = key[len(start) :].partition("/")
    return name + slash


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


class Archive:
    """An archive in its place, shared by all stores of this process that are on it.

    Reading takes no lock: a view is taken, and what it shows is never written over. Changes go to a file of
    their own; they become the archive's in `flush`.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.lock = threading.RLock()
        self._view: View = View(Base(None, _UNKNOWN), {})
        self._writing: Writing | None = None
        self._is_new_user = False
        self.lease: Callable[[], Lease | None] = lambda: None

    # Reading.

    def view(self) -> View:
        """The archive as it is now."""
        view = self._view
        if self._writing is not None:
            return view
        known = view.base.stamp
        if self._is_new_user or known is _UNKNOWN or (self.home.changes_by_itself and self._stamp() != known):
            return self._reload()
        return view

    def again(self, view: View) -> View | None:
        """The archive after an attempt to read ``view`` failed; None if it is still the same one."""
        if self._writing is not None:
            now = self._view
            return None if now.base is view.base else now
        return None if self._stamp() == view.base.stamp else self._reload()

    def is_still(self, view: View) -> bool:
        """Whether what was just read from ``view`` is right: nobody changed what it shows."""
        if self._writing is not None or not self.home.changes_by_itself or self._stamp() == view.base.stamp:
            return True
        # Somebody may be appending: the same archive, and bytes behind it that are none of it yet.
        return self._reload().base.snapshot is view.base.snapshot

    def _stamp(self) -> Hashable:
        return _of_the_system(self.home, self.home.stamp)

    def _reload(self) -> View:
        with self.lock:
            if self._writing is not None:  # another thread began to write meanwhile
                return self._view
            old = self._view.base
            base = _of_the_system(self.home, lambda: self.home.load(old))
            is_new_user, self._is_new_user = self._is_new_user, False
            if base.snapshot is None and old.snapshot is not None and not is_new_user:
                raise StoreError(f"the zip archive {self.home} was removed while it was in use")
            # What a parent of this process had written was not ours to write, and is done by now, or lost.
            changes = self._view.changes if base is old or base.stamp == old.stamp else {}
            self._view = View(base, changes)
            return self._view

    def look_again(self) -> None:
        """Accept that the archive is another one, or gone: a new store looks at the place as it is."""
        self._is_new_user = True

    # Writing. `write` and `publish` are called within `changing`.

    @contextmanager
    def changing(self, wait: float = 0.0) -> Iterator[View]:
        """Keep other writers out, see the archive as it is then, and change it."""
        with self.lock:
            self._begun(wait)
            try:
                yield self._view
            finally:
                if self._writing is not None and not self._view.changes:
                    self._writing.drop()
                    self._writing = None

    def write(self, new: Encoded) -> Entry:
        """Store a member that `publish` can make an object."""
        writing = self._begun()
        return _of_the_system(self.home, lambda: writing.side.put(new))

    def publish(self, entries: Mapping[str, Entry], gone: Iterable[str]) -> None:
        """Set and delete objects, all at once."""
        deleted: dict[str, Entry | None] = {key: None for key in gone if self._view.has(key)}
        self._view.changes.update({**deleted, **entries})

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What was published is flushed, or was not published."""
        before = dict(self._view.changes)
        try:
            yield
            self.flush()
        except BaseException:
            if self._writing is not None:
                self._view = View(self._view.base, before)
            raise

    def _begun(self, wait: float = 0.0) -> Writing:
        if self._writing is None:
            writing = _of_the_system(self.home, lambda: self.home.begin(wait))
            try:
                # What it was is not looked at: the archive may be a new one, in place of one that is gone.
                base = _of_the_system(self.home, lambda: self.home.load(self._view.base))
            except BaseException:
                writing.drop()
                raise
            self._view = View(base, {})
            self._writing = writing
            _flush_when_a_worker_ends(self)
            if not isinstance(self.home, LocalHome):
                _flush_before_pools_end()
        return self._writing

    def flush(self, anew: bool = False) -> None:
        """Make what was written the archive's; ``anew`` leaves no garbage in it."""
        with self.lock:
            if anew:
                self._begun()
            writing, view = self._writing, self._view
            if writing is None:
                return
            changes = _without_nothing(view)
            if changes or anew:
                base = _of_the_system(self.home, lambda: self.home.commit(writing, view.base, changes, anew))
                self._view = View(base, {})
            else:
                writing.side.drop()
                self._view = View(view.base, {})
            self._writing = None
            writing.release()

    def drop(self) -> None:
        """Forget what was not flushed."""
        with self.lock:
            writing, self._writing = self._writing, None
            if writing is not None:
                self._view = View(Base(None, _UNKNOWN), {})
                writing.drop()

    def close(self) -> None:
        """Flush, and close files."""
        with self.lock:
            self.flush()
            self._view = View(Base(None, _UNKNOWN), {})

    def in_child(self) -> None:
        """After a fork: what was written so far can be read, and is left to the parent."""
        self.lock = threading.RLock()
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.forget()


def _without_nothing(view: View) -> dict[str, Entry | None]:
    """The changes, without deletions of what the archive does not have."""
    directory = view.directory
    return {
        key: entry
        for key, entry in view.changes.items()
        if entry is not None or directory.number_of(key.encode()) >= 0
    }


def _of_the_system(home: Home, action: Callable[[], _Result]) -> _Result:
    try:
        return action()
    except StoreError as error:
        if error.key is None and str(home) not in error.message:
            error.message = f"{home}: {error.message}"
        raise
    except OSError as error:
        raise translated(error, f"the zip archive {home}") from error


# The archives of this process. A store holds a lease; when the last one is gone, or the process ends, what
# was written goes to the archive.


class Lease:
    """As long as it lives, somebody uses the archive."""

    __slots__ = ("__weakref__", "archive")

    def __init__(self, archive: Archive) -> None:
        self.archive = archive


_archives: dict[Hashable, Archive] = {}
_guard = threading.RLock()


def leased(home: Home) -> Lease:
    """A lease of the archive in this place."""
    with _guard:
        archive = _archives.get(home.identity)
        if archive is None:
            archive = _archives[home.identity] = Archive(home)
        lease = archive.lease()
        if lease is None:
            lease = Lease(archive)
            archive.lease = weakref.ref(lease)
            weakref.finalize(lease, _ended, archive).atexit = False
        else:
            archive.look_again()
        return lease


def _ended(archive: Archive) -> None:
    """The last store on an archive is gone."""
    with _guard:
        if archive.lease() is not None:  # somebody came meanwhile
            return
        if _archives.get(archive.home.identity) is archive:
            del _archives[archive.home.identity]
        _close(archive)


def _close(archive: Archive) -> None:
    try:
        archive.close()
    except BaseException:
        archive.drop()
        raise


@atexit.register
def _process_ends() -> None:
    """What is still in use is flushed; of several failures, all are told."""
    for archive in list(_archives.values()):
        try:
            _close(archive)
        except Exception:
            sys.excepthook(*sys.exc_info())


_is_early = False


def _flush_before_pools_end() -> None:
    """The clients of remote stores need pools of threads, which are closed before `atexit` calls anybody."""
    global _is_early
    if _is_early:
        return
    import concurrent.futures.thread  # noqa: F401 - which registers first, and so is called after us

    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        with suppress(RuntimeError):  # the process is ending already
            register(_process_ends)
    _is_early = True


def _flush_when_a_worker_ends(archive: Archive) -> None:
    """Processes of `multiprocessing` end without what `atexit` calls."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, _flush_if_there, args=(weakref.ref(archive),), exitpriority=100)


def _flush_if_there(archive: Callable[[], Archive | None]) -> None:
    found = archive()
    if found is not None:
        found.flush()


def _in_child() -> None:
    global _guard
    _guard = threading.RLock()
    for archive in list(_archives.values()):
        archive.in_child()


os.register_at_fork(after_in_child=_in_child)
