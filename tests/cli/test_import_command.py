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
from tests.interop_files.files import climate, every_later_type


def test_a_file_is_imported_and_summed_up_in_one_line(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    ended = run("import", source, tmp_path / "a.zarr")
    assert ended.returncode == 0
    assert ended.stderr == ""
    line = only_line(ended.stdout)
    assert line.startswith(f"{tmp_path}/a.zarr: 7 arrays, ")
    assert " KiB, stored as " in line
    group: Any = zarrc.open_group(tmp_path / "a.zarr", mode="r")
    assert group["packed"].dtype == np.dtype("i2")


def test_quiet_says_nothing(tmp_path: Path) -> None:
    ended = run("import", climate(tmp_path / "a.nc"), tmp_path / "a.zarr", "--quiet")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_chunks_codec_and_format_are_taken_over(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    result = invoke("import", source, tmp_path / "3", "--chunks", "time=4,lat=-1", "--codec", "blosc-lz4:7")
    assert result.exit_code == 0, result.output
    array: Any = zarrc.open_array(tmp_path / "3" / "air", mode="r")
    assert array.chunks == (4, 7, 9)
    assert [codec.name for codec in array.metadata.codecs] == ["bytes", "blosc"]
    assert array.metadata.codecs[1].cname == "lz4"
    assert array.metadata.codecs[1].clevel == 7


@pytest.mark.parametrize("codec", ["none", "zstd:3", "gzip:1", "zlib:1", "lz4", "blosc-zstd:1"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_every_codec_of_the_command_line_is_written_in_both_formats(
    tmp_path: Path, zarr_format: int, codec: str
) -> None:
    source = climate(tmp_path / "a.nc")
    result = invoke("import", source, tmp_path / "a", "--codec", codec, "--format", zarr_format)
    assert result.exit_code == 0, result.output
    array: Any = zarrc.open_array(tmp_path / "a" / "time", mode="r")
    assert array.metadata.zarr_format == zarr_format
    assert len(array.compressors) == (codec != "none")
    assert array[:].tolist() == list(range(20))


def test_what_is_left_out_is_one_warning_on_standard_error(tmp_path: Path) -> None:
    source = every_later_type(tmp_path / "a.h5")
    ended = run("import", source, tmp_path / "a.zarr")
    assert ended.returncode == 0
    line = only_line(ended.stderr)
    assert line.startswith(f"zarrc: warning: left out of the import of {source}: ")
    assert "compound (compound)" in line


def test_overwrite_replaces(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    assert invoke("import", source, tmp_path / "a.zarr").exit_code == 0
    again = run("import", source, tmp_path / "a.zarr")
    assert again.returncode == 1
    assert "a.zarr exists already" in only_line(again.stderr)
    assert "--overwrite" in again.stderr
    assert invoke("import", source, tmp_path / "a.zarr", "--overwrite").exit_code == 0


def test_a_bar_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "zarrc.cli", "import", str(source), str(tmp_path / "a.zarr")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        drawn = b""
        try:
            while piece := os.read(ours, 4096):
                drawn += piece
        except OSError:  # the other end was closed
            pass
        process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"100%" in drawn
