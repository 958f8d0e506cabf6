"""Zip archives of others, and ours for others: Python's zipfile is the judge."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.soak import count
from zarrc.errors import ReadOnlyError, StoreConflictError, StoreError
from zarrc.storage import Blob, MemoryStore, Store, ZipStore, zip_format, zip_home
from zarrc.storage.base import Changes
from zarrc.storage.zip_directory import Directory
from zarrc.storage.zip_undo import beside

NAMES = ["zarr.json", "c/0", "c/1/2", "räk/日本", "a b", "x" * 300]


def body(blob: Blob | None) -> bytes:
    assert blob is not None
    return bytes(blob)


def contents(store: Store) -> dict[str, bytes]:
    return {key: body(store.get(key)) for key in store.list_prefix("")}


def judged(path: Path | io.BytesIO) -> dict[str, bytes]:
    """The members as Python reads them; there are no two of one name."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(set(names)) == len(names)
        return {name: archive.read(name) for name in names}


def made(path: Path, members: dict[str, bytes], **options: object) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# What others wrote is read.


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"a comment with PK\5\6 in it, which is no end record"])
def test_archives_of_zipfile_are_read(tmp_path: Path, method: int, comment: bytes) -> None:
    members = {name: name.encode() * 50 for name in NAMES}
    path = made(tmp_path / "x.zip", members, compression=method)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    store = ZipStore(path)
    assert contents(store) == members
    for name, data in members.items():
        assert body(store.get(name, (3, 7))) == data[3:10]
    store.set("c/0", b"new")
    store.close()
    assert contents(ZipStore(path)) == {**members, "c/0": b"new"}
    assert path.read_bytes().endswith(comment)
    if not comment:  # zipfile takes what is in it for an end record
        assert judged(path) == {**members, "c/0": b"new"}


def test_archives_of_info_zip_are_read(tmp_path: Path) -> None:
    (tmp_path / "data" / "c").mkdir(parents=True)
    (tmp_path / "data" / "zarr.json").write_bytes(b"{}" * 100)
    (tmp_path / "data" / "c" / "0").write_bytes(bytes(range(256)))
    if subprocess.run(["zip", "-qr", "../x.zip", "."], cwd=tmp_path / "data").returncode:
        pytest.skip("no program zip")
    store = ZipStore(tmp_path / "x.zip")
    assert contents(store) == {"zarr.json": b"{}" * 100, "c/0": bytes(range(256))}
    assert store.list_dir("") == (["zarr.json"], ["c"])


def test_streamed_members_are_read_and_moved(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"1" * 1000)
        archive.writestr("b", b"2" * 1000)
    path = tmp_path / "x.zip"
    path.write_bytes(pipe.data)
    with ZipStore(path) as store:
        assert contents(store) == {"a": b"1" * 1000, "b": b"2" * 1000}
        store.set("c", b"3")
    assert judged(path) == {"a": b"1" * 1000, "b": b"2" * 1000, "c": b"3"}


