"""Transactions: changes of several objects that are all made, or none of them."""

from __future__ import annotations

from zarrc.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zarrc.transactions.overlay import TransactionStore
    from zarrc.transactions.recovering import Recovered, clean, recover
    from zarrc.transactions.transacting import Transaction, transaction

__all__ = ["Recovered", "Transaction", "TransactionStore", "clean", "recover", "transaction"]

__getattr__, __dir__ = lazy(
    globals(),
    {
        **dict.fromkeys(("Recovered", "clean", "recover"), "recovering"),
        **dict.fromkeys(("Transaction", "transaction"), "transacting"),
        "TransactionStore": "overlay",
    },
)
