"""`Array.iter_blocks`: all parts, in the order that was asked for, read ahead in bounded memory."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zarrc
from tests.array.resize_samples import KINDS
from tests.soak import count
from zarrc.config import config
from zarrc.errors import CorruptChunkError, MetadataError, SelectionError
from zarrc.storage import MappingStore, MemoryStore

DATA = np.arange(154, dtype="i4").reshape(14, 11)


def make(kind: str = "regular", store: Any = None) -> zarrc.Array:
    array = zarrc.create_array(
        MemoryStore() if store is None else store,
        shape=DATA.shape,
        **{"dtype": "i4", "fill_value": -1} | KINDS[kind],  # type: ignore[arg-type]
    )
    array[...] = DATA
    return array


ARRAYS = {kind: make(kind) for kind in KINDS if kind != "appended shards"}


class Watching(MappingStore):
    """A mapping that tells how many reads of chunks there were."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.n_reads = 0
        self.wait: threading.Event | None = None
        self.lock = threading.Lock()

    def get(self, key: str, range: Any = None) -> Any:
        if not key.endswith("zarr.json"):
            with self.lock:
                self.n_reads += 1
            if self.wait is not None:
                assert self.wait.wait(30)
        return super().get(key, range)


@settings(max_examples=count(1000))
@given(
    kind=st.sampled_from(sorted(ARRAYS)),
    by=st.sampled_from(("chunk", "shard")) | st.tuples(*[st.sampled_from((None, -1, 1, 2, 5, 20))] * 2),
    order=st.sampled_from(("C", "F", "any", (0, 1), (1, 0))),
    prefetch=st.integers(0, 3),
    rows=st.tuples(st.integers(0, 14), st.integers(0, 14)),
    columns=st.slices(11).filter(lambda part: part.step in (None, 1)) | st.integers(-11, 10),
)
def test_the_blocks_are_the_array(
    kind: str, by: Any, order: Any, prefetch: int, rows: tuple[int, int], columns: Any
) -> None:
    array = ARRAYS[kind]
    region = slice(*rows), columns
    model = np.full(DATA.shape, -5)
    places = []
    for place, block in array.iter_blocks(region, by=by, order=order, prefetch=prefetch):
        assert (model[place] == -5).all()
        assert block.shape == model[place].shape
        model[place] = block
        places.append(tuple(part.start for part in place))
    wanted = np.full(DATA.shape, -5)
    wanted[region] = DATA[region]
    np.testing.assert_array_equal(model, wanted)
    if order != "any":
        axes = {"C": (0, 1), "F": (1, 0)}.get(order, order)
        assert places == sorted(places, key=lambda place: tuple(place[d] for d in axes))


def test_what_a_block_is() -> None:
    array = make("sharded")
    shapes = {
        by: [block.shape for _, block in array.iter_blocks((slice(0, 5), slice(0, 7)), by=by)]
        for by in ("chunk", "shard", (None, 3))
    }
    assert shapes["chunk"] == [(2, 2), (2, 2), (2, 2), (2, 1)] * 2 + [(1, 2), (1, 2), (1, 2), (1, 1)]
    assert shapes["shard"] == [(4, 6), (4, 1), (1, 6), (1, 1)]
    assert shapes[None, 3] == [(5, 3), (5, 3), (5, 1)]


