from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop_files.files import climate
from zarrc.errors import MissingExtraError
from zarrc.interop.extras import require

PROGRAM = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from zarrc.interop.netcdf import import_file
import_file(sys.argv[2], sys.argv[3])
"""


@pytest.mark.parametrize(
    ("data_format", "module", "text"),
    [
        (
            "NETCDF4",
            "h5py",
            "reading HDF5 files needs h5py, which is not installed: pip install 'zarrc[netcdf]'",
        ),
        ("NETCDF3_CLASSIC", "netCDF4", "reading classic netCDF files needs netCDF4, which is not installed"),
    ],
)
def test_a_missing_library_is_an_error_that_names_the_extra(
    tmp_path: Path, data_format: str, module: str, text: str
) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    arguments = [sys.executable, "-c", PROGRAM, module, str(source), str(tmp_path / "a.zarr")]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert f"MissingExtraError: {text}" in ended.stderr
    assert not (tmp_path / "a.zarr").exists()


def test_a_package_whose_own_dependency_is_missing_keeps_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_there.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all") as caught:
        require("half_there", extra="netcdf", purpose="this test")
    assert not isinstance(caught.value, MissingExtraError)


def test_importing_zarrc_loads_no_extra() -> None:
    extras = {"h5py", "netCDF4", "xarray", "click", "rich"}
    program = f"import sys, zarrc, zarrc.interop.netcdf; print(sorted({extras} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
