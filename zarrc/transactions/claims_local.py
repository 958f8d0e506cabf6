"""The right to a transaction in a directory: a lock on a file of its own, which dies with its owner."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from contextlib import suppress
from typing import Any

from zarrc.errors import StoreDeniedError, StoreError, TransactionConflictError
from zarrc.transactions.claim import Decision, decision_in, pause, still_alive
from zarrc.transactions.records import Home, dump, load, signature, signed_by

__all__ = ["LocalClaim", "belongs_to", "check_home", "make_directories", "remove_begun", "remove_directories"]

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


class LocalClaim:
    """The lock on the file ``owner``. Where the system has no such locks it says which process it is."""

    def __init__(self, home: Home, fd: int, made: list[str]) -> None:
        self._home = home
        self._fd = fd
        self._made = made
        _open_files.add(fd)
        blob = home.store.get(home.key("state"))
        self.decision: Decision = decision_in(load(blob, home.key("state"))) if blob is not None else "open"

    @classmethod
    def begin(cls, home: Home) -> LocalClaim:
        """Begin a transaction; its owner is this process."""
        made: list[str] = []
        while True:
            try:
                made += _make_directories(os.path.dirname(_directory(home)))
                fd = _make_owned(_directory(home))
            except FileNotFoundError:
                continue  # another transaction that ended removed a directory that was empty
            except OSError as error:
                remove_directories(made)
                raise _translated(error, home) from error
            if fd is not None:
                return cls(home, fd, made)

    @classmethod
    def take(cls, home: Home, deadline: float) -> LocalClaim | None:
        """Take the right of a dead owner; see `zarrc.transactions.claims.take`."""
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
            if not pause(deadline, 0.002, 0.02):
                raise still_alive(home, _owner_text(home))

    def check(self) -> None:
        """See `Claim.check`."""
        if self._fd not in _open_files:
            raise TransactionConflictError(
                f"{self._home} was begun by another process, of which this is a child"
            )

    def decide(self, decision: Decision) -> None:
        """See `Claim.decide`."""
        self.check()
        self._home.store.set(self._home.key("state"), dump({"state": decision, **signature()}))
        self.decision = decision

    def clean(self) -> None:
        """See `Claim.clean`."""
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
        remove_directories(self._made)

    def end(self) -> None:
        """See `Claim.end`."""
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
    remove_directories([os.path.join(path, "d"), path])
    return not os.path.isdir(path)


def remove_directories(paths: list[str]) -> None:
    """Remove directories, if they are empty."""
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
