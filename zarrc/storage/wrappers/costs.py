"""What object stores bill: prices, and estimates made with them."""

from __future__ import annotations

from typing import Any

from zarrc.frozen import frozen

__all__ = ["AZURE_HOT", "GCS_STANDARD", "S3_STANDARD", "Cost", "PriceTable", "estimate_cost"]

_GB = 2**30  # what the three providers call a GB


@frozen(kw_only=True)
class PriceTable:
    """Prices of an object store, before taxes, discounts and free allowances.

    Parameters
    ----------
    name : str
        Provider, storage class and region.
    date : str
        Of when the prices are, as ``"2026-03"``.
    source : str
        Where they are published.
    put_per_1000, get_per_1000, list_per_1000, delete_per_1000 : float
        For 1,000 requests.
    storage_per_gb_month : float
        For a GB (2**30 bytes) that is kept for a month.
    egress_per_gb : float
        For a GB that leaves the provider's network.
    currency : str, default "USD"
        Of all prices.

    Raises
    ------
    ValueError
        If a price is negative.
    """

    name: str
    date: str
    source: str
    put_per_1000: float
    get_per_1000: float
    list_per_1000: float
    delete_per_1000: float = 0.0
    storage_per_gb_month: float = 0.0
    egress_per_gb: float = 0.0
    currency: str = "USD"

    def __post_init__(self) -> None:
        for name in _PRICES:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is a price, not {getattr(self, name)!r}")

    def bill(
        self,
        *,
        n_puts: float = 0,
        n_gets: float = 0,
        n_lists: float = 0,
        n_deletes: float = 0,
        stored_nbytes: float = 0,
        months: float = 1.0,
        egress_nbytes: float = 0,
    ) -> Cost:
        """What so much costs.

        Parameters
        ----------
        n_puts, n_gets, n_lists, n_deletes : int
            Requests.
        stored_nbytes : int, default 0
            Bytes that are kept for so many ``months``.
        months : float, default 1.0
            See there.
        egress_nbytes : int, default 0
            Bytes that leave the provider's network.
        """
        return Cost(
            prices=self,
            n_puts=n_puts,
            n_gets=n_gets,
            n_lists=n_lists,
            n_deletes=n_deletes,
            stored_gb_months=stored_nbytes / _GB * months,
            egress_gb=egress_nbytes / _GB,
        )


_PRICES = (
    "put_per_1000",
    "get_per_1000",
    "list_per_1000",
    "delete_per_1000",
    "storage_per_gb_month",
    "egress_per_gb",
)

S3_STANDARD = PriceTable(
    name="S3 Standard, us-east-1",
    date="2026-03",
    source="https://aws.amazon.com/s3/pricing/ (first 50 TB; traffic to the internet, not looked up: "
    "first 10 TB)",
    put_per_1000=0.005,  # PUT, COPY, POST, LIST
    get_per_1000=0.0004,  # GET and all other
    list_per_1000=0.005,
    storage_per_gb_month=0.023,
    egress_per_gb=0.09,
)

GCS_STANDARD = PriceTable(
    name="Google Cloud Storage Standard, us-east1",
    date="2024-10",
    source="https://cloud.google.com/storage/pricing-examples (traffic to the Americas and EMEA, first TB)",
    put_per_1000=0.005,  # class A, as are listings
    get_per_1000=0.0004,  # class B
    list_per_1000=0.005,
    storage_per_gb_month=0.020,
    egress_per_gb=0.12,
)

AZURE_HOT = PriceTable(
    name="Azure Blob Storage Hot, LRS, East US",
    date="2023-09",
    source="https://azure.microsoft.com/pricing/details/storage/blobs/ (first 50 TB; traffic, not looked up: "
    "first 10 TB)",
    put_per_1000=0.005,
    get_per_1000=0.0004,
    list_per_1000=0.005,
    storage_per_gb_month=0.0184,
    egress_per_gb=0.087,
)


