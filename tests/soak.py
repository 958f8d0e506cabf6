"""How often a test repeats: a tenth in ``make test``, all of it in ``make soak``."""

from __future__ import annotations

import os


def soaking() -> bool:
    """Whether ``ZARRC_SOAK=1`` asks for the long counts."""
    return os.environ.get("ZARRC_SOAK", "") == "1"


def count(n: int) -> int:
    """``n`` repetitions when soaking, else a tenth of them and at least one."""
    return n if soaking() else max(1, n // 10)
