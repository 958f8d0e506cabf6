"""What the right to go on with a transaction is, however it is held."""

from __future__ import annotations

import random
import time
from typing import Any, Literal, Protocol

from zarrc.errors import StoreError, TransactionConflictError
from zarrc.transactions.records import DIRECTORY, Home

__all__ = ["Claim", "Decision", "decision_in", "pause", "still_alive"]

Decision = Literal["open", "commit", "rollback"]
_DECISIONS = ("open", "commit", "rollback")


class Claim(Protocol):
    """The right to go on with a transaction, of which there is one at a time."""

    @property
    def decision(self) -> Decision:
        """What is decided about the transaction."""

    def check(self) -> None:
        """Refuse if somebody else has the right now."""

    def decide(self, decision: Decision) -> None:
        """Store what is decided: whoever has the right afterwards goes by it."""

    def clean(self) -> None:
        """Remove what tells of the transaction; everything else of it is removed already."""

    def end(self) -> None:
        """Give the right back; others need not wait for it."""


def still_alive(home: Home, who: str) -> TransactionConflictError:
    """Return the error for a transaction whose owner lives."""
    return TransactionConflictError(
        f"{home} is being committed by {who}; try again when it is done, or open with mode='r', which may "
        "see a part of it"
    )


def pause(deadline: float, least: float, most: float) -> bool:
    """Wait for a moment, other than others do; False when the time is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(left, random.uniform(least, most)))
    return True


def decision_in(fields: dict[str, Any]) -> Decision:
    """Return what the record of a transaction says."""
    found: Any = fields.get("state")
    if found not in _DECISIONS:
        raise StoreError("the record of a transaction is damaged", key=f"{DIRECTORY}/.../state")
    decided: Decision = found
    return decided
