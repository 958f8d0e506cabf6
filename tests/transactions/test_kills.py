"""Processes that are killed in a transaction: once it is opened for writing, all of it is done or nothing.

In a directory, in SQLite and on a server of S3; at random places, and at chosen ones.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.engine.children import start_module
from tests.servers.places import Place
from tests.soak import count, soaking
from tests.transactions.programs.killed import open_store
from tests.transactions.samples import (
    change,
    change_little,
    check,
    contents,
    fill,
    fill_little,
    lease,
    left_names,
)
from zarrc.storage import Store
from zarrc.transactions import clean

NODES = ("grown", "cut", "anew", "deep/er", "deep/er/z", "sharded")
REMOTE_LEASE_S = 0.5


class Killer:
    """A process whose children make transactions and are killed."""

    def __init__(self) -> None:
        self.process = start_module("tests.transactions.programs.killed")

    def do(self, **job: Any) -> tuple[bool, int]:
        """Whether the child was killed, and how many places it had."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        given = {"lease": 30.0, "place": None, "after_s": None, "little": False, **job}
        self.process.stdin.write(json.dumps(given) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self._error()
        answer = json.loads(line)
        assert answer["ended"] in (0, -9), self._error()
        return answer["ended"] == -9, answer["n"]

    def _error(self) -> str:
        self.process.kill()
        return self.process.communicate()[1]


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    killer = Killer()
    yield killer
    killer.process.kill()
    killer.process.communicate()


def resolved(store: Store) -> str:
    """Open the nodes for writing, and look at everything: "before" or "after"."""
    top = zarrc.open_group(store, mode="r+")
    for name in NODES:
        assert top[name] is not None
    state = "after" if top.attrs["n"] == 7 else "before"
    check(top, changed=state == "after")
    plain = zarrc.storage.MemoryStore()
    fill(plain)
    if state == "after":
        change(zarrc.open_group(plain, mode="r+"))
    assert contents(store) == contents(plain)
    return state


def places(n: int, wanted: int, chance: random.Random) -> list[int]:
    """So many of the places; each one where there are not more."""
    every = list(range(1, n + 1))
    return every if wanted >= n else sorted(chance.sample(every, wanted))


def test_a_directory(tmp_path: Path, killer: Killer) -> None:
    chance = random.Random(11)
    first = tmp_path / "first"
    fill(open_store({"kind": "local", "path": str(first)}))
    found: Counter[str] = Counter()
    for kind, part in (("os", 80), ("c", 80), ("after", 40)):
        n = 0
        if kind != "after":
            shutil.copytree(first, tmp_path / kind)
            job = {"kind": "local", "path": str(tmp_path / kind)}
            killed, n = killer.do(store=job, place=[kind, 0])
            assert not killed
            assert resolved(open_store(job)) == "after"
        wanted = places(n, count(part), chance) if n else range(count(part))
        for number, at in enumerate(wanted):
            path = tmp_path / f"{kind}-{number}"
            shutil.copytree(first, path)
            job = {"kind": "local", "path": str(path)}
            if n:
                killed, _ = killer.do(store=job, place=[kind, at])
                assert killed
            else:
                killed, _ = killer.do(store=job, after_s=chance.random() * 0.08)
            store = open_store(job)
            found[f"{kind} {resolved(store)} {'killed' if killed else 'done'}"] += 1
            clean(store)
            left = left_names(store)
            # Of a file that was being replaced the temporary one may stay, as after a plain write.
            assert [name for name in left if ".zc-tx" in name] == [], (kind, at)
            shutil.rmtree(path)
    print(dict(found))
    assert {name.split()[1] for name in found} == {"before", "after"}


def test_sqlite(tmp_path: Path, killer: Killer) -> None:
    chance = random.Random(12)
    first = tmp_path / "first.sqlite"
    with open_store({"kind": "sqlite", "path": str(first)}) as store:
        fill(store)
    found: Counter[str] = Counter()

    def start(name: str) -> dict[str, str]:
        for one in tmp_path.glob("first.sqlite*"):
            shutil.copy(one, tmp_path / one.name.replace("first", name))
        return {"kind": "sqlite", "path": str(tmp_path / f"{name}.sqlite")}

    killed, n = killer.do(store=start("whole"), place=["staged", 0])
    assert not killed
    jobs: list[Any] = [["staged", at] for at in places(n, count(100), chance)]
    jobs += [None] * (count(200) - len(jobs))
    for number, place in enumerate(jobs):
        job = start(f"x{number}")
        after_s = None if place is not None else chance.random() * 0.1
        killed, _ = killer.do(store=job, place=place, after_s=after_s)
        with open_store(job) as store:
            found[f"{resolved(store)} {'killed' if killed else 'done'}"] += 1
        for one in tmp_path.glob(f"x{number}.*"):
            one.unlink()
    print(dict(found))
    assert {name.split()[0] for name in found} >= {"before"}
    assert sum(found.values()) == len(jobs)


@pytest.mark.parametrize("kind", ["s3", "gcs", "azure"])
def test_a_server(servers: Any, kind: str, killer: Killer) -> None:
    if kind != "s3" and not soaking():
        pytest.skip("one server tells; all of them when soaking")
    chance = random.Random(13)
    found: Counter[str] = Counter()
    server = servers.server(kind)

    # Few requests: the server is slow.
    table = zarrc.storage.MemoryStore()
    fill_little(table)
    before = contents(table)
    change_little(zarrc.open_group(table, mode="r+"))
    after = contents(table)

    def start() -> dict[str, Any]:
        place: Place = server.place()
        job = {"kind": "url", "url": place.url, "options": dict(place.storage_options)}
        open_store(job).set_many(before.items())
        return job

    def resolved(store: Store) -> str:
        zarrc.open_array(store, path="a", mode="r+")
        found = contents(store)
        assert found in (before, after)
        return "after" if found == after else "before"

    with lease(REMOTE_LEASE_S):
        killed, n = killer.do(store=start(), place=["calls", 0], lease=REMOTE_LEASE_S, little=True)
        assert not killed
        jobs: list[Any] = [["calls", at] for at in places(n, count(100), chance)]
        jobs += [None] * (count(200) - len(jobs))
        for place in jobs:
            job = start()
            after_s = None if place is not None else chance.random()
            killed, _ = killer.do(store=job, place=place, after_s=after_s, lease=REMOTE_LEASE_S, little=True)
            store = open_store(job)
            found[f"{resolved(store)} {'killed' if killed else 'done'}"] += 1
            clean(store)
            assert list(store.list_dir(".zc-tx").prefixes) == []
    print(dict(found))
    assert {name.split()[0] for name in found} == {"before", "after"}
