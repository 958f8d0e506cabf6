from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from tests.interop_files.files import every_later_type, plain_hdf5
from zarrc.interop.netcdf import LeftOutWarning, import_file


def test_a_plain_file_is_imported_with_groups_and_every_type_that_zarr_has(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group: Any = import_file(plain_hdf5(tmp_path / "a.h5"), tmp_path / "a.zarr")
    assert dict(group.attrs) == {"creator": "instrument"}
    assert dict(group["runs/first"].attrs) == {"ok": True}
    with h5py.File(tmp_path / "a.h5") as file:
        for path in (
            "counts",
            "square",
            "runs/first/half",
            "runs/first/wave",
            "runs/first/mask",
            "runs/first/one",
        ):
            np.testing.assert_array_equal(group[path][...], file[path][...])
            assert group[path].dtype == file[path].dtype.newbyteorder("=")


def test_axes_without_names_get_names_that_arrays_of_a_group_share(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros((3, 4))
        file["b"] = np.zeros((4, 3))
        file["c"] = np.zeros((4, 4))
        file["g/a"] = np.zeros(3)
    group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    names = {path: group[path].metadata.dimension_names for path in ("a", "b", "c", "g/a")}
    assert names["a"] == names["b"][::-1]
    assert names["c"][0] == names["a"][1]
    assert len(set(names["c"])) == 2
    assert names["g/a"][0] not in names["a"]


def test_labels_and_scales_of_a_plain_file_are_its_dimension_names(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scales/height"] = np.arange(3.0)
        file["scales/height"].make_scale("height above ground")
        file["a"] = np.zeros((3, 4))
        file["a"].dims[0].attach_scale(file["scales/height"])
        file["a"].dims[1].label = "station"
    group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    assert group["a"].metadata.dimension_names == ("height", "station")
    assert group["scales/height"].metadata.dimension_names == ("height",)


def test_types_that_come_later_are_named_in_one_warning(tmp_path: Path) -> None:
    source = every_later_type(tmp_path / "a.h5")
    with pytest.warns(LeftOutWarning) as caught:
        group: Any = import_file(source, tmp_path / "a.zarr")
    assert list(group.array_keys()) == ["number"]
    assert len(caught) == 1
    text = str(caught[0].message)
    assert text.startswith(f"left out of the import of {source}: ")
    left_out = (
        "text (string)",
        "fixed (string)",
        "char (char)",
        "compound (compound)",
        "vlen (vlen)",
        "enum (enum)",
        "reference (reference)",
        "opaque (opaque)",
        "rows (array type)",
        "empty (no data)",
        "wide (long double)",
    )
    for one in left_out:
        assert one in text


def test_links_that_lead_nowhere_or_back_are_named_and_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.arange(3)
        file["broken"] = h5py.SoftLink("/nothing")
        file["outside"] = h5py.ExternalLink("other.h5", "/a")
        file["g/loop"] = h5py.SoftLink("/")
        file["again"] = file["a"]
    with pytest.warns(LeftOutWarning) as caught:
        group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    text = str(caught[0].message)
    assert "broken (broken link)" in text
    assert "outside (broken link)" in text
    assert "g/loop (link to a group above it)" in text
    assert group["again"][:].tolist() == [0, 1, 2]


def test_attributes_that_json_cannot_hold_are_in_the_same_warning(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.arange(3)
        file["a"].attrs["point"] = np.zeros(1, [("x", "i4")])
        file["a"].attrs["units"] = "m"
        file["text"] = "abc"
    with pytest.warns(LeftOutWarning) as caught:
        group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    assert len(caught) == 1
    assert "text (string), a@point (attribute)" in str(caught[0].message)
    assert dict(group["a"].attrs) == {"units": "m"}


def test_a_file_behind_a_user_block_is_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as file:
        file["a"] = np.arange(3)
    group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    assert group["a"][:].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "options", [{"compression": "gzip", "shuffle": True}, {"compression": "lzf"}, {"fletcher32": True}]
)
def test_compressed_chunks_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    data = np.arange(60 * 70).reshape(60, 70)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=data, chunks=(7, 70), **options)
    group: Any = import_file(
        tmp_path / "a.h5", tmp_path / "a.zarr", chunks={"phony_dim_0": 20, "phony_dim_1": 30}
    )
    assert group["a"].chunks == (20, 30)
    np.testing.assert_array_equal(group["a"][...], data)


def test_the_files_own_chunks_are_kept(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=np.zeros((300, 400)), chunks=(150, 200))
    group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    assert group["a"].chunks == (150, 200)


def test_names_that_a_zarr_node_cannot_have_are_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in (
            "zarr.json",
            "__private",
            "back\\slash",
            ".zc-ours",
            "..",
            "__group/inside",
            "a b",
            "c",
            "ü",
        ):
            file[name] = np.arange(3)
    with pytest.warns(LeftOutWarning) as caught:
        group: Any = import_file(tmp_path / "a.h5", tmp_path / "a.zarr")
    assert sorted(group.keys()) == ["a b", "c", "ü"]
    text = str(caught[0].message)
    for name in ("zarr.json", "__private", "back\\slash", ".zc-ours", "..", "__group", "__group/inside"):
        assert f"{name} (name)" in text


def test_a_dimension_that_an_array_has_twice_is_told_apart(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 3)
        file.createVariable("covariance", "f4", ("x", "x"))[...] = np.eye(3)
        file.createVariable("cube", "i2", ("x", "x", "x"))[...] = np.zeros((3, 3, 3))
    group: Any = import_file(tmp_path / "a.nc", tmp_path / "a.zarr")
    assert group["covariance"].metadata.dimension_names == ("x", "x_2")
    assert group["cube"].metadata.dimension_names == ("x", "x_2", "x_3")
