"""Processes that are killed while they write to a zip archive: it is as before or as after, always."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.soak import count
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage import Blob, ZipStore, zip_archive, zip_commit, zip_home
from zarrc.storage.base import Changes
from zarrc.storage.zip_undo import beside

POINTS = ("recorded", "member", "directory", "appended", "committed", "members", "completed", "renamed")


def contents(store: ZipStore) -> dict[str, bytes]:
    return {key: body(store.get(key)) for key in store.list_prefix("")}


def body(blob: Blob | None) -> bytes:
    return b"gone" if blob is None else bytes(blob)


def plain_contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names}


def steps(seed: int) -> Iterator[dict[str, bytes | None]]:
    """What is changed between two flushes, again and again: the same for one seed."""
    chance = random.Random(seed)
    yield {f"fixed/{number}": bytes([number]) * 40_000 for number in range(10)}
    while True:
        changes: dict[str, bytes | None] = {}
        for _ in range(chance.randrange(1, 12)):
            key = f"k/{chance.randrange(8)}"
            data = bytes([chance.randrange(256)]) * chance.choice([0, 10, 3000, 30_000])
            changes[key] = None if chance.random() < 0.2 else data
        yield changes


def state_after(seed: int, n: int) -> dict[str, bytes]:
    state: dict[str, bytes] = {}
    for _, changes in zip(range(n), steps(seed), strict=False):
        for key, data in changes.items():
            state[key] = data if data is not None else b""
            if data is None:
                del state[key]
    return state


def change(store: ZipStore, changes: dict[str, bytes | None]) -> None:
    for key, data in changes.items():
        if data is None:
            store.delete(key)
        else:
            store.set(key, data)


def killed_after(path: Path, seed: int, until: Callable[[int], None], prepare: Callable[[], None]) -> int:
    """The number of flushes that a child has told of when it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            prepare()
            store = ZipStore(path)
            for number, changes in enumerate(steps(seed)):
                change(store, changes)
                if number == 3:
                    store.compact()
                else:
                    store.flush()
                os.write(writing, b".")
        finally:
            os._exit(1)
    os.close(writing)
    until(pid)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the child ended with {status}"
    with os.fdopen(reading, "rb") as pipe:
        return len(pipe.read())


def check_after_kill(path: Path, seed: int, n_flushed: int) -> None:
    allowed = [state_after(seed, n_flushed), state_after(seed, n_flushed + 1)]
    if not path.exists():
        assert n_flushed == 0
        return
    # A store of zarrc reads it, whatever there is behind.
    found = contents(ZipStore(path, read_only=True))
    assert found in allowed
    # Any other program does, unless an append was under way.
    if not os.path.exists(beside(str(path), "undo")):
        assert plain_contents(path) == found
    # The next writer leaves nothing of the killed one.
    with ZipStore(path) as store:
        store.set("after", b"the next writer")
    assert plain_contents(path) == {**found, "after": b"the next writer"}
    assert subprocess.run(["unzip", "-tqq", path], capture_output=True).returncode == 0 or not shutil.which(
        "unzip"
    )
    assert [name for name in os.listdir(path.parent) if name.startswith(".zc")] == []


def appending(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(zip_home, "_SMALL", small)


@pytest.mark.parametrize("small", [0, 2**30], ids=["appended", "anew"])
def test_kills_at_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    appending(monkeypatch, small)
    n_flushed = []
    for seed in range(count(50)):
        folder = tmp_path / str(seed)
        folder.mkdir()

        def wait(pid: int, seed: int = seed) -> None:
            time.sleep(random.Random(seed).random() * 0.12)
            os.kill(pid, signal.SIGKILL)

        n_flushed.append(killed_after(folder / "x.zip", seed, wait, lambda: None))
        check_after_kill(folder / "x.zip", seed, n_flushed[-1])
    assert len(n_flushed) == count(50)


@pytest.mark.parametrize("small", [0, 2**30], ids=["appended", "anew"])
@pytest.mark.parametrize("point", POINTS)
def test_kills_at_placed_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, small: int
) -> None:
    appending(monkeypatch, small)
    for seed in range(count(20)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        left = random.Random(seed).randrange(1, 6)

        def reached(here: str) -> None:
            nonlocal left
            left -= here == point
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def prepare(reached: Callable[[str], None] = reached) -> None:
            monkeypatch.setattr(zip_commit, "reached", reached)
            monkeypatch.setattr(zip_home, "reached", reached)
            # Points that this way of writing does not come to.
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))

        n_flushed = killed_after(folder / "x.zip", seed, lambda pid: None, prepare)
        check_after_kill(folder / "x.zip", seed, n_flushed)


