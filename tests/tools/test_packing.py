"""Packing into zip archives and unpacking: whole or not at all, objects as they are."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import ContainsNodeError, StoreError
from zarrc.storage import LocalStore, MemoryStore, Store, ZipStore
from zarrc.tools import pack, unpack


@pytest.fixture
def source(tmp_path: Path) -> Path:
    group = zarrc.open_group(tmp_path / "s.zarr", mode="w", attributes={"title": "t"})
    group.create_array("a", data=np.arange(1000).reshape(10, 100), chunks=(1, 10))
    group.create_array("sub/b", data=np.ones(10), zarr_format=3)
    return tmp_path / "s.zarr"


def objects(store: Store) -> dict[str, bytes]:
    found = {key: store.get(key) for key in store.list_prefix("")}
    return {key: bytes(blob) for key, blob in found.items() if blob is not None}


def test_packing_and_unpacking_give_the_same_objects(source: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    wanted = objects(LocalStore(source))
    done = pack(source, tmp_path / "x.zip", progress=lambda *numbers: told.append(numbers))
    assert (done.n_copied, done.n_bytes_copied) == (len(wanted), sum(map(len, wanted.values())))
    assert told == [(len(wanted), len(wanted))]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == wanted
        # What makes a node comes after what is in it.
        assert archive.namelist()[-1] == "zarr.json"
    assert zarrc.open_array(tmp_path / "x.zip", path="a", mode="r")[3, 4] == 304
    assert unpack(tmp_path / "x.zip", tmp_path / "y.zarr").n_copied == len(wanted)
    assert objects(LocalStore(tmp_path / "y.zarr")) == wanted
    assert sorted(os.listdir(tmp_path)) == ["s.zarr", "x.zip", "y.zarr"]


def test_places_of_all_kinds(source: Path, tmp_path: Path) -> None:
    pack(zarrc.open(source).store_path, "memory://packed/x.zip")
    memory = MemoryStore()
    unpack("zip::memory://packed/x.zip", memory)
    assert objects(memory) == objects(LocalStore(source))
    pack(memory, tmp_path / "d.zip", compression="deflate")
    unpack(tmp_path / "d.zip", tmp_path / "e.zip")
    assert objects(ZipStore(tmp_path / "e.zip")) == objects(memory)
    unpack(f"{tmp_path}/d.zip/a", tmp_path / "a.zarr")
    assert zarrc.load(tmp_path / "a.zarr").shape == (10, 100)
    pack(source / "a", tmp_path / "a.zip")
    assert zarrc.load(tmp_path / "a.zip").shape == (10, 100)
    os.rename(tmp_path / "a.zip", tmp_path / "packed")
    unpack(tmp_path / "packed", zarrc.storage.StorePath(memory, "below"))
    assert zarrc.load(memory, "below").shape == (10, 100)


def test_what_is_there_is_replaced_only_when_asked(source: Path, tmp_path: Path) -> None:
    zarrc.save(tmp_path / "x.zip", np.arange(3))
    zarrc.save(tmp_path / "y.zarr", np.arange(4))
    before = (tmp_path / "x.zip").read_bytes()
    with pytest.raises(ContainsNodeError, match="there already"):
        pack(source, tmp_path / "x.zip")
    with pytest.raises(ContainsNodeError, match="there already"):
        unpack(tmp_path / "x.zip", tmp_path / "y.zarr")
    assert (tmp_path / "x.zip").read_bytes() == before
    assert zarrc.load(tmp_path / "y.zarr").tolist() == [0, 1, 2, 3]
    pack(source, tmp_path / "x.zip", overwrite=True)
    assert objects(ZipStore(tmp_path / "x.zip")) == objects(LocalStore(source))
    (tmp_path / "y.zarr" / "notes.txt").write_text("goes, too")
    unpack(tmp_path / "x.zip", tmp_path / "y.zarr", overwrite=True)
    assert objects(LocalStore(tmp_path / "y.zarr")) == objects(LocalStore(source))
    memory: dict[str, Any] = {"old": b""}
    with pytest.raises(ContainsNodeError):
        unpack(tmp_path / "x.zip", memory)
    unpack(tmp_path / "x.zip", memory, overwrite=True)
    assert memory.keys() == objects(LocalStore(source)).keys()
    (tmp_path / "dir.zip").mkdir()
    with pytest.raises(ContainsNodeError):
        pack(source, tmp_path / "dir.zip", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["dir.zip", "s.zarr", "x.zip", "y.zarr"]


class Failing(LocalStore):
    """Gives out some objects, then none."""

    left = 40

    def get_many(self, requests: Any) -> Iterator[Any]:
        for one in super().get_many(requests):
            self.left -= 1
            if self.left < 0:
                raise StoreError("the cable is out")
            yield one


def test_a_failure_leaves_what_was_there(source: Path, tmp_path: Path) -> None:
    zarrc.save(tmp_path / "x.zip", np.arange(3))
    for name in ("x.zip", "new.zip"):
        with pytest.raises(StoreError, match="cable"):
            pack(Failing(source), tmp_path / name, overwrite=True)
    assert zarrc.load(tmp_path / "x.zip").tolist() == [0, 1, 2]
    pack(source, tmp_path / "y.zip")
    data = bytearray((tmp_path / "y.zip").read_bytes())
    data[data.index(b'"title"') + 3] ^= 1
    (tmp_path / "y.zip").write_bytes(data)
    zarrc.save(tmp_path / "y.zarr", np.arange(4))
    for name in ("y.zarr", "new.zarr"):
        with pytest.raises(StoreError, match="CRC-32"):
            unpack(tmp_path / "y.zip", tmp_path / name, overwrite=True)
    assert zarrc.load(tmp_path / "y.zarr").tolist() == [0, 1, 2, 3]
    assert sorted(os.listdir(tmp_path)) == ["s.zarr", "x.zip", "y.zarr", "y.zip"]


def test_refusals(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is nothing at .*nothing"):
        pack(tmp_path / "nothing", tmp_path / "x.zip")
    with pytest.raises(ValueError, match="packed into itself"):
        pack(source, source / "x.zip")
    pack(source, tmp_path / "x.zip")
    with pytest.raises(ValueError, match="is the source itself"):
        pack(tmp_path / "x.zip", tmp_path / "x.zip", overwrite=True)
    with pytest.raises(StoreError, match="no zip archive"):
        unpack(source, tmp_path / "y")
    with pytest.raises(StoreError, match=r"nothing at .*there is no zip archive"):
        unpack(tmp_path / "none.zip", tmp_path / "y")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(StoreError, match="not a zip archive"):
        unpack(tmp_path / "text.zip", tmp_path / "y")
    assert sorted(os.listdir(tmp_path)) == ["s.zarr", "text.zip", "x.zip"]


def test_members_that_lead_elsewhere_stay_in_the_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("../evil", "/evil", "a/../../evil", "good"):
            archive.writestr(name, b"")
    unpack(tmp_path / "x.zip", tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".zip"] == ["good"]
