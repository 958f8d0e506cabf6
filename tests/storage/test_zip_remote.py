"""Zip archives on servers: by ranges, one request a member; new ones uploaded when they are whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import zarrc
from tests.servers.places import Place
from tests.servers.servers import HttpServer, RemoteServer
from zarrc.errors import StoreConflictError, StoreError
from zarrc.storage import ZipStore


def test_an_array_is_read_by_one_range_for_each_chunk(http_server: HttpServer) -> None:
    place = http_server.place()
    data = np.random.default_rng(0).integers(0, 2**31, 10_000)
    zarrc.save_array(Path(place.folder) / "x.zip", data, chunks=(100,))
    http_server.ask("clear")
    array = zarrc.open_array(f"{place.url}/x.zip", mode="r")
    opening = [(record["method"], record["range"] is not None) for record in http_server.ask("requests")]
    # Size, directory, document.
    assert opening == [("HEAD", False), ("GET", True), ("GET", True)]
    http_server.ask("clear")
    np.testing.assert_array_equal(array[...], data)
    requests = http_server.ask("requests")
    assert len(requests) == 100
    assert all(record["range"] for record in requests)
    np.testing.assert_array_equal(zarrc.load(f"zip::{place.url}/x.zip"), data)


def test_a_url_with_a_signature_is_an_archive(http_server: HttpServer) -> None:
    place = http_server.place()
    zarrc.save(Path(place.folder) / "x.zip", np.arange(5))
    url = f"{place.url}/x.zip?signature=very-secret/%2B"
    store = zarrc.open_array(url, mode="r").store
    assert isinstance(store, ZipStore)
    assert zarrc.load(url).tolist() == list(range(5))
    assert "very-secret" not in f"{store} {store!r} {store.path} {store.missing_hint()}"


def test_an_archive_that_changes_on_the_server_is_read_again(http_server: HttpServer) -> None:
    place = http_server.place()
    path = Path(place.folder) / "x.zip"
    for number in range(3):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("pad", random.Random(number).randbytes(number * 100))
            archive.writestr("a", bytes([number]) * 5000)
        if number == 0:
            store = ZipStore(f"{place.url}/x.zip", mode="r")
        for wanted in (None, (10, 20)):
            blob = store.get("a", wanted)
            assert blob is not None
            assert set(bytes(blob)) == {number}
    path.unlink()
    with pytest.raises(StoreError):
        store.get("a")


def test_archives_on_servers_are_written_as_a_whole(remote_place: Place) -> None:
    url, options = remote_place.at("x.zip"), dict(remote_place.storage_options)
    with ZipStore(url, storage_options=options) as store:
        zarrc.save(store, a=np.arange(100), b=np.ones((4, 4)))
    group = zarrc.open_group(url, mode="r", storage_options=options)
    assert zarrc.open_array(group.store, path="a", mode="r")[7] == 7
    with ZipStore(url, storage_options=options) as store:
        zarrc.open_array(store, path="a")[3] = -1
    assert zarrc.load(url, "a", storage_options=options)[:5].tolist() == [0, 1, 2, -1, 4]
    with pytest.raises(StoreConflictError):
        ZipStore(url, mode="x", storage_options=options)


def test_somebody_elses_upload_is_not_written_over(remote_place: Place) -> None:
    from zarrc.storage import make_store

    outer, _ = make_store(remote_place.url, storage_options=dict(remote_place.storage_options))
    one = ZipStore.from_store(outer, "x.zip")
    one.set("a", b"1")
    outer.set("x.zip", b"PK\5\6" + bytes(18))
    with pytest.raises(StoreConflictError):
        one.flush()
    one.discard()
    assert list(one.list_prefix("")) == []


def test_what_was_written_is_uploaded_when_the_program_ends(s3_server: RemoteServer) -> None:
    place = s3_server.place()
    program = (
        "import json, sys, zarrc\n"
        "options = json.loads(sys.argv[2])\n"
        "a = zarrc.create_array(sys.argv[1], shape=5, dtype='i4', storage_options=options)\n"
        "a[:] = 7\n"
    )
    url = f"{place.url}/x.zip"
    command = [sys.executable, "-c", program, url, json.dumps(place.storage_options)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert zarrc.load(url, storage_options=place.storage_options).tolist() == [7] * 5
