"""A store with changes over another store, which nobody else sees."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from zarrc.engine.node_names import join
from zarrc.engine.nodes import MARKERS, V2_DOCUMENTS, V3_DOCUMENT
from zarrc.errors import StoreError
from zarrc.storage.base import Blob, ByteRange, DirListing, Stat, Store
from zarrc.storage.keys import RESERVED, check_key, check_prefix, keys_below

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.transactions.transacting import Transaction

__all__ = ["DOCUMENTS", "Changing", "Staged", "TransactionStore", "is_reserved"]

DOCUMENTS = frozenset((V3_DOCUMENT, *V2_DOCUMENTS, ".zmetadata"))

# What set_many hands on at once: enough for a store that takes many together.
_BATCH = 64
_BATCH_NBYTES = 64 * 2**20


def is_reserved(key: str) -> bool:
    """Whether a key is one of ours, that listings hide."""
    return f"/{RESERVED}" in f"/{key}"


class Staged:
    """Staged contents, by numbers: below a path of a store, or in a store of their own."""

    def __init__(self, store: Store, path: str) -> None:
        self.store = store
        self.path = path

    def key(self, number: int) -> str:
        """The key of a content."""
        return join(self.path, str(number))


class _Entry(NamedTuple):
    """A staged object: the number of its content, and its size."""

    number: int
    nbytes: int


class Changing:
    """What a transaction has changed, and what it met: shared by all its stores.

    Attributes
    ----------
    sets : dict of str to _Entry
        Objects with new content.
    deletes : set of str
        Objects that are there below, and not here.
    met : dict of str to (str or None)
        Objects -> the version that they had when the transaction met them first; None: there was none.
    remade : set of str
        Documents that were deleted here, and may have been made again.
    removed : set of str
        Paths below which all was deleted.
    cleared : set of str
        Prefixes of which nothing may be there at the end that was not met: what others put there since would
        be part of what is made there anew.
    absent : set of str
        Objects that were to be deleted, and were not there.
    """

    def __init__(self) -> None:
        self.sets: dict[str, _Entry] = {}
        self.deletes: set[str] = set()
        self.met: dict[str, str | None] = {}
        self.nodes: set[str] = set()
        self.remade: set[str] = set()
        self.removed: set[str] = set()
        self.cleared: set[str] = set()
        self.absent: set[str] = set()
        self.lock = threading.RLock()
        self.numbers = itertools.count()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was changed."""
        return not (self.sets or self.deletes)

    def hides(self, key: str) -> bool:
        """Whether an object is not here, whatever is below: also if others put it there since."""
        return key in self.deletes or key in self.absent

    def meet(self, key: str, version: str | None, exists: bool) -> None:
        """Note the version of an object, when it is met first."""
        if key not in self.met:
            self.met.setdefault(key, (version or "") if exists else None)
        if exists and key.rpartition("/")[2] in MARKERS:
            self.nodes.add(key.rpartition("/")[0])


