"""`transaction`: several changes that are all made, or none of them."""

from __future__ import annotations

import os
import secrets
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from zarrc.array import Array
from zarrc.config import config
from zarrc.engine.node_names import ancestors, join
from zarrc.engine.nodes import MARKERS, V3_DOCUMENT, open_node
from zarrc.engine.replaced import note_shape, noted_shape
from zarrc.engine.unsettled import settle
from zarrc.errors import ReadOnlyError, StoreConflictError, StoreError, TransactionConflictError, ZarrcError
from zarrc.frozen import changed
from zarrc.group import Group
from zarrc.kernels.locks import all_changed
from zarrc.metadata.model import ArrayMetadata
from zarrc.node import Node
from zarrc.storage.base import Changes, Store, changed_meanwhile
from zarrc.storage.resolve import make_store
from zarrc.storage.store_path import StorePath
from zarrc.transactions.applying import Target, apply_plan, locked_files, locked_objects
from zarrc.transactions.claim import Claim
from zarrc.transactions.claims import begin
from zarrc.transactions.markers import put_markers, remove_markers
from zarrc.transactions.overlay import DOCUMENTS, Changing, Staged, TransactionStore
from zarrc.transactions.places import common
from zarrc.transactions.planning import make_plan
from zarrc.transactions.records import Home, Plan

if TYPE_CHECKING:
    from zarrc.consolidated import Consolidated
    from zarrc.engine.write_buffer import WriteBuffer

__all__ = ["Status", "Transaction", "transaction"]

Status = Literal["open", "committing", "committed", "rolled back", "undecided"]


def transaction(*targets: Any, timeout: float | None = None) -> Transaction:
    """Make several changes as one: all of them at the end of the ``with`` block, or none.

    Parameters
    ----------
    *targets : Array, Group or store-like
        What is to be changed: an array, a group with all that is below it, or a store. Several must be in one
        place: below one directory, or in one bucket.
    timeout : float, optional
        Seconds to wait at the end for other transactions that are committing changes of the same nodes; by
        default twice ``storage.transaction_lease``.

    Returns
    -------
    Transaction
        For ``with``. What it gives is of the target's kind: an `Array`, a `Group`, a `Store` (a `StorePath`,
        if the target is one, or has a path); a tuple of them for several targets. Reading them shows what was
        changed through them; nobody else sees it before the end.

    Raises
    ------
    ReadOnlyError
        If a target was opened for reading only.
    StoreError
        If the store is such that it cannot have transactions.
    TransactionConflictError
        At the end, if others changed what the transaction changed, or the metadata that it read, since it
        met them first. Nothing is changed then.

    Notes
    -----
    An exception in the block drops all changes, and goes on. Afterwards the handles of the transaction cannot
    be used any more; the targets that were given show what was changed.

    What is guaranteed on which stores, and what others see meanwhile, is in the documentation
    (``docs/transactions.md``).

    Examples
    --------
    >>> import zarrc
    >>> g = zarrc.group()
    >>> a = g.create_array("a", data=[1, 2, 3])
    >>> with zarrc.transaction(g) as tx:
    ...     tx["a"][0] = 10
    ...     tx["a"].append([4])
    ...     tx.attrs["rows"] = 4
    ...     a[...].tolist()
    (4,)
    [1, 2, 3]
    >>> a.refresh()[...].tolist()
    [10, 2, 3, 4]
    """
    return Transaction(targets, timeout)


