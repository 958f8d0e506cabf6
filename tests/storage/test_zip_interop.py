"""Zip archives between zarrc and zarr-python, both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from zarrc.storage import ZipStore, zip_home

READ = """
import zarr
from zarr.storage import ZipStore
group = zarr.open_group(ZipStore(path, mode="r"), mode="r")
result = {name: array[...].tolist() for name, array in group.arrays()}
result["attributes"] = dict(group.attrs)
"""
WRITE = """
import zarr, zipfile
from zarr.storage import ZipStore
store = ZipStore(path, mode=mode, compression=getattr(zipfile, compression))
group = zarr.open_group(store, mode="a", zarr_format=zarr_format)
for name, shards in names.items():
    array = group.create_array(name, shape=(20,), chunks=(5,), dtype="i4", shards=shards)
    array[:] = list(range(20))
group.attrs["title"] = "by zarr-python"
store.close()
result = None
"""


@pytest.mark.parametrize("compression", ["stored", "deflate"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_python_reads_what_zarrc_wrote(
    tmp_path: Path, peers: Peers, compression: str, zarr_format: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.zip"
    monkeypatch.setattr(zip_home, "_SMALL", 0)
    with ZipStore(path, compression=compression) as store:  # type: ignore[arg-type]
        group = zarrc.open_group(store, mode="w", zarr_format=zarr_format, attributes={"title": "t"})  # type: ignore[arg-type]
        array = group.create_array("a", data=np.arange(20, dtype="i4"), chunks=(5,))
        group.create_array("b", data=np.ones((2, 2)))
        store.flush()
        array[3:8] = -1
        group.attrs["more"] = [1, 2]
        store.flush()
    expected = list(range(20))
    expected[3:8] = [-1] * 5
    assert peers.run(READ, path=str(path)) == {
        "a": expected,
        "b": [[1, 1], [1, 1]],
        "attributes": {"title": "t", "more": [1, 2]},
    }


@pytest.mark.parametrize("compression", ["ZIP_STORED", "ZIP_DEFLATED"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarrc_reads_and_continues_what_zarr_python_wrote(
    tmp_path: Path, peers: Peers, compression: str, zarr_format: int
) -> None:
    path = tmp_path / "x.zip"
    names = {"a": None, "s": [10]} if zarr_format == 3 else {"a": None}
    # Their attributes come with a second member of one name.
    peers.run(WRITE, path=str(path), mode="w", compression=compression, zarr_format=zarr_format, names=names)
    group = zarrc.open_group(path, mode="a")
    assert group.attrs["title"] == "by zarr-python"
    for name in names:
        assert zarrc.load(path, name).tolist() == list(range(20))
        zarrc.open_array(path, path=name, mode="r+")[5:7] = 0
    group.attrs["title"] = "by zarrc"
    group.store.close()
    found = peers.run(READ, path=str(path))
    assert found["attributes"] == {"title": "by zarrc"}
    expected = [*range(5), 0, 0, *range(7, 20)]
    assert all(found[name] == expected for name in names)
    more = {"later": None}
    peers.run(WRITE, path=str(path), mode="a", compression=compression, zarr_format=zarr_format, names=more)
    assert zarrc.load(path, "later").tolist() == list(range(20))
    assert zarrc.open_group(path, mode="r").attrs["title"] == "by zarr-python"
