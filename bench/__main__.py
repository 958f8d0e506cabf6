"""The command: ``python -m bench``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from bench import compare as comparing
from bench import machine
from bench.libraries import LIBRARIES, available
from bench.results import Results
from bench.run import Options, run
from bench.workloads import SIZES, all_workloads, matches


def _full_fits() -> bool:
    """Whether memory allows for full size: data, stores and results of 2 GiB, several at a time."""
    return machine.memory_nbytes("MemAvailable") >= 12 << 30


def _interrupt(number: int, frame: object) -> None:
    """Stop measuring, once: further signals do not get in the way of cleaning up."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _libraries(text: str | None) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else tuple(LIBRARIES)
    for name in names:
        if name not in LIBRARIES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(LIBRARIES)}")
    missing = [name for name in names if not available(name)]
    if missing:
        click.echo(f"not installed, left out: {', '.join(missing)}", err=True)
    return tuple(name for name in names if name not in missing)


_COUNT = click.IntRange(1)
_PATH = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_COMPARE = "Say what got slower between two results.json; exit code 1 if anything did."


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}
)
@click.option("--only", multiple=True, metavar="PATTERN", help="Workloads by name: globs, e.g. 'read*'.")
@click.option("--libraries", metavar="A,B", help=f"Of {', '.join(LIBRARIES)}.  [default: all there are]")
@click.option("--size", type=click.Choice(SIZES), default="full", help="Of the arrays.")
@click.option("--rounds", type=_COUNT, default=5, help="Rounds in a run, at most.")
@click.option("--runs", type=_COUNT, default=1, help="Whole runs; medians of them count.")
@click.option("--budget", type=float, default=3.0, help="Seconds of rounds of a library in a workload.")
@click.option("--threads", type=_COUNT, help="Threads of every library.  [default: its own]")
@click.option("--directory", type=_PATH, help="Where the stores go.  [default: temporary, on the disk]")
@click.option("--output", type=_PATH, default=Path("build/bench"), help="Where the results go.")
@click.option("--docs", type=_PATH, help="Write benchmarks.md and its pictures there.")
@click.option("--report", "report_of", type=_FILE, help="Measure nothing, report on a results.json.")
@click.option("--compare", nargs=2, type=_FILE, metavar="OLD NEW", help=_COMPARE)
@click.option("--threshold", type=float, default=0.1, help="How much slower counts as slower.")
@click.option("--list", "list_only", is_flag=True, help="List the workloads.")
def main(
    only: tuple[str, ...],
    libraries: str | None,
    size: str,
    rounds: int,
    runs: int,
    budget: float,
    threads: int | None,
    directory: Path | None,
    output: Path,
    docs: Path | None,
    report_of: Path | None,
    compare: tuple[Path, Path] | None,
    threshold: float,
    list_only: bool,
) -> None:
    """Measure zarrc, other Zarr libraries and the machine's limit, side by side."""
    if compare:
        found = comparing.compare(*map(Results.load, compare), threshold=threshold)
        click.echo(comparing.text(found))
        sys.exit(1 if any(one.slower for one in found) else 0)
    if list_only:
        for workload in all_workloads(size).values():
            click.echo(f"{workload.name:32} {workload.title}")
        return
    if report_of:
        results = Results.load(report_of)
    else:
        if size == "full" and not _full_fits():
            click.echo("less than 12 GiB of memory are free: medium size", err=True)
            size = "medium"
        options = Options(
            libraries=_libraries(libraries),
            size=size,
            rounds=rounds,
            runs=runs,
            threads=threads,
            directory=directory,
            budget_seconds=budget,
        )
        # Ended from outside, it still removes its stores and reports what it has.
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        results = run(options, lambda name: matches(name, only), lambda text: click.echo(text, err=True))
        output.mkdir(parents=True, exist_ok=True)
        results.dump(output / "results.json")
    _write(results, output, docs)


def _write(results: Results, output: Path, docs: Path | None) -> None:
    from bench.plots import draw
    from bench.report import report

    output.mkdir(parents=True, exist_ok=True)
    pictures = draw(results, output)
    text = report(results, [picture.name for picture in pictures])
    (output / "report.md").write_text(text)
    click.echo(text)
    if docs:
        from bench.page import write_page

        write_page(results, docs)


if __name__ == "__main__":
    main()
