"""Who may go on with a transaction: its owner while it lives, then one who found it dead.

In a directory the owner holds a lock (flock) on a file of the transaction, which the system takes away when
it dies. Elsewhere it rewrites one object of the transaction, the ``state``, every third of a lease, each time
in place of the version that it wrote last. Who finds an object that does not change for a whole lease, by a
clock of its own, puts one with its own name in its place, in the same way: so at each moment there is one
version that goes on, and an owner that was only slow finds that it lost.

The same object is the record that decides. While it says "open" nothing of the transaction is seen; once it
says "commit" all of it is going to be.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import random
import secrets
import threading
import time
import weakref
from contextlib import suppress
from typing import Any, Literal, Protocol

from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreDeniedError, StoreError, TransactionConflictError
from zarrc.transactions.records import DIRECTORY, Home, dump, load, signature, signed_by

__all__ = [
    "Claim",
    "Decision",
    "begin",
    "belongs_to",
    "check_home",
    "make_directories",
    "remove_begun",
    "take",
]

Decision = Literal["open", "commit", "rollback"]
_DECISIONS = ("open", "commit", "rollback")
_MAX_LEASE_S = 24 * 3600.0

# One that says it may be silent for longer than so many of our leases is not waited for until it is dead:
# what is opened may be anybody's.
_MOST_LEASES = 10


class Claim(Protocol):
    """The right to go on with a transaction, of which there is one at a time."""

    @property
    def decision(self) -> Decision:
        """What is decided about the transaction."""

    def check(self) -> None:
        """Refuse if somebody else has the right now."""

    def decide(self, decision: Decision) -> None:
        """Store what is decided: whoever has the right afterwards goes by it."""

    def clean(self) -> None:
        """Remove what tells of the transaction; everything else of it is removed already."""

    def end(self) -> None:
        """Give the right back; others need not wait for it."""


def begin(home: Home) -> Claim:
    """Begin a transaction."""
    return _LocalClaim.begin(home) if home.store.local_root is not None else _LeasedClaim.begin(home)


def take(home: Home, deadline: float) -> Claim | None:
    """Take the right to a transaction whose owner is dead; None if there is no such transaction (any more).

    Parameters
    ----------
    home : Home
        The transaction.
    deadline : float
        How long to wait for an owner that lives, as `time.monotonic` counts.

    Raises
    ------
    TransactionConflictError
        If the owner lives.
    """
    if home.store.local_root is not None:
        check_home(home)
        if not _is_leased(home):
            return _LocalClaim.take(home, deadline)
    return _LeasedClaim.take(home, deadline)


def _is_leased(home: Home) -> bool:
    """Whether a transaction in a directory was begun by way of a wrapper, which knows no files."""
    blob = home.store.get(home.key("state"))
    return blob is not None and "holder" in load(blob, home.key("state"))


def _alive(home: Home, who: str) -> TransactionConflictError:
    return TransactionConflictError(
        f"{home} is being committed by {who}; try again when it is done, or open with mode='r', which may "
        "see a part of it"
    )


def _pause(deadline: float, least: float, most: float) -> bool:
    """Wait for a moment, other than others do; False when the time is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(left, random.uniform(least, most)))
    return True


# --- directories

# What flock says where the file system has none.
_NO_FLOCK = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}

# A directory without its owner's file is looked at for that long: it may be about to be removed.
_GRACE_S = 0.5

# What the names of directories start with that are being made, and how long that may take.
_NEW = ".zc-new-"
_BEGINNING_S = 60.0

_open_files: set[int] = set()


def _close_in_child() -> None:
    """A forked child has the open files of the locks too, and would keep them locked."""
    for fd in _open_files:
        with suppress(OSError):
            os.close(fd)
    _open_files.clear()


os.register_at_fork(after_in_child=_close_in_child)


