"""Local stores: what only a file system does."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.soak import count
from zarrc.errors import StoreConflictError, StoreDeniedError, StoreError
from zarrc.kernels import local_io
from zarrc.storage import LocalStore
from zarrc.testing.together import at_once, count_together, in_child

NOBODY = 65534


def names(path: Path) -> list[str]:
    """All names in a directory, also hidden ones."""
    return sorted(os.listdir(path))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


# Where it is.


def test_objects_are_files(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/c/0", b"chunk")
    assert (tmp_path / "a" / "c" / "0").read_bytes() == b"chunk"
    (tmp_path / "a" / "other").write_bytes(b"by another program")
    blob = store.get("a/other")
    assert blob is not None
    assert bytes(blob) == b"by another program"


def test_a_relative_root_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("here")
    monkeypatch.chdir("/")
    store.set("x", b"")
    assert store.local_root == str(tmp_path / "here")
    assert names(tmp_path / "here") == ["x"]


def test_a_tilde_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocalStore("~/x").root == str(tmp_path / "~" / "x")


def test_dots_after_a_link_lead_where_the_system_says(tmp_path: Path) -> None:
    (tmp_path / "far" / "inner").mkdir(parents=True)
    os.symlink("far/inner", tmp_path / "link")
    assert LocalStore(tmp_path / "link" / ".." / "x").root == str(tmp_path / "far" / "x")


def test_a_root_must_be_a_text_path() -> None:
    with pytest.raises(TypeError, match="bytes"):
        LocalStore(b"x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NUL"):
        LocalStore("a\0b")


def test_reading_makes_no_directory(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "x")
    assert store.get("k") is None
    assert store.stat("k") is None
    assert list(store.list_prefix("")) == []
    assert store.list_dir("") == ([], [])
    store.delete("k")
    store.delete_prefix("")
    assert names(tmp_path) == []
    assert store.missing_hint() == f"there is no directory '{tmp_path}/x'"


def test_a_root_that_is_a_file_is_empty_and_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"file")
    store = LocalStore(tmp_path / "x")
    assert store.get("k") is None
    assert store.list_dir("") == ([], [])
    assert "is a file" in (store.missing_hint() or "")
    with pytest.raises(StoreError):
        store.set("k", b"")


def test_a_root_made_again_under_an_open_store_is_used(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"old")
    os.rename(tmp_path / "a", tmp_path / "moved")
    assert store.get("a/x") is None
    store.set("a/x", b"new")
    assert (tmp_path / "moved" / "x").read_bytes() == b"old"
    assert (tmp_path / "a" / "x").read_bytes() == b"new"


def test_stores_with_other_roots_agree_on_identity(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    os.symlink("a", tmp_path / "link")
    outer, inner, linked = LocalStore(tmp_path), LocalStore(tmp_path / "a"), LocalStore(tmp_path / "link")
    assert inner.identity == linked.identity == outer.identity_of("a") == outer.identity_of("link/")
    assert outer.identity_of("a/b") == inner.identity_of("b") == linked.identity_of("b/")
    assert outer.identity != inner.identity


# Failures: an error with its key, never "absent", and the old bytes stay.


def in_child_as(setting: object, action: object) -> bytes:
    """`in_child` after some change to the process."""

    def run() -> bytes:
        setting()  # type: ignore[operator]
        return action()  # type: ignore[operator, no-any-return]

    return in_child(run)


def outcome(action: object) -> str:
    """The name of the exception that an action raises, and its key; or what it gave."""
    try:
        return f"gave {action()!r}"  # type: ignore[operator]
    except StoreError as error:
        return f"{type(error).__name__} {error.key}"


def test_denied_access_is_an_error_of_its_own(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"data")
    os.chmod(tmp_path / "a", 0)

    def drop_rights() -> None:
        if os.getuid() == 0:
            os.chmod(tmp_path, 0o755)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    def attempts() -> bytes:
        return "\n".join(
            outcome(action)
            for action in (
                lambda: store.get("a/x"),
                lambda: store.get_into("a/x", bytearray(9)),
                lambda: store.stat("a/x"),
                lambda: store.set("a/x", b"new"),
                lambda: store.set_if("a/y", b"new", None),
                lambda: store.delete("a/x"),
                lambda: list(store.list_prefix("")),
                lambda: store.list_dir("a"),
                lambda: store.delete_prefix("a"),
            )
        ).encode()

    answers = in_child_as(drop_rights, attempts).decode().splitlines()
    os.chmod(tmp_path / "a", 0o755)
    assert [answer.split()[0] for answer in answers] == ["StoreDeniedError"] * 9
    assert [answer.split()[1] for answer in answers[:6]] == ["a/x"] * 4 + ["a/y", "a/x"]
    assert (tmp_path / "a" / "x").read_bytes() == b"data"


def test_a_full_disk_keeps_the_old_object_and_no_temporary_file(store: LocalStore, tmp_path: Path) -> None:
    """A limit on file sizes fails a write half-way, as a full disk does."""
    store.set("a/x", b"old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    def attempt() -> bytes:
        lines = [
            outcome(lambda: store.set("a/x", bytes(1_000_000))),
            outcome(lambda: store.set_if("a/y", bytes(1_000_000), None)),
        ]
        blob = store.get("a/x")
        assert blob is not None
        return "\n".join([*lines, repr(bytes(blob))]).encode()

    assert in_child_as(limit, attempt).decode().splitlines() == ["StoreError a/x", "StoreError a/y", "b'old'"]
    assert names(tmp_path / "a") == ["x"]


def test_running_out_of_descriptors_is_not_absence(store: LocalStore) -> None:
    store.set("x", b"data")

    def limit() -> None:
        # What the session of the tests has open counts too.
        most = max(map(int, os.listdir("/proc/self/fd"))) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def attempt() -> bytes:
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        lines = [
            outcome(lambda: store.get("x")),
            outcome(lambda: store.set("x", b"new")),
            outcome(lambda: list(store.list_prefix(""))),
        ]
        for fd in held:
            os.close(fd)
        blob = store.get("x")
        assert blob is not None
        return "\n".join([*lines, repr(bytes(blob))]).encode()

    answers = in_child_as(limit, attempt).decode().splitlines()
    assert answers == ["StoreError x", "StoreError x", "StoreError ", "b'data'"]


def test_a_link_in_a_circle_is_an_error(store: LocalStore, tmp_path: Path) -> None:
    os.symlink("circle", tmp_path / "circle")
    for action in (
        lambda: store.get("circle/x"),
        lambda: store.get("circle"),
        lambda: store.stat("circle/x"),
        lambda: store.set("circle/x", b""),
        lambda: store.delete("circle/x"),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert caught.value.errno == errno.ELOOP
        assert caught.value.key in ("circle/x", "circle")


def test_a_name_that_is_too_long_is_an_error(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"")
    for key in ("n" * 300, "a/" + "n" * 300 + "/b", "/".join(["d" * 200] * 30)):
        for action in (lambda key=key: store.get(key), lambda key=key: store.set(key, b"")):
            with pytest.raises(StoreError) as caught:
                action()
            assert caught.value.errno == errno.ENAMETOOLONG
            assert caught.value.key == key
    assert not [name for name in names(tmp_path) if name.startswith(".zc")]


def test_a_key_of_a_directory_is_absent_and_cannot_be_written(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"data")
    assert store.get("a") is None
    with pytest.raises(StoreError) as caught:
        store.set("a", b"new")
    assert caught.value.errno == errno.EISDIR
    assert names(tmp_path) == ["a"]


def test_a_pipe_without_a_writer_does_not_block(store: LocalStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError) as caught:
        store.get("pipe")
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(StoreError):
        store.stat("pipe")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_the_error_for_what_is_no_regular_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    if kind == "pipe":
        os.mkfifo("zarr.json")
    else:
        with socket.socket(socket.AF_UNIX) as endpoint:
            endpoint.bind("zarr.json")
    store = LocalStore(tmp_path)
    attempts = (store.get, store.stat, lambda key: store.get_into(key, bytearray(9)))
    for attempt in attempts:
        with pytest.raises(StoreError, match=r"not a regular file \(key 'zarr.json'\)") as caught:
            attempt("zarr.json")
        assert caught.value.errno == errno.EINVAL


def test_a_file_that_shrinks_while_it_is_read_is_an_error_or_of_the_right_size(
    store: LocalStore, tmp_path: Path
) -> None:
    """Another program may cut a file in place; what is read then is refused where it is short."""
    big = os.urandom(1 << 20)
    messages = set()
    stop = threading.Event()

    def cut() -> None:
        while not stop.is_set():
            with open(tmp_path / "x", "wb") as file:
                file.write(big)
            os.truncate(tmp_path / "x", 1000)

    store.set("x", big)
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for _ in range(count(2000)):
            try:
                blob = store.get("x")
            except StoreError as error:
                messages.add(error.message)
            else:
                # Of the right size: where the system had cut the last page already, it gives zeros.
                assert blob is not None
                assert len(bytes(blob)) == blob.object_nbytes
    finally:
        stop.set()
        thread.join()
    assert all("was cut" in message for message in messages)


# Writing.


def test_new_files_and_directories_follow_the_umask(tmp_path: Path) -> None:
    def attempt() -> bytes:
        LocalStore(tmp_path / "s").set("a/x", b"")
        modes = [os.stat(tmp_path / name).st_mode & 0o777 for name in ("s", "s/a", "s/a/x")]
        return repr([oct(mode) for mode in modes]).encode()

    assert in_child_as(lambda: os.umask(0o027), attempt) == b"['0o750', '0o750', '0o640']"


def test_a_write_replaces_a_link_and_not_what_it_leads_to(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"real")
    os.symlink("real", tmp_path / "x")
    store.set("x", b"new")
    assert (tmp_path / "real").read_bytes() == b"real"
    assert not (tmp_path / "x").is_symlink()


def test_directories_removed_by_others_are_made_again(store: LocalStore, tmp_path: Path) -> None:
    """Between making a directory and using it somebody may remove it, as git and rsync do with empty ones."""
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            for name in ("a/b", "a"):
                with contextlib.suppress(OSError):
                    os.rmdir(tmp_path / name)

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(count(3000)):
            store.set("a/b/x", b"x")
            store.delete("a/b/x")
    finally:
        stop.set()
        thread.join()


def test_a_killed_writer_leaves_the_old_object_or_the_new_one(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"\0" * 100_000)
    chance = random.Random(5)
    for _ in range(count(1000)):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(1, 100_000):
                    store.set("a/x", bytes([number % 256]) * (100_000 + number % 256))
            finally:
                os._exit(1)
        time.sleep(chance.random() * 0.01)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        blob = store.get("a/x")
        assert blob is not None
        body = bytes(blob)
        assert len(body) == 100_000 + body[0]
        assert body.count(body[0]) == len(body)
    assert list(store.list_prefix("")) == ["a/x"]
    store.delete_prefix("a")
    assert names(tmp_path) == []


def test_one_of_many_processes_creates(store: LocalStore) -> None:
    for number in range(count(100)):
        reading, writing = os.pipe()
        pids = []
        for mine in range(4):
            pid = os.fork()
            if pid == 0:
                try:
                    store.set_if(f"k{number}", bytes([mine]), None)
                    os.write(writing, bytes([mine]))
                except StoreConflictError:
                    pass
                finally:
                    os._exit(0)
            pids.append(pid)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            winners = pipe.read()
        for pid in pids:
            os.waitpid(pid, 0)
        blob = store.get(f"k{number}")
        assert blob is not None
        assert winners == bytes(blob)


def test_conditional_writes_work_without_hard_links(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file system here lacks them, so the refusal is made up."""

    def refuse(*_: object) -> str:
        error = StoreError("Operation not permitted")
        error.errno = errno.EPERM
        raise error

    monkeypatch.setattr(local_io, "create", refuse)

    def create(mine: int) -> bool:
        try:
            store.set_if("x", bytes([mine]), None)
        except StoreConflictError:
            return False
        return True

    assert sum(map(bool, at_once(*(lambda mine=mine: create(mine) for mine in range(8))))) == 1


