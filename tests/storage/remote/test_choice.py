"""Which driver a file system has, and what a file system without one of its own is used by."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import adlfs
import fsspec
import gcsfs
import pytest
import s3fs
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tests.servers.servers import HttpServer
from tests.storage.remote.in_memory import InFlight
from zarrc.config import config
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage import FsspecStore


class OwnS3(s3fs.S3FileSystem):  # type: ignore[misc]
    """Reads in a way of its own."""

    async def _cat_file(self, *args: Any, **kwargs: Any) -> Any:
        return b"own"


class NamedHTTP(HTTPFileSystem):  # type: ignore[misc]
    """Has a name of its own, and nothing else."""


AZURE = {"account_name": "account", "account_key": "a2V5a2V5"}


@pytest.mark.parametrize(
    ("make", "driver"),
    [
        (lambda: s3fs.S3FileSystem(anon=True), "S3Driver"),
        (lambda: OwnS3(anon=True), "GenericDriver"),
        (lambda: gcsfs.GCSFileSystem(token="anon"), "GCSDriver"),
        (lambda: gcsfs.core.GCSFileSystem(token="anon"), "GCSDriver"),
        (lambda: adlfs.AzureBlobFileSystem(**AZURE), "AzureDriver"),
        (HTTPFileSystem, "HTTPDriver"),
        (NamedHTTP, "HTTPDriver"),
        (lambda: DirFileSystem("bucket", s3fs.S3FileSystem(anon=True)), "GenericDriver"),
        (lambda: AsyncFileSystemWrapper(MemoryFileSystem()), "GenericDriver"),
        (InFlight, "GenericDriver"),
        (MemoryFileSystem, "SynchronousDriver"),
        (lambda: DirFileSystem("/x", MemoryFileSystem()), "SynchronousDriver"),
        (lambda: fsspec.filesystem("simplecache", fs=HTTPFileSystem()), "GenericDriver"),
        (lambda: fsspec.filesystem("simplecache", fs=MemoryFileSystem()), "SynchronousDriver"),
    ],
)
def test_a_file_system_has_the_driver_of_its_class(make: Any, driver: str) -> None:
    store = FsspecStore(make(), "bucket/x")
    assert type(store._runner.driver).__name__ == driver
    assert store.is_conditional == (driver in ("S3Driver", "GCSDriver", "AzureDriver"))


def test_no_client_is_imported_to_tell() -> None:
    import subprocess

    code = """
import sys
from fsspec.implementations.memory import MemoryFileSystem
from zarrc.storage import FsspecStore
FsspecStore(MemoryFileSystem(), "x").set("y", b"")
print([name for name in ("s3fs", "gcsfs", "adlfs", "aiohttp", "tenacity") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_file_system_without_conditions_has_them_among_threads() -> None:
    fs = InFlight()
    store = FsspecStore(fs, "root")
    version = store.set_if("x", b"first", None)
    with pytest.raises(StoreConflictError, match="there already"):
        store.set_if("x", b"second", None)
    version = store.set_if("x", b"second", version)
    with pytest.raises(StoreConflictError, match="changed since"):
        store.set_if("x", b"third", "content-00")
    blob = store.get("x")
    assert blob is not None
    assert (bytes(blob), blob.version) == (b"second", version)


@pytest.mark.parametrize(
    ("range", "due"),
    [
        ((0, None), b"0123456789"),
        ((3, 4), b"3456"),
        ((3, None), b"3456789"),
        ((-3, None), b"789"),
        ((-5, 2), b"56"),
        ((10, None), b""),
        ((4, 0), b""),
        ((-4, 0), b""),
        ((11, None), None),
        ((8, 4), None),
        ((-11, None), None),
        ((-3, 4), None),
        ((4, -1), None),
        ((2**70, 1), None),
        ((2**70, None), None),
        ((-(2**70), None), None),
    ],
)
def test_ranges_of_any_file_system(range: Any, due: bytes | None) -> None:
    fs = InFlight()
    fs.objects["root/x"] = b"0123456789"
    for store in (FsspecStore(fs, "root"), synchronous_store(b"0123456789")):
        if due is None:
            with config.set({"storage.retries": 0}), pytest.raises(StoreError) as caught:
                store.get("x", range)
            assert caught.value.key == "x"
        else:
            assert bytes(store.get("x", range) or b"") == due
        assert store.get("y", range) is None


@pytest.mark.parametrize("range", [(8, 4), (-11, None), (20, 4)])
def test_a_range_that_leaves_the_object_is_not_tried_again(range: Any) -> None:
    fs = InFlight()
    fs.objects["root/x"] = b"0123456789"
    with pytest.raises(StoreError, match="leaves the object, which has 10 bytes") as caught:
        FsspecStore(fs, "root").get("x", range)
    assert "tried" not in str(caught.value)
    assert fs.order.count("root/x") <= 2


def test_a_short_answer_for_an_object_of_unknown_size_is_not_absence() -> None:
    class Sizeless(InFlight):
        async def _info(self, path: str, **options: Any) -> dict[str, Any]:
            return {"name": path, "type": "file", "size": None}

    fs = Sizeless()
    fs.objects["root/x"] = b"0123456789"
    with (
        config.set({"storage.retries": 0}),
        pytest.raises(StoreError, match="2 bytes came for a range of 4"),
    ):
        FsspecStore(fs, "root").get("x", (8, 4))


def synchronous_store(data: bytes) -> FsspecStore:
    store = FsspecStore(MemoryFileSystem(global_store=False, skip_instance_cache=True), "/root")
    store.set("x", data)
    return store


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_a_web_server_is_read_through_caches(http_server: HttpServer, tmp_path: Path, kind: str) -> None:
    place = http_server.place()
    Path(place.folder, "a").mkdir()
    Path(place.folder, "a/x").write_bytes(b"0123456789")
    options = {kind: {"cache_storage": str(tmp_path)}}
    store = FsspecStore.from_url(f"{kind}::{place.url}", storage_options=options)
    for _ in range(2):
        assert bytes(store.get("a/x") or b"") == b"0123456789"
        assert bytes(store.get("a/x", (2, 3)) or b"") == b"234"
        assert bytes(store.get("a/x", (-2, None)) or b"") == b"89"
    assert store.get("a/y") is None
    assert list(store.list_prefix("a")) == ["a/x"]
    assert dict(store.list_sizes("")) == {"a/x": 10}
