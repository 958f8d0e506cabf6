"""The matrix as text: counts for a terminal, and the table of docs/interop.md."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from tests.interop.cases import GROUPS, Case
from tests.interop.limits import WAYS, Way
from tests.interop.matrix import PEERS, Cell

_READS: tuple[Way, ...] = ("peer reads", "zarrc reads")


def _heading(peer: str, way: Way) -> str:
    who, does = way.split()
    return f"{peer} {does} zarrc's" if who == "peer" else f"zarrc {does} {peer}'s"


_INTRODUCTION = """\
# Interoperability

<!-- Written by `python -m tests.interop.matrix --write docs/interop.md`; not by hand. -->

Each cell of this matrix is one array: a format, a data type, a byte order, a codec chain, a shape and chunk
shape, a chunk key encoding and a fill value. One library creates and writes it, another opens and reads it,
and what it reads is compared bit for bit with what was written (NaN payloads included), fill values in
missing chunks too. Of sharded arrays, a part is written again by the other library (it *updates* them), and
the first one reads what came of it.

A plain number counts the cells that are equal. `20 of 26` means that the peer cannot do the other six; the
letters lead to its own words below. **Differ** is what nothing explains; there should be none."""


def summary(cells: Sequence[Cell], versions: dict[str, str], seconds: float) -> str:
    """Counts by peer and direction, and the failures: one example and the number of each kind."""
    lines = [_versions_line(versions)]
    for kind, chosen in (("plain", _unsharded(cells)), ("sharded", _sharded(cells))):
        for peer in PEERS:
            for way in WAYS:
                counts = Counter(cell.outcome for cell in chosen if (cell.peer, cell.way) == (peer, way))
                found = ", ".join(
                    f"{counts[outcome]:5} {outcome}" for outcome in ("equal", "blank", "failed")
                )
                if counts:
                    lines.append(f"{kind:8} {peer:12} {way:13} {found}")
    lines.append(f"{len(cells)} cells in {seconds:.1f} s")
    kinds: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.outcome == "failed":
            kinds[cell.peer, cell.way, _kind(cell.message)].append(cell)
    lines += [f"{len(found)} times: {_shortened(str(found[0]), 900)}" for found in kinds.values()]
    return "\n".join(lines)


def _sharded(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.case.shards is not None]


def _unsharded(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.case.shards is None]


def _kind(message: str) -> str:
    """The beginning of an error without its numbers: alike for errors of one kind."""
    return re.sub(r"[-+\d.e]+|\s+", " ", re.sub(r"/\S+", "", message))[:60]


def render(cells: Sequence[Cell], versions: dict[str, str]) -> str:
    """The page."""
    notes = _Footnotes()
    parts = [_INTRODUCTION, _versions_line(versions), _totals(cells)]
    sharded, cells = _sharded(cells), _unsharded(cells)
    for zarr_format in (3, 2):
        chosen = [cell for cell in cells if cell.case.zarr_format == zarr_format]
        parts.append(f"## Zarr format {zarr_format}: codecs and data types")
        parts.append(_table(chosen, ("codecs", "data types"), lambda c: (family(c.chain), c.group), notes))
    parts.append("## Shapes, byte orders, chunk keys")
    parts.append(
        _table(cells, ("format", "dimensions"), lambda c: (f"v{c.zarr_format}", _shape_words(c)), notes)
    )
    parts.append(
        _table(
            cells, ("format", "byte order, chunk keys"), lambda c: (f"v{c.zarr_format}", _key_words(c)), notes
        )
    )
    parts.append("## Sharded arrays")
    parts.append(_table(sharded, ("codecs",), lambda c: (c.chain,), notes, WAYS))
    parts.append(_table(sharded, ("dimensions",), lambda c: (_shape_words(c),), notes, WAYS))
    parts.append("## What the peers cannot do")
    parts.append(notes.text())
    return "\n\n".join(parts) + "\n"


def family(chain: str) -> str:
    """The table's row for a chain."""
    if " > " in chain:
        return (
            "bitround > ..."
            if chain.startswith("bitround")
            else "chains of " + chain.split(" > ")[0] + " > ..."
        )
    words = chain.split()
    return (
        " ".join(words[:2])
        if words[0] == "blosc" and words[1] not in ("level", "automatic")
        else words[0] + (", other settings" if words[0] == "blosc" else " F" if words[0] == "order" else "")
    )


