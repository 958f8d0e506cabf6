"""What zarrc's speed has to be: each row's limit, a multiple of the best Zarr peer's time in the same run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from bench.libraries import LIMIT, PEERS_AT_64
from bench.results import COUNTED, MEASURES, Measure, Results

# A row that misses by more than this counts against the release; so many rows of each part may miss by less.
MISS_AT_MOST = 0.15
MISSES_AT_MOST = {"speed": 4, "sharding": 1, "arrays": 1, "storage": 0}


@dataclass(frozen=True, kw_only=True)
class Target:
    """One row: all workloads that match must meet it, the worst is shown.

    `kind` says what is compared with `at_most`: the "ratio" to the best Zarr peer; "at-64", that to the best
    Zarr peer with 64 requests at once; "floor", the ratio to the limit; "seconds" of zarrc alone; "flat", the
    time per unit of the last workload that matches over that of the first; "bound", the peak memory or the
    allocations over the workload's bound; "inner", what one part of the task took over another; "own",
    zarrc's time over its own in the workload whose name has `instead` in the place of `of`.
    """

    title: str
    codec: str
    store: str
    patterns: tuple[str, ...]
    at_most: float
    kind: Literal["ratio", "floor", "at-64", "seconds", "flat", "bound", "inner", "own"] = "ratio"
    part: Literal["speed", "sharding", "arrays", "storage"] = "speed"
    of: str = ""
    instead: str = ""
    measures: tuple[Measure, ...] = MEASURES


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A target and what was found: for each measure the worst value and the workload that had it."""

    target: Target
    values: dict[Measure, tuple[float, str]]
    # Why there is no value, or a wrong result that makes the row fail.
    problem: str = ""

    @property
    def excess(self) -> float | None:
        """By how much the worse measure is over the limit (0.1: a tenth); negative where there is room."""
        if not self.values:
            return None
        return max(value for value, _ in self.values.values()) / self.target.at_most - 1

    @property
    def met(self) -> bool:
        return not self.problem and self.excess is not None and self.excess <= 0

    def verdict(self) -> str:
        if self.problem:
            return self.problem
        if self.excess is None:
            return "not measured"
        return "met" if self.met else f"missed by {self.excess:.0%}"


def _row(title: str, codec: str, store: str, at_most: float, *patterns: str) -> Target:
    return Target(title=title, codec=codec, store=store, patterns=patterns, at_most=at_most)


def _small(codec: str, store: str, at_most: float) -> Target:
    patterns = f"element/{codec}/{store}", f"slice/{codec}/{store}"
    return _row("one element, a 50x50 slice", codec, store, at_most, *patterns)


def _sharded(title: str, store: str, at_most: float, *patterns: str) -> Target:
    return Target(
        title=f"sharded: {title}",
        codec="zstd",
        store=store,
        patterns=patterns,
        at_most=at_most,
        part="sharding",
    )


def _arrays(title: str, codec: str, at_most: float, *patterns: str, **more: Any) -> Target:
    return Target(
        title=title, codec=codec, store="local", patterns=patterns, at_most=at_most, part="arrays", **more
    )


def _picked(codec: str) -> tuple[Target, ...]:
    """Selections: what the compressor costs is in both, so each codec is a row of its own."""
    steps = f"step-2/{codec}", f"step-last/{codec}", f"step-7/{codec}"
    return (
        _arrays("10⁴ points", codec, 0.65, f"points/{codec}/10000"),
        _arrays("500 x 500 orthogonal", codec, 0.65, f"orthogonal/{codec}"),
        _arrays("strided", codec, 0.65, *steps),
        _arrays("mask of a tenth", codec, 0.5, f"mask/{codec}/*"),
        _arrays("10⁶ points", codec, 0.5, f"points/{codec}/1000000"),
        _arrays("a row again, from the cache", codec, 0.05, f"again/{codec}"),
    )


