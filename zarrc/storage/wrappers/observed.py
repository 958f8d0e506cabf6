"""A wrapper that is told of each operation: what the meter and the log are made from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeVar

from zarrc.storage.base import Blob, ByteRange, Changes, DirListing, Stat
from zarrc.storage.bounded import bounds
from zarrc.storage.wrappers.base import WrapperStore

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["LIST_PAGE", "OPERATIONS", "ObservedStore", "n_pages"]

OPERATIONS = ("get", "get_range", "set", "set_if", "delete", "delete_prefix", "list", "stat", "copy", "apply")

LIST_PAGE = 1000
"""Keys that one request for a listing gives (S3 and Google Cloud Storage; Azure gives up to 5000)."""

_T = TypeVar("_T")


class ObservedStore(WrapperStore):
    """Tells `_seen` of each operation on one object, and of each listing, after it was done."""

    @abstractmethod
    def _seen(
        self,
        operation: str,
        key: str | None,
        ns: int,
        nbytes: int = 0,
        *,
        range: ByteRange | None = None,
        n: int = 1,
        miss: bool = False,
        error: BaseException | None = None,
    ) -> None:
        """Take note.

        Parameters
        ----------
        operation : str
            One of `OPERATIONS`.
        key : str or None
            The object's, or the prefix. None for a whole batch.
        ns : int
            How long it took.
        nbytes : int
            Read or written.
        range : (int, int or None), optional
            What was asked for of the object.
        n : int
            Objects of a batch, or keys of a listing.
        miss : bool
            Whether there was no such object.
        error : BaseException, optional
            What was raised.
        """

    def _item(self, operation: str, key: str, nbytes: int) -> None:
        """Take note of one object of a batch, when it is passed on; the batch follows when it is done."""

    def _call(
        self, operation: str, key: str, action: Callable[[], _T], nbytes: int, range: ByteRange | None = None
    ) -> _T:
        start = perf_counter_ns()
        try:
            answer = action()
        except BaseException as error:
            self._seen(operation, key, perf_counter_ns() - start, range=range, error=error)
            raise
        self._seen(operation, key, perf_counter_ns() - start, nbytes, range=range)
        return answer

    def get(self, key: str, range: ByteRange | None = None) -> Blob | None:
        """See `Store.get`."""
        # Written out, as what is called most.
        operation = "get" if range is None else "get_range"
        start = perf_counter_ns()
        try:
            blob = self._store.get(key, range)
        except BaseException as error:
            self._seen(operation, key, perf_counter_ns() - start, range=range, error=error)
            raise
        if blob is None:
            self._seen(operation, key, perf_counter_ns() - start, range=range, miss=True)
        else:
            self._seen(operation, key, perf_counter_ns() - start, blob.nbytes, range=range)
        return blob

    def get_into(self, key: str, buffer: Buffer, range: ByteRange | None = None) -> int | None:
        """See `Store.get_into`."""
        operation = "get" if range is None else "get_range"
        start = perf_counter_ns()
        try:
            nbytes = self._store.get_into(key, buffer, range)
        except BaseException as error:
            self._seen(operation, key, perf_counter_ns() - start, range=range, error=error)
            raise
        self._seen(operation, key, perf_counter_ns() - start, nbytes or 0, range=range, miss=nbytes is None)
        return nbytes

    def get_many(
        self, requests: Sequence[tuple[str, ByteRange | None]], *, most: int | None = None
    ) -> Iterator[tuple[int, Blob | None]]:
        """See `Store.get_many`."""
        requests = list(requests)
        answers = self._store.get_many(requests, **bounds(self._store, most))
        for number, blob, ns in self._timed(answers, requests, _get_name):
            key, range = requests[number]
            self._seen(
                "get" if range is None else "get_range",
                key,
                ns,
                0 if blob is None else blob.nbytes,
                range=range,
                miss=blob is None,
            )
            yield number, blob

    def stat(self, key: str) -> Stat | None:
        """See `Store.stat`."""
        start = perf_counter_ns()
        try:
            found = self._store.stat(key)
        except BaseException as error:
            self._seen("stat", key, perf_counter_ns() - start, error=error)
            raise
        self._seen("stat", key, perf_counter_ns() - start, miss=found is None)
        return found

    def stat_many(self, keys: Sequence[str]) -> Iterator[tuple[int, Stat | None]]:
        """See `Store.stat_many`."""
        keys = list(keys)
        for number, found, ns in self._timed(self._store.stat_many(keys), keys, lambda _: "stat"):
            self._seen("stat", keys[number], ns, miss=found is None)
            yield number, found

    def _timed(
        self, answers: Iterator[tuple[int, _T]], requests: Sequence[Any], name: Callable[[Any], str]
    ) -> Iterator[tuple[int, _T, int]]:
        """The answers of a batch, each with how long the caller has waited in the batch until it came."""
        waited = 0
        while True:
            start = perf_counter_ns()
            try:
                number, answer = next(answers)
            except StopIteration:
                return
            except BaseException as error:
                # Which request it was is not known where the error does not name the key; they are alike.
                waited += perf_counter_ns() - start
                if requests:
                    self._seen(name(requests[0]), getattr(error, "key", None), waited, error=error)
                raise
            waited += perf_counter_ns() - start
            yield number, answer, waited

    def set(self, key: str, data: Buffer) -> None:
        """See `Store.set`."""
        start = perf_counter_ns()
        try:
            self._store.set(key, data)
        except BaseException as error:
            self._seen("set", key, perf_counter_ns() - start, error=error)
            raise
        self._seen("set", key, perf_counter_ns() - start, _nbytes_of(data))

    def set_if(self, key: str, data: Buffer, version: str | None) -> str | None:
        """See `Store.set_if`."""
        return self._call("set_if", key, lambda: self._store.set_if(key, data, version), _nbytes_of(data))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._call("delete", key, lambda: self._store.delete(key), 0)

    def copy(self, source: str, target: str) -> None:
        """See `Store.copy`."""
        self._call("copy", source, lambda: self._store.copy(source, target), 0)

    def delete_prefix(self, prefix: str) -> None:
        """See `Store.delete_prefix`."""
        self._call("delete_prefix", prefix, lambda: self._store.delete_prefix(prefix), 0)

    def apply(self, changes: Changes) -> None:
        """See `Store.apply`."""
        n = len(changes.sets) + len(changes.deletes)
        self._call("apply", f"{n} changes", lambda: self._store.apply(changes), 0)

    def set_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """See `Store.set_many`."""
        self._batch("set", items, self._store.set_many, lambda item: (item[0], _nbytes_of(item[1])))

    def delete_many(self, keys: Iterable[str]) -> None:
        """See `Store.delete_many`."""
        self._batch("delete", keys, self._store.delete_many, lambda key: (key, 0))

    def copy_many(self, pairs: Iterable[tuple[str, str]]) -> None:
        """See `Store.copy_many`."""
        self._batch("copy", pairs, self._store.copy_many, lambda pair: (pair[0], 0))

    def _batch(
        self,
        operation: str,
        items: Iterable[_T],
        action: Callable[[Iterable[_T]], None],
        facts: Callable[[_T], tuple[str, int]],
    ) -> None:
        n = total = elsewhere = 0

        def passing() -> Iterator[_T]:
            nonlocal n, total, elsewhere
            # What it takes to make the items is the caller's time.
            start = perf_counter_ns()
            for item in items:
                key, nbytes = facts(item)
                self._item(operation, key, nbytes)
                n += 1
                total += nbytes
                elsewhere += perf_counter_ns() - start
                yield item
                start = perf_counter_ns()
            elsewhere += perf_counter_ns() - start

        start = perf_counter_ns()
        try:
            action(passing())
        except BaseException as error:
            ns = perf_counter_ns() - start - elsewhere
            key = getattr(error, "key", None)
            # The object that failed is among those that were passed on.
            if n > 1:
                self._seen(operation, None, ns, total, n=n - 1)
            self._seen(operation, key, 0 if n > 1 else ns, error=error)
            raise
        if n:
            self._seen(operation, None, perf_counter_ns() - start - elsewhere, total, n=n)

    def list_prefix(self, prefix: str) -> Iterator[str]:
        """See `Store.list_prefix`."""
        return self._listing(prefix, self._store.list_prefix(prefix))

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store.list_sizes`."""
        return self._listing(prefix, self._store.list_sizes(prefix))

    def _listing(self, prefix: str, found: Iterator[_T]) -> Iterator[_T]:
        n = ns = 0
        start = perf_counter_ns()
        try:
            for one in found:
                ns += perf_counter_ns() - start
                n += 1
                yield one
                start = perf_counter_ns()
        except GeneratorExit:
            self._seen("list", prefix, ns, n=n)
            raise
        except BaseException as error:
            self._seen("list", prefix, ns + perf_counter_ns() - start, n=n, error=error)
            raise
        self._seen("list", prefix, ns + perf_counter_ns() - start, n=n)

    def list_dir(self, prefix: str) -> DirListing:
        """See `Store.list_dir`."""
        start = perf_counter_ns()
        try:
            found = self._store.list_dir(prefix)
        except BaseException as error:
            self._seen("list", prefix, perf_counter_ns() - start, n=0, error=error)
            raise
        self._seen("list", prefix, perf_counter_ns() - start, n=len(found.keys) + len(found.prefixes))
        return found


def n_pages(n_keys: int) -> int:
    """The requests that it takes to list as many keys."""
    return max(1, -(-n_keys // LIST_PAGE))


def _get_name(request: tuple[str, ByteRange | None]) -> str:
    return "get" if request[1] is None else "get_range"


def _nbytes_of(data: Any) -> int:
    """The bytes of a buffer; 0 of what is none, which the store refuses."""
    if type(data) is bytes:
        return len(data)
    try:
        return memoryview(data).nbytes
    except (TypeError, BufferError):
        return 0