def test_an_archive_behind_other_bytes_is_read_and_appended_to(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a": b"1" * 100, "b": b"2"})
    path.write_bytes(b"#!/bin/sh\n" * 20 + path.read_bytes())
    with ZipStore(path) as store:
        assert contents(store) == {"a": b"1" * 100, "b": b"2"}
        store.set("b", b"3")
        store.set("c", b"4")
    assert judged(path) == {"a": b"1" * 100, "b": b"3", "c": b"4"}
    assert path.read_bytes().startswith(b"#!/bin/sh\n")
    assert contents(ZipStore(path)) == {"a": b"1" * 100, "b": b"3", "c": b"4"}


def test_the_last_of_several_members_of_one_name_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for data in (b"first", b"second", b"third"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr("a", data)
            archive.writestr("b" + data.decode(), data)
    store = ZipStore(path)
    assert body(store.get("a")) == b"third"
    assert sorted(store.list_prefix("")) == ["a", "bfirst", "bsecond", "bthird"]
    store.set("c", b"")
    store.close()
    assert judged(path) == {
        "a": b"third",
        "bfirst": b"first",
        "bsecond": b"second",
        "bthird": b"third",
        "c": b"",
    }


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..", "a//b", "a\\..\\b", "./a", "C:\\x"])
def test_names_that_lead_elsewhere_are_not_listed_and_not_reached(tmp_path: Path, name: str) -> None:
    made(tmp_path / "x.zip", {name: b"evil", "a/good": b"good", "z": b""})
    store = ZipStore(tmp_path / "x.zip")
    assert sorted(store.list_prefix("")) == ["a/good", "z"]
    with pytest.raises(StoreError, match="not a legal key"):
        store.get(name)
    zarrc.copy_store(store, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["good", "x.zip", "z"]


def test_directories_are_no_objects(tmp_path: Path) -> None:
    made(tmp_path / "x.zip", {"a/": b"", "a/b/": b"", "c/": b"", "a/x": b"1"})
    store = ZipStore(tmp_path / "x.zip")
    assert list(store.list_prefix("")) == ["a/x"]
    assert store.list_dir("") == ([], ["a"])
    assert store.list_dir("a") == (["x"], [])
    assert store.get("a") is None


# What cannot be read is said.


def rewritten(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """The archive with bytes of its first entry in the directory changed."""
    data = bytearray(path.read_bytes())
    change(data, data.index(b"PK\1\2"))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "code", "value", "message"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 14, "method 14 .lzma."),
        (10, "<H", 99, "method 99 .an unknown one."),
        (10, "<H", 8, "different methods"),
        (16, "<I", 1, "CRC-32 is another"),
        (20, "<I", 1_000_000, "overlaps another one"),
        (20, "<I", 99, "100 bytes is stored, not compressed, in 99"),
        (24, "<I", 0xFFFFFF00, "is stored, not compressed"),
        (42, "<I", 0xFFFFFF00, "overlaps another one"),
        (42, "<I", 10, "damaged"),
    ],
)
def test_a_damaged_entry_is_an_error_of_its_member(
    tmp_path: Path, offset: int, code: str, value: int, message: str
) -> None:
    path = made(tmp_path / "x.zip", {"a/b": b"1" * 100, "c": b"2"})
    rewritten(path, lambda data, at: struct.pack_into(code, data, at + offset, value))
    store = ZipStore(path)
    for read in (
        lambda: store.get("a/b"),
        lambda: list(store.get_many([("c", None), ("a/b", None)])),
        lambda: store.get_into("a/b", bytearray(2**20)),
    ):
        with pytest.raises(StoreError, match=message) as caught:
            read()
        assert caught.value.key == "a/b"
    assert body(store.get("c")) == b"2"


def test_two_entries_of_one_member_are_an_error(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a": b"1" * 100, "c": b"2" * 100})
    second = path.read_bytes().index(b"PK\3\4", 4)
    rewritten(path, lambda data, at: struct.pack_into("<I", data, at + 42, second))
    for key in "ac":
        with pytest.raises(StoreError, match="damaged"):
            ZipStore(path).get(key)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a": bytes(100_000)}, compression=zipfile.ZIP_DEFLATED)
    # It says 4 GB, which so few bytes cannot be; and it says 10 bytes and has more.
    rewritten(path, lambda data, at: struct.pack_into("<I", data, at + 24, 0xFFFFFFF0))
    with pytest.raises(StoreError, match="cannot be 4294967280"):
        ZipStore(path).get("a")
    rewritten(path, lambda data, at: struct.pack_into("<I", data, at + 24, 10))
    with pytest.raises(StoreError, match="not one whole compressed stream"):
        ZipStore(path).get("a")


@pytest.mark.parametrize(
    "text", [b"hello", b"PK\5\6", b"PK\3\4" + bytes(100), bytes(70_000), b"PK\5\6" * 10_000]
)
def test_what_is_no_archive_is_an_error_that_names_it(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(text)
    for action in (
        lambda: ZipStore(tmp_path / "x.zip").get("a"),
        lambda: ZipStore(tmp_path / "x.zip").set("a", b""),
        lambda: zarrc.open(tmp_path / "x.zip", mode="r"),
    ):
        with pytest.raises(StoreError, match=r"x\.zip.* (damaged|not a zip archive|volumes)"):
            action()
    assert (tmp_path / "x.zip").read_bytes() == text
    assert os.listdir(tmp_path) == ["x.zip"]


def test_a_cut_archive_is_an_error(tmp_path: Path) -> None:
    whole = made(tmp_path / "x.zip", {"a": b"1" * 100, "b": b"2" * 100}).read_bytes()
    for nbytes in range(1, len(whole)):
        (tmp_path / "x.zip").write_bytes(whole[:nbytes])
        with pytest.raises(StoreError):
            ZipStore(tmp_path / "x.zip").get("a")


def test_flipped_bytes_give_errors_or_bytes(tmp_path: Path) -> None:
    members = {f"c/{number}": bytes([number]) * 50 for number in range(6)}
    path = tmp_path / "x.zip"
    originals = [
        made(path, members).read_bytes(),
        made(path, members, compression=zipfile.ZIP_DEFLATED).read_bytes(),
    ]
    chance = random.Random(1)
    began = time.monotonic()
    for number in range(count(20_000)):
        data = bytearray(chance.choice(originals))
        first = data.index(b"PK\1\2") if chance.random() < 0.7 else 0
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(first, len(data))] = chance.choice(
                [0, 1, 0x50, 0x7F, 0xFF, chance.randrange(256)]
            )
        store = ZipStore(io.BytesIO(data))
        try:
            keys = sorted(store.list_prefix(""))
            assert len(list(store.list_sizes(""))) == len(keys)
        except StoreError:
            continue
        for key in keys:
            try:
                blob = body(store.get(key))
            except StoreError:
                continue
            # A checksum that fits: bytes that were there, under this name or one that was flipped.
            assert blob in members.values() or zlib.crc32(blob) in _entry_checksums(data), number
            try:
                assert body(store.get(key, (0, len(blob)))) == blob
                list(store.get_many([(key, (1, 2)), (key, None)]))
            except StoreError:
                pass
    assert time.monotonic() - began < 300


def _entry_checksums(data: bytearray) -> set[int]:
    return {
        int.from_bytes(data[at + 16 : at + 20], "little")
        for at in range(len(data))
        if data[at : at + 4] == b"PK\1\2"
    }


# The fast way through a directory, and the slow one.


def entries(names: list[bytes], extra: bytes = b"") -> bytes:
    facts = [zip_format.Facts(name, 0, 0, 0, 0, 0, 0) for name in names]
    return b"".join(zip_format.directory_entry(one, 30 * i, extra=extra) for i, one in enumerate(facts))


@given(st.lists(st.binary(max_size=20), max_size=30), st.sampled_from([b"", b"\7\7\4\0PK\1\2"]))
def test_a_directory_finds_what_is_in_it(names: list[bytes], extra: bytes) -> None:
    names = [name if i % 3 else name + b"PK\1\2" + bytes(50) for i, name in enumerate(names)]
    directory = Directory(entries(names, extra), len(names), 10**6)
    texts = [name if name.isascii() else name.decode("cp437").encode() for name in names]
    assert len(directory) == len(set(names))
    for text in texts:
        number = directory.number_of(text)
        assert texts[number] == text
        assert number == max(i for i, one in enumerate(texts) if one == text)
        assert directory.member(number).facts.name == names[number]
    assert directory.number_of(b"no such name") == -1
    files = sorted({text for text in texts if not text.endswith(b"/")})
    assert list(directory.names_below(b"")) == files
    for start in (b"", b"a", b"P"):
        assert list(directory.names_below(start)) == [name for name in files if name.startswith(start)]
        children = {
            n[len(start) :].partition(b"/")[0] + n[len(start) :].partition(b"/")[1]
            for n in files
            if n.startswith(start)
        }
        assert sorted(directory.children(start)) == sorted(children)


# Against a dict.

KEYS = st.sampled_from(["a", "b/c", "b/d", "b/e/f", "zarr.json", "räk"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.binary(max_size=200)),
        st.tuples(st.just("delete"), KEYS, st.just(b"")),
        st.tuples(st.just("prefix"), st.sampled_from(["b", "b/e", ""]), st.just(b"")),
        st.tuples(st.just("copy"), KEYS, st.just(b"")),
        st.tuples(st.sampled_from(["flush", "close", "compact", "reopen"]), st.just(""), st.just(b"")),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=count(500))
@given(
    STEPS, st.sampled_from(["stored", "deflate"]), st.sampled_from([0, 2**20]), st.sampled_from([0, 2**16])
)
def test_a_store_is_a_dict(
    steps: list[tuple[str, str, bytes]], method: str, small: int, garbage: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(zip_home, "_SMALL", small)
        patch.setattr(zip_home, "_LITTLE_GARBAGE", garbage)
        path = Path(folder) / "x.zip"
        model: dict[str, bytes] = {}
        store = ZipStore(path, compression=method)  # type: ignore[arg-type]
        for action, key, data in steps:
            if action == "set":
                store.set(key, data * 20)
                model[key] = data * 20
            elif action == "delete":
                store.delete(key)
                model.pop(key, None)
            elif action == "prefix":
                store.delete_prefix(key)
                model = {one: body for one, body in model.items() if key and not one.startswith(key + "/")}
            elif action == "copy":
                if key in model:
                    store.copy(key, "copied")
                    model["copied"] = model[key]
            elif action == "compact":
                store.compact()
            elif action == "flush":
                store.flush()
                if path.exists():
                    assert judged(path) == model
            elif action == "close":
                store.close()
            else:
                store.close()
                store = ZipStore(path, compression=method)  # type: ignore[arg-type]
            assert contents(store) == model
        store.close()
        assert contents(ZipStore(path)) == model
        if path.exists():
            assert judged(path) == model
        assert [name for name in os.listdir(folder) if name != "x.zip"] == []
        del store


# zip64.


def test_many_and_far_members_are_written_as_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zip"
    monkeypatch.setattr(zip_home, "_SMALL", 0)
    store = ZipStore(path)
    store.set("first", b"1")
    # As if 5 GiB had been written, which a file with a hole does not take.
    writing = store._archive._writing
    assert writing is not None
    writing.side.nbytes = 5 * 2**30
    store.set("far", b"2" * 10)
    monkeypatch.setattr(zip_home, "_LITTLE_GARBAGE", 2**40)
    store.flush()
    assert os.stat(path).st_size > 5 * 2**30
    assert judged(path) == {"first": b"1", "far": b"2" * 10}
    store.set("further", b"3")
    store.flush()
    assert judged(path) == contents(ZipStore(path)) == {"first": b"1", "far": b"2" * 10, "further": b"3"}
    before, after = store.compact()
    assert before > 5 * 2**30
    assert after < 1000
    assert judged(path) == {"first": b"1", "far": b"2" * 10, "further": b"3"}


@pytest.mark.parametrize(("limit", "n"), [(50, 0xFFFF), (0xFFFFFFFF, 3), (50, 3)])
def test_low_limits_give_archives_that_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, n: int
) -> None:
    monkeypatch.setattr(zip_format, "LIMIT", limit)
    monkeypatch.setattr(zip_format, "COUNT_LIMIT", n)
    members = {f"c/{number}": bytes([number]) * number * 20 for number in range(10)}
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set_many(members.items())
    assert judged(path) == members
    assert contents(ZipStore(path)) == members
    with ZipStore(path, compression="deflate") as store:
        store.set("more", b"x" * 1000)
        store.compact()
    assert judged(path) == {**members, "more": b"x" * 1000}
    assert contents(ZipStore(path)) == {**members, "more": b"x" * 1000}


def test_more_than_65535_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set_many((f"c/{number}", b"") for number in range(65_540))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 65_540
    assert sum(1 for _ in ZipStore(path).list_prefix("c")) == 65_540


# Writing.


def test_nothing_is_written_twice_and_compact_removes_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_home, "_SMALL", 0)
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set("large", bytes(100_000))
        for number in range(5):
            store.set("a", bytes([number]) * 1000)
            store.flush()
            assert judged(path)["a"] == bytes([number]) * 1000
        before, after = store.compact()
        assert before == after + 4 * (1000 + 30 + 1) + sum(22 + 46 + 5 + 46 + 1 for _ in range(4))
        assert os.stat(path).st_size == after
        assert judged(path) == contents(store) == {"large": bytes(100_000), "a": b"\4" * 1000}


def test_all_of_a_new_archive_can_be_gone(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set("a", b"1")
        store.flush()
        store.delete("a")
    assert judged(path) == {}
    assert ZipStore(path).missing_hint() == f"the zip archive {str(path)!r} has no members"
    with ZipStore(path) as store:
        store.set("b", b"2")
    assert judged(path) == {"b": b"2"}


def test_an_empty_file_is_an_archive_without_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.touch()
    with ZipStore(path) as store:
        assert list(store.list_prefix("")) == []
        store.set("a", b"1")
    assert judged(path) == {"a": b"1"}


def test_modes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with pytest.raises(StoreError, match="there is no zip archive"):
        ZipStore(path, mode="r+")
    with ZipStore(path, mode="x") as store:
        store.set("a", b"1")
    with pytest.raises(StoreConflictError, match="there is a zip archive"):
        ZipStore(path, mode="w-")
    assert ZipStore(path, mode="r").read_only
    with pytest.raises(ReadOnlyError):
        ZipStore(path, mode="w", read_only=True)
    with ZipStore(path, mode="a") as store:
        store.set("b", b"2")
    assert judged(path) == {"a": b"1", "b": b"2"}
    with ZipStore(path, mode="w") as store:
        store.set("c", b"3")
    assert judged(path) == {"c": b"3"}
    with pytest.raises(ValueError, match="mode must be"):
        ZipStore(path, mode="rw")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="compression must be"):
        ZipStore(path, compression="zstd")  # type: ignore[arg-type]


def test_a_conditional_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set("a", b"1")
    store = ZipStore(path)
    with pytest.raises(StoreConflictError):
        store.set_if("a", b"2", None)
    assert os.listdir(tmp_path) == ["x.zip"]


def test_changes_are_made_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    store = ZipStore(path)
    store.set("a", b"1")
    store.set("b", b"2")
    version = store.set_if("c", b"3", None)
    assert store.is_atomic
    with store.staging() as staged:
        staged.set("0", b"new a")
        store.apply(Changes({"c": version, "d": None}, staged, {"a": "0"}, ["b"]))
    assert judged(path) == contents(store) == {"a": b"new a", "c": b"3"}
    with store.staging() as staged:
        staged.set("0", b"newer a")
        with pytest.raises(StoreConflictError):
            store.apply(Changes({"c": None}, staged, {"a": "0"}, []))
    with store.staging() as staged, pytest.raises(StoreError, match="what was to be stored"):
        store.apply(Changes({}, staged, {"a": "1"}, ["c"]))
    assert judged(path) == contents(store) == {"a": b"new a", "c": b"3"}
    assert os.listdir(tmp_path) == ["x.zip"]


# When what was written is in the archive.

IN_WORKER = "p = multiprocessing.get_context('fork').Process(target=f); p.start(); p.join()"


@pytest.mark.parametrize(
    "program",
    [
        "zarrc.save('x.zip', np.arange(5))",
        "a = zarrc.create_array('x.zip', shape=5, chunks=2, dtype='i8'); a[:] = np.arange(5)",
        "zarrc.open_array('x.zip', mode='w', shape=5, dtype='i8')[:] = np.arange(5); import sys; sys.exit(3)",
        "zarrc.save('x.zip', np.arange(5)); os._exit(1)",
        "a = zarrc.create_array('x.zip', data=np.arange(5)); a.store.flush(); os._exit(1)",
        "a = zarrc.create_array('x.zip', data=np.arange(5)); del a; os._exit(1)",
        "a = zarrc.create_array('x.zip', data=np.arange(5)); raise RuntimeError",
        "def f(): zarrc.create_array('x.zip', data=np.arange(5))\n" + IN_WORKER,
        "def f():\n global a; a = zarrc.create_array('x.zip', data=np.arange(5))\n" + IN_WORKER,
        "s = zarrc.storage.ZipStore('x.zip')\nwith s: zarrc.create_array(s, data=np.arange(5))\nos._exit(1)",
    ],
)
def test_what_a_program_wrote_is_there_when_it_ends(
    tmp_path: Path, child_environment: dict[str, str], program: str
) -> None:
    text = f"import multiprocessing, os\nimport numpy as np, zarrc, zarrc.storage\n{program}"
    subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=child_environment, capture_output=True)
    assert zarrc.load(tmp_path / "x.zip").tolist() == [0, 1, 2, 3, 4]
    assert "zarr.json" in judged(tmp_path / "x.zip")
    assert os.listdir(tmp_path) == ["x.zip"]


