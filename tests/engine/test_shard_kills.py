"""Writers of shards that are killed: each shard is what it was or what it was to be."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine import shards
from tests.engine.children import start_module
from tests.engine.programs import shard_kills
from tests.engine.programs.shard_kills import GRID, INNER, KINDS, SHAPE, SHARD
from tests.peers.client import Peers
from tests.soak import count, soaking
from zarrc.tools.copying import copy_array

UPDATES = ("rewrite", "append")
GZIP: shards.Json = {"name": "gzip", "configuration": {"level": 1}}

# Whether appending is what happens, and the keywords of `sharded_array`.
CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "end zstd": (True, {"codecs": [shards.BYTES, shards.ZSTD]}),
    "start none": (True, {"location": "start"}),
    "end none": (True, {"index_codecs": [shards.BYTES]}),
    "start zstd": (True, {"location": "start", "codecs": [shards.BYTES, shards.ZSTD]}),
    "nested": (True, {"codecs": [shards.sharding((4, 8), [shards.BYTES, shards.ZSTD], location="start")]}),
    "inside gzip": (False, {"after": [GZIP]}),
}


@pytest.fixture
def other(request: pytest.FixtureRequest) -> Peers | None:
    """zarr-python, where it is."""
    try:
        peers: Peers = request.getfixturevalue("peers")
    except pytest.skip.Exception:
        return None
    return peers


class Killer:
    """A process whose children write to arrays and are killed."""

    def __init__(self) -> None:
        self.process = start_module("tests.engine.programs.shard_kills")

    def do(self, job: dict[str, Any]) -> tuple[bool, int]:
        """Whether the child was killed, and how many updates it finished."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self._error()
        answer = json.loads(line)
        assert answer["ended"] in (0, -9), self._error()
        return answer["ended"] == -9, answer["done"]

    def _error(self) -> str:
        """What the child said, which ended by itself."""
        self.process.kill()
        return self.process.communicate()[1]


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    killer = Killer()
    yield killer
    killer.process.kill()
    killer.process.communicate()


