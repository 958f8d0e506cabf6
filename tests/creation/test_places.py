"""Where arrays and groups can be: stores, paths, URLs, stores by name."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

import zarrc
from zarrc.errors import ContainsArrayError, NodeNotFoundError, ReadOnlyError, StoreError
from zarrc.storage import LocalStore


def test_stores_of_every_kind(tmp_path: Path) -> None:
    mapping: dict[str, bytes] = {}
    for store in (
        tmp_path / "p",
        str(tmp_path / "s"),
        f"file://{tmp_path}/u",
        LocalStore(tmp_path / "l"),
        mapping,
    ):
        zarrc.create_array(store, name="x", data=np.arange(3))
        np.testing.assert_array_equal(zarrc.open_group(store, mode="r").get_array("x")[:], np.arange(3))
    assert "x/zarr.json" in mapping


def test_stores_of_fsspec() -> None:
    fsspec = pytest.importorskip("fsspec")
    place = f"memory://zarrc-{uuid.uuid4()}"
    for store in (f"{place}/url", fsspec.get_mapper(f"{place}/mapper")):
        zarrc.create_array(store, name="a/x", data=np.arange(3), zarr_format=2)
        assert list(zarrc.open_group(store, mode="r")) == ["a"]
        np.testing.assert_array_equal(zarrc.load(store)["a"]["x"], np.arange(3))
        with pytest.raises(ContainsArrayError):
            zarrc.create_array(store, name="a/x", data=np.arange(3), zarr_format=2)
        zarrc.create_group(store, overwrite=True)
        assert list(zarrc.open_group(store)) == []
    with pytest.raises(NodeNotFoundError, match="zarrc-"):
        zarrc.open(f"{place}/nothing")


def test_a_store_opened_for_reading_stays_so(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    store = LocalStore(tmp_path / "a", read_only=True)
    assert zarrc.open(store).read_only
    assert zarrc.open_array(store, mode="r").read_only
    with pytest.raises(ReadOnlyError):
        zarrc.open(store, mode="r+")
    with pytest.raises(ReadOnlyError):
        zarrc.create_group(store, overwrite=True)


def test_what_is_no_store_is_told() -> None:
    with pytest.raises(TypeError, match="store"):
        zarrc.open([1, 2, 3])
    with pytest.raises(TypeError, match="storage_options"):
        zarrc.open("here", storage_options={"key": 1})


def test_storage_by_name_and_its_mistakes(tmp_path: Path) -> None:
    made = zarrc.create((3,), storage="filesystem", path=str(tmp_path / "a"))
    assert isinstance(made.store, LocalStore)
    with pytest.raises(StoreError, match=r"'cloud'.*filesystem"):
        zarrc.create((3,), storage="cloud")
    with pytest.raises(TypeError, match=r"storage='filesystem' needs path="):
        zarrc.create((3,), storage="filesystem")
    with pytest.raises(TypeError, match=r"chunk= .*did you mean 'chunks'"):
        zarrc.create((3,), storage="memory", chunk=3)
    with pytest.raises(TypeError, match="table_name="):
        zarrc.create((3,), table_name="x")
    with pytest.raises(TypeError, match="not both"):
        zarrc.create((3,), store={}, storage="memory")


def test_an_error_of_a_store_names_the_place_that_was_to_be_opened(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no database" * 100)
    for open_it in (zarrc.open, zarrc.open_array, zarrc.open_group, zarrc.load):
        with pytest.raises(StoreError, match=r"cannot open sqlite://.*/x\.sqlite: .* is no SQLite file"):
            open_it(tmp_path / "x.sqlite")
