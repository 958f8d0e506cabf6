"""Doing what a transaction's plan says, so that doing it again does no harm.

Staged contents are moved to their places: in a directory by renaming; elsewhere by copying on the server,
after which the staged one is deleted. What is not staged any more is in its place already, and what others
wrote there since stays.

In this order, so that no document ever speaks of chunks that are those of another:

1. the documents of nodes that are deleted, or made again, go;
2. chunks and shards are set;
3. of these nodes what else is to be deleted goes;
4. documents are set: new nodes from above, changed ones from below;
5. of the other nodes what is to be deleted goes: after their documents, as an array that shrinks does it.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from zarrc.engine.node_changes import node_lock
from zarrc.engine.node_names import ancestors, join
from zarrc.engine.nodes import V3_DOCUMENT
from zarrc.engine.objects import Objects
from zarrc.errors import StoreError
from zarrc.kernels.locks import all_changed
from zarrc.metadata_lock import lock_of_file
from zarrc.storage.directories import flush_directory
from zarrc.storage.keys import RESERVED
from zarrc.transactions.claims_local import make_directories
from zarrc.transactions.overlay import DOCUMENTS
from zarrc.transactions.records import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from zarrc.storage.base import Store
    from zarrc.transactions.records import Home, NodePlan, Plan

__all__ = ["Target", "apply_plan", "locked_files", "locked_objects", "remove_empty"]

# So many objects are moved, or deleted, between two looks at whether the right to do so is still held.
_BATCH = 128

_One = TypeVar("_One")


class Target(NamedTuple):
    """Where a node of a plan is: where the plan says, or where it was moved to since."""

    store: Store
    path: str


def apply_plan(
    home: Home,
    plan: Plan,
    targets: Mapping[int, Target],
    check: Callable[[], None],
    *,
    again: bool,
    follow_links: bool = True,
) -> None:
    """Do what a plan says.

    Parameters
    ----------
    home : Home
        Where the transaction is.
    plan : Plan
        What to do.
    targets : mapping of int to Target
        The nodes that are not done yet, by their number in the plan.
    check : callable
        Raises if somebody else has the right to go on now.
    again : bool
        Whether a part of it may be done already: what is not staged any more is passed over.
    follow_links : bool, default True
        Whether objects may be beyond links in the directory of their node.

    Raises
    ------
    StoreError
        If they are, and may not be. Nothing is changed then.
    """
    if not follow_links:
        for number, target in targets.items():
            node = plan.nodes[number]
            _check_inside(target, (*node.sets, *node.deletes, *node.first))
    doing = _Doing(home, plan, check, again)
    try:
        for number, target in targets.items():
            doing.delete_first(plan.nodes[number], target)
        for number, target in targets.items():
            node = plan.nodes[number]
            doing.move(target, [(name, n) for name, n in node.sets.items() if name not in DOCUMENTS])
        for last in (False, True):
            for number, target in targets.items():
                if plan.nodes[number].last is last:
                    doing.delete(target, plan.nodes[number].deletes)
            if last:
                break
            for number, name in plan.documents:
                if number in targets:
                    doing.move_document(targets[number], name, plan.nodes[number].sets[name])
    finally:
        # Locks tell of single objects; of nodes that went or came nobody held one.
        all_changed()


def _check_inside(target: Target, names: Iterable[str]) -> None:
    """Refuse objects that are beyond a link: who wrote the plan may want to reach what is not in the data."""
    root = target.store.local_root
    if root is None:
        return
    node = os.path.join(root, target.path)
    for directory in {name.rpartition("/")[0] for name in names}:
        if not _is_inside(os.path.join(node, directory), node):
            raise StoreError(
                "an interrupted transaction changes objects beyond a symbolic link; if the data are from "
                "somebody you trust, zarrc.transactions.recover(store, path, follow_links=True) does it",
                key=join(target.path, directory),
            )


def _is_inside(path: str, directory: str) -> bool:
    """Whether a path leads into a directory, or to it, wherever its links lead."""
    there, top = os.path.realpath(path), os.path.realpath(directory)
    return there == top or there.startswith(top.rstrip("/") + "/")


class _Doing:
    def __init__(self, home: Home, plan: Plan, check: Callable[[], None], again: bool) -> None:
        self._home = home
        self._locking = "file" if plan.locks_files else "thread"
        self._check = check
        self._left: set[str] | None = None
        if again:
            self._left = {key.rpartition("/")[2] for key in home.store.list_prefix(home.staged)}

    def _is_left(self, number: int) -> bool:
        return self._left is None or str(number) in self._left

    def delete_first(self, node: NodePlan, target: Target) -> None:
        # A document that is made again, and is no more staged, is in its place.
        wanted = [name for name in node.first if name not in node.sets or self._is_left(node.sets[name])]
        if wanted:
            self._check()
            with node_lock(target.store, target.path):
                target.store.delete_many([join(target.path, name) for name in wanted])

    def delete(self, target: Target, names: Sequence[str]) -> None:
        for batch in _batches(names):
            keys = [join(target.path, name) for name in batch]
            self._check()
            with locked_objects(target.store, target.path, keys, self._locking):
                target.store.delete_many(keys)

    def move(self, target: Target, contents: Iterable[tuple[str, int]]) -> None:
        left = [(name, number) for name, number in contents if self._is_left(number)]
        for batch in _batches(left):
            pairs = [
                (join(self._home.staged, str(number)), join(target.path, name)) for name, number in batch
            ]
            self._check()
            with locked_objects(target.store, target.path, [key for _, key in pairs], self._locking):
                self._move(target.store, pairs)

    def move_document(self, target: Target, name: str, number: int) -> None:
        if not self._is_left(number):
            return
        self._check()
        with node_lock(target.store, target.path):
            self._move(target.store, [(join(self._home.staged, str(number)), join(target.path, name))])

    def _move(self, store: Store, pairs: list[tuple[str, str]]) -> None:
        if self._home.store.local_root is not None and store.local_root is not None:
            self._rename(store, pairs)
        elif store is self._home.store:
            store.copy_many(pairs)
            store.delete_many([staged for staged, _ in pairs])
        else:
            for staged, key in pairs:
                blob = self._home.store.get(staged)
                if blob is None:
                    raise _lost(self._home, staged)
                store.set(key, blob)
                self._home.store.delete(staged)

    def _rename(self, store: Store, pairs: list[tuple[str, str]]) -> None:
        source_root, target_root = self._home.store.local_root, store.local_root
        assert source_root is not None
        assert target_root is not None
        for staged, key in pairs:
            source, target = os.path.join(source_root, staged), os.path.join(target_root, key)
            try:
                self._rename_one(source, target)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    # A directory of the array is on another file system.
                    self._across(store, staged, key)
                    continue
                if error.errno == errno.ENOENT and not os.path.lexists(source):
                    raise _lost(self._home, staged) from error
                made = StoreError(f"{error.strerror or error} [errno {error.errno}]", key=key)
                made.errno = error.errno
                raise made from error
        if getattr(store, "durable", False):
            _flush(target_root, {key.rpartition("/")[0] for _, key in pairs})

    @staticmethod
    def _rename_one(source: str, target: str) -> None:
        for _ in range(100):
            try:
                os.rename(source, target)
                return
            except FileNotFoundError:
                if not os.path.lexists(source):
                    raise
                # Again where somebody removes a directory that is empty.
                make_directories(os.path.dirname(target))
        os.rename(source, target)

    def _across(self, store: Store, staged: str, key: str) -> None:
        blob = self._home.store.get(staged)
        if blob is None:
            raise _lost(self._home, staged)
        store.set(key, blob)
        self._home.store.delete(staged)


def _flush(root: str, paths: set[str]) -> None:
    """Have the new names in directories on the disk, and those of the directories themselves."""
    wanted = {above for path in paths for above in (*ancestors(path), path)}
    for path in sorted(wanted, reverse=True):
        flush_directory(os.path.join(root, path))


def _lost(home: Home, key: str) -> StoreError:
    return StoreError(f"what {home} staged was removed", key=key)


def locked_objects(
    store: Store, path: str, keys: Sequence[str], locking: str = "thread"
) -> AbstractContextManager[object]:
    """The locks that writing to objects of a node takes: none of their read-modify-writes is under way."""
    # How chunk indices become names does not matter here: whole keys are given.
    encoding = SimpleNamespace(prefix="c", separator="/")
    objects = Objects(store, path, encoding, V3_DOCUMENT)
    objects.know_locks(locking if store.lock_path(join(path, V3_DOCUMENT)) is not None else "thread")
    return objects.locked(keys)


@contextmanager
def locked_files(store: Store, keys: Iterable[str]) -> Iterator[None]:
    """The lock files of objects of several nodes, each once; the locks of this process are held already."""
    paths = {path for key in keys if (path := store.lock_path(key)) is not None}
    with ExitStack() as locks:
        for path in sorted(paths, key=os.fsencode):
            locks.enter_context(lock_of_file(path))
        yield


def _batches(items: Iterable[_One]) -> Iterator[list[_One]]:
    left = iter(items)
    while batch := list(itertools.islice(left, _BATCH)):
        yield batch


def remove_empty(store: Store, paths: Iterable[str]) -> None:
    """Remove directories, where a store has them, in which nothing is left."""
    root = store.local_root
    if root is None:
        return
    for path in paths:
        # Not beyond a link, of which it is not known whose it is.
        if _is_inside(os.path.join(root, path), root):
            _remove_empty(os.path.join(root, path))


def _remove_empty(path: str) -> None:
    with suppress(OSError), os.scandir(path) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove_empty(entry.path)
            elif entry.name.startswith(f"{RESERVED}-") and not entry.name.startswith(DIRECTORY):
                # What a writer that was killed left of an object that is gone.
                with suppress(OSError):
                    os.unlink(entry.path)
    if not os.path.islink(path):
        with suppress(OSError):
            os.rmdir(path)
