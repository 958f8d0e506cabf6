"""SQLite files as stores: the suite, and what is theirs alone."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.engine.children import environment
from tests.soak import count
from zarrc.errors import (
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreTimeoutError,
    TransactionConflictError,
)
from zarrc.metadata_lock import lock_of_file
from zarrc.storage import LocalStore, MemoryStore, SQLiteStore, make_store
from zarrc.storage.base import Changes
from zarrc.testing import AtomicStoreTests
from zarrc.testing.together import in_child


class TestDeleteJournal(AtomicStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        return SQLiteStore(tmp_path / "x.sqlite")


class TestWal(AtomicStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SQLiteStore:
        return SQLiteStore(tmp_path / "x.sqlite", journal="wal")


def tables_of(path: Path) -> Any:
    """Another program's look into the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA busy_timeout=10000")
    return connection


def filled(path: Path, **options: Any) -> SQLiteStore:
    store = SQLiteStore(path, **options)
    store.set_many((f"a/{i:04d}", b"%04d" % i) for i in range(2500))
    return store


# One file.


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "deep" / "x.sqlite")
    assert store.get("x") is None
    assert store.stat("x") is None
    assert list(store.get_many([("x", None), ("y", (1, 2))])) == [(0, None), (1, None)]
    assert list(store.stat_many(["x", "y"])) == [(0, None), (1, None)]
    assert list(store.list_prefix("")) == []
    assert store.list_dir("") == ([], [])
    store.delete("x")
    store.delete_prefix("")
    store.compact()
    hint = store.missing_hint()
    assert hint is not None
    assert "no SQLite file" in hint
    assert os.listdir(tmp_path) == []
    store.set("x", b"data")
    assert os.listdir(tmp_path / "deep") == ["x.sqlite"]
    assert SQLiteStore(tmp_path / "deep" / "x.sqlite", read_only=True).get("x") is not None


