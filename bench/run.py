"""Runs the workloads: data first, then round by round, one library after another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.bare import usable_cpus
from bench.children import ROOT, Child, Failed
from bench.fields import write_field
from bench.libraries import LIMIT, ONLY_REMOTE, Cannot, library_class
from bench.results import COUNTED, MEASURES, Measure, Outcome, Results
from bench.servers import Servers
from bench.workloads import Workload, all_workloads
from bench.workloads.base import TMPFS, Place
from bench.workloads.opening import Import
from bench.workloads.remote import Remote

Say = Callable[[str], None]

# A library that has used less than this part of its budget goes on for this many times as many rounds.
_QUICK = 0.15
_MORE_ROUNDS = 3
# One that is slow may use more than its budget for as many rounds, of all runs together, as make a median.
_FEW_ROUNDS = 3
_LONG_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True)
class Options:
    libraries: tuple[str, ...]
    size: str = "medium"
    rounds: int = 5
    runs: int = 1
    threads: int | None = None
    directory: Path | None = None
    # A library is left out of further rounds of a workload when it has used this much.
    budget_seconds: float = 4.0
    timeout_seconds: float = 300.0


class Runner:
    """One run: children, data, and what they measured."""

    def __init__(self, options: Options, directory: Path, say: Say) -> None:
        self.options = options
        self.directory = directory
        self.say = say
        self.children: dict[tuple[str, int | None], Child] = {}
        self.servers = Servers(directory)
        for name in ("fields", "sources", "own", "logs"):
            (directory / name).mkdir(exist_ok=True)

    def child(self, library: str, threads: int | None = None) -> Child:
        key = library, threads or self.options.threads
        if key not in self.children:
            self.children[key] = Child(library, self.directory, self.options.size, key[1])
        return self.children[key]

    def stop(self) -> None:
        for child in self.children.values():
            child.stop()
        self.children.clear()
        self.servers.stop()

    def prepare(self, workload: Workload) -> None:
        """Make the data, and the stored array that all read, unless they are there."""
        path = Place.field_path(self.directory, workload.spec)
        if not path.exists():
            # Big fields are for a few workloads that follow each other: the last one's room is needed.
            write_field(workload.spec, path)
        source = Place.source_path(self.directory, workload.spec)
        if workload.has_source and not source.exists():
            # zarr-python's files, where it is there: what a reader sees was not written by itself.
            writer = "zarr" if "zarr" in self.options.libraries else "zarrc"
            try:
                self.child(writer).ask("store", self.options.timeout_seconds, workload=workload.name)
            except Failed:
                shutil.rmtree(source, ignore_errors=True)
                raise
            os.sync()
        if isinstance(workload, Remote):
            try:
                self.servers.start()
                if workload.has_source:
                    self.servers.store(workload.server, source)
            except Cannot as error:
                raise Failed("cannot", str(error)) from error

    def run(self, workload: Workload, turn: int) -> dict[str, Outcome]:
        """All libraries' outcomes of one workload; ``turn`` rotates who goes first."""
        libraries = [
            name
            for name in self.options.libraries
            if (name in workload.libraries if workload.libraries is not None else name not in ONLY_REMOTE)
        ]
        order = libraries[turn % len(libraries) :] + libraries[: turn % len(libraries)] if libraries else []
        try:
            self.prepare(workload)
        except Failed as error:
            return {name: {"cannot": f"no data: {error}"} for name in libraries}
        measure = {
            "task": self._tasks,
            "import": self._imports,
            "peak": self._counts,
            "allocations": self._counts,
        }[workload.kind]
        found = measure(workload, order)
        return {name: found[name] for name in libraries}

    def _tasks(self, workload: Workload, order: Sequence[str]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        used: dict[str, float] = {}
        timeout = self.options.timeout_seconds
        for name in order:
            child = self.child(name, workload.threads)
            try:
                first = child.ask("setup", timeout, workload=workload.name)
            except Failed as error:
                found[name] = {error.kind: str(error)}
                continue
            found[name] = {
                "wall_ns": [],
                "cpu_ns": [],
                "repetitions": first["repetitions"],
                "note": first["note"],
                "facts": first["facts"],
            }
            used[name] = 0.0
            # The first call counts where it is so long that what it warms up does not show.
            if first["wall_ns"] > _LONG_SECONDS * 1e9:
                self._add(found[name], first)
                used[name] = first["wall_ns"] / 1e9
        few_rounds = -(-_FEW_ROUNDS // self.options.runs)
        for turn in range(_MORE_ROUNDS * self.options.rounds):
            # Those that are quick get more rounds, which cost little.
            budget = self.options.budget_seconds
            if turn >= self.options.rounds:
                budget *= _QUICK
            for name in [*order[turn % len(order) :], *order[: turn % len(order)]]:
                if name not in used:
                    continue
                few = len(found[name]["wall_ns"]) < few_rounds and used[name] < _FEW_ROUNDS * budget
                if used[name] > budget and not few:
                    continue
                start = time.monotonic()
                try:
                    self._add(found[name], self.child(name, workload.threads).ask("run", timeout))
                except Failed as error:
                    found[name] = {error.kind: str(error)}
                    del used[name]
                    continue
                used[name] += time.monotonic() - start
        for name in order:
            try:
                self.child(name, workload.threads).ask("close", timeout)
            except Failed as error:
                found[name] = {error.kind: str(error)}
        return found

    @staticmethod
    def _add(outcome: Outcome, sample: dict[str, Any]) -> None:
        outcome["wall_ns"].append(round(sample["wall_ns"], 1))
        outcome["cpu_ns"].append(round(sample["cpu_ns"], 1))
        outcome["facts"] = sample.get("facts", outcome["facts"])

    def _counts(self, workload: Workload, order: Sequence[str]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for name in order:
            child = Child(name, self.directory, self.options.size, self.options.threads)
            try:
                found[name] = child.ask(workload.kind, self.options.timeout_seconds, workload=workload.name)
            except Failed as error:
                found[name] = {error.kind: str(error)}
            finally:
                child.stop()
        return found

    def _imports(self, workload: Workload, order: Sequence[str]) -> dict[str, Outcome]:
        assert isinstance(workload, Import)
        path = Place.source_path(self.directory, workload.spec)
        programs: dict[str, str] = {"numpy": "import numpy"}
        found: dict[str, Outcome] = {}
        for name in order:
            try:
                if name == LIMIT:
                    raise Cannot("`import numpy` is taken off")
                programs[name] = workload.program(library_class(name), path)
                self._process(programs[name])  # compiles what is not compiled, and warms the page cache
                found[name] = {"wall_ns": [], "cpu_ns": [], "repetitions": 1, "note": "", "facts": {}}
            except (Cannot, Failed) as error:
                found[name] = {"cannot": str(error)}
                programs.pop(name, None)
        self._process(programs["numpy"])
        samples: dict[str, list[tuple[int, int]]] = {name: [] for name in programs}
        for _ in range(max(3, self.options.rounds)):
            for name, program in programs.items():
                samples[name].append(self._process(program))
        base_wall, base_cpu = (median(column) for column in zip(*samples.pop("numpy"), strict=True))
        for name, pairs in samples.items():
            for wall, cpu in pairs:
                self._add(found[name], {"wall_ns": wall - base_wall, "cpu_ns": cpu - base_cpu})
            found[name]["facts"] = {"import_numpy_wall_ns": base_wall, "import_numpy_cpu_ns": base_cpu}
        return found

    def _process(self, program: str) -> tuple[int, int]:
        """Run ``program`` in a fresh interpreter with byte-compiled modules: wall and processor time."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(self.directory / "bytecode")
        # The threads that NumPy's BLAS starts wait by spinning: for as long as anything else is imported.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        start = time.perf_counter_ns()
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter_ns() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise Failed("cannot", lines[-1][:200] if lines else f"ended with {process.returncode}")
        return wall, round((usage.ru_utime + usage.ru_stime) * 1e9)


@contextmanager
def stores_directory(parent: Path | None) -> Iterator[Path]:
    """A new directory for the stores, removed afterwards."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="zarrc-bench-", dir=parent)).resolve()
    try:
        yield path
    finally:
        for one in (path, *TMPFS.glob(f"{path.name}-*")):
            shutil.rmtree(one, ignore_errors=True)


def run(options: Options, selected: Callable[[str], bool], say: Say) -> Results:
    """Run every workload that ``selected`` wants."""
    wanted = [one for name, one in all_workloads(options.size).items() if selected(name)]
    results = Results()
    files: dict[str, str] = {}
    with stores_directory(options.directory) as directory:
        results.head = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": machine.commit(),
            "machine": machine.describe(directory),
            "versions": machine.versions(),
            "libraries": list(options.libraries),
            "size": options.size,
            "threads": options.threads,
            "rounds": options.rounds,
        }
        for workload in wanted:
            results.workloads[workload.name] = _described(workload, options)
        for number in range(options.runs):
            runner = Runner(options, directory, say)
            measured: dict[str, dict[str, Outcome]] = {}
            results.runs.append(measured)
            try:
                for name in options.libraries:
                    try:
                        files[name] = runner.child(name).ask("hello")["file"]
                    except Failed as error:
                        say(f"{name}: {error}")
                for turn, workload in enumerate(wanted):
                    start = time.monotonic()
                    measured[workload.name] = runner.run(workload, turn)
                    took = time.monotonic() - start
                    say(
                        f"run {number + 1}/{options.runs}  {turn + 1}/{len(wanted)}  {workload.name}"
                        f"  ({took:.1f} s)  {summary(results, workload.name)}"
                    )
                    _make_room(wanted[turn:], directory)
            except KeyboardInterrupt:
                say("interrupted: what was measured so far is reported")
                break
            finally:
                runner.stop()
    results.workloads = {
        name: one for name, one in results.workloads.items() if any(name in run for run in results.runs)
    }
    results.head["zarrc"] = _where(files.get("zarrc", ""))
    return results


def _where(file: str) -> str:
    """Which zarrc was measured, without the machine's paths."""
    if not file:
        return "not measured"
    if "site-packages" in file:
        return "the installed package"
    return "the source tree, built in place"


def _make_room(rest: Sequence[Workload], directory: Path) -> None:
    """Remove big data and sources of the workload that ended if none of the rest needs them in this run."""
    done, *left = rest
    if done.spec.nbytes < 1 << 30:
        return
    if all(one.spec.field_name != done.spec.field_name for one in left):
        Place.field_path(directory, done.spec).unlink(missing_ok=True)
    if all(one.spec != done.spec for one in left):
        shutil.rmtree(Place.source_path(directory, done.spec), ignore_errors=True)


def _described(workload: Workload, options: Options) -> dict[str, Any]:
    described = {
        "family": workload.family,
        "title": workload.title,
        "kind": workload.kind,
        "units": workload.units,
        "unit": workload.unit,
        "moved_nbytes": workload.moved_nbytes,
        "limit_is": workload.limit_is,
    }
    if workload.kind in COUNTED:
        described["bound"] = workload.bound(options.threads or usable_cpus())
    return described


def summary(results: Results, workload: str) -> str:
    """One line: zarrc's processor time over the best peer's, and what went wrong."""
    parts = []
    measures: tuple[Measure, ...] = (*MEASURES, *COUNTED.values())
    for measure in measures:
        ratio = results.ratio(workload, measure)
        if ratio is not None:
            parts.append(f"{measure.rpartition('_')[0]} {ratio:.2f}")
    for library in results.libraries:
        outcome = results.outcome(workload, library)
        for kind in ("cannot", "wrong"):
            if kind in outcome and (kind == "wrong" or library == "zarrc"):
                parts.append(f"{library} {kind}: {outcome[kind]}")
    return ", ".join(parts)
