"""Saving and loading: one array or several, all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import (
    ContainsArrayError,
    ContainsNodeError,
    MetadataError,
    NodeNotFoundError,
    UnknownDataTypeError,
)


def test_one_array_that_cannot_be_saved_keeps_all_from_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataTypeError):
        zarrc.save(tmp_path / "new", np.arange(3), np.array(["a", None], object))
    with pytest.raises(MetadataError, match="reserved"):
        zarrc.save_group(tmp_path / "new", x=np.arange(3), __y=np.arange(3))
    assert not (tmp_path / "new").exists()


def test_a_group_stays_as_it_is_if_not_all_can_be_saved(tmp_path: Path) -> None:
    zarrc.save_group(tmp_path, b=np.arange(3))
    with pytest.raises(ContainsNodeError, match="b already"):
        zarrc.save_group(tmp_path, a=np.arange(4), b=np.arange(4))
    with pytest.raises(UnknownDataTypeError):
        zarrc.save_group(tmp_path, mode="w", a=np.arange(4), b=np.array([None]))
    assert {name: data.tolist() for name, data in zarrc.load(tmp_path).items()} == {"b": [0, 1, 2]}


def test_loading_nothing_gives_no_advice_on_modes(tmp_path: Path) -> None:
    with pytest.raises(NodeNotFoundError, match="there is no directory") as caught:
        zarrc.load(tmp_path / "nothing")
    assert "mode=" not in str(caught.value)


@pytest.mark.parametrize("save", [zarrc.save, zarrc.save_group])
@pytest.mark.parametrize(
    "keyword",
    [{"chunks": 2}, {"overwrite": True}, {"fill_value": None}, {"dtype": "f4"}, {"chunks": (2, 2)}],
)
def test_a_keyword_that_describes_an_array_is_not_saved_as_one(
    tmp_path: Path, save: Any, keyword: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=rf"takes no {next(iter(keyword))}=.*save_array\(\)"):
        save(tmp_path / "s", np.arange(3), **keyword)
    assert not (tmp_path / "s").exists()


def test_an_array_may_have_the_name_of_a_keyword(tmp_path: Path) -> None:
    zarrc.save(tmp_path, chunks=np.arange(3), data=zarrc.ones((2,)))
    assert {name: data.tolist() for name, data in zarrc.load(tmp_path).items()} == {
        "chunks": [0, 1, 2],
        "data": [1, 1],
    }


def test_one_array_is_saved_as_an_array(tmp_path: Path, zarr_format: Any) -> None:
    data = np.arange(6).reshape(2, 3)
    zarrc.save(tmp_path / "a", data, zarr_format=zarr_format)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "a"), data)
    assert zarrc.open(tmp_path / "a").metadata.zarr_format == zarr_format
    with pytest.raises(ContainsArrayError):
        zarrc.save(tmp_path / "a", data)
    zarrc.save(tmp_path / "a", data * 2, mode="w")
    zarrc.save_array(tmp_path / "a", data * 3, overwrite=True, chunks=1)
    np.testing.assert_array_equal(zarrc.load(tmp_path / "a"), data * 3)


def test_several_arrays_are_saved_as_a_group(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "g", np.arange(2), np.arange(3), x=[1.5], y=7)
    loaded = zarrc.load(tmp_path / "g")
    assert list(loaded) == ["arr_0", "arr_1", "x", "y"]
    np.testing.assert_array_equal(loaded["arr_1"], np.arange(3))
    assert loaded["y"] == 7
    zarrc.save_group(tmp_path / "g", z=np.arange(4))
    assert "z" in zarrc.load(tmp_path / "g")
    with pytest.raises(ContainsNodeError):
        zarrc.save_group(tmp_path / "g", z=np.arange(4))
    zarrc.save_group(tmp_path / "g", np.arange(4), mode="w")
    assert list(zarrc.load(tmp_path / "g")) == ["arr_0"]
    with pytest.raises(ValueError, match="arr_0"):
        zarrc.save_group(tmp_path / "h", np.arange(4), arr_0=[1])


def test_saving_nothing_is_an_error(tmp_path: Path) -> None:
    for save in (zarrc.save, zarrc.save_group):
        with pytest.raises(ValueError, match="at least one"):
            save(tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_loading_takes_a_path_and_nested_groups(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "s", np.arange(3), path="a/b")
    np.testing.assert_array_equal(zarrc.load(tmp_path / "s", "a/b"), np.arange(3))
    np.testing.assert_array_equal(zarrc.load(tmp_path / "s")["a"]["b"], np.arange(3))
    with pytest.raises(NodeNotFoundError, match="which has b"):
        zarrc.load(tmp_path / "s", "a/c")
