"""What groups refuse before anything is stored."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import AttributesError, ContainsArrayError, MetadataError


@pytest.fixture
def group() -> Any:
    group: Any = zarrc.create_group()
    group["a/x"] = np.arange(3)
    return group


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("__x", MetadataError),
        ("", ValueError),
        ("k/..", ValueError),
        ("a/x", ContainsArrayError),
        ("a/x/y", ContainsArrayError),
    ],
)
def test_groups_are_required_all_or_none(group: Any, bad: str, error: Any) -> None:
    with pytest.raises(error):
        group.require_groups("k1", "a/k2", bad)
    assert "k1" not in group
    assert "a/k2" not in group
    made = group.require_groups("k1", "a", "k1", "a/k2")
    assert [one.path for one in made] == ["k1", "a", "k1", "a/k2"]


@pytest.mark.parametrize(
    ("depth", "error"), [(1.5, TypeError), ("1", TypeError), (True, TypeError), (-1, ValueError)]
)
def test_a_depth_is_a_number_of_levels(group: Any, depth: Any, error: Any) -> None:
    for call in (
        lambda: group.members(max_depth=depth),
        lambda: group.nmembers(max_depth=depth),
        lambda: group.tree(level=depth),
        lambda: zarrc.tree(group, level=depth),
    ):
        with pytest.raises(error, match="must be None or"):
            call()
    assert len(group.members(max_depth=np.int64(1))) == 2
    assert "x" in str(group.tree(level=np.int64(2)))


@pytest.mark.parametrize("use", [[], 0, 1, {}, b"check"])
def test_use_consolidated_is_one_of_its_values(group: Any, use: Any) -> None:
    for call in (
        lambda: zarrc.open_group(group.store, use_consolidated=use),
        lambda: zarrc.open(group.store, use_consolidated=use),
        lambda: zarrc.Group.open(group.store, use_consolidated=use),
    ):
        with pytest.raises(TypeError, match="use_consolidated must be"):
            call()


@pytest.mark.parametrize(
    "bad", ["\ud800", "a\udfffb", ["\ud800"], {"k": {"\ud800": 1}}, np.array(["\ud800"])]
)
def test_half_a_surrogate_pair_is_no_attribute(group: Any, bad: Any) -> None:
    before = bytes(group.store.get("a/zarr.json"))
    with pytest.raises(AttributesError, match="lone surrogate"):
        group["a"].attrs["k"] = bad
    with pytest.raises(AttributesError, match="lone surrogate"):
        group.create_group("b", attributes={"k": bad})
    assert bytes(group.store.get("a/zarr.json")) == before
    group["a"].attrs["\U0001f600 ä"] = "\U0001f600 ä"
    assert group["a"].attrs["\U0001f600 ä"] == "\U0001f600 ä"


def test_one_that_was_read_is_no_obstacle(group: Any) -> None:
    document = json.loads(bytes(group.store.get("a/x/zarr.json")))
    document["attributes"] = {"k": "\ud800"}
    group.store.set("a/x/zarr.json", json.dumps(document).encode())
    group["a/x"].attrs["other"] = 1
    zarrc.copy(group["a/x"], group, "same")
    zarrc.copy(group["a/x"], group, "remade", chunks=1)
    for name in ("a/x", "same", "remade"):
        assert dict(group[name].attrs) == {"k": "\ud800", "other": 1}
