"""Lazy views: nothing is read until it is asked for, and then what NumPy would give."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.indexing.keys import fancy_keys, masks, orthogonal, orthogonal_keys, vectorized, view_steps
from tests.soak import count
from tests.strategies import basic_selections
from zarrc.errors import BoundsCheckError, CastingError, MetadataError, ReadOnlyError, SelectionError
from zarrc.lazy_view import LazyView
from zarrc.storage import MappingStore, MemoryStore

Values = npt.NDArray[Any]
thoroughly = settings(max_examples=count(10_000), deadline=None)


class CountingDict(dict[str, bytes]):
    """A mapping that counts what is read."""

    asked = 0

    def __getitem__(self, key: str) -> bytes:
        self.asked += 1
        return super().__getitem__(key)


def numbers(shape: tuple[int, ...]) -> Values:
    return np.arange(np.prod(shape, dtype=int), dtype="i4").reshape(shape)


def stored(shape: tuple[int, ...], store: Any = None, **keywords: Any) -> Any:
    keywords = {"chunks": tuple(max(1, n // 2) for n in shape)} | keywords
    array = zarrc.create_array(
        MemoryStore() if store is None else store, shape=shape, dtype="i4", fill_value=-1, **keywords
    )
    array[...] = numbers(shape)
    return array


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Small stored arrays, in chunks or in shards, each element its own number."""
    shape = tuple(draw(st.lists(st.sampled_from((0, 1, 2, 3, 5, 7, 9)), max_size=4)))
    chunks = tuple(draw(st.integers(1, max(1, n))) for n in shape)
    shards = tuple(n * draw(st.integers(1, 3)) for n in chunks) if draw(st.booleans()) else None
    return stored(shape, chunks=chunks, shards=shards or None)


def one_more(data: st.DataObject, step: str, view: LazyView, expected: Values) -> tuple[LazyView, Values]:
    """One selection more, of the view and of what NumPy has."""
    shape = expected.shape
    if step == "transpose":
        order = data.draw(st.permutations(range(len(shape))) | st.none())
        return (view.T, expected.T) if order is None else (view.transpose(order), expected.transpose(order))
    if step == "oindex":
        key = data.draw(orthogonal_keys(shape))
        return view.oindex[key], np.asarray(orthogonal(expected, key))
    if step == "vindex":
        key = data.draw(fancy_keys(shape))
        return view.vindex[key], np.asarray(vectorized(expected, key))
    keys = {"basic": basic_selections, "mask": masks}.get(step, fancy_keys)
    key = data.draw(keys(shape))
    return view[key], np.asarray(expected[key])


def composed(data: st.DataObject, array: Any, steps: list[str]) -> tuple[LazyView, Values]:
    view, expected = array.lazy, numbers(array.shape)
    for step in steps:
        if expected.ndim > 8 or expected.size > 10_000:
            break
        view, expected = one_more(data, step, view, expected)
        assert view.shape == expected.shape
    return view, expected


@thoroughly
@given(data=st.data(), array=arrays(), steps=view_steps())
def test_views_of_views_read_what_numpy_gives(data: st.DataObject, array: Any, steps: list[str]) -> None:
    view, expected = composed(data, array, steps)
    assert (view.ndim, view.size, view.nbytes) == (expected.ndim, expected.size, expected.nbytes)
    found = view.read()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.asarray(view), expected)
    out = np.full(expected.shape, -7, "i4")
    assert view.read(out=out) is out
    np.testing.assert_array_equal(out, expected)


@thoroughly
@given(data=st.data(), array=arrays(), steps=view_steps())
def test_writing_to_views_of_views_writes_where_numpy_does(
    data: st.DataObject, array: Any, steps: list[str]
) -> None:
    view, places = composed(data, array, steps)
    expected = numbers(array.shape)
    # Of several values for one element the last one stays, in C order.
    values = 10_000 + np.arange(places.size).reshape(places.shape)
    expected.reshape(-1)[places.reshape(-1)] = values.reshape(-1)
    view.write(values)
    np.testing.assert_array_equal(array[...], expected)


