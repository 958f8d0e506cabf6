"""What got slower between two results."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench.libraries import LIMIT, ZARR_PEERS
from bench.results import COUNTED, MEASURES, Measure, Results


@dataclass(frozen=True, kw_only=True)
class Change:
    """zarrc's time in the new result over that in the old one, the machine's own change taken off."""

    workload: str
    measure: Measure
    old: float
    new: float
    # How the others changed from one result to the other: the machine, not zarrc.
    drift: float
    # The best of the new rounds over the best of the old ones, less the drift.
    best: float
    slower: bool
    broken: str = ""

    @property
    def factor(self) -> float:
        return self.new / self.old / self.drift if self.old else 1.0


def compare(old: Results, new: Results, *, threshold: float = 0.1) -> list[Change]:
    """Every workload that both results have; slower is what is so in the median and in the best round.

    A machine that is slow today makes everything slow: where the peers' and the limit's times rose, zarrc's
    may have risen as much. Their fall is not asked of zarrc.
    """
    found = []
    for workload in old.workloads:
        if workload not in new.workloads:
            continue
        if not _works(new, workload):
            if _works(old, workload):
                outcome = new.outcome(workload, "zarrc")
                found.append(_broken(workload, str(outcome.get("wrong") or outcome.get("cannot"))))
            continue
        measures: tuple[Measure, ...] = (*MEASURES, *COUNTED.values())
        for measure in measures:
            change = _change(old, new, workload, measure, threshold)
            if change is not None:
                found.append(change)
    return found


def _works(results: Results, workload: str) -> bool:
    outcome = results.outcome(workload, "zarrc")
    return "wrong" not in outcome and "cannot" not in outcome


def _broken(workload: str, text: str) -> Change:
    return Change(
        workload=workload, measure="cpu_ns", old=0, new=0, drift=1, best=1, slower=True, broken=text
    )


def _change(old: Results, new: Results, workload: str, measure: Measure, threshold: float) -> Change | None:
    samples = [one.samples(workload, "zarrc", measure) for one in (old, new)]
    if not all(samples):
        return None
    drift = _drift(old, new, workload, measure)
    before, after = (median(values) for values in samples)
    best = min(samples[1]) / min(samples[0]) / drift if min(samples[0]) > 0 else 1.0
    factor = after / before / drift if before > 0 else 1.0
    return Change(
        workload=workload,
        measure=measure,
        old=before,
        new=after,
        drift=drift,
        best=best,
        slower=min(factor, best) > 1 + threshold,
    )


def _drift(old: Results, new: Results, workload: str, measure: Measure) -> float:
    if measure in COUNTED.values():
        return 1.0
    factors = []
    for library in (*ZARR_PEERS, LIMIT):
        before, after = (one.median(workload, library, measure) for one in (old, new))
        if before and after:
            factors.append(after / before)
    return max(1.0, median(factors)) if factors else 1.0


def text(changes: list[Change]) -> str:
    """What changed by a few percent or more, slower first, one a line."""
    lines = []
    for one in sorted(changes, key=lambda change: -change.factor if not change.broken else -1e9):
        if one.broken:
            lines.append(f"BROKEN  {one.workload}: {one.broken}")
        elif one.slower or abs(one.factor - 1) > 0.05:
            word = "SLOWER" if one.slower else "      "
            lines.append(
                f"{word}  x {one.factor:.2f} (best round x {one.best:.2f}, machine x {one.drift:.2f})  "
                f"{one.workload}  {one.measure}"
            )
    slower = {one.workload for one in changes if one.slower}
    compared = {one.workload for one in changes}
    lines.append(f"{len(compared)} workloads compared, {len(slower)} slower")
    return "\n".join(lines)
