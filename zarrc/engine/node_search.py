"""Whether a node is there, and what to tell a user who named one that is not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from zarrc.engine.node_names import ancestors, join
from zarrc.engine.nodes import MARKERS, V2_DOCUMENTS
from zarrc.errors import ArrayNotFoundError, GroupNotFoundError, NodeNotFoundError, ZarrcError

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["missing_node_error", "node_exists"]

_NOT_NODES = {*MARKERS, *V2_DOCUMENTS, ".zmetadata"}


def missing_node_error(
    store: Store, path: str, kind: str | None, zarr_format: int | None
) -> NodeNotFoundError:
    """Return the error for a node that is not there, with the nearest node above it and similar names.

    Looking for these costs a few requests; whatever goes wrong meanwhile is left out of the text.
    """
    error = {"array": ArrayNotFoundError, "group": GroupNotFoundError}.get(kind or "", NodeNotFoundError)
    what = f"Zarr{f' v{zarr_format}' if zarr_format else ''} {kind or 'array or group'}"
    where = f"{store}/{path}" if path else str(store)
    try:
        hint = _document_hint(where) or _format_hint(store, path, zarr_format) or _hint(store, path)
    except (ZarrcError, OSError):
        hint = ""
    return error(f"no {what} at {where}{hint}", key=path or None)


def _document_hint(where: str) -> str:
    """Say what is meant by a place that is a metadata document's."""
    above, _, name = where.rpartition("/")
    return f"; {name} is a metadata document: name what holds it, {above}" if name in _NOT_NODES else ""


def _format_hint(store: Store, path: str, zarr_format: int | None) -> str:
    """Say that there is a node of the format that was not asked for."""
    there = zarr_format is not None and node_exists(store, path)
    return "; one of the other Zarr format is there" if there else ""


def _hint(store: Store, path: str) -> str:
    nearest = next((parent for parent in reversed(ancestors(path)) if node_exists(store, parent)), None)
    if nearest is None:
        return _place_hint(store)
    below = path[len(nearest) :].lstrip("/").split("/")[0]
    what = "the root" if not nearest else repr(nearest)
    if _is_array(store, nearest):
        return f"; the nearest node above it is {what}, an array, and arrays have no members"
    # What was named may be a directory without a node: it is no answer.
    names = [name for name in store.list_dir(nearest).prefixes if name != below]
    similar = _did_you_mean([join(nearest, name) for name in _similar(below, names)])
    return f"; the nearest node above it is {what}{similar or f', which has {_some(names)}'}"


def node_exists(store: Store, path: str) -> bool:
    """Whether a node's document is there, readable or not."""
    return any(store.stat(join(path, name)) is not None for name in MARKERS)


def _is_array(store: Store, path: str) -> bool:
    """Whether the node there says that it is an array."""
    document = store.get(join(path, "zarr.json"))
    if document is None:
        return store.stat(join(path, ".zarray")) is not None
    try:
        fields = json.loads(bytes(document))
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and fields.get("node_type") == "array"


def _place_hint(store: Store) -> str:
    """Say what there is in place of a hierarchy, and which names are similar to a missing directory's."""
    missing = store.missing_hint()
    root = store.local_root
    if root is None:
        return f"; {missing}" if missing else ""
    if missing is None:
        listing = store.list_dir("")
        names = [*listing.prefixes, *listing.keys]
        return f"; the directory is there but holds {_some(names)}"
    parent, name = os.path.split(root)
    near = [one for one in os.listdir(parent) if one != name] if os.path.isdir(parent) else []
    similar = _similar(name, near)
    return f"; {missing}{_did_you_mean([os.path.join(parent, one) for one in similar])}"


def _some(names: list[str]) -> str:
    """Return the first few names."""
    return (", ".join(names[:5]) + (", ..." if len(names) > 5 else "")) or "nothing"


def _similar(name: str, names: list[str]) -> list[str]:
    # Only errors need it, and every import of zarrc would pay for it.
    import difflib

    return difflib.get_close_matches(name, names, n=3)


def _did_you_mean(names: list[str]) -> str:
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""
