"""New arrays: nothing half-happens, and every keyword has its effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.errors import CastingError, MetadataError


class Failing:
    """A source of data that breaks off after its first region."""

    shape = (4, 3_000_000)
    dtype = np.dtype("f8")
    chunks = (1, 3_000_000)

    def __init__(self) -> None:
        self.n_reads = 0

    def __getitem__(self, selection: Any) -> Any:
        self.n_reads += 1
        if self.n_reads > 1:
            raise ConnectionError("the source is gone")
        return np.ones(self.shape, self.dtype)[selection]


def test_an_array_whose_data_cannot_be_read_is_not_left_behind(tmp_path: Path) -> None:
    group = zarrc.open_group(tmp_path, mode="w")
    source = Failing()
    with pytest.raises(ConnectionError):
        group.create_array("x", data=source)
    assert source.n_reads > 1
    assert "x" not in group
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]


def test_a_shape_that_is_not_the_datas_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit data of shape"):
        zarrc.array(np.zeros((3, 4)), shape=(4, 3))
    assert zarrc.array(np.zeros((3, 4)), shape=(3, 4)).shape == (3, 4)


def test_order_of_a_v3_array_is_that_of_what_a_read_returns() -> None:
    array = zarrc.create_array({}, data=np.ones((3, 4)), order="F", zarr_format=3)
    assert array.order == "F"
    assert array[...].flags.f_contiguous
    assert [codec.name for codec in array.metadata.codecs] == ["bytes", "zstd"]
    with pytest.raises(ValueError, match="'C' or 'F'"):
        zarrc.create_array({}, shape=3, order="K")


def test_the_root_is_named_in_errors() -> None:
    with pytest.raises(CastingError, match="array '/'"):
        zarrc.array([0.5], dtype="i4")


def test_require_array_takes_every_name_of_a_data_type(tmp_path: Path) -> None:
    group = zarrc.open_group(tmp_path, mode="w", zarr_format=2)
    group.create_array("x", shape=3, dtype="r24")
    group.create_array("big", shape=3, dtype=">i4")
    assert group.require_array("x", shape=3, dtype="r24", exact=True).path == "x"
    assert group.require_array("big", shape=3, dtype={"name": "int32"}, exact=True).path == "big"
    with pytest.raises(TypeError, match="data type"):
        group.require_array("big", shape=3, dtype="float32")


@pytest.mark.parametrize(
    "grid",
    [
        {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
        zarrc.create_array({}, shape=(4, 4), chunks=(2, 3)).metadata.chunk_grid,
    ],
)
def test_a_chunk_grid_gives_the_chunks(grid: Any) -> None:
    assert zarrc.create_array({}, shape=(4, 4), chunk_grid=grid).chunks == (2, 3)
    with pytest.raises(TypeError, match="either chunks= or chunk_grid="):
        zarrc.create_array({}, shape=(4, 4), chunk_grid=grid, chunks=2)


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ("regular", "'chunk_shape' is missing"),
        ({"name": "regular"}, "'chunk_shape' is missing"),
        ({"name": "regular", "configuration": 5}, "chunk_grid.configuration: must be an object"),
        ({"name": "regular", "configuration": {"chunk_shape": [0, 1]}}, "must be in"),
        ({"name": "rectilinear"}, "rectilinear"),
        (5, "chunk_grid: must be an object"),
    ],
)
def test_a_wrong_chunk_grid_names_what_is_wrong(grid: Any, text: str) -> None:
    with pytest.raises(MetadataError) as caught:
        zarrc.create_array({}, shape=(4, 4), chunk_grid=grid)
    assert text in str(caught.value)


@pytest.mark.parametrize("document", [[1], None, "x"])
def test_a_document_of_another_type_is_a_type_error(document: Any) -> None:
    with pytest.raises(TypeError, match="is a mapping"):
        zarrc.Array.from_dict({}, document)


def test_a_document_that_json_cannot_hold_is_a_metadata_error() -> None:
    with pytest.raises(MetadataError, match="what JSON cannot"):
        zarrc.Array.from_dict({}, {"zarr_format": 3, "node_type": object()})
