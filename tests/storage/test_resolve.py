"""What a user passes as a store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import zarrc
import zarrc.storage
from zarrc.errors import ReadOnlyError, StoreError
from zarrc.storage import (
    FsspecStore,
    LocalStore,
    MappingStore,
    MemoryStore,
    StorePath,
    ZipStore,
    make_store,
    open_store,
)


def test_a_path_is_a_local_store(tmp_path: Path) -> None:
    for place in (str(tmp_path / "x"), tmp_path / "x", f"file://{tmp_path}/x", f"local://{tmp_path}/x"):
        store, path = make_store(place)
        assert type(store) is LocalStore
        assert (store.root, path) == (str(tmp_path / "x"), "")


def test_a_local_url_is_not_decoded(tmp_path: Path) -> None:
    assert make_store(f"file://{tmp_path}/a%20b c")[0].local_root == f"{tmp_path}/a%20b c"


def test_a_url_is_an_fsspec_store() -> None:
    store, path = make_store("memory://resolve/x", storage_options={"global_store": True})
    assert type(store) is FsspecStore
    assert (store.path, path) == ("/resolve/x", "")


def test_a_colon_alone_makes_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b", "2020-01-01T00:00:00.zarr", ":://x", "a/b::c"):
        assert make_store(name)[0].local_root == os.path.abspath(name)


def test_a_store_is_itself() -> None:
    store = MemoryStore()
    assert make_store(store) == (store, "")
    assert make_store(StorePath(store, "a/b/")) == (store, "a/b")


def test_a_mapping_is_a_mapping_store() -> None:
    mapping: dict[str, bytes] = {}
    store = make_store(mapping)[0]
    assert type(store) is MappingStore
    assert store.mapping is mapping


def test_an_fsspec_mapper_is_taken_apart(tmp_path: Path) -> None:
    local = make_store(fsspec.get_mapper(str(tmp_path)))[0]
    assert local.local_root == str(tmp_path)
    memory = make_store(fsspec.get_mapper("memory://resolve/y"))[0]
    assert type(memory) is FsspecStore
    assert memory.path == "/resolve/y"


def test_nothing_is_a_new_memory_store() -> None:
    assert type(make_store(None)[0]) is MemoryStore
    assert make_store(None)[0].identity != make_store(None)[0].identity


@pytest.mark.parametrize("place", [3, b"bytes", object(), ["x"], ("a", "b"), frozenset()])
def test_anything_else_is_refused(place: object) -> None:
    with pytest.raises(TypeError, match="a store is a path, a URL"):
        make_store(place)  # type: ignore[arg-type]


def test_a_zip_archive_is_not_made_a_directory(tmp_path: Path) -> None:
    for place in (
        tmp_path / "x.zip",
        f"{tmp_path}/x.zip",
        f"file://{tmp_path}/x.zip",
        f"zip::{tmp_path}/x.zip",
    ):
        store, path = make_store(place)
        assert isinstance(store, ZipStore)
        assert (store.path, path) == (f"{tmp_path}/x.zip", "")
    assert not (tmp_path / "x.zip").exists()
    (tmp_path / "dir.zip").mkdir()
    assert make_store(tmp_path / "dir.zip")[0].local_root == str(tmp_path / "dir.zip")


def test_a_place_in_a_zip_archive_is_found(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "x.zip") as store:
        store.set("a/b/zarr.json", b"{}")
    for place in (
        f"{tmp_path}/x.zip/a/b",
        f"zip://a/b::{tmp_path}/x.zip",
        f"zip:///a/b/::file://{tmp_path}/x.zip",
    ):
        found, path = make_store(place)
        assert isinstance(found, ZipStore)
        assert path == "a/b"
    found, path = make_store("zip://a::memory://deep/x.zip")
    assert isinstance(found, ZipStore)
    assert (found.path, path) == ("memory:///deep/x.zip", "a")


def test_options_are_for_urls(tmp_path: Path) -> None:
    for place in (str(tmp_path), tmp_path, MemoryStore(), {}, None):
        with pytest.raises(TypeError, match="storage_options are for URLs"):
            make_store(place, storage_options={"anon": True})
    assert make_store(f"file://{tmp_path}", storage_options={"auto_mkdir": True})[0].local_root == str(
        tmp_path
    )


def test_mode_r_gives_a_read_only_store(tmp_path: Path) -> None:
    memory = MemoryStore()
    for place in (str(tmp_path), {}, memory, "memory://resolve/z", StorePath(memory, "a")):
        store, _ = make_store(place, mode="r")
        with pytest.raises(ReadOnlyError):
            store.set("x", b"")
        for mode in ("r+", "a", "w", "w-", None):
            assert not make_store(place, mode=mode)[0].read_only  # type: ignore[arg-type]
    assert not memory.read_only


def test_a_read_only_store_is_not_opened_for_writing() -> None:
    store = MemoryStore(read_only=True)
    assert make_store(store) == (store, "")
    for mode in ("r+", "a", "w", "w-"):
        with pytest.raises(ReadOnlyError, match="is read-only, which mode"):
            make_store(store, mode=mode)  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be one of 'r', 'r\\+', 'a', 'w', 'w-', not 'x'"):
        make_store(None, mode="x")  # type: ignore[arg-type]


def test_a_store_path_joins_names() -> None:
    place = open_store(None) / "a" / "b/c"
    assert place.path == "a/b/c"
    assert str(place) == f"{place.store}/a/b/c"
    assert str(StorePath(place.store)) == str(place.store)
    assert place / "" == place
    for name in ("..", "/x", "a//b"):
        with pytest.raises(StoreError, match="not a legal key"):
            place / name


def test_every_exported_name_is_there() -> None:
    for name in zarrc.storage.__all__:
        assert getattr(zarrc.storage, name) is not None
    assert set(zarrc.storage.__all__) <= set(dir(zarrc.storage))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = zarrc.storage.no_such_name  # type: ignore[attr-defined]


def test_local_and_memory_stores_import_neither_fsspec_nor_asyncio(tmp_path: Path) -> None:
    code = (
        "import sys, zarrc.storage as s\n"
        "s.make_store(sys.argv[1])[0].set('x', b'')\n"
        "s.make_store(None), s.make_store({}), s.open_named('memory')\n"
        "s.make_store('file://' + sys.argv[1])\n"
        "print([name for name in ('fsspec', 'asyncio') if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("url", ["s3://bucket/x", "gs://bucket/x", "https://host/x"])
def test_a_url_that_was_made_a_path_is_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (Path(url), str(Path(url))):
        with pytest.raises(StoreError, match=r"lost a slash.*pass it as a str"):
            make_store(place)
    scheme = url.partition("/")[0]
    (tmp_path / scheme).mkdir()
    assert isinstance(make_store(f"{scheme}/bucket/x")[0], LocalStore)


@pytest.mark.parametrize("options", ["SECRET", [("key", "SECRET")], 5])
def test_storage_options_are_a_mapping(options: object) -> None:
    with pytest.raises(TypeError, match="are a mapping") as caught:
        make_store("memory://x", storage_options=options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="are a mapping"):
        zarrc.open("memory://x", storage_options=options)  # type: ignore[arg-type]
    assert "SECRET" not in str(caught.value)


def test_a_scheme_is_one_in_upper_and_lower_case(tmp_path: Path) -> None:
    assert isinstance(make_store(f"FILE://{tmp_path}")[0], LocalStore)
    made = make_store("MEMORY://Some/Place")[0]
    assert isinstance(made, FsspecStore)
    assert made.path == "/Some/Place"
