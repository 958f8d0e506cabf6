"""Reads that are not boxes of whole chunks: steps, rows, points, lists, masks, views of views."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.bare import Threads, aligned, bare, flat, read_file, stored_chunks
from bench.libraries.base import Library, Step
from bench.workloads.base import Clocked, Place, Task, Workload, by_size, equal_to, unchecked

CODECS = ("none", "blosc-lz4", "zstd")
_SEED = 20260101
_STEPS: dict[str, tuple[str, Any]] = {
    "step-2": ("[::2, ::2, ::2]", (slice(None, None, 2),) * 3),
    "step-last": ("[:, :, ::4]", (slice(None), slice(None), slice(None, None, 4))),
    "reversed": ("[::-1, :, ::-1]", (slice(None, None, -1), slice(None), slice(None, None, -1))),
}


@dataclass(frozen=True, kw_only=True)
class Selected(Workload):
    selection: Any

    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec)[self.selection]
        return Task(
            library.reader(array, self.selection), equal_to(expected), close=lambda: library.close(array)
        )

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: np.ascontiguousarray(data[self.selection]), unchecked)


@dataclass(frozen=True, kw_only=True)
class Transposed(Workload):
    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec).T

        def check(result: Any) -> None:
            equal_to(expected)(result)

        return Task(library.transposed_reader(array), check, close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        data = place.field(self.spec)
        return Task(lambda: np.ascontiguousarray(data.T), unchecked)


@dataclass(frozen=True, kw_only=True)
class Line(Selected):
    """A row or a column: a little of each of many chunks."""

    def limit(self, place: Place) -> Task:
        spec = self.spec
        files = stored_chunks(place.source(spec))[: spec.grid[0]]
        codec = bare(spec)
        chunk = flat(np.empty(spec.chunks, spec.dtype))
        scratch = np.empty(spec.encoded_bound(), np.uint8)
        nbytes = spec.chunks[1] * np.dtype(spec.dtype).itemsize
        is_column = isinstance(self.selection[1], int)

        def call() -> np.ndarray:
            out = np.empty(nbytes * len(files), np.uint8)
            for i, file in enumerate(files):
                if spec.codec == "none" and not is_column:
                    read_file(file, out[i * nbytes : (i + 1) * nbytes])
                elif spec.codec == "none":
                    read_file(file, chunk)
                else:
                    codec.decode(scratch[: read_file(file, scratch)], chunk)
            return out

        return Task(call, unchecked)


def all_chunks(place: Place, spec: ArraySpec) -> Task:
    """Return the bare task of reading and decoding every chunk, and doing nothing with it."""
    files = stored_chunks(place.source(spec))
    threads, decode, local = Threads(place.threads), bare(spec).decode, threading.local()

    def one(file: str) -> None:
        if not hasattr(local, "scratch"):
            local.scratch, local.out = aligned(spec.encoded_bound()), aligned(spec.chunk_nbytes)
        nbytes = read_file(file, local.scratch)
        if spec.codec != "none":
            decode(local.scratch[:nbytes], local.out)

    return Task(lambda: threads.map(one, files), unchecked, close=threads.close)


@dataclass(frozen=True, kw_only=True)
class Picked(Workload):
    """Points, lists along the axes or a mask: `select` makes the arrays, `way` names the library's reader."""

    way: str
    select: Callable[[ArraySpec, np.ndarray], Any]

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        selection = self.select(self.spec, data)
        array = library.open(library.local(place.source(self.spec, library)))
        read = getattr(library, f"{self.way}_reader")(array, selection)
        expected = data[np.ix_(*selection)] if self.way == "orthogonal" else data[selection]
        return Task(read, equal_to(expected), close=lambda: library.close(array))

    def limit(self, place: Place) -> Task:
        return all_chunks(place, self.spec)


@dataclass(frozen=True, kw_only=True)
class PickedOfAll(Picked):
    """The same by hand: all is read, and NumPy picks."""

    def prepare(self, library: Library, place: Place) -> Task:
        data = place.field(self.spec)
        selection = self.select(self.spec, data)
        array = library.open(library.local(place.source(self.spec, library)))
        read = library.reader(array, ...)
        return Task(
            lambda: np.asarray(read())[selection],
            equal_to(data[selection]),
            close=lambda: library.close(array),
        )


