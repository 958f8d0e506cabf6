from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import zarrc
from tests.cli.command import invoke, only_line, run


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    array: Any = zarrc.create_array(
        tmp_path / "a", shape=(400,), chunks=100, shards=200, dtype="i4", config={"shard_update": "append"}
    )
    array[...] = 1
    for i in range(20):
        array[0] = i
    return tmp_path / "a"


def test_shards_are_written_anew_and_summed_up_in_one_line(stored: Path) -> None:
    size = (stored / "c/0").stat().st_size
    ended = run("compact", stored)
    assert (ended.returncode, ended.stderr) == (0, "")
    now = (stored / "c/0").stat().st_size
    assert now < size
    assert only_line(ended.stdout).startswith(f"{stored}: 1 of 2 shards written anew, ")
    array: Any = zarrc.open_array(stored, mode="r")
    assert array[:2].tolist() == [19, 1]
    assert only_line(run("compact", stored).stdout).startswith(f"{stored}: 0 of 2 shards written anew")
    assert run("compact", stored, "-q").stdout == ""
    assert list(stored.rglob(".zc*")) == []


def test_the_ratio_decides(stored: Path) -> None:
    assert "0 of 2 shards" in invoke("compact", stored, "--ratio", "1").output
    assert "1 of 2 shards" in invoke("compact", stored, "--ratio", "0", "--locking", "thread").output


@pytest.mark.parametrize("ratio", ["-0.1", "1.5", "much", "nan"])
def test_what_is_not_a_ratio_is_wrong_usage(ratio: str, stored: Path) -> None:
    before = (stored / "c/0").read_bytes()
    ended = run("compact", stored, "--ratio", ratio)
    assert ended.returncode in (1, 2)
    assert "ratio" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (stored / "c/0").read_bytes() == before


def test_what_cannot_be_compacted_is_one_line(stored: Path, tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "g")
    (tmp_path / "bad").mkdir()
    for path, words in (
        (tmp_path / "nothing", "nothing"),
        (tmp_path / "g", "group"),
        (tmp_path / "bad", "nothing"),
    ):
        ended = run("compact", path)
        assert ended.returncode == 1
        assert words in only_line(ended.stderr)
    (stored / "c/1").write_bytes(b"damage")
    damaged = run("compact", stored)
    assert damaged.returncode == 1
    assert "key 'c/1'" in only_line(damaged.stderr)


def test_an_array_without_shards_has_nothing_to_compact(tmp_path: Path) -> None:
    array: Any = zarrc.create_array(tmp_path / "b", shape=(4,), chunks=2, dtype="i4", zarr_format=2)
    array[...] = 1
    assert "without shards" in only_line(run("compact", tmp_path / "b").stdout)
