from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import zarrc
from tests.cli.command import invoke, run
from tests.interop_files.files import climate


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    assert invoke("import", climate(tmp_path / "a.nc"), tmp_path / "a.zarr").exit_code == 0
    return tmp_path / "a.zarr"


def test_the_version_is_the_packages() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, f"zarrc {zarrc.__version__}\n")


def test_info_of_an_array_says_shape_chunks_codecs_and_sizes(imported: Path) -> None:
    text = invoke("info", imported / "air").stdout
    for word in ("Array", "(20, 7, 9)", "float32", "zstd", "time", "No. bytes stored"):
        assert word in text


def test_info_of_a_group_lists_its_arrays_and_attributes(imported: Path) -> None:
    text = invoke("info", imported).stdout
    for word in ("Group", "No. arrays", "Conventions", "CF-1.8"):
        assert word in text


def test_info_of_an_array_lists_its_attributes(imported: Path) -> None:
    assert "scale_factor" in invoke("info", imported / "packed").stdout


def test_tree_names_every_array(imported: Path) -> None:
    text = invoke("tree", imported).stdout
    for name in ("air", "height", "lat", "lon", "packed", "time", "time_bnds"):
        assert name in text


def test_a_reader_that_goes_away_is_no_traceback(imported: Path) -> None:
    group = zarrc.open_group(imported)
    for i in range(300):
        group.create_array(f"an_array_with_a_long_name_{i:0100}", shape=(), dtype="i1")
    command = f"{sys.executable} -m zarrc.cli tree {imported} | head -n 1"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 1
