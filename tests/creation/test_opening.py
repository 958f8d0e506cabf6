"""What opening can be told about documents that bend the specification, and where its warnings point."""

from __future__ import annotations

import json
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.soak import count
from zarrc.errors import MetadataError, NodeNotFoundError, StoreError, ZarrcWarning


def change_document(path: Path, **fields: Any) -> None:
    """Set fields of a ``zarr.json``; those that are ``...`` are deleted."""
    document = {**json.loads(path.read_text("utf-8")), **fields}
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}), "utf-8")


@pytest.fixture
def without_fill(tmp_path: Path) -> Path:
    zarrc.create_array(tmp_path / "a", shape=4, chunks=2, dtype="f4")
    change_document(tmp_path / "a" / "zarr.json", fill_value=None)
    return tmp_path / "a"


def test_strict_refuses_what_is_otherwise_read_and_noted(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path, shape=4, dtype="i4")
    change_document(tmp_path / "zarr.json", fill_value=1.0)
    array = zarrc.open_array(tmp_path)
    assert array.fill_value == 1
    assert len(array.metadata.assumed) == 1
    assert array.metadata.assumed[0] in repr(array.info)
    for open_it in (zarrc.open, zarrc.open_array):
        with pytest.raises(MetadataError, match="fill_value"):
            open_it(tmp_path, strict=True)


@pytest.mark.parametrize("fill", [None, ...])
def test_a_document_without_a_fill_value_opens_with_repair_fill_only(tmp_path: Path, fill: Any) -> None:
    zarrc.create_array(tmp_path, shape=4, chunks=2, dtype="f4")
    change_document(tmp_path / "zarr.json", fill_value=fill)
    with pytest.raises(MetadataError, match="repair_fill="):
        zarrc.open(tmp_path)
    array = zarrc.open(tmp_path, repair_fill=np.nan)
    assert isinstance(array, zarrc.Array)
    assert np.isnan(array[...]).all()
    assert "fill_value" in array.metadata.assumed[0]


def test_a_handle_keeps_its_repaired_fill_value_and_stores_it_with_the_next_change(
    without_fill: Path,
) -> None:
    array = zarrc.open_array(without_fill, repair_fill=7)
    array.attrs.refresh()
    array.attrs["a"] = 1
    assert zarrc.open_array(without_fill).fill_value == 7


def test_a_wrong_repair_fill_is_an_error(without_fill: Path) -> None:
    with pytest.raises(MetadataError, match="fill_value"):
        zarrc.open_array(without_fill, repair_fill="seven")


def test_a_path_object_names_a_node(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path, name=Path("g/x"), shape=3, dtype="i4")
    assert zarrc.open(tmp_path, path=Path("g") / "x").path == "g/x"


def test_what_could_not_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", "utf-8")
    with pytest.raises(StoreError, match=f"cannot create a node at file://{tmp_path}/file: Not a directory"):
        zarrc.create_array(tmp_path / "file", shape=3)


def test_a_missing_node_is_not_offered_in_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", "utf-8")
    with pytest.raises(NodeNotFoundError, match="is a file, not a directory") as caught:
        zarrc.open(tmp_path / "file", mode="r")
    assert "did you mean" not in str(caught.value)


def test_warnings_point_at_the_line_that_called(tmp_path: Path) -> None:
    group = zarrc.open_group(tmp_path, mode="w")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zarr.json").write_text("{", "utf-8")
    calls = (
        lambda: list(group),
        lambda: len(group),
        group.tree,
        group.info_complete,
        lambda: zarrc.zeros(3, synchronizer=object()),
        lambda: zarrc.open_group(tmp_path, cache_attrs=True),
    )
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [one.filename for one in caught if one.category is ZarrcWarning] == [__file__] * len(caught)
        assert caught


@pytest.mark.parametrize(
    "open_it",
    [
        lambda path: zarrc.open(path, mode="a").attrs.asdict(),
        lambda path: zarrc.open_group(path).attrs.asdict(),
        lambda path: zarrc.open(path, mode="a", shape=4, dtype="i4").shape,
        lambda path: zarrc.open_array(path, mode="a", shape=4, dtype="i4").shape,
        lambda path: zarrc.open_group(path.parent).require_group(path.name).attrs.asdict(),
        lambda path: zarrc.open_group(path.parent).require_array(path.name, shape=4).shape,
    ],
)
def test_many_may_open_or_create_one_node_at_once(tmp_path: Path, open_it: Any) -> None:
    for turn in range(count(30)):
        path, ready = tmp_path / str(turn), threading.Barrier(6)

        def race(path: Path = path, ready: threading.Barrier = ready) -> Any:
            ready.wait()
            return open_it(path)

        with ThreadPoolExecutor(6) as pool:
            found = [one.result() for one in [pool.submit(race) for _ in range(6)]]
        assert found == [found[0]] * 6


def test_advice_after_a_question_starts_anew(tmp_path: Path) -> None:
    zarrc.create_group(tmp_path / "run.zarr")
    with pytest.raises(NodeNotFoundError, match=r"run.zarr'\? Or pass mode='a' to create it \(mode='r'"):
        zarrc.open_group(tmp_path / "ru.zarr", mode="r")
