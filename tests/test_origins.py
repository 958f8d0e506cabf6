"""What is to be replaced by data that are read from it is refused, and stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.tools.places import PLACES, new_store
from zarrc import mosaic

_REFUSED = "is the source itself, or holds it|holds the source|tile of the source"


@pytest.fixture(params=PLACES)
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    group: Any = zarrc.create_group(new_store(request.param, tmp_path / "g"))
    group["z"] = np.arange(5) + 1
    group["a/x"] = np.ones(3)
    group["a/keep"] = np.ones(9)
    return group


def _contents(group: Any) -> dict[str, Any]:
    return {key: bytes(group.store.get(key)) for key in group.store.list_prefix("")}


_VIEWS: dict[str, Callable[[Any], Any]] = {
    "an array": lambda a: a,
    "a reversed view": lambda a: a.lazy[::-1],
    "a part": lambda a: a.lazy[:3],
    "a cast": lambda a: a.lazy.astype("f4"),
}
_STORES: dict[str, Callable[[Any, Any], Any]] = {
    "assignment": lambda g, view: g.__setitem__("z", view),
    "create_array": lambda g, view: g.create_array("z", data=view, overwrite=True),
    "save_array": lambda g, view: zarrc.save_array(g.store, view, path="z", mode="w"),
    "save": lambda g, view: zarrc.save(g.store, view, path="z", mode="w"),
    "save_group": lambda g, view: zarrc.save_group(g.store, view, mode="w"),
    "open_array": lambda g, view: zarrc.open_array(g.store, path="z", mode="w", data=view),
    "open": lambda g, view: zarrc.open(g.store, path="z", mode="w", data=view),
    "from_array": lambda g, view: zarrc.from_array(g.store, name="z", data=view, overwrite=True),
    "update": lambda g, view: g.update({"other": np.ones(2), "z": view}),
    "a dict": lambda g, view: g.__setitem__("z", {"new": view}),
    "a dict in a dict": lambda g, view: g.__setitem__("z", {"n": np.ones(2), "d": {"new": view}}),
    "an array above": lambda g, view: zarrc.create_array(g.store, data=view, overwrite=True),
}


@pytest.mark.parametrize("how", _STORES)
@pytest.mark.parametrize("kind", _VIEWS)
def test_an_array_is_not_replaced_by_what_is_read_from_it(group: Any, kind: str, how: str) -> None:
    before = _contents(group)
    with pytest.raises(ValueError, match=_REFUSED):
        _STORES[how](group, _VIEWS[kind](group["z"]))
    assert _contents(group) == before


def test_a_view_of_another_array_is_stored(group: Any) -> None:
    group["z"] = group["a/x"].lazy[:2]
    assert group["z"][:].tolist() == [1, 1]
    group["z"] = np.asarray(group["z"].lazy[::-1])
    assert group["z"][:].tolist() == [1, 1]


def test_a_view_is_known_in_a_store_of_another_root(tmp_path: Path) -> None:
    group: Any = zarrc.create_group(tmp_path / "g")
    group["s/z"] = np.arange(5)
    inside: Any = zarrc.open_array(tmp_path / "g" / "s" / "z")
    with pytest.raises(ValueError, match=_REFUSED):
        group["s"] = inside.lazy[::-1]
    with pytest.raises(ValueError, match=_REFUSED):
        group["s/z"] = inside.lazy[::-1]
    assert group["s/z"][:].tolist() == [0, 1, 2, 3, 4]


def test_a_mosaic_does_not_replace_its_tiles(group: Any) -> None:
    made: Any = mosaic.create(group.store, path="m", shape=4, tiles={(0,): (2,), (2,): (2,)}, dtype="i4")
    made[...] = [1, 2, 3, 4]
    before = _contents(group)
    first = made.tiles[0].path
    for path in ("m", f"m/{first}"):
        with pytest.raises(ValueError, match=_REFUSED):
            group[path] = made
        with pytest.raises(ValueError, match=_REFUSED):
            zarrc.save_array(group.store, made, path=path, mode="w")
        with pytest.raises(ValueError, match=_REFUSED):
            group[path] = {"x": made}
    assert _contents(group) == before
    group["m/whole"] = made
    assert group["m/whole"][:].tolist() == [1, 2, 3, 4]


def test_a_mosaic_is_known_in_a_store_of_another_root(tmp_path: Path) -> None:
    made: Any = mosaic.create(tmp_path / "m", shape=4, tiles={(0,): (2,), (2,): (2,)}, dtype="i4")
    made[...] = [1, 2, 3, 4]
    with pytest.raises(ValueError, match=_REFUSED):
        zarrc.save_array(tmp_path / "m" / made.tiles[1].path, made, mode="w")
    assert made[...].tolist() == [1, 2, 3, 4]


class _PeerStore:
    def __init__(self, root: Path) -> None:
        self.root = root


class _PeerPath:
    def __init__(self, root: Path, path: str) -> None:
        self.store = _PeerStore(root)
        self.path = path


class _Peer:
    """An array that says its place as zarr-python's do."""

    shape, dtype, chunks = (5,), np.dtype("i8"), (5,)

    def __init__(self, root: Path, path: str) -> None:
        self.store_path = _PeerPath(root, path)

    def __getitem__(self, key: Any) -> Any:
        return np.arange(5)[key]


