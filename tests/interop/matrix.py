"""Run the interop matrix: every case, each way, with every peer.

`python -m tests.interop.matrix` runs all of it and prints the counts; `--write docs/interop.md` writes the
table, `--every 10` takes a tenth, `--sharded` the sharded arrays only.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.interop import ours
from tests.interop.cases import Case, all_cases, sharded_cases
from tests.interop.limits import LIMITS, Limit, Way
from tests.peers.client import Peers, peers_python

_ROOT = Path(__file__).resolve().parents[2]
_ASK = """
import sys
if root not in sys.path:
    sys.path.insert(0, root)
from tests.interop.peer_cells import answer
result = answer(**request)
"""

PEERS = ("zarr-python", "tensorstore", "zarrs")
Task = Literal["write", "read", "update", "read updated"]


@dataclass(frozen=True)
class Cell:
    """What came of one case with one peer in one direction.

    `blank` cells have the peer's known limit and its error, `failed` ones an error that nothing explains.
    """

    case: Case
    peer: str
    way: Way
    outcome: Literal["equal", "blank", "failed"]
    message: str = ""
    limit: Limit | None = None

    def __str__(self) -> str:
        return f"{self.peer}, {self.way}: {self.case}\n    {self.message}"


def run(cases: Sequence[Case], python: Path) -> Iterator[Cell]:
    """All cells of these cases, each peer in a process of its own, side by side."""
    with _quick_folder() as root, ThreadPoolExecutor(len(PEERS)) as threads:
        unwritten = {case.number: _attempt(ours.write, case, _path(root, "zarrc", case)) for case in cases}
        columns = [threads.submit(_column, peer, cases, unwritten, root, python) for peer in PEERS]
        for column in columns:
            yield from column.result()


def _column(
    peer: str, cases: Sequence[Case], unwritten: dict[int, str], root: Path, python: Path
) -> list[Cell]:
    """One peer's cells, both ways."""
    with Peers(python) as process:
        asker = Asker(peer, process)
        there = [_peer_reads(asker, case, root, unwritten[case.number]) for case in cases]
        back = [_zarrc_reads(asker, case, root) for case in cases]
        written = [cell.case for cell in back if cell.case.shards is not None and cell.outcome == "equal"]
        ours_written = [case for case in cases if case.shards is not None and not unwritten[case.number]]
        theirs = [_zarrc_updates(asker, case, root) for case in written]
        return there + back + theirs + [_peer_updates(asker, case, root) for case in ours_written]


class Asker:
    """Asks one peer to do something with cases, and not a second time what took its process down."""

    def __init__(self, peer: str, process: Peers) -> None:
        self.peer = peer
        self._process = process
        self._crashes: dict[tuple[str, int, str], dict[str, str]] = {}

    def ask(self, do: Task, case: Case, path: Path) -> dict[str, str]:
        """What `peer_cells.answer` says, or `{"outcome": "crash"}`."""
        kind = (do, case.zarr_format, case.dtype_name)
        if kind in self._crashes:
            return self._crashes[kind]
        request = {"do": do, "peer": self.peer, "path": str(path), "case": case.to_json()}
        names = {"root": str(_ROOT), "request": request}
        found = self._process.batch([{"op": "run", "source": _ASK, "names": names}])[0]
        if found.ok:
            value: dict[str, str] = found.value
            return value
        self._crashes[kind] = {"outcome": "crash", "message": found.error}
        return self._crashes[kind]


def _peer_reads(asker: Asker, case: Case, root: Path, our_error: str) -> Cell:
    if our_error:
        return Cell(case, asker.peer, "peer reads", "failed", f"zarrc did not write it: {our_error}")
    return _judged(asker.ask("read", case, _path(root, "zarrc", case)), asker.peer, "peer reads", case)


def _zarrc_reads(asker: Asker, case: Case, root: Path) -> Cell:
    path = _path(root, asker.peer, case)
    cell = _judged(asker.ask("write", case, path), asker.peer, "zarrc reads", case)
    if cell.outcome != "equal":
        return cell
    return _checked(_attempt(ours.check, case, path), asker.peer, "zarrc reads", case)


def _zarrc_updates(asker: Asker, case: Case, root: Path) -> Cell:
    path = _path(root, asker.peer, case)
    message = _attempt(ours.update, case, path)
    if message:
        return Cell(case, asker.peer, "zarrc updates", "failed", message)
    return _judged(asker.ask("read updated", case, path), asker.peer, "zarrc updates", case)


def _peer_updates(asker: Asker, case: Case, root: Path) -> Cell:
    path = root / f"zarrc, {asker.peer}" / str(case.number)
    shutil.copytree(_path(root, "zarrc", case), path)
    cell = _judged(asker.ask("update", case, path), asker.peer, "peer updates", case)
    if cell.outcome != "equal":
        return cell
    return _checked(_attempt(ours.check_updated, case, path), asker.peer, "peer updates", case)


def _checked(message: str, peer: str, way: Way, case: Case) -> Cell:
    """What zarrc found in a peer's array as a cell."""
    answer = {"outcome": "differs" if message else "done", "message": message}
    return _judged(answer, peer, way, case)


def _judged(answer: dict[str, str], peer: str, way: Way, case: Case) -> Cell:
    """A peer's answer as a cell: its errors are blanks where they are known ones."""
    if answer["outcome"] == "done":
        return Cell(case, peer, way, "equal")
    message = f"{answer['outcome']}: {answer['message']}"
    limit = next((limit for limit in LIMITS if limit.explains(peer, way, case, message)), None)
    return Cell(case, peer, way, "failed" if limit is None else "blank", message, limit)


def _attempt(step: Callable[[Case, str], str | None], case: Case, path: Path) -> str:
    try:
        return step(case, str(path)) or ""
    except Exception as error:  # a failure of ours is a finding, and the other cells go on
        return f"{type(error).__name__}: {error}"


def _path(root: Path, writer: str, case: Case) -> Path:
    return root / writer / str(case.number)


@contextmanager
def _quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: the matrix makes some 50,000 small files."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="zarrc-interop-", dir=memory if memory.is_dir() else None))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="zarrc and its peers read each other's arrays")
    parser.add_argument("--every", type=int, default=1, help="take one case in so many")
    parser.add_argument("--sharded", action="store_true", help="take the sharded arrays only")
    parser.add_argument("--write", type=Path, help="write the table to this file")
    return parser.parse_args()


def main() -> int:
    from tests.interop.report import render, summary

    arguments = _parse_arguments()
    python = peers_python(_ROOT)
    if python is None:
        print("no peers: run `make peers` first", file=sys.stderr)
        return 2
    began = time.perf_counter()
    start = random.randrange(arguments.every)
    cases = (sharded_cases() if arguments.sharded else all_cases())[start :: arguments.every]
    cells = list(run(cases, python))
    with Peers(python) as process:
        versions = process.versions
    print(summary(cells, versions, time.perf_counter() - began))
    if arguments.write:
        arguments.write.write_text(render(cells, versions))
    return 1 if any(cell.outcome == "failed" for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