@settings(thoroughly, max_examples=count(2000))
@given(data=st.data(), array=arrays(), steps=view_steps())
def test_chunks_are_the_runs_of_a_dimension_that_are_in_one_chunk(
    data: st.DataObject, array: Any, steps: list[str]
) -> None:
    view, places = composed(data, array, steps)
    if view.chunks is None:
        assert any(step in ("index", "oindex", "vindex", "mask") for step in steps)
        return
    assert tuple(map(sum, view.chunks)) == view.shape
    if 0 in view.shape or array.ndim == 0:
        return
    # The chunk of each element, along all of the array's axes; runs end where it changes.
    where = np.stack(np.unravel_index(places, array.shape))
    chunk = where // np.reshape(array.chunks, (-1,) + (1,) * places.ndim)
    for dim, sizes in enumerate(view.chunks):
        changes = np.diff(chunk, axis=dim + 1).any(axis=0)
        ends = np.flatnonzero(changes.any(axis=tuple(i for i in range(view.ndim) if i != dim))) + 1
        assert np.cumsum(sizes)[:-1].tolist() == ends.tolist()


# --- what a view is


def test_nothing_is_read_before_it_is_asked_for() -> None:
    mapping = CountingDict()
    array = stored((20, 30), mapping, dimension_names=("y", "x"))
    mapping.asked = 0
    view = array.lazy[2:].T[::-1, None, [1, 3, 5]].astype("f8")
    assert (view.shape, view.dtype, view.size) == ((30, 1, 3), np.dtype("f8"), 90)
    assert (view.nbytes, view.itemsize, view.ndim, len(view)) == (720, 8, 3, 30)
    rows = list(view)
    assert (len(rows), rows[0].shape) == (30, (1, 3))
    assert view.dimension_names == ("x", None, "y")
    assert "30" in repr(view)
    assert "float64" in view._repr_html_()
    assert view.array is array
    assert mapping.asked == 0
    np.testing.assert_array_equal(view.read(), numbers((20, 30))[2:].T[::-1, None, [1, 3, 5]])
    assert mapping.asked > 0


def test_only_what_is_left_is_read() -> None:
    mapping = CountingDict()
    array = stored((20, 30), mapping, chunks=(5, 5))
    mapping.asked = 0
    np.testing.assert_array_equal(array.lazy[5:15][:, 7:23][1:3, 2], numbers((20, 30))[6:8, 9])
    assert mapping.asked == 1


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        (lambda v: v, ((4, 4, 2), (6, 3))),
        (lambda v: v[1:9], ((3, 4, 1), (6, 3))),
        (lambda v: v[::-1], ((2, 4, 4), (6, 3))),
        (lambda v: v[::3, 8], ((2, 1, 1),)),
        (lambda v: v[7::-5], ((1, 1), (6, 3))),
        (lambda v: v.T[None], ((1,), (6, 3), (4, 4, 2))),
        (lambda v: v[3:3], ((0,), (6, 3))),
        (lambda v: v[2, 2], ()),
        (lambda v: v[[0, 5, 1]], None),
        (lambda v: v.vindex[[0, 5], [1, 2]], None),
    ],
)
def test_chunks(take: Any, expected: Any) -> None:
    assert take(stored((10, 9), chunks=(4, 6)).lazy).chunks == expected


def test_chunks_in_shards_are_the_inner_ones() -> None:
    assert stored((10,), chunks=(2,), shards=(6,)).lazy[1:].chunks == ((1, 2, 2, 2, 2),)


def test_names_follow_their_dimensions() -> None:
    view = stored((3, 4, 5), dimension_names=("z", None, "x")).lazy
    assert view.dimension_names == ("z", None, "x")
    assert view.T[0].dimension_names == (None, "z")
    assert view.oindex[[0, 2], :, [1, 1]].dimension_names == ("z", None, "x")
    assert view.vindex[[0, 2], :, [1, 1]].dimension_names == (None, None)
    assert stored((3,)).lazy.dimension_names is None


