"""What a metered store counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from zarrc.frozen import frozen

if TYPE_CHECKING:
    from zarrc.storage.wrappers.costs import Cost, PriceTable

__all__ = ["N_BUCKETS", "OperationStats", "StoreStats", "operation_stats"]

# Nanoseconds by their number of bits: the last is what took 2**46 ns, 20 hours, or more.
N_BUCKETS = 48


@frozen()
class OperationStats:
    """What was counted of one operation.

    Attributes
    ----------
    n_calls : int
        Objects that it was asked for, or listings.
    n_requests : int
        Requests that this takes: as many, but for listings one for each 1,000 keys.
    n_errors : int
        Calls that raised an error.
    n_misses : int
        Calls for which there was no such object.
    nbytes : int
        Bytes read or written.
    ns : int
        Nanoseconds that the calls took, together.
    histogram : tuple of int
        How many calls took how long: in place i those of 2**(i-1) to 2**i nanoseconds.
    """

    n_calls: int = 0
    n_requests: int = 0
    n_errors: int = 0
    n_misses: int = 0
    nbytes: int = 0
    ns: int = 0
    histogram: tuple[int, ...] = (0,) * N_BUCKETS

    @property
    def seconds(self) -> float:
        """What the calls took, together."""
        return self.ns / 1e9

    @property
    def mean(self) -> float:
        """What a call took in the mean, in seconds; 0 if there was none."""
        return self.ns / self.n_calls / 1e9 if self.n_calls else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds that so many of 100 calls took at most, from the histogram: up to twice the true time.

        Parameters
        ----------
        percent : float
            0 to 100.

        Raises
        ------
        ValueError
            If it is no percentage.
        """
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile is of 0 to 100, not {percent}")
        wanted = sum(self.histogram) * percent / 100
        seen = 0
        for bits, n in enumerate(self.histogram):
            seen += n
            if n and seen >= wanted:
                return float(2**bits) / 1e9
        return 0.0

    def __add__(self, other: OperationStats) -> OperationStats:
        return self._with(other, 1) if isinstance(other, OperationStats) else NotImplemented  # type: ignore[redundant-expr]

    def __sub__(self, other: OperationStats) -> OperationStats:
        return self._with(other, -1) if isinstance(other, OperationStats) else NotImplemented  # type: ignore[redundant-expr]

    def _with(self, other: OperationStats, sign: int) -> OperationStats:
        histogram = tuple(a + sign * b for a, b in zip(self.histogram, other.histogram, strict=True))
        return operation_stats(
            [getattr(self, name) + sign * getattr(other, name) for name in _SUMS], histogram
        )


def operation_stats(sums: Sequence[int], histogram: tuple[int, ...]) -> OperationStats:
    """Statistics of the fields before the histogram, in their order."""
    n_calls, n_requests, n_errors, n_misses, nbytes, ns = sums
    return OperationStats(n_calls, n_requests, n_errors, n_misses, nbytes, ns, histogram)


_SUMS = ("n_calls", "n_requests", "n_errors", "n_misses", "nbytes", "ns")
_READS = ("get", "get_range")
_WRITES = ("set", "set_if")


class StoreStats(Mapping[str, OperationStats]):
    """What was counted of a store: operation -> `OperationStats`. It never changes, and pickles.

    The operations are ``get`` (whole objects), ``get_range``, ``set``, ``set_if``, ``delete``,
    ``delete_prefix``, ``list``, ``stat``, ``copy`` and ``apply``. ``after - before`` is what was done in
    between; the statistics of several stores, or of several processes, are added: ``a + b``, ``sum(many)``.

    Parameters
    ----------
    operations : mapping of str to OperationStats
        Those that were counted.
    """

    __slots__ = ("_operations",)

    _operations: Mapping[str, OperationStats]

    def __init__(self, operations: Mapping[str, OperationStats] = MappingProxyType({})) -> None:
        object.__setattr__(self, "_operations", MappingProxyType(dict(operations)))

    def __getitem__(self, operation: str) -> OperationStats:
        return self._operations[operation]

    def __iter__(self) -> Iterator[str]:
        return iter(self._operations)

    def __len__(self) -> int:
        return len(self._operations)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("statistics do not change: take new ones of the store")

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreStats, (dict(self._operations),)

    def __hash__(self) -> int:
        return hash(frozenset(self._operations.items()))

    def _sum(self, field: str, names: tuple[str, ...] = ()) -> int:
        return sum(
            getattr(one, field) for name, one in self._operations.items() if not names or name in names
        )

    @property
    def n_requests(self) -> int:
        """Requests of all operations."""
        return self._sum("n_requests")

    @property
    def n_errors(self) -> int:
        """Calls that raised an error."""
        return self._sum("n_errors")

    @property
    def n_gets(self) -> int:
        """Requests that read an object, whole or in part."""
        return self._sum("n_requests", _READS)

    @property
    def n_sets(self) -> int:
        """Requests that wrote an object."""
        return self._sum("n_requests", _WRITES)

    @property
    def nbytes_read(self) -> int:
        """Bytes that came."""
        return self._sum("nbytes", _READS)

    @property
    def nbytes_written(self) -> int:
        """Bytes that were written."""
        return self._sum("nbytes", _WRITES)

    def cost(
        self,
        prices: PriceTable | None = None,
        *,
        stored_nbytes: int = 0,
        months: float = 1.0,
        egress: bool | int = False,
    ) -> Cost:
        """What an object store would bill for these operations: an estimate.

        Parameters
        ----------
        prices : PriceTable, optional
            By default those of S3 Standard in us-east-1 (`zarrc.storage.S3_STANDARD`, with its date).
        stored_nbytes : int, default 0
            Bytes to keep, for so many ``months``.
        months : float, default 1.0
            See there.
        egress : bool or int, default False
            Whether the bytes that were read left the provider's network (within its region they are
            free); or how many did.

        Returns
        -------
        Cost
            Per kind of request, storage and traffic.

        Notes
        -----
        ``set`` and ``set_if`` are one PUT each, ``copy`` is one PUT, ``get`` and ``get_range`` are one GET
        each, also where the object is absent; ``stat`` is a HEAD, which is billed as a GET. A listing is one
        LIST for each 1,000 keys. ``delete`` is one DELETE, which is free with all three providers, also as a
        batch. ``delete_prefix`` is counted as one LIST: how many objects it deleted is not known.

        The bill is higher where the store below makes more requests than these: a multipart upload is one
        PUT for each part and two more; a request that is tried again counts again (failed ones with status
        5xx are not billed); Azure bills reads and writes of large blobs per 4 MiB; a store without
        server-side copy makes it of a GET and a PUT; one without conditional writes looks (HEAD) before and
        after.
        """
        from zarrc.storage.wrappers.costs import S3_STANDARD, PriceTable

        table = S3_STANDARD if prices is None else prices
        if not isinstance(table, PriceTable):
            raise TypeError(
                "prices must be a PriceTable (S3_STANDARD, GCS_STANDARD and AZURE_HOT of zarrc.storage, or "
                f"one of yours), not {table!r}"
            )
        left = (self.nbytes_read if egress else 0) if isinstance(egress, bool) else egress
        return table.bill(
            n_puts=self._sum("n_requests", ("set", "set_if", "copy")),
            n_gets=self._sum("n_requests", ("get", "get_range", "stat")),
            n_lists=self._sum("n_requests", ("list", "delete_prefix")),
            n_deletes=self._sum("n_requests", ("delete",)),
            stored_nbytes=stored_nbytes,
            months=months,
            egress_nbytes=left,
        )

    def _with(self, other: StoreStats, sign: int) -> StoreStats:
        names = list(dict.fromkeys([*self, *other]))
        nothing = OperationStats()
        found = {name: self.get(name, nothing)._with(other.get(name, nothing), sign) for name in names}
        return StoreStats(found)

    def __add__(self, other: StoreStats) -> StoreStats:
        return self._with(other, 1) if isinstance(other, StoreStats) else NotImplemented  # type: ignore[redundant-expr]

    def __radd__(self, other: object) -> StoreStats:
        return self if other == 0 else NotImplemented  # the start of `sum`

    def __sub__(self, other: StoreStats) -> StoreStats:
        return self._with(other, -1) if isinstance(other, StoreStats) else NotImplemented  # type: ignore[redundant-expr]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from zarrc.storage.wrappers.tables import nbytes_text, seconds_text, table

        rows = [
            [
                name,
                f"{one.n_requests:,}",
                f"{one.n_misses:,}",
                f"{one.n_errors:,}",
                nbytes_text(one.nbytes),
                seconds_text(one.mean),
                seconds_text(one.percentile(50)),
                seconds_text(one.percentile(99)),
            ]
            for name, one in self.items()
            if one.n_calls
        ]
        head = ["operation", "requests", "misses", "errors", "bytes", "mean", "half within", "99% within"]
        return table(head, rows) if rows else "nothing was asked of the store"