def _shape_words(case: Case) -> str:
    if 0 in case.shape:
        return f"{case.ndim}-d, no elements"
    if any(chunk > n for n, chunk in zip(case.shape, case.stored_shape, strict=True)):
        return f"{case.ndim}-d, chunk larger than the array"
    divides = all(n % chunk == 0 for n, chunk in zip(case.shape, case.stored_shape, strict=True))
    return f"{case.ndim}-d, chunks {'divide' if divides else 'do not divide'}" if case.ndim else "0-d"


def _key_words(case: Case) -> str:
    endian = case.endian if case.swappable else "single bytes"
    return f"{endian}, {case.key_encoding[0]} with `{case.key_encoding[1]}`"


class _Footnotes:
    """Letters for limits; each note quotes one of the errors."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], tuple[str, Cell]] = {}

    def letter(self, cell: Cell) -> str:
        assert cell.limit is not None
        key = (cell.peer, cell.limit.why)
        if key not in self._notes:
            self._notes[key] = (_letters(len(self._notes)), cell)
        return self._notes[key][0]

    def text(self) -> str:
        return "\n".join(
            f"- **{letter}**: {peer}: {why}. In its words: `{_quoted(cell.message)}`"
            for (peer, why), (letter, cell) in self._notes.items()
        )


def _letters(n: int) -> str:
    return chr(ord("a") + n) if n < 26 else _letters(n // 26 - 1) + _letters(n % 26)


def _quoted(message: str) -> str:
    """An error without paths and without the peer's copy of the whole request."""
    text = re.sub(r"\*\*\* Check failure stack trace.*", "", message, flags=re.DOTALL)
    text = re.sub(r" ?\[tensorstore_spec=.*", "", text, flags=re.DOTALL)
    text = re.sub(r"(?:/[\w.-]+)+/zarrc-interop-[^\"'\s]*", "...", text)
    return _shortened(" ".join(text.split()).replace("`", "'"), 240)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + " ..."


def _versions_line(versions: dict[str, str]) -> str:
    names = ("zarr", "tensorstore", "zarrs", "numcodecs", "numpy", "python")
    return "Peers: " + ", ".join(f"{name} {versions[name]}" for name in names) + "."


def _totals(cells: Sequence[Cell]) -> str:
    rows = []
    for peer, way in itertools.product(PEERS, WAYS):
        counts = Counter(cell.outcome for cell in cells if (cell.peer, cell.way) == (peer, way))
        rows.append([_heading(peer, way), str(counts["equal"]), str(counts["blank"]), str(counts["failed"])])
    return _markdown(["", "equal", "the peer cannot", "differ"], rows)


def _table(
    cells: Iterable[Cell],
    titles: tuple[str, ...],
    key_of: Callable[[Case], tuple[str, ...]],
    notes: _Footnotes,
    ways: tuple[Way, ...] = _READS,
) -> str:
    columns = list(itertools.product(PEERS, ways))
    found: dict[tuple[str, ...], dict[tuple[str, Way], list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        found[key_of(cell.case)][cell.peer, cell.way].append(cell)
    rows = [
        [*row, *(_entry(found[row][column], notes) for column in columns)]
        for row in sorted(found, key=_row_order)
    ]
    return _markdown([*titles, *(_heading(*column) for column in columns)], rows)


def _row_order(row: tuple[str, ...]) -> tuple[str, int, str]:
    last = row[-1]
    return row[0], GROUPS.index(last) if last in GROUPS else 0, last


def _entry(cells: Sequence[Cell], notes: _Footnotes) -> str:
    equal = sum(cell.outcome == "equal" for cell in cells)
    letters = sorted({notes.letter(cell) for cell in cells if cell.outcome == "blank"})
    failed = sum(cell.outcome == "failed" for cell in cells)
    text = str(equal) if equal == len(cells) else f"{equal} of {len(cells)}"
    return text + "".join(f" [{letter}]" for letter in letters) + (f" **{failed} differ**" if failed else "")


def _markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (titles, ["---"] * len(titles), *rows)]
    return "\n".join(lines)
