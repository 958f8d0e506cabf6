"""What a small read costs, in instructions: a regression shows without a clock.

The counts hold for one CPython and one compiler, so the bounds are about twice what was counted when that was
written.
To print the counts: ``python -m tests.engine.test_instruction_counts``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine.children import environment
from tests.engine.programs.reads import N_TINY

ROUNDS = 2000
CHUNKS = "64 bytes a chunk"

# Instructions a round; a chunk, for the array of many.
BOUNDS = {
    "element, memory": 17_000,
    "slice, memory": 28_000,
    "element, local": 16_000,
    "element, blosc, memory": 125_000,
    "write of an element, memory": 210_000,
    CHUNKS: 1_500,
    "open, local": 240_000,
}

needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None or "ZARRC_SANITIZE" in os.environ,
    reason="valgrind is not installed, or the sanitizers are in the way",
)


def instructions(case: str, rounds: int) -> int:
    """All instructions of a process that does ``case`` so often, by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-m", "tests.engine.programs.reads", case, str(rounds), folder),
        ]
        # One hash seed and one thread, of NumPy's too: else two runs differ by more than what is counted.
        settings = {
            **environment(),
            "PYTHONHASHSEED": "0",
            "ZARRC_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert done.returncode == 0, done.stderr
    assert found is not None, done.stderr
    return int(found[1])


def rounds_of(case: str) -> int:
    """How often a case is done: a round of many chunks is long."""
    return ROUNDS // 50 if case == CHUNKS else ROUNDS


def instructions_each(cases: Iterable[str]) -> dict[str, float]:
    """The instructions of one round: those of many, less those of a process that does none."""
    cases = list(cases)
    with ThreadPoolExecutor(2) as threads:
        none, *many = threads.map(instructions, [cases[0], *cases], [0, *map(rounds_of, cases)])
    per_round = {case: (count - none) / rounds_of(case) for case, count in zip(cases, many, strict=True)}
    if CHUNKS in per_round:
        per_round[CHUNKS] /= N_TINY
    return per_round


@needs_valgrind
def test_small_operations_take_no_more_instructions_than_they_did() -> None:
    counted = instructions_each(BOUNDS)
    assert min(counted.values()) > 0
    too_many = {case: count for case, count in counted.items() if count > BOUNDS[case]}
    assert not too_many


if __name__ == "__main__":
    for name, count in instructions_each(BOUNDS).items():
        print(f"{name:28} {count:9.0f}  bound {BOUNDS[name]}")
