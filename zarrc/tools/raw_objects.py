"""Objects below one path copied to below another, as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from zarrc.engine.node_changes import contains_error
from zarrc.engine.nodes import MARKERS
from zarrc.errors import StoreConflictError
from zarrc.kernels.locks import all_changed

if TYPE_CHECKING:
    from zarrc.storage.base import Blob, Store

__all__ = ["copy_below", "in_order", "pass_on"]

_DOCUMENTS: Final = frozenset((*MARKERS, ".zattrs", ".zmetadata"))
_GROUP_NBYTES: Final = 64 * 2**20
"""What is in memory at once, where one object is not larger."""
_GROUP: Final = 64


def copy_below(source: Store, source_path: str, target: Store, target_path: str) -> None:
    """Copy all objects of a node: chunks first, then metadata from below, the node's own last.

    Raises
    ------
    ContainsNodeError
        If somebody made a node at the target meanwhile.
    """
    start = f"{source_path}/" if source_path else ""
    names = in_order(key[len(start) :] for key in source.list_prefix(source_path))
    last = [name for name in names if name in MARKERS]
    below = f"{target_path}/" if target_path else ""
    pairs = [(start + name, below + name) for name in names if name not in last]
    pass_on(source, target, pairs)
    for name in last:
        blob = source.get(start + name)
        if blob is None:
            continue
        try:
            target.set_if(below + name, bytes(blob), None)
        except StoreConflictError:
            raise contains_error(target, target_path, "node", "if_exists='replace' replaces it") from None


def in_order(names: Iterable[str]) -> list[str]:
    """Names of objects in the order in which they are to be stored: what makes a node after what it holds."""
    return sorted(names, key=_order)


def pass_on(source: Store, target: Store, keys: Iterable[tuple[str, str]]) -> tuple[int, int]:
    """Copy objects, many at a time; their number and their bytes. What is gone meanwhile is passed over."""
    n_objects = n_bytes = largest = 0
    pending = list(keys)
    first = 0
    while first < len(pending):
        # The sizes are known when the bytes are: the first alone tells what to expect.
        n = 1 if first == 0 else max(1, min(_GROUP, _GROUP_NBYTES // max(largest, 1)))
        group = pending[first : first + n]
        first += n
        found = list(_fetched(source, group))
        target.set_many(found)
        # Past the locks of objects: what handles with caches know of these is out of date.
        all_changed()
        n_objects += len(found)
        n_bytes += sum(blob.nbytes for _, blob in found)
        largest = max([largest, *(blob.nbytes for _, blob in found)])
    return n_objects, n_bytes


def _fetched(source: Store, group: list[tuple[str, str]]) -> Iterator[tuple[str, Blob]]:
    for index, blob in source.get_many([(key, None) for key, _ in group]):
        if blob is not None:
            yield group[index][1], blob


def _order(name: str) -> tuple[bool, int, bool, str]:
    """Chunks, then documents, deep ones before others, and what makes a node after the rest of it."""
    last = name.rpartition("/")[2]
    return last in _DOCUMENTS, -name.count("/"), last in MARKERS, name
