"""Numbers as text, for what is printed of statistics and costs."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["money_text", "nbytes_text", "seconds_text", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of columns: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def nbytes_text(nbytes: float) -> str:
    """As ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(nbytes) < 1024 or unit == "TiB":
            break
        nbytes /= 1024
    return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:,.1f} {unit}"


def seconds_text(seconds: float) -> str:
    """As ``1.5 ms``."""
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            break
    return f"{seconds * scale:,.3g} {unit}"


def money_text(amount: float, currency: str) -> str:
    """As ``$0.0005``: cents where there are some, else the first digits that are not 0."""
    text = f"{amount:,.2f}" if amount == 0 or abs(amount) >= 1 else f"{amount:.6f}".rstrip("0")
    if abs(amount) < 0.000001 and amount:
        text = f"{amount:.1e}"
    if "." in text and len(text.partition(".")[2]) < 2:
        text = f"{amount:.2f}"
    return f"${text}" if currency == "USD" else f"{text} {currency}"
