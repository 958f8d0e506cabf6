"""Checks of a codec's fields, with messages that name the codec and what is allowed."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from zarrc.errors import MetadataError
from zarrc.reading import choices, closest, show

__all__ = ["boolean", "integer", "one_of"]


def integer(codec: str, field: str, value: object, lowest: int, highest: int) -> int:
    """``value`` as an int in ``[lowest, highest]``; NumPy's integers count, bools do not."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise MetadataError(f"{codec}: {field} must be an integer, got {show(value)}", codec=codec) from None
    if not lowest <= number <= highest:
        raise MetadataError(
            f"{codec}: {field} must be in [{lowest}, {highest}], got {show(number)}", codec=codec
        )
    return int(number)


def boolean(codec: str, field: str, value: object) -> bool:
    """``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise MetadataError(f"{codec}: {field} must be true or false, got {show(value)}", codec=codec)
    return bool(value)


def one_of(codec: str, field: str, value: object, allowed: Sequence[str]) -> str:
    """``value`` as one of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        near = closest(value, allowed) if isinstance(value, str) else ""
        raise MetadataError(
            f"{codec}: {field} must be one of {choices(allowed)}, got {show(value)}{near}", codec=codec
        )
    return str(value)