class Victims:
    """One array, and processes that write to it and are killed.

    ``values`` is what the array held when it was last looked at, ``number`` that of the last update.
    """

    def __init__(self, killer: Killer, path: Path, case: str, mode: str, other: Peers | None) -> None:
        self.killer, self.path, self.other, self.number = killer, path, other, 1
        appends, keywords = CASES[case]
        self.is_appended = appends and mode == "append"
        self.config = {"shard_update": mode, "locking": random.choice(["thread", "file"])}
        array = shards.sharded_array(str(path), SHAPE, SHARD, INNER, fill_value=0, **keywords)
        # One shard is not there, another has a few inner chunks.
        self.values = np.zeros(SHAPE, "i4")
        self.values[:32], self.values[32:50, :20] = 1, 1
        array[...] = self.values
        self.writer = zarrc.open_array(str(path), mode="r+", config=self.config)
        # A handle from before, with what it has read.
        self.reader = zarrc.open_array(str(path), mode="r")
        assert (self.reader[...] == self.values).all()
        self.outcomes: Counter[str] = Counter()

    def kill(
        self, kind: str, *, n: int = 1, kill_at: int = 0, after_s: float | None = None
    ) -> tuple[bool, int]:
        """Have ``n`` updates done by a process that is killed; whether it was, and how many were finished."""
        job = {"path": str(self.path), "config": self.config, "kind": kind, "first": self.number + 1, "n": n}
        return self.killer.do(job | {"kill_at": kill_at, "after_s": after_s})

    def look(self, kind: str, done: int, killed: bool = True) -> None:
        """Each shard is as after ``done`` updates or, of a killed writer, one more; nobody repairs."""
        old = self.values
        for _ in range(done):
            self.number += 1
            old = shard_kills.after(old, kind, self.number)
        new = old
        if killed:
            self.number += 1
            new = shard_kills.after(old, kind, self.number)
        found = zarrc.open_array(str(self.path), mode="r")[...]
        self._match(found, old, new)
        assert (self.reader[...] == found).all()
        if not self.is_appended and self.other is not None:
            assert (self.other.read("zarr", self.path) == found).all()
        self.values = found
        hidden_from_listings(self.path)

    def _match(self, found: Any, old: Any, new: Any) -> None:
        for place, box in boxes():
            if (old[box] == new[box]).all():
                assert (found[box] == old[box]).all(), place
                continue
            is_old, is_new = (found[box] == old[box]).all(), (found[box] == new[box]).all()
            assert is_old or is_new, (place, found[box], old[box], new[box])
            self.outcomes["old" if is_old else "new"] += 1

    def _counts(self) -> None:
        """What is counted is what the readers see, once it is repaired."""
        array = zarrc.open_array(str(self.path), mode="r")
        inside = [self.values[box] for _, box in boxes()]
        assert array.nshards_initialized == sum(shard.any() for shard in inside)
        n_chunks = sum(
            shard[i : i + INNER[0], j : j + INNER[1]].any()
            for shard in inside
            for i, j in itertools.product(*(range(0, n, m) for n, m in zip(shard.shape, INNER, strict=True)))
        )
        assert array.nchunks_initialized == n_chunks

    def write_on(self) -> None:
        """The next writer finds each shard as the readers did, and leaves it for anybody to read."""
        self.number += 1
        for _, box in boxes():
            part = (slice(box[0].start + 1, box[0].start + 9), slice(box[1].start, box[1].start + 3))
            self.writer[part] = self.number
            self.values[part] = self.number
        assert (zarrc.open_array(str(self.path), mode="r")[...] == self.values).all()
        assert (self.reader[...] == self.values).all()
        if self.other is not None:
            assert (self.other.read("zarr", self.path) == self.values).all()
        left = {name.name.rpartition("-")[0] for name in self.path.rglob(".zc-*")}
        assert not left & {".zc-undo", ".zc-lock"}, "records and lock files go"
        if len(shards.codecs_of(self.writer)) == 1:
            check_indexes(self.writer)
        self._counts()
        hidden_from_listings(self.path)


def boxes() -> Iterator[tuple[tuple[int, ...], tuple[slice, slice]]]:
    """The shards, as regions of the array."""
    for place in itertools.product(*map(range, GRID)):
        row, column = (i * n for i, n in zip(place, SHARD, strict=True))
        yield place, (slice(row, min(row + SHARD[0], SHAPE[0])), slice(column, column + SHARD[1]))


def hidden_from_listings(path: Path) -> None:
    """What killed processes left is no object of the store."""
    store = zarrc.storage.LocalStore(path)
    keys = set(store.list_prefix(""))
    assert keys <= {"zarr.json", *(f"c/{i}/{j}" for i, j in itertools.product(*map(range, GRID)))}
    nbytes = sum((path / key).stat().st_size for key in keys)
    assert zarrc.open_array(store, mode="r").nbytes_stored() == nbytes


