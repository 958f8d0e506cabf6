"""Pictures of a result: against the peers, against the limit, throughput, latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.libraries import LIMIT, ZARR_PEERS
from bench.results import Results
from bench.targets import TARGETS, matching

_COLOURS = {
    "zarrc": "#c2410c",
    "zarr": "#1d4ed8",
    "zarr-fused": "#60a5fa",
    "zarrs": "#7c3aed",
    "tensorstore": "#15803d",
    "h5py": "#a16207",
    LIMIT: "#737373",
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what there are results for into ``folder``; return the files."""
    drawn = []
    for name, picture in (
        ("peers", lambda: _ratios(results, ZARR_PEERS, "zarrc's time over the best Zarr peer's")),
        ("limit", lambda: _ratios(results, (LIMIT,), "zarrc's time over the limit's")),
        ("throughput", lambda: _throughput(results)),
        ("latency", lambda: _latency(results)),
    ):
        figure: Any = picture()
        if figure is not None:
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=110, metadata={"Software": None})
            drawn.append(path)
    return drawn


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _target(name: str) -> float | None:
    return next(
        (one.at_most for one in TARGETS if one.kind == "ratio" and matching([name], one.patterns)), None
    )


def _ratios(results: Results, against: Sequence[str], title: str) -> Any:
    """A line for each workload: processor time a dot, wall time a ring, the target a bar."""
    rows = [
        (name, results.ratio(name, "cpu_ns", against), results.ratio(name, "wall_ns", against))
        for name in results.workloads
    ]
    rows = [row for row in rows if row[1] and row[2]]
    if not rows:
        return None
    figure, axes = _figure(8, 1.2 + 0.19 * len(rows))
    families = [results.workloads[name]["family"] for name, _, _ in rows]
    for y, (name, cpu, wall) in enumerate(rows):
        axes.plot([cpu, wall], [y, y], color="#d4d4d4", zorder=1)
        axes.plot(wall, y, "o", mfc="white", mec=_COLOURS["zarrc"], ms=5, label="" if y else "wall time")
        axes.plot(cpu, y, "o", color=_COLOURS["zarrc"], ms=5, label="" if y else "processor time")
        target = _target(name)
        if target is not None and LIMIT not in against:
            axes.plot(target, y, "|", color="black", ms=9, mew=1.5)
        if y and families[y] != families[y - 1]:
            axes.axhline(y - 0.5, color="#e5e5e5", lw=0.8, zorder=0)
    if LIMIT not in against:
        axes.plot([], [], "|", color="black", ms=9, mew=1.5, label="at most")
    axes.axvline(1, color="black", lw=0.8)
    axes.set_xscale("log")
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if _within(t, rows)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_title(f"{title} (left of 1: faster)", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _within(tick: float, rows: Sequence[tuple[str, Any, Any]]) -> bool:
    values: list[float] = [1.0, *(value for row in rows for value in row[1:])]
    return min(values) / 1.5 <= tick <= max(values) * 1.5


def _throughput(results: Results) -> Any:
    """Gigabytes a second (decoded, wall time) of reading and writing all, a bar a library."""
    names = [name for name, one in results.workloads.items() if one["family"] in ("read", "chunks", "write")]
    if not names:
        return None
    figure, axes = _figure(9, 3.6)
    libraries = results.libraries
    width = 0.8 / len(libraries)
    for i, library in enumerate(libraries):
        found = [results.median(name, library, "wall_ns") for name in names]
        heights = [
            results.workloads[name]["moved_nbytes"] / value if value else 0
            for name, value in zip(names, found, strict=True)
        ]
        places = [x + (i - (len(libraries) - 1) / 2) * width for x in range(len(names))]
        axes.bar(places, heights, width, label=library, color=_COLOURS[library])
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=20 if len(names) > 6 else 0)
    axes.set_ylabel("GB/s, wall time")
    axes.set_title("Reading and writing all of an array (higher is faster)", fontsize=10)
    axes.legend(fontsize=8, frameon=False, ncols=2)
    return figure


def _latency(results: Results) -> Any:
    """Time of small reads and of opening, a dot a library."""
    names = [name for name, one in results.workloads.items() if one["family"] in ("latency", "open")]
    if not names:
        return None
    figure, axes = _figure(8, 1.2 + 0.2 * len(names))
    for library in results.libraries:
        points = [(results.median(name, library, "wall_ns"), y) for y, name in enumerate(names)]
        known = [(value / 1e3, y) for value, y in points if value]
        if known:
            marker = "|" if library == LIMIT else "o"
            axes.plot(*zip(*known, strict=True), marker, color=_COLOURS[library], label=library, ms=6)
    axes.set_xscale("log")
    axes.grid(axis="x", color="#e5e5e5", lw=0.6)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("microseconds, wall time")
    axes.set_title("Small reads and opening (left is faster)", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure
