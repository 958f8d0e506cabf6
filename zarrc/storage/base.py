"""The contract of a store: named objects that are read, replaced, deleted and listed."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, SupportsIndex, TypeAlias

from zarrc.errors import ReadOnlyError, StoreConflictError, StoreError, TransactionConflictError
from zarrc.frozen import frozen
from zarrc.kernels.blob import Blob
from zarrc.storage.keys import check_prefix

if TYPE_CHECKING:
    import threading

    from typing_extensions import Buffer

__all__ = ["Blob", "ByteRange", "Changes", "DirListing", "Stat", "Store"]

ByteRange: TypeAlias = "tuple[int, int | None]"
"""``(start, nbytes)`` in bytes. ``nbytes`` None is "to the end"; a negative ``start`` counts from the end."""


_set = object.__setattr__


class DirListing(NamedTuple):
    """What is directly below a prefix, sorted: names of objects, and names that lead to further keys."""

    keys: list[str]
    prefixes: list[str]


@frozen()
class Stat:
    """Size of an object in bytes, and its version: a text that differs after each change, or None."""

    nbytes: int
    version: str | None

    def __init__(self, nbytes: int, version: str | None) -> None:
        # Written out, since each read of a local array makes one.
        _set(self, "nbytes", nbytes)
        _set(self, "version", version)


class Changes(NamedTuple):
    """What `Store.apply` makes in one step.

    Attributes
    ----------
    expected : mapping of str to (str or None)
        The versions that objects must have; None where there must be no object. Objects that are not changed
        may be among them, and of those that are changed some may be missing.
    staged : Store
        Where the new contents are: what `Store.staging` gave.
    sets : mapping of str to str
        Key of an object to set -> key of its new content in ``staged``.
    deletes : collection of str
        Keys of the objects to delete; none of them is in ``sets``.
    """

    expected: Mapping[str, str | None]
    staged: Store
    sets: Mapping[str, str]
    deletes: Collection[str]


class Store(ABC):
    """Objects (bytes) under keys.

    To write a store, give it `get`, `set`, `delete` and `list_prefix`; everything else follows from them,
    and can be overridden where the store can do better. The rules, to which
    `zarrc.testing.StoreTests` holds every store:

    - Keys are names joined by ``/``; a store refuses others with `zarrc.storage.keys.check_key` before it
      does anything.
    - ``None`` means that there is no such object, and nothing else: no access, no connection, a broken
      answer raise a `StoreError` that names the key.
    - ``data`` given to a store is borrowed for the call. Blobs that a store gives never change.
    - A range that leaves the object, and an answer of another length than was asked for, is a `StoreError`.
    - An object is replaced as a whole: a reader sees the old bytes or the new ones.
    - Names that start with ``.zc`` are ours (temporary files and journals); listings leave them out.
    - A store may be used by several threads at once, pickled, and used in a forked child.

    Parameters
    ----------
    read_only : bool, default False
        Whether writing and deleting raise `ReadOnlyError`. A store that you write calls `_check_writable`
        for that.

    Examples
    --------
    A store that keeps its objects in a dict:

    >>> class DictStore(Store):
    ...     def __init__(self, objects, *, read_only=False):
    ...         super().__init__(read_only=read_only)
    ...         self.objects = objects
    ...
    ...     def get(self, key, range=None):
    ...         check_key(key)
    ...         data = self.objects.get(key)
    ...         return None if data is None else self._part(key, data, range)
    ...
    ...     def set(self, key, data):
    ...         check_key(key)
    ...         self._check_writable(key)
    ...         self.objects[key] = bytes(data)
    ...
    ...     def delete(self, key):
    ...         check_key(key)
    ...         self._check_writable(key)
    ...         self.objects.pop(key, None)
    ...
    ...     def list_prefix(self, prefix):
    ...         yield from keys_below(check_prefix(prefix), list(self.objects))
    """

    _read_only = False

    def __init__(self, *, read_only: bool = False) -> None:
        self._read_only = bool(read_only)
        self._own_identity()  # here, so that copies take it over, in whatever way they are made

    def _own_identity(self) -> Hashable:
        """What tells it from all others; who forgot to call our __init__ gets it when it is needed."""
        own: dict[str, Hashable] = self.__dict__
        if "_identity" not in own:
            own.setdefault("_identity", _Identity())  # one of several threads makes it
        return own["_identity"]

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if type(self).identity is Store.identity:
            self._own_identity()  # a copy takes it over; a pickled one is another
        return super().__reduce_ex__(protocol)

    # To write a store: these four.

    @abstractmethod
    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """The object, or a range of it.

        Parameters
        ----------
        key : str
            Key of the object.
        range : (int, int or None), optional
            First byte and number of bytes; None for "to the end". A negative first byte counts from the end.

        Returns
        -------
        Blob or None
            None if there is no such object, and for no other reason.

        Raises
        ------
        StoreError
            If the key is not legal, the range leaves the object, or the store fails.
        """

    @abstractmethod
    def set(self, key: str, data: Buffer) -> None:
        """Make ``data`` the object, in place of what was there.

        Parameters
        ----------
        key : str
            Key of the object.
        data : bytes-like
            Any contiguous buffer; borrowed for the call.

        Raises
        ------
        ReadOnlyError
            If the store is read-only.
        StoreError
            If the key is not legal or the store fails; what was there before is still there.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the object; it is fine if there is none.

        Parameters
        ----------
        key : str
            Key of the object.

        Raises
        ------
        ReadOnlyError
            If the store is read-only.
        StoreError
            If the key is not legal or the store fails.
        """

    @abstractmethod
    def list_prefix(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, in any order.

        Parameters
        ----------
        prefix : str
            ``""`` for all keys, or names joined by ``/``; ``"a"`` and ``"a/"`` both mean the keys that
            start with ``a/``.

        Yields
        ------
        str
            Whole keys (with the prefix). None if there is nothing below the prefix.
        """

    # What follows from them.

    @property
    def takes_most(self) -> bool:
        """Whether `get_many` takes ``most=``: bytes that a whole object can have; of more nothing is read."""
        return False

    def get_many(self, requests: Sequence[tuple[str, ByteRange | None]]) -> Iterator[tuple[int, Blob | None]]:
        """`get` for many objects at once.

        Parameters
        ----------
        requests : sequence of (str, range or None)
            Key and range of each; a key may come more than once.

        Yields
        ------
        (int, Blob or None)
            The number of the request and its answer, as they arrive: each request once, in any order.
        """
        for number, (key, range) in enumerate(requests):
            yield number, self.get(key, range)

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """`get`, into the caller's memory.

        Parameters
        ----------
        key : str
            Key of the object.
        buffer : writable bytes-like
            Where the bytes go, from its start. On an error its contents are undefined.
        range : (int, int or None), optional
            As for `get`.

        Returns
        -------
        int or None
            Number of bytes written; None if there is no such object.

        Raises
        ------
        StoreError
            As for `get`, and if the bytes do not fit ``buffer``.
        """
        blob = self.get(key, range)
        if blob is None:
            return None
        out = memoryview(buffer).cast("B")
        if blob.nbytes > out.nbytes:
            raise StoreError(f"{blob.nbytes} bytes do not fit a buffer of {out.nbytes} bytes", key=key)
        out[: blob.nbytes] = memoryview(blob)
        return blob.nbytes

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """`set` for many objects; after an error some are written and some are not.

        Parameters
        ----------
        items : iterable of (str, bytes-like)
            Key and new content of each.
        """
        for key, data in items:
            self.set(key, data)

    def delete_many(self, keys: Iterable[str]) -> None:
        """`delete` for many objects; after an error some are deleted and some are not.

        Parameters
        ----------
        keys : iterable of str
            Their keys.
        """
        for key in keys:
            self.delete(key)

    def delete_prefix(self, prefix: str) -> None:
        """Delete every object below a prefix.

        Parameters
        ----------
        prefix : str
            As for `list_prefix`.
        """
        self._check_writable()
        self.delete_many(list(self.list_prefix(prefix)))

    def list_dir(self, prefix: str) -> DirListing:
        """What is directly below a prefix.

        Parameters
        ----------
        prefix : str
            As for `list_prefix`.

        Returns
        -------
        DirListing
            Names without the prefix, sorted. A store of directories may name an empty one among the prefixes.
        """
        start = len(check_prefix(prefix))
        keys: set[str] = set()
        prefixes: set[str] = set()
        for key in self.list_prefix(prefix):
            name, slash, _ = key[start:].partition("/")
            (prefixes if slash else keys).add(name)
        return DirListing(sorted(keys), sorted(prefixes))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """The keys below a prefix, with the sizes of their objects.

        Parameters
        ----------
        prefix : str
            As for `list_prefix`.

        Yields
        ------
        (str, int)
            Key and bytes, in any order; without objects that are deleted meanwhile.
        """
        for key in self.list_prefix(prefix):
            found = self.stat(key)
            if found is not None:
                yield key, found.nbytes

    def stat(self, key: str) -> Stat | None:
        """Size and version of an object, None if there is none.

        Parameters
        ----------
        key : str
            Key of the object.
        """
        blob = self.get(key)
        return None if blob is None else Stat(blob.nbytes, blob.version)

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """`stat` for many objects at once.

        Parameters
        ----------
        keys : sequence of str
            Their keys.

        Yields
        ------
        (int, Stat or None)
            The number of the key and its answer, as they arrive: each once, in any order.
        """
        for number, key in enumerate(keys):
            yield number, self.stat(key)

    def copy(self, source: str, target: str) -> None:
        """Make the object ``target`` what the object ``source`` is, on the server where it can do that.

        Parameters
        ----------
        source : str
            Key of the object to copy.
        target : str
            Key of the copy; what was there is replaced.

        Raises
        ------
        ReadOnlyError
            If the store is read-only.
        StoreError
            If there is no object ``source``, or the store fails; ``target`` is what it was then.
        """
        self._check_writable(target)
        blob = self.get(source)
        if blob is None:
            raise StoreError("there is no such object to copy", key=source)
        self.set(target, blob)

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`copy` for many objects; after an error some are copied and some are not.

        Parameters
        ----------
        pairs : iterable of (str, str)
            Source and target of each.
        """
        for source, target in pairs:
            self.copy(source, target)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """`set`, if the object is still the one that the caller knows.

        Parameters
        ----------
        key : str
            Key of the object.
        data : bytes-like
            Its new content.
        version : str or None
            The version that `get` or `stat` gave; None if there must be no such object.

        Returns
        -------
        str or None
            The new version.

        Raises
        ------
        StoreConflictError
            If the object has another version, or is there where it must not be, or is gone. Nothing was
            written.

        Notes
        -----
        Compared and written as one step among the stores of this process whose `identity_of` the key's
        directory is equal; among all writers where `is_conditional` is True.
        """
        self._check_writable(key)
        with self._lock_of(key):
            current = self.stat(key)
            self._check_version(
                key, version, None if current is None else current.version, current is not None
            )
            self.set(key, data)
            written = self.stat(key)
        return None if written is None else written.version

    # Changes of many objects in one step, where the store can do that (transactions rest on it).

    @property
    def is_atomic(self) -> bool:
        """Whether `apply` makes many changes in one step: whoever is killed meanwhile, all or none are there.

        Transactions of such a store need nothing else of it: no journal, no marker, and no request more when
        a node is opened.
        """
        return False

    def staging(self) -> Store:
        """A new store, empty, for what `apply` takes later; closing it drops what is in it.

        Keys in it are short names. By default it is a temporary file. It may be a part of this store
        that listings hide, so that `apply` need not copy: what a killed process leaves there is the store's
        to remove.
        """
        from zarrc.storage.staging import TemporaryStore

        return TemporaryStore()

    def apply(self, changes: Changes) -> None:
        """Make all changes in one step, if the objects still have the versions that are expected of them.

        Parameters
        ----------
        changes : Changes
            What to change. What is taken from ``changes.staged`` may be gone from there afterwards.

        Raises
        ------
        ReadOnlyError
            If the store is read-only.
        TransactionConflictError
            If an object has another version than is expected of it; the text names these objects, the
            first is the error's ``key``. Nothing was changed.
        StoreError
            If the store fails; nothing was changed. Where `is_atomic` is False: always.
        """
        raise StoreError(f"{type(self).__name__} cannot change several objects in one step")

    # What the store is.

    @property
    def read_only(self) -> bool:
        """Whether writing and deleting are refused."""
        return self._read_only

    def with_read_only(self, read_only: bool = True) -> Self:
        """The same store, read-only or not.

        Parameters
        ----------
        read_only : bool, default True
            Whether the result refuses writing and deleting.
        """
        if read_only == self._read_only:
            return self
        import copy

        twin = copy.copy(self)
        twin._read_only = bool(read_only)
        return twin

    @property
    def is_conditional(self) -> bool:
        """Whether `set_if` decides among all who write to the place, in whatever process or machine."""
        return False

    @property
    def below(self) -> Store:
        """The store whose objects these are: this one; of the store of a transaction, the one below."""
        return self

    @property
    def identity(self) -> Hashable:
        """Equal, with equal ``repr``, for two stores of this process on one place, and only for these.

        Locks and caches go by it.
        """
        return self._own_identity()

    def identity_of(self, prefix: str) -> Hashable:
        """The identity of the place below a prefix, where possible equal also for stores with other roots.

        Parameters
        ----------
        prefix : str
            As for `list_prefix`.
        """
        start = check_prefix(prefix)
        return (self.identity, start) if start else self.identity

    @property
    def local_root(self) -> str | None:
        """The absolute path of the directory whose files are the objects; None if there is none."""
        return None

    @property
    def durable(self) -> bool:
        """Whether what was written is on the disk when a call returns, and a power cut does not take it."""
        return False

    def lock_path(self, key: str) -> str | None:
        """The path of a local file, there or not, beside which ``locking="file"`` makes the object's lock.

        None where there is no such lock, and ``locking="file"`` is refused. Several chunks may have one, but
        neither two documents (``zarr.json``) nor a document and a chunk. A commit of a store that `is_atomic`
        holds the locks of all its chunks at once, each an open file: such a store should have few.

        Parameters
        ----------
        key : str
            Key of the object.
        """
        return None

    def missing_hint(self) -> str | None:
        """Why nothing at all is found in the store, for an error message; None where it cannot tell."""
        return None

    def flush(self) -> None:  # noqa: B027
        """Write what is not written yet; most stores hold nothing back."""

    def close(self) -> None:  # noqa: B027
        """Write what is not written yet and give back what the store holds open; most stores hold nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # For those who write a store.

    def _check_writable(self, key: str | None = None) -> None:
        """Refuse if the store is read-only."""
        if self._read_only:
            raise ReadOnlyError(f"{self} was opened for reading only", key=key)

    def _check_expected(self, changes: Changes) -> None:
        """Refuse if an object has another version than `apply` is to find; the store's lock is held."""
        keys = list(changes.expected)
        differing = [
            keys[number]
            for number, found in self.stat_many(keys)
            if (None if found is None else found.version or "") != changes.expected[keys[number]]
        ]
        if differing:
            raise changed_meanwhile(differing)

    def _lock_of(self, key: str) -> threading.Lock:
        """The lock of an object, the same for stores with other roots that reach it under another key."""
        from zarrc.storage.key_locks import key_lock

        directory, _, name = key.rpartition("/")
        return key_lock(self.identity_of(directory), name)

    @staticmethod
    def _part(key: str, data: Buffer, range: ByteRange | None, *, version: str | None = None) -> Blob:
        """The blob of a range of an object, of which ``data`` is the whole."""
        start, nbytes = range or (0, None)
        try:
            return Blob(data, start=start, nbytes=nbytes, version=version)
        except StoreError as error:
            error.key = key
            raise

    @staticmethod
    def _check_version(key: str, wanted: str | None, found: str | None, exists: bool) -> None:
        """Refuse if `set_if` must not write."""
        if wanted is None and exists:
            raise StoreConflictError("the object is there already", key=key)
        if wanted is not None and (not exists or found != wanted):
            raise StoreConflictError("the object changed since its version was read", key=key)

    def __str__(self) -> str:
        return f"<{type(self).__name__}>"


def changed_meanwhile(keys: Sequence[str]) -> TransactionConflictError:
    """The error for objects that others changed since a transaction met them first."""
    named = sorted(keys)
    some = ", ".join(map(repr, named[:5])) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
    return TransactionConflictError(f"changed by others since the transaction met them: {some}", key=named[0])


_serials = itertools.count(1)


class _Identity:
    """Equal to itself only; a pickled one comes back as another, since the store it is of does too."""

    def __init__(self) -> None:
        self.serial = next(_serials)

    def __reduce__(self) -> tuple[type[_Identity], tuple[()]]:
        return _Identity, ()

    def __repr__(self) -> str:
        return f"<store {self.serial}>"
