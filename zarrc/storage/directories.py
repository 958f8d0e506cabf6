"""Walking and removing trees of a local file system, while others may be changing them."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator

__all__ = ["flush_directory", "make_durably", "remove_contents", "scan", "walk"]

# How long a directory that others go on writing to is emptied again before that is an error.
_PATIENCE_S = 10.0


def scan(path: str, *, hidden: str) -> tuple[list[str], list[str]]:
    """The names in a directory: of everything that is no directory, and of directories.

    Parameters
    ----------
    path : str
        The directory; one that is not there, or is no directory, is empty.
    hidden : str
        Names that start with this are left out.
    """
    files: list[str] = []
    directories: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.name.startswith(hidden):
                    (directories if _is_directory(entry) else files).append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        pass
    return files, directories


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one; a link in a circle is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def walk(path: str, *, hidden: str) -> Iterator[str]:
    """The paths, from ``path``, of all files below it.

    Parameters
    ----------
    path : str
        The directory; one that is not there is empty.
    hidden : str
        Files and directories whose names start with this are left out.

    Yields
    ------
    str
        Names joined by ``/``. Links to directories are followed, except back to one that they are in.
    """
    yield from _walk(path, "", hidden, ())


def _walk(path: str, start: str, hidden: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    here = (info.st_dev, info.st_ino)
    if here in above:
        return
    files, directories = scan(path, hidden=hidden)
    for name in files:
        yield start + name
    for name in directories:
        yield from _walk(os.path.join(path, name), f"{start}{name}/", hidden, (*above, here))


def remove_contents(path: str, *, itself: bool) -> None:
    """Remove what is in a directory, links as links.

    In each directory its files go before its directories: the metadata of a node before its chunks, so that
    a kill in between leaves chunks without an array and not an array without some of its chunks.

    Parameters
    ----------
    path : str
        The directory; it is fine if there is none. One that is a link to a directory is emptied.
    itself : bool
        Whether the directory goes too; a link to one stays.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            _remove_entries(path)
            if itself and not os.path.islink(path):
                os.rmdir(path)
            return
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            # Somebody put a file there after it was read.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or time.monotonic() > deadline:
                raise


def _remove_entries(path: str) -> None:
    directories = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.path)
            else:
                _unlink(entry.path)
    for directory in directories:
        remove_contents(directory, itself=True)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def flush_directory(path: str) -> None:
    """Have a directory, that is the names in it, on the disk.

    Parameters
    ----------
    path : str
        The directory.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems know nothing of the kind.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_durably(path: str) -> None:
    """Make a directory and those above it, and have the new ones on the disk.

    Parameters
    ----------
    path : str
        Its absolute path; it may be there.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_durably(above)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
    flush_directory(above)
