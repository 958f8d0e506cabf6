"""Read -> compute -> write for all blocks of an array, in threads or processes."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from zarrc.array import Array
from zarrc.block_stream import cells
from zarrc.boxes import Box
from zarrc.creation.places import Place
from zarrc.engine.node_names import join, normalize_path
from zarrc.engine.threads import usable_cpus
from zarrc.errors import MissingExtraError
from zarrc.grids.base import ChunkGrid
from zarrc.grids.regular import RegularChunkGrid
from zarrc.new_array import create_array_at, keywords_like, refuse_self
from zarrc.reading import show
from zarrc.storage import FsspecStore, Store, WrapperStore
from zarrc.walking import box_of

__all__ = ["map_array"]

_BLOCK_NBYTES: Final = 64 * 2**20

Region: TypeAlias = tuple[slice, ...]


@dataclass(frozen=True)
class _Job:
    """What is done with each block."""

    source: Array
    target: Array
    fn: Callable[..., Any]
    kwargs: Mapping[str, Any]
    pass_region: bool

    def whole(self, region: Region) -> None:
        """Read, compute, write."""
        self.write(region, self.compute(region, self.read(region)))

    def read(self, region: Region) -> Any:
        return np.asarray(self.source[region])

    def compute(self, region: Region, block: Any) -> Any:
        return _compute(self.fn, self.kwargs, self.pass_region, region, block)

    def write(self, region: Region, result: Any) -> None:
        self.target[region] = result


def _compute(
    fn: Callable[..., Any], kwargs: Mapping[str, Any], pass_region: bool, region: Region, block: Any
) -> Any:
    result = fn(block, region=region, **kwargs) if pass_region else fn(block, **kwargs)
    if result is None:
        raise TypeError(f"{_name(fn)} returned None where a block of shape {block.shape} was wanted")
    if np.shape(result) != block.shape:
        raise ValueError(
            f"{_name(fn)} returned an array of shape {np.shape(result)} for a block of shape {block.shape}"
        )
    return result


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(fn, "__qualname__", getattr(fn, "__name__", repr(fn))))


def map_array(
    array: Array,
    fn: Callable[..., Any],
    out: Any,
    *,
    region: Any,
    workers: int | None,
    executor: str | Executor,
    progress: bool | Callable[[int, int], object] | None,
    pass_region: bool,
    kwargs: Mapping[str, Any],
) -> Array:
    """Do what `Array.map_chunks` says; see there."""
    if not callable(fn):
        raise TypeError(f"fn must be a function, got {type(fn).__name__}")
    if isinstance(executor, str) and executor not in ("thread", "process"):
        raise ValueError(f"executor must be 'thread', 'process' or an Executor, got {executor!r}")
    n_workers = _count(workers)
    box = tuple(box_of(region, array.shape))
    if executor == "process" or isinstance(executor, ProcessPoolExecutor):
        _check_travels(fn, kwargs)
    if out is not None and not isinstance(out, (Array, Mapping)):
        is_path = isinstance(out, (str, os.PathLike))
        raise TypeError(
            "out takes an array, keywords of create_array (a dict) or None, got "
            + (f"{show(out)}; write {{'store': {show(out)}}}" if is_path else type(out).__name__)
        )
    if isinstance(out, Array):
        _check_target(array, out)
        target, first = out, None
    else:
        target, first = _make_target(_Job(array, array, fn, kwargs, pass_region), dict(out or {}), box)
    job = _Job(array, target, fn, kwargs, pass_region)
    grid = _block_grid(target, array)
    with contextlib.ExitStack() as stack:
        report = stack.enter_context(_reporting(progress, _n_cells(grid, box)))
        pool = stack.enter_context(_pool(executor, n_workers))
        _run(job, cells(grid, box, range(array.ndim)), pool, n_workers, report, first)
    return target


def _check_travels(fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse what cannot be sent to another process before anything is created, deleted or read."""
    for name, each in (("fn", fn), *kwargs.items()):
        try:
            pickle.dumps(each)
        except Exception as error:
            what = f"fn, {_name(fn)}," if name == "fn" else f"the argument {name}"
            hint = "; a function of a module can, executor='thread' takes any" if name == "fn" else ""
            raise TypeError(f"{what} cannot be pickled, and so not be sent to a process{hint}") from error


def _count(workers: int | None) -> int:
    if workers is None:
        return usable_cpus()
    try:
        n = operator.index(workers)
    except TypeError:
        raise TypeError(f"workers must be an integer, got {workers!r:.80}") from None
    if n < 1:
        raise ValueError(f"workers must be at least 1, got {n}")
    return n


# --- where the results go


def _check_target(array: Array, target: Array) -> None:
    if target.shape != array.shape:
        raise ValueError(f"out has shape {target.shape}, the array has {array.shape}")
    target._check_writable("write")


