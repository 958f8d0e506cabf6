"""What interrupted transactions left: done to the end after their record, undone before it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zarrc.config import config
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.nodes import MARKERS
from zarrc.errors import ReadOnlyError, StoreDeniedError, StoreError, TransactionConflictError
from zarrc.transactions.applying import Target, apply_plan, remove_empty
from zarrc.transactions.claim import Claim
from zarrc.transactions.claims import take
from zarrc.transactions.claims_local import belongs_to, check_home, remove_begun
from zarrc.transactions.markers import remove_markers
from zarrc.transactions.places import above
from zarrc.transactions.records import DIRECTORY, Home, Marker, Plan, is_id, load, marker_key, read_marker
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["Recovered", "clean", "clean_dead", "finish_committed", "recover", "remove_staged", "resolve"]

# So often a marker is looked at whose transaction is not there: that may just have ended.
_LOOKS = 5


class Recovered(NamedTuple):
    """An interrupted transaction that was resolved.

    Attributes
    ----------
    id : str
        The transaction's.
    outcome : {"committed", "rolled back"}
        Whether all of it is done now, or nothing.
    nodes : tuple of str
        The paths of the nodes that this was about; those that were not done or undone before.
    """

    id: str
    outcome: Literal["committed", "rolled back"]
    nodes: tuple[str, ...]


def recover(store: Any, path: str | None = None, *, follow_links: bool = False) -> bool:
    """Resolve what an interrupted transaction left at a node, as opening it for writing does.

    Parameters
    ----------
    store : store-like
        Where the node is.
    path : str, optional
        Its path in the store.
    follow_links : bool, default False
        Whether it may change objects that are beyond symbolic links in the directories of the nodes. Opening
        refuses that: the data, and the transaction with them, may be from others.

    Returns
    -------
    bool
        Whether there was something to resolve.

    Raises
    ------
    TransactionConflictError
        If the transaction is being committed and is not done in time.
    StoreError
        If its records are not to be found.
    """
    found, at = _place(store, path)
    return _resolve(found, at, time.monotonic() + _patience(), follow_links=follow_links)


def clean(store: Any, path: str | None = None, *, wait: bool = True) -> list[Recovered]:
    """Resolve all interrupted transactions that were begun at a node, and remove what they left.

    What a transaction left that was killed before it was committed is seen by nobody, and does not hurt. In a
    directory the next transaction removes it too.

    Parameters
    ----------
    store : store-like
        Where the node is that the transactions were of.
    path : str, optional
        Its path in the store.
    wait : bool, default True
        Elsewhere than in directories: whether to wait for as long as a transaction may be without a sign of
        life, ``storage.transaction_lease``, to know the dead ones.

    Returns
    -------
    list of Recovered
        Those that were dead.
    """
    found, at = _place(store, path)
    if found.local_root is None and not wait:
        return []
    return clean_dead(found, at, None)


def _place(store: Any, path: str | None) -> tuple[Store, str]:
    from zarrc.node import Node
    from zarrc.storage.resolve import make_store

    if isinstance(store, Node):
        found, at = store.store, store.path
    else:
        found, at = make_store(store)
    return found.below, join(at, normalize_path(path)) if path else at


def _patience() -> float:
    return float(config.get("storage.transaction_lease"))


def clean_dead(store: Store, path: str, own: str | None) -> list[Recovered]:
    """Resolve the dead transactions of one root, save our own."""
    done = []
    for name in store.list_dir(join(path, DIRECTORY)).prefixes:
        if name == own or not is_id(name):
            continue
        home = Home(store, path, name)
        try:
            # One that lives is not waited for.
            claim = take(home, 0.0)
        except TransactionConflictError:
            continue
        if claim is not None:
            try:
                done.append(_finish(home, claim, None, None))
            finally:
                claim.end()
    root = store.local_root
    if root is not None:
        remove_begun(os.path.join(root, path, DIRECTORY))
        with suppress(OSError):
            os.rmdir(os.path.join(root, path, DIRECTORY))
    return done


def resolve(store: Store, path: str, deadline: float | None = None) -> bool:
    """Resolve what the marker of a node tells of; whether anything may have changed.

    Without the right to write it is left as it is, with a warning: what is read may be a part of it.
    """
    try:
        return _resolve(store, path, time.monotonic() + _patience() if deadline is None else deadline)
    except (StoreDeniedError, ReadOnlyError) as error:
        warn(
            f"a transaction at {store}/{path} was interrupted, and cannot be resolved without the right to "
            f"write there ({error}): what is read may be a part of it"
        )
        return False


def _resolve(store: Store, path: str, deadline: float, *, follow_links: bool = False) -> bool:
    changed = False
    last, looks = "", 0
    while True:
        marker = read_marker(store, path)
        if marker is None:
            return changed
        if marker.id != last:
            last, looks = marker.id, 0
        home, target = _find_home(store, path, marker)
        claim = None if home is None else take(home, deadline)
        changed = True
        if home is None or claim is None:
            looks += 1
            if looks == _LOOKS:
                raise _no_home(store, path, marker)
            time.sleep(0.01 * looks)
            continue
        try:
            _finish(home, claim, marker, target, follow_links=follow_links)
        finally:
            claim.end()


def _no_home(store: Store, path: str, marker: Marker) -> StoreError:
    up = f"{marker.levels} levels above it" if marker.levels else "there"
    place = f" ({marker.place!r})" if marker.place else ""
    return StoreError(
        f"the marker of a transaction (by {marker.signed}) is here, and its records are not {up}{place}: if "
        "the node was moved, move it back, or open what holds both; if the records are lost for good, what "
        "the transaction did here may be incomplete: delete the marker to use it as it is",
        key=marker_key(path),
    )


def _find_home(store: Store, path: str, marker: Marker) -> tuple[Home | None, Target]:
    """Find the transaction of a marker: so many levels above the node, or else where it says it is.

    Returns also the node, as seen from there.
    """
    here = Target(store, path)
    node = os.path.join(store.local_root or "", path)
    names = path.split("/") if path else []
    levels = marker.levels - len(names)
    if levels <= 0:
        root = "/".join(names[: len(names) - marker.levels])
        home = Home(store, root, marker.id)
        if _is_there(home, node):
            return home, here
    else:
        higher = above(store, levels)
        if higher is not None:
            at, inner = higher
            home = Home(at, "", marker.id)
            if _is_there(home, node):
                return home, Target(at, join(inner, path) if path else inner)
    if marker.place is not None and store.local_root is not None and os.path.isabs(marker.place):
        from zarrc.storage.local import LocalStore

        home = Home(LocalStore(marker.place), "", marker.id)
        if _is_there(home, node):
            return home, here
    return None, here


def _is_there(home: Home, node: str) -> bool:
    root = home.store.local_root
    if root is not None:
        if not os.path.isdir(os.path.join(root, home.path)):
            return False
        check_home(home)
        return belongs_to(home, node)
    return any(home.store.get(home.key(name)) is not None for name in ("state", "owner"))


# --- to the end


def _finish(
    home: Home, claim: Claim, marker: Marker | None, target: Target | None, *, follow_links: bool = False
) -> Recovered:
    """Finish a transaction whose owner is dead."""
    key = home.key("plan")
    blob = home.store.get(key)
    commits = claim.decision == "commit"
    nodes: list[str] = []
    if blob is not None:
        plan = Plan.from_blob(blob, key)
        left = _marked(home, plan, marker, target)
        nodes = [plan.nodes[number].path for number in left]
        if commits:
            apply_plan(home, plan, left, claim.check, again=True, follow_links=follow_links)
            finish_committed(home, plan, left, claim.check)
        else:
            _unmark(home, left, claim.check, undo=True)
            _remove_new(home, plan)
    elif commits and target is not None:
        # It goes when all markers are gone.
        raise StoreError(f"the plan of {home} is gone, and it is not known what it was to do", key=key)
    elif target is not None:
        _unmark(home, {0: target}, claim.check, undo=True)
    claim.check()
    remove_staged(home)
    home.store.delete(key)
    claim.clean()
    return Recovered(home.id, "committed" if commits else "rolled back", tuple(nodes))


def finish_committed(home: Home, plan: Plan, left: dict[int, Target], check: Callable[[], None]) -> None:
    """Remove the markers of nodes at which all is done."""
    _unmark(home, left, check, undo=False)
    remove_empty(home.store, [join(home.root, path) for path in plan.removed])


def _remove_new(home: Home, plan: Plan) -> None:
    """Remove what is left of the directories of nodes that were to be made."""
    root = home.store.local_root
    if root is None:
        return
    paths = [join(home.root, one.path) if one.path else home.root for one in plan.nodes]
    new = [
        path for path in paths if path and all(home.store.stat(join(path, name)) is None for name in MARKERS)
    ]
    remove_empty(home.store, sorted(new, reverse=True))


def _unmark(home: Home, targets: dict[int, Target], check: Callable[[], None], *, undo: bool) -> None:
    check()
    stores: dict[int, tuple[Store, list[str]]] = {}
    for target in targets.values():
        stores.setdefault(id(target.store), (target.store, []))[1].append(target.path)
    for store, paths in stores.values():
        remove_markers(store, home.id, paths, undo=undo)


def _marked(home: Home, plan: Plan, marker: Marker | None, target: Target | None) -> dict[int, Target]:
    """The nodes of a plan at which its marker is left: at the others it was done, or they were deleted.

    A node that was moved since is found where it is now, and with it those that were moved in one with it.
    """
    planned = [Target(home.store, join(home.root, one.path) if one.path else home.root) for one in plan.nodes]
    moved: tuple[str, str] | None = None
    if marker is not None and target is not None:
        where = join(home.root, marker.path) if marker.path else home.root
        if target.store is home.store and target.path != where:
            moved = _moved(where, target.path)
    left: dict[int, Target] = {}
    for number, at in enumerate(planned):
        candidates = [at]
        if marker is not None and target is not None and plan.nodes[number].path == marker.path:
            candidates.insert(0, target)
        elif moved is not None and f"{at.path}/".startswith(moved[0]):
            candidates.append(Target(at.store, (moved[1] + f"{at.path}/"[len(moved[0]) :]).rstrip("/")))
        for one in candidates:
            if _has_marker(one, home.id):
                left[number] = one
                break
    return left


def _has_marker(target: Target, transaction: str) -> bool:
    found = read_marker(target.store, target.path)
    return found is not None and found.id == transaction


def _moved(old: str, new: str) -> tuple[str, str]:
    """What differs at the start of two paths, each with a slash at its end."""
    before, after = f"{old}/".split("/"), f"{new}/".split("/")
    while len(before) > 2 and len(after) > 2 and before[-2] == after[-2]:
        del before[-2], after[-2]
    return "/".join(before), "/".join(after)


def remove_staged(home: Home) -> None:
    """Remove what is staged."""
    home.store.delete_prefix(home.staged)


def read_state(home: Home) -> str | None:
    """What is stored of the decision; None if there is none (yet)."""
    key = home.key("state")
    blob = home.store.get(key)
    return None if blob is None else str(load(blob, key).get("state"))