def test_integers_for_all_dimensions_give_a_scalar_as_they_do_of_the_array() -> None:
    array = stored((3, 4))
    view = array.lazy[1][2]
    assert type(view.read()) is type(array[1, 2]) is np.int32
    assert view.read() == 6
    assert np.asarray(view).shape == ()
    assert array.lazy[1, 2, ...].read().shape == ()


def test_a_0d_view_has_no_length() -> None:
    view = stored(()).lazy
    with pytest.raises(TypeError, match="unsized"):
        len(view)
    with pytest.raises(TypeError, match="0-d"):
        iter(view)
    view[...] = 5
    assert view.read() == 5


def test_indices_are_checked_when_the_view_is_made() -> None:
    view = stored((10, 9)).lazy[2:5]
    with pytest.raises(BoundsCheckError, match="index 3 is out of bounds for axis 0 with size 3"):
        view[3]
    with pytest.raises(BoundsCheckError, match="axis 1 with size 9"):
        view[:, [0, -10]]
    with pytest.raises(SelectionError, match="too many indices"):
        view[0, 0, 0]
    with pytest.raises(ValueError, match="axes"):
        view.transpose(0, 0)


def test_transposing_takes_axes_as_numpy_does() -> None:
    view, data = stored((2, 3, 4)).lazy, numbers((2, 3, 4))
    for axes in ((), (None,), (1, 2, 0), ((1, 2, 0),), ([2, 0, 1],), (-1, 0, 1)):
        np.testing.assert_array_equal(view.transpose(*axes), data.transpose(*axes))
    assert stored(()).lazy.transpose().shape == ()


def test_a_transposed_view_is_read_as_the_array_lies() -> None:
    array, data = stored((20, 30, 4)), numbers((20, 30, 4))
    for view, expected in (
        (array.lazy.T, data.T),
        (array.lazy[None, ::2, 3].T[:, 1:, ...], data[None, ::2, 3].copy().T[:, 1:, ...]),
        (array.lazy.transpose(1, 0, 2)[::-1], data.transpose(1, 0, 2)[::-1]),
        (array.with_config({"order": "F"}).lazy.T, data.T),
    ):
        np.testing.assert_array_equal(view.read(), expected)
        np.testing.assert_array_equal(view.read(np.empty(view.shape, "i4")), expected)
        np.testing.assert_array_equal(view.astype("f8").read(), expected)
    assert array.lazy.T.read().flags.f_contiguous
    assert array.with_config({"order": "F"}).lazy.T.read().flags.c_contiguous


# --- casting


def test_a_view_of_another_type_is_cast_when_it_is_read() -> None:
    array = stored((4, 5))
    view = array.lazy[1:].astype("f4")
    assert view.read().dtype == np.float32
    np.testing.assert_array_equal(view.T[::2], numbers((4, 5))[1:].T[::2])
    out = np.empty((3, 5), "f4")
    assert view.read(out) is out
    np.testing.assert_array_equal(out, numbers((4, 5))[1:])
    assert array.lazy.astype("i4").dtype == np.int32
    assert type(array.lazy[1, 1].astype("f8").read()) is np.float64


def test_casts_follow_one_another() -> None:
    view = stored((300,)).lazy.astype("u1").astype("f8")
    np.testing.assert_array_equal(view, numbers((300,)).astype("u1").astype("f8"))
    out = np.empty(300)
    np.testing.assert_array_equal(view.read(out), numbers((300,)).astype("u1"))


def test_numpys_rules_say_what_may_be_cast() -> None:
    view = stored((3,)).lazy
    with pytest.raises(TypeError, match=r"Cannot cast .* according to the rule 'safe'"):
        view.astype("f4", casting="safe")
    assert view.astype("f8", casting="safe").dtype == np.float64