def _flock(fd: int) -> bool | None:
    """Lock an open file; whether it was free. None where files cannot be locked."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return None
        if error.errno in _BUSY:
            return False
        raise
    return True


class _LocalClaim:
    """The lock on the file ``owner``. Where the system has no such locks it says which process it is."""

    def __init__(self, home: Home, fd: int, made: list[str]) -> None:
        self._home = home
        self._fd = fd
        self._made = made
        _open_files.add(fd)
        blob = home.store.get(home.key("state"))
        self.decision: Decision = _decision(load(blob, home.key("state"))) if blob is not None else "open"

    @classmethod
    def begin(cls, home: Home) -> _LocalClaim:
        made: list[str] = []
        while True:
            try:
                made += _make_directories(os.path.dirname(_directory(home)))
                fd = _make_owned(_directory(home))
            except FileNotFoundError:
                continue  # another transaction that ended removed a directory that was empty
            except OSError as error:
                _remove_directories(made)
                raise _translated(error, home) from error
            if fd is not None:
                return cls(home, fd, made)

    @classmethod
    def take(cls, home: Home, deadline: float) -> _LocalClaim | None:
        absent_since: float | None = None
        while True:
            try:
                fd = _open_owner(home)
            except FileNotFoundError:
                if not os.path.isdir(_directory(home)) or _remove_if_empty(_directory(home)):
                    return None
                now = time.monotonic()
                absent_since = now if absent_since is None else absent_since
                if now - absent_since > _GRACE_S:
                    # Killed before it had one, or while it was removed.
                    fd = _make_owner_again(home)
                    if fd is not None:
                        return cls(home, fd, [])
                time.sleep(0.01)
                continue
            except OSError as error:
                raise _translated(error, home) from error
            absent_since = None
            if fd is not None:
                return cls(home, fd, [])
            if not _pause(deadline, 0.002, 0.02):
                raise _alive(home, _owner_text(home))

    def check(self) -> None:
        if self._fd not in _open_files:
            raise TransactionConflictError(
                f"{self._home} was begun by another process, of which this is a child"
            )

    def decide(self, decision: Decision) -> None:
        self.check()
        self._home.store.set(self._home.key("state"), dump({"state": decision, **signature()}))
        self.decision = decision

    def clean(self) -> None:
        # The owner's file goes last: while it is there and locked, nobody else begins.
        self._home.store.delete(self._home.key("state"))
        directory = _directory(self._home)
        with suppress(OSError):
            # Temporary files that a kill left.
            for name in os.listdir(directory):
                if name != "owner":
                    os.unlink(os.path.join(directory, name))
        with suppress(OSError):
            os.unlink(os.path.join(directory, "owner"))
        for path in (directory, os.path.dirname(directory)):
            with suppress(OSError):
                os.rmdir(path)
        _remove_directories(self._made)

    def end(self) -> None:
        if self._fd in _open_files:
            _open_files.discard(self._fd)
            os.close(self._fd)


def check_home(home: Home) -> None:
    """Refuse a transaction's directory that is elsewhere: whoever opens data of others would change that.

    Links are not made by transactions. Of another user a directory is, only if the data are too.
    """
    root = home.store.local_root
    assert root is not None
    directory = _directory(home)
    for path in (os.path.dirname(directory), directory, os.path.join(directory, "d")):
        if os.path.islink(path):
            raise StoreError(
                f"{home} is not resolved: {path!r} is a symbolic link, none of zarrc's",
                key=home.path,
            )


def belongs_to(home: Home, node: str) -> bool:
    """Whether a transaction is this user's, or of whoever has the directory of a node."""
    try:
        return os.stat(_directory(home)).st_uid in (os.geteuid(), os.stat(node).st_uid)
    except FileNotFoundError:
        return False


def _directory(home: Home) -> str:
    root = home.store.local_root
    assert root is not None
    return os.path.join(root, home.path)


def _make_directories(path: str) -> list[str]:
    """Make a directory and those above it; return those above it that were not there."""
    missing = []
    above = os.path.dirname(path)
    while above and not os.path.isdir(above) and above != os.path.dirname(above):
        missing.append(above)
        above = os.path.dirname(above)
    make_directories(path)
    return missing


def make_directories(path: str) -> None:
    """`os.makedirs`, also while others remove directories that are empty."""
    for _ in range(1000):
        try:
            os.makedirs(path, exist_ok=True)
            return
        except FileExistsError:
            # It was there, and was gone when Python looked whether it is a directory.
            if os.path.lexists(path) and not os.path.isdir(path):
                raise
        except FileNotFoundError:
            continue
    os.makedirs(path, exist_ok=True)


def _make_owned(directory: str) -> int | None:
    """Make a transaction's directory with the file of its owner, which is locked before anybody sees it.

    None if somebody removed it meanwhile, who took it for a dead one's.
    """
    new = os.path.join(os.path.dirname(directory), f"{_NEW}{secrets.token_hex(8)}")
    os.mkdir(new)
    fd = None
    try:
        fd = _make_owner(os.path.join(new, "owner"))
        if fd is not None:
            os.rename(new, directory)
            if _is_same_file(fd, os.path.join(directory, "owner")):
                return fd
            os.close(fd)
    except BaseException:
        if fd is not None:
            os.close(fd)
        for remove, path in ((os.unlink, os.path.join(new, "owner")), (os.rmdir, new)):
            with suppress(OSError):
                remove(path)
        raise
    return None


def remove_begun(directory: str) -> None:
    """Remove what is left of transactions that were killed while they began."""
    with suppress(OSError):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if not name.startswith(_NEW) or os.path.islink(path):
                continue
            if time.time() - os.stat(path).st_mtime > _BEGINNING_S:
                for remove, one in ((os.unlink, os.path.join(path, "owner")), (os.rmdir, path)):
                    with suppress(OSError):
                        remove(one)


