"""Run the Python blocks of one page of the documentation: ``python run_page.py PAGE``, in a directory of its own.

The blocks of a page run in order, in one namespace. A ``python`` block is a script and must not raise. A ``pycon``
block is a session: what follows a ``>>>`` line is what it prints, "..." standing for any text; an error is shown as
Python shows it, its traceback as "...".
"""

from __future__ import annotations

import doctest
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and the line of the page that it starts after."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page that name a language."""
    for match in _BLOCK.finditer(page):
        yield Block(match[1], match[2], page.count("\n", 0, match.start()) + 1)


def run_page(path: Path) -> None:
    """Run the blocks of a page; SystemExit with what went wrong where."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    options = doctest.ELLIPSIS | doctest.FAIL_FAST
    runner = doctest.DocTestRunner(optionflags=options)
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            # The empty lines make Python's line numbers those of the page.
            exec(compile("\n" * block.line + block.text, str(path), "exec", dont_inherit=True), namespace)
        elif block.language == "pycon":
            session = doctest.DocTestParser().get_doctest(block.text, {}, path.name, str(path), block.line)
            session.globs = namespace
            if runner.run(session, clear_globs=False).failed:
                raise SystemExit(1)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
