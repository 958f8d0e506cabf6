"""Advice about chunks: the guide's examples by true bytes, and what holds for every array."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zarrc
from zarrc.suggesting import FLOOR_NBYTES, TARGET_NBYTES, suggest_chunks

ITEMSIZES = {"uint8": 1, "int16": 2, "r24": 3, "float32": 4, "float64": 8, "complex128": 16, "r1000": 125}


@pytest.mark.parametrize(
    ("shape", "access", "storage", "chunks"),
    [
        ((1000, 10000), "row", "local", (100, 10000)),
        ((10000, 10000), "balanced", "local", (1000, 1000)),
        ((10000, 10000), "balanced", "cloud", (2000, 2000)),
    ],
)
def test_the_examples_of_the_guide(shape: Any, access: str, storage: Any, chunks: tuple[int, ...]) -> None:
    found = suggest_chunks(shape, "float64", access, storage)
    assert (found.chunks, found.shards) == (chunks, None)


def test_its_reasons_give_true_figures() -> None:
    found = suggest_chunks((10000, 10000), "float64")
    assert found.why[0] == (
        "A chunk of 1000 x 1000 elements of 8 bytes is 7.6 MiB; the array of 762.9 MiB has 100 chunks, each "
        "an object."
    )
    assert repr(found).startswith("chunks=(1000, 1000), shards=None\n  A chunk of 1000 x 1000 ")
    assert "<li>A chunk of 1000 x 1000" in found._repr_html_()


def test_a_typical_selection_is_a_chunk() -> None:
    names = ("time", "latitude", "longitude")
    by_name = suggest_chunks((365, 180, 360), "f4", {"time": slice(0, 31)}, dimension_names=names)
    assert by_name.chunks == (31, 180, 360)
    assert by_name.chunks == suggest_chunks((365, 180, 360), "f4", {-3: range(31)}).chunks
    assert "7.7 MiB, 1.0 times what is needed" in "".join(by_name.why)


def test_small_selections_in_the_cloud_get_shards() -> None:
    found = suggest_chunks((3650, 1800, 3600), "f4", {1: 1, 2: 1}, "cloud")
    assert found.chunks[0] == 3650
    assert found.shards is not None
    assert 10e6 <= math.prod(found.shards) * 4 <= 100e6
    assert suggest_chunks((3650, 1800, 3600), "f4", {1: 1, 2: 1}).shards is None


def test_several_ways_are_weighed_against_each_other() -> None:
    shape = (3650, 1800, 3600)
    series, maps = {1: 1, 2: 1}, {0: 1}
    both = suggest_chunks(shape, "f4", [series, maps]).chunks
    assert 1 < both[0] < 3650
    assert suggest_chunks(shape, "f4", ("row", "column")).chunks != suggest_chunks(shape, "f4", "row").chunks


def test_it_makes_an_array() -> None:
    found = suggest_chunks((200, 300, 400), "f4", {0: 1, 1: 16, 2: 16}, "cloud")
    a = zarrc.create_array(shape=(200, 300, 400), dtype="f4", chunks=found.chunks, shards=found.shards)
    assert (a.chunks, a.shards) == (found.chunks, found.shards)
    a[3, :16, :16] = 1
    assert a[3, 15, 15] == 1


def test_the_edges() -> None:
    assert suggest_chunks(()).chunks == ()
    assert suggest_chunks((), access={}, storage="cloud").shards is None
    empty = suggest_chunks((0, 5))
    assert empty.chunks == (1, 5)
    assert empty.why[0] == "An axis of no elements is cut as one of 1 would be."
    assert suggest_chunks(7, "i2").chunks == (7,)
    assert math.prod(suggest_chunks((30, 40), f"r{8 * 2**20}").chunks) == 8
    assert suggest_chunks((2**60, 2**60), "u1", "column").chunks[1] == 64
    assert suggest_chunks((10**6, 10**6), "f8", "column").chunks == (125000, 8)
    many = suggest_chunks((2,) * 32, "f8", {0: 1}).chunks
    assert FLOOR_NBYTES["local"] <= math.prod(many) * 8 <= TARGET_NBYTES["local"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"access": "rows"}, "'row', 'column' or 'balanced', got 'rows'"),
        ({"access": 3}, "access must be"),
        ({"access": []}, "access must be"),
        ({"access": [3]}, "a typical selection is a mapping"),
        ({"access": {"time": 3}}, "pass dimension_names="),
        ({"access": {"tim": 3}, "dimension_names": ("time", "x")}, "there is no dimension 'tim'"),
        ({"access": {"time": 3, 0: 4}, "dimension_names": ("time", "x")}, "names dimension 0 twice"),
        ({"access": {2: 3}}, "axis 2 is out of bounds for 2 dimensions"),
        ({"access": {0: 0}}, r"number of elements in \[1, 30\], got 0"),
        ({"access": {0: 31}}, "got 31"),
        ({"access": {0: slice(5, 5)}}, "selects nothing"),
        ({"access": {0: range(28, 40)}}, "outside"),
        ({"storage": "tape"}, "storage must be one of 'local', 'cloud'"),
        ({"dimension_names": ("x",)}, "1 dimension_names do not fit 2 dimensions"),
    ],
)
def test_what_makes_no_sense_is_an_error(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        suggest_chunks((30, 40), **arguments)


@pytest.mark.parametrize("access", [{0: 2.5}, {1.5: 2}, {0: "2"}])
def test_what_is_of_a_wrong_kind_is_a_type_error(access: Any) -> None:
    with pytest.raises(TypeError, match="access"):
        suggest_chunks((30, 40), access=access)


def test_an_axis_that_has_no_name_is_called_by_its_number() -> None:
    for access in ({0: 99}, {-2: 99}, {0: slice(20, 30)}):
        with pytest.raises(ValueError, match=r"access: .*\baxis (0|-2)\b"):
            suggest_chunks((10, 10), "f8", access)
    with pytest.raises(ValueError, match="access: 't' must be"):
        suggest_chunks((10, 10), "f8", {"t": 99}, dimension_names=("t", "x"))


def test_a_suggestion_is_a_value() -> None:
    found = suggest_chunks((100, 100))
    assert pickle.loads(pickle.dumps(found)) == copy.copy(found) == found
    assert hash(found) == hash(suggest_chunks((100, 100)))


extents = st.integers(0, 70) | st.integers(1, 20000) | st.sampled_from((2**31, 2**60))
shapes = st.lists(extents, min_size=1, max_size=4).map(tuple)


@given(
    shapes,
    st.sampled_from(sorted(ITEMSIZES)),
    st.sampled_from(("row", "column", "balanced")),
    st.sampled_from(("local", "cloud")),
)
def test_a_named_way_keeps_within_bounds(
    shape: tuple[int, ...], dtype: str, access: str, storage: Any
) -> None:
    found = suggest_chunks(shape, dtype, access, storage)
    full = [max(extent, 1) for extent in shape]
    itemsize = ITEMSIZES[dtype]
    nbytes = math.prod(found.chunks) * itemsize
    assert found.shards is None
    assert all(1 <= chunk <= extent for chunk, extent in zip(found.chunks, full, strict=True))
    assert nbytes <= TARGET_NBYTES[storage]
    # Even cuts lose less than half of what fits.
    assert nbytes >= min(math.prod(full) * itemsize, TARGET_NBYTES[storage] / 2 / 8)
    assert found.chunks[-1] >= min(full[-1], 8)
    assert found.chunks[-1] * itemsize >= min(full[-1] * itemsize, 64)
    if access == "row" and full[-1] * itemsize <= TARGET_NBYTES[storage]:
        assert found.chunks[-1] == full[-1]


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], list[dict[int, Any]]]:
    shape = draw(shapes)
    return shape, draw(st.lists(selections(shape), min_size=1, max_size=3))


@st.composite
def selections(draw: st.DrawFn, shape: tuple[int, ...]) -> dict[int, Any]:
    chosen: dict[int, Any] = {}
    for axis, extent in enumerate(shape):
        if extent and draw(st.booleans()):
            length = draw(st.integers(1, min(extent, 500)) | st.integers(1, extent))
            start = draw(st.integers(0, min(extent - length, 10**6)))
            chosen[axis] = slice(start, start + length) if draw(st.booleans()) else length
    return chosen


@given(
    cases(),
    st.sampled_from(sorted(ITEMSIZES)),
    st.sampled_from(("local", "cloud")),
)
def test_typical_selections_keep_within_bounds(
    case: tuple[tuple[int, ...], list[dict[int, Any]]], dtype: str, storage: Any
) -> None:
    shape, wanted = case
    found = suggest_chunks(shape, dtype, wanted, storage)
    full = [max(extent, 1) for extent in shape]
    itemsize = ITEMSIZES[dtype]
    nbytes = math.prod(found.chunks) * itemsize
    assert all(1 <= chunk <= extent for chunk, extent in zip(found.chunks, full, strict=True))
    assert found.chunks[-1] * itemsize >= min(full[-1] * itemsize, 64)
    assert nbytes <= TARGET_NBYTES[storage]
    assert nbytes >= min(math.prod(full) * itemsize, FLOOR_NBYTES[storage]) / 2
    if found.shards is not None:
        assert storage == "cloud"
        assert all(shard % chunk == 0 for shard, chunk in zip(found.shards, found.chunks, strict=True))
        assert math.prod(found.shards) * itemsize <= 64e6
        # No shard more than the array needs.
        assert all(
            shard < extent + 2 * chunk
            for shard, extent, chunk in zip(found.shards, full, found.chunks, strict=True)
        )
    if len(wanted) == 1:
        need = math.prod(_length(wanted[0].get(axis), extent) for axis, extent in enumerate(full)) * itemsize
        touched = math.prod(
            min(-(-_length(wanted[0].get(axis), extent) // chunk) + 1, -(-extent // chunk))
            for axis, (extent, chunk) in enumerate(zip(full, found.chunks, strict=True))
        )
        # What is read is a few times what is needed, wherever the selection begins; or a few small chunks.
        assert touched * nbytes <= 4 ** len(shape) * max(need, 4 * FLOOR_NBYTES[storage])


def _length(part: Any, extent: int) -> int:
    if part is None:
        return extent
    return part.stop - part.start if isinstance(part, slice) else int(part)


def test_numpy_numbers_are_numbers() -> None:
    assert suggest_chunks(np.array([100, 200]), np.float32, {np.int64(0): np.int64(3)}).chunks == (100, 200)
