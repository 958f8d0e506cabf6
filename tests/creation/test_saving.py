"""Saving several arrays: all of them, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import ContainsNodeError, MetadataError, NodeNotFoundError, UnknownDataTypeError


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
