"""The marker that a transaction leaves at a node while it is committed: what a writable open looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarrc.engine.node_names import join
from zarrc.errors import StoreDeniedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zarrc.storage.base import Blob, Store

__all__ = ["MARKER", "finish", "get_and_settle", "get_with_marked", "leaves_markers", "settle"]

MARKER = ".zc-tx.json"
"""Name of the marker, beside the node's documents."""


def leaves_markers(store: Store) -> bool:
    """Whether transactions of this store leave markers: where they are not a step of the store's own."""
    below = store.below
    return (below.local_root is not None or below.is_conditional) and not (
        below.is_atomic or below.read_only or store.read_only
    )


def settle(store: Store, path: str) -> bool:
    """Finish what an interrupted transaction left at a node; whether there was one.

    One request where there is nothing. Where the store is not such that a transaction can be left, none.

    Raises
    ------
    TransactionConflictError
        If the transaction is being committed, and is not done in time.
    """
    if not leaves_markers(store):
        return False
    if store.local_root is not None:
        return store.stat(join(path, MARKER)) is not None and finish(store, path)
    try:
        return store.get(join(path, MARKER)) is not None and finish(store, path)
    except StoreDeniedError:
        return False  # as some servers say of what is not there


def get_and_settle(store: Store, paths: Sequence[str], keys: Sequence[str]) -> list[Blob | None]:
    """Get objects of nodes, together with the nodes' markers; where there is one, again when it is settled.

    Parameters
    ----------
    store : Store
        Of which `leaves_markers` is true.
    paths : sequence of str
        The nodes.
    keys : sequence of str
        The objects.
    """
    found, marked = get_with_marked(store, paths, keys)
    for path in marked:
        finish(store, path)
    return _all(store, keys) if marked else found


def get_with_marked(
    store: Store, paths: Sequence[str], keys: Sequence[str]
) -> tuple[list[Blob | None], list[str]]:
    """Get objects of nodes, and which of the nodes have a marker: for who has locks.

    Whoever is committing may wait for these locks, and is not to be waited for with them.
    """
    markers = [join(path, MARKER) for path in paths]
    try:
        found = _all(store, [*keys, *markers])
    except StoreDeniedError:
        # As some servers say of what is not there.
        return _all(store, keys), []
    except StoreError as error:
        # Both were asked together, and who is told does not know of markers.
        if error.key in markers:
            error.key = keys[markers.index(error.key) * len(keys) // len(markers)]
            error.message = error.message.replace(MARKER, error.key.rpartition("/")[2])
        raise
    marked = [path for path, blob in zip(paths, found[len(keys) :], strict=True) if blob is not None]
    return found[: len(keys)], marked


def _all(store: Store, keys: Sequence[str]) -> list[Blob | None]:
    found: list[Blob | None] = [None] * len(keys)
    for number, blob in store.get_many([(key, None) for key in keys]):
        found[number] = blob
    return found


def finish(store: Store, path: str) -> bool:
    """Finish what the marker at a node tells of; whether anything may have changed by that."""
    from zarrc.transactions.recovering import resolve

    return resolve(store.below, path)