class Transaction:
    """What `transaction` returns; see there. It is for one ``with`` block.

    Parameters
    ----------
    targets : sequence of (Array, Group or store-like)
        What is to be changed.
    timeout : float, optional
        Seconds to wait for others.
    """

    def __init__(self, targets: Sequence[Any], timeout: float | None = None) -> None:
        if not targets:
            raise TypeError("transaction() needs to know what is to be changed: an array, a group or a store")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be None or a number of seconds, got {timeout!r}")
        self.id = secrets.token_hex(16)
        self._timeout = timeout
        self._targets = list(targets)
        self._status: Status = "open"
        self._is_entered = False
        self._pid = os.getpid()
        self._changing = Changing()
        self._buffers: weakref.WeakSet[WriteBuffer] = weakref.WeakSet()
        self._begun = threading.Lock()
        self._claim: Claim | None = None
        self._staged: Staged | None = None
        self._locking: Literal["thread", "file"] = "thread"
        self._places = [_place_of(target) for target in self._targets]
        stores = [place.store for place in self._places]
        self._base, starts = common(stores)
        self._paths = [_joined(start, place.path) for start, place in zip(starts, self._places, strict=True)]
        self._is_atomic = _check_base(self._base)
        self._root = _common_root([*self._paths, *self._linked_paths(starts)])
        self._home = Home(self._base, self._root, self.id)

    def _linked_paths(self, starts: list[str]) -> list[str]:
        """Where the consolidated metadata are that change with the targets."""
        links = [target._consolidated if isinstance(target, Node) else None for target in self._targets]
        return [
            _joined(start, link.path) for start, link in zip(starts, links, strict=True) if link is not None
        ]

    @property
    def status(self) -> Status:
        """What became of it.

        ``"open"``, ``"committing"``, ``"committed"``, ``"rolled back"``; ``"undecided"`` if the store did not
        tell: the next who opens it for writing resolves it.
        """
        return self._status

    # --- the block

    def __enter__(self) -> Any:
        if self._is_entered:
            raise RuntimeError("a transaction is for one block; call transaction() again for another")
        self._is_entered = True
        handles = [self._handle(*one) for one in zip(self._targets, self._paths, strict=True)]
        return handles[0] if len(handles) == 1 else tuple(handles)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status != "open" or os.getpid() != self._pid:
            return
        if error is None:
            self.commit()
            return
        try:
            self.rollback()
        except Exception as failure:
            error.add_note(f"what the transaction left could not be removed: {failure}; nobody sees it")

    def _handle(self, target: Any, path: str) -> Any:
        """Return what the block is given for a target."""
        store = TransactionStore(self, self._base)
        if not isinstance(target, Node):
            return StorePath(store, path) if path or isinstance(target, StorePath) else store
        if isinstance(target, Array):
            target._direct()  # what waits goes before it
        settle(self._base, path)
        now = target._metadata
        metadata = open_node(
            store, path, zarr_format=now.zarr_format, kind=target._kind, repair_fill=target._repair_fill()
        )
        made: Array | Group
        if isinstance(target, Array):
            assert isinstance(metadata, ArrayMetadata)
            if target._config.locking == "file":
                self._locking = "file"
            made = Array(store, path, metadata, changed(target._config, locking="thread"))
            made._needs_no_document = target._needs_no_document
        else:
            assert not isinstance(metadata, ArrayMetadata)
            made = Group(store, path, metadata)
        link = target._consolidated
        if link is not None:
            made._consolidated = self._link(store, link, path, target.path)
        return made

    def _link(self, store: TransactionStore, link: Consolidated, path: str, old: str) -> Consolidated:
        """Return consolidated metadata like others, over the changes of the transaction."""
        from zarrc.consolidated import Consolidated

        inner = old[len(link.path) :]
        made = Consolidated(
            store, path[: len(path) - len(inner)], link.zarr_format, link.key, writes=link.writes
        )
        # The versions of what is staged in a directory are those that it has in its place.
        made.checks = link.checks
        made._doubt(link._unsure)
        return made

    # --- for the store

    def _check_open(self) -> None:
        if self._status != "open":
            raise StoreError(f"the transaction is {self._status}: go on with handles that are not part of it")
        if os.getpid() != self._pid:
            raise StoreError("a transaction belongs to its process: this is a child of that")

    def _staging(self) -> Staged:
        """Return where contents are staged; at first use the transaction begins to be there for others."""
        staged = self._staged
        if staged is not None:
            return staged
        with self._begun:
            self._check_open()
            if self._staged is None:
                if self._is_atomic:
                    self._staged = Staged(self._base.staging(), "")
                else:
                    self._claim = begin(self._home)
                    self._staged = Staged(self._base, self._home.staged)
                    if self._base.local_root is not None:
                        self._clean_dead()
            return self._staged

    def _clean_dead(self) -> None:
        """Remove what killed ones left; a look at the directory tells of them."""
        from zarrc.transactions.recovering import clean_dead

        with suppress(ZarrcError):
            clean_dead(self._base, self._root, self.id)

    # --- the end

    def commit(self) -> None:
        """Make all changes, now.

        Raises
        ------
        TransactionConflictError
            If others changed what the transaction met. Nothing is changed, and the transaction is over.
        StoreError
            If the store fails. `status` says what became of it; where it is "committed", what was not done
            yet will be when the nodes are opened for writing next.
        """
        self._check_open()
        try:
            for buffer in list(self._buffers):
                buffer.flush()
        except BaseException:
            self._roll_back()
            raise
        with self._changing.lock:
            self._check_open()
            self._status = "committing"
        if self._changing.is_empty:
            self._drop()
            self._status = "committed"
            return
        self._commit_at_once() if self._is_atomic else self._commit_by_plan()
        self._tell_others()

    def rollback(self) -> None:
        """Drop all changes, now."""
        self._check_open()
        self._roll_back()

    def _roll_back(self) -> None:
        with self._changing.lock:
            self._status = "rolled back"
        self._drop()

    def _drop(self) -> None:
        """Remove all that was staged, and what told others of the transaction."""
        staged, claim = self._staged, self._claim
        self._staged = None
        try:
            if self._is_atomic:
                if staged is not None:
                    staged.store.close()
            elif claim is not None:
                claim.check()
                self._remove_staged()
                claim.clean()
        finally:
            if claim is not None:
                claim.end()

    def _remove_staged(self) -> None:
        home = self._home
        if home.store.local_root is not None:
            home.store.delete_prefix(home.staged)
        else:
            numbers = [entry.number for entry in self._changing.sets.values()]
            home.store.delete_many([f"{home.staged}/{number}" for number in numbers])
        home.store.delete(home.key("plan"))

    def _expected(self) -> dict[str, str | None]:
        """Return the versions that objects must still have: of what is changed, and of documents."""
        changing = self._changing
        return {
            key: version
            for key, version in changing.met.items()
            if key in changing.sets
            or key in changing.deletes
            or key in changing.absent
            or key.rpartition("/")[2] in DOCUMENTS
        }

    def _check_cleared(self) -> None:
        """Refuse if others put objects where all was deleted."""
        changing = self._changing
        added = [
            key
            for start in _outermost(changing.cleared)
            for key in self._base.list_prefix(start)
            if key not in changing.sets and key not in changing.deletes
        ]
        if added:
            raise changed_meanwhile(added)

    # --- stores that make changes in one step

    def _commit_at_once(self) -> None:
        changing, staged = self._changing, self._staged
        if staged is None:
            staged = Staged(self._base.staging(), "")
        plan = make_plan(self._base, self._root, changing, locks_files=False)
        sets = {key: staged.key(entry.number) for key, entry in changing.sets.items()}
        changes = Changes(self._expected(), staged.store, sets, sorted(changing.deletes))
        try:
            with ExitStack() as locks:
                # No read-modify-write of another thread is under way, and then none of another process. The
                # files last: objects of several nodes may share one.
                chunks: list[str] = []
                for one in plan.nodes:
                    path = _joined(self._root, one.path)
                    keys = [join(path, name) for name in (*one.sets, *one.deletes) if name not in DOCUMENTS]
                    if keys:
                        locks.enter_context(locked_objects(self._base, path, keys))
                        chunks += keys
                if self._locking == "file":
                    locks.enter_context(locked_files(self._base, chunks))
                self._check_cleared()
                self._base.apply(changes)
        except BaseException as error:
            self._status = "rolled back" if self._is_unchanged(error) else "undecided"
            raise
        finally:
            with suppress(ZarrcError, OSError):
                staged.store.close()
        self._status = "committed"
        all_changed()

    def _is_unchanged(self, error: BaseException) -> bool:
        """Whether nothing was changed, as the store promises; only its answer may be lost."""
        if isinstance(error, TransactionConflictError):
            return True
        try:
            self._check_versions()
        except Exception:
            error.add_note("whether the transaction is committed is not known: look at what is stored")
            return False
        return True

    # --- the others

    def _commit_by_plan(self) -> None:
        # Also where nothing is staged, but only deleted.
        try:
            self._begin_to_commit()
        except BaseException:
            self._status = "rolled back"
            raise
        home, claim = self._home, self._claim
        assert claim is not None
        plan = None
        try:
            claim.check()
            plan = make_plan(self._base, self._root, self._changing, locks_files=self._locking == "file")
            home.store.set(home.key("plan"), plan.to_bytes())
            patience = 2 * float(config.get("storage.transaction_lease"))
            deadline = time.monotonic() + (patience if self._timeout is None else self._timeout)
            put_markers(home, [one.path for one in plan.nodes], deadline, claim.check)
            self._check_versions()
            self._check_cleared()
            claim.check()
        except BaseException as error:
            self._give_up(claim, plan, error)
            raise
        self._decide(claim, plan)
        self._finish(claim, plan)

    def _begin_to_commit(self) -> None:
        with self._begun:
            if self._claim is None:
                self._claim = begin(self._home)

    def _check_versions(self) -> None:
        expected = self._expected()
        keys = list(expected)
        differing = [
            keys[number]
            for number, found in self._base.stat_many(keys)
            if (None if found is None else found.version or "") != expected[keys[number]]
        ]
        if differing:
            raise changed_meanwhile(differing)

    def _is_as_met(self) -> bool:
        try:
            self._check_versions()
        except TransactionConflictError:
            return False
        return True

    def _give_up(self, claim: Claim, plan: Plan | None, error: BaseException) -> None:
        """Undo what was done for a commit that is not to be."""
        self._status = "rolled back"
        try:
            # Also if it is lost: who took it over may not have seen one that was put since.
            if plan is not None:
                nodes = [_joined(self._root, one.path) for one in plan.nodes]
                remove_markers(self._base, self.id, nodes, sure=False)
            claim.check()
            self._remove_staged()
            claim.clean()
        except Exception as failure:
            error.add_note(
                f"what the transaction left could not be removed: {failure}; who opens the nodes for writing "
                "next does it"
            )
        finally:
            claim.end()

    def _decide(self, claim: Claim, plan: Plan) -> None:
        """Store that it is committed: from here on all of it will be done, by us or by others."""
        try:
            claim.decide("commit")
        except BaseException as error:
            # Whether it is stored is what the store says now; that it is not is made sure of.
            try:
                found = self._read_state()
                if found is None:
                    # Somebody took it over, and is done with it: in which way is only seen by the objects.
                    if not self._is_as_met():
                        raise StoreError("its record is gone", key=self._home.key("state"))
                elif found != "commit":
                    claim.decide("rollback")
            except StoreConflictError as failure:
                if failure is not error:
                    error.add_note(str(failure))
            except Exception:
                self._status = "undecided"
                claim.end()
                error.add_note(
                    "whether the transaction is committed is not known: who opens its nodes for writing next "
                    "resolves it"
                )
                raise error from None
            if not self._is_decided_now():
                self._give_up(claim, plan, error)
                raise
        self._status = "committed"

    def _read_state(self) -> str | None:
        from zarrc.transactions.recovering import read_state

        return read_state(self._home)

    def _is_decided_now(self) -> bool:
        try:
            return self._read_state() == "commit"
        except StoreError:
            return False

    def _finish(self, claim: Claim, plan: Plan) -> None:
        """Do what is decided."""
        from zarrc.transactions.recovering import finish_committed

        home = self._home
        targets = {
            number: Target(self._base, _joined(self._root, one.path)) for number, one in enumerate(plan.nodes)
        }
        self._note_shapes(plan)
        try:
            apply_plan(home, plan, targets, claim.check, again=False)
            finish_committed(home, plan, targets, claim.check)
            if home.store.local_root is not None:
                home.store.delete_prefix(home.staged)
            home.store.delete(home.key("plan"))
            claim.clean()
        except BaseException as error:
            error.add_note(
                "the transaction is committed: what is not done yet will be when its nodes are opened for "
                "writing next"
            )
            raise
        finally:
            claim.end()

    def _note_shapes(self, plan: Plan) -> None:
        """Let other handles of this process know of arrays that were resized, as resizing does."""
        store = TransactionStore(self, self._base)
        for one in plan.nodes:
            path = _joined(self._root, one.path)
            shape = noted_shape(store, path)
            if shape is not None:
                note_shape(self._base, path, shape)

    def _tell_others(self) -> None:
        """Have the handles that were given show what was changed."""
        for target, path in zip(self._targets, self._paths, strict=True):
            documents = [join(path, name) for name in (V3_DOCUMENT, *MARKERS, ".zattrs")]
            if isinstance(target, Node) and any(
                key in self._changing.sets or key in self._changing.deletes for key in documents
            ):
                # It may be gone, or another now.
                with suppress(ZarrcError):
                    target._refresh()
            link = target._consolidated if isinstance(target, Node) else None
            if link is not None:
                link.forget()

    def __repr__(self) -> str:
        return f"<Transaction {self.id[:8]} of {self._base}/{self._root} {self._status}>"