def test_stores_of_one_process_see_what_the_others_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    one, other = ZipStore(path), ZipStore(path, read_only=True)
    (tmp_path / "link.zip").symlink_to(path)
    third = ZipStore(tmp_path / "link.zip")
    one.set("a", b"1")
    assert body(other.get("a")) == body(third.get("a")) == b"1"
    assert one.identity == other.identity == third.identity
    assert not path.exists()
    del one, third
    assert not path.exists()
    del other
    assert judged(path) == {"a": b"1"}


def test_a_pickle_has_what_was_written(tmp_path: Path) -> None:
    store = ZipStore(tmp_path / "x.zip", compression="deflate")
    store.set("a", b"1")
    data = pickle.dumps(store)
    assert judged(tmp_path / "x.zip") == {"a": b"1"}
    assert pickle.loads(data)._method == zip_format.DEFLATED
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ZipStore(io.BytesIO()))


def test_a_reader_sees_that_the_archive_was_replaced(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a": b"1" * 100})
    store = ZipStore(path, read_only=True)
    assert body(store.get("a")) == b"1" * 100
    made(tmp_path / "y.zip", {"b": b"", "a": b"2" * 200})
    os.replace(tmp_path / "y.zip", path)
    assert body(store.get("a")) == b"2" * 200
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("c", b"3")
    assert body(store.get("c", (0, 1))) == b"3"
    path.unlink()
    with pytest.raises(StoreError, match="was removed while it was in use"):
        store.get("a")


def test_a_writer_does_not_write_over_what_another_program_did(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a": b"1"})
    store = ZipStore(path)
    store.set("b", b"2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("c", b"3")
    with pytest.raises(StoreConflictError, match="changed by another program"):
        store.flush()
    store._archive.drop()
    assert judged(path) == contents(store) == {"a": b"1", "c": b"3"}
    # A new time alone is no change.
    store.set("b", b"2")
    os.utime(path, (1, 1))
    store.flush()
    assert judged(path) == {"a": b"1", "b": b"2", "c": b"3"}


@pytest.mark.parametrize("small", [0, 2**20])
def test_a_full_disk_leaves_the_archive_as_it_was(
    tmp_path: Path, child_environment: dict[str, str], small: int
) -> None:
    path = tmp_path / "x.zip"
    with ZipStore(path) as store:
        store.set("a", bytes(200_000))
    program = (
        "import resource, signal\n"
        "from zarrc.storage import ZipStore, zip_home; from zarrc.errors import StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))\n"
        f"zip_home._SMALL = {small}\n"
        "store = ZipStore('x.zip'); store.set('b', bytes(100_000))\n"
        "try: store.flush()\n"
        "except StoreError as error: print(error.errno, error)\n"
        "try: store.set('c', bytes(300_000))\n"
        "except StoreError as error: print(error.errno, error)\n"
        "assert bytes(store.get('b')) == bytes(100_000)\n"
        "store.delete('b'); store.set('d', b'4'); store.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=child_environment, capture_output=True, text=True
    )
    assert done.stdout.count("File too large") == 2, done
    assert done.returncode == 0, done
    assert judged(path) == {"a": bytes(200_000), "d": b"4"}
    assert os.listdir(tmp_path) == ["x.zip"]


def test_a_record_of_another_file_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "x.zip", {"a": b"1" * 1000, "b": b"2"})
    first = made(tmp_path / "y.zip", {"a": b"1" * 1000})
    record = Path(beside(str(path), "undo"))
    from zarrc.storage import zip_source, zip_undo

    file = zip_source.LocalFile(str(path))
    file.path = str(path)
    zip_undo.write_record(file, os.stat(first).st_size)
    # The end of that size is no end, but it is what the archive has there: it is believed.
    with pytest.raises(StoreError):
        contents(ZipStore(path))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"1", b"3"))
    assert record.exists()
    for text in (record.read_bytes(), b"", record.read_bytes()[:-1], bytes(40)):
        record.write_bytes(text)
        with pytest.raises(StoreError, match="CRC-32"):
            ZipStore(path).get("a")
        assert body(ZipStore(path).get("b")) == b"2"
    with ZipStore(path) as store:
        store.set("c", b"4")
    assert not record.exists()


