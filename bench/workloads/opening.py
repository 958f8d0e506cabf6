"""Open an array and look at it; import a library in a fresh process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot, Library
from bench.workloads.base import Place, Task, Workload, Wrong, unchecked


@dataclass(frozen=True, kw_only=True)
class Open(Workload):
    """A fresh handle every time: shape, data type, chunks, attributes."""

    def prepare(self, library: Library, place: Place) -> Task:
        spec = self.spec
        if spec.zarr_format == 2 and not library.reads_zarr:
            raise Cannot("it is about Zarr's version 2")
        look = library.looker(library.local(place.source(spec, library)))

        def check(result: Any) -> None:
            shape, dtype, chunks, attributes = result
            found = tuple(shape), np.dtype(dtype), tuple(chunks), dict(attributes)
            expected = spec.shape, np.dtype(spec.dtype), spec.chunks, spec.attributes
            if found != expected:
                raise Wrong(f"got {found}, not {expected}")

        return Task(look, check)

    def limit(self, place: Place) -> Task:
        path = place.source(self.spec)
        files = [path / "zarr.json"] if self.spec.zarr_format == 3 else [path / ".zarray", path / ".zattrs"]
        buffer = bytearray(1 << 14)

        def call() -> None:
            for file in names:
                descriptor = os.open(file, os.O_RDONLY)
                os.preadv(descriptor, [buffer], 0)
                os.close(descriptor)

        names = [str(file) for file in files]
        return Task(call, unchecked)


@dataclass(frozen=True, kw_only=True)
class Import(Workload):
    """A fresh interpreter that imports a library, less one that imports NumPy."""

    reads: bool = False

    def program(self, library: type[Library], path: Path) -> str:
        """The program of the fresh interpreter."""
        if self.reads and not library.first_read:
            raise Cannot("it is about Zarr")
        return "import numpy; " + (
            library.first_read.format(path=str(path)) if self.reads else library.import_statement
        )


def workloads(size: str) -> Iterator[Workload]:
    for version in (3, 2):
        spec = ArraySpec(
            shape=(400, 400), chunks=(100, 100), dtype="float64", codec="gzip-6", zarr_format=version
        )
        yield Open(
            name=f"open/v{version}",
            family="open",
            title=f"open and look at the metadata, v{version}, local",
            spec=spec,
            limit_is="open, preadv, close of each document, called from Python",
        )
    spec = ArraySpec(shape=(400, 400), chunks=(100, 100), dtype="float64", codec="zstd")
    for name, title, reads in (
        ("import/ready", "import, ready to open an array", False),
        ("import/first-read", "import, open an array and read one element", True),
    ):
        yield Import(
            name=name,
            family="import",
            title=f"{title}, fresh process, above `import numpy`",
            kind="import",
            spec=spec,
            reads=reads,
        )
