"""The page of the documentation that shows the last full run."""

from __future__ import annotations

from pathlib import Path

from bench.plots import draw
from bench.report import report
from bench.results import Results

_INTRODUCTION = """\
# Benchmarks

The last full run of the benchmark program, as it wrote this page itself: zarrc beside zarr-python (its
default codec pipeline, its `FusedCodecPipeline`, and the pipeline of zarrs), tensorstore, h5py, and the
limit, which is what the machine allows: copies, system calls and compressors with nothing around them.
The numbers are in [results.json](benchmarks/results.json).

    make bench          # everything, on your machine
    make bench BENCH="--size small --only 'read*'"
    make bench-docs     # this page again

`python -m bench --help` tells the options; `--compare OLD NEW` says what got slower between two results.

How it is measured: one process for each library; they take turns in every round, in an order that
rotates. All read the same files, written by zarr-python; in memory each has its own copy. The data is
smooth with a little noise. Every library has its default number of threads. Files are in the page cache;
what is written goes to a new directory, which is removed before much of it reaches the disk. Each result
is compared with what it has to be, outside the timing. What appending to shards leaves behind is taken away
ahead of each call. tensorstore does not wait for the disk
(`file_io_sync` is off), and may use the caller's memory while it writes files
(`can_reference_source_data_indefinitely`). Points, lists and masks go to each library in the way that is
fastest there: tensorstore's `vindex` and `oindex`, zarr-python's `vindex`, `oindex` and the coordinates of a
mask; what it costs to read all and let NumPy pick is a row of its own (`by-hand/...`). Peers have no cache of
decoded chunks, as they are commonly opened, but in the rows `again-cached/...`. Allocations are calls of the
interpreter's allocators. Where zarrc maps a function over chunks, peers do it by a pool of threads. Imports
are timed without NumPy's BLAS threads, which spin meanwhile.

## The run

"""


def write_page(results: Results, docs: Path) -> Path:
    """Write benchmarks.md and the folder benchmarks/ in ``docs``."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    results.dump(folder / "results.json")
    pictures = [f"benchmarks/{path.name}" for path in draw(results, folder)]
    page = docs / "benchmarks.md"
    page.write_text(_INTRODUCTION + report(results, pictures))
    return page
