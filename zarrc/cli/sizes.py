"""Sizes in bytes as people read them."""

from __future__ import annotations

__all__ = ["human_nbytes"]

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def human_nbytes(nbytes: int) -> str:
    """Say a number of bytes in the largest binary unit in which it is at least 1, as in ``1.7 MiB``."""
    if nbytes < 1024:
        return f"{nbytes} B"
    size, unit = nbytes / 1024, 0
    # Judged as it will be shown: 1023.96 KiB would be written "1024.0 KiB".
    while size >= 1023.95 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"
