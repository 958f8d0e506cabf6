"""The bench runs: small sizes, with the libraries that are installed beside the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from bench.allocations import allocations
from bench.arrays import ArraySpec
from bench.children import Child, Failed
from bench.fields import map_field, write_field
from bench.libraries import available
from bench.results import Results
from bench.run import Options, Runner, run
from bench.worker import Worker
from bench.workloads import all_workloads, matches
from bench.workloads.base import Place, same
from bench.workloads.codecs import bitrounded

LIBRARIES = tuple(name for name in ("zarrc", "h5py", "limit") if available(name))


def small_run(tmp_path: Path, *patterns: str) -> Results:
    options = Options(libraries=LIBRARIES, size="small", rounds=2, directory=tmp_path, budget_seconds=0.2)
    return run(options, lambda name: matches(name, patterns), lambda text: None)


def problems(results: Results, library: str = "zarrc") -> dict[str, Any]:
    outcomes = {name: results.outcome(name, library) for name in results.workloads}
    return {name: one for name, one in outcomes.items() if "wrong" in one or "cannot" in one}


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    """A worker for zarrc, in this process, and the array of one workload stored for it."""
    for folder in ("fields", "sources", "own"):
        (tmp_path / folder).mkdir()
    found = Worker("zarrc", tmp_path, "small", None)
    spec = found.workloads["read/zstd/64"].spec
    write_field(spec, Place.field_path(tmp_path, spec))
    found.store({"workload": "read/zstd/64"})
    return found


def test_workloads_of_every_kind_run_and_leave_nothing(tmp_path: Path) -> None:
    patterns = ("read/zstd/*", "write/none/*", "element/zstd/*", "open/v3", "encode/zstd", "tiny-write/100")
    results = small_run(tmp_path, *patterns, "peak/read/none", "import/ready", "threads/read/1")
    assert problems(results) == {}
    assert len(results.workloads) == 10
    for name, workload in results.workloads.items():
        measure: Any = "peak_nbytes" if workload["kind"] == "peak" else "cpu_ns"
        value = results.median(name, "zarrc", measure)
        assert value is not None, name
        # An import that costs next to nothing is as fast as none, give or take the noise.
        assert value > 0 or workload["kind"] == "import", name
    assert results.median("read/zstd/64", "limit", "wall_ns")
    assert results.outcome("write/none/64", "zarrc")["facts"]["stored_nbytes"] > 2 * 64**3
    assert list(tmp_path.iterdir()) == []


def test_sharded_workloads_run_and_leave_nothing(tmp_path: Path) -> None:
    patterns = ("shard-read/*", "shard-chunks/float32/*", "shard-random/*", "shard-write/*", "shard-small/*")
    results = small_run(tmp_path, *patterns, "shard-update/rewrite/*", "shard-peak/update/*")
    assert problems(results) == {}
    assert len(results.workloads) == 10
    timed = [name for name, one in results.workloads.items() if one["kind"] == "task"]
    assert [name for name in timed if not results.median(name, "limit", "cpu_ns")] == []
    assert results.outcome("shard-write/zstd/64", "zarrc")["facts"]["stored_nbytes"] > 64**3
    assert list(tmp_path.iterdir()) == []


def test_workloads_of_selections_and_whole_arrays_run_and_leave_nothing(tmp_path: Path) -> None:
    patterns = ("points/none/500", "orthogonal/zstd", "mask/none/*", "by-hand/mask/none", "step-7/blosc-lz4")
    patterns += ("view/none/*", "direct/zstd/steps", "again/zstd", "map/*", "append/*")
    results = small_run(tmp_path, *patterns, "allocations/*")
    assert problems(results) == {}
    assert len(results.workloads) == 15
    growth = results.inner_ratio("append/across", "zarrc", "cpu_ns")
    assert growth is not None
    assert growth > 0
    counted = results.median("allocations/points/20000", "zarrc", "allocations")
    assert counted is not None
    assert 0 < counted < results.workloads["allocations/points/20000"]["bound"]
    assert list(tmp_path.iterdir()) == []


def test_an_object_for_each_element_is_counted() -> None:
    elements = range(1000, 2000)
    few, many = allocations(lambda: bytes(10)), allocations(lambda: list(elements))
    assert few < 10
    assert many >= 1000


def test_an_update_that_changes_nothing_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fields").mkdir()
    worker = Worker("zarrc", tmp_path, "small", None)
    request = {"op": "setup", "workload": "shard-update/rewrite/memory"}
    spec = worker.workloads[request["workload"]].spec
    write_field(spec, Place.field_path(tmp_path, spec))
    assert worker.answer(request)["ok"]
    writer = worker.library.writer
    monkeypatch.setattr(
        worker.library,
        "writer",
        lambda array, selection, data: writer(array, selection, data) if selection is ... else lambda: None,
    )
    assert worker.answer(request)["kind"] == "wrong"


def test_a_result_that_is_wrong_is_reported_as_wrong(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"op": "setup", "workload": "read/zstd/64"}
    assert worker.answer(request)["ok"]
    monkeypatch.setattr(
        worker.library, "reader", lambda array, selection: lambda: np.zeros(array.shape, array.dtype)
    )
    answer = worker.answer(request)
    assert not answer["ok"]
    assert answer["kind"] == "wrong"
    assert answer["error"] == "values differ from what was stored"


def test_a_result_that_turns_wrong_in_a_later_round_is_noticed(worker: Worker) -> None:
    assert worker.answer({"op": "setup", "workload": "read/zstd/64"})["ok"]
    assert worker.answer({"op": "run"})["ok"]
    assert worker.task is not None
    right = worker.task.call
    worker.task.call = lambda: right() + 1
    assert worker.answer({"op": "run"})["kind"] == "wrong"


def test_a_write_that_stores_nothing_is_wrong(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.library, "writer", lambda array, selection, data: lambda: None)
    assert worker.answer({"op": "setup", "workload": "write/zstd/64"})["kind"] == "wrong"


def test_what_a_library_cannot_do_is_told_and_the_next_workload_runs(tmp_path: Path) -> None:
    if "h5py" not in LIBRARIES:
        pytest.skip("h5py is not installed")
    results = small_run(tmp_path, "row/*")
    assert problems(results, "h5py") == {"row/zstd": {"cannot": "h5py has no zstd"}}
    assert results.median("row/none", "h5py", "cpu_ns")


def test_a_child_that_dies_or_hangs_says_so_and_another_takes_its_place(tmp_path: Path) -> None:
    child = Child("limit", tmp_path, "small")
    pid = child.ask("hello")["pid"]
    with pytest.raises(Failed, match="took more than 0 s"):
        child.ask("hello", 0.0)
    assert child.ask("hello")["pid"] != pid
    child.stop()


def test_a_field_compresses_like_a_measurement(tmp_path: Path) -> None:
    for dtype in ("uint16", "float32", "float64"):
        spec = ArraySpec(shape=(64, 256, 256), chunks=(64, 128, 128), dtype=dtype)
        path = tmp_path / f"{dtype}.npy"
        write_field(spec, path)
        values = map_field(path)
        chunk = np.ascontiguousarray(values[:64, :128, :128])
        ratio = chunk.nbytes / len(zstandard.compress(chunk, 3))
        assert 1.5 < ratio < 2.5, (dtype, ratio)


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (3, 1 << 22), (1 << 24,)])
def test_a_difference_anywhere_is_seen(shape: tuple[int, ...]) -> None:
    one = np.zeros(shape, np.uint16)
    assert same(one, one.copy())
    for index in (0, -1) if one.size else ():
        other = one.copy()
        other.reshape(-1)[index] = 1
        assert not same(one, other)


def test_bitrounding_is_what_the_codec_has_to_do() -> None:
    values = np.float32([1.0, 1 + 2**-11, 1 + 3 * 2**-11, -3.14159274, 0])
    expected = np.float32([1.0, 1.0, 1 + 2**-9, -3.140625, 0])
    assert bitrounded(values).tolist() == expected.tolist()


def test_a_workload_without_its_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(Options(libraries=("zarrc",), size="small", rounds=1), tmp_path, lambda text: None)
    workload = all_workloads("small")["read/zstd/64"]
    monkeypatch.setattr("bench.run.write_field", lambda spec, path: path.write_bytes(b"cut"))
    found = runner.run(workload, 0)
    runner.stop()
    assert "no data: " in found["zarrc"]["cannot"]
