"""Locks of files, between processes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak import count
from zarrc.errors import StoreError, StoreTimeoutError
from zarrc.kernels import locks
from zarrc.kernels.locks import FileLock


@pytest.fixture(params=["flock", "exclusive"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """With flock, and as where the system refuses it."""
    way = str(request.param)
    locks._refuse_flock(way == "exclusive")
    yield way
    locks._refuse_flock(False)


def lock_file(way: str) -> str:
    return ".zc-lock-x" if way == "flock" else ".zc-lock-x.x"


START = """
import os, sys, time
from zarrc.kernels import locks
from zarrc.kernels.locks import FileLock
locks._refuse_flock(sys.argv[1] == "exclusive")
path = sys.argv[2].encode()
"""
INCREMENTS = """
for _ in range(int(sys.argv[3])):
    with FileLock(path):
        with open(path, "r+b") as file:
            number = int(file.read())
            file.seek(0)
            file.write(b"%d" % (number + 1))
"""
HOLDS = """
with FileLock(path):
    print("held", flush=True)
    time.sleep(100)
"""


def start(code: str, way: str, path: Path, *arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", START + code, way, str(path), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def hold(way: str, path: Path) -> subprocess.Popen[str]:
    """A process that has the lock."""
    process = start(HOLDS, way, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_processes_lose_no_increment(tmp_path: Path, way: str) -> None:
    (tmp_path / "x").write_bytes(b"0")
    n = count(3000)
    processes = [start(INCREMENTS, way, tmp_path / "x", n) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert int((tmp_path / "x").read_bytes()) == 4 * n
    assert os.listdir(tmp_path) == ["x"]


def test_threads_lose_no_increment(tmp_path: Path, way: str) -> None:
    numbers, before = [0], len(os.listdir("/dev/fd"))

    def work() -> None:
        for _ in range(count(2000)):
            with FileLock(os.fsencode(tmp_path / "x")):
                number = numbers[0]
                time.sleep(0)
                numbers[0] = number + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [4 * count(2000)]
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/dev/fd")) == before


def test_the_lock_is_a_file_beside_the_object_while_it_is_held(tmp_path: Path, way: str) -> None:
    with FileLock(os.fsencode(tmp_path / "x")):
        assert os.listdir(tmp_path) == [lock_file(way)]
    assert os.listdir(tmp_path) == []


def test_locks_of_two_files_do_not_meet(tmp_path: Path, way: str) -> None:
    with FileLock(os.fsencode(tmp_path / "x")), FileLock(os.fsencode(tmp_path / "y")):
        assert len(os.listdir(tmp_path)) == 2
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_releases(tmp_path: Path, way: str) -> None:
    for _ in range(3):
        process = hold(way, tmp_path / "x")
        assert os.listdir(tmp_path) == [lock_file(way)]
        end(process)
        with FileLock(os.fsencode(tmp_path / "x"), timeout=10):
            pass
        assert os.listdir(tmp_path) == []


def test_a_holder_is_waited_for(tmp_path: Path, way: str) -> None:
    process = hold(way, tmp_path / "x")
    done: list[float] = []

    def wait() -> None:
        with FileLock(os.fsencode(tmp_path / "x")):
            done.append(time.monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert done == []
    end(process)
    thread.join(10)
    assert len(done) == 1
    assert os.listdir(tmp_path) == []


def test_many_wait_for_a_holder_that_is_killed(tmp_path: Path, way: str) -> None:
    (tmp_path / "x").write_bytes(b"0")
    for _ in range(count(30)):
        holder = hold(way, tmp_path / "x")
        processes = [start(INCREMENTS, way, tmp_path / "x", 20) for _ in range(3)]
        time.sleep(0.2)
        end(holder)
        for process in processes:
            process.communicate(timeout=60)
            assert process.returncode == 0
    assert int((tmp_path / "x").read_bytes()) == count(30) * 60
    assert os.listdir(tmp_path) == ["x"]


def test_processes_that_are_killed_at_random_leave_a_lock_that_works(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0")
    for number in range(count(60)):
        processes = [start(INCREMENTS, "flock", tmp_path / "x", 1_000_000) for _ in range(2)]
        time.sleep(0.3 + number % 10 / 100)
        for process in processes:
            end(process)
        with FileLock(os.fsencode(tmp_path / "x")):
            pass
        # A kill between truncating writes cannot happen: the file is written in place by one call.
        assert int((tmp_path / "x").read_bytes()) >= 0
        assert os.listdir(tmp_path) == ["x"]


def test_the_lock_of_another_machine_is_waited_for_in_vain(tmp_path: Path) -> None:
    locks._refuse_flock(True)
    try:
        name = tmp_path / ".zc-lock-x.x"
        own = FileLock(os.fsencode(tmp_path / "x"))
        with own:
            text = name.read_text()
        assert text.startswith(f"{os.getpid()} ")
        dead = subprocess.Popen(["true"])
        dead.wait()
        _, _, machine = text.partition(" ")
        for made in (f"{dead.pid} elsewhere{machine}", "", "anything", f"-1 {machine}", f"0 {machine}", text):
            name.write_text(made)
            with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / "x"), timeout=0.05):
                pass
            assert caught.value.errno == errno.ETIMEDOUT
            assert name.read_text() == made
        name.write_text(f"{dead.pid} {machine}")
        with FileLock(os.fsencode(tmp_path / "x"), timeout=0.05):
            pass
        assert os.listdir(tmp_path) == []
    finally:
        locks._refuse_flock(False)


def test_directories_below_the_root_are_made_and_never_the_root(tmp_path: Path, way: str) -> None:
    root = os.fsencode(tmp_path / "root")
    with pytest.raises(StoreError, match="no such object"), FileLock(root + b"/a/x", len(root)):
        pass
    assert os.listdir(tmp_path) == []
    os.mkdir(root)
    with FileLock(root + b"/a/b/x", len(root)):
        assert os.listdir(tmp_path / "root/a/b") == [lock_file(way)]
    assert os.listdir(tmp_path / "root/a/b") == []


def test_a_holder_whose_directory_is_removed_releases_in_peace(tmp_path: Path, way: str) -> None:
    path = os.fsencode(tmp_path / "a/x")
    before = len(os.listdir("/dev/fd"))
    with FileLock(path, len(os.fsencode(tmp_path))):
        shutil.rmtree(tmp_path / "a")
    assert os.listdir(tmp_path) == []
    with FileLock(path, len(os.fsencode(tmp_path))):
        assert os.listdir(tmp_path / "a") == [lock_file(way)]
    assert len(os.listdir("/dev/fd")) == before


def test_a_holder_does_not_remove_the_lock_of_the_next(tmp_path: Path) -> None:
    one, other = (FileLock(os.fsencode(tmp_path / "x")) for _ in range(2))
    with one:
        os.unlink(tmp_path / ".zc-lock-x")
        with other:
            one.__exit__(None, None, None)
            assert os.listdir(tmp_path) == [".zc-lock-x"]


def test_what_cannot_be_made_is_an_error(tmp_path: Path, way: str) -> None:
    (tmp_path / ".zc-lock-x").mkdir()
    before = len(os.listdir("/dev/fd"))
    for name, expected in (("x", {errno.EISDIR}), ("y" * 300, {errno.ENAMETOOLONG})):
        with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / name), timeout=0):
            pass
        assert caught.value.errno in expected
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / "file/x"), timeout=0):
        pass
    assert caught.value.errno == errno.ENOTDIR
    assert len(os.listdir("/dev/fd")) == before


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".zc-lock-x").symlink_to("victim")
    with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / "x")):
        pass
    assert caught.value.errno == errno.ELOOP
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path, way: str) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / "x"), timeout=0):
            pass
        assert caught.value.errno == errno.EACCES
    finally:
        tmp_path.chmod(0o700)


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = FileLock(os.fsencode(tmp_path / "x"))
    with lock, pytest.raises(ValueError, match="already"):
        lock.__enter__()
    assert os.listdir(tmp_path) == []
    lock.__exit__(None, None, None)


FORKS = """
lock = FileLock(path)
with lock:
    pid = os.fork()
    if pid == 0:
        before = len(os.listdir("/dev/fd"))
        lock.__exit__(None, None, None)
        del lock
        assert len(os.listdir("/dev/fd")) == before
        print("child", flush=True)
        time.sleep(100)
        os._exit(0)
    time.sleep(0.2)
    # The child has let go, and the lock is still ours.
    assert len(os.listdir(os.path.dirname(path))) == 1
    print(pid, flush=True)
    time.sleep(100)
