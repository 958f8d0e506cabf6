"""What a workload is, and the place where it runs."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, flat, read_file, stored_chunks, write_file
from bench.fields import map_field
from bench.libraries.base import Cannot, Library

TMPFS = Path("/dev/shm")
SIZES = ("small", "medium", "full")


class Wrong(Exception):
    """A workload's result is not what it has to be: its time counts for nothing."""


@dataclass
class Task:
    """A workload, ready to run with one library.

    `call` is what is timed, and nothing else is. `before` runs ahead of each call, `check` reads the result
    of the last one (after the first, too) and raises `Wrong`.
    """

    call: Callable[[], Any]
    check: Callable[[Any], None]
    before: Callable[[], None] | None = None
    close: Callable[[], None] = lambda: None
    # Whether to check after every round, or (where it costs much) after the first call only.
    check_once: bool = False
    note: str = ""
    # What else is known of it, for the report: e.g. "stored_nbytes".
    facts: dict[str, Any] = field(default_factory=dict)


class Place:
    """Where a child process finds and leaves things."""

    def __init__(self, directory: Path, name: str, threads: int | None) -> None:
        self.directory = directory
        self.threads = threads
        self.own = directory / "own" / f"{name}-{os.getpid()}"
        self._counter = itertools.count()
        self._on_tmpfs: list[Path] = []
        self._fields: dict[str, np.ndarray] = {}

    @staticmethod
    def field_path(directory: Path, spec: ArraySpec) -> Path:
        return directory / "fields" / f"{spec.field_name}.npy"

    @staticmethod
    def source_path(directory: Path, spec: ArraySpec) -> Path:
        return directory / "sources" / spec.name

    def field(self, spec: ArraySpec) -> np.ndarray:
        """The values of ``spec``, mapped read-only."""
        if spec.field_name not in self._fields:
            self._fields = {spec.field_name: map_field(self.field_path(self.directory, spec))}
        return self._fields[spec.field_name]

    def source(self, spec: ArraySpec, library: Library | None = None) -> Path:
        """The stored array that all libraries read; one that has a format of its own writes it first."""
        path = self.source_path(self.directory, spec)
        if library is not None and not library.reads_zarr:
            path = self.own / path.name
            if not any(self.own.glob(f"{path.name}*")):
                self.own.mkdir(parents=True, exist_ok=True)
                array = library.create(library.local(path), spec)
                library.writer(array, ..., self.field(spec))()
                library.close(array)
        return path

    def fresh(self, spec: ArraySpec) -> Path:
        """A path where nothing is."""
        self.own.mkdir(parents=True, exist_ok=True)
        return self.own / f"fresh-{next(self._counter)}"

    def forget(self, path: Path | None) -> None:
        """Remove what is at ``path`` and let nothing of it reach the disk later."""
        if path is not None:
            for one in (path, path.with_name(path.name + ".h5")):
                if one.is_dir():
                    shutil.rmtree(one)
                with contextlib.suppress(FileNotFoundError):
                    one.unlink()
        os.sync()

    def in_memory(self, library: Library) -> tuple[Any, str]:
        """A new location in memory, and a note where it is a directory on tmpfs."""
        try:
            return library.memory(), ""
        except Cannot:
            if not os.access(TMPFS, os.W_OK):
                raise
            path = TMPFS / f"{self.directory.name}-{self.own.name}-{next(self._counter)}"
            self._on_tmpfs.append(path)
            return library.local(path), "files on tmpfs"

    def forget_memory(self) -> None:
        """Remove what stood for memory."""
        while self._on_tmpfs:
            shutil.rmtree(self._on_tmpfs.pop(), ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One row of the tables."""

    name: str
    family: str
    title: str
    # The array it works on.
    spec: ArraySpec
    # "task": a `Task`, run in the library's long-lived process; "import", "peak" and "allocations": fresh
    # processes, for the time of an import, the peak memory and the allocations of one call.
    kind: str = "task"
    # What times are divided by, and what one of them is called.
    units: int = 1
    unit: str = ""
    # The libraries that it is for; None: all.
    libraries: tuple[str, ...] | None = None
    threads: int | None = None
    limit_is: str = ""
    # Whether the array is read from `Place.source`.
    has_source: bool = True

    @property
    def moved_nbytes(self) -> int:
        """The bytes that it reads or writes, decoded; 0 where it is about something else."""
        return 0

    def prepare(self, library: Library, place: Place) -> Task:
        """Return what is run; only for workloads that are tasks."""
        raise Cannot(f"a workload of kind {self.kind!r} is no task")

    def bound(self, threads: int) -> int:
        """The bytes of memory that it may need at most, or the allocations; only where these are counted."""
        raise Cannot(f"a workload of kind {self.kind!r} has no bound")

    def limit(self, place: Place) -> Task:
        raise Cannot("no limit is defined")


class Clocked:
    """A function, and the time that its calls took: for parts of one task that are compared, taking turns."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.forget()

    def forget(self) -> None:
        self.cpu_ns = self.wall_ns = 0

    def __call__(self, *arguments: Any) -> Any:
        cpu, wall = process_time_ns(), perf_counter_ns()
        result = self.function(*arguments)
        self.wall_ns += perf_counter_ns() - wall
        self.cpu_ns += process_time_ns() - cpu
        return result

    def over(self, other: Clocked) -> dict[str, float]:
        """What this took over what ``other`` took, for the fact "inner_ratio"."""
        return {
            "cpu_ns": self.cpu_ns / max(1, other.cpu_ns),
            "wall_ns": self.wall_ns / max(1, other.wall_ns),
        }


def equal_to(expected: np.ndarray) -> Callable[[Any], None]:
    """Return a check that a result has the values and the data type of ``expected``."""

    def check(result: Any) -> None:
        found = np.asarray(result)
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise Wrong(f"got {found.dtype} {found.shape}, not {expected.dtype} {expected.shape}")
        if not same(found, expected):
            raise Wrong("values differ from what was stored")

    return check


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays of one shape are equal, without a temporary of their size."""
    if one.ndim == 0 or one.size == 0:
        return bool(np.array_equal(one, other))
    rows = max(1, (1 << 24) * len(one) // one.nbytes)
    slabs = (slice(start, start + rows) for start in range(0, len(one), rows))
    return all(np.array_equal(one[slab], other[slab]) for slab in slabs)


def unchecked(result: Any) -> None:
    """For limits: nobody's claim is at stake."""


def stored_nbytes(path: Path) -> int:
    files = [path.with_name(path.name + ".h5")]
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if file.exists())


