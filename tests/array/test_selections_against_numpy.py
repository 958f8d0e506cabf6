"""Selections of every kind read and write as in NumPy, on regular, sharded and rectilinear arrays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zarrc
from tests.engine.test_shard_selections import sharded_layouts
from tests.indexing.keys import fancy_keys, masks, orthogonal, orthogonal_keys, vectorized
from tests.soak import count
from tests.strategies import (
    DTYPE_NAMES,
    basic_selections,
    broadcastable_shapes,
    layouts,
    random_values,
    seeds,
    shapes,
)
from zarrc.frozen import changed

Values = npt.NDArray[Any]
Pick = Callable[[Values], Any]
"""What a selection takes of a NumPy array."""

GRIDS = ("regular", "sharded", "rectilinear")
done: Counter[tuple[str, str, str]] = Counter()

thoroughly = settings(
    max_examples=count(1000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module", autouse=True)
def counts(pytestconfig: pytest.Config) -> Iterator[None]:
    """Show what was compared."""
    yield
    kinds = dict.fromkeys(kind for kind, _, _ in done)
    lines = [
        f"{kind:12}"
        + ", ".join(f"{grid} {done[kind, grid, 'read']} + {done[kind, grid, 'write']}" for grid in GRIDS)
        for kind in kinds
    ]
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\nselections compared with NumPy, reads + writes:", *lines, sep="\n  ")


@st.composite
def rectilinear(draw: st.DrawFn) -> dict[str, Any]:
    """What creates an array with chunks of several extents, along some axes at least."""
    shape = draw(shapes(max_ndim=4, max_size=1500).filter(lambda shape: len(shape) > 0 and 0 not in shape))
    chunks: list[Any] = []
    for extent in shape:
        parts: list[int] = []
        while sum(parts) < extent and len(parts) < 6:
            parts.append(draw(st.integers(1, max(1, extent - sum(parts) + 1))))
        parts += [extent - sum(parts)] * (sum(parts) < extent)
        chunks.append(parts)
    compressors = draw(st.sampled_from((None, "zstd")))
    return {
        "shape": shape,
        "chunks": chunks,
        "dtype": draw(st.sampled_from(DTYPE_NAMES)),
        "compressors": compressors,
        "fill_value": 1,
    }


def _array(data: st.DataObject, grid: str, named: bool) -> tuple[Any, Values]:
    """An array with values, and the same in NumPy."""
    store = zarrc.storage.MemoryStore()
    if grid == "sharded":
        sharded = data.draw(sharded_layouts().filter(lambda layout: not layout.rounded))
        array = sharded.create(store)
    elif grid == "regular":
        layout = data.draw(layouts(max_ndim=4).filter(lambda layout: layout.zarr_format == 3 or not named))
        array = zarrc.create_array(store, **layout.arguments())
    else:
        array = zarrc.create_array(store, **data.draw(rectilinear()))
    if named:
        names = tuple([f"d{axis}" for axis in range(array.ndim)])
        array = zarrc.Array(array.store, array.path, changed(array.metadata, dimension_names=names))
    values = random_values(array.shape, array.dtype, data.draw(seeds()))
    # Not all of it is always stored.
    part = data.draw(st.just(...) | basic_selections(array.shape))
    array[part] = values[part]
    stored = np.asarray(array[...]).copy()
    return array, stored


def _assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def _assign(values: Values, pick: Pick, new: Values) -> None:
    """Assign to what is picked, in C order: of several values for one element the last one stays."""
    picked = np.asarray(pick(np.arange(values.size).reshape(values.shape)))
    flat = values.reshape(-1)
    for at, value in zip(picked.ravel().tolist(), np.broadcast_to(new, picked.shape).ravel(), strict=True):
        flat[at] = value


def _compare(data: st.DataObject, kind: str, grid: str, draw: Callable[[Any, Values], Any]) -> None:
    """``draw`` gives a handle of what is selected, for reading and writing, and the same for NumPy."""
    array, values = _array(data, grid, named=kind == "by name")
    for _ in range(2):
        read, _write, pick = draw(array, values)
        _assert_same(read(None), pick(values))
        expected = pick(values)
        if isinstance(expected, np.ndarray):
            wide = np.zeros((*expected.shape, 2), expected.dtype)
            out = wide[..., data.draw(st.integers(0, 1))]
            assert read(out) is out
            _assert_same(out.copy(), np.array(expected))
        done[kind, grid, "read"] += 1
    _, write, pick = draw(array, values)
    wanted = np.shape(pick(values))
    shape = () if not wanted else data.draw(broadcastable_shapes(wanted))
    new = random_values(shape, values.dtype, data.draw(seeds()))
    write(new)
    while new.ndim > len(wanted):
        new = new[0]
    _assign(values, pick, new)
    _assert_same(np.asarray(array[...]), values)
    done[kind, grid, "write"] += 1


def _brackets(accessor: Any, key: Any, reader: Any = None) -> tuple[Any, Any]:
    """Read, into something if that is given, and write."""

    def read(out: Any) -> Any:
        return accessor[key] if out is None else reader(key, out=out)

    def write(value: Any) -> None:
        accessor[key] = value

    return read, write


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_what_stands_in_brackets(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        key = data.draw(fancy_keys(values.shape))
        return *_brackets(array, key, array.get_basic_selection), lambda v: v[key]

    _compare(data, "[...]", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_basic_selections(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        key = data.draw(basic_selections(values.shape))
        return *_brackets(array, key, array.get_basic_selection), lambda v: v[key]

    _compare(data, "basic", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_orthogonal_selections(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        key = data.draw(orthogonal_keys(values.shape))
        return *_brackets(array.oindex, key, array.get_orthogonal_selection), lambda v: orthogonal(v, key)

    _compare(data, "oindex", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_selections_of_points(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        key = data.draw(fancy_keys(values.shape))

        def into(key: Any, out: Any) -> Any:
            out[...] = array.vindex[key]  # has no other form with an out
            return out

        return *_brackets(array.vindex, key, into), lambda v: vectorized(v, key)

    _compare(data, "vindex", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_coordinate_selections(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=2))) if values.size else (0,)
        rng = np.random.default_rng(data.draw(seeds()))
        key = tuple([rng.integers(-extent, max(1, extent), shape) for extent in values.shape])

        def read(out: Any) -> Any:
            return array.get_coordinate_selection(key, out=out)

        return read, lambda value: array.set_coordinate_selection(key, value), lambda v: v[key]

    _compare(data, "coordinate", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_masks(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        mask = data.draw(masks(values.shape))

        def read(out: Any) -> Any:
            return array[mask] if out is None else array.get_mask_selection(mask, out=out)

        return read, lambda value: array.set_mask_selection(mask, value), lambda v: v[mask]

    _compare(data, "mask", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_blocks(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        chunk_grid = array.metadata.chunk_grid
        key, region = [], []
        for axis, n in enumerate(chunk_grid.grid_shape(values.shape)):
            first = data.draw(st.integers(0, n))
            stop = data.draw(st.integers(first, n))
            bounds = [chunk_grid.chunk_bounds(axis, i) for i in range(first, stop)]
            region.append(slice(bounds[0][0], bounds[-1][1]) if bounds else slice(0, 0))
            is_one = stop == first + 1 and data.draw(st.booleans())
            key.append(first - n * data.draw(st.integers(0, 1)) if is_one else slice(first, stop))
        picked = tuple(region)
        return *_brackets(array.blocks, tuple(key), array.get_block_selection), lambda v: np.asarray(
            v[(..., *picked)] if picked else v
        )

    _compare(data, "blocks", grid, draw)


@pytest.mark.parametrize("grid", GRIDS)
@thoroughly
@given(data=st.data())
def test_names(data: st.DataObject, grid: str) -> None:
    def draw(array: Any, values: Values) -> Any:
        names = array.metadata.dimension_names
        chosen = [axis for axis in range(values.ndim) if data.draw(st.booleans())]
        key: list[Any] = [slice(None)] * values.ndim
        for axis in chosen:
            item = data.draw(orthogonal_keys((values.shape[axis],)))
            item = item[0] if isinstance(item, tuple) and len(item) == 1 else item
            if isinstance(item, tuple) or item is None or item is ...:
                item = slice(None)
            key[axis] = item
        indexers = {names[axis]: key[axis] for axis in data.draw(st.permutations(chosen))}
        read, write = _brackets(array, indexers, array.get_slice)
        return read, write, lambda v: orthogonal(v, tuple(key))

    _compare(data, "by name", grid, draw)


def test_a_million_points_are_no_python_objects() -> None:
    import tracemalloc

    array = zarrc.create_array(shape=(1000, 1000), chunks=(100, 100), dtype="i4", compressors=None)
    array[...] = values = np.arange(10**6, dtype="i4").reshape(1000, 1000)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 1000, (2, 10**6))
    expected = values[rows, columns]
    array[rows[:10], columns[:10]]
    tracemalloc.start()
    found = array[rows, columns]
    n_blocks = sum(each.count for each in tracemalloc.take_snapshot().statistics("filename"))
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert math.isclose(found.size, 10**6)
    assert n_blocks < 1000
