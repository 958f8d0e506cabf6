"""Arrays like another: its layout, other content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from zarrc.codecs import ZlibCodec


def test_arrays_like_another_keep_its_layout(zarr_format: Any) -> None:
    source = zarrc.create(
        (6, 4),
        chunks=(2, 3),
        dtype=">f4",
        fill_value=9,
        zarr_format=zarr_format,
        filters=None,
        compressors=ZlibCodec(level=3),
        chunk_key_encoding=("v2", "/"),
    )
    for made, value in (
        (zarrc.zeros_like(source), 0),
        (zarrc.ones_like(source), 1),
        (zarrc.full_like(source), 9),
        (zarrc.full_like(source, 5), 5),
        (zarrc.full_like(source, fill_value=5), 5),
    ):
        assert (made.shape, made.chunks, made.dtype) == (source.shape, source.chunks, source.dtype)
        assert made.compressors == source.compressors
        assert made.metadata.zarr_format == zarr_format
        assert made.metadata.chunk_key_encoding == source.metadata.chunk_key_encoding
        np.testing.assert_array_equal(made[...], np.full((6, 4), value))
    assert zarrc.empty_like(source, chunks=(6, 4)).chunks == (6, 4)
    assert zarrc.empty_like(source, shape=(5,)).shape == (5,)
    assert zarrc.zeros_like(source, compressors=None).compressors == ()
    assert zarrc.zeros_like(np.zeros((2, 2), "u1")).dtype == np.dtype("u1")
    other: Any = 5 - zarr_format
    assert zarrc.zeros_like(source, zarr_format=other).metadata.zarr_format == other


def test_open_like_creates_once(tmp_path: Path) -> None:
    source = zarrc.full((6,), 3, dtype="i2", chunks=2)
    first = zarrc.open_like(source, str(tmp_path / "a"))
    assert (first.shape, first.chunks, first.fill_value) == ((6,), (2,), 3)
    first[0] = 8
    assert zarrc.open_like(source, str(tmp_path / "a"))[0] == 8


@pytest.mark.parametrize("names", [["x", "x", "y"], ["x", "x", None], ["", "x", "x"]])
def test_stored_names_that_a_new_array_must_not_have_are_left_out(names: Any) -> None:
    store = zarrc.storage.MemoryStore()
    zarrc.create_array(store, data=np.ones((2, 2, 2)), dimension_names=["a", "b", "c"])
    document = json.loads(bytes(store.get("zarr.json") or b""))
    store.set("zarr.json", json.dumps({**document, "dimension_names": names}).encode())
    source: Any = zarrc.open_array(store)
    wanted = tuple(name if name == "y" else None for name in names)
    group: Any = zarrc.create_group()
    for create in (
        lambda: zarrc.zeros_like(source),
        lambda: zarrc.from_array(data=source),
        lambda: group.empty_like("z", data=source),
    ):
        with pytest.warns(zarrc.errors.ZarrcWarning, match="dimension names .* are left out"):
            made = create()
        assert (made.metadata.dimension_names or (None,) * 3) == wanted
    assert zarrc.zeros_like(source, dimension_names=["a", "b", "c"]).metadata.dimension_names == (
        "a",
        "b",
        "c",
    )
