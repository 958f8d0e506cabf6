"""Where data are stored that are to be stored again: what is deleted for them must not hold them."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zarrc.engine.node_names import ancestors
from zarrc.engine.nodes import place
from zarrc.node import Node

if TYPE_CHECKING:
    from zarrc.mosaic.handle import Mosaic
    from zarrc.storage.base import Store

__all__ = ["refuse_inside", "refuse_self"]

_MAX_TASKS: Final = 100_000
"""Objects of a task graph that are looked at: the arrays that it reads come first in it."""


class _Origin(NamedTuple):
    """A node that data are read from: in a store, or with another library in a directory."""

    store: Store | None
    path: str


def refuse_self(store: Store, path: str, source: Any) -> None:
    """Refuse to put a copy where its source is, or above: it is deleted with that, now or on failure.

    Parameters
    ----------
    store, path
        Where data are to be stored.
    source : object
        A node, or data: a lazy view is in its array, a mosaic in the arrays of its group, an array of
        zarr-python in a directory, a dask array in what its tasks read, as far as that shows in them.

    Raises
    ------
    ValueError
        If the source is there, or in there.
    """
    hint = "" if isinstance(source, Node) else _READ_FIRST
    for origin in _origins(source):
        if (relation := _relation(store, path, origin)) is not None:
            raise ValueError(f"{place(store, path)} {relation}{hint}")
    if _is_a(source, "zarrc.mosaic.handle", "Mosaic") and _is_tile(store, path, source):
        raise ValueError(f"{place(store, path)} is, or holds, a tile of the source{hint}")


_READ_FIRST: Final = "; read it first: numpy.asarray(...) of it is in memory"


def refuse_inside(store: Store, path: str, source: Node) -> None:
    """Refuse to put a copy of a group into the group.

    Raises
    ------
    ValueError
        If the path lies in the source.
    """
    wanted = source.store.identity_of(source.path)
    if any(store.identity_of(one) == wanted for one in ancestors(path)) or (
        # Stores with roots of their own.
        _below(_directory(source.store, source.path), _directory(store, path))
    ):
        raise ValueError(f"{place(store, path)} lies in {place(source.store, source.path)}, its source")


def _relation(store: Store, path: str, origin: _Origin) -> str | None:
    """What a place is to the node that data are read from, if that would be deleted with it."""
    directory = _directory(store, path)
    if origin.store is None:
        is_in = directory == origin.path or _below(directory, origin.path) is not None
        return "is the source itself, or holds it" if is_in else None
    target = store.identity_of(path)
    if any(origin.store.identity_of(one) == target for one in (origin.path, *ancestors(origin.path))):
        return "is the source itself, or holds it"
    # Stores with roots of their own: one may lie inside the other.
    inside = _below(directory, _directory(origin.store, origin.path)) is not None
    if inside or _holds(target, origin.store.identity_of(origin.path)):
        return f"holds the source, {place(origin.store, origin.path)}"
    return None


def _holds(outer: Hashable, inner: Hashable) -> bool:
    """Whether two places are of one file system of fsspec, and the second in the first."""
    match outer, inner:
        case ("fsspec", here, str(above)), ("fsspec", there, str(path)) if here == there:
            return not above.strip("/") or f"{path}/".startswith(f"{above.rstrip('/')}/")
    return False


def _directory(store: Store, path: str) -> str | None:
    root = store.local_root
    return None if root is None else os.path.realpath(os.path.join(root, path))


def _below(directory: str | None, other: str | None) -> str | None:
    """The path of another directory in a directory; None if it is not in there."""
    if directory is None or other is None:
        return None
    start = directory.rstrip(os.sep) + os.sep
    return other[len(start) :] if other.startswith(start) else None


def _is_a(source: Any, module: str, name: str) -> bool:
    """Whether an object is of this class; where none was made, its module is not imported."""
    found = sys.modules.get(module)
    return found is not None and isinstance(source, getattr(found, name))


def _is_tile(store: Store, path: str, mosaic: Mosaic) -> bool:
    """Whether a place is one of a mosaic's tiles, or holds one."""
    group = mosaic.store.identity_of(mosaic.path)
    inner = next(
        (path[len(one) :].lstrip("/") for one in ancestors(path) if store.identity_of(one) == group), None
    )
    if inner is None:
        inner = _below(_directory(mosaic.store, mosaic.path), _directory(store, path))
    return inner is not None and any(f"{tile.path}/".startswith(f"{inner}/") for tile in mosaic.tiles)


# --- what data are made of


def _origins(source: Any) -> Iterator[_Origin]:
    if isinstance(source, Node):
        yield _Origin(source.store, source.path)
    elif _is_a(source, "zarrc.lazy_view", "LazyView"):
        yield _Origin(source.array.store, source.array.path)
    elif _is_a(source, "zarrc.mosaic.handle", "Mosaic"):
        yield _Origin(source.store, source.path)
    elif hasattr(type(source), "__dask_graph__"):
        for one in _in_graph(source):
            yield from _origins(one)
    else:
        yield from _of_peer(source)


def _of_peer(source: Any) -> Iterator[_Origin]:
    """The directory of another library's array, if it says one as zarr-python does."""
    spot = getattr(source, "store_path", None)
    store, inner = getattr(spot, "store", None), getattr(spot, "path", None)
    root = getattr(store, "root", None)
    if root is None and _is_local(getattr(store, "fs", None)):
        root = getattr(store, "path", None)
    if isinstance(root, (str, os.PathLike)) and isinstance(inner, str):
        yield _Origin(None, os.path.realpath(os.path.join(os.fsdecode(root), inner)))


def _is_local(file_system: Any) -> bool:
    """Whether a file system of fsspec, or the one that it wraps, is the machine's."""
    protocol = getattr(getattr(file_system, "sync_fs", file_system), "protocol", ())
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def _in_graph(source: Any) -> Iterator[Any]:
    """The arrays that the tasks of a dask array hold."""
    graph = source.__dask_graph__()
    layers = getattr(graph, "layers", None)
    parts = [graph] if layers is None else list(layers.values())
    for part in parts:
        # A layer that is not made yet says its one task in these.
        made = getattr(part, "mapping", None)
        held = [
            made if isinstance(made, Mapping) else getattr(part, "task", None) or getattr(part, "dsk", part)
        ]
        held += [getattr(part, "indices", None)]
        for one in islice(_walk(held), _MAX_TASKS):
            if hasattr(one, "shape") and hasattr(one, "dtype"):
                yield one


def _walk(held: Any) -> Iterator[Any]:
    pending = [held]
    while pending:
        one = pending.pop()
        yield one
        if isinstance(one, Mapping):
            pending.extend(one.values())
        elif isinstance(one, (list, tuple)):
            pending.extend(one)
        elif type(one).__module__.startswith("dask"):
            pending.extend(getattr(one, name) for name in ("value", "args", "kwargs") if hasattr(one, name))
