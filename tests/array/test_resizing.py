"""`Array.resize`: elements in both shapes stay, what is cut off never comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.array.resize_samples import KINDS, STORES, FailingStore, every_failure, make_store
from tests.soak import count
from zarrc import clearing
from zarrc.errors import MetadataError, ReadOnlyError, StoreError
from zarrc.storage import MemoryStore

FILL = -7


def make(store: Any, shape: tuple[int, ...] = (10, 11), kind: str = "regular", **more: Any) -> zarrc.Array:
    keywords = {"dtype": "i4", "fill_value": FILL} | KINDS[kind] | more
    return zarrc.create_array(store, shape=shape, **keywords)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype="i4").reshape(shape)


def resized(model: np.ndarray, shape: tuple[int, ...], fill: Any = FILL) -> np.ndarray:
    new = np.full(shape, fill, model.dtype)
    both = tuple(map(slice, map(min, model.shape, shape)))
    new[both] = model[both]
    return new


def again(array: zarrc.Array) -> zarrc.Array:
    return zarrc.open_array(array.store, mode="r")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", STORES)
def test_what_is_cut_off_does_not_come_back(store: str, kind: str, tmp_path: Path) -> None:
    array = make(make_store(store, tmp_path), kind=kind)
    model = numbered((10, 11))
    array[...] = model
    for shape in ((5, 7), (13, 7), (13, 4), (13, 13), (0, 13), (4, 9), (6, 9), (6, 0), (6, 6)):
        array.resize(shape)
        model = resized(model, shape)
        assert array.shape == shape
        np.testing.assert_array_equal(array[...], model)
        np.testing.assert_array_equal(again(array)[...], model)
        array[-2:, 1:] = 5
        model[-2:, 1:] = 5
    assert zarrc.open_array(array.store).shape == (6, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_shrinking_deletes_what_is_outside(kind: str) -> None:
    shape = (14, 14) if kind.startswith("rectilinear") else (20, 24)
    array = make(MemoryStore(), shape, kind)
    array[...] = numbered(shape)
    array.resize((4, 5))
    grid = array.metadata.chunk_grid
    n = grid.grid_shape((4, 5))
    assert array.nshards_initialized == np.prod(n)
    assert len(list(array.store.list_prefix(""))) == np.prod(n) + 1
    # What is left of the edge chunks is what a new array with these elements has.
    fresh = make(MemoryStore(), (4, 5), kind)
    fresh[...] = numbered(shape)[:4, :5]
    assert array.nchunks_initialized == fresh.nchunks_initialized
    if kind != "appended shards":
        for key in fresh.store.list_prefix(""):
            assert bytes(array.store.get(key) or b"") == bytes(fresh.store.get(key) or b""), key


def test_shrinking_lists_where_much_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    for few in (0, 10**6):
        monkeypatch.setattr(clearing, "FEW_OBJECTS", few or 1)
        array = make(MemoryStore(), (20, 24))
        array[...] = 1
        # Somebody else's, beyond the array.
        array.store.set("c/90/90", b"old")
        array.resize((4, 5))
        left = set(array.store.list_prefix(""))
        assert left - {"c/90/90"} == {"zarr.json", "c/0/0", "c/0/1", "c/1/0", "c/1/1"}
        assert ("c/90/90" in left) == bool(few)


def test_growing_clears_objects_that_others_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for few in (1, 1000):
        monkeypatch.setattr(clearing, "FEW_OBJECTS", few)
        array = make(MemoryStore(), (10, 11))
        array[...] = 1
        document = json.loads(bytes(array.store.get("zarr.json") or b""))
        document["shape"] = [4, 5]
        array.store.set("zarr.json", json.dumps(document).encode())
        array = zarrc.open_array(array.store)
        array.resize((10, 11))
        np.testing.assert_array_equal(array[...], resized(np.ones((4, 5), "i4"), (10, 11)))


def test_forms_of_a_shape() -> None:
    array = zarrc.zeros(5, chunks=2)
    array.resize(7)
    assert array.shape == (7,)
    array.shape = 3
    assert array.shape == (3,)
    array.shape = (np.int64(4),)
    assert array.shape == (4,)
    two = zarrc.zeros((2, 3), chunks=2)
    two.resize(4, 5)
    two.resize(new_shape=[np.uint8(4), 6])
    assert two.shape == (4, 6) == zarrc.open_array(two.store).shape
    nothing = zarrc.array(3.0)
    nothing.resize(())
    assert nothing[()] == 3


@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        ((1, 2, 3), ValueError, "3 dimensions, the array has 2"),
        (3, ValueError, "1 dimensions, the array has 2"),
        ((-1, 3), ValueError, "negative"),
        ((1.5, 3), TypeError, "integers"),
        ((True, 3), TypeError, "integers"),
        ("ab", TypeError, "integers"),
        (None, TypeError, "integers"),
        ((2**63, 3), MetadataError, "shape"),
    ],
)
def test_what_is_no_shape_is_refused(shape: Any, error: type[Exception], text: str) -> None:
    array = make(MemoryStore())
    with pytest.raises(error, match=text):
        array.resize(shape)
    assert again(array).shape == (10, 11)


def test_an_array_for_reading_is_not_resized() -> None:
    array = again(make(MemoryStore()))
    for change in (
        lambda: array.resize(3, 4),
        lambda: array.append([1]),
        lambda: array.fill(1),
        lambda: array.erase(),
    ):
        with pytest.raises(ReadOnlyError, match="opened for reading only"):
            change()


def test_other_parts_of_the_document_stay(tmp_path: Path) -> None:
    for zarr_format in (2, 3):
        store = make_store("local", tmp_path)
        array = make(store, zarr_format=zarr_format, attributes={"a": [1, {"b": None}]})
        zarrc.open_array(store).attrs["later"] = 5
        array.resize(3, 4)
        assert dict(array.attrs) == dict(again(array).attrs) == {"a": [1, {"b": None}], "later": 5}
        assert array.metadata == again(array).metadata


def test_attributes_with_bare_nan_are_no_obstacle() -> None:
    for zarr_format, name in ((3, "zarr.json"), (2, ".zattrs")):
        store = MemoryStore()
        array = make(store, zarr_format=zarr_format, attributes={"a": 12345})
        document = bytes(store.get(name) or b"")
        store.set(name, document.replace(b"12345", b"NaN"))
        array = zarrc.open_array(store)
        if zarr_format == 3:
            with pytest.warns(zarrc.errors.ZarrcWarning, match="'a'"):
                array.resize(3, 3)
        else:
            array.resize(3, 3)
        assert array.append(np.ones((1, 3), "i4")) == (4, 3)
        assert zarrc.open_array(store).shape == (4, 3)


def test_what_is_kept_of_a_new_document_is_what_it_says() -> None:
    from zarrc.metadata.cache import cache_key, cached_node
    from zarrc.metadata.v2 import parse_array
    from zarrc.metadata.v3 import parse_node

    for kind, more in (
        ("regular", {}),
        ("sharded", {"attributes": {"x": 1}}),
        ("v2", {}),
        ("v2", {"attributes": {"x": 1}}),
    ):
        store = MemoryStore()
        array = make(store, kind=kind, **more)
        array.append(np.ones((3, 11), "i4"))
        array.resize(12, 9)
        if kind == "v2":
            blobs = [store.get(name) for name in (".zarray", ".zattrs")]
            document, attributes = [None if blob is None else bytes(blob) for blob in blobs]
            assert document is not None
            kept = cached_node(cache_key(2, False, document, None, attributes))
            told = parse_array(document, attributes, where="")
            assert isinstance(kept, type(told))
            assert kept.v2 == told.v2
        else:
            document = bytes(store.get("zarr.json") or b"")
            kept = cached_node(cache_key(3, False, document))
            told = parse_node(document, where="")
        assert kept == told == array.metadata
        assert kept.assumed == told.assumed


@pytest.mark.parametrize("kind", ["regular", "sharded", "v2", "v2 nested keys"])
def test_a_huge_array_costs_what_is_stored_of_it(kind: str) -> None:
    array = make(MemoryStore(), (10**15, 11), kind)
    array[[5, 10**9, 10**14], 4:] = 3
    array.resize(10**15, 6)
    array.resize(10**15 - 1, 10)
    assert array[10**9, 4:].tolist() == [3, 3, FILL, FILL, FILL, FILL]
    array.erase((slice(2, None), 5))
    assert array[10**14, 4:].tolist() == [3, FILL, FILL, FILL, FILL, FILL]
    assert len(array.stored_chunks()) == 3
    array.resize(10**15, 11)
    array.erase()
    assert array.stored_chunks() == []


# --- other handles


def test_another_handle_reads_on_and_sees_the_new_shape_when_refreshed() -> None:
    for kind in KINDS:
        array = make(MemoryStore(), kind=kind)
        model = numbered((10, 11))
        array[...] = model
        other = zarrc.open_array(array.store)
        other[0, 0]
        array.resize(4, 5)
        np.testing.assert_array_equal(other[...], resized(model[:4, :5], (10, 11)))
        assert other.shape == (10, 11)
        assert other.refresh() is other
        assert other.shape == (4, 5)
        np.testing.assert_array_equal(other[...], model[:4, :5])


@pytest.mark.parametrize("kind", ["regular", "sharded", "rectilinear"])
@pytest.mark.parametrize("store", STORES)
def test_what_another_handle_keeps_of_decoded_chunks_follows(store: str, kind: str, tmp_path: Path) -> None:
    array = make(make_store(store, tmp_path), kind=kind)
    array[...] = 1
    cached = zarrc.open_array(array.store).with_cache(2**20)
    for _ in range(2):
        assert (cached[...] == 1).all()
    wanted = resized(np.ones((4, 5), "i4"), (10, 11))
    array.resize(4, 5)
    np.testing.assert_array_equal(cached[...], wanted)
    array.resize(10, 11)
    np.testing.assert_array_equal(cached[...], wanted)
    array.erase((0, slice(None)))
    wanted[0] = FILL
    np.testing.assert_array_equal(cached[...], wanted)
    array.map_chunks(np.negative, array)
    np.testing.assert_array_equal(cached[...], -wanted)
    cached.append(np.full((2, 11), 3))
    array.append(np.full((1, 11), 4))
    assert cached.refresh()[9:, 0].tolist() == [-FILL, 3, 3, 4]


def test_an_old_handle_resizes_what_is_stored() -> None:
    array = make(MemoryStore())
    array[...] = 3
    old = zarrc.open_array(array.store)
    array.resize(4, 4)
    old.resize(10, 11)
    np.testing.assert_array_equal(old[...], resized(np.full((4, 4), 3), (10, 11)))
    array.resize(10, 11)
    assert array.shape == (10, 11)


def test_an_array_that_was_made_again_otherwise_is_not_resized() -> None:
    store = MemoryStore()
    array = make(store)
    make(store, kind="sharded", overwrite=True)
    for change in (lambda: array.resize(3, 3), lambda: array.append(np.ones((1, 11))), lambda: array.erase()):
        with pytest.raises(MetadataError, match="another layout"):
            change()
    zarrc.create_group(store, overwrite=True)
    with pytest.raises(MetadataError, match="another layout"):
        array.resize(3, 3)


def test_what_waits_is_written_before() -> None:
    array = make(MemoryStore())
    with array.buffered():
        array[...] = 4
        array.resize(5, 5)
        array[4, 4] = 6
        assert array.append(np.full((2, 5), 8)) == (7, 5)
        array[6, 0] = 9
        assert array[4:, 0].tolist() == [4, 8, 9]
        array.erase((0, 0))
        assert array[0, 0] == FILL
    model = np.full((7, 5), 4)
    model[4, 4], model[5:], model[6, 0], model[0, 0] = 6, 8, 9, FILL
    np.testing.assert_array_equal(again(array)[...], model)


# --- failures


@pytest.mark.parametrize("once", [True, False], ids=["one call", "all later calls"])
@pytest.mark.parametrize("kind", ["regular", "sharded", "v2"])
def test_a_failure_at_any_call_leaves_the_old_shape_or_the_new_one(kind: str, once: bool) -> None:
    model = numbered((10, 11))

    def prepared(store: FailingStore) -> zarrc.Array:
        array = make(store, (13, 14), kind)
        array[...] = 99
        # As a peer would: everything beyond stays.
        name = ".zarray" if kind == "v2" else "zarr.json"
        document = json.loads(store.objects[name])
        document["shape"] = [10, 11]
        store.objects[name] = json.dumps(document).encode()
        array = zarrc.open_array(store)
        array[...] = model
        return array

    n_failed = 0
    for shape in ((4, 5), (13, 14), (4, 14), (0, 3), (10, 12)):
        for store, error in every_failure(prepared, lambda array, to=shape: array.resize(to), once=once):
            found = zarrc.open_array(store)
            said = str(getattr(error, "__notes__", ""))
            assert found.shape in ((10, 11), shape)
            assert ("its old shape" not in said) or found.shape == (10, 11)
            assert ("its new shape" not in said) or found.shape == shape
            now = found.shape
            np.testing.assert_array_equal(found[...], resized(model, now))
            if error is not None:
                n_failed += 1
            else:
                assert found.shape == shape
            # Later nothing old is seen.
            found.resize(13, 14)
            np.testing.assert_array_equal(found[...], resized(resized(model, now), (13, 14)))
    assert n_failed > 20


def test_a_failure_says_which_shape_there_is() -> None:
    texts = set()
    for _, error in every_failure(lambda store: _full(store), lambda array: array.resize(4, 14), once=True):
        if error is not None:
            texts.update(error.__notes__ if hasattr(error, "__notes__") else [""])
    assert any("has its old shape (10, 11)" in text for text in texts)
    assert any("has its new shape (4, 14)" in text for text in texts)


def _full(store: Any) -> zarrc.Array:
    array = make(store)
    array[...] = 1
    return array


def test_the_handle_knows_the_shape_after_a_failure() -> None:
    for store, _ in every_failure(_full_kept, lambda array: array.resize(4, 5), once=True):
        assert _kept[-1].shape == zarrc.open_array(store).shape
    for store, error in every_failure(_full_kept, lambda array: array.resize(4, 5), once=False):
        if _kept[-1].shape != zarrc.open_array(store).shape:
            assert error is not None
            assert "not known: refresh()" in str(error.__notes__)
            assert _kept[-1].refresh().shape == (4, 5)


_kept: list[zarrc.Array] = []


def _full_kept(store: Any) -> zarrc.Array:
    _kept.append(_full(store))
    return _kept[-1]


def test_a_damaged_edge_chunk_stops_growing() -> None:
    array = make(MemoryStore())
    array[...] = 1
    array.store.set("c/3/1", b"damage")
    with pytest.raises(zarrc.errors.CorruptChunkError, match="c/3/1") as caught:
        array.resize(12, 11)
    assert "old shape (10, 11)" in str(caught.value.__notes__)
    assert array.shape == again(array).shape == (10, 11)


# --- properties


SHAPES = st.tuples(st.integers(0, 14), st.integers(0, 14))


@st.composite
def _deeds(draw: st.DrawFn) -> list[tuple[str, Any]]:
    deeds: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 8))):
        what = draw(st.sampled_from(("resize", "resize", "append", "write", "erase", "peer", "fill")))
        if what in ("resize", "peer"):
            deeds.append((what, draw(SHAPES)))
        elif what == "append":
            deeds.append((what, (draw(st.integers(0, 5)), draw(st.integers(0, 1)))))
        elif what == "fill":
            deeds.append((what, draw(st.sampled_from((FILL, 3)))))
        else:
            deeds.append((what, draw(st.tuples(*[st.integers(0, 14)] * 4))))
    return deeds


@settings(max_examples=count(5000))
@given(kind=st.sampled_from(sorted(KINDS)), shape=SHAPES, deeds=_deeds(), few=st.sampled_from((1, 1000)))
def test_any_sequence_equals_numpy(
    kind: str, shape: tuple[int, int], deeds: list[tuple[str, Any]], few: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clearing, "FEW_OBJECTS", few)
        _same_as_numpy(kind, shape, deeds)


def _same_as_numpy(kind: str, shape: tuple[int, int], deeds: list[tuple[str, Any]]) -> None:
    store = MemoryStore()
    if kind == "appended shards":
        kind = "sharded"  # local stores only
    array = make(store, shape, kind)
    model = np.full(shape, FILL, "i4")
    for value, (what, how) in enumerate(deeds, 1):
        if what == "resize":
            array.resize(how)
            model = resized(model, how)
        elif what == "append":
            n, axis = how
            data = np.full(tuple(n if d == axis else e for d, e in enumerate(model.shape)), value, "i4")
            assert array.append(data, axis) == array.shape
            model = np.concatenate([model, data], axis)
        elif what == "fill":
            array.fill(how)
            model[...] = how
        elif what == "peer":
            # Another library shrinks the array: the metadata alone.
            smaller = tuple(map(min, how, model.shape))
            name = ".zarray" if array.metadata.zarr_format == 2 else "zarr.json"
            document = json.loads(bytes(store.get(name) or b""))
            document["shape"] = list(smaller)
            store.set(name, json.dumps(document).encode())
            array.refresh()
            model = model[tuple(map(slice, smaller))].copy()
        else:
            box = (slice(*sorted(how[:2])), slice(*sorted(how[2:])))
            if what == "write":
                array[box] = value
                model[box] = value
            else:
                array.erase(box)
                model[box] = FILL
        assert array.shape == model.shape
        np.testing.assert_array_equal(array[...], model)
    np.testing.assert_array_equal(again(array)[...], model)
    for chunk in array.stored_chunks():
        assert all(
            i < n for i, n in zip(chunk, array.metadata.chunk_grid.grid_shape(array.shape), strict=True)
        )


# --- erase and fill


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", STORES)
def test_erasing_deletes_whole_objects_and_clears_the_others(store: str, kind: str, tmp_path: Path) -> None:
    array = make(make_store(store, tmp_path), kind=kind)
    model = numbered((10, 11))
    array[...] = model
    for region in ((slice(2, 9), slice(3, 11)), (slice(0, 1),), (..., 2), (5,)):
        array.erase(region)
        model[region] = FILL
        np.testing.assert_array_equal(array[...], model)
    array.erase()
    assert array.nshards_initialized == 0
    assert (array[...] == FILL).all()
    array.erase((slice(5, 5), slice(0, 3)))
    with pytest.raises(zarrc.errors.SelectionError, match="steps"):
        array.erase((slice(None, None, 2), 0))
    with pytest.raises(IndexError):
        array.erase((10, 0))


def test_erasing_through_an_old_handle_spares_what_was_appended() -> None:
    array = zarrc.array(np.arange(1, 6), chunks=(4,))
    old = zarrc.open_array(array.store)
    array.append([6, 7])
    old.erase(slice(4, 5))
    assert array[:].tolist() == [1, 2, 3, 4, 0, 6, 7]
    assert old.shape == (7,)


def test_erasing_fails_or_does_its_part() -> None:
    model = numbered((10, 11))

    def prepared(store: FailingStore) -> zarrc.Array:
        array = make(store)
        array[...] = model
        return array

    box = (slice(1, 8), slice(2, 11))
    wanted = model.copy()
    wanted[box] = FILL
    for store, error in every_failure(prepared, lambda array: array.erase(box), once=False):
        found = zarrc.open_array(store)[...]
        assert ((found == model) | (found == wanted)).all()
        assert error is not None or (found == wanted).all()


def test_fill() -> None:
    array = make(MemoryStore())
    array.fill(3)
    assert (array[...] == 3).all()
    array.fill(np.int64(FILL))
    assert array.nshards_initialized == 0
    full = make(MemoryStore(), kind="empty chunks")
    full.fill(FILL)
    assert full.nshards_initialized == full.nshards
    with pytest.raises(ValueError, match="scalar"):
        array.fill([1])
    with pytest.raises(zarrc.errors.CastingError):
        array.fill(1.5)
    floats = zarrc.zeros((5,), chunks=(2,), dtype="f8")
    floats.fill(-0.0)
    assert floats.nshards_initialized == 3  # not the fill value, bit for bit
    floats.fill(0)
    assert floats.nshards_initialized == 0


def test_locking_files_needs_files() -> None:
    array = make(MemoryStore(), config={"locking": "file"})
    with pytest.raises(StoreError, match="locking='file'"):
        array.resize(3, 3)
