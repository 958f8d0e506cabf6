"""Data of others with a transaction that was made up: opening them changes nothing outside of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.transactions.samples import lease
from zarrc.errors import StoreError, TransactionConflictError
from zarrc.transactions import claims_local, clean, recover
from zarrc.transactions.records import dump

ID = "ab" * 16


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "victim/sub").mkdir(parents=True)
    (tmp_path / "victim/thesis").write_text("mine")
    return tmp_path / "victim"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    zarrc.create_array(tmp_path / "evil.zarr", data=[1, 2, 3])
    return tmp_path / "evil.zarr"


def put_marker(node: Path, levels: int = 0, path: str = "", place: Path | None = None) -> None:
    at = None if place is None else str(place)
    fields = {"id": ID, "levels": levels, "path": path, "made": 0, "place": at}
    (node / ".zc-tx.json").write_bytes(dump(fields))


def put_home(root: Path, sets: Any = (), deletes: Any = (), removed: Any = (), **state: Any) -> Path:
    home = root / ".zc-tx" / ID
    (home / "d").mkdir(parents=True)
    (home / "d/0").write_bytes(b"evil")
    nodes = [["", dict.fromkeys(sets, 0), list(deletes), [], True]]
    plan = {"nodes": nodes, "documents": [], "removed": list(removed), "locks_files": False}
    (home / "plan").write_bytes(dump(plan))
    (home / "state").write_bytes(dump({"state": "commit", **state}))
    (home / "owner").write_bytes(dump({}))
    return home


def names(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


@pytest.mark.parametrize("which", [".zc-tx", ID, "d"])
@pytest.mark.parametrize("has_records", [False, True])
def test_a_link_in_the_place_of_the_records_is_not_followed(
    evil: Path, victim: Path, which: str, has_records: bool
) -> None:
    home = put_home(evil)
    linked = {".zc-tx": home.parent, ID: home, "d": home / "d"}[which]
    linked.rename(evil.parent / "moved")
    if has_records:
        os.rename(evil.parent / "moved", victim / "records")
    os.symlink(victim / "records" if has_records else victim, linked)
    put_marker(evil)
    before = names(victim)
    with pytest.raises(StoreError, match=r"is a symbolic link|records are not there"):
        zarrc.open_array(evil, mode="r+")
    assert names(victim) == before
    assert zarrc.open_array(evil, mode="r")[...].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "change", [{"sets": ["l/profile"]}, {"deletes": ["l/thesis"]}, {"removed": ["l/sub"]}]
)
def test_objects_beyond_a_link_are_not_changed_by_opening(
    evil: Path, victim: Path, change: dict[str, Any]
) -> None:
    os.symlink(victim, evil / "l")
    put_home(evil, **change)
    put_marker(evil)
    before = names(victim)
    if "removed" in change:
        zarrc.open_array(evil, mode="r+")
    else:
        with pytest.raises(StoreError, match="beyond a symbolic link"):
            zarrc.open_array(evil, mode="r+")
    assert names(victim) == before
    assert (victim / "thesis").read_text() == "mine"


def test_who_trusts_the_data_can_have_links_followed(evil: Path, victim: Path) -> None:
    os.symlink(victim, evil / "l")
    put_home(evil, sets=["l/thesis"])
    put_marker(evil)
    assert recover(evil, follow_links=True)
    assert (victim / "thesis").read_text() == "evil"
    assert zarrc.open_array(evil, mode="r+")[...].tolist() == [1, 2, 3]


def test_records_of_another_user_elsewhere_are_not_gone_by(
    evil: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_home(victim, deletes=["thesis"])
    put_marker(victim)
    put_marker(evil, 3, "a/b/c", victim)
    with monkeypatch.context() as patch:
        patch.setattr(claims_local.os, "geteuid", lambda: -1)
        stat = os.stat
        patch.setattr(
            claims_local.os, "stat", lambda path, **more: _of_nobody(stat(path, **more), str(path), victim)
        )
        with pytest.raises(StoreError, match="records are not 3 levels above"):
            zarrc.open_array(evil, mode="r+")
    assert (victim / "thesis").exists()


def _of_nobody(found: Any, path: str, victim: Path) -> Any:
    return os.stat_result((*found[:4], 12345, *found[5:])) if path.startswith(str(victim)) else found


def test_left_beginnings_are_not_looked_for_beyond_a_link(evil: Path, victim: Path) -> None:
    (victim / "owner").write_text("mine")
    os.utime(victim, (0, 0))
    (evil / ".zc-tx").mkdir()
    os.symlink(victim, evil / ".zc-tx/.zc-new-0")
    clean(evil)
    assert (victim / "owner").exists()


def test_an_owner_that_says_it_may_be_silent_for_a_day_is_not_waited_for(evil: Path) -> None:
    put_home(evil, holder="x", lease=86400, beat=0)
    put_marker(evil)
    with lease(0.2), pytest.raises(TransactionConflictError, match="is being committed"):
        zarrc.open_array(evil, mode="r+")
