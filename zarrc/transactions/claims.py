"""Who may go on with a transaction: its owner while it lives, then one who found it dead.

In a directory the owner holds a lock (flock) on a file of the transaction, which the system takes away when
it dies. Elsewhere it rewrites one object of the transaction, the ``state``, every third of a lease, each time
in place of the version that it wrote last. Who finds an object that does not change for a whole lease, by a
clock of its own, puts one with its own name in its place, in the same way: so at each moment there is one
version that goes on, and an owner that was only slow finds that it lost.

The same object is the record that decides. While it says "open" nothing of the transaction is seen; once it
says "commit" all of it is going to be.
"""

from __future__ import annotations

from zarrc.transactions.claim import Claim
from zarrc.transactions.claims_leased import LeasedClaim
from zarrc.transactions.claims_local import LocalClaim, check_home
from zarrc.transactions.records import Home, load

__all__ = ["begin", "take"]


def begin(home: Home) -> Claim:
    """Begin a transaction."""
    return LocalClaim.begin(home) if home.store.local_root is not None else LeasedClaim.begin(home)


def take(home: Home, deadline: float) -> Claim | None:
    """Take the right to a transaction whose owner is dead; None if there is no such transaction (any more).

    Parameters
    ----------
    home : Home
        The transaction.
    deadline : float
        How long to wait for an owner that lives, as `time.monotonic` counts.

    Raises
    ------
    TransactionConflictError
        If the owner lives.
    """
    if home.store.local_root is not None:
        check_home(home)
        if not _is_leased(home):
            return LocalClaim.take(home, deadline)
    return LeasedClaim.take(home, deadline)


def _is_leased(home: Home) -> bool:
    """Whether a transaction in a directory was begun by way of a wrapper, which knows no files."""
    blob = home.store.get(home.key("state"))
    return blob is not None and "holder" in load(blob, home.key("state"))
