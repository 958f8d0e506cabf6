"""Copies of groups: everything is looked at before anything is stored or deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.tools.places import PLACES, new_store
from zarrc.errors import ContainsArrayError, MetadataError


@pytest.fixture(params=PLACES)
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    group: Any = zarrc.create_group(new_store(request.param, tmp_path / "g"))
    group["s"] = np.arange(9)
    group["z"] = np.ones(3)
    group["a/x"] = np.arange(6.0)
    group["a/sub/y"] = np.arange(4)
    return group


def _contents(group: Any) -> dict[str, Any]:
    return {key: bytes(group.store.get(key)) for key in group.store.list_prefix("")}


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"chunkz": 0}, TypeError),
        ({"chunks": 0}, MetadataError),
        ({"dtype": "nonsense"}, (TypeError, ValueError)),
    ],
)
def test_keywords_are_checked_before_the_old_node_goes(group: Any, keywords: Any, error: Any) -> None:
    before = _contents(group)
    for source in (group["s"], group["a"]):
        for dry_run in (False, True):
            with pytest.raises(error):
                zarrc.copy(source, group, "z", if_exists="replace", dry_run=dry_run, **keywords)
    with pytest.raises(error):
        zarrc.copy_all(group["a"], group, if_exists="replace", **keywords)
    assert _contents(group) == before


@pytest.mark.parametrize(
    "keywords",
    [{"chunks": 2}, {"compressors": None}, {"dtype": "f4"}, {"shards": 4, "chunks": 2}, {"fill_value": 7}],
)
def test_copies_take_the_keywords_of_new_arrays(group: Any, keywords: Any) -> None:
    zarrc.copy(group["s"], group, "new", **keywords)
    zarrc.copy(group["s"], group, "z", if_exists="replace", **keywords)
    assert isinstance(group.copy("s", "c", **keywords), zarrc.Array)
    zarrc.copy_all(group["a"], group.create_group("all"), **keywords)
    for name in ("new", "z", "c"):
        assert group[name][:].tolist() == list(range(9))
        assert group[name].chunks == ((2,) if "chunks" in keywords else (9,))
        assert group[name].dtype == keywords.get("dtype", "i8")
        assert group[name].fill_value == keywords.get("fill_value", 0)
    assert group["all/sub/y"][:].tolist() == [0, 1, 2, 3]
    assert group["all/sub/y"].chunks == ((2,) if "chunks" in keywords else (4,))
    assert not [key for key in group.store.list_prefix("") if ".zc" in key]


def test_overwrite_is_no_keyword_of_a_copy(group: Any) -> None:
    for call in (
        lambda: zarrc.copy(group["s"], group, "z", overwrite=True),
        lambda: zarrc.copy_all(group["a"], group, overwrite=True),
        lambda: group.copy("s", "z", overwrite=True),
    ):
        with pytest.raises(TypeError, match="if_exists='replace'"):
            call()


def test_what_is_there_is_refused_with_the_right_advice(group: Any) -> None:
    for call in (
        lambda: zarrc.copy(group["s"], group, "z"),
        lambda: zarrc.move(group["s"], group, "z"),
        lambda: zarrc.rename(group["s"], "z"),
        lambda: group.copy("s", "z"),
        lambda: group.move("s", "z"),
        lambda: group.rename("s", "z"),
    ):
        with pytest.raises(ContainsArrayError, match=r"already; if_exists='replace' replaces it$"):
            call()


def test_a_group_is_not_copied_into_itself_in_part(group: Any) -> None:
    before = _contents(group)
    with pytest.raises(ValueError, match="its source"):
        zarrc.copy_all(group, group["a"])
    assert _contents(group) == before


def test_all_members_are_looked_at_before_the_first_is_copied(group: Any) -> None:
    group["target/sub"] = np.zeros(1)
    before = _contents(group)
    with pytest.raises(ContainsArrayError):
        zarrc.copy_all(group["a"], group["target"])
    assert _contents(group) == before


@pytest.mark.parametrize("damaged", ["a/x", "a/sub/y"])
def test_a_damaged_member_stops_a_copy_before_it_begins(group: Any, damaged: str) -> None:
    group.store.set(f"{damaged}/zarr.json", b"{")
    before = _contents(group)
    into = group.create_group("into")
    for call in (
        lambda: zarrc.copy_all(group["a"], into),
        lambda: zarrc.copy_all(group["a"], group.store, if_exists="replace"),
        lambda: zarrc.copy(group["a"], group, "z", if_exists="replace"),
        lambda: zarrc.copy(group["a"], group, "z", if_exists="replace", dry_run=True),
        lambda: zarrc.copy_all(group["a"], into, dry_run=True),
    ):
        with pytest.raises(MetadataError):
            call()
    del group["into"]
    assert _contents(group) == before


def test_groups_with_a_damaged_member_are_not_compared(group: Any) -> None:
    assert zarrc.compare(group, group)
    group.store.set("a/x/zarr.json", b"{")
    with pytest.raises(MetadataError):
        zarrc.compare(group, group)
