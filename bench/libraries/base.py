"""How the bench talks to a library: the few things that workloads ask of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.arrays import ArraySpec

Selection = Any
# One step of a lazy view: an index, or the transposition.
Step = Literal["T"] | tuple[Any, ...]


class Cannot(Exception):
    """A library (or this machine) has no way to run a workload; the text says why."""


class Library(ABC):
    """One library, as a workload sees it.

    What is timed is the call of what `reader`, `writer`, `copier` and `looker` return: closures with as
    little of the bench in them as possible. Locations and arrays are the library's own objects.
    """

    name = ""
    # What "import" means for it: what a script needs before it can open an array.
    import_statement = ""
    # Reads the Zarr array at {path} and one element of it.
    first_read = ""
    reads_zarr = True
    # Whether updates of inner chunks are appended to the shard in what `open_to_append` gives.
    appends = False

    def __init__(self, threads: int | None) -> None:
        self.threads = threads

    @property
    @abstractmethod
    def module_file(self) -> str:
        """The file of the package that is measured."""

    @abstractmethod
    def local(self, path: Path) -> Any:
        """Where an array is, or will be: the folder ``path``."""

    def memory(self) -> Any:
        """Make a new, empty place in memory."""
        raise Cannot(f"{self.name} has no store in memory")

    def remote(self, where: Any) -> Any:
        """Where an array is, or will be: the folder of a server, a `bench.servers.RemotePlace`."""
        del where
        raise Cannot(f"{self.name} is not measured at servers")

    @abstractmethod
    def create(self, location: Any, spec: ArraySpec) -> Any: ...

    @abstractmethod
    def open(self, location: Any) -> Any: ...

    def open_to_append(self, location: Any) -> Any:
        """Open an array whose shards are updated in the way that costs least, be it by appending."""
        return self.open(location)

    def compact(self, array: Any) -> None:
        """Rewrite the shards of ``array`` without what appending left behind: nothing, for most."""
        del array

    def create_growing(self, location: Any, spec: ArraySpec) -> Any:
        """Create an array that rows will be appended to."""
        return self.create(location, spec)

    def open_cached(self, location: Any, nbytes: int) -> Any:
        """Open an array with a cache of ``nbytes`` for decoded chunks."""
        raise Cannot(f"{self.name} has no cache of decoded chunks")

    @abstractmethod
    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]: ...

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        """Return a reader of all of ``array`` with its dimensions reversed, C-contiguous."""
        raise Cannot("no transposed read")

    def points_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        """Return a reader of the elements at ``indices``, an array of integers for each dimension."""
        raise Cannot(f"{self.name} reads no points")

    def orthogonal_reader(self, array: Any, indices: tuple[np.ndarray, ...]) -> Callable[[], Any]:
        """Return a reader of the product of ``indices``, sorted integers for each dimension."""
        raise Cannot(f"{self.name} reads no product of lists")

    def mask_reader(self, array: Any, mask: np.ndarray) -> Callable[[], Any]:
        """Return a reader of the elements where ``mask``, of the array's shape, is true."""
        raise Cannot(f"{self.name} reads by no mask")

    def lazy_reader(self, array: Any, steps: Sequence[Step]) -> Callable[[], Any]:
        """Return what makes a view of ``array`` step by step, and reads it."""
        raise Cannot(f"{self.name} has no lazy views")

    def direct_reader(self, array: Any, selection: Selection, transposed: bool) -> Callable[[], Any]:
        """Return a reader of ``selection``, with its dimensions reversed where ``transposed``."""
        if transposed:
            raise Cannot("no transposed read")
        return self.reader(array, selection)

    @abstractmethod
    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]: ...

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        """Return what copies the array ``source`` to a new one of the same layout at ``location``."""
        raise Cannot("no copy")

    def mapper(
        self,
        source: Any,
        target: Any,
        function: Callable[[np.ndarray], np.ndarray],
        regions: Sequence[Selection],
        workers: int,
    ) -> Callable[[], Any]:
        """Return what writes ``function`` of each of ``regions``, which are chunks, by so many threads."""

        def one(region: Selection) -> None:
            self.writer(target, region, function(np.asarray(self.reader(source, region)())))()

        def call() -> None:
            if workers == 1:
                for region in regions:
                    one(region)
                return
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(one, regions):
                    pass

        return call

    def resize(self, array: Any, shape: tuple[int, ...]) -> Any:
        """Give ``array`` another shape; return the handle to go on with."""
        raise Cannot(f"{self.name} does not resize")

    def appender(self, array: Any) -> Callable[[np.ndarray], Any]:
        """Return what appends rows to ``array``."""
        raise Cannot(f"{self.name} does not append")

    @abstractmethod
    def looker(self, location: Any) -> Callable[[], Any]:
        """Return what opens an array anew and looks at its shape, dtype, chunks and attributes."""

    def close(self, array: Any) -> None:
        """Give back what ``array`` holds open: nothing, for most."""
        del array