def _remote(title: str, pattern: str) -> tuple[Target, ...]:
    """At servers 30 ms away: only wall time counts, and what peers do with 64 requests at once is shown."""
    kinds: tuple[tuple[str, Literal["ratio", "floor", "at-64"], float], ...] = (
        ("", "ratio", 0.8),
        (", of peers at 64 requests", "at-64", 1.0),
        (", of the floor and the codec", "floor", 1.2),
    )
    return tuple(
        Target(
            title=f"30 ms away: {title}{more}",
            codec="zstd",
            store="HTTP, Google",
            patterns=(pattern,),
            at_most=at_most,
            kind=kind,
            part="storage",
            measures=("wall_ns",),
        )
        for more, kind, at_most in kinds
    )


TARGETS: tuple[Target, ...] = (
    _row("read all", "none", "local", 0.6, "read/none/*"),
    _row("read all", "zstd", "local", 0.85, "read/zstd/*"),
    _row("read chunk by chunk", "none", "local", 1.0, "chunks/none/*"),
    _row("read chunk by chunk", "zstd", "local", 0.95, "chunks/zstd/*"),
    _row("write all", "none", "local", 1.05, "write/none/*"),
    _row("write all", "zstd", "local", 1.05, "write/zstd/*"),
    _row("copy to the same layout", "any", "local, memory", 0.3, "copy/*"),
    _small("none", "memory", 0.15),
    _small("none", "local", 0.25),
    _small("blosc-lz4", "memory", 0.25),
    _small("blosc-lz4", "local", 0.3),
    _small("zstd", "memory", 1.0),
    _small("zstd", "local", 0.9),
    _row("all 16 chunks", "none, blosc-lz4", "both", 0.4, "chunks-16/none/*", "chunks-16/blosc-lz4/*"),
    _row("all 16 chunks", "zstd", "both", 1.0, "chunks-16/zstd/*"),
    _row("open and look at the metadata", "", "local", 0.4, "open/*"),
    Target(
        title="import above `import numpy`, seconds",
        codec="",
        store="",
        patterns=("import/ready",),
        at_most=0.02,
        kind="seconds",
    ),
    _row("decode", "gzip-6", "memory", 0.45, "decode/gzip-6"),
    _row("decode", "zstd", "memory", 0.75, "decode/zstd"),
    _row("decode", "lz4", "memory", 0.6, "decode/lz4"),
    _row("decode", "blosc-lz4", "memory", 0.45, "decode/blosc-lz4"),
    _row("decode", "blosc-zstd-bitshuffle", "memory", 0.6, "decode/blosc-zstd-bitshuffle"),
    _row("encode", "gzip-6", "memory", 0.6, "encode/gzip-6"),
    _row("encode", "zstd, lz4, blosc", "memory", 1.0, "encode/zstd", "encode/lz4", "encode/blosc-*"),
    _row("encode", "bitround", "memory", 0.5, "encode/bitround"),
    _row("both ways", "transpose, crc32c", "memory", 0.5, "*code/transpose", "*code/crc32c"),
    _row("10⁵ chunks of 64 bytes", "none", "memory", 0.2, "tiny-*/100000"),
    Target(
        title="per chunk, 10⁶ over 10⁴ chunks: read",
        codec="none",
        store="memory",
        patterns=("tiny-read/10000", "tiny-read/1000000"),
        at_most=1.5,
        kind="flat",
    ),
    Target(
        title="per chunk, 10⁶ over 10⁴ chunks: write",
        codec="none",
        store="memory",
        patterns=("tiny-write/10000", "tiny-write/1000000"),
        at_most=1.5,
        kind="flat",
    ),
    Target(
        title="peak memory, of the bound",
        codec="none, zstd",
        store="local",
        patterns=("peak/*",),
        at_most=1.0,
        kind="bound",
    ),
    _sharded("read all", "local", 0.55, "shard-read/*"),
    _sharded("inner chunk by inner chunk", "local", 0.45, "shard-chunks/float32/*"),
    _sharded("one of 2,000 random inner chunks", "both", 0.5, "shard-random/*"),
    _sharded("write all", "local", 0.95, "shard-write/*"),
    _sharded("update one inner chunk, rewriting", "local", 0.4, "shard-update/rewrite/local"),
    _sharded("update one inner chunk, appending", "local", 0.1, "shard-update/append/*"),
    _sharded("read all, 32x32 inner chunks", "local", 0.5, "shard-small/*"),
    Target(
        title="sharded: peak memory, of the bound",
        codec="zstd",
        store="local",
        patterns=("shard-peak/*",),
        at_most=1.0,
        kind="bound",
        part="sharding",
    ),
    *_picked("none"),
    *_picked("blosc-lz4"),
    *_picked("zstd"),
    _arrays("10⁶ points: allocations, of the bound", "none", 1.0, "allocations/points/*", kind="bound"),
    _arrays(
        "lazy view, of the direct read",
        "none, zstd",
        1.1,
        "view/*",
        kind="inner",
    ),
    _arrays(
        "map_chunks: 2 workers, of 1",
        "zstd",
        1 / 1.7,
        "map/2",
        kind="own",
        of="map/2",
        instead="map/1",
        measures=("wall_ns",),
    ),
    *(
        _arrays(f"10⁴ appends: last 1000 over first, {title}", "none", 1.1, f"append/{which}", kind="inner")
        for which, title in (("aligned", "whole chunks"), ("across", "across chunks"))
    ),
    *_remote("read 256 chunks", "remote-read/256*"),
    *_remote("read 1,000 inner chunks of 4 shards", "remote-read/sharded/*"),
    *_remote("write 256 chunks", "remote-write/256/*"),
)


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def judge(results: Results, target: Target) -> Judged:
    names = matching(results.workloads, target.patterns)
    problem = ""
    for name in names:
        outcome = results.outcome(name, "zarrc")
        for kind in ("wrong", "cannot"):
            if kind in outcome:
                problem = f"{name} {kind}: {outcome[kind]}"
    values: dict[Measure, tuple[float, str]] = {}
    for measure in COUNTED.values() if target.kind == "bound" else target.measures:
        found = _values(results, target, names, measure)
        if found:
            values[measure] = max(found)
    return Judged(target=target, values=values, problem=problem)


