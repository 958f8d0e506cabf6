"""`Array.append`: data first, shape last; at the stored end, whatever a handle knows."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.array.resize_samples import KINDS, STORES, FailingStore, every_failure, make_store
from tests.engine.children import start_module
from tests.soak import count
from zarrc.errors import CastingError, StoreConflictError
from zarrc.storage import LocalStore, MemoryStore


def make(store: Any, shape: tuple[int, ...] = (0, 5), kind: str = "regular", **more: Any) -> zarrc.Array:
    keywords = {"dtype": "i4", "fill_value": -7} | KINDS[kind] | more
    return zarrc.create_array(store, shape=shape, **keywords)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", STORES)
def test_appending_along_any_axis_equals_numpy(store: str, kind: str, tmp_path: Path) -> None:
    place = make_store("local" if kind == "appended shards" else store, tmp_path)
    array = make(place, kind=kind)
    model = np.zeros((0, 5), "i4")
    for n, axis in ((1, 0), (4, 0), (2, 1), (9, -2), (3, -1), (0, 0)):
        shape = [*model.shape]
        shape[axis] = n
        data = np.arange(int(np.prod(shape))).reshape(shape) + 100 * n
        model = np.concatenate([model, data.astype("i4")], axis)
        assert array.append(data, axis) == model.shape == array.shape
        np.testing.assert_array_equal(zarrc.open_array(array.store)[...], model)


def test_what_is_appended_covers_what_others_left() -> None:
    for kind in KINDS:
        store = MemoryStore()
        array = make(store, (9, 10), kind)
        array[...] = 99
        name = ".zarray" if array.metadata.zarr_format == 2 else "zarr.json"
        document = json.loads(bytes(store.get(name) or b""))
        document["shape"] = [4, 10]
        store.set(name, json.dumps(document).encode())
        array = zarrc.open_array(store)
        array.append(np.full((3, 10), -7))
        array.append(np.full((1, 10), 5))
        array.resize(9, 10)
        assert array[:, 0].tolist() == [99] * 4 + [-7] * 3 + [5, -7]


@pytest.mark.parametrize(
    ("data", "axis", "error", "text"),
    [
        (
            np.ones((2, 3)),
            0,
            ValueError,
            r"\(2, 3\) along axis 0 .* axis 1 the data have 3 elements, the array 5",
        ),
        (np.ones((2, 5)), 1, ValueError, r"along axis 0 the data have 2 elements, the array 4"),
        (np.ones(5), 0, ValueError, "the data have 1 dimensions, the array 2"),
        (3, 0, ValueError, "the data have 0 dimensions"),
        (np.ones((1, 5)), 2, np.exceptions.AxisError, "axis 2"),
        (np.ones((1, 5)), 1.5, TypeError, "axis must be an integer"),
        (np.full((1, 5), 1.5), 0, CastingError, "1.5"),
    ],
)
def test_what_does_not_fit_is_refused(data: Any, axis: Any, error: type[Exception], text: str) -> None:
    array = make(MemoryStore(), (4, 5))
    with pytest.raises(error, match=text):
        array.append(data, axis)
    assert zarrc.open_array(array.store).shape == array.shape == (4, 5)


def test_nothing_is_appended_to_an_array_without_dimensions() -> None:
    with pytest.raises(ValueError, match="without dimensions"):
        zarrc.array(3).append(4)


def test_lists_and_stored_arrays_are_appended() -> None:
    array = zarrc.array([[1, 2]], chunks=(2, 2), dtype="i2")
    array.append([[3, 4], [5, 6]])
    other = zarrc.array(np.arange(14).reshape(7, 2), chunks=(3, 1))
    array.append(other)
    array.append(array)
    rows = [[1, 2], [3, 4], [5, 6], *np.arange(14).reshape(7, 2).tolist()]
    assert array[...].tolist() == rows + rows


def test_an_old_handle_appends_at_the_stored_end() -> None:
    array = zarrc.array([1, 2, 3], chunks=(2,))
    old = zarrc.open_array(array.store)
    array.append([4, 5])
    assert old.append([6]) == (6,)
    assert old[:].tolist() == [1, 2, 3, 4, 5, 6]
    array.resize(2)
    assert old.append([7]) == (3,)
    assert old[:].tolist() == array.refresh()[:].tolist() == [1, 2, 7]


def test_appending_asks_for_the_same_however_long_the_array_is(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FailingStore({})
    array = make(store, chunks=(4, 5))
    costs = []
    listed: list[str] = []
    monkeypatch.setattr(store, "list_prefix", lambda prefix: listed.append(prefix) or iter(()))
    for _ in range(40):
        store.n_calls = 0
        array.append(np.ones((4, 5)))
        costs.append(store.n_calls)
    assert len(set(costs)) == 1
    assert listed == []


def test_appending_costs_the_same_however_long_the_array_is() -> None:
    array = zarrc.create_array(MemoryStore(), shape=(0, 8), chunks=(16, 8), dtype="f4")
    row = np.ones((4, 8), "f4")
    n = count(10_000)
    spent = []
    for _ in range(n):
        start = time.thread_time()
        array.append(row)
        spent.append(time.thread_time() - start)
    tenth = n // 10
    assert array.shape == (4 * n, 8)
    # Three times as much would be growth; what the machine does beside is less.
    assert np.median(spent[-tenth:]) < 2 * np.median(spent[tenth : 2 * tenth]) + 1e-4
    assert float(array[-4:].sum()) == 32


# --- failures


@pytest.mark.parametrize("once", [True, False], ids=["one call", "all later calls"])
@pytest.mark.parametrize("kind", ["regular", "sharded", "v2"])
def test_a_failure_at_any_call_appends_all_or_nothing(kind: str, once: bool) -> None:
    model = np.arange(35, dtype="i4").reshape(7, 5)
    new = np.arange(100, 130, dtype="i4").reshape(6, 5)

    def prepared(store: FailingStore) -> zarrc.Array:
        array = make(store, (7, 5), kind)
        array[...] = model
        return array

    n_failed = 0
    for store, error in every_failure(prepared, lambda array: array.append(new), once=once):
        found = zarrc.open_array(store)
        whole = np.concatenate([model, new])
        np.testing.assert_array_equal(found[...], whole if found.shape[0] == 13 else model)
        n_failed += error is not None
        assert error is not None or found.shape == (13, 5)
        if found.shape[0] == 7:
            # What was written of it is not seen later.
            found.resize(9, 5)
            assert (found[7:] == -7).all()
    assert n_failed > 5


class Meddling(LocalStore):
    """A store that does something right before a document is replaced."""

    deed: Any = None

    def set_if(self, key: str, data: Any, version: str | None) -> str | None:
        deed, self.deed = self.deed, None
        if deed is not None:
            deed()
        return super().set_if(key, data, version)


def test_attributes_that_another_process_changes_meanwhile_stay(tmp_path: Path) -> None:
    store = Meddling(tmp_path)
    array = make(store, (4, 5))
    document = (tmp_path / "zarr.json").read_text()
    changed = document.replace('"attributes": {}', '"attributes": {"a": 1}')
    store.deed = lambda: (tmp_path / "zarr.json").write_text(changed)
    assert array.append(np.ones((2, 5))) == (6, 5)
    assert dict(array.attrs) == dict(zarrc.open_array(store).attrs) == {"a": 1}
    assert zarrc.open_array(store)[4:].tolist() == [[1] * 5] * 2


def test_another_process_that_resizes_meanwhile_is_an_error(tmp_path: Path) -> None:
    store = Meddling(tmp_path)
    array = make(store, (4, 5))
    document = (tmp_path / "zarr.json").read_text()
    store.deed = lambda: (tmp_path / "zarr.json").write_text(document.replace("4,", "8,", 1))
    with pytest.raises(StoreConflictError, match="locking='file'"):
        array.append(np.ones((2, 5)))
    assert zarrc.open_array(store).shape == (8, 5)


# --- together


@pytest.mark.parametrize("kind", ["regular", "sharded", "v2"])
@pytest.mark.parametrize("store", STORES)
def test_threads_append_every_row_once(store: str, kind: str, tmp_path: Path) -> None:
    place = make_store(store, tmp_path)
    array = make(place, kind=kind)
    n_threads, n_rows = 4, 12
    failures: list[BaseException] = []

    def work(number: int) -> None:
        # Half of them through one handle.
        mine = array if number % 2 else zarrc.open_array(place)
        try:
            for i in range(n_rows):
                mine.append(np.full((1 + i % 2, 5), number * 1000 + i))
                mine.attrs[f"{number}"] = i
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = zarrc.open_array(place)
    rows = found[...]
    assert (rows == rows[:, :1]).all()
    wanted = [n * 1000 + i for n in range(n_threads) for i in range(n_rows) for _ in range(1 + i % 2)]
    assert sorted(rows[:, 0].tolist()) == wanted
    assert found.attrs.asdict() == {str(n): n_rows - 1 for n in range(n_threads)}
    assert array.refresh().shape == found.shape


def test_a_reader_in_another_thread_sees_whole_rows() -> None:
    array = make(MemoryStore(), kind="sharded")
    reader = zarrc.open_array(array.store, mode="r")
    stop = threading.Event()
    wrong: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            rows = reader.refresh()[...]
            if (rows != np.arange(1, 1 + len(rows))[:, None]).any():
                wrong.append(rows)

    thread = threading.Thread(target=read)
    thread.start()
    for i in range(count(1000)):
        array.append(np.full((1, 5), i + 1))
    stop.set()
    thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", ["regular", "sharded", "v2"])
def test_processes_append_every_row_once_and_readers_see_whole_rows(kind: str, tmp_path: Path) -> None:
    group = zarrc.create_group(tmp_path / "g", zarr_format=2 if kind == "v2" else 3)
    array = group.create_array("a", shape=(0, 5), dtype="i4", fill_value=-7, **KINDS[kind])
    n_processes, n_rows = 3, count(300)
    processes = [
        start_module(
            "tests.array.append_program",
            json.dumps({"path": str(tmp_path / "g/a"), "number": n, "n": n_rows}),
        )
        for n in range(n_processes)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    reader = zarrc.open_array(tmp_path / "g/a", mode="r")
    while any(process.poll() is None for process in processes):
        rows = reader.refresh()[...]
        assert (rows == rows[:, :1]).all()
        assert (rows != -7).all()
    for process in processes:
        assert process.communicate()[1] == ""
    rows = array.refresh()[...]
    assert (rows == rows[:, :1]).all()
    assert sorted(rows[:, 0].tolist()) == [n * 1000 + i for n in range(n_processes) for i in range(n_rows)]
    # Attributes that they set meanwhile are all there.
    assert array.attrs.asdict() == {str(n): n_rows - 1 for n in range(n_processes)}
    assert [str(left) for left in tmp_path.rglob(".zc-*")] == []


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_are_right_after_processes_appended(zarr_format: Any, tmp_path: Path) -> None:
    group = zarrc.create_group(tmp_path / "g", zarr_format=zarr_format)
    group.create_array("a", shape=(0, 5), chunks=(3, 5), dtype="i4", fill_value=-7)
    zarrc.consolidate_metadata(tmp_path / "g")
    n_rows = count(200)
    processes = [
        start_module(
            "tests.array.append_program",
            json.dumps({"path": str(tmp_path / "g"), "member": "a", "number": n, "n": n_rows}),
        )
        for n in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lengths = [0]
    while any(process.poll() is None for process in processes):
        found = zarrc.open_group(tmp_path / "g", mode="r", use_consolidated=True)["a"]
        assert isinstance(found, zarrc.Array)
        rows = found[...]
        assert (rows == rows[:, :1]).all()
        assert (rows != -7).all()
        lengths.append(len(rows))
    assert lengths == sorted(lengths)
    for process in processes:
        assert process.communicate()[1] == ""
    found = zarrc.open_group(tmp_path / "g", mode="r", use_consolidated=True)["a"]
    assert isinstance(found, zarrc.Array)
    assert found.shape == (2 * n_rows, 5)
    assert sorted(found[:, 0].tolist()) == [n * 1000 + i for n in range(2) for i in range(n_rows)]
