"""The consolidated metadata that a group was opened with: read, trusted, and kept as the store is."""

from __future__ import annotations

import copy
import marshal
import os
import time
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from zarrc.config import config
from zarrc.engine.node_changes import node_lock
from zarrc.engine.node_names import ancestors, join
from zarrc.engine.nodes import NodeMetadata, open_children, place
from zarrc.errors import MemberNotFoundError, MetadataError, StoreConflictError, StoreError, ZarrcError
from zarrc.metadata.cache import cache_key, cached_node, keep_node
from zarrc.metadata.consolidated import (
    Members,
    documents_of,
    member_metadata,
    read_block,
    read_v2,
    to_block,
    to_v2,
)
from zarrc.metadata.json import dump_document, load_document
from zarrc.metadata.v3 import FEW_MEMBERS
from zarrc.node import without_nan
from zarrc.reading import Reading
from zarrc.stored_members import below, collect, is_group, same_documents, stored_documents
from zarrc.warning import warn

if TYPE_CHECKING:
    from zarrc.storage.base import Store

__all__ = ["Consolidated"]

_ATTEMPTS = 10
_guard = allocate_lock()
"""Held for a moment in which a handle begins to doubt some of its entries."""


class _State(NamedTuple):
    """What was read, and what follows from it."""

    members: Members
    children: dict[str, list[str]]
    parsed: dict[str, NodeMetadata | ZarrcError]
    root: dict[str, Any]
    """What else the document says: in format 3 the group's own metadata."""
    version: str | None
    """Of the stored document; None where it is not known, or where this is not all that it says."""


