"""Arrays that other libraries resize, and ours that they read: old data never come back in ours."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.peers.client import Peers
from tests.soak import count

KINDS: dict[str, dict[str, Any]] = {
    "v3": {"chunks": (3, 4)},
    "sharded": {"chunks": (2, 2), "shards": (4, 6)},
    "v2": {"chunks": (3, 4), "zarr_format": 2},
}

ZARR_RESIZE = """
import zarr
array = zarr.open_array(path, mode="r+")
if delete:
    array.resize(tuple(shape))
else:
    import zarr.core.sync
    zarr.core.sync.sync(array._async_array.resize(tuple(shape), delete_outside_chunks=False))
result = list(zarr.open_array(path, mode="r").shape)
"""

TENSORSTORE_RESIZE = """
import tensorstore
array = tensorstore.open({"driver": driver, "kvstore": {"driver": "file", "path": path}}).result()
array.resize(exclusive_max=shape, **options).result()
again = tensorstore.open({"driver": driver, "kvstore": {"driver": "file", "path": path}}).result()
result = list(again.shape)
"""


def shrink(peers: Peers, how: str, path: Path, kind: str, shape: tuple[int, ...]) -> None:
    if how.startswith("zarr"):
        found = peers.run(
            ZARR_RESIZE, path=str(path), shape=list(shape), delete=how != "zarr without deletion"
        )
    else:
        found = peers.run(
            TENSORSTORE_RESIZE,
            path=str(path),
            shape=list(shape),
            driver="zarr" if kind == "v2" else "zarr3",
            options={"resize_metadata_only": True} if how == "tensorstore metadata only" else {},
        )
    assert found == list(shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["zarr", "zarr without deletion", "tensorstore", "tensorstore metadata only"])
def test_what_a_peer_cut_off_does_not_come_back(how: str, kind: str, peers: Peers, tmp_path: Path) -> None:
    for number, grow in enumerate(("resize", "append", "resize twice", "shrink first")):
        path = tmp_path / f"a{number}"
        array = zarrc.create_array(path, shape=(12, 13), dtype="i4", fill_value=-7, **KINDS[kind])
        array[...] = 99
        shrink(peers, how, path, kind, (5, 6))
        array = zarrc.open_array(path)
        assert array.shape == (5, 6)
        wanted = np.full((12, 13), -7)
        wanted[:5, :6] = 99
        if grow == "append":
            array.append(np.full((2, 6), 3))
            wanted[5:7, :6] = 3
        elif grow == "resize twice":
            array.resize(5, 13)
        elif grow == "shrink first":
            array.resize(4, 5)
            wanted[4] = wanted[:, 5] = -7
        array.resize(12, 13)
        np.testing.assert_array_equal(array[...], wanted)
        for library in ("zarr", "tensorstore"):
            np.testing.assert_array_equal(peers.read(library, path), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_peers_read_what_was_resized_and_appended(kind: str, peers: Peers, tmp_path: Path) -> None:
    array = zarrc.create_array(tmp_path / "a", shape=(7, 6), dtype="i4", fill_value=-7, **KINDS[kind])
    array[...] = np.arange(42).reshape(7, 6)
    array.append(np.full((2, 6), 5))
    array.resize(8, 4)
    array.append(np.full((8, 1), 6), axis=1)
    for library in ("zarr", "tensorstore"):
        np.testing.assert_array_equal(peers.read(library, tmp_path / "a"), array[...])


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_cut_off_does_not_come_back_where_a_peer_grows(
    kind: str, peers: Peers, tmp_path: Path
) -> None:
    for how in ("zarr", "tensorstore"):
        path = tmp_path / how
        array = zarrc.create_array(path, shape=(12, 13), dtype="i4", fill_value=-7, **KINDS[kind])
        array[...] = 99
        array.resize(5, 6)
        shrink(peers, how, path, kind, (12, 13))
        wanted = np.full((12, 13), -7)
        wanted[:5, :6] = 99
        for library in ("zarr", "tensorstore"):
            np.testing.assert_array_equal(peers.read(library, path), wanted)


ZARR_CHANGE = """
import numpy
import zarr
array = zarr.open_array(path, mode="r+")
if what == "resize":
    array.resize(tuple(shape))
else:
    array.append(numpy.full(shape, value, "i4"), axis=axis)
result = list(array.shape)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_growing_and_appending_give_what_zarr_python_gives(kind: str, peers: Peers, tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(count(60)):
        ours, theirs = tmp_path / f"ours{number}", tmp_path / f"theirs{number}"
        shape = chance.randrange(1, 8), chance.randrange(1, 8)
        array = zarrc.create_array(ours, shape=shape, dtype="i4", fill_value=-7, **KINDS[kind])
        zarrc.create_array(theirs, shape=shape, dtype="i4", fill_value=-7, **KINDS[kind])
        for step in range(5):
            axis, value = chance.randrange(2), 10 * number + step
            new = list(array.shape)
            if chance.random() < 0.5:
                what, new = "resize", [extent + chance.randrange(4) for extent in new]
                array.resize(new)
            else:
                what, new[axis] = "append", chance.randrange(1, 4)
                array.append(np.full(new, value, "i4"), axis)
            found = peers.run(ZARR_CHANGE, path=str(theirs), what=what, shape=new, axis=axis, value=value)
            assert tuple(found) == array.shape
        np.testing.assert_array_equal(zarrc.open_array(theirs, mode="r")[...], array[...])
        np.testing.assert_array_equal(peers.read("zarr", ours), array[...])
