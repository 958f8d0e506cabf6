"""What a transaction keeps in a store while it lives: the names of its objects, and what is in them.

::

    <root>/.zc-tx/<id>/d/0, 1, ...   new contents of objects
    <root>/.zc-tx/<id>/owner         (local) locked by flock while the owner lives
    <root>/.zc-tx/<id>/plan          which content belongs where, what is deleted, in which order
    <root>/.zc-tx/<id>/state         "open", "commit" or "rollback": the record that decides
    <node>/.zc-tx.json               at each node that is changed: where the transaction is

The root is the node that the transaction is of, or what holds all of them.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from zarrc.engine.node_names import join
from zarrc.engine.unsettled import MARKER
from zarrc.errors import StoreError
from zarrc.storage.keys import RESERVED, is_key

if TYPE_CHECKING:
    from zarrc.storage.base import Blob, Store

__all__ = [
    "DIRECTORY",
    "Home",
    "Marker",
    "NodePlan",
    "Plan",
    "dump",
    "is_id",
    "load",
    "marker_key",
    "read_marker",
    "signature",
]

DIRECTORY = ".zc-tx"
_VERSION = 1
_MAX_LEVELS = 1000


class Home(NamedTuple):
    """Where a transaction is: its store, the node that is its root there, its id."""

    store: Store
    root: str
    id: str

    @property
    def path(self) -> str:
        """The path that the keys of all its objects start with."""
        return join(join(self.root, DIRECTORY), self.id)

    @property
    def staged(self) -> str:
        """The path of the staged contents."""
        return f"{self.path}/d"

    def key(self, name: str) -> str:
        """The key of one of its objects."""
        return f"{self.path}/{name}"

    def __str__(self) -> str:
        return f"the transaction {self.id[:8]} at {self.store}/{self.root}".rstrip("/")


def is_id(text: object) -> bool:
    """Whether a text is the id of a transaction."""
    return isinstance(text, str) and len(text) == 32 and all(one in "0123456789abcdef" for one in text)


def dump(fields: Mapping[str, Any]) -> bytes:
    """Return the text of an object of ours."""
    return json.dumps({"zarrc_transaction": _VERSION, **fields}, separators=(",", ":")).encode()


def load(blob: Blob, key: str) -> dict[str, Any]:
    """Read an object of ours.

    Raises
    ------
    StoreError
        If it is none, or one of a later version.
    """
    try:
        fields = json.loads(bytes(blob))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"not a transaction's record: {error}", key=key) from None
    if not isinstance(fields, dict) or fields.get("zarrc_transaction") != _VERSION:
        raise StoreError("not a transaction's record, or one of a later version of zarrc", key=key)
    return fields


def signature() -> dict[str, Any]:
    """Say who writes a record, for messages."""
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"host": platform.node(), "pid": os.getpid(), "time": begun}


def signed_by(fields: Mapping[str, Any]) -> str:
    """Return who wrote a record, for messages."""
    return f"process {fields.get('pid')!r:.20} on {fields.get('host')!r:.80} since {fields.get('time')!r:.40}"


# --- markers


class Marker(NamedTuple):
    """What is in a node's marker.

    ``levels`` leads from the node up to the root, ``path`` back down. ``n_made`` directories above the marker
    were made for it. ``place`` is the directory of the root where it is a local one, in case that the node is
    reached by another way.
    """

    id: str
    levels: int
    path: str
    n_made: int
    place: str | None
    signed: str

    def to_bytes(self) -> bytes:
        """Return the text of the marker."""
        fields = {"id": self.id, "levels": self.levels, "path": self.path, "made": self.n_made}
        return dump({**fields, "place": self.place, **signature()})


def marker_key(path: str) -> str:
    """The key of a node's marker."""
    return join(path, MARKER)


def read_marker(store: Store, path: str) -> Marker | None:
    """Read a node's marker; None if there is none."""
    key = marker_key(path)
    blob = store.get(key)
    if blob is None:
        return None
    fields = load(blob, key)
    name: Any = fields.get("id")
    levels: Any = fields.get("levels")
    inner: Any = fields.get("path")
    n_made: Any = fields.get("made")
    at: Any = fields.get("place")
    if (
        not is_id(name)
        or not _is_count(levels, _MAX_LEVELS)
        or not _is_count(n_made, _MAX_LEVELS)
        or not _is_path(inner)
        or (inner.count("/") + 1 if inner else 0) != levels
        or not (at is None or isinstance(at, str))
    ):
        raise StoreError("the marker of a transaction is damaged", key=key)
    return Marker(name, levels, inner, n_made, at, signed_by(fields))


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_path(value: object) -> bool:
    return isinstance(value, str) and (value == "" or _is_plain_key(value))


def _is_plain_key(value: object) -> bool:
    """Whether a text is a key that leads neither out of its node nor to objects of ours."""
    return isinstance(value, str) and is_key(value) and f"/{RESERVED}" not in f"/{value}"


# --- the plan


class NodePlan(NamedTuple):
    """What is done at one node; keys are relative to it.

    Attributes
    ----------
    path : str
        Of the node, below the root.
    sets : dict of str to int
        Object -> number of its staged content.
    deletes : list of str
        Objects to delete.
    first : list of str
        Documents to delete before anything else is done: the node goes, and may be made again.
    last : bool
        Whether objects are deleted after the documents are set: not of a node that is made again.
    """

    path: str
    sets: dict[str, int]
    deletes: list[str]
    first: list[str]
    last: bool


class Plan(NamedTuple):
    """What a transaction does.

    Attributes
    ----------
    nodes : list of NodePlan
        By their paths.
    documents : list of (int, str)
        The documents among the objects that are set, in the order in which they are: number of the node, key.
    removed : list of str
        Paths, below the root, of which nothing is to be left if nothing new is there: deepest first.
    locks_files : bool
        Whether other processes lock objects by files.
    """

    nodes: list[NodePlan]
    documents: list[tuple[int, str]]
    removed: list[str]
    locks_files: bool

    def to_bytes(self) -> bytes:
        """Return the text of the plan."""
        return dump(
            {
                "nodes": [[one.path, one.sets, one.deletes, one.first, one.last] for one in self.nodes],
                "documents": self.documents,
                "removed": self.removed,
                "locks_files": self.locks_files,
            }
        )

    @classmethod
    def from_blob(cls, blob: Blob, key: str) -> Plan:
        """Read a plan; each key in it is checked."""
        fields = load(blob, key)
        try:
            nodes = [_node_plan(one) for one in fields["nodes"]]
            documents = [(int(number), str(name)) for number, name in fields["documents"]]
            removed, locks_files = fields["removed"], fields["locks_files"]
            ok = (
                all(0 <= number < len(nodes) and name in nodes[number].sets for number, name in documents)
                and isinstance(removed, list)
                and all(_is_plain_key(one) for one in removed)
            )
        except (KeyError, TypeError, ValueError):
            ok = False
        if not ok:
            raise StoreError("the plan of a transaction is damaged", key=key)
        return cls(nodes, documents, removed, bool(locks_files))


def _node_plan(fields: Any) -> NodePlan:
    path, sets, deletes, first, last = fields
    numbers = isinstance(sets, dict) and all(_is_count(number, 2**62) for number in sets.values())
    keys = [*sets, *deletes, *first]
    if not (numbers and _is_path(path) and all(map(_is_plain_key, keys)) and isinstance(last, bool)):
        raise ValueError("damaged")
    return NodePlan(path, sets, list(deletes), list(first), last)