class _Graph:
    """A dask array, as far as it is asked."""

    shape, dtype, chunks = (5,), np.dtype("i8"), ((5,),)

    def __init__(self, source: Any) -> None:
        self._graph = {"array": source, ("get", 0): (np.asarray, "array", [slice(None)])}

    def __dask_graph__(self) -> Any:
        return self._graph

    def __getitem__(self, key: Any) -> Any:
        return np.arange(5)[key]


@pytest.mark.parametrize("wrap", [lambda data: data, _Graph], ids=["itself", "in a graph"])
def test_other_libraries_arrays_are_known_by_their_directory(tmp_path: Path, wrap: Any) -> None:
    group: Any = zarrc.create_group(tmp_path / "g")
    group["z"] = np.arange(5)
    group["other"] = wrap(_Peer(tmp_path / "g", "z"))
    for peer in (_Peer(tmp_path / "g", "z"), _Peer(tmp_path / "g" / "z", "")):
        with pytest.raises(ValueError, match=_REFUSED):
            group["z"] = wrap(peer)
    assert group["z"][:].tolist() == group["other"][:].tolist() == [0, 1, 2, 3, 4]


def test_a_task_graph_is_looked_into(group: Any) -> None:
    with pytest.raises(ValueError, match=_REFUSED):
        group["z"] = _Graph(group["z"])
    assert group["z"][:].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("inline", [False, True])
def test_a_dask_array_does_not_replace_its_source(group: Any, inline: bool) -> None:
    dask_array = pytest.importorskip("dask.array")
    made = dask_array.from_array(group["z"], chunks=2, inline_array=inline)
    for data in (made, made[::-1], made + 1, (made + made.sum()).rechunk(5)):
        with pytest.raises(ValueError, match=_REFUSED):
            group["z"] = data
    assert group["z"][:].tolist() == [1, 2, 3, 4, 5]


# --- dicts and groups


@pytest.mark.parametrize(
    "members",
    [
        lambda g: {"x": g["a/x"], "n": np.ones(2)},
        lambda g: {"n": np.ones(2), "x": g["a/x"].lazy[:2]},
        lambda g: {"n": np.ones(2), "d": {"g": g["a"]}},
        lambda g: {"n": np.ones(2), "all": g},
        lambda g: {"x": np.ones(2), "x/y": np.ones(2)},
        lambda g: {"x/y": np.ones(2), "x": np.ones(2)},
        lambda g: {"x": np.ones(2), "/x": np.ones(2)},
    ],
)
@pytest.mark.parametrize("how", ["assignment", "save_group", "save"])
def test_nothing_is_deleted_for_members_that_cannot_be_stored(group: Any, members: Any, how: str) -> None:
    stores = {
        "assignment": lambda: group.__setitem__("a", members(group)),
        "save_group": lambda: zarrc.save_group(group.store, path="a", mode="w", **members(group)),
        "save": lambda: zarrc.save(group.store, path="a", mode="w", **members(group)),
    }
    before = _contents(group)
    with pytest.raises(ValueError, match=r"source|twice|to be an array"):
        stores[how]()
    assert _contents(group) == before


def test_nothing_is_deleted_for_a_group_with_a_damaged_member(group: Any) -> None:
    other: Any = zarrc.create_group()
    other["g/x"] = np.ones(2)
    other.store.set("g/x/zarr.json", b"{")
    before = _contents(group)
    for members in ({"n": np.ones(2), "g": other["g"]}, {"d": {"g": other["g"]}}):
        with pytest.raises(zarrc.errors.MetadataError):
            group["a"] = members
        with pytest.raises(zarrc.errors.MetadataError):
            zarrc.save_group(group.store, path="a", mode="w", **members)
    assert _contents(group) == before


def test_members_that_are_exchanged_in_turn_are_refused(group: Any) -> None:
    group["y"] = np.zeros(2)
    before = _contents(group)
    with pytest.raises(ValueError, match=_REFUSED):
        group.update({"z": group["y"], "y": group["z"]})
    assert _contents(group) == before
    group.update({"y": group["z"], "z": np.zeros(1)})
    assert group["y"][:].tolist() == [1, 2, 3, 4, 5]
