"""A store that fails as it is told to, for tests."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import signal
import time
import weakref
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from zarrc.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
)
from zarrc.frozen import frozen
from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat
from zarrc.storage.bounded import bounds
from zarrc.storage.keys import check_key
from zarrc.storage.wrappers.base import WrapperStore
from zarrc.storage.wrappers.observed import OPERATIONS

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from zarrc.storage.resolve import StoreLike

__all__ = ["Fault", "FaultyCall", "FaultyStore"]

_ERRORS: Final[dict[str, tuple[type[StoreError], str]]] = {
    "error": (StoreError, "the connection was reset"),
    "denied": (StoreDeniedError, "access was refused"),
    "throttled": (StoreThrottledError, "the store asked to slow down"),
    "timeout": (StoreTimeoutError, "the store did not answer in time"),
    "conflict": (StoreConflictError, "the object changed since its version was read"),
    "lost": (StoreTimeoutError, "the answer was lost"),
}
_BEFORE = frozenset({"error", "denied", "throttled", "timeout", "conflict", "kill"})
_AFTER = frozenset({"lost", "kill_after"})
KINDS: Final = (*_ERRORS, "delay", "short", "changed", "kill", "kill_after")

_GROUPS: Final[dict[str, frozenset[str]]] = {
    "any": frozenset(OPERATIONS),
    "read": frozenset({"get", "get_range", "stat", "list"}),
    "write": frozenset({"set", "set_if", "delete", "delete_prefix", "copy", "apply"}),
}
# A log of a run that goes on for ever is cut.
_LOGGED = 100_000

_T = TypeVar("_T")


@frozen(kw_only=True)
class Fault:
    """One way for a `FaultyStore` to fail, and when.

    Without ``at`` and ``rate`` each call that matches ``on`` and ``key`` fails.

    Parameters
    ----------
    kind : str
        ``"error"``, ``"denied"``, ``"throttled"``, ``"timeout"``, ``"conflict"``: the `StoreError` of that
        name, in place of the operation. ``"lost"``: the operation is done, and then there is a
        `StoreTimeoutError`. ``"delay"``: it takes ``seconds`` longer. ``"short"``: of an object, or of the
        range of it, the first half comes. ``"changed"``: what is read has the version of another writer's
        object. ``"kill"``, ``"kill_after"``: the process ends (SIGKILL) before the operation, or after it.
    on : str or collection of str, default "any"
        Operations (``"get"``, ``"get_range"``, ``"set"``, ``"set_if"``, ``"delete"``, ``"delete_prefix"``,
        ``"list"``, ``"stat"``, ``"copy"``, ``"apply"``), or ``"read"``, ``"write"`` or ``"any"`` of them.
    key : str, default "*"
        Pattern of the keys (of prefixes for listings, of sources for copies) as in `fnmatch`; ``*`` is
        any text, with slashes too.
    at : int or collection of int, optional
        Which of the matching calls, from 1.
    rate : float, optional
        Which part of the matching calls, by chance: 0 to 1.
    seconds : float, default 0.01
        For ``"delay"``.

    Raises
    ------
    ValueError
        If something of this is not so.
    """

    kind: str
    on: str | Collection[str] = "any"
    key: str = "*"
    at: int | Collection[int] | None = None
    rate: float | None = None
    seconds: float = 0.01

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a fault is one of {', '.join(KINDS)}, not {self.kind!r}")
        unknown = [one for one in _texts(self.on) if one not in _GROUPS and one not in OPERATIONS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no operation of a store")
        if self.at is not None and (self.rate is not None or any(n < 1 for n in _numbers(self.at))):
            raise ValueError("at= counts from 1, and goes without rate=")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"a rate is of 0 to 1, not {self.rate}")

    @property
    def operations(self) -> frozenset[str]:
        """The operations that it may befall."""
        named = _texts(self.on)
        return frozenset().union(*(_GROUPS.get(one, frozenset({one})) for one in named))


class FaultyCall(NamedTuple):
    """One call of a faulty store, as its log has it."""

    number: int
    operation: str
    key: str
    faults: tuple[str, ...]
    """Kinds of what befell it."""


class _State:
    """Calls until now; shared by the copies of a store."""

    def __init__(self, n_faults: int) -> None:
        self.lock = allocate_lock()
        self.n_calls = 0
        self.matched = [0] * n_faults
        self.seen: dict[tuple[str, str], int] = {}
        self.log: deque[FaultyCall] = deque(maxlen=_LOGGED)
        _all_states.add(self)


_all_states: weakref.WeakSet[_State] = weakref.WeakSet()


def _renew() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    for state in _all_states:
        state.lock = allocate_lock()


os.register_at_fork(after_in_child=_renew)


class FaultyStore(WrapperStore):
    """A store that fails as it is told to: to test what a program makes of it.

    Parameters
    ----------
    store : str, os.PathLike, Store, StorePath, MutableMapping or None
        The store.
    faults : iterable of Fault, or one
        What may happen; several may befall one call.
    rates : mapping of str to float, optional
        The same in short: ``{"timeout": 0.1}`` is ``Fault(kind="timeout", rate=0.1)``.
    seed : int, default 0
        For those that come by chance.

    Notes
    -----
    Whether a fault with a rate befalls a call is decided by the seed, the operation, the key, and how many
    such calls of this key there were before: so a run with several threads, which call in another order
    each time, meets the same faults. ``at=`` counts calls in the order in which they come.

    Each object of a batch is a call of its own. The other objects of a batch stay one batch; the error comes
    when they are read, or in place of the write.

    Copies share the counts, a pickled store starts with none.

    Examples
    --------
    To stop a program at each of its writes in turn, let it run once, and count:

    >>> from zarrc.storage import Fault, FaultyStore, MemoryStore
    >>> store = FaultyStore(MemoryStore())
    >>> store.set("x", b"1"); store.delete("x")
    >>> store.n_calls
    2
    >>> store = FaultyStore(MemoryStore(), [Fault(kind="timeout", on="write", at=2)])
    >>> store.set("x", b"1"); store.delete("x")
    Traceback (most recent call last):
        ...
    zarrc.errors.StoreTimeoutError: injected: the store did not answer in time (key 'x')
    """

    _word = "faulty"
    _shared = ("_state",)

    _state: _State

    def __init__(
        self,
        store: StoreLike,
        faults: Iterable[Fault] | Fault = (),
        *,
        rates: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        given = (faults,) if isinstance(faults, Fault) else faults
        self._faults = (*given, *(Fault(kind=kind, rate=rate) for kind, rate in (rates or {}).items()))
        self._seed = seed
        super().__init__(store)

    def _start_anew(self) -> None:
        self._operations = [fault.operations for fault in self._faults]
        self._state = _State(len(self._faults))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What may happen."""
        return self._faults

    @property
    def n_calls(self) -> int:
        """Calls until now."""
        return self._state.n_calls

    @property
    def calls(self) -> list[FaultyCall]:
        """The calls until now (the last 100,000), in their order, and what befell them."""
        with self._state.lock:
            return list(self._state.log)

    def count(self, on: str | Collection[str] = "any", key: str = "*") -> int:
        """How many calls there were that a `Fault` with this ``on`` and ``key`` matches.

        Parameters
        ----------
        on : str or collection of str, default "any"
            As for `Fault`.
        key : str, default "*"
            As for `Fault`.
        """
        operations = Fault(kind="error", on=on).operations
        return sum(call.operation in operations and fnmatch.fnmatchcase(call.key, key) for call in self.calls)

    def _call(self, operation: str, key: str) -> list[Fault]:
        """Count a call; what befalls it."""
        state = self._state
        found = []
        with state.lock:
            state.n_calls += 1
            nth = state.seen[operation, key] = state.seen.get((operation, key), 0) + 1
            for number, fault in enumerate(self._faults):
                if operation not in self._operations[number] or not fnmatch.fnmatchcase(key, fault.key):
                    continue
                state.matched[number] += 1
                if fault.at is not None:
                    hit = state.matched[number] in _numbers(fault.at)
                else:
                    hit = fault.rate is None or self._chance(number, operation, key, nth) < fault.rate
                if hit:
                    found.append(fault)
            kinds = tuple(fault.kind for fault in found)
            state.log.append(FaultyCall(state.n_calls, operation, key, kinds))
        return found

    def _chance(self, number: int, operation: str, key: str, nth: int) -> float:
        text = f"{self._seed} {number} {operation} {nth} {key}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64

    def _before(self, operation: str, key: str) -> list[Fault]:
        """Count a call, and fail if it is to; what else befalls it."""
        faults = self._call(operation, key)
        for fault in faults:
            _fail_before(fault, key)
        return faults

    # Reading.

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        check_key(key)
        faults = self._before("get" if range is None else "get_range", key)
        blob = self._store.get(key, range)
        return _befallen(blob, key, faults) if faults else blob

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        requests = list(requests)
        for key, _ in requests:
            check_key(key)
        befalls = [self._call("get" if range is None else "get_range", key) for key, range in requests]
        delays = [one.seconds for faults in befalls for one in faults if one.kind == "delay"]
        if delays:
            time.sleep(max(delays))  # they are waited for together
        good = [n for n, faults in enumerate(befalls) if not any(one.kind in _BEFORE for one in faults)]
        for place, blob in self._store.get_many([requests[n] for n in good], **bounds(self._store, most)):
            number = good[place]
            key = requests[number][0]
            yield number, _befallen(blob, key, befalls[number]) if befalls[number] else blob
        for (key, _), faults in zip(requests, befalls, strict=True):
            for fault in faults:
                if fault.kind in _BEFORE:
                    _fail_before(fault, key)

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        check_key(key)
        faults = self._before("get" if range is None else "get_range", key)
        nbytes = self._store.get_into(key, buffer, range)
        _fail_after(faults, key)
        return nbytes // 2 if nbytes and any(fault.kind == "short" for fault in faults) else nbytes

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        check_key(key)
        faults = self._before("stat", key)
        return _befallen_stat(self._store.stat(key), key, faults)

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        keys = list(keys)
        for key in keys:
            check_key(key)
        befalls = [self._before("stat", key) for key in keys]
        for number, found in self._store.stat_many(keys):
            yield number, _befallen_stat(found, keys[number], befalls[number])

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        faults = self._before("list", prefix)
        yield from self._store.list_prefix(prefix)
        _fail_after(faults, prefix)

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        faults = self._before("list", prefix)
        yield from self._store.list_sizes(prefix)
        _fail_after(faults, prefix)

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        faults = self._before("list", prefix)
        found = self._store.list_dir(prefix)
        _fail_after(faults, prefix)
        return found

    # Writing.

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        check_key(key)
        faults = self._before("set", key)
        self._store.set(key, data)
        _fail_after(faults, key)

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        check_key(key)
        faults = self._before("set_if", key)
        if any(fault.kind == "changed" for fault in faults):
            raise StoreConflictError("injected: another writer was faster", key=key)
        written = self._store.set_if(key, data, version)
        _fail_after(faults, key)
        return written

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        check_key(key)
        faults = self._before("delete", key)
        self._store.delete(key)
        _fail_after(faults, key)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        faults = self._before("delete_prefix", prefix)
        self._store.delete_prefix(prefix)
        _fail_after(faults, prefix)

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`."""
        faults = self._before("copy", source)
        self._store.copy(source, target)
        _fail_after(faults, source)

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`; one call, without a key (the pattern sees "")."""
        faults = self._before("apply", "")
        self._store.apply(changes)
        _fail_after(faults, "")

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        rest = iter(items)
        while True:
            last: list[tuple[tuple[str, Buffer], list[Fault]]] = []
            self._store.set_many(self._until(rest, "set", lambda item: item[0], last))
            if not last:
                return
            (((key, data), faults),) = last
            self._store.set(key, data)
            _fail_after(faults, key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        rest = iter(keys)
        while True:
            last: list[tuple[str, list[Fault]]] = []
            self._store.delete_many(self._until(rest, "delete", lambda key: key, last))
            if not last:
                return
            ((key, faults),) = last
            self._store.delete(key)
            _fail_after(faults, key)

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        rest = iter(pairs)
        while True:
            last: list[tuple[tuple[str, str], list[Fault]]] = []
            self._store.copy_many(self._until(rest, "copy", lambda pair: pair[0], last))
            if not last:
                return
            (((source, target), faults),) = last
            self._store.copy(source, target)
            _fail_after(faults, source)

    def _until(
        self,
        rest: Iterator[_T],
        operation: str,
        key_of: Callable[[_T], str],
        last: list[tuple[_T, list[Fault]]],
    ) -> Iterator[_T]:
        """The objects of a batch up to one that is to fail after it was written, which goes alone."""
        for item in rest:
            key = key_of(item)
            check_key(key)
            faults = self._before(operation, key)
            if any(fault.kind in _AFTER for fault in faults):
                last.append((item, faults))
                return
            yield item

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r}, {list(self._faults)!r}, seed={self._seed})"


def _texts(values: str | Collection[str]) -> Collection[str]:
    return (values,) if isinstance(values, str) else values


def _numbers(values: int | Collection[int]) -> Collection[int]:
    return (values,) if isinstance(values, int) else values


def _error(kind: str, key: str) -> StoreError:
    cls, text = _ERRORS[kind]
    return cls(f"injected: {text}", key=key)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail_before(fault: Fault, key: str) -> None:
    if fault.kind == "delay":
        time.sleep(fault.seconds)
    elif fault.kind == "kill":
        _kill()
    elif fault.kind in _BEFORE:
        raise _error(fault.kind, key)


def _fail_after(faults: list[Fault], key: str) -> None:
    for fault in faults:
        if fault.kind == "kill_after":
            _kill()
        elif fault.kind == "lost":
            raise _error("lost", key)


def _befallen(blob: Blob | None, key: str, faults: list[Fault]) -> Blob | None:
    _fail_after(faults, key)
    if blob is None:
        return None
    size = -1 if blob.object_nbytes is None else blob.object_nbytes
    for fault in faults:
        if fault.kind == "short":
            blob = Blob(blob, nbytes=blob.nbytes // 2, version=blob.version, object_nbytes=None)
        elif fault.kind == "changed":
            blob = Blob(blob, version=f"{blob.version}-changed", object_nbytes=size)
    return blob


def _befallen_stat(found: Stat | None, key: str, faults: list[Fault]) -> Stat | None:
    _fail_after(faults, key)
    if found is not None and any(fault.kind == "changed" for fault in faults):
        return Stat(found.nbytes, f"{found.version}-changed")
    return found