def check_indexes(array: Any) -> None:
    """Checksums are right, and inner chunks are inside and apart from each other; there may be gaps."""
    configuration = shards.codecs_of(array)[0]["configuration"]
    grid = tuple(n // m for n, m in zip(SHARD, INNER, strict=True))
    nbytes = shards.index_nbytes(grid, configuration["index_codecs"])
    for stored in shards.shard_objects(array).values():
        start = 0 if configuration["index_location"] == "start" else len(stored) - nbytes
        entries = shards.parse_index(stored[start : start + nbytes], grid, configuration["index_codecs"])
        ranges = sorted([(start, nbytes), *entries.values()])
        for (offset, size), (following, _) in itertools.pairwise([*ranges, (len(stored), 0)]):
            assert size > 0
            assert offset + size <= following


@pytest.mark.parametrize("mode", UPDATES)
@pytest.mark.parametrize("case", CASES)
def test_a_writer_killed_at_any_point_leaves_each_shard_old_or_new(
    case: str, mode: str, tmp_path: Path, killer: Killer, other: Peers | None
) -> None:
    n_kills, n_points = 0, []
    victims = Victims(killer, tmp_path / "a", case, mode, other)
    turn = 2 * list(CASES).index(case) + UPDATES.index(mode)
    for kind in KINDS if soaking() else [KINDS[turn % len(KINDS)]]:
        for n in itertools.count(1):
            killed, done = victims.kill(kind, kill_at=n)
            victims.look(kind, done, killed)
            if not killed:
                break
            n_kills += 1
            # Every other time the next one to be killed is the one that repairs.
            if n % 2:
                victims.write_on()
        n_points.append(n - 1)
        victims.write_on()
    print(f"{mode}, {case}: {n_kills} kills, points {n_points}, shards {dict(victims.outcomes)}")
    assert n_kills >= 2
    # To clear what is clear already changes nothing.
    assert set(victims.outcomes) == {"old", "new"} or not soaking()


@pytest.mark.parametrize("case", ["end zstd", "start none"])
def test_a_compaction_killed_at_any_point_changes_nothing(
    case: str, tmp_path: Path, killer: Killer, other: Peers | None
) -> None:
    victims = Victims(killer, tmp_path / "a", case, "append", other)
    killed = True
    for n in itertools.count(1):
        victims.look("any", *reversed(victims.kill("any", n=4)))
        # Somebody was killed in the middle of appending, too.
        victims.look("several", *reversed(victims.kill("several", kill_at=6)))
        killed, done = victims.kill("compact", kill_at=n)
        victims.look("compact", done, killed)
        if not killed:
            break
        if n % 2:
            victims.write_on()
    victims.write_on()
    victims.writer.compact(0)
    assert victims.writer.compact(0).n_written == 0
    shards.check_stored(victims.writer, victims.values)
    print(f"compacting, {case}: {n - 1} kills")
    assert n > 4


@pytest.mark.parametrize("case", ["end zstd", "start none"])
def test_a_copy_of_shards_that_a_killed_writer_left_is_what_readers_see(
    case: str, tmp_path: Path, killer: Killer
) -> None:
    for n in itertools.count(1):
        victims = Victims(killer, tmp_path / str(n), case, "append", None)
        killed, done = victims.kill("across", kill_at=n)
        victims.look("across", done, killed)
        for target in (str(tmp_path / f"{n} copy"), zarrc.storage.MemoryStore()):
            copy_array(zarrc.open_array(str(victims.path), mode="r"), target)
            assert (zarrc.open_array(target, mode="r")[...] == victims.values).all()
        if not killed:
            break


@pytest.mark.parametrize("mode", UPDATES)
def test_a_writer_killed_at_random_leaves_each_shard_old_or_new(
    mode: str, tmp_path: Path, killer: Killer, other: Peers | None
) -> None:
    outcomes: Counter[str] = Counter()
    n_done = 0
    cases = ["end zstd", "start none", "end none", "start zstd"]
    for number, case in enumerate(cases):
        victims = Victims(killer, tmp_path / str(number), case, mode, other)
        for _ in range(-(-count(100) // len(cases))):
            killed, done = victims.kill("any", n=100_000, after_s=random.uniform(0, 0.02))
            assert killed
            victims.look("any", done)
            n_done += done
            if random.random() < 0.5:
                victims.write_on()
        victims.write_on()
        outcomes += victims.outcomes
        # An array that is made in this one's place has nothing of what was left.
        array = zarrc.create_array(str(victims.path), shape=SHAPE, dtype="i4", fill_value=0, overwrite=True)
        assert not array[...].any()
        assert list(victims.path.rglob(".zc-*")) == []
    print(f"{mode}, at random: {n_done} updates before the kills, the last of each shard {dict(outcomes)}")
