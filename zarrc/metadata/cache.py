"""Nodes that were parsed before, by the bytes of their documents."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from zarrc.codecs.registry import registrations
from zarrc.grids.registry import grid_registrations

if TYPE_CHECKING:
    from zarrc.metadata.model import NodeMetadata

__all__ = ["cache_key", "cached_node", "keep_node"]

MAX_ENTRIES = 512
"""Nodes in one generation; there are at most two."""
MAX_NBYTES = 2**20
"""Bytes of documents in one generation; what was made of them takes a few times as many."""
MAX_DOCUMENT_NBYTES = 2**16
"""Larger documents (consolidated metadata, attributes that are data) are parsed each time."""
MAX_FILL_NBYTES = 2**10
"""Arrays with a larger fill value (raw bits of a megabyte, which take a short document) are not kept."""

Key = tuple[Any, ...]
Entry = tuple["NodeMetadata", bytes]

# A node is found by the bytes that it was parsed from, not by where and when these were read: equal documents
# mean equal nodes, so that nothing kept can be stale or another's, whoever wrote the file and whatever clock
# its times come from. The price is to read the document at each open: 5 us of the 100 us of parsing it.
#
# Two generations: what is looked up moves to the young one, and when that is full the old one is dropped.
# What is used stays, as in an LRU list, and each step is one operation on a dict: there is no lock, which a
# fork could catch in the wrong state. Two threads at once may both parse a document, or drop some too early.
_young: dict[Key, Entry] = {}
_old: dict[Key, Entry] = {}
_young_nbytes = 0


def cache_key(zarr_format: int, strict: bool, *documents: bytes | None) -> Key:
    """All that decides what documents mean, the codecs and grids that are registered now included."""
    return registrations(), grid_registrations(), zarr_format, strict, *documents


def cached_node(key: Key) -> NodeMetadata | None:
    """The node that was kept under a key, with attributes of its own; None if there is none.

    Parameters
    ----------
    key : tuple
        From `cache_key`.
    """
    entry = _young.get(key)
    if entry is None:
        entry = _old.get(key)
        if entry is None:
            return None
        _put(key, entry)
    node, values = entry
    # marshal copies the values of JSON in a fifth of the time of parsing them, and nothing else gets here.
    return node.with_values(marshal.loads(values))


def keep_node(key: Key, node: NodeMetadata) -> None:
    """Keep a node, unless it is large, or has a codec or a grid of the user's own, perhaps with a state.

    Parameters
    ----------
    key : tuple
        From `cache_key`, before the documents were parsed.
    node : ArrayMetadata or GroupMetadata
        What they amount to. The caller goes on using it: nothing that can be changed is shared.
    """
    if _nbytes(key) > MAX_DOCUMENT_NBYTES or _fill_nbytes(node) > MAX_FILL_NBYTES or not _is_ours(node):
        return
    try:
        values = marshal.dumps({name: getattr(node, name) for name in node.VALUES})
    except ValueError:
        return  # nested too deeply for marshal
    _put(key, (node.with_values({name: {} for name in node.VALUES}), values))


def _put(key: Key, entry: Entry) -> None:
    global _young, _old, _young_nbytes
    nbytes = _nbytes(key)
    if len(_young) >= MAX_ENTRIES or _young_nbytes + nbytes > MAX_NBYTES:
        _young, _old, _young_nbytes = {}, _young, 0
    if key not in _young:
        _young_nbytes += nbytes
    _young[key] = entry


def _nbytes(key: Key) -> int:
    return sum(len(part) for part in key if type(part) is bytes)


def _fill_nbytes(node: NodeMetadata) -> int:
    """Bytes of what a missing element reads as, of which the engine has more copies; 0 for a group."""
    data_type = getattr(node, "data_type", None)
    return 0 if data_type is None else int(data_type.numpy.itemsize)


def _is_ours(node: NodeMetadata) -> bool:
    parts = (*getattr(node, "codecs", ()), getattr(node, "chunk_grid", None))
    return all(part is None or type(part).__module__.startswith("zarrc.") for part in parts)