# In other places.


class Counting(MemoryStore):
    """Counts requests."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[object]] = []

    def get(self, key, range=None):  # type: ignore[no-untyped-def]
        self.asked.append([range])
        return super().get(key, range)

    def get_many(self, requests):  # type: ignore[no-untyped-def]
        self.asked.append([range for _, range in requests])
        for number, (key, range) in enumerate(requests):
            yield number, MemoryStore.get(self, key, range)

    def stat(self, key):  # type: ignore[no-untyped-def]
        self.asked.append(["stat"])
        return super().stat(key)


def remote(data: bytes) -> tuple[Counting, ZipStore]:
    outer = Counting()
    outer.set("x.zip", data)
    return outer, ZipStore.from_store(outer, "x.zip", read_only=True)


def test_n_members_are_n_ranges_in_one_batch(tmp_path: Path) -> None:
    members = {f"c/{number}": bytes([number]) * 10_000 for number in range(100)}
    data = made(tmp_path / "x.zip", members).read_bytes()
    outer, store = remote(data)
    requests = [(f"c/{number}", None) for number in range(100)]
    assert {number: body(blob) for number, blob in store.get_many(requests)} == dict(
        enumerate(members.values())
    )
    # A look, the end with the directory; then all members.
    assert [len(asked) for asked in outer.asked] == [1, 1, 100]
    outer.asked.clear()
    parts = [(f"c/{number}", (9000, 500)) for number in range(100)]
    assert all(len(body(blob)) == 500 for _, blob in store.get_many(parts))
    assert outer.asked == [
        [(start + 9000, 500) for start in store._archive.view().directory.data_starts.tolist()]
    ]
    # The first time, of a part that is far from the header: both in one batch.
    outer, store = remote(data)
    store.stat("c/0")
    outer.asked.clear()
    far = [(f"c/{number}", (-100, None)) for number in range(5)]
    from zarrc.storage import zip_reading

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zip_reading, "_NEAR", 100)
        assert [body(blob) for _, blob in store.get_many(far)] == [bytes([n]) * 100 for n in range(5)]
    assert [len(asked) for asked in outer.asked] == [10]


def test_headers_of_any_length_are_found(tmp_path: Path) -> None:
    pieces = {}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(20):
            one = zipfile.ZipInfo(f"c/{number}")
            one.extra = struct.pack("<2H", 0x7777, number * 40) + bytes(number * 40)
            pieces[one.filename] = random.Random(number).randbytes(number * 1000)
            archive.writestr(one, pieces[one.filename])
    for fresh in range(4):
        _, store = remote((tmp_path / "x.zip").read_bytes())
        local = ZipStore(tmp_path / "x.zip", read_only=True)
        for place in (store, local):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("zarrc.storage.zip_reading._NEAR", 100 if fresh % 2 else 10**6)
                wanted = [
                    (key, (len(data) // 2, len(data) // 4) if fresh < 2 else None)
                    for key, data in pieces.items()
                ]
                for number, blob in place.get_many(wanted):
                    key, part = wanted[number]
                    whole = pieces[key]
                    assert body(blob) == (whole if part is None else whole[part[0] :][: part[1]])


def test_a_remote_archive_that_changes_is_read_again(tmp_path: Path) -> None:
    outer, store = remote(made(tmp_path / "x.zip", {"a": b"1" * 1000}).read_bytes())
    assert body(store.get("a")) == b"1" * 1000
    outer.set("x.zip", made(tmp_path / "x.zip", {"b": b"2" * 1000, "a": b"3" * 1000}).read_bytes())
    assert body(store.get("a")) == b"3" * 1000
    assert body(store.get("a", (1, 2))) == b"33"
    outer.delete("x.zip")
    with pytest.raises(StoreError, match="removed"):
        store.get("a")


def test_a_new_archive_is_uploaded_when_it_is_closed() -> None:
    outer = MemoryStore()
    with ZipStore.from_store(outer, "deep/x.zip") as store:
        zarrc.save(store, [1, 2, 3])
        assert outer.get("deep/x.zip") is None
    assert set(judged(io.BytesIO(body(outer.get("deep/x.zip"))))) == {"zarr.json", "c/0"}
    with ZipStore.from_store(outer, "deep/x.zip") as store:
        store.set("more", b"2")
    assert "more" in judged(io.BytesIO(body(outer.get("deep/x.zip"))))
    other, one = ZipStore.from_store(outer, "deep/x.zip"), outer.get("deep/x.zip")
    other.set("more", b"3")
    outer.set("deep/x.zip", body(one))
    with pytest.raises(StoreConflictError):
        other.close()
    other._archive.drop()


def test_archives_behind_urls() -> None:
    with ZipStore("zip::memory://archives/x.zip") as store:
        store.set("a", b"1")
    assert body(ZipStore("memory://archives/x.zip", mode="r").get("a")) == b"1"
    zarrc.save("memory://archives/y.zip", [1, 2, 3])
    assert zarrc.load("zip::memory://archives/y.zip").tolist() == [1, 2, 3]
    with pytest.raises(StoreError, match="ends with its name"):
        ZipStore("memory://")


def test_a_file_object_is_read_and_written() -> None:
    file = io.BytesIO()
    with ZipStore(file) as store:
        zarrc.save(store, [1, 2, 3])
    assert "zarr.json" in judged(file)
    assert zarrc.load(ZipStore(file, mode="r")).tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="a path, a URL or a binary file object"):
        ZipStore(3)  # type: ignore[arg-type]


def test_threads_read_large_members(tmp_path: Path) -> None:
    members = {f"c/{number}": random.Random(number).randbytes(300_000) for number in range(40)}
    with ZipStore(tmp_path / "x.zip") as store:
        store.set_many(members.items())
        store.flush()
        keys = list(members)
        found = dict(store.get_many([(key, None) for key in keys]))
        assert {keys[number]: body(blob) for number, blob in found.items()} == members
        for number, _ in store.get_many([(key, None) for key in keys]):
            if number > 2:
                break


def test_a_deflated_member_is_decoded_once_for_many_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zarrc.storage import zip_reading

    pieces = {key: bytes(range(256)) * 40 for key in "abc"}
    with ZipStore(tmp_path / "x.zip", compression="deflate") as store:
        store.set_many(pieces.items())
        store.flush()
        n_decoded = 0
        decoded = zip_reading.decoded

        def counted(*arguments: Any) -> Any:
            nonlocal n_decoded
            n_decoded += 1
            return decoded(*arguments)

        monkeypatch.setattr(zip_reading, "decoded", counted)
        wanted = [(key, (start, 10)) for start in range(0, 1000, 100) for key in "ab"]
        requests = [*wanted, ("c", (5, 5)), ("a", None), ("none", None)]
        found = dict(store.get_many(requests))
        assert sorted(found) == list(range(len(requests)))
        for number, (key, part) in enumerate(wanted):
            assert body(found[number]) == pieces[key][part[0] :][: part[1]]
            assert found[number].object_nbytes == len(pieces[key])  # type: ignore[union-attr]
        assert body(found[20]) == pieces["c"][5:10]
        assert body(found[21]) == pieces["a"]
        assert found[22] is None
        assert n_decoded == 4


def test_wide_offsets_are_found_wherever_their_field_is() -> None:
    facts = zip_format.Facts(b"name", 0, 0, 0, 0, 2**33, 2**34)
    other = struct.pack("<2H", 7, 4) + b"more"
    plain = zip_format.directory_entry(facts._replace(stored_nbytes=1, nbytes=1), 500)
    usual = zip_format.directory_entry(facts, 2**35, extra=other)
    wide = usual[50 : 50 + 28]
    assert wide[:2] == b"\1\0"
    behind = usual.replace(wide + other, other + wide)
    assert behind != usual
    short = zip_format.directory_entry(facts, 100)
    for raw in (usual, behind):
        directory = Directory(raw + plain + short, 3, 2**36)
        members = [directory.member(number) for number in range(3)]
        assert [member.offset for member in members] == [2**35, 500, 100]
        assert [member.end for member in members] == [2**36, 2**35, 500]
    cut = usual.replace(wide[:4], struct.pack("<2H", 1, 16), 1)
    with pytest.raises(StoreError, match="zip64 field"):
        Directory(cut, 1, 2**36)


def test_a_new_store_looks_at_the_place_as_it_is(tmp_path: Path) -> None:
    outer = MemoryStore()
    old = ZipStore.from_store(outer, "x.zip")
    old.set("a", b"1")
    old.flush()
    outer.set("x.zip", made(tmp_path / "x.zip", {"b": b"2"}).read_bytes())
    assert contents(ZipStore.from_store(outer, "x.zip")) == {"b": b"2"}
    outer.delete("x.zip")
    assert contents(ZipStore.from_store(outer, "x.zip")) == {}
    local = ZipStore(tmp_path / "x.zip")
    assert contents(local) == {"b": b"2"}
    (tmp_path / "x.zip").unlink()
    with pytest.raises(StoreError, match="was removed"):
        local.get("b")
    assert contents(ZipStore(tmp_path / "x.zip")) == {}
    with ZipStore(tmp_path / "x.zip") as store:
        store.set("c", b"3")
    assert judged(tmp_path / "x.zip") == contents(local) == {"c": b"3"}


def test_links_under_our_names_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("text")
    for kind in ("lock", "new", "undo"):
        Path(beside(str(tmp_path / "x.zip"), kind)).symlink_to(tmp_path / "victim")
    store = ZipStore(tmp_path / "x.zip")
    with pytest.raises(StoreError, match="symbolic links"):
        store.set("a", b"1")
    assert (tmp_path / "victim").read_text() == "text"
