"""How the parts of the suite are told about the store at hand."""

from __future__ import annotations

import os

__all__ = ["StoreFacts"]


class StoreFacts:
    """What a subclass of `StoreTests` may say of its store; see there."""

    pickles_by_place: bool = True
    keys_nest: bool = True
    forks: bool = True
    refused_keys: tuple[str, ...] = ()
    effort: float = 1.0 if os.environ.get("ZARRC_SOAK", "") == "1" else 0.1

    def times(self, n: int) -> int:
        """The part of ``n`` repetitions that `effort` asks for, at least one."""
        return max(1, int(n * self.effort))