def _remove_if_empty(path: str) -> bool:
    """Remove a directory in which nothing is; whether it is gone.

    One that begins has its file from the start. By way of a wrapper an empty one may be left.
    """
    _remove_directories([os.path.join(path, "d"), path])
    return not os.path.isdir(path)


def _remove_directories(paths: list[str]) -> None:
    for path in paths:
        with suppress(OSError):
            os.rmdir(path)


def _owner_path(home: Home) -> str:
    return os.path.join(_directory(home), "owner")


def _make_owner(path: str) -> int | None:
    """Make the owner's file and lock it; None if somebody took it for a dead one's meanwhile."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        if _flock(fd) is False or not _is_same_file(fd, path):
            os.close(fd)
            return None
        os.write(fd, dump({**signature(), **_process()}))
    except BaseException:
        with suppress(OSError):
            os.close(fd)
        with suppress(OSError):
            os.unlink(path)
        raise
    return fd


def _make_owner_again(home: Home) -> int | None:
    """Make the file of an owner that has none; None if somebody else does."""
    try:
        return _make_owner(_owner_path(home))
    except (FileExistsError, FileNotFoundError):
        return None
    except OSError as error:
        raise _translated(error, home) from error


def _open_owner(home: Home) -> int | None:
    """Open the owner's file and lock it; None if its owner lives."""
    path = _owner_path(home)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        locked = _flock(fd)
        if locked is None:
            locked = _take_unlocked(fd, path)
        if locked and _is_same_file(fd, path):
            return fd
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _take_unlocked(fd: int, path: str) -> bool:
    """Take the file of a process that is known to be dead, where files cannot be locked.

    It is moved away, which one of several does, and the next look finds none; who then makes one is next.
    """
    if _may_live(os.pread(fd, 4096, 0)):
        return False
    with suppress(FileNotFoundError):
        os.rename(path, f"{path}-{secrets.token_hex(8)}")
    return False


def _may_live(text: bytes) -> bool:
    """Whether the process that wrote an owner's file lives, or cannot be seen from here."""
    try:
        from zarrc.kernels.blob import Blob

        fields = load(Blob(text), "owner")
    except StoreError:
        return False  # cut: its writer was killed while it was written
    mine = _process()
    if any(fields.get(name) != mine[name] for name in ("host_id", "namespace")):
        return True
    return _started(fields.get("pid")) == fields.get("started")


def _process() -> dict[str, Any]:
    """What tells this process from all others."""
    return {"host_id": _boot_id(), "namespace": _namespace(), "started": _started(os.getpid())}


def _boot_id() -> str | None:
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
    return None


def _namespace() -> str | None:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None


def _started(pid: object) -> str | None:
    """When a process was started; None if there is none of that number."""
    if not isinstance(pid, int):
        return None
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]
    return None


def _owner_text(home: Home) -> str:
    with suppress(OSError, StoreError), open(_owner_path(home), "rb") as file:
        from zarrc.kernels.blob import Blob

        return signed_by(load(Blob(file.read(4096)), "owner"))
    return "another process"


def _is_same_file(fd: int, path: str) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _translated(error: OSError, home: Home) -> StoreError:
    if isinstance(error, StoreError):
        return error
    denied = error.errno in (errno.EPERM, errno.EACCES, errno.EROFS)
    kind = StoreDeniedError if denied else StoreError
    made = kind(f"{error.strerror or error} [errno {error.errno}]", key=home.key("owner"))
    made.errno = error.errno
    return made


# --- elsewhere


