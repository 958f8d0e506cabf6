"""The child process that runs one library's workloads: ``bench.worker NAME DIRECTORY SIZE [THREADS]``.

A line on stdin is a request, {"op": ...}; each gets one line on stdout: {"ok": true, "value": ...}, or
{"ok": false, "kind": "cannot" | "wrong", "error": "..."}. The requests:

    hello                   which file of the library is measured
    store workload          write the workload's array, for all libraries to read
    setup workload          make the task, run it once, check it, choose the repetitions of a round
    run                     one round: nanoseconds of wall and of processor time for one repetition, facts
    close                   end the task and remove what it left
    peak workload           peak memory of the workload's one call (in a fresh process)
    allocations workload    how often one call asks the interpreter's allocator (in a fresh process)
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import traceback
from itertools import repeat
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

from bench.allocations import allocations
from bench.libraries import LIMIT, Cannot, Library, library_class
from bench.pages import make_ready
from bench.workloads import Place, Task, Workload, Wrong, all_workloads

# A round of a short workload repeats it for about this long.
_ROUND_NS = 30_000_000
# With something to do before each call, a round has no more calls than this.
_MOST_PREPARED = 8


def timed(task: Task, n: int, ready_nbytes: int = 0) -> tuple[int, int, Any]:
    """Call ``task`` ``n`` times; return wall and processor time of all calls, and the last result.

    With ``ready_nbytes``, so much free memory is there at first, and again after what comes before each call.
    """
    call = task.call
    if task.before is None:
        make_ready(ready_nbytes)
        gc.collect()
        cpu, wall = process_time_ns(), perf_counter_ns()
        for _ in repeat(None, n - 1):
            call()
        result = call()
        return perf_counter_ns() - wall, process_time_ns() - cpu, result
    wall_ns = cpu_ns = 0
    result = None
    for _ in repeat(None, n):
        result = None
        task.before()
        make_ready(ready_nbytes)
        gc.collect()
        cpu, wall = process_time_ns(), perf_counter_ns()
        result = call()
        wall_ns += perf_counter_ns() - wall
        cpu_ns += process_time_ns() - cpu
    return wall_ns, cpu_ns, result


def repetitions(task: Task, first_ns: int) -> int:
    """How often to repeat a task whose first call took ``first_ns`` in a round."""
    if _ROUND_NS <= first_ns < 10 * _ROUND_NS and task.before is None:
        first_ns, _, _ = timed(task, 1)  # the first call may have loaded modules, which no other does
    if first_ns >= _ROUND_NS:
        return 1
    if task.before is not None:
        return max(1, min(_MOST_PREPARED, _ROUND_NS // first_ns))
    n = 1
    while True:
        wall_ns, _, _ = timed(task, n)
        if wall_ns >= _ROUND_NS // 2:
            return n
        n = max(n + 1, min(n * 10, n * _ROUND_NS // max(wall_ns, 1)))


def resident() -> tuple[int, int]:
    """Return the resident memory of this process now, and at most since `forget_peak`, in bytes."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key in ("VmRSS", "VmHWM"):
                found[key] = int(value.split()[0]) * 1024
    if len(found) < 2:
        raise Cannot("this machine does not tell a process's peak memory")
    return found["VmRSS"], found["VmHWM"]


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Worker:
    def __init__(self, name: str, directory: Path, size: str, threads: int | None) -> None:
        self.name = name
        self.place = Place(directory, name, threads)
        self.workloads = all_workloads(size)
        self.library: Library | None = None if name == LIMIT else library_class(name)(threads)
        self.task: Task | None = None
        self.n = 1
        self.ready_nbytes = 0

    def hello(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"file": "" if self.library is None else self.library.module_file, "pid": os.getpid()}

    def _workload(self, request: dict[str, Any]) -> Workload:
        return self.workloads[request["workload"]]

    def store(self, request: dict[str, Any]) -> None:
        spec = self._workload(request).spec
        path = self.place.source_path(self.place.directory, spec)
        assert self.library is not None
        self.library.writer(
            self.library.create(self.library.local(path), spec), ..., self.place.field(spec)
        )()

    def setup(self, request: dict[str, Any]) -> dict[str, Any]:
        workload = self._workload(request)
        task = (
            workload.limit(self.place) if self.library is None else workload.prepare(self.library, self.place)
        )
        self.task = task
        # For the result or the stored bytes, and as much again for what the library needs meanwhile.
        ready_nbytes = 2 * workload.moved_nbytes
        wall_ns, cpu_ns, result = timed(task, 1, ready_nbytes)
        task.check(result)
        del result
        self.n = repetitions(task, wall_ns)
        self.ready_nbytes = ready_nbytes if self.n == 1 or task.before is not None else 0
        return {
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "repetitions": self.n,
            "note": task.note,
            "facts": task.facts,
        }

    def run(self, _: dict[str, Any]) -> dict[str, Any]:
        assert self.task is not None
        wall_ns, cpu_ns, result = timed(self.task, self.n, self.ready_nbytes)
        if not self.task.check_once:
            self.task.check(result)
        return {"wall_ns": wall_ns / self.n, "cpu_ns": cpu_ns / self.n, "facts": self.task.facts}

    def close(self, _: dict[str, Any]) -> None:
        task, self.task = self.task, None
        if task is not None:
            task.close()
        self.place.forget_memory()
        gc.collect()

    def peak(self, request: dict[str, Any]) -> dict[str, int]:
        workload: Any = self._workload(request)
        if self.library is None:
            raise Cannot("the bound is in the table")
        make = workload.first(self.library, self.place)
        gc.collect()
        baseline, _ = resident()
        call = make()
        forget_peak()
        result = call()
        _, peak = resident()
        del result
        return {"peak_nbytes": max(0, peak - baseline)}

    def allocations(self, request: dict[str, Any]) -> dict[str, int]:
        workload: Any = self._workload(request)
        if self.library is None:
            raise Cannot("the bound is in the table")
        call = workload.first(self.library, self.place)()
        return {"allocations": allocations(call)}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, "value": getattr(self, request["op"])(request)}
        except Wrong as error:
            return {"ok": False, "kind": "wrong", "error": str(error)}
        except Cannot as error:
            return {"ok": False, "kind": "cannot", "error": str(error)}
        except Exception as error:
            traceback.print_exc()
            text = "".join(traceback.format_exception_only(error)).strip().splitlines()[0]
            return {"ok": False, "kind": "cannot", "error": text[:200]}


def main() -> None:
    # Answers keep stdout to themselves: what a library prints goes to stderr, which is a log.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name, directory, size, *threads = sys.argv[1:]
    # Many small files or many mappings: as many descriptors as may be had.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        worker = Worker(name, Path(directory), size, int(threads[0]) if threads else None)
    except Exception as error:
        traceback.print_exc()
        answers.write(json.dumps({"ok": False, "kind": "cannot", "error": f"{error}"}) + "\n")
        answers.flush()
        return
    # The parent decides when it is over, by closing the pipe.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin:
            answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
            answers.flush()
    worker.close({})
    shutil.rmtree(worker.place.own, ignore_errors=True)


if __name__ == "__main__":
    main()