@pytest.mark.parametrize(
    ("out", "error"),
    [
        (np.empty(3, "i4"), TypeError),
        (np.empty(4, "f8"), ValueError),
        ([0.0] * 3, TypeError),
        (np.broadcast_to(0.0, 3), ValueError),
    ],
)
def test_out_must_fit_the_view(out: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        stored((3,)).lazy.astype("f8").read(out)


def test_a_cast_view_is_not_written_to() -> None:
    array = stored((3,))
    with pytest.raises(ReadOnlyError, match="dtype"):
        array.lazy.astype("f8")[0] = 1
    assert array[0] == 0


# --- writing


def test_values_broadcast_and_are_checked() -> None:
    array = stored((4, 6))
    array.lazy[1:3].T[::2] = [7, 8]
    np.testing.assert_array_equal(array[1:3, ::2], [[7] * 3, [8] * 3])
    array.lazy.oindex[[0, 3], [1, 2]] = 9
    assert array[0, 1] == array[3, 2] == 9
    array.lazy.vindex[[0, 3], [4, 5]] = [10, 11]
    assert (array[0, 4], array[3, 5]) == (10, 11)
    with pytest.raises(ValueError, match="broadcast"):
        array.lazy[1:3] = np.zeros((3, 3))
    with pytest.raises(CastingError):
        array.lazy[0] = 0.5


def test_a_read_only_handle_writes_nothing() -> None:
    store = MemoryStore()
    stored((3,), store)
    view = zarrc.open_array(store, mode="r").lazy
    with pytest.raises(ReadOnlyError):
        view[0] = 1


def test_views_see_buffered_writes_and_are_written_after_them() -> None:
    array = stored((8,), shards=(8,))
    view = array.lazy[2:6][::-1]
    with array.buffered():
        array[2:7] = 50
        view[0] = 99
        array[4] = 7
        np.testing.assert_array_equal(view, [99, 7, 50, 50])
        np.testing.assert_array_equal(array[...], [0, 1, 50, 50, 7, 99, 50, 7])
    np.testing.assert_array_equal(zarrc.open_array(array.store)[...], [0, 1, 50, 50, 7, 99, 50, 7])


# --- the array changes


def test_a_view_of_an_array_that_grew_is_of_the_same_elements() -> None:
    array = stored((4, 6))
    views = [array.lazy, array.lazy[1:].T, array.lazy[[0, 3, 1]], array.lazy[numbers((4, 6)) % 2 == 0]]
    array.resize((8, 12))
    array[4:] = array[:, 6:] = 1000
    expected = numbers((4, 6))
    wanted = [expected, expected[1:].T, expected[[0, 3, 1]], expected[expected % 2 == 0]]
    for view, found in zip(views, wanted, strict=True):
        np.testing.assert_array_equal(view, found)
    views[2][1] = -5
    assert set(array[3, :6]) == {-5}


def test_a_view_of_what_an_array_has_no_more_says_so() -> None:
    array = stored((4, 6))
    views = [array.lazy, array.lazy[1:].T, array.lazy[[0, 3, 1]], array.lazy[numbers((4, 6)) == 23]]
    kept = [array.lazy[:3, ::2], array.lazy[[0, 2], 1], array.lazy[3:3], array.lazy[4:, 5]]
    array.resize((3, 6))
    for view in views:
        with pytest.raises(SelectionError, match=r"resized from \(4, 6\) to \(3, 6\)"):
            view.read()
        with pytest.raises(SelectionError, match="resized"):
            view.write(0)
    np.testing.assert_array_equal(kept[0], numbers((4, 6))[:3, ::2])
    np.testing.assert_array_equal(kept[1], [1, 13])
    assert (kept[2].read().shape, kept[3].read().shape) == ((0, 6), (0,))


# --- with others


def test_views_are_pickled_and_shared_between_threads(tmp_path: Any) -> None:
    array = stored((20, 30), tmp_path / "a")
    view = array.lazy[2:].T[:, [1, 5, 1]].astype("f8")
    expected = numbers((20, 30))[2:].T[:, [1, 5, 1]]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(view)), expected)
    wrong = []

    def read() -> None:
        for _ in range(count(200)):
            if not np.array_equal(view.read(), expected):
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_numpy_reads_views_where_it_wants_arrays() -> None:
    view = stored((4, 6)).lazy[1:]
    data = numbers((4, 6))[1:]
    assert np.sum(view) == data.sum()
    np.testing.assert_array_equal(np.stack([view, view]), np.stack([data, data]))
    assert np.asarray(view, dtype="f8").dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.asarray(view, copy=False)


