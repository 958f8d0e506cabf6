"""Four processes on one place, with ``locking="file"``: nothing is lost."""

from __future__ import annotations

import json
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine.children import start_module
from tests.soak import count
from tests.storage.together_program import check, make

N_PROCESSES = 4


def together(kind: str, path: Path, lock: str, n: int) -> list[dict[str, Any]]:
    """Run the processes; their logs."""
    jobs = [
        {"kind": kind, "path": str(path), "lock": lock, "worker": i, "n_workers": N_PROCESSES, "n": n}
        for i in range(N_PROCESSES)
    ]
    processes = [start_module("tests.storage.together_program", json.dumps(job)) for job in jobs]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        ends = list(pool.map(lambda process: process.communicate("go\n", timeout=600), processes))
    assert [err for _, err in ends] == [""] * N_PROCESSES
    return [json.loads(out) for out, _ in ends]


@pytest.mark.parametrize("lock", ["flock", "lockfile"])
def test_processes_on_a_directory_lose_nothing(lock: str, tmp_path: Path) -> None:
    make("local", str(tmp_path / "x"))
    check("local", str(tmp_path / "x"), together("local", tmp_path / "x", lock, count(1500)))
    assert [str(left) for left in tmp_path.rglob(".zc-*")] == []


@pytest.mark.parametrize("lock", ["flock", "lockfile"])
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_processes_on_a_sqlite_file_lose_nothing(journal: str, lock: str, tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    make("sqlite", str(path), journal)
    check("sqlite", str(path), together("sqlite", path, lock, count(600)))
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA journal_mode").fetchone() == (journal,)
    connection.close()
    assert [name for name in os.listdir(tmp_path) if name.startswith(".zc-")] == []
