"""Consolidated metadata both ways with zarr-python, and groups as xarray opens them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from zarrc.errors import ZarrcWarning

PATHS = ["a", "a/b", "a/b/y", "a/empty", "x"]

# Zarr-python's group from consolidated metadata alone: its store counts what is read.
READ = """
import zarr, warnings
from zarr.storage import LocalStore
read = []
class Counting(LocalStore):
    async def get(self, key, *args, **kwargs):
        read.append(key)
        return await super().get(key, *args, **kwargs)
group = zarr.open_consolidated(Counting(store), zarr_format=zarr_format)
members = dict(group.members(max_depth=None))
result = {
    "paths": sorted(members),
    "shapes": {path: list(node.shape) for path, node in members.items() if hasattr(node, "shape")},
    "attributes": {path: dict(node.attrs) for path, node in members.items()},
    "root": dict(group.attrs),
    "read": sorted(set(read)),
    "x": group["x"][:].tolist(),
}
"""

WRITE = """
import zarr, numpy as np, warnings
warnings.simplefilter("ignore")
group = zarr.create_group(store, zarr_format=zarr_format, attributes={"root": 1})
group.create_array("x", data=np.arange(3), attributes={"unit": "m"})
group.create_array("a/b/y", shape=(4, 4), chunks=(2, 2), dtype="f4")
group.create_group("a/empty", attributes={"e": [1]})
zarr.consolidate_metadata(store)
result = None
"""


@pytest.fixture(params=[2, 3])
def zarr_format(request: pytest.FixtureRequest) -> Any:
    return request.param


def ours(path: Path, zarr_format: Any) -> zarrc.Group:
    root = zarrc.create_group(path, zarr_format=zarr_format, attributes={"root": 1})
    root.create_array("x", data=np.arange(3), attributes={"unit": "m"})
    root.create_array("a/b/y", shape=(4, 4), chunks=(2, 2), dtype="f4")
    root.create_group("a/empty", attributes={"e": [1]})
    return zarrc.consolidate_metadata(root)


def in_memory(path: Path) -> dict[str, bytes]:
    """A copy in which nothing is a file, so that the document alone is what is read."""
    objects: dict[str, bytes] = {}
    zarrc.copy_store(path, objects)
    return objects


def test_zarr_python_reads_ours(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    ours(tmp_path / "s", zarr_format)
    found = peers.run(READ, store=str(tmp_path / "s"), zarr_format=zarr_format)
    assert found["paths"] == PATHS
    assert found["shapes"] == {"x": [3], "a/b/y": [4, 4]}
    assert found["root"] == {"root": 1}
    assert found["attributes"]["x"] == {"unit": "m"}
    assert found["attributes"]["a/empty"] == {"e": [1]}
    assert found["x"] == [0, 1, 2]
    documents = {"zarr.json"} if zarr_format == 3 else {".zgroup", ".zattrs", ".zmetadata"}
    assert {key for key in found["read"] if "/c/" not in key and key != "x/0"} == documents


def test_zarr_python_reads_what_was_kept_fresh(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    group = ours(tmp_path / "s", zarr_format)
    array: Any = group["x"]
    array.append(np.arange(3, 5))
    group.move("a/b", "moved/b")
    group["a/empty"].attrs["e"] = 2
    group.create_array("new/z", shape=3)
    found = peers.run(READ, store=str(tmp_path / "s"), zarr_format=zarr_format)
    assert found["paths"] == ["a", "a/empty", "moved", "moved/b", "moved/b/y", "new", "new/z", "x"]
    assert found["x"] == [0, 1, 2, 3, 4]
    assert found["attributes"]["a/empty"] == {"e": 2}
    assert not [key for key in found["read"] if key.endswith(("/zarr.json", "/.zarray", "/.zgroup"))]


def test_we_read_zarr_pythons(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    peers.run(WRITE, store=str(tmp_path / "s"), zarr_format=zarr_format)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for store in (tmp_path / "s", in_memory(tmp_path / "s")):
            group = zarrc.open_consolidated(store, use_consolidated="check")
            assert [path for path, _ in group.members(None)] == PATHS
            assert dict(group["x"].attrs) == {"unit": "m"}
            assert group["x"][...].tolist() == [0, 1, 2]  # type: ignore[index]
            assert group["a/b/y"].shape == (4, 4)  # type: ignore[union-attr]
    # Without the members' own documents: it is the consolidated ones that are read.
    objects = in_memory(tmp_path / "s")
    for key in [key for key in objects if key.endswith(("/zarr.json", "/.zarray", "/.zgroup", "/.zattrs"))]:
        del objects[key]
    alone = zarrc.open_consolidated(objects)
    assert [path for path, _ in alone.members(None)] == PATHS
    assert alone["x"][...].tolist() == [0, 1, 2]  # type: ignore[index]


def test_we_keep_zarr_pythons_fresh(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    peers.run(WRITE, store=str(tmp_path / "s"), zarr_format=zarr_format)
    group = zarrc.open_consolidated(tmp_path / "s")
    group.create_group("n/m")
    del group["a/b"]
    found = peers.run(READ, store=str(tmp_path / "s"), zarr_format=zarr_format)
    assert found["paths"] == ["a", "a/empty", "n", "n/m", "x"]


def test_what_zarr_python_leaves_out_of_date_is_noticed(
    peers: Peers, tmp_path: Path, zarr_format: Any
) -> None:
    """Resized and created by zarr-python, after which its own consolidated metadata hide both."""
    place = tmp_path / "s"
    ours(place, zarr_format)
    change = """
