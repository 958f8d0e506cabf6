"""What was measured, as it is kept in JSON, and the numbers that tables, plots and comparisons ask it for.

A document has "runs": for each run, workload -> library -> outcome. An outcome is one of

    {"wall_ns": [...], "cpu_ns": [...], "repetitions": k, "note": "...", "facts": {...}}
    {"peak_nbytes": n}
    {"allocations": n}
    {"cannot": "why"}
    {"wrong": "what"}

Times are of one repetition of the whole workload; "units" of the workload says how many chunks that was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from bench.libraries import ZARR_PEERS

Measure = Literal["cpu_ns", "wall_ns", "peak_nbytes", "allocations"]
MEASURES: tuple[Measure, ...] = ("cpu_ns", "wall_ns")
# What is counted once, in a fresh process, by the kind of workload.
COUNTED: dict[str, Measure] = {"peak": "peak_nbytes", "allocations": "allocations"}
FORMAT = 1

Outcome = dict[str, Any]
# workload -> library -> outcome
Run = dict[str, dict[str, Outcome]]


@dataclass
class Results:
    head: dict[str, Any] = field(default_factory=dict)
    # name -> {"family", "title", "units", "unit", "moved_nbytes", "limit_is", "kind", "bound"}
    workloads: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Results:
        document = json.loads(path.read_text())
        if document.get("format") != FORMAT:
            raise ValueError(f"{path} is not a result of this bench (format {document.get('format')!r})")
        return cls(document["head"], document["workloads"], document["runs"])

    def dump(self, path: Path) -> None:
        document = {"format": FORMAT, "head": self.head, "workloads": self.workloads, "runs": self.runs}
        path.write_text(json.dumps(document, separators=(",", ":")) + "\n")

    @property
    def libraries(self) -> list[str]:
        return list(self.head["libraries"])

    def outcome(self, workload: str, library: str) -> Outcome:
        """What became of it: "wrong" or "cannot" if that was so in any run."""
        outcomes = [run[workload][library] for run in self.runs if library in run.get(workload, {})]
        for kind in ("wrong", "cannot"):
            for outcome in outcomes:
                if kind in outcome:
                    return outcome
        return outcomes[-1] if outcomes else {"cannot": "not run"}

    def samples(self, workload: str, library: str, measure: Measure) -> list[float]:
        """All rounds of all runs; none if it was wrong in any."""
        if "wrong" in self.outcome(workload, library):
            return []
        found: list[float] = []
        for run in self.runs:
            value = run.get(workload, {}).get(library, {}).get(measure, [])
            found += value if isinstance(value, list) else [value]
        return found

    def _of_run(self, run: Run, workload: str, library: str, measure: Measure) -> float | None:
        value = run.get(workload, {}).get(library, {}).get(measure)
        if not value or "wrong" in self.outcome(workload, library):
            return None
        return float(median(value) if isinstance(value, list) else value)

    def median(self, workload: str, library: str, measure: Measure) -> float | None:
        """The median of the runs' medians, for one repetition."""
        found = (self._of_run(run, workload, library, measure) for run in self.runs)
        known = [value for value in found if value is not None]
        return median(known) if known else None

    def per_unit(self, workload: str, library: str, measure: Measure) -> float | None:
        value = self.median(workload, library, measure)
        return None if value is None else value / self.workloads[workload].get("units", 1)

    def inner_ratio(self, workload: str, library: str, measure: Measure) -> float | None:
        """What one part of a task took over another, if it tells; the median of the runs."""
        if "wrong" in self.outcome(workload, library):
            return None
        outcomes = (run.get(workload, {}).get(library, {}) for run in self.runs)
        found = [
            one["facts"]["inner_ratio"][measure] for one in outcomes if "inner_ratio" in one.get("facts", {})
        ]
        return median(found) if found else None

    def best_peer(self, workload: str, measure: Measure, peers: Iterable[str] = ZARR_PEERS) -> str | None:
        """The Zarr peer that was fastest by ``measure``."""
        found = {peer: self.median(workload, peer, measure) for peer in peers}
        known = {peer: value for peer, value in found.items() if value is not None}
        return min(known, key=lambda peer: known[peer]) if known else None

    def ratio(
        self, workload: str, measure: Measure, against: Iterable[str] = ZARR_PEERS, of: str = "zarrc"
    ) -> float | None:
        """``of``'s time over that of the best of ``against`` in the same run: the median of the runs."""
        against = tuple(against)
        found = []
        for run in self.runs:
            mine = self._of_run(run, workload, of, measure)
            theirs = [self._of_run(run, workload, one, measure) for one in against]
            known = [value for value in theirs if value]
            if mine is not None and known:
                found.append(mine / min(known))
        return median(found) if found else None
