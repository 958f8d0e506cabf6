"""What `copy_array` refuses before it has done anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.tools.places import PLACES, new_store
from zarrc.errors import ArrayNotFoundError, ContainsArrayError, ContainsGroupError, ReadOnlyError


@pytest.mark.parametrize("place", PLACES)
def test_the_source_itself_is_refused(place: str, tmp_path: Path) -> None:
    store = new_store(place, tmp_path / "s")
    source: Any = zarrc.create_array(store, name="g/a", shape=(9,), chunks=(2,), dtype="i4")
    source[...] = 1
    with pytest.raises(ValueError, match="is the source itself"):
        zarrc.copy_array(source, zarrc.open_array(store, path="g/a"))
    for name in ("g/a", "g"):
        with pytest.raises(ValueError, match="is the source itself"):
            zarrc.copy_array(source, store, name=name, overwrite=True)
    if place == "local":
        (tmp_path / "link").symlink_to(tmp_path / "s" / "g" / "a")
        with pytest.raises(ValueError, match="is the source itself"):
            zarrc.copy_array(source, zarrc.open_array(tmp_path / "link"))
    assert (source[...] == 1).all()


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_holds_the_source_is_refused(place: str, tmp_path: Path) -> None:
    # A group that was never created is no node: nothing else stands in the way.
    store = new_store(place, tmp_path / "s")
    source: Any = zarrc.create_array(store, name="g/a", shape=(9,), chunks=(2,), dtype="i4")
    source[...] = 1
    for path in ("", "g/"):
        source.store.delete(f"{path}zarr.json")
    with pytest.raises(ValueError, match="is the source itself, or holds it"):
        zarrc.copy_array(source, store, name="g")
    with pytest.raises(ValueError, match="is the source itself, or holds it"):
        zarrc.copy_array(source, store)
    if place == "local":
        with pytest.raises(ValueError, match="holds the source"):
            zarrc.copy_array(tmp_path / "s" / "g" / "a", tmp_path / "s")
    assert (source[...] == 1).all()


@pytest.mark.parametrize("place", PLACES)
def test_a_read_only_destination_is_refused(place: str, tmp_path: Path) -> None:
    source: Any = zarrc.array(np.arange(9), chunks=2)
    store = new_store(place, tmp_path / "t")
    made: Any = zarrc.copy_array(source, store, name="a")
    made[...] = 1
    with pytest.raises(ReadOnlyError, match="array 'a'"):
        zarrc.copy_array(source, zarrc.open_array(store, path="a", mode="r"))
    with pytest.raises(ReadOnlyError):
        zarrc.copy_array(
            source, zarrc.open_group(zarrc.create_group(store, path="g").store, mode="r"), name="b"
        )
    with pytest.raises(ReadOnlyError):
        zarrc.copy_array(source, made.store.with_read_only(), name="b")
    assert (made[...] == 1).all()
    assert not [key for key in made.store.list_prefix("") if "b" in key]


def test_what_makes_no_copy_is_said(tmp_path: Path) -> None:
    source = zarrc.array(np.arange(9), chunks=2)
    with pytest.raises(ValueError, match=r"the shapes differ: .*\(9,\).*\(8,\)"):
        zarrc.copy_array(source, zarrc.create_array(shape=(8,), dtype="i8"))
    with pytest.raises(TypeError, match="overwrite="):
        zarrc.copy_array(source, zarrc.copy_array(source), overwrite=True)
    with pytest.raises(TypeError, match="needs name="):
        zarrc.copy_array(source, zarrc.create_group({}))
    with pytest.raises(TypeError, match="copies one array"):
        zarrc.copy_array(zarrc.create_group(), tmp_path / "none")
    with pytest.raises(TypeError, match="needs to know what to copy"):
        zarrc.copy_array(None, tmp_path / "none")
    with pytest.raises(ArrayNotFoundError, match="not an array, is stored at"):
        zarrc.copy_array(zarrc.create_group().store)
    with pytest.raises(ArrayNotFoundError, match=r"no Zarr array at (?!.*shape=)"):
        zarrc.copy_array({}, {})
    with pytest.raises(TypeError, match=r"numpy\.ndarray; zarrc\.from_array"):
        zarrc.copy_array(np.arange(3), {})
    taken: dict[str, Any] = {}
    zarrc.copy_array(source, taken)
    with pytest.raises(ContainsArrayError):
        zarrc.copy_array(source, taken)
    with pytest.raises(ContainsArrayError):
        zarrc.copy_array(source, taken, name="below")
    group = zarrc.create_group({})
    group.create_group("g")
    with pytest.raises(ContainsGroupError):
        zarrc.copy_array(source, group, name="g")
    zarrc.copy_array(source, taken, overwrite=True)
