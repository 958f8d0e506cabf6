"""Markers: who has put one at each node that it changes is alone in changing them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from zarrc.engine.node_names import join
from zarrc.errors import StoreConflictError, StoreError
from zarrc.transactions.records import Home, Marker, marker_key, read_marker

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["put_markers", "remove_markers"]

_MOST_THREADS = 16

_One = TypeVar("_One")
_Result = TypeVar("_Result")


def put_markers(home: Home, paths: Sequence[str], deadline: float, check: Callable[[], None]) -> None:
    """Put a marker at each node, or at none of them.

    Parameters
    ----------
    home : Home
        Where the transaction is.
    paths : sequence of str
        The nodes, below the root.
    deadline : float
        How long to wait for others that are committing, as `time.monotonic` counts.
    check : callable
        Raises if the transaction is not ours any more.

    Raises
    ------
    TransactionConflictError
        If another transaction is in the way for too long.
    """
    from zarrc.transactions.recovering import resolve

    ordered = sorted(paths)
    while True:
        check()
        put: list[str] = []
        try:
            answers = _each(home, ordered, partial(_put, home, put))
            taken = [path for path in answers if path is not None]
            if not taken:
                return
        except BaseException:
            with suppress(StoreError):
                remove_markers(home.store, home.id, [_node(home, path) for path in put], sure=False)
            raise
        # Not ours while we wait: two that have what the other wants would wait for ever.
        # Somebody may have undone ours meanwhile, and put its own there.
        remove_markers(home.store, home.id, [_node(home, path) for path in put], sure=False)
        resolve(home.store, _node(home, min(taken)), deadline)
        time.sleep(random.uniform(0.0, 0.02))


def _put(home: Home, put: list[str], path: str) -> str | None:
    """Put the marker of a node; the node, if another transaction has put one there."""
    node = _node(home, path)
    levels = path.count("/") + 1 if path else 0
    root = home.store.local_root
    n_made, at = 0, None
    if root is not None:
        n_made, at = _count_missing(os.path.join(root, node) if node else root), os.path.join(root, home.root)
    marker = Marker(home.id, levels, path, n_made, at, "")
    put.append(path)
    try:
        home.store.set_if(marker_key(node), marker.to_bytes(), None)
    except StoreConflictError:
        put.remove(path)
        there = read_marker(home.store, node)
        # That our own was stored may be learnt too late.
        if there is not None and there.id == home.id:
            put.append(path)
            return None
        return path
    return None


def _node(home: Home, path: str) -> str:
    return join(home.root, path) if path else home.root


def _count_missing(directory: str) -> int:
    """Return how many directories have to be made for one."""
    n = 0
    while directory and not os.path.isdir(directory) and directory != os.path.dirname(directory):
        n += 1
        directory = os.path.dirname(directory)
    return n


def remove_markers(
    store: Store, transaction: str, nodes: Iterable[str], *, undo: bool = True, sure: bool = True
) -> None:
    """Remove a transaction's markers.

    Parameters
    ----------
    store : Store
        Where the nodes are.
    transaction : str
        Its id: markers of others stay.
    nodes : iterable of str
        Their paths in the store.
    undo : bool, default True
        Whether the directories go that were made for markers, unless something is in them now.
    sure : bool, default True
        Whether they are known to be this transaction's.
    """
    # Those below go first, so that the directories that were made for them are empty.
    ordered = sorted(nodes, reverse=True)
    root = store.local_root
    if root is None:
        if not sure:
            found = [(node, read_marker(store, node)) for node in ordered]
            ordered = [node for node, marker in found if marker is not None and marker.id == transaction]
        store.delete_many([marker_key(node) for node in ordered])
        return
    for node in ordered:
        with suppress(StoreError):
            marker = read_marker(store, node)
            if marker is not None and marker.id != transaction:
                continue
            store.delete(marker_key(node))
            if undo and marker is not None:
                _remove_made(os.path.join(root, node) if node else root, marker.n_made)


def _remove_made(directory: str, n_made: int) -> None:
    for _ in range(n_made):
        try:
            os.rmdir(directory)
        except OSError:
            return
        directory = os.path.dirname(directory)


def _each(home: Home, items: Sequence[_One], do: Callable[[_One], _Result]) -> list[_Result]:
    """Do something for each; together where it is a request."""
    if home.store.local_root is not None or len(items) < 2:
        return [do(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(items), _MOST_THREADS)) as pool:
        return list(pool.map(do, items))