def write_task(
    library: Library, place: Place, spec: ArraySpec, *, memory: bool, expected: np.ndarray | None = None
) -> Task:
    """Return the task of writing all of an array, a new one for each call."""
    data = place.field(spec)
    values = data if expected is None else expected
    now: dict[str, Any] = {"path": None, "location": None, "array": None}
    facts: dict[str, Any] = {"data_nbytes": spec.nbytes}

    def forget() -> None:
        if now["array"] is not None:
            library.close(now["array"])
        if memory:
            place.forget_memory()
        else:
            place.forget(now["path"])
        now.update(path=None, location=None, array=None)

    def before() -> None:
        forget()
        if memory:
            now["location"], task.note = place.in_memory(library)
        else:
            now["path"] = place.fresh(spec)
            now["location"] = library.local(now["path"])
        now["array"] = library.create(now["location"], spec)
        now["write"] = library.writer(now["array"], ..., data)

    def check(_: Any) -> None:
        if not memory:
            facts["stored_nbytes"] = stored_nbytes(now["path"])
            library.close(now["array"])
        array = library.open(now["location"])
        equal_to(values)(library.reader(array, ...)())
        now["array"] = array

    def call() -> None:
        now["write"]()

    task = Task(call, check, before, forget, check_once=True, facts=facts)
    return task


def read_limit(place: Place, spec: ArraySpec, decode: Callable[..., None] | None) -> Task:
    """Return the bare task of reading the files of an array, ``decode`` on the way.

    They go to memory that is there: a library may keep what it needs, and then has no fresh pages to zero.
    """
    files = stored_chunks(place.source(spec))
    sizes = [os.path.getsize(file) for file in files]
    threads = Threads(place.threads)
    out = aligned(spec.nbytes)
    step = spec.chunk_nbytes
    outs = [out[i * step : (i + 1) * step] for i in range(len(files))]
    largest = max(sizes)
    local = threading.local()

    def one(file: str, nbytes: int, out: np.ndarray) -> None:
        if decode is None:
            read_file(file, out)
            return
        if not hasattr(local, "scratch"):
            local.scratch = aligned(largest)
        scratch = local.scratch[:nbytes]
        read_file(file, scratch)
        decode(scratch, out)

    return Task(lambda: threads.map(one, files, sizes, outs), unchecked, close=threads.close)


def write_limit(place: Place, spec: ArraySpec, encode: Callable[..., int] | None) -> Task:
    """Return the bare task of writing as many files as an array has chunks, ``encode`` on the way."""
    data = flat(place.field(spec))
    threads = Threads(place.threads)
    local = threading.local()
    now: dict[str, Any] = {"path": None}

    def before() -> None:
        place.forget(now["path"])
        now["path"] = place.fresh(spec)
        now["path"].mkdir()

    def one(i: int) -> None:
        chunk: np.ndarray = data[i * spec.chunk_nbytes : (i + 1) * spec.chunk_nbytes]
        if encode is not None:
            if not hasattr(local, "scratch"):
                local.scratch = aligned(spec.encoded_bound())
            chunk = local.scratch[: encode(chunk, local.scratch)]
        write_file(str(now["path"] / str(i)), chunk)

    def close() -> None:
        place.forget(now["path"])
        threads.close()

    return Task(lambda: threads.map(one, range(spec.n_chunks)), unchecked, before, close)


def by_size(size: str, small: Any, medium: Any, full: Any) -> Any:
    return {"small": small, "medium": medium, "full": full}[size]


def chunk_of(spec: ArraySpec, data: np.ndarray, index: int) -> np.ndarray:
    """Chunk ``index`` of ``data`` as contiguous bytes."""
    region = next(itertools.islice(spec.regions(), index, None))
    return np.ascontiguousarray(data[region])
