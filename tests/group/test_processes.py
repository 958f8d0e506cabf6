"""Several processes at one group with consolidated metadata."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc

APPEND = """
import sys, numpy as np, zarrc
place, first, n_rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
group = zarrc.open_consolidated(place)
array = group["a"].with_config({"locking": "file"})
for i in range(first, first + n_rows):
    array.append(np.full((1, 3), i))
    # At once after each append the document tells of it.
    shape = zarrc.open_consolidated(place)["a"].shape
    assert shape[0] >= 1
"""

CREATE = """
import sys, zarrc
place, who, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
group = zarrc.open_consolidated(place)
for i in range(n):
    group.create_group(f"{who}{i}").attrs["k"] = i
"""


def run_all(environment: dict[str, str], *programs: list[str]) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", *program], env=environment, stderr=subprocess.PIPE, text=True)
        for program in programs
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said


def in_memory(place: Path) -> Any:
    """The group as its document alone tells of it."""
    objects: dict[str, bytes] = {}
    zarrc.copy_store(place, objects)
    return zarrc.open_consolidated(objects)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_two_processes_append_to_one_array(
    tmp_path: Path, child_environment: dict[str, str], zarr_format: Any
) -> None:
    root = zarrc.create_group(tmp_path / "g", zarr_format=zarr_format)
    root.create_array("a", shape=(0, 3), chunks=(4, 3), dtype="i8")
    zarrc.consolidate_metadata(root)
    rows = 20
    run_all(
        child_environment,
        *([APPEND, str(tmp_path / "g"), str(first), str(rows)] for first in (0, 1000)),
    )
    stored = zarrc.open_array(tmp_path / "g/a")
    assert sorted(stored[:, 0].tolist()) == [*range(rows), *range(1000, 1000 + rows)]
    assert (stored[:] == stored[:, :1]).all()
    for group in (zarrc.open_consolidated(tmp_path / "g"), in_memory(tmp_path / "g")):
        assert group["a"].shape == (2 * rows, 3)  # type: ignore[union-attr]
        np.testing.assert_array_equal(group["a"][...], stored[...])  # type: ignore[index]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_two_processes_create_members(
    tmp_path: Path, child_environment: dict[str, str], zarr_format: Any
) -> None:
    zarrc.create_group(tmp_path / "g", zarr_format=zarr_format)
    zarrc.consolidate_metadata(tmp_path / "g")
    run_all(child_environment, *([CREATE, str(tmp_path / "g"), who, "20"] for who in "ab"))
    group = in_memory(tmp_path / "g")
    assert sorted(group) == sorted(f"{who}{i}" for who in "ab" for i in range(20))
    assert [group[f"b{i}"].attrs["k"] for i in range(20)] == list(range(20))


COPY = """
import os, sys, zarrc
group, n = zarrc.open_group(sys.argv[1]), int(sys.argv[2])
left = iter(range(n))
def log(text):
    if next(left, None) is None:
        os._exit(9)
zarrc.copy(group["a"], group, "b/new", if_exists="replace", log=log)
"""


@pytest.mark.parametrize("n", range(4))
def test_a_process_that_dies_while_it_copies_leaves_what_was_there(
    tmp_path: Path, child_environment: dict[str, str], n: int
) -> None:
    root = zarrc.create_group(tmp_path / "g")
    for name in ("x", "y", "z"):
        root[f"a/{name}"] = np.arange(5)
    root["b/new"] = np.arange(3)
    done = subprocess.run(
        [sys.executable, "-c", COPY, str(tmp_path / "g"), str(n)], env=child_environment, timeout=120
    )
    assert done.returncode == 9
    assert root["b/new"][...].tolist() == [0, 1, 2]  # type: ignore[index]
    assert list(root["b"]) == ["new"]  # type: ignore[call-overload]
    zarrc.copy(root["a"], root, "b/new", if_exists="replace")
    assert list(root["b/new"]) == ["x", "y", "z"]  # type: ignore[call-overload]
    del root["b"]
    assert not (tmp_path / "g" / "b").exists()