def test_readers_see_one_state_while_a_child_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appending(monkeypatch, 0)
    path = tmp_path / "x.zip"
    seed = 5
    states = [state_after(seed, n) for n in range(60)]
    seen: set[int] = set()

    def watch(pid: int) -> None:
        end = time.monotonic() + (20 if count(10) == 10 else 1.5)
        last = 0
        store = ZipStore(path, read_only=True)
        while time.monotonic() < end and last < 50:
            found = dict(zip(keys := sorted(store.list_prefix("")), _values(store, keys), strict=True))
            # It may change between the listing and the reading, and between two members.
            if found in states[last:]:
                last = states.index(found, last)
                seen.add(last)
        os.kill(pid, signal.SIGKILL)

    def slow() -> None:
        monkeypatch.setattr(zip_commit, "reached", lambda _: time.sleep(0.002))

    killed_after(path, seed, watch, slow)
    assert len(seen) > 2


def _values(store: ZipStore, keys: list[str]) -> list[bytes]:
    found = dict(store.get_many([(key, None) for key in keys]))
    return [body(found[number]) for number in range(len(keys))]


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set("a", b"1")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                other = ZipStore(path)
                assert body(other.get("a")) == b"1"  # what the parent wrote so far
                with pytest.raises(StoreError, match=f"is being written by process {os.getppid()}"):
                    other.set("b", b"2")
                other.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert contents(store) == {"a": b"1"}
    assert plain_contents(path) == {"a": b"1"}


def test_processes_that_change_in_one_step_wait_for_each_other(tmp_path: Path) -> None:
    path, rounds = tmp_path / "x.zip", count(200)
    with ZipStore(path) as store:
        store.set("n", b"0")

    def add() -> None:
        done = 0
        store = ZipStore(path)
        while done < rounds:
            blob = store.get("n")
            assert blob is not None
            with store.staging() as staged:
                staged.set("0", b"%d" % (int(bytes(blob)) + 1))
                try:
                    store.apply(Changes({"n": blob.version}, staged, {"n": "0"}, ()))
                except StoreConflictError:
                    continue
            done += 1

    children = []
    for _ in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            try:
                add()
                os._exit(0)
            finally:
                os._exit(1)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert plain_contents(path) == {"n": b"%d" % (4 * rounds)}
    assert os.listdir(tmp_path) == ["x.zip"]


def test_a_forked_child_reads_what_its_parent_wrote_and_leaves_it_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    appending(monkeypatch, 0)
    path = tmp_path / "x.zip"
    store = ZipStore(path)
    store.set("old", b"old" * 100)
    store.flush()
    store.set("a", b"1" * 3000)
    to_child, to_parent = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert (body(store.get("a")), body(store.get("old"))) == (b"1" * 3000, b"old" * 100)
            view = store._archive.view()
            os.write(to_parent[1], b".")
            os.read(to_child[0], 1)
            # The parent has appended, and begun anew: what was seen before is where it was.
            entry = view.changes["a"]
            assert entry is not None
            assert entry.file.read(entry.data_start, 3000) == b"1" * 3000
            assert contents(store) == {"old": b"old" * 100, "a": b"1" * 3000}
            with pytest.raises(StoreError, match="is being written"):
                store.set("c", b"")
            os.write(to_parent[1], b".")
            os.read(to_child[0], 1)
            assert body(store.get("b")) == b"2" * 5000
            store.set("c", b"3")
            store.close()
            code = 0
        finally:
            os._exit(code)
    os.read(to_parent[0], 1)
    store.flush()
    store.set("b", b"2" * 5000)
    os.write(to_child[1], b".")
    os.read(to_parent[0], 1)
    store.flush()
    os.write(to_child[1], b".")
    assert os.waitpid(pid, 0)[1] == 0
    assert contents(store) == {"old": b"old" * 100, "a": b"1" * 3000, "b": b"2" * 5000, "c": b"3"}
    assert plain_contents(path) == contents(store)
    assert os.listdir(tmp_path) == ["x.zip"]


def test_a_child_that_ends_writes_nothing_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    store = ZipStore(path)
    store.set("a", b"1")
    pid = os.fork()
    if pid == 0:
        try:
            store.close()
            del store
            zip_archive._process_ends()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert not path.exists()
    store.close()
    assert plain_contents(path) == {"a": b"1"}