def test_versions_of_quick_conditional_writes_differ(store: LocalStore) -> None:
    """They are of one size, within one tick of the kernel's clock, and on inodes that are used again."""
    version = store.set_if("x", b"0000", None)
    seen = {version}
    for number in range(1, 300):
        version = store.set_if("x", b"%04d" % number, version)
        assert version not in seen
        seen.add(version)


# Listing and removing.


def test_listings_follow_links_but_not_in_circles(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/x", b"")
    store.set("far/y", b"")
    os.symlink("../far", tmp_path / "a" / "link")
    os.symlink("..", tmp_path / "far" / "up")
    keys = list(store.list_prefix("a"))
    assert sorted(key for key in keys if "/up/" not in key) == ["a/link/y", "a/x"]
    assert len(keys) < 10
    assert store.list_dir("a") == (["x"], ["link"])


def test_names_that_are_no_keys_are_not_listed(store: LocalStore, tmp_path: Path) -> None:
    store.set("x", b"")
    (tmp_path / "back\\slash").write_bytes(b"")
    with open(os.fsencode(tmp_path) + b"/not-utf8-\xff", "wb"):
        pass
    assert list(store.list_prefix("")) == ["x"]
    assert store.list_dir("") == (["x"], [])


def test_delete_prefix_removes_links_and_not_what_they_lead_to(store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"data")
    inner = LocalStore(tmp_path / "root")
    inner.set("a/x", b"")
    os.symlink(outside, tmp_path / "root" / "a" / "link")
    os.symlink(outside / "precious", tmp_path / "root" / "a" / "file")
    inner.delete_prefix("a")
    assert names(tmp_path / "root") == []
    assert names(outside) == ["precious"]


def test_delete_prefix_of_all_keeps_the_root(store: LocalStore, tmp_path: Path) -> None:
    store.set("a/b/x", b"")
    (tmp_path / "a" / ".zc-1-2-3").write_bytes(b"left by a killed writer")
    (tmp_path / "empty" / "dirs").mkdir(parents=True)
    store.delete_prefix("")
    assert tmp_path.is_dir()
    assert names(tmp_path) == []


def test_delete_prefix_wins_against_writers(store: LocalStore) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.set("a/b/x", b"x")

    def remove() -> None:
        try:
            for _ in range(count(500)):
                store.delete_prefix("a")
        finally:
            stop.set()

    at_once(write, remove)
    store.delete_prefix("a")
    assert list(store.list_prefix("")) == []


def test_errors_of_the_system_keep_their_number(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"Not a directory \[errno 20\] \(key 'file/x'\)") as caught:
        store.set("file/x", b"")
    assert caught.value.errno == errno.ENOTDIR
    assert not isinstance(caught.value, StoreDeniedError)


def test_conditional_counting_through_stores_with_other_roots_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    places = [
        (LocalStore(tmp_path), "a/n"),
        (LocalStore(tmp_path / "a"), "n"),
        (LocalStore(tmp_path), "link/n"),
    ]
    assert count_together(*places, rounds=count(200)) == 3 * count(200)


def test_a_copy_is_made_by_the_system(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    body = os.urandom(3_000_000)
    store.set("x", body)
    store.copy("x", "deep/y")
    assert bytes(store.get("deep/y") or b"") == body
    store.copy("deep/y", "deep/y")
    assert bytes(store.get("deep/y") or b"") == body
    with pytest.raises(StoreError, match="no such object"):
        store.copy("nothing", "x")
    assert bytes(store.get("x") or b"") == body
    assert sorted(os.listdir(tmp_path)) == ["deep", "x"]


COUNTS = """
import sys
from zarrc.errors import StoreConflictError
from zarrc.storage import LocalStore
store, left = LocalStore(sys.argv[1]), int(sys.argv[2])
while left:
    blob = store.get("counter")
    try:
        store.set_if("counter", b"%d" % (int(bytes(blob)) + 1), blob.version)
        left -= 1
    except StoreConflictError:
        pass
"""


def test_processes_that_count_by_versions_lose_nothing(
    tmp_path: Path, child_environment: dict[str, str]
) -> None:
    store = LocalStore(tmp_path)
    assert store.is_conditional
    store.set_if("counter", b"0", None)
    n = count(1000)
    children = [
        subprocess.Popen([sys.executable, "-c", COUNTS, str(tmp_path), str(n)], env=child_environment)
        for _ in range(4)
    ]
    assert [child.wait(120) for child in children] == [0] * 4
    assert bytes(store.get("counter") or b"") == b"%d" % (4 * n)
    assert os.listdir(tmp_path) == ["counter"]