class _LeasedClaim:
    """The object ``state``, which is rewritten while its owner lives."""

    def __init__(self, home: Home, fields: dict[str, Any], version: str | None) -> None:
        self._home = home
        self._fields = fields
        self._version = version
        self._lease = _lease_of(fields)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_lost = False
        self._pid = os.getpid()
        self._begin_to_renew()

    def _begin_to_renew(self) -> None:
        self._renewed = time.monotonic()
        arguments = (weakref.ref(self), self._ended, self._lease)
        thread = threading.Thread(target=_renew, args=arguments, name="zarrc-lease", daemon=True)
        thread.start()

    @property
    def decision(self) -> Decision:
        return _decision(self._fields)

    @classmethod
    def begin(cls, home: Home) -> _LeasedClaim:
        fields = _new_fields("open")
        version = _put(home, fields, None)
        return cls(home, fields, version)

    @classmethod
    def take(cls, home: Home, deadline: float) -> _LeasedClaim | None:
        key = home.key("state")
        seen: str | None = None
        holder: object = None
        since = time.monotonic()
        is_first = True
        lives = False
        most = _MOST_LEASES * float(config.get("storage.transaction_lease"))
        while True:
            # Before it is asked: the answer may be as old as that.
            now = time.monotonic()
            blob = home.store.get(key)
            if blob is None:
                if home.store.get(home.key("owner")) is not None:
                    raise StoreError(
                        f"{home} was begun in a directory, whose locks cannot be seen from here: open the "
                        "directory itself",
                        key=key,
                    )
                return None
            fields = load(blob, key)
            lease = _lease_of(fields)
            if fields.get("holder") != holder:
                # Whoever took it over is given time to finish it.
                deadline = deadline if holder is None else max(deadline, now + lease)
                holder = fields.get("holder")
            if blob.version != seen:
                seen, since, lives, is_first = blob.version, now, not is_first, False
            if fields.get("ended") is True or time.monotonic() - since > lease:
                decided: Decision = "rollback" if _decision(fields) == "open" else _decision(fields)
                mine = _new_fields(decided)
                with suppress(StoreConflictError):
                    return cls(home, mine, _put(home, mine, blob.version))
                continue
            if time.monotonic() > deadline and (lives or lease > most):
                raise _alive(home, signed_by(fields))
            # One that does not change is looked at until it is known to be dead.
            _pause(math.inf, min(lease, most) / 40, min(lease, most) / 10)

    def renew(self) -> None:
        """Show that the owner lives."""
        with self._lock:
            self._store(self._fields)

    def _store(self, fields: dict[str, Any]) -> None:
        if self._is_lost or self._ended.is_set() or os.getpid() != self._pid:
            raise self._lost()
        fields = {**fields, "beat": int(fields["beat"]) + 1}
        begun = time.monotonic()
        try:
            self._version = _put(self._home, fields, self._version)
        except StoreConflictError:
            self._is_lost = True
            raise self._lost() from None
        self._fields, self._renewed = fields, begun

    def _lost(self) -> TransactionConflictError:
        return TransactionConflictError(
            f"{self._home} showed no sign of life for {self._lease:g} s (storage.transaction_lease), and was "
            "taken over by another process"
        )

    def check(self) -> None:
        with self._lock:
            if self._is_lost or self._ended.is_set() or os.getpid() != self._pid:
                raise self._lost()
            if time.monotonic() - self._renewed > self._lease / 2:
                self._store(self._fields)

    def decide(self, decision: Decision) -> None:
        with self._lock:
            self._store({**self._fields, "state": decision})

    def clean(self) -> None:
        with self._lock:
            self._ended.set()
            key = self._home.key("state")
            self._home.store.delete(key)
            # Of a directory that a wrapper hides.
            path = self._home.store.lock_path(key)
            if path is not None:
                directory = os.path.dirname(path)
                _remove_directories([os.path.join(directory, "d"), directory, os.path.dirname(directory)])

    def end(self) -> None:
        with self._lock:
            if self._ended.is_set() or self._is_lost or os.getpid() != self._pid:
                self._ended.set()
                return
            # Others need not wait for the lease to end.
            with suppress(StoreError):
                self._store({**self._fields, "ended": True})
            self._ended.set()


def _renew(known: weakref.ref[_LeasedClaim], ended: threading.Event, lease: float) -> None:
    """What the thread of a lease does, as long as somebody has the claim."""
    pause = lease / 3
    while not ended.wait(pause):
        claim = known()
        if claim is None:
            return
        try:
            claim.renew()
        except TransactionConflictError:
            return
        except Exception:  # the store may answer again in time
            pause = lease / 10
        else:
            pause = lease / 3
        del claim


def _new_fields(decision: Decision) -> dict[str, Any]:
    lease = float(config.get("storage.transaction_lease"))
    return {"state": decision, "holder": secrets.token_hex(16), "beat": 0, "lease": lease, **signature()}


def _lease_of(fields: dict[str, Any]) -> float:
    """How long the owner may be without a sign of life: that is for it to say."""
    found = fields.get("lease")
    if not isinstance(found, (int, float)) or not 0 < found <= _MAX_LEASE_S:
        raise StoreError("the record of a transaction is damaged", key=f"{DIRECTORY}/.../state")
    return float(found)


def _decision(fields: dict[str, Any]) -> Decision:
    found: Any = fields.get("state")
    if found not in _DECISIONS:
        raise StoreError("the record of a transaction is damaged", key=f"{DIRECTORY}/.../state")
    decided: Decision = found
    return decided


def _put(home: Home, fields: dict[str, Any], version: str | None) -> str | None:
    """Store the state in place of a version; the new one. That our own was stored may be learnt too late."""
    key, data = home.key("state"), dump(fields)
    try:
        return home.store.set_if(key, data, version)
    except StoreConflictError:
        now = home.store.get(key)
        if now is not None and bytes(now) == data:
            return now.version
        raise