@dataclass(frozen=True, kw_only=True)
class Allocations(Workload):
    """How often the interpreter's allocator is asked for memory in one call of `of`."""

    of: Picked
    most: int

    def bound(self, threads: int) -> int:
        """A few for each chunk and for the call: none for each point."""
        del threads
        return self.most

    def first(self, library: Library, place: Place) -> Callable[[], Callable[[], Any]]:
        task = self.of.prepare(library, place)
        task.call()  # what is imported and kept at the first call does not count
        return lambda: task.call


@dataclass(frozen=True, kw_only=True)
class Composed(Workload):
    """A view of a view of a view, then read; or, `direct`, the one read that gives the same.

    Each read of a view comes after a direct read, which is not in its time; the fact "inner_ratio" is the
    time of all the views over that of all the direct reads.
    """

    steps: tuple[Step, ...]
    selection: Any
    transposed: bool = False
    direct: bool = False

    def prepare(self, library: Library, place: Place) -> Task:
        array = library.open(library.local(place.source(self.spec, library)))
        expected = place.field(self.spec)
        for step in self.steps:
            expected = expected.T if step == "T" else expected[step]
        check, close = equal_to(expected), lambda: library.close(array)
        if self.direct:
            return Task(library.direct_reader(array, self.selection, self.transposed), check, close=close)
        view = Clocked(library.lazy_reader(array, self.steps))
        direct = Clocked(library.direct_reader(array, self.selection, self.transposed))
        facts: dict[str, Any] = {}

        def before() -> None:
            # The first read after another library's turn pays for what that has put into the caches; and what
            # comes ahead of the view, a collection of garbage, comes ahead of both.
            direct.function()
            gc.collect()
            direct()

        def call() -> Any:
            result = view()
            facts["inner_ratio"] = view.over(direct)
            return result

        view()
        direct()
        view.forget()
        direct.forget()
        return Task(call, check, before, close, facts=facts)

    def limit(self, place: Place) -> Task:
        return all_chunks(place, self.spec)


def _points(n: int) -> Callable[[ArraySpec, np.ndarray], tuple[np.ndarray, ...]]:
    def select(spec: ArraySpec, _: np.ndarray) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng(_SEED)
        return tuple(random.integers(0, extent, n) for extent in spec.shape)

    return select


def _lists(n: int) -> Callable[[ArraySpec, np.ndarray], tuple[np.ndarray, ...]]:
    def select(spec: ArraySpec, _: np.ndarray) -> tuple[np.ndarray, ...]:
        random = np.random.default_rng(_SEED)
        return tuple(np.sort(random.choice(extent, n, replace=False)) for extent in spec.shape)

    return select


def _above_threshold(_: ArraySpec, data: np.ndarray) -> np.ndarray:
    """The highest tenth of the values: regions with ragged edges."""
    return data > np.quantile(data[::16, ::16], 0.9)


def _spread(spec: ArraySpec, _: np.ndarray) -> np.ndarray:
    """A tenth of all elements, without any pattern: most chunks' rows have some."""
    return np.random.default_rng(_SEED).random(spec.shape, np.float32) < 0.1


def workloads(size: str) -> Iterator[Workload]:
    yield from _strided(size)
    yield from _lines(size)
    yield from _picked(size)
    yield from _composed(size)


def _strided(size: str) -> Iterator[Workload]:
    n, c = by_size(size, 64, 256, 256), by_size(size, 32, 64, 64)
    for codec in CODECS:
        spec = ArraySpec(shape=(n,) * 3, chunks=(c,) * 3, dtype="uint16", codec=codec)
        text = f"of {n}³ uint16, {c}³ chunks, {codec}, local"
        for name, (title, selection) in _STEPS.items():
            yield Selected(
                name=f"{name}/{codec}",
                family="strided",
                title=f"{title} {text}",
                spec=spec,
                selection=selection,
                limit_is="NumPy's strided copy of an array in memory",
            )
        yield Transposed(
            name=f"transposed/{codec}",
            family="strided",
            title=f"all, dimensions reversed, {text}",
            spec=spec,
            limit_is="NumPy's transposing copy of an array in memory",
        )


def _lines(size: str) -> Iterator[Workload]:
    n, c = by_size(size, 256, 8192, 8192), by_size(size, 64, 512, 512)
    for codec in ("none", "zstd"):
        spec = ArraySpec(shape=(n, n), chunks=(c, c), dtype="float32", codec=codec)
        middle = n // 2 + 7
        for name, selection in (("row", (middle, slice(None))), ("column", (slice(None), middle))):
            yield Line(
                name=f"{name}/{codec}",
                family="lines",
                title=f"one {name} of {n}² float32, {c}² chunks, {codec}, local",
                spec=spec,
                selection=selection,
                limit_is="open, preadv, close of each chunk"
                + ("" if codec == "none" else ", libzstd")
                + ", one thread",
            )


