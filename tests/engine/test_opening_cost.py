"""What opening asks of a store and of the system: no more than it needs, and the document each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.engine.node_samples import CountingStore, array, group
from zarrc.engine.node_changes import create_node

STRACE = shutil.which("strace")


@pytest.fixture
def store() -> CountingStore:
    made = CountingStore()
    create_node(made, "g", group(attributes={"x": 1}))
    for name in ("a", "b"):
        create_node(made, f"g/{name}", array(attributes={"x": 1}))
    made.asked.clear()
    return made


def test_each_open_reads_the_document_once_and_nothing_else(store: CountingStore) -> None:
    for _ in range(3):
        zarrc.open_array(store, path="g/a")
    assert store.asked == ["g/a/zarr.json"] * 3


def test_looking_at_metadata_reads_nothing(store: CountingStore) -> None:
    array = zarrc.open_array(store, path="g/a")
    store.asked.clear()
    assert (array.shape, array.dtype, array.chunks, array.attrs["x"]) == ((4,), "i4", array.chunks, 1)
    assert dict(array.attrs) == {"x": 1}
    assert store.asked == []


def test_a_member_costs_one_request_and_all_members_one_each(store: CountingStore) -> None:
    group = zarrc.open_group(store, path="g")
    assert store.asked == ["g/zarr.json"]
    store.asked.clear()
    assert group["a"].path == "g/a"
    assert store.asked == ["g/a/zarr.json"]
    store.asked.clear()
    assert [name for name, _ in group.arrays()] == ["a", "b"]
    assert store.asked == ["g/a/zarr.json", "g/b/zarr.json"]


class SharedStore(CountingStore):
    """One that can have transactions, whose markers are looked for; those of one call are one text."""

    @property
    def is_conditional(self) -> bool:
        return True

    def get_many(self, requests: Any) -> Any:
        start = len(self.asked)
        answers = list(super().get_many(requests))
        self.asked[start:] = [" + ".join(self.asked[start:])] if answers else []
        yield from answers

    def __copy__(self) -> SharedStore:
        twin = type(self)()
        twin.__dict__.update(self.__dict__)
        return twin


@pytest.fixture
def shared(store: CountingStore) -> SharedStore:
    made = SharedStore()
    made._mapping = store._mapping
    return made


def test_an_open_for_writing_looks_for_a_marker_together_with_the_document(shared: SharedStore) -> None:
    zarrc.open_array(shared, path="g/a", mode="r")
    assert shared.asked == ["g/a/zarr.json"]
    shared.asked.clear()
    zarrc.open_array(shared, path="g/a", mode="r+")
    assert shared.asked == ["g/a/zarr.json + g/a/.zc-tx.json"]


def test_members_are_looked_at_as_they_are_opened(shared: SharedStore) -> None:
    group = zarrc.open_group(shared, path="g")
    shared.asked.clear()
    assert group["a"].path == "g/a"
    assert shared.asked == ["g/a/zarr.json + g/a/.zc-tx.json"]
    shared.asked.clear()
    assert [name for name, _ in group.arrays()] == ["a", "b"]
    assert shared.asked == ["g/a/.zc-tx.json + g/b/.zc-tx.json", "g/a/zarr.json + g/b/zarr.json"]
    shared.asked.clear()
    reading = zarrc.open_group(shared, path="g", mode="r")
    assert [name for name, _ in reading.arrays()] == ["a", "b"]
    assert shared.asked == ["g/zarr.json", "g/a/zarr.json + g/b/zarr.json"]


def test_members_of_consolidated_metadata_are_looked_at_before_the_first_write(shared: SharedStore) -> None:
    group = zarrc.consolidate_metadata(shared, "g")
    shared.asked.clear()
    array = group["a"]
    assert shared.asked == []
    for value in (1, 2):
        array[0] = value
    assert shared.asked.count("g/a/.zc-tx.json") == 1


PROGRAM = """
import os, sys, zarrc
path, mode = sys.argv[1:]
for _ in range(2):
    os.write(1, b"start\\n")
    array = zarrc.open(path, mode=mode)
    array.shape, array.attrs
    os.write(1, b"end\\n")
"""


def system_calls(path: Path, environment: dict[str, str], mode: str = "r") -> list[str]:
    """The names of the system calls of the second open of a process."""
    if STRACE is None:
        pytest.skip("needs strace")
    log = path.parent / "log"
    command = [STRACE, "-o", str(log), sys.executable, "-c", PROGRAM, str(path), mode]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"strace does not work here: {done.stderr[-200:]}")
    lines = log.read_text().splitlines()
    start = max(i for i, line in enumerate(lines) if '"start' in line)
    end = max(i for i, line in enumerate(lines) if '"end' in line)
    return [line.partition("(")[0] for line in lines[start + 1 : end]]


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize(
    ("zarr_format", "most"),
    # v3: open, fstat, pread, close, and a look for each of v2's two documents. v2: zarr.json is not there,
    # and four for each of .zarray and .zattrs. For writing, a look for the marker of a transaction.
    [(3, 6), (2, 9)],
)
def test_an_open_of_a_local_array_takes_few_system_calls(
    tmp_path: Path, child_environment: dict[str, str], zarr_format: Any, most: int, mode: str
) -> None:
    zarrc.create_array(tmp_path / "a", shape=(4,), zarr_format=zarr_format, attributes={"x": 1})
    calls = [
        call
        for call in system_calls(tmp_path / "a", child_environment, mode)
        if call not in ("brk", "mmap", "munmap")
    ]
    assert len(calls) <= most + (mode == "r+"), calls
