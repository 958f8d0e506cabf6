"""What the bench makes of numbers: made-up results, judged, reported and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.compare import compare, text
from bench.report import heading, report, time_text
from bench.results import Results
from bench.targets import TARGETS, Target, judge, judge_all, matching, verdict
from bench.workloads import all_workloads

_MACHINE = {
    "processor": "made up",
    "cpus": 2,
    "memory_nbytes": 1 << 30,
    "system": "Linux",
    "file_system": "ext4",
    "huge_pages": "madvise",
    "load": 0.1,
}


def times(*cpu_ns: float, wall: float = 1.0) -> dict[str, Any]:
    return {
        "cpu_ns": list(cpu_ns),
        "wall_ns": [value * wall for value in cpu_ns],
        "repetitions": 1,
        "note": "",
        "facts": {},
    }


def results(*runs: dict[str, dict[str, Any]]) -> Results:
    described = all_workloads("medium")
    libraries = dict.fromkeys(library for run in runs for row in run.values() for library in row)
    return Results(
        head={
            "date": "2026-01-01T00:00:00+00:00",
            "commit": "abc",
            "machine": _MACHINE,
            "versions": {"python": "3.13"},
            "libraries": list(libraries),
            "size": "medium",
            "rounds": 3,
            "zarrc": "the installed package",
        },
        workloads={
            name: {
                "family": described[name].family,
                "title": described[name].title,
                "kind": described[name].kind,
                "units": described[name].units,
                "unit": described[name].unit,
                "moved_nbytes": described[name].moved_nbytes,
                "limit_is": described[name].limit_is,
                "bound": 1000,
            }
            for name in dict.fromkeys(name for run in runs for name in run)
        },
        runs=list(runs),
    )


def target(title: str, codec: str = "") -> Target:
    return next(one for one in TARGETS if one.title == title and codec in ("", one.codec))


def test_the_ratio_is_to_the_best_zarr_peer_of_each_measure() -> None:
    found = results(
        {
            "read/none/512": {
                "zarrc": times(30, wall=2),
                "zarr": times(100, wall=0.5),
                "tensorstore": times(60, wall=3),
                "h5py": times(1),
                "limit": times(1),
            }
        }
    )
    assert found.ratio("read/none/512", "cpu_ns") == 30 / 60
    assert found.ratio("read/none/512", "wall_ns") == 60 / 50
    assert found.ratio("read/none/512", "cpu_ns", against=("limit",)) == 30


def test_the_ratio_of_several_runs_is_the_median_of_theirs() -> None:
    runs = [{"read/none/512": {"zarrc": times(z), "zarr": times(10)}} for z in (1, 5, 90)]
    assert results(*runs).ratio("read/none/512", "cpu_ns") == 0.5


def test_a_row_is_judged_by_its_worst_workload_and_measure() -> None:
    found = results(
        {
            "element/none/memory": {"zarrc": times(1), "tensorstore": times(10)},
            "slice/none/memory": {"zarrc": times(1, wall=3), "tensorstore": times(10)},
        }
    )
    one = judge(found, next(t for t in TARGETS if t.patterns[0] == "element/none/memory"))
    assert one.values["cpu_ns"][0] == 0.1
    assert one.values["wall_ns"] == (0.3, "slice/none/memory")
    assert not one.met
    assert one.excess == pytest.approx(1.0)
    assert one.verdict() == "missed by 100%"


def test_a_row_that_is_met_says_so() -> None:
    found = results({"read/none/512": {"zarrc": times(6), "zarr": times(10)}})
    assert judge(found, target("read all", "none")).verdict() == "met"


def test_a_wrong_result_is_not_fast() -> None:
    runs = (
        {"read/none/512": {"zarrc": times(1), "zarr": times(10)}},
        {"read/none/512": {"zarrc": {"wrong": "values differ"}, "zarr": times(10)}},
    )
    found = results(*runs)
    assert found.ratio("read/none/512", "cpu_ns") is None
    one = judge(found, target("read all", "none"))
    assert not one.met
    assert "wrong: values differ" in one.verdict()
    assert "WRONG: values differ" in report(found)


def test_a_wrong_peer_is_not_the_best_one() -> None:
    row = {"zarrc": times(6), "zarr": times(10), "tensorstore": {"wrong": "zeros"}}
    assert results({"read/none/512": row}).ratio("read/none/512", "cpu_ns") == 0.6


def test_what_cannot_run_is_shown_with_its_reason() -> None:
    found = results({"read/none/512": {"zarrc": times(6), "zarrs": {"cannot": "no such pipeline"}}})
    assert "zarrs, read/none/512: no such pipeline" in report(found)
    assert judge(found, target("read all", "none")).verdict() == "not measured"


def test_flat_compares_the_time_per_chunk_of_the_last_with_the_first() -> None:
    found = results({"tiny-read/10000": {"zarrc": times(1e6)}, "tiny-read/1000000": {"zarrc": times(2e8)}})
    one = judge(found, next(t for t in TARGETS if t.kind == "flat"))
    assert one.values["cpu_ns"][0] == 2


def test_import_is_judged_in_seconds_and_memory_by_its_bound() -> None:
    found = results(
        {
            "import/ready": {"zarrc": times(19e6), "zarr": times(1)},
            "peak/read/none": {"zarrc": {"peak_nbytes": 900}},
        }
    )
    judged = judge_all(found)
    assert [one.target.kind for one in judged] == ["seconds", "bound"]
    assert [one.verdict() for one in judged] == ["met", "met"]
    assert verdict(judged) == "2 of 2 rows are met."
    assert judged[1].values["peak_nbytes"][0] == 0.9


def test_few_misses_by_little_are_allowed_in_each_part() -> None:
    near = {"zarrc": times(0.6), "zarr": times(1)}
    found = verdict(judge_all(results({"shard-read/zstd/512": near})))
    assert found == "0 of 1 rows are met; 1 missed, 0 of them by more than 15% or not measured (allowed)."
    rows = {"shard-read/zstd/512": near, "shard-small/zstd": {"zarrc": times(0.55), "zarr": times(1)}}
    assert not verdict(judge_all(results(rows))).endswith("(allowed).")


def test_the_speed_of_two_threads_is_shown_beside_one() -> None:
    found = results(
        {"threads/read/1": {"zarrc": times(90)}, "threads/read/2": {"zarrc": times(100, wall=0.5)}}
    )
    assert "| threads/read | 1.80 |" in report(found)


def test_a_view_is_compared_with_the_direct_read_of_the_same() -> None:
    found = results(
        {
            "view/none/steps": {"zarrc": times(12), "tensorstore": times(1)},
            "direct/none/steps": {"zarrc": times(100), "tensorstore": times(1)},
        }
    )
    row = found.runs[0]["view/none/steps"]["zarrc"]
    row["facts"] = {"inner_ratio": {"cpu_ns": 1.2, "wall_ns": 0.6}}
    (one,) = judge_all(found)
    assert (one.values["cpu_ns"][0], one.values["wall_ns"][0]) == (1.2, 0.6)
    assert one.verdict() == "missed by 9%"


def test_two_workers_are_judged_by_wall_time_alone() -> None:
    found = results({"map/1": {"zarrc": times(10)}, "map/2": {"zarrc": times(10, wall=0.5)}})
    (one,) = judge_all(found)
    assert one.values == {"wall_ns": (0.5, "map/2")}
    assert one.met


def test_appends_are_judged_by_how_their_cost_grows() -> None:
    row = {"zarrc": times(100), "zarr": times(10)}
    for outcome, growth in zip(row.values(), (1.05, 3), strict=True):
        outcome["facts"] = {"inner_ratio": {"cpu_ns": growth, "wall_ns": growth / 2}}
    found = results({"append/aligned": row})
    (one,) = judge_all(found)
    assert one.values == {"cpu_ns": (1.05, "append/aligned"), "wall_ns": (0.525, "append/aligned")}
    assert one.met
    assert "| append/aligned | 1.05 / 0.53 | 3.00 / 1.50 |" in report(found)


def test_allocations_are_judged_by_their_bound() -> None:
    found = results({"allocations/points/1000000": {"zarrc": {"allocations": 1500}}})
    (one,) = judge_all(found)
    assert one.values == {"allocations": (1.5, "allocations/points/1000000")}
    assert "| 1500 |" in report(found)


@pytest.mark.parametrize("size", ["medium", "full"])
def test_every_target_has_workloads(size: str) -> None:
    names = all_workloads(size)
    assert [one for one in TARGETS if not matching(names, one.patterns)] == []


def test_slower_is_what_the_machine_does_not_explain() -> None:
    def with_times(zarrc: float, zarr: float) -> Results:
        row = {"zarrc": times(zarrc, zarrc), "zarr": times(zarr, zarr)}
        return results({"read/none/512": row})

    def slower(new: Results) -> list[str]:
        return [one.measure for one in compare(with_times(10, 100), new) if one.slower]

    assert slower(with_times(10.5, 100)) == []
    assert slower(with_times(12, 100)) == ["cpu_ns", "wall_ns"]
    assert slower(with_times(12, 120)) == []
    assert slower(with_times(12, 50)) == ["cpu_ns", "wall_ns"]


def test_a_slow_round_among_fast_ones_is_noise() -> None:
    old = results({"read/none/512": {"zarrc": times(10, 10, 10)}})
    new = results({"read/none/512": {"zarrc": times(10, 15, 15)}})
    assert not any(one.slower for one in compare(old, new))


def test_what_worked_and_now_does_not_is_slower() -> None:
    old = results({"read/none/512": {"zarrc": times(10)}})
    new = results({"read/none/512": {"zarrc": {"wrong": "values differ"}}})
    assert [one.broken for one in compare(old, new)] == ["values differ"]
    assert "BROKEN  read/none/512: values differ" in text(compare(old, new))


def test_compare_is_a_command_with_an_exit_code(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    results({"read/none/512": {"zarrc": times(10)}}).dump(old)
    results({"read/none/512": {"zarrc": times(20)}}).dump(new)
    command = CliRunner()
    assert command.invoke(main, ["--compare", str(old), str(old)]).exit_code == 0
    found = command.invoke(main, ["--compare", str(old), str(new)])
    assert found.exit_code == 1
    assert "SLOWER  x 2.00" in found.output


def test_a_report_has_pictures_and_a_page_can_be_made_of_it(tmp_path: Path) -> None:
    found = results(
        {
            "read/none/512": {"zarrc": times(1e6), "zarr": times(2e6), "limit": times(5e5)},
            "element/none/memory": {"zarrc": times(1e3), "zarr": times(2e5), "limit": times(500)},
        }
    )
    found.dump(tmp_path / "results.json")
    docs = tmp_path / "docs"
    arguments = [
        "--report",
        str(tmp_path / "results.json"),
        "--output",
        str(tmp_path / "out"),
        "--docs",
        str(docs),
    ]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    pictures = ["latency.png", "limit.png", "peers.png", "throughput.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *pictures[:3],
        "report.md",
        pictures[3],
    ]
    page = (docs / "benchmarks.md").read_text()
    assert [name for name in pictures if f"](benchmarks/{name})" not in page] == []
    assert Results.load(docs / "benchmarks" / "results.json").runs == found.runs


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [(None, "-"), (5.25, "5.25 ns"), (1500, "1.5 us"), (2.5e6, "2.5 ms"), (3e9, "3 s")],
)
def test_times_have_three_digits_and_a_unit(nanoseconds: float | None, expected: str) -> None:
    assert time_text(nanoseconds) == expected


def test_a_run_that_was_ended_is_not_shown_as_a_whole_one() -> None:
    row = {"zarrc": times(1)}
    whole = {"read/none/512": row, "write/none/512": row}
    assert "2 runs of up to 3 rounds\n" in heading(results(whole, whole))
    ended = "2 runs of up to 3 rounds (the last was ended after 1 of 2 workloads)\n"
    assert ended in heading(results(whole, {"read/none/512": row}))