def plane(size: str, codec: str) -> tuple[ArraySpec, str]:
    """The array that points, masks, views and caches are read of: chunks of 1 MiB, and what it is called."""
    n, c = by_size(size, 256, 4096, 4096), by_size(size, 64, 512, 512)
    spec = ArraySpec(shape=(n, n), chunks=(c, c), dtype="float32", codec=codec)
    return spec, f"{n}² float32, {c}² chunks, {codec}, local"


def _picked(size: str) -> Iterator[Workload]:
    few, many = by_size(size, 500, 10_000, 10_000), by_size(size, 20_000, 10**6, 10**6)
    n = by_size(size, 50, 500, 500)
    for codec in CODECS:
        spec, text = plane(size, codec)
        decoded = "" if codec == "none" else " and the bare codec"
        limit_is = f"open, preadv{decoded} of all chunks, as many threads"
        common: dict[str, Any] = {"family": "picked", "spec": spec, "limit_is": limit_is}
        yield Selected(
            name=f"step-7/{codec}",
            title=f"[::7, ::7] of {text}",
            family="strided",
            spec=spec,
            selection=(slice(None, None, 7),) * 2,
            limit_is="NumPy's strided copy of an array in memory",
        )
        yield Picked(
            name=f"points/{codec}/{few}",
            title=f"{few} random points of {text}",
            way="points",
            select=_points(few),
            **common,
        )
        yield Picked(
            name=f"orthogonal/{codec}",
            title=f"{n} x {n} random rows and columns of {text}",
            way="orthogonal",
            select=_lists(n),
            **common,
        )
        yield Picked(
            name=f"mask/{codec}/regions",
            title=f"the highest tenth, by a mask, of {text}",
            way="mask",
            select=_above_threshold,
            **common,
        )
        yield Picked(
            name=f"mask/{codec}/spread",
            title=f"a tenth, by a random mask, of {text}",
            way="mask",
            select=_spread,
            **common,
        )
        yield PickedOfAll(
            name=f"by-hand/mask/{codec}",
            title=f"all read, then NumPy's mask (random): {text}",
            way="mask",
            select=_spread,
            **common,
        )
        points = Picked(
            name=f"points/{codec}/{many}",
            title=f"{many} random points of {text}",
            way="points",
            select=_points(many),
            **common,
        )
        yield points
        yield PickedOfAll(
            name=f"by-hand/points/{codec}",
            title=f"all read, then NumPy's points ({many}): {text}",
            way="points",
            select=_points(many),
            **common,
        )
        if codec == "none":
            yield Allocations(
                name=f"allocations/points/{many}",
                family="allocations",
                title=f"allocations of the interpreter: {points.title}",
                kind="allocations",
                spec=spec,
                of=points,
                # One for each hundred points.
                most=many // 100,
                libraries=("zarrc", "zarr", "zarr-fused", "tensorstore"),
            )


def _composed(size: str) -> Iterator[Workload]:
    for codec in ("none", "zstd"):
        spec, text = plane(size, codec)
        n = spec.shape[0]
        rows, columns = slice(n // 16, n - n // 16), slice(n // 8, n - n // 32)
        views: dict[str, tuple[str, tuple[Step, ...], Any, bool]] = {
            "steps": (
                "[a:b, c:d][::2][:, 5:-5]",
                ((rows, columns), (slice(None, None, 2),), (slice(None), slice(5, -5))),
                (slice(rows.start, rows.stop, 2), slice(columns.start + 5, columns.stop - 5)),
                False,
            ),
            "transposed": (
                "[a:b, c:d].T[5:-5][:, ::2]",
                ((rows, columns), "T", (slice(5, -5),), (slice(None), slice(None, None, 2))),
                (slice(rows.start, rows.stop, 2), slice(columns.start + 5, columns.stop - 5)),
                True,
            ),
        }
        for name, (title, steps, selection, transposed) in views.items():
            for direct in (False, True):
                yield Composed(
                    name=f"{'direct' if direct else 'view'}/{codec}/{name}",
                    family="views",
                    title=f"{title} of {text}, " + ("in one read" if direct else "step by step, then read"),
                    spec=spec,
                    steps=steps,
                    selection=selection,
                    transposed=transposed,
                    direct=direct,
                    limit_is="open, preadv of all chunks, as many threads",
                )
