"""One of several processes that change one place at once (test_together.py): ``together_program JOB``.

``JOB`` is JSON: ``path``, ``kind`` ("local" or "sqlite"), ``lock`` (storage.lock), ``worker`` (its number),
``n_workers``, ``n`` (steps). It prints "ready", begins at the line "go", and prints the log of what it wrote.

Each step is one of: some of its own elements (index modulo ``n_workers`` is its number) in a random range,
which shares its chunks with all others; the same in a sharded array; rows appended; an attribute. Before each
write its own elements are read, and must be those of the log.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import numpy as np

import zarrc
from zarrc.storage import LocalStore, SQLiteStore

N = 600


def store_of(kind: str, path: str) -> Any:
    """The store of all processes."""
    return LocalStore(path) if kind == "local" else SQLiteStore(path)


def make(kind: str, path: str, journal: str | None = None) -> None:
    """What the processes write to."""
    store = store_of(kind, path) if journal is None else SQLiteStore(path, journal=journal)  # type: ignore[arg-type]
    group = zarrc.create_group(store)
    group.create_array("plain", shape=(N,), chunks=(37,), dtype="i8", fill_value=-1)
    group.create_array("sharded", shape=(N,), chunks=(10,), shards=(100,), dtype="i8", fill_value=-1)
    group.create_array("log", shape=(0, 2), chunks=(7, 2), dtype="i8")
    store.close()


def check(kind: str, path: str, logs: list[dict[str, Any]]) -> None:
    """What is stored is what the logs of all processes say."""
    group = zarrc.open_group(store_of(kind, path), mode="r")
    n_workers = len(logs)
    for name in ("plain", "sharded"):
        expected = np.full(N, -1)
        for worker, log in enumerate(logs):
            expected[worker::n_workers] = log[name]
        assert group[name][...].tolist() == expected.tolist()
    rows = [tuple(row) for row in group["log"][...].tolist()]
    for worker, log in enumerate(logs):
        # Each worker's in their order, whatever came between.
        assert [row[1] for row in rows if row[0] == worker] == list(range(log["appended"]))
        assert {key: group["log"].attrs[key] for key in log["attributes"]} == log["attributes"]
    assert len(rows) == sum(log["appended"] for log in logs)


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the steps; the log."""
    mine, n_workers = job["worker"], job["n_workers"]
    chance = random.Random(mine)
    group = zarrc.open_group(store_of(job["kind"], job["path"]), mode="r+")
    arrays = {name: group[name].with_config({"locking": "file"}) for name in ("plain", "sharded", "log")}
    seen = {name: np.full(len(range(mine, N, n_workers)), -1) for name in ("plain", "sharded")}
    appended, attributes = 0, {}
    for step in range(job["n"]):
        name = chance.choice(["plain", "plain", "sharded", "sharded", "log", "attributes"])
        if name == "log":
            n_rows = chance.randrange(1, 12)
            rows = [(mine, appended + i) for i in range(n_rows)]
            arrays["log"].append(np.array(rows, "i8"))
            appended += n_rows
        elif name == "attributes":
            key = f"{mine}-{chance.randrange(5)}"
            arrays["log"].attrs[key] = attributes[key] = step
        else:
            first = chance.randrange(len(seen[name]))
            last = min(first + chance.randrange(1, 60), len(seen[name]))
            key = slice(mine + first * n_workers, mine + (last - 1) * n_workers + 1, n_workers)
            assert arrays[name][key].tolist() == seen[name][first:last].tolist(), (name, key)
            seen[name][first:last] = step * n_workers + mine
            arrays[name][key] = seen[name][first:last]
    lists = {name: values.tolist() for name, values in seen.items()}
    return {**lists, "appended": appended, "attributes": attributes}


def main() -> None:
    """Begin when all are there."""
    job = json.loads(sys.argv[1])
    zarrc.config.set({"storage.lock": job["lock"]})
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work(job)), flush=True)


if __name__ == "__main__":
    main()
