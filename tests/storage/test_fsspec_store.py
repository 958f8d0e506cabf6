"""fsspec file systems as stores: faults, forks, identities. (What every store does is in test_suite.)"""

from __future__ import annotations

import errno
import functools
import http.server
import itertools
import pickle
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem

import zarrc
from tests.soak import count
from zarrc.config import config
from zarrc.errors import (
    MissingExtraError,
    StoreConflictError,
    StoreDeniedError,
    StoreError,
    StoreThrottledError,
    StoreTimeoutError,
)
from zarrc.storage import FsspecStore, LocalStore
from zarrc.testing.samples import UNUSUAL_KEYS
from zarrc.testing.together import count_together, in_child

numbers = itertools.count()


@pytest.fixture(autouse=True)
def short_pauses() -> Iterator[None]:
    """Between one try and the next."""
    with config.set({"storage.retry_delay": 0.001}):
        yield


class Faulty(MemoryFileSystem):
    """A memory file system that answers as broken servers do."""

    protocol = "faulty"
    cachable = False

    def __init__(self, fault: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.fault = fault

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        if isinstance(self.fault, Exception):
            raise self.fault
        body = bytes(super().cat_file(path, start, end, **options))
        if self.fault == "short":
            return body[:-1]
        if self.fault == "ignores ranges":
            return bytes(super().cat_file(path, **options))
        return body

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        if isinstance(self.fault, Exception):
            raise self.fault
        super().pipe_file(path, value, mode=mode, **options)


class StatusError(Exception):
    """As the errors of http clients."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def faulty(fault: Any, *, wrapped: bool) -> FsspecStore:
    path = f"/faulty-{next(numbers)}"
    FsspecStore(MemoryFileSystem(), path).set("x", bytes(range(100)))
    fs = Faulty(fault)
    return FsspecStore(AsyncFileSystemWrapper(fs) if wrapped else fs, path)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("range", [(10, 20), (-20, None), (-20, 10)])
@pytest.mark.parametrize("fault", ["short", "ignores ranges"])
def test_a_body_of_another_length_is_an_error(
    wrapped: bool, range: tuple[int, int | None], fault: str
) -> None:
    store = faulty(fault, wrapped=wrapped)
    with pytest.raises(StoreError, match=r"\d+ bytes came for a range of 20") as caught:
        store.get("x", range)
    assert caught.value.key == "x"
    with pytest.raises(StoreError, match="bytes came"):
        list(store.get_many([("x", None), ("x", range)]))


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (PermissionError("no"), StoreDeniedError),
        (StatusError(403), StoreDeniedError),
        (StatusError(401), StoreDeniedError),
        (StatusError(503), StoreThrottledError),
        (StatusError(429), StoreThrottledError),
        (StatusError(500), StoreError),
        (ConnectionResetError("reset"), StoreError),
        (TimeoutError("late"), StoreTimeoutError),
        (KeyError("odd"), StoreError),
    ],
)
def test_only_not_found_means_absent(wrapped: bool, fault: Exception, kind: type[StoreError]) -> None:
    store = faulty(fault, wrapped=wrapped)
    for action in (
        lambda: store.get("x"),
        lambda: store.get("x", (5, 3)),
        lambda: store.get("x", (5, None)),
        lambda: list(store.get_many([("x", None)])),
        lambda: store.set("x", b""),
        lambda: store.set_many([("x", b"")]),
    ):
        with pytest.raises(StoreError) as caught:
            action()
        assert type(caught.value) is kind
        assert caught.value.key == "x"
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("fault", [FileNotFoundError("x"), IsADirectoryError("x"), NotADirectoryError("x")])
def test_not_found_means_absent(wrapped: bool, fault: Exception) -> None:
    store = faulty(fault, wrapped=wrapped)
    assert store.get("x") is None
    assert store.get("x", (1, 2)) is None
    assert list(store.get_many([("x", None), ("x", (1, 2))])) == [(0, None), (1, None)]


def test_a_missing_bucket_is_not_made_by_writing() -> None:
    store = faulty(FileNotFoundError("no bucket"), wrapped=True)
    with pytest.raises(StoreError, match="no bucket"):
        store.set("y", b"")


def test_somebody_else_can_win_the_race_to_create() -> None:
    store = faulty(FileExistsError("taken"), wrapped=False)
    with pytest.raises(StoreConflictError, match="there already"):
        store.set_if("y", b"", None)


def test_an_asynchronous_file_system_is_made_synchronous() -> None:
    fs = AsyncFileSystemWrapper(MemoryFileSystem(), asynchronous=True)
    assert fs.asynchronous
    store = FsspecStore(fs, f"/s-{next(numbers)}")
    store.set("x", b"data")
    assert bytes(store.get("x") or b"") == b"data"


def test_a_forked_child_makes_the_file_system_anew() -> None:
    store = FsspecStore(AsyncFileSystemWrapper(MemoryFileSystem()), f"/s-{next(numbers)}")
    store.set("x", b"data")
    parents = store.fs

    def child() -> bytes:
        assert store.fs is not parents
        assert store.fs is store.fs
        answers = dict(store.get_many([("x", None), ("y", None)]))
        assert answers[1] is None
        return bytes(answers[0] or b"")

    assert store.fs is parents
    assert in_child(child) == b"data"


def test_identity_does_not_depend_on_the_thread() -> None:
    identities = []

    def identify() -> None:
        fs = AsyncFileSystemWrapper(MemoryFileSystem())
        identities.append(FsspecStore(fs, "/x/y").identity)
        identities.append(FsspecStore(fs, "/x").identity_of("y"))

    for _ in range(2):
        thread = threading.Thread(target=identify)
        thread.start()
        thread.join()
    assert len(identities) == 4
    assert len(set(identities)) == 1
    assert FsspecStore(MemoryFileSystem(), "/x/y").identity != identities[0]


def test_private_memory_file_systems_are_not_one_place() -> None:
    one = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    other = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    assert FsspecStore(one, "/x").identity != FsspecStore(other, "/x").identity


def test_a_path_may_carry_the_protocol() -> None:
    store = FsspecStore(MemoryFileSystem(), "memory://a/b/")
    assert store.path == "/a/b"
    assert str(store) == "memory:///a/b"


def test_siblings_of_the_root_are_not_below_it() -> None:
    start = f"/s-{next(numbers)}"
    fs = MemoryFileSystem()
    FsspecStore(fs, start + "/abc").set("x", b"")
    assert list(FsspecStore(fs, start + "/ab").list_prefix("")) == []
    assert FsspecStore(fs, start + "/ab").list_dir("") == ([], [])
    assert sorted(FsspecStore(fs, start).list_prefix("")) == ["abc/x"]


def test_the_root_of_a_file_system_is_a_store() -> None:
    fs = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    store = FsspecStore(fs)
    store.set("a/x", b"data")
    assert list(store.list_prefix("")) == ["a/x"]
    assert store.list_dir("") == ([], ["a"])
    store.delete_prefix("")
    assert list(store.list_prefix("")) == []


def test_many_objects_are_more_than_one_batch() -> None:
    store = FsspecStore(AsyncFileSystemWrapper(MemoryFileSystem()), f"/s-{next(numbers)}")
    store.set_many((f"{number}", b"%d" % number) for number in range(600))
    answers = dict(store.get_many([(f"{number}", None) for number in range(700)]))
    assert [bytes(answers[number] or b"") for number in range(600)] == [
        b"%d" % number for number in range(600)
    ]
    assert all(answers[number] is None for number in range(600, 700))
    store.delete_many(f"{number}" for number in range(1, 700))
    assert list(store.list_prefix("")) == ["0"]


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("s3://bucket/x", "s3fs", "zarrc[s3]"),
        ("gs://bucket/x", "gcsfs", "zarrc[gcs]"),
        ("az://container/x", "adlfs", "zarrc[azure]"),
        ("simplecache::s3://bucket/x", "s3fs", "zarrc[s3]"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    registry = sys.modules["fsspec.registry"]._registry
    for protocol in ("s3", "gs", "az"):
        if protocol in registry:
            monkeypatch.delitem(registry, protocol)
    with pytest.raises(MissingExtraError) as caught:
        FsspecStore.from_url(url)
    assert f"pip install '{extra}'" in str(caught.value)
    assert isinstance(caught.value, ImportError)


def test_a_protocol_that_only_its_package_registers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = sys.modules["fsspec.registry"]
    monkeypatch.delitem(registry.known_implementations, "abfss", raising=False)
    monkeypatch.delitem(registry._registry, "abfss", raising=False)
    with pytest.raises(MissingExtraError, match=r"abfss URLs .*pip install 'zarrc\[azure\]'"):
        FsspecStore.from_url("abfss://container@account.dfs.core.windows.net/x")


def test_a_protocol_in_capitals_is_told_in_small_letters() -> None:
    with pytest.raises(StoreError, match="no file system for 'S3' URLs; did you mean 's3'"):
        FsspecStore.from_url("S3://bucket/x")


def test_an_unknown_protocol_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(StoreError, match=r"no file system for 'nonsense' URLs; known are .*memory.*s3"):
        FsspecStore.from_url("nonsense://x")


def test_options_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(StoreError, match="cannot use a 'zip' URL: FileNotFoundError"):
        FsspecStore.from_url("zip://x::memory://no-such-archive.zip")


def test_conditional_counting_through_stores_with_other_roots_loses_nothing() -> None:
    fs = MemoryFileSystem()
    places = [(FsspecStore(fs, "/counting"), "a/n"), (FsspecStore(fs, "/counting/a"), "n")]
    assert count_together(*places, rounds=count(200)) == 2 * count(200)


class SickFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Cannot list directories named ``sick``; finds files by fsspec's own walk, as sftp, ftp and smb do."""

    cachable = False
    find = AbstractFileSystem.find

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        if path.endswith("/sick"):
            raise OSError(errno.EIO, "the disk is broken")
        return super().ls(path, detail, **kwargs)


@pytest.mark.parametrize("kind", ["plain", "async", "dir"])
def test_a_directory_that_cannot_be_listed_is_not_an_empty_one(kind: str) -> None:
    fs = SickFileSystem()
    if kind == "async":
        fs = AsyncFileSystemWrapper(fs)
    elif kind == "dir":
        fs = DirFileSystem("/", fs)
    store = FsspecStore(fs, f"/ward-{kind}")
    store.set_many((key, b"x") for key in ("well/y/z", "well/x", "bed/sick/x"))
    assert sorted(store.list_prefix("well")) == ["well/x", "well/y/z"]
    assert list(store.list_prefix("well/x")) == list(store.list_prefix("nothing")) == []
    for action in (lambda: list(store.list_prefix("")), lambda: store.delete_prefix("bed")):
        with pytest.raises(StoreError, match="the disk is broken"):
            action()
    store.delete_prefix("well")
    assert store.get("well/x") is None


def test_a_place_below_the_root_has_the_identity_of_a_store_there() -> None:
    root, below = FsspecStore.from_url("memory://"), FsspecStore.from_url("memory://x/y")
    assert root.identity_of("x/y") == below.identity
    assert root.identity_of("x") == FsspecStore.from_url("memory:///x/").identity
    assert root.identity == FsspecStore.from_url("memory:///").identity != below.identity


class URLFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Takes paths as those of URLs."""

    protocol = "http"


@pytest.mark.parametrize("kind", ["plain", "dir"])
def test_keys_are_quoted_in_urls(kind: str) -> None:
    fs = URLFileSystem()
    store = FsspecStore(fs if kind == "plain" else DirFileSystem("/", fs), f"/urls-{kind}")
    store.set("a#b/c?d/%2e%2e/x y", b"x")
    assert fs.cat_file(f"/urls-{kind}/a%23b/c%3Fd/%252e%252e/x%20y") == b"x"
    assert list(store.list_prefix("a#b")) == ["a#b/c?d/%2e%2e/x y"]
    assert store.list_dir("a#b").prefixes == ["c?d"]


def test_unusual_keys_are_read_over_http(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    keys = [*UNUSUAL_KEYS, "a#b", "50%", "%2e%2e"]
    objects = LocalStore(tmp_path / "served")
    objects.set_many((f"{key}/x", key.encode()) for key in keys)
    (tmp_path / "x").write_bytes(b"outside")
    handler = functools.partial(SilentHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        store = FsspecStore.from_url(f"http://127.0.0.1:{server.server_port}/served/")
        got = {key: store.get(f"{key}/x") for key in keys}
        listed = list(store.list_prefix(""))
        server.shutdown()
    assert {key: blob and bytes(blob) for key, blob in got.items()} == {key: key.encode() for key in keys}
    assert sorted(listed) == sorted(objects.list_prefix(""))


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None: ...


def test_a_store_of_fsspecs_memory_stays_in_its_process() -> None:
    array = zarrc.create_array(f"memory://{uuid.uuid4()}", data=[1, 2, 3])
    pickled = pickle.dumps(array)
    assert pickle.loads(pickled)[:].tolist() == [1, 2, 3]
    program = "import pickle, sys; pickle.load(sys.stdin.buffer)"
    ended = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=False)
    assert b"StoreError: a store of memory:// is in the memory of another process" in ended.stderr
