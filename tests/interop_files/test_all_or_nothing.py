from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

import zarrc
from tests.interop_files.files import climate
from zarrc.errors import ContainsNodeError, NodeNotFoundError
from zarrc.interop.netcdf import ImportProgress, import_file


class Stopped(Exception):
    """The failure that the tests inject."""


def fail_half_way(state: ImportProgress) -> None:
    if state.done_nbytes > state.total_nbytes // 2:
        raise Stopped


def test_a_failed_import_leaves_nothing(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    with pytest.raises(Stopped):
        import_file(source, tmp_path / "out" / "a.zarr", progress=fail_half_way)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failed_import_leaves_what_it_would_have_replaced(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    zarrc.create_group(tmp_path / "a.zarr", attributes={"old": True})
    with pytest.raises(Stopped):
        import_file(source, tmp_path / "a.zarr", overwrite=True, progress=fail_half_way)
    assert dict(zarrc.open_group(tmp_path / "a.zarr", mode="r").attrs) == {"old": True}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "a.zarr"]


def test_overwrite_replaces_all_that_was_there(tmp_path: Path) -> None:
    old = zarrc.create_group(tmp_path / "a.zarr")
    old.create_array("stale", shape=(3,), dtype="i4")
    group = import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr", overwrite=True)
    assert "stale" not in group
    assert "air" in group
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "a.zarr"]


def test_an_existing_group_is_not_replaced_unasked(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "a.zarr", attributes={"old": True})
    with pytest.raises(ContainsNodeError, match=r"a\.zarr exists"):
        import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr")
    assert dict(zarrc.open_group(tmp_path / "a.zarr", mode="r").attrs) == {"old": True}


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_zarr_node_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    source = climate(tmp_path / "a.nc")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years")
    for place in (tmp_path / "home", source):
        with pytest.raises(FileExistsError, match="is not a Zarr array or group"):
            import_file(source, place, overwrite=overwrite)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "years"


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr")
    assert "air" in zarrc.open_group(tmp_path / "a.zarr", mode="r")


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "real.zarr")
    (tmp_path / "link.zarr").symlink_to("real.zarr")
    import_file(climate(tmp_path / "a.nc"), tmp_path / "link.zarr", overwrite=True)
    assert (tmp_path / "link.zarr").is_symlink()
    assert "air" in zarrc.open_group(tmp_path / "real.zarr", mode="r")


def test_a_killed_import_leaves_nothing_that_opens(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    program = (
        "import sys, time\n"
        "from zarrc.interop.netcdf import import_file\n"
        "def wait(state):\n"
        "    if state.done_nbytes > state.total_nbytes // 2:\n"
        "        print('half', flush=True)\n"
        "        time.sleep(60)\n"
        "import_file(sys.argv[1], sys.argv[2], progress=wait)\n"
    )
    out = tmp_path / "out" / "a.zarr"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(out)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    with pytest.raises(NodeNotFoundError):
        zarrc.open(out, mode="r")
    assert all(path.name.startswith(".zc") for path in out.parent.iterdir())
    import_file(source, out)
    assert "air" in zarrc.open_group(out, mode="r")


def test_a_store_without_rename_does_not_open_before_all_is_written(tmp_path: Path) -> None:
    store = zarrc.storage.MemoryStore()

    def look(state: ImportProgress) -> None:
        with pytest.raises(NodeNotFoundError):
            zarrc.open(store, mode="r")

    import_file(climate(tmp_path / "a.nc"), store, progress=look)
    assert "air" in zarrc.open_group(store, mode="r")


def test_a_failed_import_into_another_store_leaves_nothing(tmp_path: Path) -> None:
    store: dict[str, bytes] = {}
    with pytest.raises(Stopped):
        import_file(climate(tmp_path / "a.nc"), store, progress=fail_half_way)
    assert store == {}


def test_another_store_is_not_replaced_unasked(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    store: dict[str, bytes] = {}
    import_file(source, store)
    before = dict(store)
    with pytest.raises(ContainsNodeError):
        import_file(source, store)
    assert {key: bytes(value) for key, value in store.items()} == before
    import_file(source, store, overwrite=True)
    foreign = {"letter.txt": b"dear"}
    with pytest.raises(FileExistsError):
        import_file(source, foreign, overwrite=True)
    assert foreign == {"letter.txt": b"dear"}


def test_a_file_that_is_cut_short_is_an_error_that_names_it(tmp_path: Path) -> None:
    source = climate(tmp_path / "a.nc")
    os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(OSError, match=r"cannot read .*a\.nc: .*truncated"):
        import_file(source, tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()


def test_a_chunk_of_the_file_that_does_not_decode_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    source = tmp_path / "a.h5"
    with h5py.File(source, "w") as file:
        data = file.create_dataset("deep/noise", data=np.arange(5000), chunks=(1000,), compression="gzip")
        where = data.id.get_chunk_info(3).byte_offset
    with source.open("r+b") as raw:
        raw.seek(where)
        raw.write(bytes(100))
    with pytest.raises(OSError, match=r"cannot read deep/noise of .*a\.h5"):
        import_file(source, tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a netCDF or HDF5 file"),
        (b"PK\x03\x04 zip", "not a netCDF"),
        (b"\x0e\x03\x13\x01", "an HDF4 file"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        import_file(tmp_path / "a.nc", tmp_path / "a.zarr")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        import_file(tmp_path / "a.nc", tmp_path / "a.zarr")


@pytest.mark.parametrize(
    "rubbish", [b"CDF\x01", b"CDF\x05\xff\xff\xff\xff\xff\xff\xff\xff", b"\x89HDF\r\n\x1a\n" + bytes(100)]
)
def test_a_header_without_a_file_is_an_error(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "a.nc").write_bytes(rubbish)
    with pytest.raises(OSError, match="cannot read"):
        import_file(tmp_path / "a.nc", tmp_path / "a.zarr")


def test_wrong_chunk_names_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no dimension 'tim'"):
        import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr", chunks={"tim": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_a_codec_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    wrong: Any = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 99}}]
    with pytest.raises(ValueError, match="level"):
        import_file(climate(tmp_path / "a.nc"), tmp_path / "a.zarr", codecs=wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A variable of 768 MiB is imported by a process that may hold far less."""
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("t", 768)
        file.createDimension("x", 1024 * 256)
        variable = file.createVariable(
            "a", "f4", ("t", "x"), chunksizes=(1, 1024 * 256), zlib=True, complevel=1
        )
        row = np.arange(1024 * 256, dtype="f4")
        for t in range(0, 768, 64):
            variable[t : t + 64] = row
    program = (
        "import resource, sys\n"
        "import h5py, zarrc\n"
        "from zarrc.interop.netcdf import import_file\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "import_file(sys.argv[1], sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "a.nc"), str(tmp_path / "a.zarr")]
    grown_kib = int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    assert grown_kib < 4 * 64 * 1024
    array: Any = zarrc.open_array(tmp_path / "a.zarr" / "a", mode="r")
    assert array.shape == (768, 1024 * 256)
    assert array[500, 77] == 77
