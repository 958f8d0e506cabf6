"""The results as Markdown: what had to be shown, how far the limit is, and everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.libraries import LIMIT, ZARR_PEERS
from bench.remarks import remark
from bench.results import COUNTED, MEASURES, Measure, Results
from bench.targets import judge_all, verdict

_FAMILIES = {
    "read": "Read all",
    "chunks": "Read chunk by chunk",
    "write": "Write all",
    "copy": "Copy to the same layout",
    "threads": "Threads",
    "latency": "Small reads",
    "open": "Open",
    "import": "Import",
    "decode": "Decode",
    "encode": "Encode",
    "tiny": "Many tiny chunks",
    "strided": "Strided and transposed reads",
    "lines": "Rows and columns",
    "picked": "Points, lists and masks",
    "allocations": "Allocations",
    "views": "Lazy views",
    "caching": "The same row again",
    "map": "A function of each chunk",
    "append": "Appends",
    "sharded": "Sharded arrays",
    "peak": "Peak memory",
    "shard-peak": "Peak memory of sharded arrays",
    "remote": "At servers 30 ms away",
}

# What is compared within a task of a family.
_INNER = {"append": "the last appends over the first", "views": "the view over the direct read"}

_HOW = """\
Times are processor time (user and system, all threads) and, behind the slash, wall time; medians. Ratios are
zarrc's time over that of the best Zarr peer ({peers}) in the same run: below 1 zarrc is faster. h5py, which
has a format of its own, and the limit are shown beside them."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others numbers."""
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def time_text(nanoseconds: float | None) -> str:
    """A time with three digits and its unit."""
    if nanoseconds is None:
        return "-"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def size_text(nbytes: float | None) -> str:
    return "-" if nbytes is None else f"{nbytes / 2**20:.0f} MiB"


def _count_text(kind: str, value: float | None) -> str:
    return size_text(value) if kind == "peak" else "-" if value is None else f"{value:.0f}"


def ratio_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def cell(results: Results, workload: str, library: str) -> str:
    """Processor time and, behind a slash, wall time; or why there is none."""
    outcome = results.outcome(workload, library)
    if "wrong" in outcome:
        return f"WRONG: {outcome['wrong']}"
    if "cannot" in outcome:
        return "cannot"
    kind = results.workloads[workload]["kind"]
    if kind in COUNTED:
        return _count_text(kind, results.median(workload, library, COUNTED[kind]))
    cpu = results.per_unit(workload, library, "cpu_ns")
    wall = results.per_unit(workload, library, "wall_ns")
    return f"{time_text(cpu)} / {time_text(wall)}" + ("*" if outcome.get("note") else "")


def _runs(results: Results) -> str:
    n_runs, n_workloads, n_last = len(results.runs), len(results.workloads), len(results.runs[-1])
    text = f"{n_runs} run{'s' * (n_runs != 1)} of up to {results.head['rounds']} rounds"
    if n_last < n_workloads:
        text += f" (the last was ended after {n_last} of {n_workloads} workloads)"
    return text