def _values(
    results: Results, target: Target, names: Sequence[str], measure: Measure
) -> list[tuple[float, str]]:
    if target.kind == "flat":
        if len(names) < 2:
            return []
        first, last = (results.per_unit(name, "zarrc", measure) for name in (names[0], names[-1]))
        return [(last / first, names[-1])] if first and last else []
    found = []
    for name in names:
        if target.kind == "ratio":
            value = results.ratio(name, measure)
        elif target.kind == "floor":
            value = results.ratio(name, measure, against=(LIMIT,))
        elif target.kind == "at-64":
            value = results.ratio(name, measure, against=PEERS_AT_64)
        elif target.kind == "inner":
            value = results.inner_ratio(name, "zarrc", measure)
        elif target.kind == "own":
            other = name.replace(target.of, target.instead)
            mine, direct = (results.median(one, "zarrc", measure) for one in (name, other))
            value = mine / direct if mine and direct else None
        else:
            mine = results.median(name, "zarrc", measure)
            whole = 1e9 if target.kind == "seconds" else results.workloads[name]["bound"]
            value = None if mine is None else mine / whole
        if value is not None:
            found.append((value, name))
    return found


def judge_all(results: Results) -> list[Judged]:
    """All rows of which at least one workload was run."""
    judged = [judge(results, target) for target in TARGETS]
    return [one for one in judged if matching(results.workloads, one.target.patterns)]


def verdict(judged: Sequence[Judged]) -> str:
    """One sentence over all rows."""
    missed = [one for one in judged if not one.met]
    far = [one for one in missed if one.problem or one.excess is None or one.excess > MISS_AT_MOST]
    text = f"{len(judged) - len(missed)} of {len(judged)} rows are met"
    if missed:
        text += f"; {len(missed)} missed, {len(far)} of them by more than {MISS_AT_MOST:.0%} or not measured"
    counts = Counter(one.target.part for one in missed)
    allowed = not far and all(counts[part] <= n for part, n in MISSES_AT_MOST.items())
    return text + (" (allowed)." if missed and allowed else ".")
