"""How the bench talks to a library: the few things that workloads ask of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec

Selection = Any


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

    @abstractmethod
    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]: ...

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        """Return a reader of all of ``array`` with its dimensions reversed, C-contiguous."""
        raise Cannot("no transposed read")

    @abstractmethod
    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]: ...

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        """Return what copies the array ``source`` to a new one of the same layout at ``location``."""
        raise Cannot("no copy")

    @abstractmethod
    def looker(self, location: Any) -> Callable[[], Any]:
        """Return what opens an array anew and looks at its shape, dtype, chunks and attributes."""

    def close(self, array: Any) -> None:
        """Give back what ``array`` holds open: nothing, for most."""
        del array