class Consolidated:
    """Consolidated metadata, shared by the handle of their group and all handles that it gives.

    Parameters
    ----------
    store : Store
        Where the group is.
    path : str
        The group that has them.
    zarr_format : {2, 3}
        Its format.
    key : str
        Name of their document in the group: ``zarr.json``, or that of a ``.zmetadata``.
    writes : bool, default True
        Whether a change through one of the handles is written to them at once.

    Notes
    -----
    On local stores a member's entry is trusted only while the member's documents are the very files that it
    was taken from: their size, inode and modification time, which are noted beside the members ("stamps").
    Elsewhere it is a snapshot of what was read at the opening, and of the changes made through these handles.
    """

    __slots__ = (
        "_holder", "_state", "_unsure", "_waiting", "checks", "key", "path", "store", "writes", "zarr_format"
    )  # fmt: skip

    def __init__(
        self, store: Store, path: str, zarr_format: Literal[2, 3], key: str, *, writes: bool = True
    ) -> None:
        self.store = store
        self.path = path
        self.zarr_format = zarr_format
        self.key = key
        self.writes = writes
        self.checks = store.local_root is not None
        self._holder: tuple[int, int] | None = None
        self._state: _State | None = None
        # Of threads in a `once` block: what is to be taken over at its end.
        self._waiting: dict[int, list[tuple[str, bool]]] = {}
        # Paths at and below which the store is asked: changed, and not written to the document.
        self._unsure: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Any, ...]:
        # Without what was read, which may be large: where it is needed it is read again.
        return _rebuild, (self.store, self.path, self.zarr_format, self.key, self.writes, self._unsure)

    def __str__(self) -> str:
        return f"the consolidated metadata of {place(self.store, self.path)}"

    # --- read

    def forget(self) -> None:
        """Read the document again when it is needed next."""
        self._state = None

    def take(
        self, members: Members, root: dict[str, Any] | None = None, version: str | None = None
    ) -> _State:
        """Go on with these members."""
        state = self._state = _State(members, members.children(), {}, root or {}, version)
        return state

    def _read(self) -> _State:
        state = self._state
        return self._stored() if state is None else state

    def _stored(self) -> _State:
        """Read the document, unless what is known of it is what is stored."""
        key = join(self.path, self.key)
        state = self._state
        if state is not None and state.version is not None:
            now = self.store.stat(key)
            if now is not None and now.version == state.version:
                return state
        blob = self.store.get(key)
        if blob is None:
            return self._gone()
        reading = Reading(key=key)
        if self.zarr_format == 2:
            found, root = read_v2(bytes(blob), reading), {}
        else:
            root = load_document(bytes(blob), reading)
            block = root.pop("consolidated_metadata", None)
            if block is None:
                return self._gone()
            found = read_block(block, reading.at("consolidated_metadata"))
        self.tell(reading.notes)
        return self.take(found, root, blob.version)

    def _gone(self) -> _State:
        """Go on without consolidated metadata: somebody took them away, and they are not made again."""
        self._doubt([""])
        return self.take(Members({}, {}))

    def tell(self, notes: Sequence[str]) -> None:
        """Warn of what was left out of the document."""
        if notes:
            more = f" and {len(notes) - 3} more" if len(notes) > 3 else ""
            warn(f"{self}: {'; '.join(notes[:3])}{more}")

    def inner(self, path: str) -> str:
        """The path of a node relative to the group."""
        return path[len(self.path) + 1 :] if self.path else path

    def find(self, path: str) -> tuple[bool, NodeMetadata | None]:
        """Whether it is known what a node is, and its metadata; None if there is none.

        Raises
        ------
        MetadataError
            If there is an entry that is not valid.
        """
        inner = self.inner(path)
        state = self._read()
        documents = state.members.documents.get(inner)
        if self._is_unsure(inner):
            return False, None
        if documents is None:
            return not self.checks, None
        if self.checks and not self.is_current(inner, documents, state):
            return False, None
        found = self._metadata(inner, state)
        if isinstance(found, ZarrcError):
            raise found
        return True, found

    def has(self, path: str) -> tuple[bool, bool]:
        """Whether it is known if there is a node, readable or not, and whether there is."""
        inner = self.inner(path)
        documents = self._read().members.documents.get(inner)
        return not (self.checks or self._is_unsure(inner)), documents is not None

    def parents_of(self, path: str) -> list[str]:
        """The paths between the group and a node."""
        return [below(self.path, one) for one in ancestors(self.inner(path)) if one]

    def children(self, path: str) -> Iterator[tuple[str, NodeMetadata | ZarrcError]]:
        """The nodes right below a group, as `open_children` yields them."""
        inner = self.inner(path)
        state = self._read()
        if self._is_unsure(inner) or any(
            one.startswith(f"{inner}/" if inner else "") for one in self._unsure
        ):
            return open_children(self.store, path, self.zarr_format)
        if self.checks:
            return open_children(self.store, path, self.zarr_format, self._known(inner, state))
        names = state.children.get(inner, ())
        return iter([(name, self._metadata(join(inner, name), state)) for name in names])

    def _known(self, inner: str, state: _State) -> Callable[[str], NodeMetadata | None]:
        """What is known for sure of the members of a group, by their names."""

        def known(name: str) -> NodeMetadata | None:
            path = join(inner, name)
            documents = state.members.documents.get(path)
            if documents is None or not self.is_current(path, documents, state):
                return None
            found = self._metadata(path, state)
            return None if isinstance(found, ZarrcError) else found

        return known

    def missing(self, path: str) -> MemberNotFoundError:
        """The error for a node that the document does not have."""
        import difflib

        inner = self.inner(path)
        near = difflib.get_close_matches(inner, list(self._read().members.documents), n=3)
        similar = f"; did you mean {' or '.join(repr(join(self.path, one)) for one in near)}?" if near else ""
        return MemberNotFoundError(
            f"{self} have no {inner!r}{similar}; use_consolidated=False looks in the store", key=path
        )

    def _metadata(self, inner: str, state: _State) -> NodeMetadata | ZarrcError:
        """A member's metadata with values of their own, parsed once."""
        found = state.parsed.get(inner)
        if found is None:
            found = state.parsed[inner] = self._parsed(inner, state.members.documents[inner])
        if isinstance(found, ZarrcError):
            return found
        values = {name: getattr(found, name) for name in found.VALUES}
        try:
            # It copies the values of JSON, and nothing else is there, in a fifth of the time of deepcopy.
            return found.with_values(marshal.loads(marshal.dumps(values)))
        except ValueError:
            return found.with_values(copy.deepcopy(values))

    def _parsed(self, inner: str, documents: Mapping[str, Any]) -> NodeMetadata | ZarrcError:
        """Parse a member's documents; those that are as another member's, or were parsed before, are not."""
        try:
            # Version 2 of the form has no references, which differ between equal values.
            key = cache_key(self.zarr_format, False, b"parsed", marshal.dumps({**documents}, 2))
            found = cached_node(key)
        except ValueError:
            key, found = None, None
        if found is not None:
            return found
        try:
            made = member_metadata(documents, f"{join(self.path, self.key)}: {inner}")
        except MetadataError as error:
            error.add_note(f"in {self}")
            return error
        if key is not None:
            keep_node(key, made)
        return made

    def _doubt(self, inner: Iterable[str]) -> None:
        """From now on ask the store for these nodes, and for what is below them."""
        with _guard:
            self._unsure = self._unsure.union(inner)

    def _is_unsure(self, inner: str) -> bool:
        unsure = self._unsure
        return bool(unsure) and any(one in unsure for one in ("", *ancestors(inner), inner))

    def is_current(self, inner: str, documents: Mapping[str, Any], state: _State) -> bool:
        """Whether a member's documents are those that its entry was taken from."""
        for name in documents_of(self.zarr_format):
            if name == ".zgroup" and ".zarray" in documents:
                continue  # the array's is what counts
            key = join(inner, name)
            stamp = state.members.stamps.get(key)
            if stamp is None and name in documents:
                return False
            found = self.store.stat(join(self.path, key))
            if (None if found is None else found.version) != stamp:
                return False
        return True

    def compare(self) -> None:
        """Read the documents of all members, and go on with these; a warning names those that differ."""
        state = self._read()
        stored, old = self.collected(state.children), state.members.documents
        new = stored.documents
        wrong = sorted(
            {path for path in old.keys() | new.keys() if not same_documents(old.get(path), new.get(path))}
        )
        if wrong:
            names = ", ".join(repr(path) for path in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
            warn(
                f"{self} are not what is stored ({names}): the members' own metadata are used; "
                "zarrc.consolidate_metadata brings them up to date"
            )
        self.take(stored)

    def collected(
        self,
        known: Mapping[str, Sequence[str]] = MappingProxyType({}),
        strangers: list[str] | None = None,
    ) -> Members:
        """The members as the store has them, in format 2 with the group; for the others see `collect`."""
        members = collect(self.store, self.path, self.zarr_format, known=known, strangers=strangers)
        if self.zarr_format == 2:
            documents, stamps = stored_documents(self.store, self.path, "", self.zarr_format)
            members.documents[""] = documents
            members.stamps.update(stamps)
        return members

    # --- write

    def changed(self, paths: Iterable[str], deep: Iterable[str] = (), *, write: bool = True) -> None:
        """Take over what was changed in the store, with one rewrite of the document.

        Where somebody else rewrites it at the same time, it is read again and rewritten once more.

        Parameters
        ----------
        paths : iterable of str
            Nodes that were created or changed.
        deep : iterable of str
            Nodes that were created, changed or deleted with all that is below them.
        write : bool, default True
            Otherwise, or if `writes` is false, the store is asked for these nodes from now on.

        Raises
        ------
        StoreError
            If the document could not be rewritten. The change itself is stored.
        """
        steps = [(self.inner(path), False) for path in paths] + [(self.inner(path), True) for path in deep]
        waiting = self._waiting.get(get_ident())
        if not (write and self.writes) or waiting is not None:
            self._doubt(path for path, _ in steps)
            if waiting is not None and write:
                waiting += steps
            return
        self._write(steps)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Take over what this thread changes in the ``with`` block at its end, in one rewrite."""
        me = get_ident()
        if me in self._waiting or not self.writes:
            yield
            return
        steps = self._waiting[me] = []
        try:
            yield
        finally:
            del self._waiting[me]
            if steps:
                self._write(list(dict.fromkeys(steps)))
                with _guard:
                    self._unsure = self._unsure.difference(path for path, _ in steps if path)

    def _write(self, steps: Sequence[tuple[str, bool]]) -> None:
        try:
            self._take_over(steps)
        except (ZarrcError, OSError) as error:
            self._doubt(path for path, _ in steps)
            reason = error.message if isinstance(error, ZarrcError) else str(error)
            told = StoreError(
                f"the change is stored, but {self} could not be brought up to date: {reason}; "
                "zarrc.consolidate_metadata does it"
            )
            told.key = join(self.path, self.key)
            raise told from error

    def _take_over(self, steps: Sequence[tuple[str, bool]]) -> None:
        with self.lock():
            for attempt in range(_ATTEMPTS):
                try:
                    self._try(steps)
                    return
                except StoreConflictError:
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    time.sleep(0.001 * 2**attempt)

    def _try(self, steps: Sequence[tuple[str, bool]]) -> None:
        state = self._stored()
        if "" in self._unsure:
            return
        new = Members({**state.members.documents}, {**state.members.stamps})
        for path, deep in steps:
            self._renew(new, path, deep)
        if new == state.members:
            return
        version = self._store(new, state.root, state.version, exists=True)
        taken = self.take(new, state.root, version)
        for path, documents in new.documents.items():
            if path in state.parsed and documents is state.members.documents.get(path):
                taken.parsed[path] = state.parsed[path]

    def _store(
        self, members: Members, root: dict[str, Any], version: str | None, *, exists: bool
    ) -> str | None:
        """Store the document if it is still the one of this version; the new version."""
        key = join(self.path, self.key)
        indent = config.get("json_indent") if len(members.documents) <= FEW_MEMBERS else None
        if self.zarr_format == 2:
            fields = to_v2(members)
        else:
            fields = {**root, "consolidated_metadata": to_block(members)}
            if isinstance(fields.get("attributes"), dict):
                fields["attributes"] = without_nan(fields["attributes"], place(self.store, self.path))
        document = dump_document(fields, indent=indent)
        if exists and version is None:
            self.store.set(key, document)
            return None
        return self.store.set_if(key, document, version)

    def replace(self, members: Members) -> _State:
        """Store these members in place of whatever the document says of them."""
        key = join(self.path, self.key)
        blob = self.store.get(key)
        root: dict[str, Any] = {}
        if self.zarr_format == 3:
            if blob is None:
                raise StoreConflictError("the group was deleted meanwhile", key=key)
            root = load_document(bytes(blob), Reading(key=key))
        version = self._store(members, root, None if blob is None else blob.version, exists=blob is not None)
        return self.take(members, root, version)

    def _renew(self, members: Members, path: str, deep: bool) -> None:
        """Replace what is said of a node by what is stored now; with ``deep``, of all below it too."""
        documents, stamps = stored_documents(self.store, below(self.path, path), path, self.zarr_format)
        if deep or not is_group(documents):
            # Below an array, and below nothing, there is nothing.
            start = f"{path}/" if path else ""
            for one in [one for one in members.documents if one.startswith(start)]:
                _remove(members, one)
        _remove(members, path)
        if documents and (path or self.zarr_format == 2):
            # The group itself is said by the document that holds the members, in format 3.
            members.documents[path] = documents
            members.stamps.update(stamps)
        if deep and is_group(documents):
            found = collect(self.store, below(self.path, path), self.zarr_format, prefix=path)
            members.documents.update(found.documents)
            members.stamps.update(found.stamps)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers of the document out: threads, and on local stores processes."""
        with node_lock(self.store, self.path):
            key = f"{self.path}/{self.key}" if self.path else self.key
            path = self.store.lock_path(key) if self.checks else None
            me = os.getpid(), get_ident()
            # Held by this thread already, by whoever changes the group's own document.
            if path is None or self._holder == me:
                yield
                return
            from zarrc.metadata_lock import lock_of_file

            with lock_of_file(path):
                self._holder = me
                try:
                    yield
                finally:
                    self._holder = None


def _rebuild(
    store: Store, path: str, zarr_format: Literal[2, 3], key: str, writes: bool, unsure: frozenset[str]
) -> Consolidated:
    made = Consolidated(store, path, zarr_format, key, writes=writes)
    made._unsure = unsure
    return made


def _remove(members: Members, path: str) -> None:
    for name in members.documents.pop(path, {}):
        members.stamps.pop(join(path, name), None)


def _renew_guard() -> None:
    """In a forked child, where another thread's lock would stay taken for ever."""
    global _guard
    _guard = allocate_lock()


os.register_at_fork(after_in_child=_renew_guard)