def _place_of(target: Any) -> StorePath:
    if isinstance(target, Node):
        target._check_writable("begin a transaction")
        found, path = target.store, target.path
    else:
        found, path = make_store(target, mode="r+")
    if found.below is not found:
        raise StoreError("transactions are not in one another: this is a part of one already")
    return StorePath(found, path)


def _check_base(base: Store) -> bool:
    """Refuse a store that cannot have transactions; whether it makes changes in one step."""
    if base.read_only:
        raise ReadOnlyError(f"{base} was opened for reading only")
    if base.is_atomic:
        return True
    if base.local_root is None and not base.is_conditional:
        raise StoreError(
            f"{type(base).__name__} cannot have transactions: it has neither changes in one step (is_atomic) "
            "nor conditional writes that all writers obey (is_conditional), and is no directory"
        )
    return False


def _outermost(prefixes: set[str]) -> list[str]:
    """Return those prefixes that are not below another one."""
    found: list[str] = []
    for start in sorted(prefixes):
        if not found or not start.startswith(found[-1]):
            found.append(start)
    return found


def _joined(start: str, path: str) -> str:
    return join(start, path) if start and path else start or path


def _common_root(paths: Sequence[str]) -> str:
    """Return the nearest path that holds all of them."""
    chains = [[*ancestors(path), path] for path in paths]
    root = ""
    for step in zip(*chains, strict=False):
        if len(set(step)) > 1:
            break
        root = step[0]
    return root