import zarr
group = zarr.open_group(store, mode="r+", use_consolidated=False)
group["x"].resize((9,))
group.create_group("hidden")
result = None
"""
    peers.run(change, store=str(place), zarr_format=zarr_format)
    group = zarrc.open_consolidated(place)
    assert group["x"].shape == (9,)  # type: ignore[union-attr]
    assert "hidden" in group
    with pytest.warns(ZarrcWarning, match=r"'hidden', 'x'"):
        checked = zarrc.open_consolidated(in_memory(place), use_consolidated="check")
    assert checked["x"].shape == (9,)  # type: ignore[union-attr]


def test_xarray_opens_our_groups(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    root = zarrc.create_group(tmp_path / "s", zarr_format=zarr_format, attributes={"title": "air"})
    names: dict[str, Any] = {"time": ("time",), "lat": ("lat",), "air": ("time", "lat")}
    data = {"time": np.arange(1, 5), "lat": np.linspace(1, 9, 3), "air": np.arange(1, 13.0).reshape(4, 3)}
    for group in (root, root.create_group("sub")):
        for name, dimensions in names.items():
            if zarr_format == 3:
                group.create_array(name, data=data[name], dimension_names=dimensions)
            else:
                group.create_array(name, data=data[name], attributes={"_ARRAY_DIMENSIONS": list(dimensions)})
    program = """
import xarray as xr
read = xr.open_zarr(store, consolidated=consolidated)
tree = xr.open_datatree(store, engine="zarr", consolidated=consolidated)
result = {
    "air": read.air.values.tolist(), "dims": list(read.air.dims), "coords": sorted(read.coords),
    "attrs": read.attrs, "groups": list(tree.groups), "sub": float(tree["sub"].air.sum()),
}
"""
    wanted = {
        "air": data["air"].tolist(), "dims": ["time", "lat"], "coords": ["lat", "time"],
        "attrs": {"title": "air"}, "groups": ["/", "/sub"], "sub": 78.0,
    }  # fmt: skip
    assert peers.run(program, store=str(tmp_path / "s"), consolidated=False) == wanted
    zarrc.consolidate_metadata(tmp_path / "s")
    assert peers.run(program, store=str(tmp_path / "s"), consolidated=True) == wanted


def test_we_open_what_xarray_writes(peers: Peers, tmp_path: Path, zarr_format: Any) -> None:
    program = """
import xarray as xr, numpy as np
data = xr.Dataset({"air": (("time", "lat"), np.arange(6.0).reshape(3, 2))}, {"time": [1, 2, 3]}, {"t": 1})
data.to_zarr(store, zarr_format=zarr_format, consolidated=True)
result = None
"""
    peers.run(program, store=str(tmp_path / "s"), zarr_format=zarr_format)
    for store in (tmp_path / "s", in_memory(tmp_path / "s")):
        group = zarrc.open_consolidated(store)
        assert list(group) == ["air", "time"]
        assert group["air"][...].tolist() == [[0, 1], [2, 3], [4, 5]]  # type: ignore[index]
        assert group.attrs["t"] == 1


def test_the_stamps_do_not_hinder_others(peers: Peers, tmp_path: Path) -> None:
    ours(tmp_path / "s", 3)
    block = json.loads((tmp_path / "s/zarr.json").read_text())["consolidated_metadata"]
    assert set(block["stamps"]) == {f"{path}/zarr.json" for path in PATHS}
    again = """
import zarr, warnings
warnings.simplefilter("ignore")
group = zarr.open_group(store, mode="r+")
group.attrs["root"] = 2
result = sorted(dict(group.members(max_depth=None)))
"""
    assert peers.run(again, store=str(tmp_path / "s")) == PATHS
    group = zarrc.open_consolidated(tmp_path / "s")
    assert group.attrs["root"] == 2
    assert [path for path, _ in group.members(None)] == PATHS
