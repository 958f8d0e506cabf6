"""h5py: not a Zarr library, but what many would use instead; its own files, gzip or nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import ArraySpec
from bench.libraries.base import Cannot, Library, Selection

_counter = itertools.count()


@dataclass(frozen=True)
class _Location:
    path: Path | None


class H5py(Library):
    name = "h5py"
    import_statement = "import h5py; h5py.File"
    reads_zarr = False

    def __init__(self, threads: int | None) -> None:
        super().__init__(threads)
        import h5py

        self.h5py = h5py
        self._files: dict[_Location, Any] = {}

    @property
    def module_file(self) -> str:
        return str(self.h5py.__file__)

    def local(self, path: Path) -> Any:
        return _Location(path.with_name(path.name + ".h5"))

    def _memory_file(self) -> Any:
        return self.h5py.File(f"memory-{next(_counter)}", "w", driver="core", backing_store=False)

    def memory(self) -> Any:
        return self._memory_file()

    def create(self, location: Any, spec: ArraySpec) -> Any:
        if spec.codec not in ("none", "gzip-6"):
            raise Cannot(f"h5py has no {spec.codec}")
        return self._create(location, spec, None)

    def create_growing(self, location: Any, spec: ArraySpec) -> Any:
        return self._create(location, spec, (None, *spec.shape[1:]))

    def _create(self, location: Any, spec: ArraySpec, most: tuple[int | None, ...] | None) -> Any:
        file = self.h5py.File(location.path, "w") if isinstance(location, _Location) else location
        options = {"compression": "gzip", "compression_opts": 6} if spec.codec == "gzip-6" else {}
        dataset = file.create_dataset(
            "data",
            shape=spec.shape,
            maxshape=most,
            chunks=spec.chunks,
            dtype=spec.dtype,
            fillvalue=0,
            **options,
        )
        dataset.attrs.update(spec.attributes)
        return dataset

    def open(self, location: Any) -> Any:
        if isinstance(location, _Location):
            return self.h5py.File(location.path, "r")["data"]
        return location["data"]

    def open_cached(self, location: Any, nbytes: int) -> Any:
        return self.h5py.File(location.path, "r", rdcc_nbytes=nbytes, rdcc_nslots=10_007)["data"]

    def reader(self, array: Any, selection: Selection) -> Callable[[], Any]:
        return lambda: array[selection]

    def mask_reader(self, array: Any, mask: np.ndarray) -> Callable[[], Any]:
        return lambda: array[mask]

    def direct_reader(self, array: Any, selection: Selection, transposed: bool) -> Callable[[], Any]:
        if not transposed:
            return self.reader(array, selection)
        return lambda: np.ascontiguousarray(array[selection].T)

    def transposed_reader(self, array: Any) -> Callable[[], Any]:
        return self.direct_reader(array, ..., True)

    def writer(self, array: Any, selection: Selection, data: np.ndarray) -> Callable[[], Any]:
        def write() -> None:
            array[selection] = data
            array.file.flush()

        return write

    def resize(self, array: Any, shape: tuple[int, ...]) -> Any:
        array.resize(shape)
        return array

    def appender(self, array: Any) -> Callable[[np.ndarray], Any]:
        def append(rows: np.ndarray) -> None:
            n = array.shape[0]
            array.resize(n + len(rows), axis=0)
            array[n:] = rows
            # As the others, it leaves it to the system when it comes to the disk.
            array.file.flush()

        return append

    def copier(self, source: Any, location: Any, spec: ArraySpec) -> Callable[[], Any]:
        def copy() -> None:
            if isinstance(location, _Location):
                with self.h5py.File(location.path, "w") as file:
                    source.file.copy(source, file, "data")
            else:
                source.file.copy(source, location, "data")

        return copy

    def looker(self, location: Any) -> Callable[[], Any]:
        open_file = self.h5py.File

        def look() -> tuple[Any, ...]:
            with open_file(location.path, "r") as file:
                dataset = file["data"]
                attributes = {
                    k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in dataset.attrs.items()
                }
                return dataset.shape, dataset.dtype, dataset.chunks, attributes

        return look

    def close(self, array: Any) -> None:
        array.file.close()
