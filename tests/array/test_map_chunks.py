"""`Array.map_chunks`: read, compute and write in parallel, no object by two workers."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.array.resize_samples import KINDS
from zarrc.errors import CastingError, MissingExtraError, ReadOnlyError, SelectionError
from zarrc.storage import LocalStore, MemoryStore

DATA = np.arange(154, dtype="i4").reshape(14, 11)


def double(block: Any, plus: int = 0) -> Any:
    return 2 * block + plus


def fail_at_six(block: Any, region: Any) -> Any:
    if region[0].start == 6:
        raise ArithmeticError("six")
    return block


def make(kind: str = "regular", store: Any = None) -> zarrc.Array:
    array = zarrc.create_array(
        MemoryStore() if store is None else store,
        shape=DATA.shape,
        **{"dtype": "i4", "fill_value": -1} | KINDS[kind],  # type: ignore[arg-type]
    )
    array[...] = DATA
    return array


@pytest.mark.parametrize("target", [kind for kind in KINDS if kind != "appended shards"])
@pytest.mark.parametrize("source", ["regular", "sharded", "rectilinear", "wide chunks"])
def test_the_result_is_that_of_numpy(source: str, target: str) -> None:
    array, out = make(source), make(target)
    assert array.map_chunks(double, out, workers=3, plus=5) is out
    np.testing.assert_array_equal(out[...], 2 * DATA + 5)
    region = slice(3, 9), slice(-4, None)
    out.fill(0)
    array.map_chunks(double, out, region=region, workers=2)
    wanted = np.zeros_like(DATA)
    wanted[region] = 2 * DATA[region]
    np.testing.assert_array_equal(out[...], wanted)


def test_a_new_array_has_what_the_first_result_says(tmp_path: Path) -> None:
    array = make("sharded")
    calls: list[Any] = []

    def larger(block: Any, region: Any) -> Any:
        calls.append(region)
        return block > 70

    out = array.map_chunks(larger, pass_region=True)
    assert (out.dtype, out.chunks, out.shards) == (np.dtype(bool), (2, 2), (4, 6))
    np.testing.assert_array_equal(out[...], DATA > 70)
    assert len(calls) == len(set(map(str, calls))) == 8
    stored = array.map_chunks(
        np.sqrt, {"store": tmp_path / "a", "chunks": (5, 5), "attributes": {"unit": "m"}, "dtype": "f4"}
    )
    assert (stored.dtype, stored.chunks, stored.attrs["unit"]) == (np.dtype("f4"), (5, 5), "m")
    np.testing.assert_array_equal(zarrc.open_array(tmp_path / "a")[...], np.sqrt(DATA).astype("f4"))
    same = make("v2").map_chunks(double)
    assert same.metadata.zarr_format == 2
    assert same.dtype == np.dtype("i4")
    named = zarrc.create_array(MemoryStore(), shape=3, dtype="f8", dimension_names=["x"])
    assert named.map_chunks(np.isnan).metadata.dimension_names == ("x",)
    nothing = zarrc.zeros((0, 3), dtype="f4").map_chunks(np.isnan)
    assert nothing.shape == (0, 3)
    assert zarrc.array(4.0).map_chunks(np.sqrt)[()] == 2


def test_an_array_may_be_its_own_result() -> None:
    for kind in ("regular", "sharded"):
        array = make(kind)
        array.map_chunks(double, array, workers=3)
        np.testing.assert_array_equal(array[...], 2 * DATA)


@pytest.mark.parametrize("place", ["local", "memory", "mapping"])
def test_a_new_array_in_the_place_of_its_source_is_refused(place: str, tmp_path: Path) -> None:
    objects: dict[str, Any] = {}
    store: Any = {"local": str(tmp_path / "in"), "memory": MemoryStore(), "mapping": objects}[place]
    array = zarrc.create_array(store, name="g/a", data=np.arange(12), chunks=2)
    other = zarrc.open_array(store, path="g/a", mode="r")
    targets = [{"store": store, "name": "g/a"}, {"store": store, "name": "g"}, {"store": store}]
    if place == "local":
        targets += [{"store": tmp_path / "in" / "g" / "a"}, {"store": tmp_path}]
    for target in targets:
        for source in (array, other):
            for more in ({}, {"dtype": "f8"}, {"chunks": 3}):
                with pytest.raises(ValueError, match=r"is the source itself, or holds it|holds the source"):
                    source.map_chunks(double, {**target, "overwrite": True, **more})
                np.testing.assert_array_equal(other[...], np.arange(12))
    # Beside it there is room.
    beside = array.map_chunks(double, {"store": store, "name": "g/b"})
    np.testing.assert_array_equal(beside[...], 2 * np.arange(12))
    again = array.map_chunks(lambda block: block + 1, {"store": store, "name": "g/b", "overwrite": True})
    np.testing.assert_array_equal(again[...], 1 + np.arange(12))
    with pytest.raises(zarrc.errors.ContainsArrayError):
        array.map_chunks(double, {"store": store, "name": "g/b"})


def test_a_new_array_above_its_source_in_a_file_system_is_refused() -> None:
    array = zarrc.create_array("memory://above/y/a.zarr", data=np.arange(12), chunks=2)
    for url in ("memory://above/y/a.zarr", "memory://above/y", "memory://above", "memory://"):
        with pytest.raises(ValueError, match=r"is the source itself, or holds it|holds the source"):
            array.map_chunks(double, {"store": url, "overwrite": True})
        with pytest.raises(ValueError, match=r"is the source itself, or holds it|holds the source"):
            zarrc.create_array(url, data=array, overwrite=True)
    for url in ("memory://above/y/a", "memory://above/z", "memory://above/y/a.zarr2"):
        assert array.map_chunks(double, {"store": url, "overwrite": True})[1] == 2
    np.testing.assert_array_equal(array[...], np.arange(12))


def test_no_two_workers_write_to_one_object() -> None:
    writers: dict[str, set[int]] = {}

    class Telling(LocalStore):
        def set(self, key: str, data: Any) -> None:
            assert writers.setdefault(key, set()) == set() or "json" in key
            writers[key].add(threading.get_ident())
            super().set(key, data)

        def get(self, key: str, range: Any = None) -> Any:
            # An object that a worker reads in order to change a part of it.
            assert "c/" not in key
            return super().get(key, range)

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        out = zarrc.create_array(Telling(folder), shape=DATA.shape, dtype="i4", chunks=(2, 2), shards=(6, 4))
        make("wide chunks").map_chunks(double, out, workers=4)
        assert len([key for key in writers if "json" not in key]) == 9


@pytest.mark.parametrize("executor", ["thread", "process"])
def test_the_first_error_names_its_region_and_stops_the_rest(executor: Any, tmp_path: Path) -> None:
    array = make(store=LocalStore(tmp_path / "in"))
    out = make(store=LocalStore(tmp_path / "out"))
    done: list[Any] = []
    with pytest.raises(ArithmeticError, match="six") as caught:
        array.map_chunks(
            fail_at_six,
            out,
            pass_region=True,
            workers=1,
            executor=executor,
            progress=lambda n, total: done.append((n, total)),
        )
    assert caught.value.__notes__ == ["in map_chunks, region (6:9, 0:4)"]
    assert all(total == 15 for _, total in done)
    assert len(done) <= 8


def test_errors_of_reading_and_of_writing_are_located_too() -> None:
    array, out = make(), make()
    array.store.set("c/1/0", b"damage")
    with pytest.raises(zarrc.errors.CorruptChunkError, match="c/1/0") as caught:
        array.map_chunks(double, out)
    assert caught.value.__notes__ == ["in map_chunks, region (3:6, 0:4)"]
    with pytest.raises(CastingError) as wrong:
        make().map_chunks(lambda block: block + 0.5, out)
    assert "in map_chunks, region (0:3" in wrong.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as first:
        make().map_chunks(lambda block: 1 // 0)
    assert first.value.__notes__ == ["in map_chunks, region (0:3, 0:4)"]


def test_after_an_error_nothing_is_written_any_more() -> None:
    array, out = make(), make()

    def slow(block: Any, region: Any) -> Any:
        if region[0].start == 0 and region[1].start == 0:
            raise ArithmeticError
        time.sleep(0.05)
        return block * 0

    with pytest.raises(ArithmeticError):
        array.map_chunks(slow, out, pass_region=True, workers=2)
    found = out[...]
    time.sleep(0.2)
    np.testing.assert_array_equal(out[...], found)
    assert (found != 0).sum() > 100


@pytest.mark.parametrize(
    ("make_call", "error", "text"),
    [
        (lambda a: a.map_chunks(3), TypeError, "must be a function"),
        (
            lambda a: a.map_chunks(double, "o.zarr"),
            TypeError,
            r"a dict\) or None, got 'o.zarr'; write {'store': ",
        ),
        (lambda a: a.map_chunks(double, a.lazy[...]), TypeError, r"or None, got LazyView"),
        (lambda a: a.map_chunks(double, np.zeros((14, 11))), TypeError, r"or None, got ndarray"),
        (lambda a: a.map_chunks(double, workers=0), ValueError, "at least 1"),
        (lambda a: a.map_chunks(double, workers="2"), TypeError, "integer"),
        (lambda a: a.map_chunks(double, executor="gpu"), ValueError, "'thread', 'process'"),
        (lambda a: a.map_chunks(double, progress=3), TypeError, "progress"),
        (lambda a: a.map_chunks(double, zarrc.zeros((2, 2))), ValueError, r"shape \(2, 2\)"),
        (lambda a: a.map_chunks(double, {"shape": (2, 2)}), ValueError, r"shape \(2, 2\)"),
        (lambda a: a.map_chunks(double, {"chunk": 3}), TypeError, "'chunk'"),
        (lambda a: a.map_chunks(double, zarrc.open_array(a.store, mode="r")), ReadOnlyError, "reading only"),
        (lambda a: a.map_chunks(double, region=(slice(None, None, 2),)), SelectionError, "steps"),
        (lambda a: a.map_chunks(np.sum), ValueError, r"sum returned an array of shape \(\)"),
        (lambda a: a.map_chunks(lambda block: None), TypeError, "returned None"),
    ],
)
def test_what_makes_no_sense_is_refused(make_call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_call(make())


# --- processes


@pytest.mark.parametrize("place", ["local", "memory", "mixed"])
def test_processes(place: str, tmp_path: Path) -> None:
    source = LocalStore(tmp_path / "in") if place == "local" else MemoryStore()
    target = MemoryStore() if place == "memory" else LocalStore(tmp_path / "out")
    array, out = make(store=source), make("sharded", target)
    done: list[int] = []
    array.map_chunks(double, out, executor="process", workers=2, plus=1, progress=lambda n, _: done.append(n))
    np.testing.assert_array_equal(out[...], 2 * DATA + 1)
    assert done == list(range(1, len(done) + 1))


def test_what_cannot_travel_is_said_before_any_work(tmp_path: Path) -> None:
    array = make(store=LocalStore(tmp_path / "in"))
    old = make(store=LocalStore(tmp_path / "out"))
    out = {"store": tmp_path / "out", "overwrite": True}
    with pytest.raises(TypeError, match=r"fn, .*<lambda>, cannot be pickled.*a function of a module"):
        array.map_chunks(lambda block: block, out, executor="process")
    with pytest.raises(TypeError, match="the argument plus cannot be pickled"):
        array.map_chunks(double, out, executor="process", plus=lambda: 0)
    with ProcessPoolExecutor(1) as pool, pytest.raises(TypeError, match="cannot be pickled"):
        array.map_chunks(lambda block: block, old, executor=pool)
    np.testing.assert_array_equal(zarrc.open_array(tmp_path / "out")[...], DATA)


def test_an_executor_of_the_users_own_is_used_and_left_open(tmp_path: Path) -> None:
    class Inline(Executor):
        n = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.n += 1
            future: Future[Any] = Future()
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
            return future

    array = make()
    inline = Inline()
    np.testing.assert_array_equal(array.map_chunks(double, executor=inline)[...], 2 * DATA)
    assert inline.n == 14  # the first one told the data type
    with ThreadPoolExecutor(2) as pool:
        np.testing.assert_array_equal(array.map_chunks(double, executor=pool)[...], 2 * DATA)
        assert pool.submit(int, 3).result() == 3
    with ProcessPoolExecutor(1) as processes:
        out = make(store=LocalStore(tmp_path / "o"))
        make(store=LocalStore(tmp_path / "i")).map_chunks(double, out, executor=processes)
        assert processes.submit(int, 3).result() == 3
    np.testing.assert_array_equal(out[...], 2 * DATA)


# --- progress


def test_a_function_is_told_how_far_it_is() -> None:
    seen: list[tuple[int, int]] = []
    make().map_chunks(double, workers=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 15) for n in range(1, 16)]


def test_without_tqdm_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(MissingExtraError, match=r"zarrc\[progress\]"):
        make().map_chunks(double, progress=True)


def test_with_tqdm_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    counts: list[int] = []

    class Bar:
        def __init__(self, total: int, unit: str) -> None:
            self.n, self.total = 0, total

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            counts.append(self.n)

        def update(self, n: int) -> None:
            self.n += n

    auto = types.ModuleType("tqdm.auto")
    monkeypatch.setattr(auto, "tqdm", Bar, raising=False)
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    make().map_chunks(double, progress=True)
    assert counts == [15]
