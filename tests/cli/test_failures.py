"""Every failure is one clear line on standard error, and an exit code that is not 0."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import zarrc
from tests.cli.command import invoke, only_line, run
from tests.interop_files.files import climate

PREFIX = "zarrc: error: "


def failure(*arguments: object, code: int = 1) -> str:
    """What the command said when it failed."""
    ended = run(*arguments)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    line = only_line(ended.stderr)
    assert line.startswith(PREFIX)
    return line.removeprefix(PREFIX)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return climate(tmp_path / "a.nc")


def test_a_missing_file(tmp_path: Path) -> None:
    said = failure("import", tmp_path / "no.nc", tmp_path / "a.zarr")
    assert said == f"{tmp_path}/no.nc: No such file or directory"


def test_a_directory_instead_of_a_file(tmp_path: Path) -> None:
    assert failure("import", tmp_path, tmp_path / "a.zarr") == f"{tmp_path}: Is a directory"


def test_a_file_that_is_no_netcdf(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    said = failure("import", tmp_path / "a.txt", tmp_path / "a.zarr")
    assert said == f"{tmp_path}/a.txt is not a netCDF or HDF5 file"


@pytest.mark.parametrize("data_format", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_a_truncated_file(tmp_path: Path, data_format: str) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    os.truncate(source, source.stat().st_size // 2)
    said = failure("import", source, tmp_path / "a.zarr")
    assert said.startswith(f"cannot read {source}: ")
    assert "truncated" in said
    assert not (tmp_path / "a.zarr").exists()


def test_a_corrupt_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("noise", data=np.arange(5000), chunks=(1000,), compression="gzip")
        where = data.id.get_chunk_info(3).byte_offset
    with (tmp_path / "a.h5").open("r+b") as raw:
        raw.seek(where)
        raw.write(bytes(100))
    said = failure("import", tmp_path / "a.h5", tmp_path / "a.zarr")
    assert said.startswith(f"cannot read noise of {tmp_path}/a.h5: ")


def test_wrong_chunk_names(tmp_path: Path, source: Path) -> None:
    said = failure("import", source, tmp_path / "a.zarr", "--chunks", "tim=3")
    assert said == "there is no dimension 'tim' to chunk; the file's dimensions: time, bnds, lat, lon"


def test_a_chunk_length_of_zero(tmp_path: Path, source: Path) -> None:
    said = failure("import", source, tmp_path / "a.zarr", "--chunks", "time=0")
    assert said == "chunk length of 'time' must be at least 1, or -1 for the whole axis: got 0"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--chunks", "12"], "'12' is not DIMENSION=LENGTH"),
        (["--codec", "lzma"], "no codec 'lzma'"),
        (["--format", "4"], "'4' is not one of '2', '3'"),
        (["--wrong"], "No such option '--wrong'"),
    ],
)
def test_wrong_usage(tmp_path: Path, source: Path, arguments: list[str], text: str) -> None:
    assert text in failure("import", source, tmp_path / "a.zarr", *arguments, code=2)


def test_a_missing_argument_and_an_unknown_command() -> None:
    assert "Missing argument 'FILE'" in failure("import", code=2)
    assert "No such command 'export'" in failure("export", code=2)


def test_no_command_at_all_shows_the_help() -> None:
    ended = run()
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: zarrc [OPTIONS] COMMAND")


def test_help_shows_examples_line_by_line() -> None:
    ended = run("import", "--help")
    assert ended.returncode == 0
    assert "\n  zarrc import air.nc air.zarr\n" in ended.stdout


def test_a_codec_with_a_wrong_level(tmp_path: Path, source: Path) -> None:
    said = failure("import", source, tmp_path / "a.zarr", "--codec", "zstd:99")
    assert "level" in said
    assert "99" in said


def test_a_destination_that_exists(tmp_path: Path, source: Path) -> None:
    zarrc.create_group(tmp_path / "a.zarr")
    said = failure("import", source, tmp_path / "a.zarr")
    assert said == f"{tmp_path}/a.zarr exists already; overwrite=True (--overwrite) replaces it"


def test_a_destination_that_is_no_zarr_even_with_overwrite(tmp_path: Path, source: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years")
    said = failure("import", source, tmp_path / "home", "--overwrite")
    assert said == f"{tmp_path}/home exists and is not a Zarr array or group; it is left alone"


def limited(limit: Callable[[], object], *arguments: object) -> str:
    """What the command says under a limit that is set before it starts."""
    ended = run(*arguments, preexec_fn=limit)
    assert ended.returncode == 1, ended.stderr
    line = only_line(ended.stderr)
    assert line.startswith(PREFIX)
    return line.removeprefix(PREFIX)


def test_a_disk_that_takes_no_more(tmp_path: Path, source: Path) -> None:
    """A limit on the size of files is the full disk that a test may have."""

    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    said = limited(few_bytes, "import", source, tmp_path / "a.zarr", "--codec", "none")
    assert "File too large" in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


@pytest.mark.skipif(os.path.ismount("/sys") is False, reason="needs a directory where nobody may write")
def test_no_permission(tmp_path: Path, source: Path) -> None:
    """Not even root creates directories in /sys."""
    said = failure("import", source, "/sys/a.zarr")
    assert "ermission denied" in said or "not permitted" in said or "Read-only file system" in said
    assert "/sys" in said


@pytest.mark.parametrize("command", ["info", "tree"])
def test_nothing_there(tmp_path: Path, command: str) -> None:
    assert str(tmp_path / "no.zarr") in failure(command, tmp_path / "no.zarr")


@pytest.mark.parametrize("command", ["info", "tree"])
def test_a_directory_that_is_no_zarr(tmp_path: Path, command: str) -> None:
    assert str(tmp_path) in failure(command, tmp_path)


def test_a_tree_of_an_array(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "a", shape=(3,), dtype="i4")
    assert "group" in failure("tree", tmp_path / "a")


def test_metadata_that_are_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    assert "zarr.json" in failure("info", tmp_path / "a.zarr")


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    ended = run("--debug", "info", tmp_path / "no.zarr")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "NotFoundError" in ended.stderr


def test_a_fault_of_ours_is_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(zarrc, "open", broken)
    result = invoke("info", tmp_path)
    assert result.exit_code == 1
    assert only_line(result.stderr) == (
        "zarrc: error: internal error: RuntimeError: two lines (--debug shows where)"
    )


def test_an_interrupt(tmp_path: Path, source: Path) -> None:
    program = (
        "import sys, time\n"
        "import zarrc.cli.import_command as command\n"
        "from zarrc.cli import main\n"
        "def slow(*_, **__):\n"
        "    print('at work', flush=True)\n"
        "    time.sleep(60)\n"
        "command.import_file = slow\n"
        "main()\n"
    )
    words = [sys.executable, "-c", program, "import", str(source), str(tmp_path / "a.zarr")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert only_line(said) == "zarrc: error: interrupted"


def test_without_click_the_extra_is_named() -> None:
    program = "import sys; sys.modules['click'] = None; from zarrc.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    line = only_line(ended.stderr)
    assert (
        line
        == "zarrc: error: the zarrc command needs click, which is not installed: pip install 'zarrc[cli]'"
    )


def test_without_the_library_that_reads_the_file_the_extra_is_named(tmp_path: Path, source: Path) -> None:
    program = "import sys; sys.modules['h5py'] = None; from zarrc.cli import main; main()"
    words = [sys.executable, "-c", program, "import", str(source), str(tmp_path / "a.zarr")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert only_line(ended.stderr).endswith("pip install 'zarrc[netcdf]'")
