from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.cli.command import invoke, only_line, run


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    array: Any = zarrc.create_array(
        tmp_path / "a", shape=(100, 10), chunks=(10, 10), dtype="i4", attributes={"unit": "m"}
    )
    array[:50] = np.arange(500).reshape(50, 10)
    return tmp_path / "a"


def test_an_array_is_copied_and_summed_up_in_one_line(stored: Path, tmp_path: Path) -> None:
    ended = run("copy", stored, tmp_path / "b")
    assert ended.returncode == 0
    assert ended.stderr == ""
    line = only_line(ended.stdout)
    assert line.startswith(f"{tmp_path}/b: 3.9 KiB, stored as ")
    source: Any = zarrc.open_array(stored)
    made: Any = zarrc.open_array(tmp_path / "b")
    np.testing.assert_array_equal(made[...], source[...])
    assert made.metadata == source.metadata
    assert run("copy", stored, tmp_path / "c", "-q").stdout == ""


def test_options_are_taken_over(stored: Path, tmp_path: Path) -> None:
    assert invoke("copy", stored, tmp_path / "b", "--format", "2").exit_code == 0
    assert zarrc.open_array(tmp_path / "b").metadata.zarr_format == 2
    taken = run("copy", stored, tmp_path / "b")
    assert taken.returncode == 1
    assert "already" in only_line(taken.stderr)
    assert invoke("copy", stored, tmp_path / "b", "--overwrite").exit_code == 0
    assert zarrc.open_array(tmp_path / "b").metadata.zarr_format == 3
    (stored / "c/3/0").write_bytes((stored / "c/3/0").read_bytes()[:-1])
    assert invoke("copy", stored, tmp_path / "c").exit_code == 0
    damaged = run("copy", stored, tmp_path / "d", "--verify")
    assert damaged.returncode == 1
    assert "key 'c/3/0'" in only_line(damaged.stderr)
    assert list((tmp_path / "d").iterdir()) == [] if (tmp_path / "d").exists() else True


def test_what_cannot_be_copied_is_one_line(stored: Path, tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "g")
    for source, words in ((tmp_path / "nothing", "nothing"), (tmp_path / "g", "group")):
        ended = run("copy", source, tmp_path / "b")
        assert ended.returncode == 1
        assert words in only_line(ended.stderr)
    ended = run("copy", stored, stored, "--overwrite")
    assert ended.returncode == 1
    assert "source itself" in only_line(ended.stderr)


def test_a_terminal_gets_a_progress_bar(stored: Path, tmp_path: Path) -> None:
    outer, inner = pty.openpty()
    words = [sys.executable, "-m", "zarrc.cli", "copy", str(stored), str(tmp_path / "b")]
    ended = subprocess.run(words, stdout=subprocess.PIPE, stderr=inner, check=True, text=True)
    os.close(inner)
    shown = b""
    try:
        while piece := os.read(outer, 4096):
            shown += piece
    except OSError:  # the end, as terminals say it
        pass
    os.close(outer)
    assert b"100%" in shown or b"0%" in shown
    only_line(ended.stdout)
