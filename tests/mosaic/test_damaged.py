"""Descriptions of mosaics that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from zarrc import mosaic
from zarrc.errors import (
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
)
from zarrc.mosaic.document import Description
from zarrc.mosaic.handle import checked_tiling
from zarrc.mosaic.tile import Tile
from zarrc.mosaic.tiling import Tiling


def damaged(store: Any, **changes: Any) -> None:
    """Change a mosaic's description as an editor would."""
    group = zarrc.open_group(store)
    found = group.attrs["zarrc_mosaic"]
    for name, value in changes.items():
        if value is ...:
            del found[name]
        else:
            found[name] = value
    del group.attrs["zarrc_mosaic"]
    group.attrs["zarrc_mosaic"] = found


def tile(path: Any = "0", start: Any = (0,), shape: Any = (4,)) -> dict[str, Any]:
    return {"path": path, "start": start, "shape": shape}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version: must be 1, got 2"),
        ({"version": ...}, "'version' is missing"),
        ({"version": True}, "version: must be 1"),
        ({"shape": [-4]}, r"shape\[0\]: must be in"),
        ({"shape": [4.0]}, r"shape\[0\]: must be an integer"),
        ({"shape": [2**64]}, r"shape\[0\]: must be in"),
        ({"shape": [1] * 33}, "33 dimensions; at most 32"),
        ({"shape": [5]}, r"no tile covers \[4:5\]"),
        ({"shape": [4, 4]}, "has a start of 1"),
        ({"data_type": "float33"}, "data_type"),
        ({"data_type": "float32"}, "data type float64, not float32"),
        ({"fill_value": "x"}, "fill_value"),
        ({"overlap": "some"}, "overlap: must be one of"),
        ({"gaps": 1}, "gaps: must be one of"),
        ({"more": 1}, "unknown key 'more'"),
        ({"dimension_names": ["x", "y"]}, "2 names do not fit"),
        ({"dimension_names": [1]}, r"dimension_names\[0\]: must be a string"),
        ({"tiles": {}}, "tiles: must be a list"),
        ({"tiles": [1]}, r"tiles\[0\]: must be an object"),
        ({"tiles": [{"path": "0"}]}, "'start' is missing"),
        ({"tiles": [tile(start=[1])]}, "reaches out"),
        ({"tiles": [tile(shape=[2**63 - 1], start=[1])]}, "reaches out"),
        ({"tiles": [tile(shape=[0])]}, "has no elements"),
        ({"tiles": [tile(), tile()]}, r"tiles\[1\]: '0' is a tile already"),
        ({"tiles": [tile(), tile(path="1")]}, "overlap at"),
        ({"tiles": [tile(path="../0")]}, "path"),
        ({"tiles": [tile(path="/0")]}, "must be the path of a node below"),
        ({"tiles": [tile(path="")]}, "must be the path of a node below"),
        ({"tiles": [tile(path=1)]}, "path: must be a string"),
        ({"tiles": [tile(path="1")]}, "tile '1' at .* is not there"),
        ({"tiles": [tile(shape=[3]), tile(path="1", start=[3], shape=[1])]}, "has another shape"),
    ],
)
def test_a_description_that_lies_is_an_error(changes: dict[str, Any], words: str) -> None:
    store = zarrc.storage.MemoryStore()
    mosaic.create(store, shape=(4,), tiles={0: 4})
    damaged(store, **changes)
    with pytest.raises((MetadataError, NodeNotFoundError), match=words):
        mosaic.open(store)


def test_a_tile_that_is_a_group_is_an_error() -> None:
    store = zarrc.storage.MemoryStore()
    m = mosaic.create(store, shape=(4,), tiles={0: 4})
    del m.group["0"]
    with pytest.raises(NodeNotFoundError, match=r"tile '0' at .* is not there"):
        mosaic.open(store)
    later = mosaic.open(store, check=False)
    with pytest.raises(NodeNotFoundError):
        later[0]
    with pytest.raises(NodeNotFoundError):
        later[0] = 1
    m.group.create_group("0")
    with pytest.raises(MetadataError, match="is a group"):
        mosaic.open(store)


def test_a_plain_group_is_no_mosaic(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "g.zarr")
    with pytest.raises(MetadataError, match="is no mosaic"):
        mosaic.open(tmp_path / "g.zarr")
    zarrc.create_array(tmp_path / "a.zarr", shape=(3,))
    with pytest.raises(GroupNotFoundError):
        mosaic.open(tmp_path / "a.zarr")
    with pytest.raises(GroupNotFoundError):
        mosaic.open(tmp_path / "nothing.zarr")


def test_tiles_that_overlap_in_too_many_ways_are_an_error() -> None:
    n = 3000
    tiles = [Tile(str(i), (i, 0), (n, n)) for i in range(n)]
    with pytest.raises(MetadataError, match="more ways than can be kept apart"):
        Tiling((2 * n, n), tiles, "first")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.data())
def test_any_description_opens_or_is_an_error(data: st.DataObject) -> None:
    good: dict[str, Any] = {
        "version": 1,
        "shape": [4],
        "data_type": "float64",
        "fill_value": 0.0,
        "overlap": "first",
        "gaps": "fill",
        "dimension_names": ["x"],
        "tiles": [tile(start=[0], shape=[3]), tile(path="b", start=[1], shape=[3])],
    }
    wrong = data.draw(st.sampled_from((*good, "path", "start", "shape of a tile", "new")))
    value = data.draw(json_values | st.sampled_from(([], [[]], [2**63 - 1], [-1], "", "a", {}, 2**63)))
    if wrong in ("path", "start", "shape of a tile"):
        good["tiles"][1][wrong.partition(" ")[0]] = value
    else:
        good[wrong] = value
    said = "tile"
    try:
        checked_tiling(Description.from_json(good, "zarr.json"))
    except MetadataError as error:
        said = str(error)
    assert "attributes.zarrc_mosaic" in said or "tile" in said