def test_batches_of_many_objects_come_whole_and_in_their_places(tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite")
    requests = [(f"a/{i % 3000:04d}", (1, 2) if i % 7 == 0 else None) for i in range(5000)]
    found = dict(store.get_many(requests))
    assert sorted(found) == list(range(5000))
    for number, (key, part) in enumerate(requests):
        blob = found[number]
        name = key[2:].encode()
        expected = None if int(name) >= 2500 else name[1:3] if part else name
        assert (None if blob is None else bytes(blob)) == expected
    assert sum(stat is not None for _, stat in store.stat_many([key for key, _ in requests])) == 4500
    assert list(store.list_prefix("a")) == [f"a/{i:04d}" for i in range(2500)]
    assert dict(store.list_sizes("a")) == {f"a/{i:04d}": 4 for i in range(2500)}


@pytest.mark.parametrize("nbytes", [65536, 65537, 3_000_000])
def test_ranges_of_large_objects(nbytes: int, tmp_path: Path) -> None:
    store, body = SQLiteStore(tmp_path / "x.sqlite"), os.urandom(nbytes)
    store.set("x", body)
    for start, length in [
        (0, 5),
        (nbytes - 5, 5),
        (-7, None),
        (-7, 3),
        (100, None),
        (nbytes, 0),
        (nbytes // 2, 9),
    ]:
        blob = store.get("x", (start, length))
        assert blob is not None
        first = start if start >= 0 else nbytes + start
        assert bytes(blob) == body[first : None if length is None else first + length]
        assert blob.object_nbytes == nbytes
    for bad in [(nbytes + 1, None), (nbytes - 1, 2), (-nbytes - 1, None), (-3, 4)]:
        with pytest.raises(StoreError, match="range"):
            store.get("x", bad)


def test_a_directory_is_listed_without_reading_what_is_below_it(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    names = [f"{one}/{i}" for one in ("a", "a.b", "b", "z/deep") for i in range(3000)]
    store.set_many(
        (name, b"") for name in [*names, "a", "aa", "zarr.json", "z/zarr.json", ".zc-x", "c/.zc-y"]
    )
    listing = store.list_dir("")
    assert listing.keys == ["a", "aa", "zarr.json"]
    assert listing.prefixes in (["a", "a.b", "b", "z"], ["a", "a.b", "b", "c", "z"])
    assert store.list_dir("z") == (["zarr.json"], ["deep"])
    assert store.list_dir("b").keys == sorted(str(i) for i in range(3000))


def test_an_array_in_a_sqlite_file(tmp_path: Path) -> None:
    data = np.arange(10_000, dtype="i4").reshape(100, 100)
    place = str(tmp_path / "x.sqlite")
    array = zarrc.create_array(
        SQLiteStore(place), name="a", shape=data.shape, chunks=(10, 10), shards=(50, 50), dtype="i4"
    )
    array[...] = data
    array[3:60, 7] = -1
    data[3:60, 7] = -1
    found = zarrc.open_array(SQLiteStore(place, read_only=True), path="a")
    assert (found[...] == data).all()
    assert (found[2:5, 6:9] == data[2:5, 6:9]).all()


# Versions, and several changes at once.


def test_a_version_is_not_used_again_in_another_file_of_that_name(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    version = store.set_if("x", b"first", None)
    os.unlink(tmp_path / "x.sqlite")
    assert store.get("x") is None
    store.set_if("x", b"second", None)
    with pytest.raises(StoreConflictError):
        store.set_if("x", b"third", version)


def test_all_changes_are_made_or_none(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    assert store.is_atomic
    store.set_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
    known = {key: stat.version for key, stat in zip("ab", map(store.stat, "ab"), strict=True) if stat}
    staged = MemoryStore({"s0": b"new a", "s1": b"new d"})
    store.apply(Changes({**known, "d": None}, staged, {"a": "s0", "d": "s1"}, ["c"]))
    assert {key: bytes(store.get(key) or b"") for key in store.list_prefix("")} == {
        "a": b"new a",
        "b": b"2",
        "d": b"new d",
    }
    with pytest.raises(TransactionConflictError, match="'a', 'd'") as caught:
        store.apply(Changes({**known, "d": None}, staged, {"b": "s0"}, ["a"]))
    assert caught.value.key == "a"
    with pytest.raises(StoreError, match="new content is not there"):
        store.apply(Changes({}, staged, {"b": "s0", "x": "nothing"}, ["a"]))
    assert bytes(store.get("b") or b"") == b"2"
    assert store.get("a") is not None


def test_a_copy_is_made_inside(tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite")
    store.copy("a/0007", "b")
    store.copy("b", "b")
    assert bytes(store.get("b") or b"") == b"0007"
    with pytest.raises(StoreError, match="no such object"):
        store.copy("nothing", "b")
    assert bytes(store.get("b") or b"") == b"0007"


def test_room_is_given_back(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    store.set_many((f"a/{i}", bytes(20_000)) for i in range(200))
    before = os.path.getsize(tmp_path / "x.sqlite")
    store.delete_prefix("a")
    store.compact()
    assert os.path.getsize(tmp_path / "x.sqlite") < before / 10


# What it is.


def test_two_paths_of_one_file_are_one_place(tmp_path: Path) -> None:
    os.symlink("x.sqlite", tmp_path / "link")
    one, other = (
        SQLiteStore(tmp_path / "x.sqlite"),
        SQLiteStore(str(tmp_path / "link"), timeout=3, journal="wal"),
    )
    assert one.identity == other.identity
    assert one.lock_path("a") == other.lock_path("a")
    assert str(one) == f"sqlite:///{tmp_path}/x.sqlite"
    other.set("x", b"data")
    assert one.get("x") is not None
    twin = pickle.loads(pickle.dumps(other))
    assert (twin.path, twin._options) == (other.path, other._options)


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a path is"):
        SQLiteStore(b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL"):
        SQLiteStore("a\0b")
    with pytest.raises(ValueError, match="journal"):
        SQLiteStore("x", journal="memory")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout"):
        SQLiteStore("x", timeout=-1)


def test_the_journal_is_the_files_unless_another_one_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    SQLiteStore(path).set("x", b"")
    with tables_of(path) as look:
        assert look.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    SQLiteStore(path, journal="wal").set("x", b"")
    SQLiteStore(path).set("x", b"")
    with tables_of(path) as look:
        assert look.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("journal", "durable", "level"), [("delete", True, 3), ("wal", True, 2), ("delete", False, 1)]
)
def test_a_durable_store_is_flushed(journal: Any, durable: bool, level: int, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite", journal=journal, durable=durable)
    assert store.durable is durable
    store.set("x", b"")
    with store._connections.lend() as lent:
        assert lent is not None
        assert lent[0].execute("PRAGMA synchronous").fetchone() == (level,)


# Files that are not what they should be.


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no database, but rather long. " * 100)
    (tmp_path / "folder").mkdir()
    with tables_of(tmp_path / "foreign") as made:
        made.execute("CREATE TABLE objects (key, data)")
    with tables_of(tmp_path / "trigger") as made:
        SQLiteStore(tmp_path / "trigger").set("x", b"")
        made.execute("CREATE TRIGGER t AFTER INSERT ON objects BEGIN DELETE FROM objects; END")
    for name, message in [
        ("text", "is no SQLite file"),
        ("folder", "is a directory"),
        ("foreign", "was not made by zarrc"),
        ("trigger", "was not made by zarrc"),
    ]:
        before = (tmp_path / name).read_bytes() if name != "folder" else b""
        for read_only in (False, True):
            store = SQLiteStore(tmp_path / name, read_only=read_only)
            for _ in range(2):
                with pytest.raises(StoreError, match=message) as caught:
                    store.get("x")
                assert str(tmp_path / name) in str(caught.value)
        with pytest.raises(StoreError, match=message):
            SQLiteStore(tmp_path / name).set("x", b"")
        assert name == "folder" or (tmp_path / name).read_bytes() == before


def test_rows_that_are_no_bytes_are_an_error(tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite")
    with tables_of(tmp_path / "x.sqlite") as look:
        look.execute("UPDATE objects SET data = 'text' WHERE key = 'a/0001'")
        look.execute("UPDATE objects SET data = 3 WHERE key = 'a/0002'")
        look.execute("INSERT INTO objects (key, data) VALUES (x'00ff', x'')")
        look.execute("INSERT INTO objects (key, data) VALUES ('../x', x'')")
    for key in ("a/0001", "a/0002"):
        with pytest.raises(StoreError, match="no bytes"):
            store.get(key)
        with pytest.raises(StoreError, match="no bytes"):
            store.get(key, (0, 1))
    assert "../x" not in list(store.list_prefix("a"))


def test_a_damaged_file_is_an_error_or_right(tmp_path: Path) -> None:
    filled(tmp_path / "x.sqlite").close()
    body = (tmp_path / "x.sqlite").read_bytes()
    chance = random.Random(7)
    for number in range(count(600)):
        damaged = bytearray(body)
        for _ in range(chance.choice([1, 20, 400])):
            damaged[chance.randrange(len(body) if number % 2 else 16384)] = chance.randrange(256)
        path = tmp_path / f"{number}.sqlite"
        path.write_bytes(damaged[: chance.randrange(1, len(body))] if number % 5 == 0 else damaged)
        store = SQLiteStore(path, timeout=0.2)
        with contextlib.suppress(StoreError):
            for key in list(store.list_prefix(""))[:50]:
                store.get(key)
            store.list_dir("a")
            store.set("a/0001", b"new")
            assert bytes(store.get("a/0001") or b"") == b"new"
        store.close()
        path.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    filled(tmp_path / "d" / "x.sqlite").close()
    (tmp_path / "d").chmod(0o500)
    try:
        assert SQLiteStore(tmp_path / "d" / "x.sqlite", read_only=True).get("a/0001") is not None
        with pytest.raises(StoreDeniedError, match=r"writable|cannot be written"):
            SQLiteStore(tmp_path / "d" / "x.sqlite").set("x", b"")
        with pytest.raises(StoreDeniedError):
            SQLiteStore(tmp_path / "d" / "y.sqlite").set("x", b"")
    finally:
        (tmp_path / "d").chmod(0o700)


FULL = """
import resource, signal, sys
from zarrc.errors import StoreError
from zarrc.storage import SQLiteStore
store = SQLiteStore(sys.argv[1])
store.set("x", b"old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for _ in range(2):
    try:
        store.set("x", bytes(1_000_000))
    except StoreError as error:
        print(error)
    else:
        raise AssertionError("written")
assert bytes(store.get("x")) == b"old"
store.set("x", b"new")
assert bytes(store.get("x")) == b"new"
"""


def test_where_there_is_no_room_the_old_value_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "x.sqlite")],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path / "x.sqlite")) == 2


def test_too_large_an_object_is_an_error(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    store.set("x", b"old")
    with store._connections.lend() as lent:
        assert lent is not None
        lent[0].setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(StoreError, match="too large"):
        store.set("x", bytes(2000))
    assert bytes(SQLiteStore(store.path).get("x") or b"") == b"old"


# Several users.


def test_others_that_keep_the_file_are_waited_for_and_then_an_error(tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite", timeout=0.3)
    with tables_of(tmp_path / "x.sqlite") as other:
        other.execute("BEGIN EXCLUSIVE")
        for action in (
            lambda: store.get("a/0001"),
            lambda: store.set("x", b""),
            lambda: list(store.list_prefix("")),
        ):
            began = time.monotonic()
            with pytest.raises(StoreTimeoutError, match="locked") as caught:
                action()
            assert 0.25 < time.monotonic() - began < 5
            assert str(tmp_path) in str(caught.value)
        other.execute("ROLLBACK")
    store.set("x", b"")


def test_who_waits_can_be_interrupted(tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite")
    with tables_of(tmp_path / "x.sqlite") as other:
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            store.set("x", b"")
        assert time.monotonic() - began < 5
        other.execute("ROLLBACK")
    store.set("x", b"")


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_no_connection_is_carried_over_a_fork(journal: Any, tmp_path: Path) -> None:
    store = filled(tmp_path / "x.sqlite", journal=journal)
    store.get("a/0001")
    stop, failed = threading.Event(), []

    def churn(mine: int) -> None:
        try:
            while not stop.is_set():
                store.set(f"churn/{mine}", bytes(3000))
                store.get("a/0001")
        except BaseException as error:
            failed.append(error)

    def child() -> bytes:
        assert all(one.made is None for one in store._connections._idle)
        store.set_many((f"child/{i}", b"x") for i in range(10))
        return bytes(store.get("a/0001") or b"")

    threads = [threading.Thread(target=churn, args=(mine,)) for mine in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count(100)):
            assert in_child(child) == b"0001"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    with tables_of(tmp_path / "x.sqlite") as look:
        assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


WRITER = """
import sys
from zarrc.storage import SQLiteStore
store = SQLiteStore(sys.argv[1], journal=sys.argv[2])
number = int(sys.argv[3])
while True:
    number += 1
    body = b"%d " % number * 5000
    store.set_many([(f"{i}", body) for i in range(8)])
    store.delete(f"d/{number - 1}")
    store.set(f"d/{number}", body)
    print(number, flush=True)
"""


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_writer_that_is_killed_leaves_what_it_committed(journal: str, tmp_path: Path) -> None:
    path, number, chance = tmp_path / "x.sqlite", 0, random.Random(5)
    for _ in range(count(200)):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), journal, str(number)],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(chance.random() * 0.05)
            process.kill()
            # A last line may be cut.
            told = [
                int(line)
                for line in (first + process.stdout.read()).splitlines(keepends=True)
                if line.endswith("\n")
            ]
            number = told[-1]
        store = SQLiteStore(path)
        found = {bytes(store.get(f"{i}") or b"") for i in range(8)}
        assert len(found) == 1, "a transaction came apart"
        now = int(found.pop().split()[0])
        assert now in (number, number + 1), (number, now)
        number = now
        store.close()
        with tables_of(path) as look:
            assert look.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_path_that_ends_as_sqlite_files_do_is_one(tmp_path: Path) -> None:
    for name in ("x.sqlite", "x.sqlite3"):
        store, path = make_store(tmp_path / name, mode="r")
        assert (type(store), store.read_only, path) == (SQLiteStore, True, "")
    assert isinstance(make_store(str(tmp_path / "x.db"))[0], LocalStore)
    (tmp_path / "folder.sqlite").mkdir()
    assert isinstance(make_store(tmp_path / "folder.sqlite")[0], LocalStore)
    store = zarrc.storage.open_named("sqlite", path=tmp_path / "y", journal="wal", timeout=3)
    assert str(store) == str(make_store(str(store))[0]) == f"sqlite:///{tmp_path}/y"


# Locks of files.


def test_documents_have_locks_of_their_own_and_chunks_share_few(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "x.sqlite")
    chunks = {store.lock_path(f"a/c/{i}") for i in range(2000)}
    documents = {store.lock_path(f"{i}/zarr.json") for i in range(2000)}
    assert (len(chunks), len(documents), chunks & documents) == (64, 2000, set())


MANY = """
import resource, sys
import numpy as np, zarrc
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
path = sys.argv[1]
with zarrc.config.set({"array.locking": "file"}):
    with zarrc.transaction(zarrc.create_group(path)) as group:
        for name in "ab":
            group.create_array(name, shape=(1000,), chunks=(2,), dtype="i4")[...] = np.arange(1000)
    with zarrc.transaction(zarrc.open_group(path, mode="r+")) as group:
        for name in "ab":
            group[name][...] = np.arange(1000)[::-1]
    for name in "ab":
        array = zarrc.open_array(path, path=name, mode="r+")
        assert (array[...] == np.arange(1000)[::-1]).all()
        array.resize((3,))
        assert array[...].tolist() == [999, 998, 997]
"""


def test_a_commit_to_many_chunks_with_file_locks_takes_few_open_files(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", MANY, path], env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".zc-lock")]


def test_a_commit_waits_for_the_lock_of_each_of_its_chunks(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    array = zarrc.create_array(path, shape=(40,), chunks=(2,), dtype="i4", config={"locking": "file"})
    held = array.store.lock_path("c/7")
    assert held is not None
    committed = threading.Event()

    def commit() -> None:
        with zarrc.transaction(array) as changing:
            changing[...] = np.arange(40)
        committed.set()

    thread = threading.Thread(target=commit)
    with lock_of_file(held):
        thread.start()
        assert not committed.wait(0.5)
        assert zarrc.open_array(path)[15] == 0
    thread.join(30)
    assert committed.is_set()
    assert zarrc.open_array(path)[15] == 15


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_a_file_that_may_not_be_read_is_a_denial() -> None:
    # Not in tmp_path, where nobody else gets to.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.sqlite")
        SQLiteStore(path).set("a", b"data")
        os.chmod(path, 0)
        os.chmod(folder, 0o777)

        def look(read_only: bool) -> bytes:
            os.setuid(65534)
            SQLiteStore(path, read_only=read_only).get("a")
            return b"read"

        for read_only in (True, False):
            answer = in_child(lambda read_only=read_only: look(read_only))  # type: ignore[misc]
            assert answer.startswith(b"StoreDeniedError: reading the SQLite file"), answer
