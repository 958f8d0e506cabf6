"""Run the Python blocks of one page of the documentation, in a directory of its own: ``run_page.py PAGE``.

The blocks of a page run in order, in one namespace. A ``python`` block is a script and must not raise. A
``pycon`` block is a session: what follows a ``>>>`` line is what it prints, "..." standing for any text; an
error is shown as Python shows it, notes included, with "..." for its traceback.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
import traceback
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
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language == "python":
            # The empty lines make Python's line numbers those of the page; our own __future__ is not the
            # reader's.
            exec(compile("\n" * block.line + block.text, str(path), "exec", dont_inherit=True), namespace)
        elif block.language == "pycon":
            for example in doctest.DocTestParser().get_examples(block.text):
                _run_example(example, f"{path}:{block.line + example.lineno + 1}", namespace)


def _run_example(example: doctest.Example, where: str, namespace: dict[str, Any]) -> None:
    code = compile(example.source, where, "single", dont_inherit=True)
    printed = io.StringIO()
    raised: Exception | None = None
    with contextlib.redirect_stdout(printed):
        try:
            exec(code, namespace)
        except Exception as error:
            raised = error
    if raised is not None and example.exc_msg is None:
        raise raised
    # doctest itself would compare the last note only, where an error has notes.
    got = printed.getvalue() if raised is None else "".join(traceback.format_exception_only(raised))
    want = example.want if example.exc_msg is None else example.exc_msg
    if not doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS):
        raise SystemExit(f"{where}\n{example.source}\nexpected:\n{want}\ngot:\n{got}")


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
