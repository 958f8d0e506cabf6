from __future__ import annotations

from pathlib import Path

import numpy as np

import zarrc
from tests.cli.command import only_line, run


def test_a_hierarchy_is_packed_and_unpacked(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "s.zarr", a=np.arange(100), b=np.ones((3, 3)))
    packed = run("pack", tmp_path / "s.zarr", tmp_path / "x.zip")
    assert (packed.returncode, packed.stderr) == (0, "")
    assert only_line(packed.stdout).startswith(f"{tmp_path}/x.zip: 5 objects, ")
    assert "a (100,) int64" in run("tree", tmp_path / "x.zip").stdout
    assert "(3, 3)" in run("info", tmp_path / "x.zip/b").stdout
    refused = run("pack", tmp_path / "s.zarr", tmp_path / "x.zip")
    assert refused.returncode == 1
    assert "there already" in only_line(refused.stderr)
    assert run("pack", tmp_path / "s.zarr", tmp_path / "x.zip", "--overwrite", "--deflate", "-q").stdout == ""
    unpacked = run("unpack", tmp_path / "x.zip", tmp_path / "y.zarr")
    assert only_line(unpacked.stdout).startswith(f"{tmp_path}/y.zarr: 5 objects, ")
    assert zarrc.load(tmp_path / "y.zarr")["a"].tolist() == list(range(100))
    assert run("unpack", tmp_path / "x.zip/a", tmp_path / "y.zarr", "--overwrite").returncode == 0
    assert zarrc.load(tmp_path / "y.zarr").tolist() == list(range(100))
    missing = run("unpack", tmp_path / "none.zip", tmp_path / "z")
    assert missing.returncode == 1
    assert "there is no zip archive" in only_line(missing.stderr)
