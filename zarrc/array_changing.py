"""Changing an array as a whole: its shape, and what it holds."""

from __future__ import annotations

from zarrc.array_walking import ArrayWalking

__all__ = ["ArrayChanging"]


class ArrayChanging(ArrayWalking):
    """What changes an array beyond writing to its elements."""

    __slots__ = ()
