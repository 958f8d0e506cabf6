from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.interop_files.files import climate
from zarrc.interop.netcdf import import_file
from zarrc.interop.netcdf3_header import check_length

FORMATS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]
types = st.sampled_from(["i1", "S1", "i2", "i4", "f4", "f8"])
shapes = st.lists(st.sampled_from(["t", "x", "y"]), max_size=3, unique=True).map(sorted)


@given(st.lists(st.tuples(types, shapes), max_size=4), st.integers(0, 3), st.sampled_from(FORMATS))
def test_the_length_of_whole_files_is_right_to_the_padding(
    tmp_path: Path, variables: list[tuple[str, list[str]]], n_records: int, data_format: Any
) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=data_format) as file:
        file.note = "odd"
        for name, length in (("t", None), ("x", 3), ("y", 5)):
            file.createDimension(name, length)
        for i, (dtype, dims) in enumerate(variables):
            variable = file.createVariable(f"v{i}", dtype, dims)
            if "t" in dims and n_records:
                values: Any = b"a" if dtype == "S1" else 1
                variable[:n_records] = np.full((n_records, *variable.shape[1:]), values, dtype)
    check_length(path)
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(OSError, match=r"truncated|inside its header"):
        check_length(path)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_classic_file_that_was_cut_short_is_refused(tmp_path: Path, data_format: str, share: float) -> None:
    source = climate(tmp_path / "a.nc", data_format)
    os.truncate(source, int(source.stat().st_size * share))
    with pytest.raises(OSError, match=r"cannot read .*a\.nc: the file (is truncated|ends inside its header)"):
        import_file(source, tmp_path / "a.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]


@given(st.binary(max_size=120), st.sampled_from([b"CDF\x01", b"CDF\x02", b"CDF\x05"]))
def test_any_bytes_after_the_signature_are_a_length_or_an_error(
    tmp_path: Path, rest: bytes, signature: bytes
) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(signature + rest)
    try:
        check_length(path)
    except OSError as error:
        assert "file" in str(error)  # noqa: PT017