def test_dask_takes_a_view_with_its_chunks() -> None:
    dask_array = pytest.importorskip("dask.array")
    view = stored((10, 9), chunks=(4, 6)).lazy[::-1, 1:].T
    lazy = dask_array.from_array(view, chunks=view.chunks)
    assert lazy.chunks == view.chunks == ((5, 3), (2, 4, 4))
    np.testing.assert_array_equal(lazy.sum(axis=0).compute(), numbers((10, 9))[::-1, 1:].T.sum(axis=0))
    np.testing.assert_array_equal(dask_array.from_array(view), np.asarray(view))


def test_an_array_is_made_from_a_view() -> None:
    view = stored((10, 9), chunks=(4, 6)).lazy[::-1, 1:].T
    made = zarrc.from_array(MemoryStore(), data=view)
    np.testing.assert_array_equal(made[...], np.asarray(view))
    assert isinstance(made.store, MemoryStore)


def test_a_store_in_python_is_read_too() -> None:
    array = stored((10, 9), MappingStore({}), chunks=(4, 6), shards=(8, 6))
    np.testing.assert_array_equal(array.lazy[1:][::2].T, numbers((10, 9))[1:][::2].T)


def test_a_view_takes_names() -> None:
    array = stored((3, 4, 5), dimension_names=["t", "y", "x"])
    values = numbers((3, 4, 5))
    for view in (array.lazy[{"t": 0}], array.lazy.isel(t=0), array.lazy[:].isel({"t": 0})):
        assert view.dimension_names == ("y", "x")
        np.testing.assert_array_equal(view.read(), values[0])
        np.testing.assert_array_equal(view[{"x": [4, 0], "y": slice(1, 3)}].read(), values[0, 1:3][:, [4, 0]])
        np.testing.assert_array_equal(view.T.isel(y=-1), values[0, -1])
        with pytest.raises(SelectionError, match="no dimension is named 't'; there are 'y', 'x'"):
            view.isel(t=0)
        with pytest.raises(SelectionError, match=r"by name with isel\(name=...\)"):
            view["x"]
    np.testing.assert_array_equal(array.lazy[None, :, 1].isel(x=2), values[None, :, 1, 2])
    array.lazy[{"t": 1}][{"y": [0, 2]}] = -5
    values[1, [0, 2]] = -5
    np.testing.assert_array_equal(array[...], values)
    with pytest.raises(SelectionError, match="no dimension is named 'x': none has a name"):
        array.lazy[0, 0, 0].isel(x=0)
    with pytest.raises(SelectionError, match="isel takes a mapping or names, got 0"):
        array.lazy.isel(0)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_element_of_a_0d_array_can_be_repeated(zarr_format: int) -> None:
    array = zarrc.array(np.int16(5), zarr_format=zarr_format)
    view = array.lazy[None][[0, 0, 0]]
    assert view.read().tolist() == [5, 5, 5]
    assert view.read().dtype == np.int16
    out = np.zeros(3, "i2")
    assert view.read(out=out) is out
    assert out.tolist() == [5, 5, 5]
    with pytest.raises(TypeError, match="out has dtype int32"):
        view.read(out=np.zeros(3, "i4"))
    assert view.astype("f4").read().tolist() == [5.0, 5.0, 5.0]
    assert array.lazy[None, None].oindex[[0, 0], [0]].T.read().tolist() == [[5, 5]]
    view.write([1, 2, 3])
    assert array[()] == 3
    view[...] = 7
    assert array[()] == 7
    with pytest.raises(CastingError):
        view.write(2.5)


def test_a_view_of_too_many_chunks_says_so() -> None:
    array = zarrc.zeros(10**13, dtype="i4", chunks=1)
    for ask in (
        lambda: array.read_chunk_sizes,
        lambda: array.write_chunk_sizes,
        lambda: array.lazy[...].chunks,
    ):
        with pytest.raises(MetadataError, match="10000000000000 chunks along an axis; up to 4194304 can be"):
            ask()