class TransactionStore(Store):
    """The store of a transaction: what is read is what the transaction has changed, over what is stored.

    Parameters
    ----------
    transaction : Transaction
        The transaction.
    base : Store
        The store that it is over.
    """

    def __init__(self, transaction: Transaction, base: Store) -> None:
        super().__init__()
        self._transaction = transaction
        self._base = base
        self._changing = transaction._changing

    # --- the transaction

    @property
    def transaction(self) -> Transaction:
        """The transaction."""
        return self._transaction

    @property
    def status(self) -> str:
        """``"open"``, ``"committed"``, ``"rolled back"`` or ``"undecided"``."""
        return self._transaction.status

    def note_buffer(self, buffer: Any) -> None:
        """Have what waits in a buffer written before all changes are made."""
        self._transaction._buffers.add(buffer)

    def commit(self) -> None:
        """Make all changes; see `Transaction.commit`."""
        self._transaction.commit()

    def rollback(self) -> None:
        """Drop all changes; see `Transaction.rollback`."""
        self._transaction.rollback()

    # --- reading

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        self._transaction._check_open()
        changing = self._changing
        entry = changing.sets.get(key)
        if entry is not None:
            return self._get_staged(key, entry, range)
        if changing.hides(key):
            return None
        return self._met(key, self._base.get(key, range))

    def _get_staged(self, key: str, entry: _Entry, range: ByteRange | None) -> Blob | None:
        staged = self._transaction._staging()
        while True:
            try:
                blob = staged.store.get(staged.key(entry.number), range)
            except StoreError as error:
                error.key = key
                raise
            if blob is not None:
                return blob
            # Another thread put a newer one in its place, or deleted it.
            now = self._changing.sets.get(key)
            if now is None:
                return None
            if now == entry:
                raise StoreError("what the transaction staged of it is gone", key=key)
            entry = now

    def _met(self, key: str, blob: Blob | None) -> Blob | None:
        if blob is None:
            self._changing.meet(key, None, False)
        elif blob.version is not None:
            self._changing.meet(key, blob.version, True)
        return blob

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        self._transaction._check_open()
        changing = self._changing
        below = []
        for number, (key, range) in enumerate(requests):
            check_key(key)
            entry = changing.sets.get(key)
            if entry is not None:
                yield number, self._get_staged(key, entry, range)
            elif changing.hides(key):
                yield number, None
            else:
                below.append(number)
        for index, blob in self._base.get_many([requests[number] for number in below]):
            yield below[index], self._met(requests[below[index]][0], blob)

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        return dict(self.stat_many([key]))[0]

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        self._transaction._check_open()
        changing = self._changing
        below = []
        for number, key in enumerate(keys):
            check_key(key)
            entry = changing.sets.get(key)
            if entry is not None:
                staged = self._transaction._staging()
                yield number, staged.store.stat(staged.key(entry.number))
            elif changing.hides(key):
                yield number, None
            else:
                below.append(number)
        for index, found in self._base.stat_many([keys[number] for number in below]):
            key = keys[below[index]]
            changing.meet(key, None if found is None else found.version, found is not None)
            yield below[index], found

    # --- writing

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        self.set_many([(key, data)])

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        self._transaction._check_open()
        batch: list[tuple[str, Buffer]] = []
        nbytes = 0
        for key, data in items:
            self._check_own(key)
            batch.append((key, data))
            nbytes += memoryview(data).nbytes
            if len(batch) >= _BATCH or nbytes >= _BATCH_NBYTES:
                self._stage(batch)
                batch, nbytes = [], 0
        if batch:
            self._stage(batch)

    def _stage(self, items: list[tuple[str, Buffer]]) -> None:
        staged = self._transaction._staging()
        changing = self._changing
        self._meet([key for key, _ in items])
        numbers = [next(changing.numbers) for _ in items]
        staged.store.set_many(
            (staged.key(number), data) for number, (_, data) in zip(numbers, items, strict=True)
        )
        dropped = []
        with changing.lock:
            # Not when it is being committed: what is staged now would not be part of it.
            self._transaction._check_open()
            for number, (key, data) in zip(numbers, items, strict=True):
                old = changing.sets.get(key)
                if old is not None:
                    dropped.append(staged.key(old.number))
                changing.sets[key] = _Entry(number, memoryview(data).nbytes)
                changing.deletes.discard(key)
                changing.absent.discard(key)
                if key.rpartition("/")[2] in MARKERS:
                    changing.nodes.add(key.rpartition("/")[0])
        if dropped:
            staged.store.delete_many(dropped)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        self._check_own(key)
        with self._lock_of(key):
            current = self.stat(key)
            self._check_version(
                key, version, None if current is None else current.version, current is not None
            )
            self.set(key, data)
            written = self.stat(key)
        return None if written is None else written.version

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self.delete_many([key])

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        self._transaction._check_open()
        wanted = list(keys)
        for key in wanted:
            self._check_own(key)
        self._meet(wanted)
        changing = self._changing
        dropped = []
        with changing.lock:
            self._transaction._check_open()
            for key in wanted:
                old = changing.sets.pop(key, None)
                if old is not None:
                    dropped.append(old.number)
                if changing.met.get(key) is None:
                    changing.absent.add(key)
                    continue  # there is none below
                changing.deletes.add(key)
                if key.rpartition("/")[2] in DOCUMENTS:
                    changing.remade.add(key)
        if dropped:
            staged = self._transaction._staging()
            staged.store.delete_many([staged.key(number) for number in dropped])

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        start = check_prefix(prefix)
        self._transaction._check_open()
        self._changing.cleared.add(start)
        self.delete_many(list(self.list_prefix(prefix)))
        if start:
            self._changing.removed.add(start.removesuffix("/"))

    def _meet(self, keys: list[str]) -> None:
        """Note the versions of objects that are about to be changed, where they were not met before."""
        changing = self._changing
        new = [key for key in keys if key not in changing.met]
        for number, found in self._base.stat_many(new) if new else ():
            changing.meet(new[number], None if found is None else found.version, found is not None)

    def _check_own(self, key: str) -> None:
        check_key(key)
        root = self._transaction._root
        if root and not key.startswith(f"{root}/"):
            raise StoreError(
                f"the transaction is of {root!r}, and this object is not below it: begin one of a group, or "
                "of the store, that holds both",
                key=key,
            )
        if is_reserved(key):
            raise StoreError(f"names that start with {RESERVED} are zarrc's own", key=key)

    # --- listing

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        start = check_prefix(prefix)
        self._transaction._check_open()
        changing = self._changing
        with changing.lock:
            ours = list(keys_below(start, changing.sets))
        shown = set(ours)
        for key in self._base.list_prefix(prefix):
            if key not in shown and not changing.hides(key):
                yield key
        yield from ours

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = check_prefix(prefix)
        self._transaction._check_open()
        below = self._base.list_dir(prefix)
        changing = self._changing
        with changing.lock:
            ours = [key[len(start) :] for key in keys_below(start, changing.sets)]
            gone = (*changing.deletes, *changing.absent)
            deleted = [key[len(start) :] for key in gone if key.startswith(start)]
        doubtful = {name.partition("/")[0] for name in deleted if "/" in name}
        keys = {name for name in below.keys if not changing.hides(start + name)}
        keys.update(name for name in ours if "/" not in name)
        prefixes = {name.partition("/")[0] for name in ours if "/" in name}
        for name in below.prefixes:
            if name not in doubtful or any(True for _ in self.list_prefix(start + name)):
                prefixes.add(name)
        return DirListing(sorted(keys), sorted(prefixes))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        start = check_prefix(prefix)
        self._transaction._check_open()
        changing = self._changing
        with changing.lock:
            ours = {key: changing.sets[key].nbytes for key in keys_below(start, changing.sets)}
        for key, nbytes in self._base.list_sizes(prefix):
            if key not in ours and not changing.hides(key):
                yield key, nbytes
        yield from ours.items()

    # --- what it is

    @property
    def below(self) -> Store:
        """The store that the transaction is over."""
        return self._base

    @property
    def identity(self) -> Hashable:
        """Equal for the stores of one transaction."""
        return "transaction", self._transaction.id

    def missing_hint(self) -> str | None:
        """See `Store.missing_hint`."""
        return self._base.missing_hint()

    def with_read_only(self, read_only: bool = True) -> Self:
        """See `Store.with_read_only`."""
        if bool(read_only) == self._read_only:
            return self
        twin = copy.copy(self)
        twin._read_only = bool(read_only)
        return twin

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __reduce__(self) -> NoReturn:
        raise TypeError("a transaction belongs to its process: it cannot be pickled")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<TransactionStore {self} {self.status}>"

    def __str__(self) -> str:
        return f"{self._base}"