def heading(results: Results) -> str:
    head = results.head
    machine = head["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    memory = machine["memory_nbytes"] / 2**30
    what = [
        [
            head["date"][:10],
            f"commit {head['commit']}",
            f"size `{head['size']}`",
            _runs(results),
        ],
        [
            machine["processor"],
            f"{machine['cpus']} CPUs",
            f"{memory:.0f} GiB",
            machine["system"],
            machine["file_system"],
            f"huge pages: {machine['huge_pages'] or 'unknown'}",
            f"load before the run: {machine['load']}",
        ],
        [versions],
        [f"zarrc measured: {head['zarrc']}"],
    ]
    return "\n".join("- " + ", ".join(line) for line in what)


def must_show(results: Results) -> str:
    rows = []
    judged = judge_all(results)
    for one in judged:
        texts = []
        for measure in ("cpu_ns", "wall_ns"):
            counted = (one.values[m] for m in COUNTED.values() if m in one.values)
            value = one.values.get(measure) or next(counted, None)
            texts.append("-" if value is None else f"{value[0]:.3g}")
        at_most = f"{one.target.at_most:g}"
        rows.append([one.target.title, one.target.codec, one.target.store, at_most, *texts, one.verdict()])
    header = ["workload", "codec", "store", "at most", "processor time", "wall time", ""]
    return verdict(judged) + "\n\n" + table(header, rows)


def against_the_limit(results: Results) -> str:
    rows = []
    for name, workload in results.workloads.items():
        cpu = results.ratio(name, "cpu_ns", against=(LIMIT,))
        wall = results.ratio(name, "wall_ns", against=(LIMIT,))
        if cpu is None:
            continue
        limit = time_text(results.per_unit(name, LIMIT, "cpu_ns"))
        mine = time_text(results.per_unit(name, "zarrc", "cpu_ns"))
        rows.append(
            [name, limit, mine, ratio_text(cpu), ratio_text(wall), workload["limit_is"], remark(name)]
        )
    header = ["workload", "limit", "zarrc", "ratio", "ratio, wall", "the limit is", "what is left"]
    return table(header, rows)


def everything(results: Results) -> str:
    parts = []
    for family, title in _FAMILIES.items():
        names = [name for name, one in results.workloads.items() if one["family"] == family]
        if names:
            parts += [f"### {title}", "", _family(results, names), ""]
            parts += _speedups(results, names) if family in ("threads", "map") else []
            if family in _INNER:
                parts += _inner(results, names, _INNER[family])
            parts += _notes(results, names)
    return "\n".join(parts).rstrip()


def _family(results: Results, names: Sequence[str]) -> str:
    kind = results.workloads[names[0]]["kind"]
    # Those that were asked, of any of the rows.
    asked = {library for run in results.runs for name in names for library in run.get(name, {})}
    libraries = [library for library in results.libraries if library in asked]
    rows = []
    for name in names:
        row = [name, *(cell(results, name, library) for library in libraries)]
        measures: tuple[Measure, ...] = (COUNTED[kind],) if kind in COUNTED else MEASURES
        row += [ratio_text(results.ratio(name, measure)) for measure in measures]
        if kind in COUNTED:
            row.append(_count_text(kind, results.workloads[name]["bound"]))
        rows.append(row)
    ends = ["to best peer", "bound"] if kind in COUNTED else ["cpu ratio", "wall ratio"]
    return table(["workload", *libraries, *ends], rows)


def _speedups(results: Results, names: Sequence[str]) -> list[str]:
    """How much faster two threads are than one."""
    rows = []
    for name in names:
        one, _, threads = name.rpartition("/")
        if threads != "2" or f"{one}/1" not in names:
            continue
        row = [one]
        for library in results.libraries:
            alone = results.median(f"{one}/1", library, "wall_ns")
            both = results.median(name, library, "wall_ns")
            row.append(f"{alone / both:.2f}" if alone and both else "-")
        rows.append(row)
    return [table(["wall time of 1 thread over 2", *results.libraries], rows), ""] if rows else []


def _inner(results: Results, names: Sequence[str], title: str) -> list[str]:
    """What one part of each task took over another."""
    rows = []
    for name in names:
        row = [name]
        for library in results.libraries:
            found = [results.inner_ratio(name, library, measure) for measure in MEASURES]
            row.append(" / ".join(f"{one:.2f}" for one in found if one is not None) or "-")
        rows.append(row)
    return [table([title, *results.libraries], rows), ""]


def _notes(results: Results, names: Sequence[str]) -> list[str]:
    """What the rows of a family are, and what could not be measured, and why."""
    lines = [f"- {name}: {results.workloads[name]['title']}" for name in names]
    reasons: dict[tuple[str, str], list[str]] = {}
    for library in results.libraries:
        for name in names:
            outcome = results.outcome(name, library)
            for text in (outcome.get("cannot"), outcome.get("note")):
                if text and text != "not run":
                    reasons.setdefault((library, text), []).append(name)
    for (library, text), where in reasons.items():
        lines.append(f"- {library}, {', '.join(where)}: {text}")
    return [*lines, ""]


def report(results: Results, pictures: Sequence[str] = ()) -> str:
    """The whole report; ``pictures`` are links."""
    peers = ", ".join(peer for peer in ZARR_PEERS if peer in results.libraries)
    parts = [
        heading(results),
        "",
        _HOW.format(peers=peers),
        "",
        *(f"![{path.rpartition('/')[2].removesuffix('.png')}]({path})" for path in pictures),
        "",
        "## What has to be shown",
        "",
        must_show(results),
        "",
        "## Against the limit",
        "",
        against_the_limit(results),
        "",
        "## All workloads",
        "",
        everything(results),
    ]
    return "\n".join(parts) + "\n"