@frozen(kw_only=True)
class Cost:
    """An estimate of a bill: how many of what, and by which prices. Costs by one table can be added.

    Parameters
    ----------
    prices : PriceTable
        By which it is made.
    n_puts, n_gets, n_lists, n_deletes : float
        Requests.
    stored_gb_months : float
        GB kept, times months.
    egress_gb : float
        GB that leave the provider's network.
    """

    prices: PriceTable
    n_puts: float = 0
    n_gets: float = 0
    n_lists: float = 0
    n_deletes: float = 0
    stored_gb_months: float = 0
    egress_gb: float = 0

    @property
    def puts(self) -> float:
        """For requests that write or copy an object."""
        return self.n_puts / 1000 * self.prices.put_per_1000

    @property
    def gets(self) -> float:
        """For requests that read an object, or look at it."""
        return self.n_gets / 1000 * self.prices.get_per_1000

    @property
    def lists(self) -> float:
        """For listings."""
        return self.n_lists / 1000 * self.prices.list_per_1000

    @property
    def deletes(self) -> float:
        """For deleting."""
        return self.n_deletes / 1000 * self.prices.delete_per_1000

    @property
    def storage(self) -> float:
        """For what is kept."""
        return self.stored_gb_months * self.prices.storage_per_gb_month

    @property
    def egress(self) -> float:
        """For what leaves the provider's network."""
        return self.egress_gb * self.prices.egress_per_gb

    @property
    def requests(self) -> float:
        """For all requests."""
        return self.puts + self.gets + self.lists + self.deletes

    @property
    def total(self) -> float:
        """For everything."""
        return self.requests + self.storage + self.egress

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        if other.prices != self.prices:
            raise ValueError(f"costs by {self.prices.name} and by {other.prices.name} are not added")
        return Cost(
            prices=self.prices, **{name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        )

    def __radd__(self, other: object) -> Cost:
        return self if other == 0 else NotImplemented  # the start of `sum`

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from zarrc.storage.wrappers.tables import money_text, table

        currency = self.prices.currency
        rows = [
            ["PUT", f"{self.n_puts:,.0f}", money_text(self.puts, currency)],
            ["GET", f"{self.n_gets:,.0f}", money_text(self.gets, currency)],
            ["LIST", f"{self.n_lists:,.0f}", money_text(self.lists, currency)],
            ["DELETE", f"{self.n_deletes:,.0f}", money_text(self.deletes, currency)],
            ["GB-months", f"{self.stored_gb_months:,.3g}", money_text(self.storage, currency)],
            ["GB out", f"{self.egress_gb:,.3g}", money_text(self.egress, currency)],
        ]
        shown = [row for row, name in zip(rows, _COUNTS, strict=True) if getattr(self, name)]
        last = ["total", "", money_text(self.total, currency)]
        return table([f"{self.prices.name}, {self.prices.date}", "", ""], [*shown, last])


_COUNTS = ("n_puts", "n_gets", "n_lists", "n_deletes", "stored_gb_months", "egress_gb")


def estimate_cost(
    target: Any,
    *,
    prices: PriceTable = S3_STANDARD,
    writes: float = 1,
    reads: float = 1,
    nbytes: float | None = None,
    months: float = 1.0,
    egress: bool = False,
) -> Cost:
    """What it would cost to write an array to an object store, to read it, and to keep it.

    Parameters
    ----------
    target : Array or int
        An array, wherever it is (nothing is read of it); or a number of objects.
    prices : PriceTable
        By default those of S3 Standard in us-east-1.
    writes, reads : float, default 1
        How often all of it is written, and read: one PUT and one GET for each object.
    nbytes : int, optional
        Bytes of all objects. By default those of the array's elements, as if nothing could be compressed;
        0 for a number of objects.
    months : float, default 1.0
        How long it is kept.
    egress : bool, default False
        Whether what is read leaves the provider's network; within its region that is free.

    Returns
    -------
    Cost

    Raises
    ------
    TypeError
        If ``target`` is neither.
    ValueError
        If a number is negative.

    Notes
    -----
    Of an array each chunk, or shard, is one object, and its metadata document is one more. Reading a part of
    a shard takes two GETs or more (its index, and what is wanted of it).
    """
    n_objects: int
    if isinstance(target, int) and not isinstance(target, bool):
        n_objects, default = target, 0
    elif hasattr(target, "nshards") and hasattr(target, "nbytes"):
        n_objects, default = target.nshards + 1, target.nbytes
    else:
        raise TypeError(f"an array or a number of objects, not a {type(target).__name__}")
    stored = default if nbytes is None else nbytes
    for name, value in (
        ("target", n_objects),
        ("writes", writes),
        ("reads", reads),
        ("nbytes", stored),
        ("months", months),
    ):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, and is {value!r}")
    return prices.bill(
        n_puts=n_objects * writes,
        n_gets=n_objects * reads,
        stored_nbytes=stored,
        months=months,
        egress_nbytes=stored * reads if egress else 0,
    )