"""


def test_a_forked_child_neither_has_the_lock_nor_releases_it(tmp_path: Path, way: str) -> None:
    process = start(FORKS, way, tmp_path / "x")
    assert process.stdout is not None
    assert process.stdout.readline() == "child\n"
    child = int(process.stdout.readline())
    try:
        process.kill()
        process.wait()
        # The child lives, but is not in the way.
        os.kill(child, 0)
        began = time.monotonic()
        with FileLock(os.fsencode(tmp_path / "x"), timeout=20):
            assert time.monotonic() - began < 10
        assert os.listdir(tmp_path) == []
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there the system tells when a process began")
def test_a_number_that_was_given_out_anew_is_not_its_old_holder(tmp_path: Path) -> None:
    path = tmp_path / ".zc-lock-x.x"
    with FileLock(os.fsencode(tmp_path / "x"), way="lockfile"):
        mine = path.read_text()
    number, began, machine = mine.split(" ", 2)
    assert int(number) == os.getpid()
    path.write_text(f"{number} {int(began) - 1} {machine}")
    with FileLock(os.fsencode(tmp_path / "x"), timeout=5, way="lockfile"):
        assert path.read_text() == mine
    path.write_text(mine)  # of this process, which is there
    with (
        pytest.raises(StoreTimeoutError) as caught,
        FileLock(os.fsencode(tmp_path / "x"), timeout=0.1, way="lockfile"),
    ):
        pass
    assert f"remove {path}" in str(caught.value)
    assert number in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "x", "-5 3 y", f"{10**30} 3 y", "4", "4 ", "4 5", "4 99999999999999999999999 z", "\0" * 900]
)
def test_a_lock_file_that_says_nothing_is_waited_for(text: str, tmp_path: Path) -> None:
    (tmp_path / ".zc-lock-x.x").write_text(text)
    with (
        pytest.raises(StoreTimeoutError, match="zc-lock-x"),
        FileLock(os.fsencode(tmp_path / "x"), timeout=0.1, way="lockfile"),
    ):
        pass
    assert (tmp_path / ".zc-lock-x.x").read_text() == text


def test_the_way_can_be_chosen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the way of a lock is one of"):
        FileLock(b"x", way="other")
    locks._refuse_flock(True)
    try:
        with pytest.raises(StoreError) as caught, FileLock(os.fsencode(tmp_path / "x"), way="flock"):
            pass
        assert caught.value.errno == errno.ENOLCK
        with FileLock(os.fsencode(tmp_path / "x")):
            assert os.listdir(tmp_path) == [".zc-lock-x.x"]
    finally:
        locks._refuse_flock(False)
    assert os.listdir(tmp_path) == []
