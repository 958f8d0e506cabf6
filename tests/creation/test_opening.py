"""Opening: what each mode opens, creates and refuses; what bends the specification; where warnings point."""

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
from zarrc.array import Array
from zarrc.errors import (
    ArrayNotFoundError,
    ContainsArrayError,
    ContainsGroupError,
    GroupNotFoundError,
    MetadataError,
    NodeNotFoundError,
    ReadOnlyError,
    StoreError,
    ZarrcWarning,
)
from zarrc.group import Group
from zarrc.storage import MemoryStore


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


def test_opening_nothing_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(NodeNotFoundError, match=r"missing.*mode='a'.*shape="):
        zarrc.open(missing)
    with pytest.raises(ArrayNotFoundError, match=r"missing.*shape="):
        zarrc.open_array(missing)
    with pytest.raises(GroupNotFoundError, match=r"missing.*mode='a'"):
        zarrc.open_group(missing, mode="r+")
    with pytest.raises(FileNotFoundError, match="never creates"):
        zarrc.open(missing, mode="r")
    with pytest.raises(TypeError, match="what to open"):
        zarrc.open()
    assert not missing.exists()


def test_opening_what_is_of_the_other_kind_says_so(tmp_path: Path) -> None:
    zarrc.create_array(tmp_path / "a", shape=(3,))
    zarrc.create_group(tmp_path / "g")
    for mode, error in (("r", GroupNotFoundError), ("a", ContainsArrayError)):
        with pytest.raises(error, match="open_array"):
            zarrc.open_group(tmp_path / "a", mode=mode)  # type: ignore[arg-type]
    for mode, error in (("r", ArrayNotFoundError), ("a", ContainsGroupError), (None, ArrayNotFoundError)):
        with pytest.raises(error, match="open_group"):
            zarrc.open_array(tmp_path / "g", mode=mode, shape=(3,))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_modes_that_never_create(mode: Any, tmp_path: Path) -> None:
    for attempt in (
        lambda: zarrc.open(tmp_path / "n", mode=mode, shape=(3,)),
        lambda: zarrc.open_array(tmp_path / "n", mode=mode, shape=(3,)),
        lambda: zarrc.open_group(tmp_path / "n", mode=mode),
    ):
        with pytest.raises(NodeNotFoundError):
            attempt()
    assert not (tmp_path / "n").exists()
    with pytest.raises(ValueError, match="writes"):
        zarrc.create((3,), store=tmp_path / "n", mode=mode)


def test_mode_r_reads_only(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    reader = zarrc.open(tmp_path / "a", mode="r")
    assert reader.read_only
    with pytest.raises(ReadOnlyError):
        reader[0] = 1  # type: ignore[index]
    for mode in ("r+", "a", None):
        writer = zarrc.open(tmp_path / "a", mode=mode)  # type: ignore[arg-type]
        assert not writer.read_only
        writer[0] = 5  # type: ignore[index]
    assert reader[0] == 5  # type: ignore[index]


def test_mode_a_opens_or_creates(tmp_path: Path) -> None:
    assert isinstance(zarrc.open(tmp_path / "g", mode="a", attributes={"k": 1}), Group)
    assert zarrc.open(tmp_path / "g", mode="a").attrs["k"] == 1
    made = zarrc.open(tmp_path / "a", mode="a", shape=(3,), dtype="i4")
    assert isinstance(made, Array)
    made[:] = 2
    assert (zarrc.open_array(tmp_path / "a", mode="a", shape=(3,), dtype="i4")[:] == 2).all()
    with pytest.raises(TypeError, match="chunks"):
        zarrc.open(tmp_path / "h", mode="a", chunks=3)


def test_an_array_that_is_not_as_described_is_opened_with_a_warning(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "a", np.arange(3))
    with pytest.warns(ZarrcWarning, match=r"shape \(3,\), not \(4,\)"):
        assert zarrc.open_array(tmp_path / "a", shape=(4,)).shape == (3,)
    with pytest.warns(ZarrcWarning, match="data type int64, not float32"):
        zarrc.open(tmp_path / "a", shape=(3,), dtype="f4")


def test_mode_w_starts_anew(tmp_path: Path) -> None:
    zarrc.save(tmp_path / "n", np.arange(3))
    assert isinstance(zarrc.open(tmp_path / "n", mode="w"), Group)
    zarrc.open_group(tmp_path / "n").create_array("x", shape=(3,))
    assert len(zarrc.open_group(tmp_path / "n", mode="w")) == 0
    assert zarrc.open(tmp_path / "n", mode="w", shape=(5,)).shape == (5,)  # type: ignore[union-attr]
    assert zarrc.open_array(tmp_path / "n", mode="w", shape=(6,)).shape == (6,)
    assert zarrc.create((7,), store=tmp_path / "n", mode="w").shape == (7,)
    assert zarrc.create_array(tmp_path / "n", shape=(8,), overwrite=True).shape == (8,)
    with pytest.raises(TypeError, match="shape="):
        zarrc.open_array(tmp_path / "n", mode="w")


def test_mode_w_minus_never_replaces(tmp_path: Path) -> None:
    zarrc.open(tmp_path / "n", mode="w-", shape=(3,))
    for attempt in (
        lambda: zarrc.open(tmp_path / "n", mode="w-"),
        lambda: zarrc.open_array(tmp_path / "n", mode="w-", shape=(3,)),
        lambda: zarrc.open_group(tmp_path / "n", mode="w-"),
        lambda: zarrc.create((3,), store=tmp_path / "n"),
        lambda: zarrc.create_array(tmp_path / "n", shape=(3,)),
        lambda: zarrc.create_group(tmp_path / "n"),
    ):
        with pytest.raises(ContainsArrayError, match="overwrite"):
            attempt()


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'rw'"):
        zarrc.open(tmp_path, mode="rw")  # type: ignore[arg-type]


def test_group_opens_or_creates(tmp_path: Path, zarr_format: Any) -> None:
    first = zarrc.group(tmp_path / "g", zarr_format=zarr_format, attributes={"a": 1})
    assert zarrc.group(tmp_path / "g") == first
    assert zarrc.group(tmp_path / "g").attrs["a"] == 1
    assert dict(zarrc.group(tmp_path / "g", overwrite=True).attrs) == {}
    with pytest.raises(ContainsGroupError):
        zarrc.create_group(tmp_path / "g")
    with pytest.raises(TypeError, match="'attribute'"):
        zarrc.group(tmp_path / "g", attribute={})


def test_opening_can_be_strict() -> None:
    store = MemoryStore()
    store.set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": null}')
    lenient = zarrc.open_group(store)
    assert lenient.metadata.assumed
    for attempt in (lambda: zarrc.open(store, strict=True), lambda: zarrc.open_group(store, strict=True)):
        with pytest.raises(MetadataError, match="attributes"):
            attempt()