def test_arrays_without_dimensions_and_without_elements() -> None:
    assert [(place, int(block)) for place, block in zarrc.array(5).iter_blocks()] == [((), 5)]
    assert list(zarrc.zeros((0, 4), chunks=2).iter_blocks()) == []
    assert list(zarrc.zeros((0, 4), chunks=2).iter_blocks(by=(None, 2))) == []


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"by": "row"}, ValueError, "by must be"),
        ({"by": (1, 2, 3)}, ValueError, "3 dimensions"),
        ({"by": (0, 1)}, ValueError, "by: a block has at least one element along each axis, got 0"),
        ({"by": (2, -3)}, ValueError, "by: a block has at least one element along each axis, got -3"),
        ({"by": (2, "x")}, TypeError, "by: a block's extents are integers or None, got 'x'"),
        ({"order": ("x", 0)}, ValueError, "order must be"),
        ({"order": "A"}, ValueError, "order must be"),
        ({"order": (0, 0)}, ValueError, "order must be"),
        ({"prefetch": -1}, ValueError, "prefetch"),
        ({"prefetch": 1.5}, TypeError, "prefetch"),
        ({"region": (slice(None, None, 2),)}, SelectionError, "steps"),
        ({"region": 14}, IndexError, "out of bounds"),
    ],
)
def test_what_makes_no_sense_is_told_at_once(keywords: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        make().iter_blocks(**keywords)
    assert not isinstance(caught.value, MetadataError)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_array_that_shrinks_stops_the_blocks(prefetch: int) -> None:
    array = make()
    seen: list[Any] = []

    def go_through() -> None:
        for _, block in array.iter_blocks(prefetch=prefetch):
            seen.append(block.shape)
            if len(seen) == 1:
                array.resize((3, 11))

    with pytest.raises(SelectionError, match=r"resized to \(3, 11\) meanwhile, and has not all of \["):
        go_through()
    assert 0 not in np.ravel(seen)
    assert [block.shape for _, block in make().iter_blocks(by=(10**30, None))] == [DATA.shape]


def test_an_element_is_looked_for_block_by_block() -> None:
    array = make()
    assert 153 in array
    assert 0 in array
    assert 154 not in array
    assert "x" not in array
    assert 5 in zarrc.array(5)
    assert 5 not in zarrc.zeros((0, 3))
    with pytest.raises(TypeError, match="`in` looks for one element"):
        [1, 2] in array  # noqa: B015
    with pytest.raises(TypeError, match=r"cannot be deleted: erase\(region\).*resize"):
        del array[0]


@pytest.mark.parametrize("order", ["C", "any"])
def test_so_many_blocks_are_read_ahead_and_no_more(order: Any) -> None:
    store = Watching({})
    array = make(store=store)
    store.n_reads = 0
    blocks = array.iter_blocks(prefetch=3, order=order)
    assert store.n_reads == 0
    for n, _ in enumerate(blocks, 1):
        time.sleep(0.01)
        assert store.n_reads <= min(n + 3, 15)
    assert store.n_reads == 15


def test_reads_go_on_while_a_block_is_worked_on() -> None:
    store = Watching({})
    array = make(store=store)
    store.n_reads = 0
    blocks = array.iter_blocks(prefetch=2)
    next(blocks)
    deadline = time.monotonic() + 10
    while store.n_reads < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert store.n_reads == 3
    blocks.close()


def test_closing_stops_the_reads() -> None:
    before = threading.active_count()
    store = Watching({})
    array = make(store=store)
    for end in ("close", "break", "drop"):
        store.n_reads = 0
        blocks: Any = array.iter_blocks(prefetch=2)
        for _ in blocks:
            break
        if end == "close":
            blocks.close()
            assert list(blocks) == []
        del blocks
        gc.collect()
        n = store.n_reads
        assert n <= 3
        assert threading.active_count() == before
        time.sleep(0.01)
        assert store.n_reads == n


def test_an_error_comes_where_its_block_would() -> None:
    array = make()
    array.store.set("c/1/0", b"damage")
    blocks = array.iter_blocks(prefetch=4)
    assert [next(blocks)[0] for _ in range(3)]
    with pytest.raises(CorruptChunkError, match="c/1/0"):
        next(blocks)
    assert list(blocks) == []


def test_settings_of_the_block_of_code_hold_for_the_reads() -> None:
    seen = []

    class Telling(Watching):
        def get(self, key: str, range: Any = None) -> Any:
            seen.append(config.get("threading.max_workers"))
            return super().get(key, range)

    array = make(store=Telling({}))
    seen.clear()
    with config.set({"threading.max_workers": 7}):
        list(array.iter_blocks())
    assert set(seen) == {7}


def test_what_waits_in_a_buffer_is_seen() -> None:
    array = make()
    with array.buffered():
        array[0, 0] = 77
        assert next(array.iter_blocks())[1][0, 0] == 77


# --- what is stored


@pytest.mark.parametrize("kind", sorted(ARRAYS))
def test_stored_and_missing_chunks(kind: str) -> None:
    array = zarrc.create_array(
        MemoryStore(),
        shape=DATA.shape,
        **{"dtype": "i4", "fill_value": -1} | KINDS[kind],  # type: ignore[arg-type]
    )
    everything = set(np.ndindex(*array.metadata.chunk_grid.grid_shape(array.shape)))
    assert array.stored_chunks() == []
    assert array.stored_sizes() == {}
    assert list(array.missing_chunks()) == sorted(everything)
    array[0, 0] = array[-1, -1] = 5
    last = tuple(n - 1 for n in array.metadata.chunk_grid.grid_shape(array.shape))
    stored = sorted({(0, 0), last})
    assert array.stored_chunks() == stored
    assert set(array.missing_chunks()) == everything - set(stored)
    assert array.nshards_initialized == len(stored)
    sizes = array.stored_sizes()
    assert list(sizes) == stored
    documents = [key for key in array.store.list_prefix("") if key.rsplit("/")[-1][0] in "z."]
    assert (
        sum(sizes.values()) + sum(array.store.stat(key).nbytes for key in documents) == array.nbytes_stored()
    )


def test_places_of_an_array_without_dimensions() -> None:
    for zarr_format in (2, 3):
        array = zarrc.create_array(MemoryStore(), shape=(), dtype="i4", zarr_format=zarr_format)
        assert list(array.missing_chunks()) == [()]
        array[...] = 3
        assert array.stored_chunks() == [()]
        assert list(array.missing_chunks()) == []


def test_missing_chunks_of_a_huge_array_come_one_by_one() -> None:
    array = zarrc.zeros((10**15, 10**15), chunks=(10, 10))
    array[15, 0] = 1
    missing = array.missing_chunks()
    assert [next(missing) for _ in range(2)] == [(0, 0), (0, 1)]


def test_sizes_come_from_one_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    from zarrc.storage import FsspecStore

    array = make(store=FsspecStore(fsspec.filesystem("memory"), "/one-listing"))
    wanted = {chunk: array.store.stat(f"c/{chunk[0]}/{chunk[1]}").nbytes for chunk in array.stored_chunks()}

    def refuse(self: Any, key: str) -> Any:
        raise AssertionError(key)

    monkeypatch.setattr(FsspecStore, "stat", refuse)
    assert array.stored_sizes() == wanted
    assert array.nbytes_stored() > sum(wanted.values())