def _make_target(job: _Job, given: dict[str, Any], box: Box) -> tuple[Array, tuple[Region, Any] | None]:
    """Create the array for the results, and return a first one if it was needed to know the data type."""
    array = job.source
    store, path, overwrite = _place_of(given)
    refuse_self(store, path, array)
    first = None
    if "dtype" not in given:
        region = next(cells(array.metadata.chunk_grid, box, range(array.ndim)), None)
        if region is None:
            given["dtype"] = array.dtype
        else:
            with _located(region):
                result = np.asarray(job.compute(region, job.read(region)))
            first = region, result
            given["dtype"] = result.dtype
    if np.dtype(given["dtype"]) == array.dtype:
        keywords = keywords_like(array, given)
    else:
        # Codecs may be for the other data type.
        keywords = {"shape": array.shape, "zarr_format": array.metadata.zarr_format}
        if not {"chunks", "shards", "chunk_grid", "codecs"} & given.keys():
            keywords |= {"chunks": array.chunks, "shards": array.shards}
        if array.metadata.zarr_format == 3 and given.get("zarr_format") != 2:
            keywords["dimension_names"] = array.metadata.dimension_names
    keywords |= given
    if tuple(np.atleast_1d(keywords["shape"])) != array.shape and keywords["shape"] != array.shape:
        raise ValueError(f"out has shape {keywords['shape']}, the array has {array.shape}")
    return create_array_at(store, path, keywords, overwrite=overwrite, caller="create_array"), first


def _place_of(given: dict[str, Any]) -> tuple[Store, str, bool]:
    """Take out of the keywords where the new array goes, and whether it replaces what is there."""
    overwrite = given.pop("overwrite", False)
    where = Place(
        given.pop("store", None), None, "w" if overwrite else "a", given.pop("storage_options", None)
    )
    name = given.pop("name", None)
    return where.store, join(where.path, normalize_path(name)) if name else where.path, overwrite


def _block_grid(target: Array, source: Array) -> ChunkGrid:
    """Return the grid of blocks: whole objects of the target, so many that source chunks are whole too."""
    grid, theirs = target.metadata.chunk_grid, source.metadata.inner_grid
    if not (grid.is_regular and theirs.is_regular):
        return grid
    wide = tuple(
        ours * -(-other // ours) for ours, other in zip(grid.chunk_shape, theirs.chunk_shape, strict=True)
    )
    nbytes = math.prod(wide) * max(source.dtype.itemsize, target.dtype.itemsize)
    return RegularChunkGrid(wide) if nbytes <= _BLOCK_NBYTES else grid


def _n_cells(grid: ChunkGrid, box: Box) -> int:
    return math.prod(
        grid.chunk_of(d, stop - 1) - grid.chunk_of(d, start) + 1 if stop > start else 0
        for d, (start, stop) in enumerate(box)
    )


# --- running


@contextlib.contextmanager
def _located(region: Region) -> Iterator[None]:
    """Say in an error which region it is about."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in map_chunks, region ({', '.join(f'{p.start}:{p.stop}' for p in region)})")
        raise


@contextlib.contextmanager
def _pool(executor: str | Executor, n_workers: int) -> Iterator[Executor]:
    if not isinstance(executor, str):
        yield executor
        return
    kind = ThreadPoolExecutor if executor == "thread" else ProcessPoolExecutor
    pool: Executor = kind(n_workers)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run(
    job: _Job,
    regions: Iterator[Region],
    pool: Executor,
    n_workers: int,
    report: Callable[[int], object],
    first: tuple[Region, Any] | None,
) -> None:
    in_threads = isinstance(pool, ThreadPoolExecutor)
    alone = in_threads or (_travels(job.source.store) and _travels(job.target.store))
    running: dict[Future[Any], Region] = {}
    done = 0
    try:
        while True:
            # More wait than are worked on, so that none of the workers does.
            while len(running) < 2 * n_workers and (region := next(regions, None)) is not None:
                if first is not None and first[0] == region:
                    with _located(region):
                        job.write(region, first[1])
                    first = None
                    done += 1
                    report(done)
                    continue
                running[_submit(job, region, pool, in_threads=in_threads, alone=alone)] = region
            if not running:
                return
            ready = wait(running, return_when=FIRST_COMPLETED).done
            # In the order of the blocks: of several errors the first one is told.
            for future in [each for each in running if each in ready]:
                region = running.pop(future)
                with _located(region):
                    result = future.result()
                    if not alone:
                        job.write(region, result)
                done += 1
                report(done)
    except BaseException:
        for future in running:
            future.cancel()
        # Nothing is written any more once the error is seen.
        wait(running)
        raise


def _submit(job: _Job, region: Region, pool: Executor, *, in_threads: bool, alone: bool) -> Future[Any]:
    if in_threads:
        return pool.submit(copy_context().run, job.whole, region)
    if alone:
        return pool.submit(job.whole, region)
    with _located(region):
        block = job.read(region)
    return pool.submit(_compute, job.fn, job.kwargs, job.pass_region, region, block)


def _travels(store: Store) -> bool:
    """Whether another process that gets the store reads and writes the same objects."""
    while isinstance(store, WrapperStore):
        store = store.store
    if store.local_root is not None:
        return True
    if not isinstance(store, FsspecStore):
        return False
    fs = store.fs
    while True:
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        if "memory" in protocols:
            return False
        if not hasattr(fs, "fs"):
            return True
        fs = fs.fs


# --- progress


@contextlib.contextmanager
def _reporting(
    progress: bool | Callable[[int, int], object] | None, total: int
) -> Iterator[Callable[[int], object]]:
    """Yield what is called with how many blocks are done."""
    if progress is None or progress is False:
        yield lambda done: None
    elif progress is True:
        try:
            from tqdm.auto import tqdm
        except ModuleNotFoundError:
            raise MissingExtraError(
                "progress=True needs tqdm, which is not installed: pip install 'zarrc[progress]'; or give a "
                "function"
            ) from None
        with tqdm(total=total, unit="block") as bar:
            yield lambda done: bar.update(done - bar.n)
    elif callable(progress):
        call = progress
        yield lambda done: call(done, total)
    else:
        raise TypeError(f"progress must be True, a function or None, got {progress!r:.80}")
