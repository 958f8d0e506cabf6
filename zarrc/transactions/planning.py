"""From what a transaction has changed to what is done at which node, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from zarrc.engine.node_names import join
from zarrc.engine.nodes import MARKERS, V3_DOCUMENT
from zarrc.transactions.overlay import DOCUMENTS, Changing
from zarrc.transactions.records import NodePlan, Plan

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["make_plan"]


def make_plan(base: Store, root: str, changing: Changing, *, locks_files: bool) -> Plan:
    """Return what is to be done.

    Parameters
    ----------
    base : Store
        The store.
    root : str
        The transaction's root: all that was changed is below it.
    changing : Changing
        What was changed.
    locks_files : bool
        Whether other processes lock objects by files.
    """
    keys = [*changing.sets, *changing.deletes]
    owners = _owners(base, root, keys, changing.nodes)
    nodes: dict[str, NodePlan] = {}

    def plan_of(key: str) -> tuple[NodePlan, str]:
        path = owners[key]
        inner = _below(root, path)
        if inner not in nodes:
            # Of a node that is made again nothing of the old one may be left when its new document is there.
            was_deleted = any(join(path, name) in changing.remade for name in MARKERS)
            nodes[inner] = NodePlan(inner, {}, [], [], last=not was_deleted)
        return nodes[inner], key[len(path) + 1 :] if path else key

    for key, entry in sorted(changing.sets.items()):
        plan, name = plan_of(key)
        plan.sets[name] = entry.number
        if key in changing.remade and key.rpartition("/")[2] in MARKERS:
            plan.first.append(name)
    for key in sorted(changing.deletes):
        plan, name = plan_of(key)
        (plan.first if name in DOCUMENTS else plan.deletes).append(name)
    ordered = [nodes[path] for path in sorted(nodes)]
    documents = [
        (number, name) for number, plan in enumerate(ordered) for name in plan.sets if name in DOCUMENTS
    ]
    documents.sort(key=lambda one: _document_order(root, ordered[one[0]].path, one[1], changing))
    removed = sorted(
        (_below(root, path) for path in changing.removed if path != root), key=lambda one: -one.count("/")
    )
    return Plan(ordered, documents, removed, locks_files)


def _below(root: str, path: str) -> str:
    return path[len(root) + 1 :] if root else path


def _document_order(root: str, path: str, name: str, changing: Changing) -> tuple[int, int, str, int]:
    """New nodes come first, those above before those below; then what is changed, from below.

    In a node the document that makes it one comes after its attributes.
    """
    key = join(join(root, path), name)
    depth = path.count("/") + 1 if path else 0
    makes = name in MARKERS
    if makes and changing.met.get(key) is None:
        return 0, depth, path, 1
    if name == ".zattrs":
        marks = [join(join(root, path), one) for one in MARKERS if one != V3_DOCUMENT]
        if any(one in changing.sets and changing.met.get(one) is None for one in marks):
            return 0, depth, path, 0
    return 1, -depth, path, 2 if name == ".zmetadata" else 1


def _owners(base: Store, root: str, keys: Iterable[str], nodes: set[str]) -> dict[str, str]:
    """Return the node of each key: the nearest above it; the transaction's root, where there is none."""
    owners: dict[str, str] = {}
    unknown: dict[str, list[str]] = {}
    for key in keys:
        above = _above(root, key)
        found = next((path for path in above if path in nodes), None)
        if found is None or not _is_chunk_of(found, key):
            unknown[key] = above
        else:
            owners[key] = found
    if unknown:
        places = sorted({path for above in unknown.values() for path in above})
        documents = [join(path, name) for path in places for name in MARKERS]
        there = {
            documents[number].rpartition("/")[0]
            for number, found in base.stat_many(documents)
            if found is not None
        } | nodes
        for key, above in unknown.items():
            owners[key] = next((path for path in above if path in there), root)
    return owners


def _is_chunk_of(path: str, key: str) -> bool:
    """Whether what is between a node and an object cannot well be another node, which nobody looked at."""
    between = key[len(path) + 1 if path else 0 :].split("/")[:-1]
    return all(name == "c" or name.isdigit() for name in between)


def _above(root: str, key: str) -> list[str]:
    """Return the paths above a key, up to the root, the nearest first."""
    found = []
    path = key
    while path != root and path:
        path = path.rpartition("/")[0]
        found.append(path)
        if path == root:
            break
    return found or [root]
